//! One pass over the points, with or without steps.
use super::{Objective, Ranks, Updates};
use crate::tensors::{numbers, of_numbers};
use crate::{Error, FlatNetwork};
use burn::module::Module;
use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// The order of the points in an epoch.
fn order(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    order.shuffle(&mut rng);
    order
}

/// The points of a batch that are those of this process.
fn share(batch: Range<usize>, ranks: &dyn Ranks) -> Range<usize> {
    let at = |i: usize| batch.start + batch.len() * i / ranks.size();
    at(ranks.rank())..at(ranks.rank() + 1)
}

/// The gradient of the weights, summed over the processes.
pub(super) fn gradient(loss: &Tensor<1>, network: &FlatNetwork, ranks: &dyn Ranks) -> Result<Tensor<1>, Error> {
    let theta = network.theta.val();
    let own = theta.grad(&loss.backward());
    let own = own.unwrap_or_else(|| theta.clone().inner().zeros_like());
    if ranks.size() == 1 {
        return Ok(own);
    }
    let (device, dtype) = (own.device(), own.dtype());
    let mut sum = numbers(own)?;
    ranks.sum(&mut sum);
    let len = sum.len();
    Ok(of_numbers(sum, [len], &device, dtype))
}

/// The loss of a batch, differentiable, and its terms, of this process's share.
pub(super) fn batch_loss<O: Objective>(
    network: &FlatNetwork,
    objective: &O,
    batch: Range<usize>,
    ranks: &dyn Ranks,
) -> Result<(Tensor<1>, Tensor<1>), Error> {
    let n = batch.len();
    let mine = share(batch, ranks);
    if mine.is_empty() {
        // fewer points than processes: zeros that depend on the weights
        let nothing = network.theta.val().sum() * 0.0;
        let terms = nothing.clone().inner().expand([objective.names().len()]);
        return Ok((nothing, terms));
    }
    objective.loss(network, mine, n)
}

/// One epoch of steps that lower the loss: the points in an order that depends on seed and epoch, in batches, the last
/// one possibly smaller.
///
/// `rate` gives the learning rate of the i-th step of the epoch. Returns the network and the means over the epoch of
/// the loss and its terms, or `None` if `go_on` returned false before a step.
///
/// # Errors
/// Those of the evaluation; a loss that is no longer finite.
#[allow(clippy::too_many_arguments)]
#[allow(clippy::type_complexity)]
pub fn train_one_epoch<O: Objective>(
    network: FlatNetwork,
    objective: &O,
    updates: &mut Updates,
    rate: &dyn Fn(usize) -> f64,
    batch: usize,
    (seed, epoch): (u64, usize),
    ranks: &dyn Ranks,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<(FlatNetwork, Vec<f64>)>, Error> {
    let (n, mut network) = (objective.len(), network);
    let shuffled = objective.select(&order(n, seed, epoch));
    let mut running: Option<Tensor<1>> = None;
    for (i, start) in (0..n).step_by(batch).enumerate() {
        if !go_on() {
            return Ok(None);
        }
        let points = start..(start + batch).min(n);
        let (loss, terms) = batch_loss(&network, &shuffled, points, ranks)?;
        running = Some(match running {
            Some(sum) => sum + terms,
            None => terms,
        });
        let gradient = gradient(&loss, &network, ranks)?;
        network = updates.step(rate(i), network, gradient);
    }
    let mut terms = numbers(running.expect("an epoch has a batch"))?;
    ranks.sum(&mut terms);
    Ok(Some((network, with_loss(terms, objective)?)))
}

/// The loss and its terms at all points, without a step.
///
/// # Errors
/// Those of the evaluation; a loss that is not finite.
pub fn test<O: Objective>(network: &FlatNetwork, objective: &O, ranks: &dyn Ranks) -> Result<Vec<f64>, Error> {
    let plain = network.valid();
    let mine = share(0..objective.len(), ranks);
    let mut terms = match mine.is_empty() {
        false => numbers(Tensor::cat(objective.terms(&plain, mine)?, 0))?,
        true => vec![0.0; objective.names().len()],
    };
    ranks.sum(&mut terms);
    with_loss(terms, objective)
}

/// Means of sums over all points: the loss, then the terms.
fn with_loss<O: Objective>(sums: Vec<f64>, objective: &O) -> Result<Vec<f64>, Error> {
    let means: Vec<f64> = sums.iter().map(|t| t / objective.len() as f64).collect();
    let loss = means.iter().zip(objective.weights()).map(|(t, w)| t * w).sum::<f64>();
    if !loss.is_finite() {
        let names = objective.names();
        let at = means.iter().position(|t| !t.is_finite()).map_or("the loss", |i| names[i]);
        return Err(Error::Training(format!("{at} is no longer finite: try a smaller learning rate, or clipping")));
    }
    Ok(std::iter::once(loss).chain(means).collect())
}
