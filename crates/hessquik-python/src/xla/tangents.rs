//! Calls for derivatives along tangents: of results, and of pullbacks.
//!
//! After the arguments of the call that is differentiated come the tangents: of the points, if the attribute `moves` has an
//! x, and of all weights in order, if it has a w.
use super::abi::{Buffer, Frame};
use super::call::{Batch, Parts, Results, cotangents_at, names, on_threads, points, text};
use super::spec::Cached;
use crate::array::Float;
use crate::results::by_name;
use hessquik::{Evaluate, Field, Jet, Tangent};
use ndarray::{Array1, Array2, ArrayViewD};

/// The arguments of a call, sorted.
struct Arguments<'a, F> {
    batch: Batch<'a>,
    x: Parts<'a, F>,
    weights: Vec<Parts<'a, F>>,
    cotangents: Vec<Parts<'a, F>>,
    x_dot: Option<Parts<'a, F>>,
    weights_dot: Option<Vec<Parts<'a, F>>>,
}

impl<'a, F: Float> Arguments<'a, F> {
    /// With so many cotangents.
    fn read(frame: &'a Frame, results: &'a [Buffer<'a>], cotangents: usize) -> Result<Self, String> {
        let (arguments, moves) = (frame.arguments(), frame.text("moves")?);
        let axes = arguments[0].dims().len() - 2;
        let (with_x, with_w) = (usize::from(moves.contains('x')), usize::from(moves.contains('w')));
        let n = (arguments.len() - 1 - cotangents - with_x) / (1 + with_w);
        let mut parts = arguments.into_iter().map(|a| Parts::<F>::new(a, axes));
        let mut take = |count: usize| parts.by_ref().take(count).collect::<Result<Vec<_>, String>>();
        let x = take(1)?.pop().ok_or("there are no points")?;
        let (weights, cotangents, x_dot) = (take(n)?, take(cotangents)?, take(with_x)?.pop());
        let weights_dot = if with_w == 1 { Some(take(n)?) } else { None };
        let batch = Batch { dims: &results[0].dims()[..axes] };
        Ok(Self { batch, x, weights, cotangents, x_dot, weights_dot })
    }

    fn weights_at(&self, b: usize) -> Vec<ArrayViewD<'a, F>> {
        self.weights.iter().map(|w| w.at(&self.batch, b)).collect()
    }

    /// Runs `work` with the rates of an element of the batch.
    fn along<R>(&self, b: usize, work: impl FnOnce(Tangent<'_, F>) -> R) -> Result<R, String> {
        let x_dot: Option<Array2<F>> =
            self.x_dot.as_ref().map(|x| points(x.at(&self.batch, b)).map(|x| x.to_owned())).transpose()?;
        let flat = |all: &Vec<Parts<'a, F>>| -> Array1<F> {
            all.iter().flat_map(|w| w.at(&self.batch, b).iter().copied().collect::<Vec<_>>()).collect()
        };
        let weights_dot = self.weights_dot.as_ref().map(flat);
        Ok(work(Tangent { input: x_dot.as_ref().map(|a| a.view()), weights: weights_dot.as_ref().map(|a| a.view()) }))
    }
}

/// Copies a jet to results in memory order.
fn hand_out<F: Float>(jet: &Jet<F>, names: &[Field], out: &mut [Results<'_, F>]) -> Result<(), String> {
    for (&name, out) in names.iter().zip(out) {
        macro_rules! copy {
            ($field:ident) => {{
                let array = jet.$field.as_ref().ok_or("a result is missing")?.view().into_dyn();
                // logical order (n_s, .., q) to memory order (n_s, q, ..)
                let last = array.ndim() - 1;
                let axes: Vec<usize> = [0, last].into_iter().chain(1..last).take(last + 1).collect();
                let array = array.permuted_axes(axes);
                out.next().iter_mut().zip(array.iter()).for_each(|(to, &from)| *to = from);
            }};
        }
        by_name!(name, copy, factored: return Err("the factored Hessian is not a plain array".into()));
    }
    Ok(())
}

/// Arguments x (n_s, d), the weights in order, and the tangents; results in memory order, by the names of the spec.
pub fn pushforward<F: Cached>(frame: &Frame, spec: &str) -> Result<(), String> {
    let (results, names) = (frame.results(), names(spec)?);
    let all = Arguments::<F>::read(frame, &results, 0)?;
    let count = all.batch.len();
    let mut out = Results::<F>::all(frame, all.batch.dims.len(), count)?;
    F::cache().with(spec, |ready| {
        for b in 0..count {
            let x = points(all.x.at(&all.batch, b))?;
            let (network, request) = ready.with_weights(&all.weights_at(b)).map_err(text)?;
            let push = |tangent: Tangent<'_, F>| network.pushforward(&x, request, tangent);
            let jet = all.along(b, |tangent| on_threads(x.nrows() < SMALL, || push(tangent)))??;
            hand_out(&jet.map_err(text)?, &names, &mut out)?;
        }
        Ok(())
    })
}

/// Points that are not worth a thread of their own.
const SMALL: usize = 64;

/// Arguments x (n_s, d), the weights in order, cotangents by the names of the spec in memory order, and the tangents; results
/// are the derivatives of the gradients to x and to the weights.
pub fn second<F: Cached>(frame: &Frame, spec: &str) -> Result<(), String> {
    let (results, names) = (frame.results(), names(spec)?);
    let all = Arguments::<F>::read(frame, &results, names.len())?;
    let count = all.batch.len();
    let mut out = Results::<F>::all(frame, all.batch.dims.len(), count)?;
    F::cache().with(spec, |ready| {
        for b in 0..count {
            let view = cotangents_at(&names, &all.cotangents, &all.batch, b)?;
            let x = points(all.x.at(&all.batch, b))?;
            let (network, request) = ready.with_weights(&all.weights_at(b)).map_err(text)?;
            let push = |tangent: Tangent<'_, F>| network.pullback_pushforward(&x, request, &view, tangent);
            let found = all.along(b, |tangent| on_threads(x.nrows() < SMALL, || push(tangent)))??.map_err(text)?;
            let flat = found.input.iter().chain(&found.weights);
            out.iter_mut().flat_map(Results::next).zip(flat).for_each(|(to, &from)| *to = from);
        }
        Ok(())
    })
}
