//! One call: from XLA's buffers, with the leading axes that `jax.vmap` adds, to evaluations and pullbacks.
use super::abi::{Buffer, Frame};
use super::spec::{Cached, Ready};
use crate::array::Float;
use crate::pool;
use crate::results::by_name;
use hessquik::{Field, JetMut, JetView, Prepared, on_this_thread};
use ndarray::{ArrayView, ArrayView2, ArrayViewD, ArrayViewMut, IxDyn};
use rayon::prelude::*;
use std::slice::ChunksMut;

/// The leading axes of a batch: those of the results; an argument has 1 in the place of an axis that it does not have.
pub(super) struct Batch<'a> {
    pub dims: &'a [i64],
}

impl Batch<'_> {
    pub fn len(&self) -> usize {
        self.dims.iter().product::<i64>() as usize
    }

    /// The part of an argument with these leading axes that element `b` of the batch reads.
    fn part(&self, leading: &[i64], b: usize) -> usize {
        let (mut rest, mut index, mut stride) = (b, 0, 1);
        for (&all, &own) in self.dims.iter().zip(leading).rev() {
            if own > 1 {
                index += rest % all as usize * stride;
                stride *= own as usize;
            }
            rest /= all as usize;
        }
        index
    }
}

/// An argument, part by part of its leading axes.
pub(super) struct Parts<'a, F> {
    data: &'a [F],
    leading: &'a [i64],
    pub shape: Vec<usize>,
}

impl<'a, F> Parts<'a, F> {
    pub fn new(buffer: Buffer<'a>, axes: usize) -> Result<Self, String> {
        let (leading, shape) = buffer.dims().split_at(axes);
        Ok(Self { data: buffer.read()?, leading, shape: shape.iter().map(|&n| n as usize).collect() })
    }

    pub fn at(&self, batch: &Batch<'_>, b: usize) -> ArrayViewD<'a, F> {
        let len = self.shape.iter().product::<usize>();
        let part = batch.part(self.leading, b);
        ArrayView::from_shape(IxDyn(&self.shape), &self.data[part * len..][..len]).expect("a part of that size")
    }

    fn shared(&self) -> bool {
        self.leading.iter().all(|&n| n == 1)
    }
}

/// A result, part by part of its leading axes.
pub(super) struct Results<'a, F> {
    parts: ChunksMut<'a, F>,
    shape: Vec<usize>,
}

impl<'a, F> Results<'a, F> {
    fn new(buffer: Buffer<'a>, axes: usize, count: usize) -> Result<Self, String> {
        // SAFETY: `all` below takes each result of a call once.
        let data = unsafe { buffer.write()? };
        let len = (data.len() / count.max(1)).max(1);
        Ok(Self { parts: data.chunks_mut(len), shape: buffer.dims()[axes..].iter().map(|&n| n as usize).collect() })
    }

    pub fn all(frame: &'a Frame, axes: usize, count: usize) -> Result<Vec<Self>, String> {
        frame.results().into_iter().map(|r| Self::new(r, axes, count)).collect()
    }

    /// The next part; empty results have none left.
    pub fn next(&mut self) -> &'a mut [F] {
        self.parts.next().unwrap_or_default()
    }
}

/// From memory order (n_s, q, ..) to logical order (n_s, .., q).
fn logical_axes(n: usize) -> Vec<usize> {
    [0].into_iter().chain(2..n).chain([1]).take(n).collect()
}

pub(super) fn text(error: impl ToString) -> String {
    error.to_string()
}

pub(super) fn names(spec: &str) -> Result<Vec<Field>, String> {
    #[derive(serde::Deserialize)]
    struct Names {
        names: String,
    }
    let found: Names = serde_json::from_str(spec).map_err(text)?;
    found.names.split(',').map(|name| name.parse::<Field>().map_err(text)).collect()
}

/// On this thread if the work is `small`, else on the thread pool.
pub(super) fn on_threads<R: Send>(small: bool, work: impl FnOnce() -> R + Send) -> Result<R, String> {
    if small { Ok(on_this_thread(work)) } else { Ok(pool::pool().map_err(text)?.install(work)) }
}

pub(super) fn points<F: Float>(x: ArrayViewD<'_, F>) -> Result<ArrayView2<'_, F>, String> {
    x.into_dimensionality().map_err(text)
}

/// Arguments x (n_s, d) and the weights in order; results in memory order, by the names of the spec.
pub fn evaluate<F: Cached>(frame: &Frame, spec: &str) -> Result<(), String> {
    let (arguments, results, names) = (frame.arguments(), frame.results(), names(spec)?);
    let axes = arguments[0].dims().len() - 2;
    let batch = Batch { dims: &results[0].dims()[..axes] };
    let x = Parts::<F>::new(arguments[0], axes)?;
    let weights = arguments[1..].iter().map(|&w| Parts::<F>::new(w, axes)).collect::<Result<Vec<_>, _>>()?;
    // with the same weights for all, a batch of points is but more points
    let merges = x.leading == batch.dims && weights.iter().all(Parts::shared);
    let (count, n) = if merges { (1, batch.len() * x.shape[0]) } else { (batch.len(), x.shape[0]) };
    let mut out = Results::<F>::all(frame, axes, count)?;
    F::cache().with(spec, |ready| {
        for b in 0..count {
            let x = if merges {
                ArrayView::from_shape(IxDyn(&[n, x.shape[1]]), x.data).map_err(text)?
            } else {
                x.at(&batch, b)
            };
            let prepared = prepare(ready, &weights, &batch, b)?;
            let mut jet = JetMut::default();
            for (&name, out) in names.iter().zip(&mut out) {
                let shape: Vec<usize> = [n].iter().chain(&out.shape[1..]).copied().collect();
                let array = ArrayViewMut::from_shape(IxDyn(&shape), out.next()).map_err(text)?;
                let array = array.permuted_axes(logical_axes(shape.len()));
                macro_rules! put {
                    ($field:ident) => {
                        jet.$field = Some(array.into_dimensionality().map_err(text)?)
                    };
                }
                by_name!(name, put, factored: return Err("the factored Hessian is not a plain array".into()));
            }
            let x = points(x)?;
            let small = pool::small(prepared, n, prepared.tile()).map_err(text)?;
            on_threads(small, || prepared.evaluate_into(&x, jet))?.map_err(text)?;
        }
        Ok(())
    })
}

/// The cotangents, in memory order, that element `b` of the batch has by name.
pub(super) fn cotangents_at<'a, F: Float>(
    names: &[Field],
    cotangents: &[Parts<'a, F>],
    batch: &Batch<'_>,
    b: usize,
) -> Result<JetView<'a, F>, String> {
    let mut view = JetView::default();
    for (&name, cotangent) in names.iter().zip(cotangents) {
        let array = cotangent.at(batch, b);
        let axes = logical_axes(array.ndim());
        macro_rules! put {
            ($field:ident) => {
                view.$field = Some(array.permuted_axes(axes).into_dimensionality().map_err(text)?)
            };
        }
        by_name!(name, put, factored: return Err("the factored Hessian has no pullback".into()));
    }
    Ok(view)
}

/// Arguments x (n_s, d), the weights in order, and cotangents in memory order by the names of the spec; results are the
/// gradients to x and to the weights.
pub fn pullback<F: Cached>(frame: &Frame, spec: &str) -> Result<(), String> {
    let (arguments, results, names) = (frame.arguments(), frame.results(), names(spec)?);
    let axes = arguments[0].dims().len() - 2;
    let batch = Batch { dims: &results[0].dims()[..axes] };
    let x = Parts::<F>::new(arguments[0], axes)?;
    let (weights, cotangents) = arguments[1..].split_at(results.len() - 1);
    let weights = weights.iter().map(|&w| Parts::<F>::new(w, axes)).collect::<Result<Vec<_>, _>>()?;
    let cotangents = cotangents.iter().map(|&c| Parts::<F>::new(c, axes)).collect::<Result<Vec<_>, _>>()?;
    let mut out = Results::<F>::all(frame, axes, batch.len())?;
    let parts = (0..batch.len()).map(|_| out.iter_mut().map(Results::next).collect::<Vec<_>>()).collect::<Vec<_>>();
    let one = |prepared: &Prepared<F>, b: usize, out: Vec<&mut [F]>| -> Result<(), String> {
        let view = cotangents_at(&names, &cotangents, &batch, b)?;
        let gradients = prepared.pullback(&points(x.at(&batch, b))?, &view).map_err(text)?;
        let flat = gradients.input.iter().chain(&gradients.weights);
        out.into_iter().flatten().zip(flat).for_each(|(to, &from)| *to = from);
        Ok(())
    };
    F::cache().with(spec, |ready| {
        if weights.iter().all(Parts::shared) {
            // a gradient to the same weights for each element of the batch
            let prepared = prepare(ready, &weights, &batch, 0)?;
            let tile = prepared.pullback_tile().map_err(text)?;
            let small = pool::small(prepared, batch.len() * x.shape[0], tile).map_err(text)?;
            return on_threads(small, || match small {
                true => parts.into_iter().enumerate().try_for_each(|(b, out)| one(prepared, b, out)),
                false => parts.into_par_iter().enumerate().try_for_each(|(b, out)| one(prepared, b, out)),
            })?;
        }
        for (b, out) in parts.into_iter().enumerate() {
            let prepared = prepare(ready, &weights, &batch, b)?;
            let tile = prepared.pullback_tile().map_err(text)?;
            let small = pool::small(prepared, x.shape[0], tile).map_err(text)?;
            on_threads(small, || one(prepared, b, out))??;
        }
        Ok(())
    })
}

fn prepare<'a, F: Cached>(
    ready: &'a mut Ready<F>,
    weights: &[Parts<'_, F>],
    batch: &Batch<'_>,
    b: usize,
) -> Result<&'a Prepared<F>, String> {
    ready.prepare(&weights.iter().map(|w| w.at(batch, b)).collect::<Vec<_>>()).map_err(text)
}
