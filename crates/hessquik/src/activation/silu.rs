//! The sigmoid linear unit.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::decay::Decay;
use super::elementary::at_most;
use super::logistic::{Bump, Logistic};
use super::sweep::BLOCK;
use super::sweep::Kernel;
use super::table::{Higher, Row, Table, map};
use super::zero::Zero;
use crate::Real;

/// f = z s(z), and with a = |z|, p = s (1 - s), h = tanh(a/2), from s' = p and p' = -p tanh(z/2):
///
/// - f' = s + z p, which for z < 0 is s(-a) (2 - a (1 + h))/2,
/// - f'' = p (2 - a h),
/// - f''' = p (a (1 - 6 p) - 3 h) for z > 0, an odd function.
///
/// Each bracket has one zero.
#[derive(Clone, Copy)]
pub(super) struct Silu;

/// 2 - a (1 + h) = 0.
const FIRST: Zero<9> = Zero {
    at: [1.2784645427610737, 1.0946994183093437e-16],
    radius: 0.0625,
    single: 5,
    quotient: [
        -2.0,
        -0.21781170571980016,
        0.09776586466463132,
        -0.009437407111662464,
        -0.0060890620894261714,
        0.0022021961686990547,
        3.617939915433336e-05,
        -0.00019955854131221772,
        4.122078040601821e-05,
    ],
};

/// 2 - a h = 0.
const SECOND: Zero<8> = Zero {
    at: [2.3993572805154675, 1.8464872855353363e-16],
    radius: 0.0625,
    single: 5,
    quotient: [
        -1.1996786402577337,
        3.900134996703603e-18,
        0.030510173388016537,
        -0.012715977581123757,
        0.002248725984305282,
        0.00012244471721150013,
        -0.00018396860480195202,
        4.878216902704669e-05,
    ],
};

/// a (1 - 6 p) - 3 h = 0.
const THIRD: Zero<13> = Zero {
    at: [3.435840993535111, -1.654438565374896e-16],
    radius: 0.375,
    single: 8,
    quotient: [
        1.221486239199359,
        -1.8208355677100771e-16,
        -0.036914373199893186,
        0.017305682293815888,
        -0.004198454743724628,
        0.00042152233828100566,
        0.00010881537284457052,
        -6.392427332208371e-05,
        1.621164070359496e-05,
        -2.0458674479873837e-06,
        -1.900951944262326e-07,
        1.8018034098245814e-07,
        -5.0065852256050283e-08,
    ],
};

impl<F: Real> Kernel<F> for Silu {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let (half, one, two, three) = (F::of(0.5), F::one(), F::of(2.0), F::of(3.0));
        let negative = z < F::zero();
        let a = at_most(z.abs(), two * F::DECAY_END);
        let logistic = Logistic::new(Decay::new(a));
        let Logistic { s, c, h, p, ref decay, .. } = logistic;
        let scale = decay.scale;

        // 1 + h = 2 s
        let first = FIRST.repair(a, two * (-a).mul_add(logistic.s_low(), (-a).mul_add(s, one)));
        let second = SECOND.repair(a, (-a).mul_add(logistic.h_low(), (-a).mul_add(h, two)));
        // below, both terms have one sign; above, h = 1 - 2 c leaves a - 3, which is exact, and a small rest
        let below = (-three).mul_add(h, a * logistic.one_minus_6p(a));
        let above = F::of(6.0).mul_add((-a).mul_add(p, c), a - three);
        let third = THIRD.repair(a, if a < F::of(1.3) { below } else { above });

        [
            if negative { -(a * c) * scale } else { z * s },
            if negative { half * c * first * scale } else { (a * p).mul_add(scale, s) },
            p * second * scale,
            p.mul_add(third, logistic.p_low() * third) * scale * one.copysign(z),
        ]
    }
}

impl<F: Real> Higher<F> for Silu {
    /// f^(j) = z s^(j) + j s^(j-1).
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let bound = F::of(2.0) * F::DECAY_END;
        let z = map(z, |z| at_most(z.abs(), bound).copysign(z));
        let Bump { scale, p, .. } = Bump::new(order - 1, &z, &[F::zero(); BLOCK]);
        for j in 4..=order {
            for l in 0..BLOCK {
                d[j][l] = z[l].mul_add(p[j - 1][l], F::of(j as f64) * p[j - 2][l]) * scale[l];
            }
        }
    }
}
