//! The Gaussian error linear unit, exact.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::decay::Decay;
use super::elementary::{at_most, divide, quick_two_sum, square, two_sum};
use super::gaussian::Bell;
use super::sweep::BLOCK;
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use super::zero::Zero;
use crate::Real;

/// f = z Phi(z) with the normal distribution Phi and its density phi: f' = Phi + z phi, f'' = (2 - z^2) phi,
/// f''' = z (z^2 - 4) phi.
///
/// For a = |z|, Phi(-a) = exp(-a^2/2) N(a) with the bounded, slowly varying N (Mills' ratio over sqrt(2 pi)), which one
/// polynomial in (a - 4)/(a + 4) gives on the whole half line, after Shepherd and Laframboise (Math. Comp. 36, 1981).
#[derive(Clone, Copy)]
pub(super) struct Gelu;

/// N(a) - a/sqrt(2 pi) = 0, where f'(-a) vanishes.
const DIP: Zero<10> = Zero {
    at: [0.7517915246935645, -1.4956759177009883e-17],
    radius: 0.125,
    single: 6,
    quotient: [
        -0.5724061752276146,
        0.0847563696385306,
        -0.036581591489359924,
        0.014313659799248079,
        -0.005164140683209582,
        0.0017385504374220033,
        -0.0005510143393404281,
        0.00016553717893109875,
        -4.7530104603290074e-05,
        1.302451880648454e-05,
    ],
};

/// (1 + a) N(a) at a = 4, in two parts.
const MILLS: [f64; 2] = [0.47205320650984467, 1.3896179734395222e-17];

/// 1/sqrt(2 pi), in two parts.
const DENSITY: [f64; 2] = [0.3989422804014327, -2.49232720227773e-17];

/// (1 + a) N(a) in two parts, from u = (a - 4)/(a + 4).
#[inline(always)]
pub(super) fn mills_numerator<F: Real>(u: F) -> [F; 2] {
    let (constant, constant_low) = F::two_parts(MILLS[0], MILLS[1]);
    let (high, low) = quick_two_sum(constant, u * F::mills_tail(u));
    [high, low + constant_low]
}

impl<F: Real> Kernel<F> for Gelu {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let (half, four) = (F::of(0.5), F::of(4.0));
        let (density, density_low) = F::two_parts(DENSITY[0], DENSITY[1]);
        let negative = z < F::zero();
        let a = at_most(z.abs(), F::of(1.5) * F::DECAY_END.sqrt());
        let (high, low) = square(a);
        let Decay { exp, scale, .. } = Decay::with_low(half * high, half * low);
        // one division for 1/(1 + a) and 1/(a + 4)
        let (one_more, four_more) = (two_sum(F::one(), a), a + four);
        let reciprocal = F::one() / (one_more.0 * four_more);
        let numerator = mills_numerator((a - four) * (one_more.0 * reciprocal));
        let (mills, mills_low) = divide(numerator, one_more.into(), four_more * reciprocal);

        let missing = a * (exp * mills) * scale;
        let dip = (-density).mul_add(a, mills) + (-density_low).mul_add(a, mills_low);
        let dip = DIP.repair(a, dip);
        let slope = dip * exp * scale;
        let phi = density * exp;
        [
            if negative { -missing } else { z - missing },
            if negative { slope } else { F::one() - slope },
            phi * (-a).mul_add(a, F::of(2.0)) * scale,
            (a * a.mul_add(a, -four) * phi * scale) * F::one().copysign(z),
        ]
    }
}

impl<F: Real> Higher<F> for Gelu {
    /// f^(j) = z phi^(j-1) + j phi^(j-2).
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let Bell { z, scale, d: phi } = Bell::new(F::of(0.5), order - 1, z);
        let (density, _) = F::two_parts(DENSITY[0], DENSITY[1]);
        for j in 4..=order {
            for l in 0..BLOCK {
                let bracket = z[l].mul_add(phi[j - 1][l], F::of(j as f64) * phi[j - 2][l]);
                d[j][l] = bracket * (density * scale[l]);
            }
        }
    }
}
