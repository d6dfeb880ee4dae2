//! Shapes of variables, and where entries go from one shape to another.
use super::Var;
use crate::Real;
use crate::graph::pieces::runs;
use crate::graph::{Kind, Term};
use crate::schedule::Block;
use std::ops::Range;
use std::panic::Location;

/// The shape that two shapes broadcast to, as numpy's do.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let n = a.len().max(b.len());
    let axis = |s: &[usize], i: usize| if i + s.len() < n { 1 } else { s[i + s.len() - n] };
    (0..n)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// For each entry of `shape` in C order, the entry of the array that broadcasts to it.
fn sources(from: &[usize], shape: &[usize]) -> Vec<usize> {
    let missing = shape.len() - from.len();
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for i in (0..from.len()).rev() {
        strides[missing + i] = if from[i] == 1 { 0 } else { stride };
        stride *= from[i];
    }
    indices(shape, &strides)
}

/// The entry at each place of `shape`, with these strides.
fn indices(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut all = vec![0];
    for (&len, &stride) in shape.iter().zip(strides) {
        all = all.iter().flat_map(|&at| (0..len).map(move |i| at + i * stride)).collect();
    }
    all
}

/// C-order strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}
impl<F: Real> Var<F> {
    pub(super) fn reshape_to(&self, shape: &[usize]) -> Self {
        Self { tracer: self.tracer.clone(), id: self.id, shape: shape.to_vec() }
    }

    /// The same entries in C order with another shape.
    #[track_caller]
    pub fn reshape(&self, shape: &[usize]) -> Self {
        if shape.iter().product::<usize>() != self.len() {
            self.fail(Location::caller(), format!("reshape: shape {:?} does not hold {shape:?}", self.shape));
            return self.zeros(shape);
        }
        self.reshape_to(shape)
    }

    /// The same entries along a single axis.
    pub fn flatten(&self) -> Self {
        self.reshape_to(&[self.len()])
    }

    /// Axes in another order: axis `i` of the result is axis `axes[i]`.
    #[track_caller]
    pub fn permute(&self, axes: &[usize]) -> Self {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted != (0..self.shape.len()).collect::<Vec<_>>() {
            self.fail(Location::caller(), format!("permute: axes {axes:?} are not those of shape {:?}", self.shape));
            return self.zeros(&self.shape);
        }
        let old = strides(&self.shape);
        let shape: Vec<usize> = axes.iter().map(|&a| self.shape[a]).collect();
        let own: Vec<usize> = axes.iter().map(|&a| old[a]).collect();
        let blocks = runs(indices(&shape, &own).into_iter().enumerate().map(|(to, from)| (from, to)));
        self.moved(blocks, shape)
    }

    /// The last two axes swapped.
    #[track_caller]
    pub fn transpose(&self) -> Self {
        let n = self.shape.len();
        if n < 2 {
            self.fail(Location::caller(), format!("transpose: shape {:?} has fewer than two axes", self.shape));
            return self.zeros(&self.shape);
        }
        let mut axes: Vec<usize> = (0..n).collect();
        axes.swap(n - 1, n - 2);
        self.permute(&axes)
    }

    /// The entries `range` along an axis.
    #[track_caller]
    pub fn slice(&self, axis: usize, range: Range<usize>) -> Self {
        if axis >= self.shape.len() || range.end > self.shape[axis] || range.start >= range.end {
            let message = format!("slice: {range:?} of axis {axis} is not in shape {:?}", self.shape);
            self.fail(Location::caller(), message);
            return self.zeros(&self.shape);
        }
        let index: Vec<usize> = range.collect();
        self.select(axis, &index)
    }

    /// The entries along an axis at these indices, in this order.
    #[track_caller]
    pub fn select(&self, axis: usize, index: &[usize]) -> Self {
        if axis >= self.shape.len() || index.is_empty() || index.iter().any(|&i| i >= self.shape[axis]) {
            let message = format!("select: {index:?} of axis {axis} are not in shape {:?}", self.shape);
            self.fail(Location::caller(), message);
            return self.zeros(&self.shape);
        }
        let (outer, inner) = self.around(axis);
        let len = self.shape[axis];
        let from = (0..outer)
            .flat_map(|o| index.iter().flat_map(move |&i| (0..inner).map(move |j| (o * len + i) * inner + j)));
        let mut shape = self.shape.clone();
        shape[axis] = index.len();
        self.moved(runs(from.enumerate().map(|(to, from)| (from, to))), shape)
    }

    /// Products of the lengths of the axes before and after one.
    fn around(&self, axis: usize) -> (usize, usize) {
        (self.shape[..axis].iter().product(), self.shape[axis + 1..].iter().product())
    }

    /// Variables concatenated along an axis.
    #[track_caller]
    pub fn concat(axis: usize, parts: &[Self]) -> Self {
        let at = Location::caller();
        let first = parts.first().expect("at least one variable to concatenate");
        let fits = |v: &Self| {
            v.shape.len() == first.shape.len()
                && axis < v.shape.len()
                && (0..v.shape.len()).all(|i| i == axis || v.shape[i] == first.shape[i])
        };
        if let Some(wrong) = parts.iter().find(|v| !fits(v)) {
            let message =
                format!("concat along axis {axis}: shapes {:?} and {:?} do not fit", first.shape, wrong.shape);
            first.fail(at, message);
            return first.zeros(&first.shape);
        }
        let (outer, inner) = first.around(axis);
        let total: usize = parts.iter().map(|v| v.shape[axis]).sum();
        let (mut terms, mut start) = (Vec::new(), 0);
        for part in parts {
            let len = part.shape[axis];
            let pairs = (0..outer)
                .flat_map(|o| (0..len * inner).map(move |j| (o * len * inner + j, (o * total + start) * inner + j)));
            terms.push(Term { of: part.id, c: F::one(), blocks: Some(runs(pairs)) });
            start += len;
        }
        let mut shape = first.shape.clone();
        shape[axis] = total;
        first.push(Kind::Affine { terms, shift: F::zero() }, shape)
    }

    /// The same entries repeated to a larger shape, as numpy broadcasts.
    #[track_caller]
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        if broadcast(&self.shape, shape).as_deref() != Some(shape) {
            let message = format!("broadcast_to: shape {:?} does not broadcast to {shape:?}", self.shape);
            self.fail(Location::caller(), message);
            return self.zeros(shape);
        }
        if self.shape == shape {
            return self.clone();
        }
        if self.len() == shape.iter().product::<usize>() {
            return self.reshape_to(shape);
        }
        let from = sources(&self.shape, shape);
        self.moved(runs(from.into_iter().enumerate().map(|(to, from)| (from, to))), shape.to_vec())
    }

    /// The sum over an axis, which is kept with length 1.
    #[track_caller]
    pub fn sum(&self, axis: usize) -> Self {
        if axis >= self.shape.len() {
            self.fail(Location::caller(), format!("sum: axis {axis} is not in shape {:?}", self.shape));
            return self.zeros(&self.shape);
        }
        let (outer, inner) = self.around(axis);
        let len = self.shape[axis];
        // blocks of whole rows: `inner` entries of each of `len`
        let blocks = (0..outer)
            .flat_map(|o| (0..len).map(move |i| Block { from: (o * len + i) * inner, to: o * inner, len: inner }));
        let mut shape = self.shape.clone();
        shape[axis] = 1;
        self.moved(blocks.collect(), shape)
    }

    /// The mean over an axis, which is kept with length 1.
    #[track_caller]
    pub fn mean(&self, axis: usize) -> Self {
        let len = self.shape.get(axis).copied().unwrap_or(1);
        self.sum(axis).affine(F::of(1.0 / len as f64), F::zero())
    }

    /// The largest entry along an axis, which is kept with length 1; the first such entry if there are several. Its
    /// derivatives are those of this entry.
    #[track_caller]
    pub fn max(&self, axis: usize) -> Self {
        if axis >= self.shape.len() {
            self.fail(Location::caller(), format!("max: axis {axis} is not in shape {:?}", self.shape));
            return self.zeros(&self.shape);
        }
        let (_, inner) = self.around(axis);
        let len = self.shape[axis];
        let mut shape = self.shape.clone();
        shape[axis] = 1;
        self.push(Kind::Largest { of: self.id, len, inner }, shape)
    }
}
