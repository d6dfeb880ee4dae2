//! The error function.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::elementary::{Elementary, at_most, horner};
use super::gaussian::Bell;
use super::gelu::mills_numerator;
use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, Row, Table, rounded};
use super::wide::{Exponential, Wide, scaled};
use crate::Real;

/// f' = 2/sqrt(pi) exp(-z^2), f'' = -2 z f', f''' = (4 z^2 - 2) f'.
///
/// Below |z| = 1 a polynomial in z^2; beyond, 1 - 2 exp(-z^2) N(sqrt(2) |z|) with Mills' ratio as in
/// [`Gelu`](super::gelu::Gelu).
#[derive(Clone, Copy)]
pub(super) struct Erf;

/// 2/sqrt(pi), in two parts.
const SLOPE: [f64; 2] = [std::f64::consts::FRAC_2_SQRT_PI, 1.533545961316588e-17];

/// (erf z / z - 2/sqrt(pi))/z^2 in powers of z^2, for |z| <= 1.
pub const TAIL: [f64; 11] = [
    -0.3761263890318375,
    0.11283791670954388,
    -0.026866170644835378,
    0.005223977620813342,
    -0.0008548326651491142,
    0.00012055315509827725,
    -1.4925137231361603e-05,
    1.6452392414415235e-06,
    -1.624658795725963e-07,
    1.3884625209147687e-08,
    -8.101869549660952e-10,
];

impl<F: Real> Kernel<F> for Erf {
    #[inline(always)]
    fn jet(self, point: F) -> [F; 4] {
        // beyond, every derivative is zero
        let z = at_most(point.as_f64().abs(), 1.5 * f64::DECAY_END.sqrt()).copysign(point.as_f64());
        let a = z.abs();
        let square = F::Wide::of(z).times(z);
        let exp = Exponential::new(-square);
        let slope = exp.mantissa() * F::Wide::two(SLOPE[0], SLOPE[1]);

        let w = z * z;
        let near = z.mul_add(SLOPE[0], z * w.mul_add(horner(w, TAIL), SLOPE[1]));
        let x = std::f64::consts::SQRT_2 * a;
        let [mills, _] = mills_numerator((x - 4.0) / (x + 4.0));
        let rest = scaled(exp.mantissa(), exp.k) * (mills + mills) / (1.0 + x);
        let value = if a < 1.0 { near } else { (1.0 - rest).copysign(z) };
        rounded(
            point,
            [
                value,
                scaled(slope, exp.k),
                scaled(slope.times(-(z + z)), exp.k),
                scaled(slope * square.times(4.0).plus(-2.0), exp.k),
            ],
        )
    }
}

impl<F: Real> Higher<F> for Erf {
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let bell = Bell::new(F::one(), order - 1, z);
        for j in 4..=order {
            for l in 0..BLOCK {
                d[j][l] = bell.d[j - 1][l] * (F::of(SLOPE[0]) * bell.scale[l]);
            }
        }
    }
}
