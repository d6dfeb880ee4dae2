//! Epoch after epoch: mini-batches, then L-BFGS, until the end, too long without progress, or an interruption.
use super::checkpoint::{self, Progress, State};
use super::epoch::{batch_loss, gradient, test, train_one_epoch};
use super::{Objective, Ranks, Row, Settings, Updates};
use crate::{Error, FlatNetwork};
use burn::optim::{GradientsParams, LBFGSConfig, LineSearchFn};
use std::cell::RefCell;
use std::time::Instant;

/// Iterations of L-BFGS in one epoch. Each epoch starts with an empty memory, so that runs resume to the same numbers.
const ITERATIONS: usize = 50;

/// A trained network.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The network with its last weights, or with the best ones if training stopped early.
    pub network: FlatNetwork,
    /// All epochs, including those before a resumption.
    pub history: Vec<Row>,
    /// Why training ended.
    pub stopped: Stopped,
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All epochs are done.
    Finished,
    /// The loss did not improve for as many epochs as the patience.
    Early,
    /// `go_on` returned false. The checkpoint, if there is one, holds the state after the last complete epoch.
    Interrupted,
}

/// Trains a network on an objective.
///
/// - **network** on an autodiff device
/// - **valid** the same objective at the validation points
/// - **ranks** the processes that train together: [`Alone`](super::Alone), or those of `mpirun`; every batch is shared
///   among them, and the first writes checkpoints
/// - **on_epoch** receives each epoch's losses
/// - **go_on** is called before every step: if it returns false, training ends and the unfinished epoch is discarded
///
/// Seeds, settings and the number of processes determine all numbers. If the file of [`Settings::checkpoint`] exists,
/// the run resumes from it, to the same numbers.
///
/// # Errors
/// Invalid settings, losses that are no longer finite, a checkpoint of another run, files that cannot be written.
pub fn train<O: Objective>(
    network: FlatNetwork,
    objective: &O,
    valid: Option<&O>,
    settings: &Settings,
    ranks: &dyn Ranks,
    on_epoch: &mut dyn FnMut(&Row),
    go_on: &dyn Fn() -> bool,
) -> Result<Outcome, Error> {
    settings.check()?;
    if objective.is_empty() {
        return Err(Error::Training("there are no points to train on".into()));
    }
    let start = Instant::now();
    let points = [objective.len(), valid.map_or(0, O::len)];
    let run = checkpoint::run(settings, &network, &objective.names(), &objective.weights(), points);
    let best = network.theta.val().inner();
    let mut state = State { network, updates: Updates::new(settings), progress: Progress::default(), best };
    if let Some(path) = &settings.checkpoint {
        state = state.load(path, &run)?;
    }
    let save = |state: &State| match &settings.checkpoint {
        Some(path) if ranks.rank() == 0 => state.save(path, &run),
        _ => Ok(()),
    };
    // all processes stop together
    let together = || {
        let mut no = [f64::from(u8::from(!go_on()))];
        ranks.sum(&mut no);
        no[0] == 0.0
    };

    let last = settings.epochs + settings.lbfgs;
    let outcome = |state: State, stopped| Outcome { network: state.network, history: state.progress.history, stopped };
    while state.progress.history.len() < last && !state.progress.done {
        let epoch = state.progress.history.len() + 1;
        let before = state.clone();
        let Some(running) = one_epoch(&mut state, objective, settings, epoch, ranks, &together)? else {
            save(&before)?;
            return Ok(outcome(before, Stopped::Interrupted));
        };
        let row = Row {
            epoch,
            seconds: start.elapsed().as_secs_f64(),
            running,
            train: test(&state.network, objective, ranks)?,
            valid: valid.map_or(Ok(Vec::new()), |valid| test(&state.network, valid, ranks))?,
        };
        on_epoch(&row);
        let loss = row.valid.first().unwrap_or(&row.train[0]);
        let progress = &mut state.progress;
        if progress.least.is_none_or(|least| *loss < least) {
            (progress.least, progress.waited) = (Some(*loss), 0);
            state.best = state.network.theta.val().inner();
        } else {
            progress.waited += 1;
        }
        progress.history.push(row);
        if settings.patience.is_some_and(|patience| progress.waited >= patience) {
            progress.done = true;
            state.network.set_theta(state.best.clone());
        }
        if state.progress.done || epoch == last || epoch.is_multiple_of(settings.every) {
            save(&state)?;
        }
    }
    let stopped = if state.progress.done { Stopped::Early } else { Stopped::Finished };
    Ok(outcome(state, stopped))
}

/// The next epoch; its running losses, or `None` if it was interrupted.
fn one_epoch<O: Objective>(
    state: &mut State,
    objective: &O,
    settings: &Settings,
    epoch: usize,
    ranks: &dyn Ranks,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<Vec<f64>>, Error> {
    let network = state.network.clone();
    let done = if epoch > settings.epochs {
        lbfgs(network, objective, ranks, go_on)?
    } else {
        let steps = objective.len().div_ceil(settings.batch);
        let rate = |i: usize| settings.rate_at((epoch - 1) * steps + i, steps);
        let (batch, order) = (settings.batch, (settings.seed, epoch));
        train_one_epoch(network, objective, &mut state.updates, &rate, batch, order, ranks, go_on)?
    };
    Ok(done.map(|(network, running)| {
        state.network = network;
        running
    }))
}

/// Iterations of L-BFGS on all points; the network, and the losses that they began with.
fn lbfgs<O: Objective>(
    network: FlatNetwork,
    objective: &O,
    ranks: &dyn Ranks,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<(FlatNetwork, Vec<f64>)>, Error> {
    let running = test(&network, objective, ranks)?;
    let single = network.theta.val().dtype() == burn::tensor::DType::F32;
    let config = LBFGSConfig::new().with_max_iter(ITERATIONS).with_history_size(ITERATIONS);
    let config = config.with_max_eval(Some(2 * ITERATIONS)).with_line_search_fn(LineSearchFn::StrongWolfe);
    // changes below rounding are no progress
    let mut optimiser = config.with_tolerance_grad(0.0).with_tolerance_change(if single { 1e-9 } else { 1e-15 }).init();
    let (failure, stopped) = (RefCell::new(None), RefCell::new(false));
    let evaluate = |network: FlatNetwork| {
        // a closure of Burn cannot fail: a gradient of zero ends its search, and what was wrong is told afterwards
        let nothing = || (f64::MAX, network.theta.val().inner().zeros_like());
        let found = || -> Result<_, Error> {
            if *stopped.borrow() || !go_on() {
                *stopped.borrow_mut() = true;
                return Ok(nothing());
            }
            let (loss, _) = batch_loss(&network, objective, 0..objective.len(), ranks)?;
            let gradient = gradient(&loss, &network, ranks)?;
            let mut value = [loss.inner().into_scalar::<f64>()];
            ranks.sum(&mut value);
            Ok((value[0], gradient))
        };
        let (value, gradient) = found().unwrap_or_else(|e| {
            failure.borrow_mut().get_or_insert(e);
            nothing()
        });
        let mut gradients = GradientsParams::new();
        gradients.register(network.theta.id, gradient);
        (value, gradients)
    };
    let (network, _) = optimiser.step(1.0, network, evaluate);
    match failure.into_inner() {
        Some(e) => Err(e),
        None if stopped.into_inner() => Ok(None),
        None => Ok(Some((network, running))),
    }
}
