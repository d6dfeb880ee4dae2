//! Activations with a factor before and a factor after.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::Activation;
use super::elementary::two_sum;
use super::table::MAX_ORDER;
use super::wide::{Pair, Wide};
use crate::Real;
use pulp::Arch;

/// Points that are handled together: the activation is looked up once for so many.
const BLOCK: usize = 128;

/// The derivatives after the last.
const NOTHING: [f64; BLOCK] = [0.0; BLOCK];

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
    let (mut y, mut delta, mut d) = ([0.0; BLOCK], [0.0; BLOCK], [[0.0; BLOCK]; MAX_ORDER + 1]);
    for first in (0..z.len()).step_by(BLOCK) {
        let len = BLOCK.min(z.len() - first);
        let z = &z[first..first + len];
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for l in 0..len {
                    let z = z[l].as_f64();
                    y[l] = b * z;
                    delta[l] = b.mul_add(z, -y[l]);
                }
            },
        );
        act.derivatives_into(&y[..len], &mut d.each_mut().map(|row| &mut row[..len])[..known]);
        for (j, out) in out.iter_mut().enumerate() {
            let (out, factor) = (&mut out[first..first + len], factors[j]);
            let next = if j + 1 < known { &d[j + 1] } else { &NOTHING };
            let (now, next, delta) = (&d[j][..len], &next[..len], &delta[..len]);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for l in 0..len {
                        let (high, low) = two_sum(now[l], delta[l] * next[l]);
                        let result = (Pair::two(high, low) * factor).round();
                        // infinite terms, or factors
                        let plain = now[l] * factor.round();
                        out[l] = F::of(if result.is_finite() { result } else { plain });
                    }
                },
            );
        }
    }
}
