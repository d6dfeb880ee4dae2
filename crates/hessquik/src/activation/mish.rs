//! Mish.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::elementary::{Elementary, at_most};
use super::logistic::Bump;
use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, MAX_ORDER, Row, Table, leibniz, map, rounded};
use super::wide::{Exponential, Wide, polynomial, scaled};
use super::zero::Zero;
use crate::Real;

/// f = z t with t = tanh(ln(1 + E)), E = exp z; with D = E^2 + 2 E + 2, from t = 1 - 2/D:
///
/// - t' = 4 E (1 + E)/D^2,
/// - t'' = 4 E (2 + 2 E - 3 E^2 - 2 E^3)/D^3,
/// - t''' = 4 E (4 - 32 E^2 - 24 E^3 + 5 E^4 + 4 E^5)/D^4,
/// - f' = t + z t', f'' = 2 t' + z t'', f''' = 3 t'' + z t'''.
///
/// For positive z all over powers of E, in x = exp(-z), where t', t'' and t''' are x^2 times polynomials.
#[derive(Clone, Copy)]
pub(super) struct Mish;

const fn zero(at: [f64; 2], quotient: [f64; 5]) -> Zero<5> {
    Zero { at, radius: 1.0 / 4096.0, single: 5, quotient }
}

/// Where f' vanishes; fitted to the derivative itself, as are the others.
const FIRST: Zero<5> = zero(
    [-1.1924312145154952, -4.8484829848031044e-17],
    [0.2669479140495345, 0.20473126408010586, 0.04190782104360987, -0.020271822716684245, -0.01582112656173338],
);

/// Where f'' vanishes.
const SECOND: [Zero<5>; 2] = [
    zero(
        [-2.256376396360793, -1.0703174875019247e-16],
        [0.1087544107316427, 0.09898193805255845, 0.03736189561023729, 0.0033540526593358656, -0.003860493935188506],
    ),
    zero(
        [1.4905711794854284, 7.126036715834263e-17],
        [-0.23069451159746054, 0.28127277803034306, -0.0797073551654253, -0.06665173991852782, 0.05998888116276497],
    ),
];

/// Where f''' vanishes.
const THIRD: [Zero<5>; 3] = [
    zero(
        [-3.2673378465204044, -1.997756176832706e-16],
        [0.042367198321793365, 0.04145155506494501, 0.018891829543514094, 0.004592497685378284, 0.0001018761051484595],
    ),
    zero(
        [-0.08793443131491421, 1.835795455630947e-18],
        [-1.0757082615164932, -0.2587988164401767, 0.8441682363786468, 0.3475507031043843, -0.32898750711332175],
    ),
    zero(
        [2.114842563020877, 1.886710942254839e-16],
        [0.17806187524097464, -0.2559128619797329, 0.12365174312557363, 0.020529366976441397, -0.05751691615948966],
    ),
];

impl<F: Real> Kernel<F> for Mish {
    #[inline(always)]
    fn jet(self, point: F) -> [F; 4] {
        let z = at_most(point.as_f64().abs(), 2.0 * f64::DECAY_END).copysign(point.as_f64());
        let negative = z < 0.0;
        let of = F::Wide::of;
        let pick = |below, above| F::Wide::select(negative, below, above);
        let exp = Exponential::new(of(-z.abs()));
        let x = exp.value();
        let inverse = of(1.0) / pick(polynomial(x, [2.0, 2.0, 1.0]), polynomial(x, [1.0, 2.0, 2.0]));
        // z < 0: t, t', t'' and t''' without the factor x; else (1 - t), t', t'' and t''' without x^2
        let lead = pick(polynomial(x, [2.0, 1.0]), of(2.0)) * inverse;
        let square = inverse * inverse;
        let first = polynomial(x, [4.0, 4.0]) * square;
        let second = pick(polynomial(x, [8.0, 8.0, -12.0, -8.0]), polynomial(x, [-8.0, -12.0, 8.0, 8.0]));
        let second = second * (square * inverse);
        let third = pick(
            polynomial(x, [16.0, 0.0, -128.0, -96.0, 20.0, 16.0]),
            polynomial(x, [16.0, 20.0, -96.0, -128.0, 0.0, 16.0]),
        );
        let third = third * (square * square);
        let m = exp.mantissa();
        let (factor, k) = (pick(m, m * m), if negative { exp.k } else { 2.0 * exp.k });

        let value = scaled(lead.times(z) * factor, k);
        let below = scaled((lead + first.times(z)) * factor, k);
        let above = ((first.times(z) - lead) * (x * x)).plus(1.0).round();
        let above_value = if point.is_infinite() { f64::INFINITY } else { z - value };
        let above_value = if point.as_f64() > 2.0 * f64::DECAY_END { point.as_f64() } else { above_value };
        let second_order = scaled((first.times(2.0) + second.times(z)) * factor, k);
        let third_order = scaled((second.times(3.0) + third.times(z)) * factor, k);
        rounded(
            point,
            [
                if negative { value } else { above_value },
                FIRST.repair(z, if negative { below } else { above }),
                SECOND[0].repair(z, SECOND[1].repair(z, second_order)),
                THIRD[0].repair(z, THIRD[1].repair(z, THIRD[2].repair(z, third_order))),
            ],
        )
    }
}

impl<F: Real> Higher<F> for Mish {
    /// t' = m s with m = 1 - t^2 and s = s(z), m' = -2 t t', and f^(j) = z t^(j) + j t^(j-1).
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let (one, two) = (F::one(), F::of(2.0));
        let z = map(z, |z| at_most(z.abs(), two * F::DECAY_END).copysign(z));
        let zeros = [[F::zero(); BLOCK]; MAX_ORDER + 1];
        let (mut s, mut t, mut m) = (zeros, zeros, zeros);
        let Bump { scale, p, .. } = Bump::new(order, &z, &[F::zero(); BLOCK]);
        for l in 0..BLOCK {
            let negative = z[l] < F::zero();
            let x = F::of(Exponential::new(-z[l].as_f64().abs()).value());
            s[0][l] = if negative { x } else { one } / (one + x);
            let denominator = if negative { (x + two).mul_add(x, two) } else { two.mul_add(x, two).mul_add(x, one) };
            t[0][l] = if negative { (x + two) * x } else { two.mul_add(x, one) } / denominator;
            // 4 (1 + E)^2/D^2
            let root = two * (one + x) / denominator;
            m[0][l] = root * root * if negative { one } else { x * x };
            for n in 1..=order {
                s[n][l] = p[n - 1][l] * scale[l];
            }
        }
        for n in 1..=order {
            t[n] = leibniz(n - 1, &m, &s);
            let sum = leibniz(n - 1, &t, &t[1..]);
            m[n] = map(&sum, |sum| -two * sum);
        }
        for j in 4..=order {
            for l in 0..BLOCK {
                d[j][l] = z[l].mul_add(t[j][l], F::of(j as f64) * t[j - 1][l]);
            }
        }
    }
}
