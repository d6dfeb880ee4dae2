//! The kernels: a layer for all rows of one sample and one feature in a thread, and its pullback to the pre-activations.
//!
//! A thread sums its column of `X M` for the value, the tangents and the second-order rows of its sample side by side, so
//! that their activation, which mixes them, needs nothing of other threads.
use super::derivatives::{Formula, derivatives};
use cubecl::prelude::*;

/// The second-order rows of a sample, for k tangents.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Second {
    None,
    /// One, the sum of the second derivatives along each tangent.
    Trace,
    /// k, the second derivatives along each tangent.
    Diagonal,
    /// k (k+1)/2, those along each pair: the upper half, row by row.
    Pairs,
}

/// The rows of a sample: the value, the tangents, the second order.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Rows {
    pub tangents: usize,
    pub second: Second,
}

impl Rows {
    pub(crate) fn len(self) -> usize {
        let k = self.tangents;
        let second = match self.second {
            Second::None => 0,
            Second::Trace => 1,
            Second::Diagonal => k,
            Second::Pairs => k * (k + 1) / 2,
        };
        1 + k + second
    }

    /// The row to which the tangents `a` and `b >= a` contribute their product.
    pub(crate) fn pair(self, a: usize, b: usize) -> Option<usize> {
        let k = self.tangents;
        match self.second {
            Second::Trace if a == b => Some(1 + k),
            Second::Diagonal if a == b => Some(1 + k + a),
            Second::Pairs => Some(1 + k + a * k + b - a * (a + 1) / 2),
            _ => None,
        }
    }
}

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Kind {
    pub rows: Rows,
    pub formula: Formula,
    /// Whether the layer adds its step to what comes in.
    pub residual: bool,
}

/// The numbers that it gets.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Numbers {
    /// See `Bend`.
    pub beta: InputScalar,
    pub head: InputScalar,
    pub low: InputScalar,
    pub grid: InputScalar,
    pub most: InputScalar,
    pub cut: InputScalar,
    /// By what the activation is multiplied.
    pub scale: InputScalar,
}

/// `Y = scale [act(z); act'(z) A; act'(z) B + act''(z) A A]` for `[z; A; B] = X M (+ b)`, plus `X` if that is wanted.
#[cube(launch, address_type = "dynamic")]
pub(super) fn forward<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    entries: &Tensor<F>,
    m: &Tensor<F>,
    b: &Tensor<F>,
    out: &mut Tensor<F>,
    numbers: &Numbers,
    #[comptime] kind: Kind,
    #[define(F)] _dtype: ElemType,
) {
    let width = m.shape(1);
    let (sample, feature) = (ABSOLUTE_POS / width, ABSOLUTE_POS % width);
    if sample >= x.shape(0) {
        terminate!();
    }
    let rows = comptime!(kind.rows);
    let mut y = product::<F, N>(x, m, b, sample, feature, rows);
    let scale = numbers.scale.get::<F>();
    let act = derivatives::<F>(y[0], numbers, kind.formula);
    // second order first: it needs the tangents as they came
    #[unroll]
    for c in comptime!(1 + rows.tangents)..comptime!(rows.len()) {
        y[c] *= act.first;
    }
    #[unroll]
    for a in 0..rows.tangents {
        #[unroll]
        for b in a..rows.tangents {
            let pair = comptime!(rows.pair(a, b));
            if comptime!(pair.is_some()) {
                let c = comptime!(pair.unwrap());
                let curved = act.second * y[1 + a] * y[1 + b];
                y[c] += curved;
            }
        }
    }
    #[unroll]
    for a in 0..rows.tangents {
        y[1 + a] *= act.first;
    }
    y[0] = act.value;
    let start = sample * rows.len() * width + feature;
    #[unroll]
    for r in 0..comptime!(rows.len()) {
        let at = start + r * width;
        let step = scale * y[r];
        if comptime!(kind.residual) {
            out[at] = entries[at] + step;
        } else {
            out[at] = step;
        }
    }
}

/// The cotangents of `[z; A; B]` from those of the layer, the latter without what it adds to `X` unchanged.
#[cube(launch, address_type = "dynamic")]
pub(super) fn pullback<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    m: &Tensor<F>,
    b: &Tensor<F>,
    bar: &Tensor<F>,
    out: &mut Tensor<F>,
    numbers: &Numbers,
    #[comptime] kind: Kind,
    #[define(F)] _dtype: ElemType,
) {
    let width = m.shape(1);
    let (sample, feature) = (ABSOLUTE_POS / width, ABSOLUTE_POS % width);
    if sample >= x.shape(0) {
        terminate!();
    }
    let rows = comptime!(kind.rows);
    let t = product::<F, N>(x, m, b, sample, feature, rows);
    let scale = numbers.scale.get::<F>();
    let act = derivatives::<F>(t[0], numbers, kind.formula);
    let start = sample * rows.len() * width + feature;
    // y: the cotangents that come in; t_bar: those of z and A, whose sums grow
    let mut y = Array::<F>::new(comptime!(rows.len()));
    #[unroll]
    for r in 0..comptime!(rows.len()) {
        y[r] = scale * bar[start + r * width];
    }
    let mut t_bar = Array::<F>::new(comptime!(1 + rows.tangents));
    t_bar[0] = act.first * y[0];
    #[unroll]
    for a in 0..rows.tangents {
        t_bar[1 + a] = act.first * y[1 + a];
        t_bar[0] += act.second * t[1 + a] * y[1 + a];
    }
    #[unroll]
    for c in comptime!(1 + rows.tangents)..comptime!(rows.len()) {
        t_bar[0] += act.second * t[c] * y[c];
        out[start + c * width] = act.first * y[c];
    }
    #[unroll]
    for a in 0..rows.tangents {
        #[unroll]
        for b in a..rows.tangents {
            let pair = comptime!(rows.pair(a, b));
            if comptime!(pair.is_some()) {
                let c = comptime!(pair.unwrap());
                t_bar[0] += act.third * t[1 + a] * t[1 + b] * y[c];
                t_bar[1 + a] += act.second * t[1 + b] * y[c];
                t_bar[1 + b] += act.second * t[1 + a] * y[c];
            }
        }
    }
    #[unroll]
    for r in 0..comptime!(1 + rows.tangents) {
        out[start + r * width] = t_bar[r];
    }
}

/// `[z; A; B] = X M (+ b)` for one sample and one feature.
#[cube]
fn product<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    m: &Tensor<F>,
    b: &Tensor<F>,
    sample: usize,
    feature: usize,
    #[comptime] rows: Rows,
) -> Array<F> {
    let lanes = x.vector_size();
    let steps = m.shape(0) / lanes;
    let (down, start) = (m.stride(0), feature * m.stride(1));
    let mut sums = Array::<F>::new(comptime!(rows.len()));
    #[unroll]
    for r in 0..comptime!(rows.len()) {
        sums[r] = F::new(0.0);
    }
    let mut column = Array::<F>::new(lanes);
    for j in 0..steps {
        #[unroll]
        for i in 0..lanes {
            column[i] = m[start + (j * lanes + i) * down];
        }
        #[unroll]
        for r in 0..comptime!(rows.len()) {
            let entries = x[(sample * rows.len() + r) * steps + j];
            #[unroll]
            for i in 0..lanes {
                sums[r] = fma(entries.extract(i), column[i], sums[r]);
            }
        }
    }
    sums[0] += b[feature];
    sums
}
