//! The algebraic ramp.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, Row, Table, rounded};
use super::wide::Wide;
use crate::Real;

/// f = (z + R)/2 with R = sqrt(z^2 + b), f' = f/R, f'' = b/(2 R^3), f''' = -3 b z/(2 R^5).
///
/// For negative z, where z + R cancels, f = b/(2 (R - z)).
#[derive(Clone, Copy)]
pub(super) struct Squareplus {
    b: f64,
}

/// Beyond, b is nothing beside z^2, which may overflow; the bounds of b, 1e-100 and 1e100, see to that.
const FAR: f64 = 1e70;

/// 2^400 and its reciprocal.
const LIFT: (f64, f64) = (f64::from_bits(1423 << 52), f64::from_bits(623 << 52));

impl Squareplus {
    pub(super) fn new(b: f64) -> Self {
        Self { b }
    }
}

impl<F: Real> Kernel<F> for Squareplus {
    #[inline(always)]
    fn jet(self, point: F) -> [F; 4] {
        let z = point.as_f64();
        let a = z.abs();
        let far = a > FAR;
        let near = F::Wide::of(if far { FAR } else { a });
        let half_b = F::Wide::of(0.5 * self.b);
        let root = (near * near).plus(self.b).sqrt();
        let inverse = F::Wide::of(1.0) / root;
        let sum = root + near;
        let (above, below) = (sum.times(0.5), half_b / sum);
        let second = half_b * inverse * inverse * inverse;
        // proportional to z near zero, where z may be subnormal
        let (lift, drop) = if a < 1e-150 { LIFT } else { (1.0, 1.0) };
        let third = second * (near.times(-3.0 * lift) * (inverse * inverse));
        // far out
        let tail = 0.25 * self.b / a;
        let far_second = 2.0 * tail / a / a;
        let positive = z > 0.0;
        let (value, slope) = (if positive { above } else { below }, if positive { above } else { below } * inverse);
        let far_value = if positive { z } else { tail };
        let far_slope = if positive { 1.0 } else { tail / a };
        let third = if far { -3.0 * far_second / a } else { third.round() * drop };
        rounded(
            point,
            [
                if far { far_value } else { value.round() },
                if far { far_slope } else { slope.round() },
                if far { far_second } else { second.round() },
                if z < 0.0 { -third } else { third },
            ],
        )
    }
}

impl<F: Real> Higher<F> for Squareplus {
    /// f'' is a multiple of R^-3, and R^2 (R^-3)' = -3 z R^-3, differentiated j - 3 times.
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let (mut inverse, mut slope) = ([F::zero(); BLOCK], [F::zero(); BLOCK]);
        for l in 0..BLOCK {
            let z = z[l].as_f64();
            let far = z.abs() > FAR;
            let square = if far { 1.0 } else { z.mul_add(z, self.b) };
            inverse[l] = F::of(if far { (1.0 / z) * (1.0 / z) } else { 1.0 / square });
            slope[l] = F::of(if far { 1.0 / z } else { z / square });
        }
        for j in 4..=order {
            let (x, y) = (F::of((2 * j - 3) as f64), F::of(((j - 3) * (j - 1)) as f64));
            for l in 0..BLOCK {
                d[j][l] = -(x * slope[l]).mul_add(d[j - 1][l], y * inverse[l] * d[j - 2][l]);
            }
        }
    }
}
