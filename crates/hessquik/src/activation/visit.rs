//! What is done with activations: at one point, over slices, to any order.
use super::list::Visit;
use super::table::{self, Higher, MAX_ORDER};
use super::{Activation, Pointwise, scaled, sweep};
use crate::Real;

/// The value and three derivatives at one point.
pub(super) struct Once<F> {
    pub(super) z: F,
}

impl<F: Real> Visit<F> for Once<F> {
    type Out = [F; 4];

    fn kernel<K: Higher<F>>(self, kernel: K) -> [F; 4] {
        sweep::once(kernel, self.z)
    }

    fn custom(self, f: &dyn Pointwise) -> [F; 4] {
        F::pointwise(f, self.z)
    }

    fn scaled(self, act: &Activation, factors: [f64; 2]) -> [F; 4] {
        let mut jet = [F::zero(); 4];
        scaled::fill(act, factors, &[self.z], &mut jet.each_mut().map(std::slice::from_mut));
        jet
    }
}

/// Derivatives of orders 0 to `order`, at most 3, in the first slices of `out`.
pub(super) struct Fill<'a, F> {
    pub(super) order: usize,
    pub(super) z: &'a [F],
    pub(super) out: [&'a mut [F]; 4],
}

impl<F: Real> Visit<F> for Fill<'_, F> {
    type Out = ();

    fn kernel<K: Higher<F>>(self, kernel: K) {
        sweep::sweep(kernel, self.order, self.z, self.out);
    }

    fn custom(self, f: &dyn Pointwise) {
        sweep::each(self.order, self.z, self.out, |z| F::pointwise(f, z));
    }

    fn scaled(mut self, act: &Activation, factors: [f64; 2]) {
        scaled::fill(act, factors, self.z, &mut self.out[..=self.order]);
    }
}

/// Derivatives of all orders for which there are slices.
pub(super) struct Derivatives<'a, 'b, F> {
    pub(super) z: &'a [F],
    pub(super) out: &'a mut [&'b mut [F]],
}

impl<F: Real> Visit<F> for Derivatives<'_, '_, F> {
    type Out = ();

    fn kernel<K: Higher<F>>(self, kernel: K) {
        table::fill_derivatives(kernel, self.z, self.out);
    }

    fn custom(self, f: &dyn Pointwise) {
        let mut jet = [F::zero(); MAX_ORDER + 1];
        for (i, &z) in self.z.iter().enumerate() {
            F::pointwise_derivatives(f, z, &mut jet[..self.out.len()]);
            for (out, derivative) in self.out.iter_mut().zip(jet) {
                out[i] = derivative;
            }
        }
    }

    fn scaled(self, act: &Activation, factors: [f64; 2]) {
        scaled::fill(act, factors, self.z, self.out);
    }
}

/// Taylor coefficients of all orders for which there are slices.
pub(super) struct Taylor<'a, 'b, F> {
    pub(super) z: &'a [&'a [F]],
    pub(super) out: &'a mut [&'b mut [F]],
}

impl<F: Real> Visit<F> for Taylor<'_, '_, F> {
    type Out = ();

    fn kernel<K: Higher<F>>(self, kernel: K) {
        table::fill_taylor_by(self.z, self.out, |z, out| table::fill_derivatives(kernel, z, out));
    }

    fn custom(self, f: &dyn Pointwise) {
        table::fill_taylor_by(self.z, self.out, |z, out| Derivatives { z, out }.custom(f));
    }

    fn scaled(self, act: &Activation, factors: [f64; 2]) {
        table::fill_taylor_by(self.z, self.out, |z, out| scaled::fill(act, factors, z, out));
    }
}
