//! Exponential linear units: ELU, CELU and SELU.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, Row, Table, rounded};
use super::wide::{Exponential, Pair, Wide, scaled};
use crate::Real;

/// `slope` z for z > 0, else `size` (exp(z/`width`) - 1). The derivatives at 0 are those of the left side.
#[derive(Clone, Copy)]
pub(super) struct Elu {
    slope: [f64; 2],
    size: [f64; 2],
    width: f64,
    /// 1/`width`.
    inverse: Pair,
}

impl Elu {
    /// z or alpha (exp z - 1).
    pub(super) fn with_alpha(alpha: f64) -> Self {
        Self { slope: [1.0, 0.0], size: [alpha, 0.0], width: 1.0, inverse: Pair::of(1.0) }
    }

    /// z or alpha (exp(z/alpha) - 1).
    pub(super) fn celu(alpha: f64) -> Self {
        Self { slope: [1.0, 0.0], size: [alpha, 0.0], width: alpha, inverse: Pair::of(1.0) / Pair::of(alpha) }
    }

    /// lambda z or lambda alpha (exp z - 1), for which mean 0 and variance 1 are a fixed point (Klambauer et al. 2017).
    pub(super) fn selu() -> Self {
        Self {
            slope: [1.0507009873554805, 3.9874847667154144e-17],
            size: [1.7580993408473768, 1.41535193800845e-17],
            width: 1.0,
            inverse: Pair::of(1.0),
        }
    }
}

impl<F: Real> Kernel<F> for Elu {
    #[inline(always)]
    fn jet(self, point: F) -> [F; 4] {
        let z = point.as_f64();
        let positive = z > 0.0;
        // beyond, the exponential is zero; the bound keeps the quotient finite
        let end = -2000.0 * self.width;
        let below = if positive { 0.0 } else { z };
        let below = if below < end { end } else { below };
        let [inverse, size] = [self.inverse.parts(), self.size].map(|[high, low]| F::Wide::two(high, low));
        let exp = Exponential::new(inverse.times(below));
        let first = size * exp.mantissa() * inverse;
        let second = first * inverse;
        let third = second * inverse;
        let value = (size * exp.minus_one()).round();
        let above = self.slope[0].mul_add(z, self.slope[1] * z);
        let above = if z == f64::INFINITY { z } else { above };
        rounded(
            point,
            [
                if positive { above } else { value },
                if positive { self.slope[0] } else { scaled(first, exp.k) },
                if positive { 0.0 } else { scaled(second, exp.k) },
                if positive { 0.0 } else { scaled(third, exp.k) },
            ],
        )
    }
}

impl<F: Real> Higher<F> for Elu {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        let width = F::of(self.width);
        for j in 4..=order {
            for l in 0..BLOCK {
                d[j][l] = d[j - 1][l] / width;
            }
        }
    }
}
