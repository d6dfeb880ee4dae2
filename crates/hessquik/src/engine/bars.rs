//! Cotangents of the state of a tile, kept from tile to tile.
use super::program::Program;
use super::reverse_kernels::Gather;
use super::tape::{Buffer, fit};
use crate::Real;

/// A cotangent that several steps contribute to: the first assigns it, so that nothing need be zeroed beforehand.
#[derive(Debug, Default)]
pub(crate) struct Bar<F> {
    data: Buffer<F>,
    started: bool,
}

impl<F: Real> Bar<F> {
    /// Whether anything has contributed yet.
    pub fn started(&self) -> bool {
        self.started
    }

    /// To contribute to `len` entries, all of which are written.
    pub fn gather(&mut self, len: usize) -> Gather<'_, F> {
        let started = std::mem::replace(&mut self.started, true);
        Gather { data: fit(&mut self.data, len), started }
    }

    /// To add to `len` entries, or to read them: zero before the first contribution.
    pub fn total(&mut self, len: usize) -> &mut [F] {
        let Gather { data, started } = self.gather(len);
        if !started {
            data.fill(F::zero());
        }
        data
    }

    /// What was contributed to `len` entries, if anything was.
    pub fn get(&self, len: usize) -> Option<&[F]> {
        self.started.then(|| &self.data[..len])
    }

    /// As before the first contribution.
    pub fn clear(&mut self) {
        self.started = false;
    }
}

/// Cotangents of the state of a tile.
#[derive(Debug, Default)]
pub(crate) struct Bars<F> {
    /// Of `act'` and `act''` of each stage (n_s, p).
    pub slope: Vec<Bar<F>>,
    pub curve: Vec<Bar<F>>,
    /// Of the rows of `C` (n_s, q, p) of each stage.
    pub c: Vec<Bar<F>>,
    /// Of the adjoints `G_i` (n_s, q, n_i).
    pub g: Vec<Bar<F>>,
    /// Of the states, where smooth maps add to them (n_s, n_i).
    pub u: Vec<Bar<F>>,
    /// Of `A` (n_s, r, p) at the stage that a sweep of tangents has come to, and of the tangents (n_s, r, n) after it.
    pub a: Bar<F>,
    pub t: Bar<F>,
    /// `t` of another segment.
    pub kept: Bar<F>,
    /// Of a Hessian carried forward (n_s, rows, n), and of the state, where the reverse has come to.
    pub h: Bar<F>,
    pub state: Bar<F>,
    /// To become one of the three above.
    pub spare: Bar<F>,
    /// The symmetric cotangents `B` (n_s, q, k, k) of the Hessians of a segment.
    pub b: Buffer<F>,
    pub scratch: [Buffer<F>; 2],
}

impl<F: Real> Bars<F> {
    /// Nothing contributed yet.
    pub fn reset(&mut self, program: &Program<F>) {
        let depth = program.depth();
        for (bars, len) in [
            (&mut self.slope, depth),
            (&mut self.curve, depth),
            (&mut self.c, depth),
            (&mut self.g, depth + 1),
            (&mut self.u, depth),
        ] {
            bars.resize_with(len, Bar::default);
            bars.iter_mut().for_each(Bar::clear);
        }
        [&mut self.a, &mut self.t, &mut self.h, &mut self.state, &mut self.spare].into_iter().for_each(Bar::clear);
    }
}
