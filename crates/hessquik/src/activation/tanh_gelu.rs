//! The approximation of GELU by a hyperbolic tangent.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::elementary::at_most;
use super::logistic::Bump;
use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, MAX_ORDER, Row, Table, leibniz, map, rounded};
use super::wide::{Exponential, Wide, scaled};
use super::zero::Zero;
use crate::Real;

/// f = z (1 + tanh y)/2 = z s(u) with u = 2 y = 2 sqrt(2/pi) (z + 0.044715 z^3); with p = s (1 - s) and h = tanh(u/2) at u:
///
/// - s' = p u', s'' = p (u'' - h u'^2), s''' = p ((1 - 6 p) u'^3 - 3 h u' u'' + u''') along z,
/// - f' = s + z s', f'' = 2 s' + z s'', f''' = 3 s'' + z s'''.
#[derive(Clone, Copy)]
pub(super) struct TanhGelu;

/// 2 sqrt(2/pi), in two parts.
const RATE: [f64; 2] = [1.5957691216057308, -9.96930880911092e-17];

/// 0.044715, in two parts.
const CUBIC: [f64; 2] = [0.044715, 2.1960211427085595e-18];

/// Beyond, exp(-|u|) is zero in double precision.
const END: f64 = 30.0;

const fn zero(at: [f64; 2], quotient: [f64; 5]) -> Zero<5> {
    Zero { at, radius: 1.0 / 4096.0, single: 5, quotient }
}

/// Where f' vanishes.
const FIRST: Zero<5> = zero(
    [-0.7524614220710163, 3.635560509207687e-17],
    [0.4304000910248585, 0.38751844613578895, -0.01578285352184803, -0.11394448308095899, -0.01661932834305256],
);

/// Where f'', which is even, vanishes for positive z.
const SECOND: Zero<5> = zero(
    [1.4185040087908283, 8.089265124388305e-17],
    [-0.4095488174124191, 0.432081111593848, -0.008168951883944803, -0.16109481693213482, 0.056750540975161724],
);

/// Where f''', which is odd, vanishes for positive z.
const THIRD: Zero<5> = zero(
    [2.013480724624258, 6.09743254537125e-17],
    [0.41843255906749566, -0.5077264594641758, 0.05781478764262985, 0.19337850729926465, -0.10544102466010594],
);

/// u and its derivatives along z.
#[inline(always)]
fn inner<W: Wide>(z: f64) -> [W; 4] {
    let (rate, cubic) = (W::two(RATE[0], RATE[1]), W::two(CUBIC[0], CUBIC[1]));
    let square = cubic.times(z).times(z);
    let third = rate.times(6.0) * cubic;
    [rate.times(z) * square.plus(1.0), rate * square.times(3.0).plus(1.0), third.times(z), third]
}

impl<F: Real> Kernel<F> for TanhGelu {
    #[inline(always)]
    fn jet(self, point: F) -> [F; 4] {
        let of = F::Wide::of;
        let negative = point < F::zero();
        // everything at |z|
        let a = at_most(point.as_f64().abs(), END);
        let one = of(1.0);
        let [u, u1, u2, u3] = inner::<F::Wide>(a);
        let exp = Exponential::new(-u);
        let (m, x) = (exp.mantissa(), exp.value());
        let c = one / x.plus(1.0);
        let h = -exp.minus_one() * c;
        // without the factor x = exp(-u)
        let p = c * c;
        let s1 = p * u1;
        let s2 = p * (u2 - h * (u1 * u1));
        let s3 = p * ((p * x).times(-6.0).plus(1.0) * (u1 * u1 * u1) - (h * u1 * u2).times(3.0) + u3);
        // f(-z) = -x z c, f'(-z) = x (c - z s1) = 1 - f'(z)
        let lack = scaled(m * c.times(a), exp.k);
        let below = FIRST.repair(-a, scaled(m * (c - s1.times(a)), exp.k));
        let above = (x * (s1.times(a) - c)).plus(1.0).round();
        let third = THIRD.repair(a, scaled(m * (s2.times(3.0) + s3.times(a)), exp.k));
        rounded(
            point,
            [
                if negative { -lack } else { point.as_f64() - lack },
                if negative { below } else { above },
                SECOND.repair(a, scaled(m * (s1.times(2.0) + s2.times(a)), exp.k)),
                if negative { -third } else { third },
            ],
        )
    }
}

impl<F: Real> Higher<F> for TanhGelu {
    /// With P = p(u(z)), H = tanh(u/2) and v = u': P' = -H v P, S' = v P, H' = 2 S', and f^(j) = z S^(j) + j S^(j-1).
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let z = map(z, |z| at_most(z.abs(), F::of(END)).copysign(z));
        let zeros = [[F::zero(); BLOCK]; MAX_ORDER + 1];
        let (mut v, mut h, mut hv, mut p, mut s) = (zeros, zeros, zeros, zeros, zeros);
        let (mut u, mut low) = ([F::zero(); BLOCK], [F::zero(); BLOCK]);
        for l in 0..BLOCK {
            let [exact, first, second, third] = inner::<F::Wide>(z[l].as_f64());
            u[l] = F::of(exact.round());
            low[l] = F::of((exact - F::Wide::of(u[l].as_f64())).round());
            (v[0][l], v[1][l], v[2][l]) = (F::of(first.round()), F::of(second.round()), F::of(third.round()));
        }
        let bump = Bump::new(1, &u, &low);
        (p[0], h[0]) = (bump.p[0], bump.h);
        for n in 1..=order {
            // all without the scale: where there is one, P and S' are nothing beside H even so
            s[n] = leibniz(n - 1, &p, &v);
            h[n] = map(&s[n], |s| F::of(2.0) * s);
            hv[n - 1] = leibniz(n - 1, &h, &v);
            p[n] = map(&leibniz(n - 1, &p, &hv), |sum| -sum);
        }
        for j in 4..=order {
            for l in 0..BLOCK {
                d[j][l] = z[l].mul_add(s[j][l], F::of(j as f64) * s[j - 1][l]) * bump.scale[l];
            }
        }
    }
}
