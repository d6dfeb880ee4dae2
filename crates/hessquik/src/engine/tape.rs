//! The state of a tile, and views of it.
use crate::Real;
use ndarray::{Array3, ArrayView2, ArrayView3};

/// The first `len` entries of a buffer that grows as needed; what is in them is not defined.
pub(crate) fn fit<F: Real>(buffer: &mut Vec<F>, len: usize) -> &mut [F] {
    if buffer.len() < len {
        buffer.resize(len, F::zero());
    }
    &mut buffer[..len]
}

/// The state of a tile: values, activations and adjoints of all stages.
#[derive(Debug, Default)]
pub(crate) struct Tape<F> {
    pub ns: usize,
    /// States `u_i` (n_s, n_i), `u_0` the points.
    pub u: Vec<Vec<F>>,
    /// Activations of each stage with derivatives, (n_s, p_i) each.
    pub sig: Vec<[Vec<F>; 4]>,
    /// Adjoints `G_i` (n_s, q, n_i).
    pub g: Vec<Vec<F>>,
    /// `E_i` (n_s, q, p_i) of each stage.
    pub e: Vec<Vec<F>>,
    /// `C` (n_s, q, P), all sites side by side.
    pub c: Vec<F>,
    pub scratch: [Vec<F>; 2],
}

pub(crate) fn view2<F>(data: &[F], a: usize, b: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((a, b), &data[..a * b]).expect("a buffer of that size")
}

pub(crate) fn view3<F>(data: &[F], a: usize, b: usize, c: usize) -> ArrayView3<'_, F> {
    ArrayView3::from_shape((a, b, c), &data[..a * b * c]).expect("a buffer of that size")
}

/// The identity (n, n) for each of `ns` samples.
pub(crate) fn identities<F: Real>(ns: usize, n: usize) -> Array3<F> {
    Array3::from_shape_fn((ns, n, n), |(_, i, j)| if i == j { F::one() } else { F::zero() })
}

pub(crate) fn copy_from<'a, F: Real>(out: &mut [F], from: impl Iterator<Item = &'a F>) {
    out.iter_mut().zip(from).for_each(|(o, &f)| *o = f);
}
