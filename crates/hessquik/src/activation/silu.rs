//! The sigmoid linear unit.
use super::elementary::{Elementary, at_most, distance};
use super::logistic::{Logistic, Zero};
use super::sweep::Kernel;

/// f = z s(z), and with a = |z|, p = s (1 - s), h = tanh(a/2), from s' = p and p' = -p tanh(z/2):
///
/// - f' = s + z p, which for z < 0 is s(-a) (2 - a (1 + h))/2,
/// - f'' = p (2 - a h),
/// - f''' = p (a (1 - 6 p) - 3 h) for z > 0, an odd function.
///
/// Each bracket has one zero; writing d = a - zero and D = h - h(zero), the terms that cancel there are subtracted by hand.
#[derive(Clone, Copy)]
pub(super) struct Silu;

/// 2 - a (1 + h) = -(d (1 + h0) + a D)
const FIRST: Zero =
    Zero { a: [1.2784645427610737, 1.0946994183093437e-16], h: 0.5643765885603999, g: 0.4356234114396002 };

/// 2 - a h = -(d h0 + a D)
const SECOND: Zero =
    Zero { a: [2.3993572805154675, 1.8464872855353363e-16], h: 0.8335565596009648, g: 0.1664434403990353 };

/// a (3 h^2 - 1)/2 - 3 h = D (3 a (h + h0)/2 - 3) + d (3 h0^2 - 1)/2
const THIRD: Zero =
    Zero { a: [3.435840993535111, -1.654438565374896e-16], h: 0.9376121436530147, g: 0.06238785634698525 };

#[inline(always)]
fn is_near<F: Elementary>(distance: F) -> bool {
    distance.abs() < F::one()
}

impl<F: Elementary> Kernel<F> for Silu {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let (half, two) = (F::of(0.5), F::of(2.0));
        let negative = z < F::zero();
        let a = at_most(z.abs(), two * F::DECAY_END);
        let logistic = Logistic::new(a, F::zero());
        let Logistic { s, c, h, p, ref decay } = logistic;
        let scale = decay.scale;

        let d = distance(a, FIRST.a);
        let near = -d.mul_add(F::of(1.0 + FIRST.h), a * logistic.h_from(&FIRST, d));
        let first = if is_near(d) { near } else { (-two * a).mul_add(s, two) };

        let d = distance(a, SECOND.a);
        let near = -d.mul_add(F::of(SECOND.h), a * logistic.h_from(&SECOND, d));
        let second = if is_near(d) { near } else { (-a).mul_add(h, two) };

        let d = distance(a, THIRD.a);
        let slope = (F::of(1.5) * a).mul_add(h + F::of(THIRD.h), F::of(-3.0));
        let near = logistic.h_from(&THIRD, d).mul_add(slope, d * F::of(1.5 * THIRD.h * THIRD.h - 0.5));
        // the terms have one sign on either side; with h = 1 - 2 c the second form adds to a - 3, which is exact
        let below = F::of(-3.0).mul_add(h, a * (F::of(1.5) * h).mul_add(h, -half));
        let above = F::of(6.0).mul_add((-a).mul_add(p, c), a - F::of(3.0));
        let third = if is_near(d) {
            near
        } else if a < F::of(1.3) {
            below
        } else {
            above
        };

        [
            if negative { -(a * c) * scale } else { z * s },
            if negative { half * c * first * scale } else { (a * p).mul_add(scale, s) },
            p * second * scale,
            (p * third * scale) * F::one().copysign(z),
        ]
    }
}
