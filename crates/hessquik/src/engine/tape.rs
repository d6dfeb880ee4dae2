//! The state of a tile, and views of it.
use super::memory::{LINE, prefer_large};
use crate::Real;
use ndarray::{Array3, ArrayView2, ArrayView3};
use std::ops::{Deref, DerefMut};

/// Working memory that grows as needed and starts on a cache line: vectors that straddle two lines cost twice.
#[derive(Debug, Default)]
pub(crate) struct Buffer<F> {
    data: Vec<F>,
    start: usize,
    len: usize,
}

impl<F> Deref for Buffer<F> {
    type Target = [F];
    #[inline]
    fn deref(&self) -> &[F] {
        &self.data[self.start..][..self.len]
    }
}

impl<F> DerefMut for Buffer<F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [F] {
        &mut self.data[self.start..][..self.len]
    }
}

/// The first `len` entries of a buffer; what is in them is not defined.
#[inline]
pub(crate) fn fit<F: Real>(buffer: &mut Buffer<F>, len: usize) -> &mut [F] {
    if buffer.len < len {
        enlarge(buffer, len);
    }
    &mut buffer.data[buffer.start..][..len]
}

#[cold]
fn enlarge<F: Real>(buffer: &mut Buffer<F>, len: usize) {
    let spare = LINE / size_of::<F>();
    buffer.data = vec![F::zero(); len + spare];
    prefer_large(&mut buffer.data);
    // a machine that cannot say gets an unaligned buffer, which is slower and as right
    buffer.start = buffer.data.as_ptr().align_offset(LINE).min(spare);
    buffer.len = len;
}

/// At least `len` of what is kept from call to call; there may be more of another call.
#[inline]
pub(crate) fn grow<T: Default>(list: &mut Vec<T>, len: usize) {
    if list.len() < len {
        list.resize_with(len, T::default);
    }
}

/// The state of a tile: values, activations and adjoints of all stages.
#[derive(Debug, Default)]
pub(crate) struct Tape<F> {
    pub ns: usize,
    /// Whether every state, adjoint and tangent is kept, for a pullback; else layers with an identity skip update them
    /// in place.
    pub keep: bool,
    /// Whether results are lent memory too large for the caches.
    pub past_caches: bool,
    /// States `u_i` (n_s, n_i), `u_0` the points.
    pub u: Vec<Buffer<F>>,
    /// Activations of each stage with derivatives, (n_s, p_i) each.
    pub sig: Vec<[Buffer<F>; 4]>,
    /// Adjoints `G_i` (n_s, q, n_i).
    pub g: Vec<Buffer<F>>,
    /// `E_i` (n_s, q, p_i) of each stage whose `W` is not an identity, which would make it `G_i`.
    pub e: Vec<Buffer<F>>,
    /// `C` (n_s, q, P), all sites side by side.
    pub c: Buffer<F>,
    pub scratch: [Buffer<F>; 2],
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
