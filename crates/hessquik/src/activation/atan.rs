//! The inverse tangent.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::elementary::{horner, quick_two_sum};
use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, Row, Table, rounded};
use super::wide::Wide;
use crate::Real;

/// f' = r = 1/(1 + z^2), f'' = -2 z r^2, f''' = (6 z^2 - 2) r^3.
///
/// Beyond |z| = 1 all in w = 1/z, so that nothing overflows, and atan z = pi/2 - atan w.
#[derive(Clone, Copy)]
pub(super) struct Atan;

/// pi/2, in two parts.
const QUARTER: [f64; 2] = [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17];

/// Beyond, f is pi/2 and f' is 1/z^2; f'' is zero or f' is.
const FAR: f64 = 1e120;

/// (atan z / z - 1)/z^2 in powers of z^2, for |z| <= 1.
pub const TAIL: [f64; 20] = [
    -0.3333333333333333,
    0.1999999999999753,
    -0.14285714285384132,
    0.11111111093490827,
    -0.09090908590891934,
    0.07692298971033217,
    -0.06666564699289104,
    0.05881506877793656,
    -0.052579733342841106,
    0.04737749579527779,
    -0.04260356632601652,
    0.03749486812535247,
    -0.031277189066996385,
    0.023696731580048622,
    -0.015535152475414177,
    0.008368931178450162,
    -0.0034958859739163094,
    0.0010496035084968515,
    -0.00019996189377901382,
    1.806195461861215e-05,
];

impl<F: Real> Kernel<F> for Atan {
    #[inline(always)]
    fn jet(self, point: F) -> [F; 4] {
        let z = point.as_f64();
        let (outer, far) = (z.abs() > 1.0, z.abs() > FAR);
        let inner = if far { FAR.copysign(z) } else { z };
        let one = F::Wide::of(1.0);
        let w = F::Wide::select(outer, one / F::Wide::of(inner), F::Wide::of(inner));
        let square = w * w;
        let r = one / square.plus(1.0);
        // in powers of w, f' = w^2 r, f'' = -2 w^3 r^2, f''' = (6 - 2 w^2) w^4 r^3
        let first = F::Wide::select(outer, square, one) * r;
        let second = (F::Wide::select(outer, square * w, w) * (r * r)).times(-2.0);
        let bracket = F::Wide::select(outer, square.times(-2.0).plus(6.0), square.times(6.0).plus(-2.0));
        let third = F::Wide::select(outer, bracket * (square * square), bracket) * (r * r * r);

        let x = w.round();
        let rest = x * (x * x) * horner(x * x, TAIL);
        // what rounding took from w
        let low = w.plus(-x).round() * r.round();
        let (high, tail) = quick_two_sum(QUARTER[0].copysign(z), -x);
        let beyond = high + (tail + (QUARTER[1].copysign(z) - (rest + low)));
        // far out: 3/4 of the exponents at a time, or powers of w are subnormal before the last
        let inverse = 1.0 / z;
        let square = inverse * inverse;
        let results = [
            if outer { beyond } else { x + rest },
            if far { square } else { first.round() },
            if far { -2.0 * square * inverse } else { second.round() },
            if far { 0.0 } else { third.round() },
        ];
        rounded(point, [if far { QUARTER[0].copysign(z) } else { results[0] }, results[1], results[2], results[3]])
    }
}

impl<F: Real> Higher<F> for Atan {
    /// (1 + z^2) f' = 1, differentiated j - 1 times.
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let (mut r, mut slope) = ([F::zero(); BLOCK], [F::zero(); BLOCK]);
        for l in 0..BLOCK {
            let outer = z[l].abs() > F::one();
            let w = if outer { F::one() / z[l] } else { z[l] };
            let inverse = F::one() / w.mul_add(w, F::one());
            r[l] = if outer { w * w * inverse } else { inverse };
            slope[l] = w * inverse;
        }
        for j in 4..=order {
            let (a, b) = (F::of(2.0 * (j - 1) as f64), F::of(((j - 1) * (j - 2)) as f64));
            for l in 0..BLOCK {
                d[j][l] = -(a * slope[l]).mul_add(d[j - 1][l], b * r[l] * d[j - 2][l]);
            }
        }
    }
}
