//! The state of a tile, and views of it.
use super::memory::{LINE, prefer_large};
use crate::Real;
use ndarray::{Array3, ArrayView2, ArrayView3};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Working memory that grows as needed and starts on a cache line: vectors that straddle two lines cost twice.
#[derive(Debug, Default)]
pub(crate) struct Buffer<F> {
    data: Vec<F>,
    start: usize,
    len: usize,
    /// Where the memory goes when nobody needs it.
    home: Option<Spares<F>>,
}

impl<F> Drop for Buffer<F> {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give(std::mem::take(&mut self.data));
        }
    }
}

impl<F> Buffer<F> {
    /// Where the memory goes.
    pub fn home(&self) -> Option<&Spares<F>> {
        self.home.as_ref()
    }
}

/// Memory that held what a network made of its weights, for what it makes of the next: memory new from the system costs
/// more than to fill it.
#[derive(Debug)]
pub(crate) struct Spares<F>(Arc<Mutex<Spare<F>>>);

#[derive(Debug)]
struct Spare<F> {
    list: Vec<Vec<F>>,
    /// Entries on loan, and the most that ever were: no more are kept.
    lent: usize,
    most: usize,
}

impl<F> Clone for Spares<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F> Default for Spares<F> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Spare { list: Vec::new(), lent: 0, most: 0 })))
    }
}

impl<F> Spares<F> {
    fn lock(&self) -> MutexGuard<'_, Spare<F>> {
        // nothing that runs under the lock leaves the list half changed
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, data: Vec<F>) {
        let mut spare = self.lock();
        spare.lent = spare.lent.saturating_sub(data.len());
        if spare.list.iter().map(Vec::len).sum::<usize>() + data.len() <= spare.most {
            spare.list.push(data);
        }
    }
}

impl<F: Real> Spares<F> {
    /// A buffer of `len` entries; what is in them is not defined.
    pub fn buffer(&self, len: usize) -> Buffer<F> {
        /// Below, the allocator has memory at hand.
        const FEW: usize = 1 << 10;
        let mut buffer = Buffer::default();
        if len >= FEW {
            let mut spare = self.lock();
            let wanted = len + LINE / size_of::<F>();
            let fits = |data: &Vec<F>| (wanted..=wanted + wanted / 8).contains(&data.len());
            if let Some(at) = spare.list.iter().position(fits) {
                buffer.data = spare.list.swap_remove(at);
                buffer.settle(len);
            } else {
                enlarge(&mut buffer, len);
            }
            spare.lent += buffer.data.len();
            spare.most = spare.most.max(spare.lent);
            buffer.home = Some(self.clone());
        }
        fit(&mut buffer, len);
        buffer
    }
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
    buffer.settle(len);
}

impl<F: Real> Buffer<F> {
    /// Starts `len` entries on a cache line.
    fn settle(&mut self, len: usize) {
        // a machine that cannot say gets an unaligned buffer, which is slower and as right
        self.start = self.data.as_ptr().align_offset(LINE).min(LINE / size_of::<F>());
        self.len = len;
    }
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
