//! Activations with a factor before and a factor after.
use super::Activation;
use super::elementary::two_sum;
use super::sweep::BLOCK;
use super::table::MAX_ORDER;
use super::wide::{Pair, Wide};
use crate::Real;

/// Fills `out[j]` with a b^j act^(j)(b z), in double precision whatever the results have.
///
/// With y the rounded product b z and delta what rounding took, act^(j)(b z) is act^(j)(y) + delta act^(j + 1)(y) to far
/// more digits than there are: without that, tails would lose as many digits as |y| has.
pub(super) fn fill<F: Real>(act: &Activation, [a, b]: [f64; 2], z: &[F], out: &mut [&mut [F]]) {
    let orders = out.len();
    // one order more for the correction, where there is one
    let known = (orders + 1).min(act.most() + 1);
    let mut factors = [Pair::of(a); MAX_ORDER + 1];
    for j in 1..orders {
        factors[j] = factors[j - 1] * Pair::of(b);
    }
    for first in (0..z.len()).step_by(BLOCK) {
        let len = BLOCK.min(z.len() - first);
        let (mut y, mut delta) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (l, z) in z[first..first + len].iter().enumerate() {
            y[l] = b * z.as_f64();
            delta[l] = b.mul_add(z.as_f64(), -y[l]);
        }
        let mut d = [[0.0; BLOCK]; MAX_ORDER + 1];
        act.derivatives_into(&y[..len], &mut d.each_mut().map(|row| &mut row[..len])[..known]);
        for (j, out) in out.iter_mut().enumerate() {
            for l in 0..len {
                let correction = if j + 1 < known { delta[l] * d[j + 1][l] } else { 0.0 };
                let (high, low) = two_sum(d[j][l], correction);
                let result = (Pair::two(high, low) * factors[j]).round();
                // infinite terms, or factors
                let plain = d[j][l] * factors[j].round();
                out[first + l] = F::of(if result.is_finite() { result } else { plain });
            }
        }
    }
}
