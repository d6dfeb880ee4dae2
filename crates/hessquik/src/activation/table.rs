//! Derivatives of any order at a block of points, and the composition of power series that turns them into Taylor
//! coefficients.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::sweep::{BLOCK, Kernel, sweep};
use crate::Real;
use pulp::{Arch, NullaryFnOnce};
use std::ops::Deref;

/// The highest order of derivatives that activations give: 8, and one more for pullbacks.
pub const MAX_ORDER: usize = 9;

/// A number for each point of a block.
pub(super) type Row<F> = [F; BLOCK];

/// A row for each order.
pub(super) type Table<F> = [Row<F>; MAX_ORDER + 1];

/// The derivatives of orders 4 and up of a built-in activation.
///
/// Each activation has a recurrence from lower orders to higher ones, in quantities that do not cancel in the tails.
/// Orders 0 to 3 are those of [`Kernel::jet`].
pub(super) trait Higher<F: Real>: Kernel<F> {
    /// Fills `d[4 ..= order]`, where `d[0 ..= 3]` holds the value and the first three derivatives at `z`.
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>);
}

/// `BINOMIAL[n][i]` is n over i.
pub(super) const BINOMIAL: [[f64; MAX_ORDER + 1]; MAX_ORDER + 1] = {
    let mut rows = [[0.0; MAX_ORDER + 1]; MAX_ORDER + 1];
    let mut n = 0;
    while n <= MAX_ORDER {
        rows[n][0] = 1.0;
        let mut i = 1;
        while i <= n {
            rows[n][i] = rows[n - 1][i - 1] + rows[n - 1][i];
            i += 1;
        }
        n += 1;
    }
    rows
};

/// 1/j!.
const INVERSE_FACTORIAL: [f64; MAX_ORDER + 1] = {
    let mut all = [1.0; MAX_ORDER + 1];
    let (mut factorial, mut j) = (1.0, 1);
    while j <= MAX_ORDER {
        factorial *= j as f64;
        all[j] = 1.0 / factorial;
        j += 1;
    }
    all
};

/// The n-th derivative of the product of two functions, `a` and `b` holding their derivatives of orders 0 to n: the
/// sum over i of (n over i) a^(i) b^(n - i).
#[inline(always)]
pub(super) fn leibniz<F: Real>(n: usize, a: &[Row<F>], b: &[Row<F>]) -> Row<F> {
    let mut sum = [F::zero(); BLOCK];
    for i in 0..=n {
        let binomial = F::of(BINOMIAL[n][i]);
        let (a, b) = (&a[i], &b[n - i]);
        for l in 0..BLOCK {
            sum[l] = (binomial * a[l]).mul_add(b[l], sum[l]);
        }
    }
    sum
}

/// `row` with `f` applied to every entry of `z`.
#[inline(always)]
pub(super) fn map<F: Real>(z: &Row<F>, f: impl Fn(F) -> F) -> Row<F> {
    let mut row = [F::zero(); BLOCK];
    for l in 0..BLOCK {
        row[l] = f(z[l]);
    }
    row
}

/// Results rounded to the precision at hand, but NaN where the point is.
#[inline(always)]
pub(super) fn rounded<F: Real>(z: F, results: [f64; 4]) -> [F; 4] {
    let unless = |x: f64| if z.is_nan() { z } else { F::of(x) };
    let [value, first, second, third] = results;
    [unless(value), unless(first), unless(second), unless(third)]
}

/// The coefficients of orders 0 to `order` of f(z(t)), where `d` holds f^(j) at z(0) and `z` the coefficients of z(t).
///
/// Horner's rule for the power series sum_j f^(j)/j! (z(t) - z(0))^j, cut after `order`: a factor z(t) - z(0), which
/// starts at order 1, for each j. No term is subtracted that is not in Faa di Bruno's formula.
#[inline(always)]
fn compose_block<F: Real>(order: usize, d: &Table<F>, z: &Table<F>) -> Table<F> {
    let mut c = [[F::zero(); BLOCK]; MAX_ORDER + 1];
    for j in (0..=order).rev() {
        for n in (1..=order - j).rev() {
            let mut sum = [F::zero(); BLOCK];
            for i in 1..=n {
                for l in 0..BLOCK {
                    sum[l] = z[i][l].mul_add(c[n - i][l], sum[l]);
                }
            }
            c[n] = sum;
        }
        let scale = F::of(INVERSE_FACTORIAL[j]);
        for l in 0..BLOCK {
            c[0][l] = scale * d[j][l];
        }
    }
    c
}

/// The rows of a block of entries starting at `first`, zero where there are no rows or no entries.
#[inline(always)]
fn load<F: Real>(rows: &[impl Deref<Target = [F]>], first: usize, len: usize) -> Table<F> {
    let mut table = [[F::zero(); BLOCK]; MAX_ORDER + 1];
    for (to, from) in table.iter_mut().zip(rows) {
        to[..len].copy_from_slice(&from[first..first + len]);
    }
    table
}

#[inline(always)]
fn store<F: Real>(table: &[Row<F>], out: &mut [&mut [F]], first: usize, len: usize) {
    for (from, to) in table.iter().zip(out) {
        to[first..first + len].copy_from_slice(&from[..len]);
    }
}

/// The derivatives of orders 4 and up at each block of points, where `low` has those below.
struct Upwards<'a, 'b, F, K> {
    kernel: K,
    z: &'a [F],
    low: &'a [&'b mut [F]],
    high: &'a mut [&'b mut [F]],
}

impl<F: Real, K: Higher<F>> NullaryFnOnce for Upwards<'_, '_, F, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { kernel, z, low, high } = self;
        for first in (0..z.len()).step_by(BLOCK) {
            let len = BLOCK.min(z.len() - first);
            let (mut d, [z, ..]) = (load(low, first, len), load(&[z], first, len));
            kernel.higher(LOW + high.len() - 1, &z, &mut d);
            store(&d[LOW..], high, first, len);
        }
    }
}

/// How many derivatives [`Kernel::jet`] gives.
const LOW: usize = 4;

/// Fills `out[j]` with the j-th derivatives at `z`.
pub(super) fn fill_derivatives<F: Real, K: Higher<F>>(kernel: K, z: &[F], out: &mut [&mut [F]]) {
    let order = (LOW - 1).min(out.len() - 1);
    let (low, high) = out.split_at_mut(order + 1);
    let mut slices: [&mut [F]; LOW] = Default::default();
    for (slice, low) in slices.iter_mut().zip(&mut *low) {
        *slice = low;
    }
    sweep(kernel, order, z, slices);
    if !high.is_empty() {
        Arch::new().dispatch(Upwards { kernel, z, low, high });
    }
}

/// Points of which the derivatives are kept while series are composed: they stay in the nearest cache.
const CHUNK: usize = 4 * BLOCK;

/// Fills `out[j]` with the j-th Taylor coefficients of f(z(t)), where `z[j]` has those of z(t) and `fill` gives the
/// derivatives of f at some points.
pub(super) fn fill_taylor_by<F: Real>(z: &[&[F]], out: &mut [&mut [F]], fill: impl Fn(&[F], &mut [&mut [F]])) {
    let orders = out.len();
    let mut space = [[F::zero(); CHUNK]; MAX_ORDER + 1];
    for first in (0..z[0].len()).step_by(CHUNK) {
        let at = first..z[0].len().min(first + CHUNK);
        fill(&z[0][at.clone()], &mut space.each_mut().map(|row| &mut row[..at.len()])[..orders]);
        let (mut rows, mut to): ([&[F]; MAX_ORDER + 1], [&mut [F]; MAX_ORDER + 1]) = Default::default();
        for (row, z) in rows.iter_mut().zip(z) {
            *row = &z[at.clone()];
        }
        for (to, out) in to.iter_mut().zip(&mut *out) {
            *to = &mut out[at.clone()];
        }
        let derivatives = space.each_ref().map(|row| &row[..at.len()]);
        compose(&derivatives[..orders], &rows[..z.len().min(MAX_ORDER + 1)], &mut to[..orders]);
    }
}

struct Compose<'a, 'b, F> {
    derivatives: &'a [&'a [F]],
    z: &'a [&'a [F]],
    out: &'a mut [&'b mut [F]],
}

impl<F: Real> NullaryFnOnce for Compose<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { derivatives, z, out } = self;
        let order = out.len() - 1;
        for first in (0..z[0].len()).step_by(BLOCK) {
            let len = BLOCK.min(z[0].len() - first);
            let result = compose_block(order, &load(derivatives, first, len), &load(z, first, len));
            store(&result, out, first, len);
        }
    }
}

/// Fills `out[k]` with the k-th Taylor coefficients of f(z(t)) entry by entry, where `derivatives[j]` holds f^(j) at
/// z(0) and `z[j]` the j-th coefficients of z(t). Rows that `z` lacks are zero; `z[0]` is not read but for its length.
///
/// The order is `out.len() - 1`, at most [`MAX_ORDER`], and there must be as many rows of derivatives as of `out`.
/// With `&derivatives[1..]` the result is the series of f'(z(t)): the coefficient of order k - j of it is the derivative
/// of the k-th coefficient of f(z(t)) by the j-th of z(t), which is what the reverse and the push of this step need.
pub(crate) fn compose<F: Real>(derivatives: &[&[F]], z: &[&[F]], out: &mut [&mut [F]]) {
    debug_assert!(derivatives.len() >= out.len() && out.len() <= MAX_ORDER + 1);
    Arch::new().dispatch(Compose { derivatives, z, out });
}

#[cfg(test)]
mod tests {
    use crate::Activation;
    use crate::activation::{MAX_ORDER, compose};

    /// Rows of every length, with missing orders: the same numbers as one series at a time, and as by the derivatives.
    #[test]
    fn rows_are_series_side_by_side() {
        let activation = Activation::Tanh;
        for len in [0, 1, 15, 16, 17, 40] {
            for order in 0..=MAX_ORDER {
                for known in 1..=order + 1 {
                    let entry = |j: usize, i: usize| ((7 * i + 3 * j) % 11) as f64 / 5.0 - 1.0;
                    let z: Vec<Vec<f64>> = (0..known).map(|j| (0..len).map(|i| entry(j, i)).collect()).collect();
                    let z: Vec<&[f64]> = z.iter().map(Vec::as_slice).collect();
                    let mut out = vec![vec![f64::NAN; len]; order + 1];
                    activation.taylor_into(&z, &mut out.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>());
                    for i in 0..len {
                        let series: Vec<f64> = (0..=order).map(|j| z.get(j).map_or(0.0, |row| row[i])).collect();
                        let expected = activation.taylor(&series).expect("valid");
                        assert!((0..=order).all(|j| out[j][i] == expected[j]), "{len} {order} {known} {i}");
                    }
                    let mut d = vec![vec![0.0; len]; order + 1];
                    activation.derivatives_into(z[0], &mut d.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>());
                    let mut again = vec![vec![f64::NAN; len]; order + 1];
                    let d: Vec<&[f64]> = d.iter().map(Vec::as_slice).collect();
                    compose(&d, &z, &mut again.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>());
                    assert_eq!(again, out);
                }
            }
        }
    }

    /// The series of act'(z(t)) holds the derivatives of the coefficients of act(z(t)) by those of z(t).
    #[test]
    fn shifted_derivatives_give_the_jacobian() {
        let z = [0.3, -0.8, 0.5, 0.2, -0.4];
        let order = z.len() - 1;
        let d: Vec<[f64; 1]> = Activation::Gelu
            .derivatives(&ndarray::array![z[0]], order + 1)
            .expect("valid")
            .iter()
            .map(|d| [d[0]])
            .collect();
        let d: Vec<&[f64]> = d.iter().map(|d| &d[..]).collect();
        let rows: Vec<&[f64]> = z.iter().map(std::slice::from_ref).collect();
        let mut slopes = [[0.0]; 5];
        compose(&d[1..], &rows, &mut slopes.iter_mut().map(|row| &mut row[..]).collect::<Vec<_>>());
        for j in 0..=order {
            let moved = |step: f64| {
                let mut z = z;
                z[j] += step;
                Activation::Gelu.taylor(&z).expect("valid")
            };
            let (above, below) = (moved(1e-5), moved(-1e-5));
            for k in j..=order {
                let difference = (above[k] - below[k]) / 2e-5;
                assert!((difference - slopes[k - j][0]).abs() < 1e-8, "{j} {k}: {difference} {}", slopes[k - j][0]);
            }
        }
    }
}
