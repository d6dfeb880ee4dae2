//! The smooth ramp ln(1 + exp(beta z))/beta.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::decay::Decay;
use super::elementary::log1p;
use super::logistic::{Bump, Logistic};
use super::softplus_cut;
use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, Row, Table, map};
use crate::Real;

/// f = ln(1 + exp(y))/beta with y = beta z, f' = s(y), f'' = beta s (1 - s) = beta p, f''' = -beta^2 p tanh(y/2).
///
/// hessQuik's manual prints f'' as beta/(2 cosh(y)^2); differentiating f gives beta/(2 + 2 cosh y), which is beta p.
/// f = max(z, 0) + ln(1 + exp(-|y|))/beta does not overflow. Past a threshold below [`SMOOTH`](super::SMOOTH) all four
/// are those of the identity; larger thresholds would only take digits from values, and cut nothing.
#[derive(Clone, Copy)]
pub(super) struct Softplus<F> {
    beta: F,
    /// What `beta` lacks of the setting, in double precision.
    beta_low: F,
    /// Past which y the identity begins.
    cut: F,
    /// 1/beta in two parts.
    inverse: [F; 2],
    /// beta^2 as a product of two factors of which the second is 1 unless beta is extreme.
    squared: [F; 2],
    /// What `squared[0]` lacks of beta^2 then.
    squared_low: F,
    /// beta^3/8: -f'''/z near zero.
    eighth_cubed: F,
    /// Where that takes over, because y may have lost bits to underflow.
    tiny: F,
}

impl<F: Real> Softplus<F> {
    pub(super) fn new(beta: f64, threshold: f64) -> Self {
        let setting = beta.clamp(F::min_positive_value().as_f64(), F::max_value().as_f64());
        let (beta, beta_low) = F::two_parts(setting, 0.0);
        let moderate = beta < F::FAR_SCALE.sqrt().sqrt().recip();
        let (inverse, square) = (1.0 / setting, setting * setting);
        let (square, square_low) = F::two_parts(square, setting.mul_add(setting, -square));
        Self {
            beta,
            beta_low,
            cut: F::of(softplus_cut(threshold)),
            inverse: F::two_parts(inverse, -inverse.mul_add(setting, -1.0) * inverse).into(),
            squared: if moderate { [square, F::one()] } else { [beta, beta] },
            squared_low: if moderate { square_low } else { F::zero() },
            eighth_cubed: F::of(setting * setting * setting / 8.0),
            tiny: if moderate { F::min_positive_value().sqrt() } else { F::zero() },
        }
    }
}

impl<F: Real> Kernel<F> for Softplus<F> {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let y = self.beta * z;
        let ended = y.abs() > F::DECAY_END;
        let low = self.beta_low.mul_add(z, self.beta.mul_add(z, -y));
        let low = if ended { F::zero() } else { low };
        let negative = z < F::zero();
        // An error of y counts as it is: exp(-y) has it as a relative error.
        let Logistic { decay, s, c, h, p, .. } =
            Logistic::new(Decay::with_low(y.abs(), if negative { -low } else { low }));
        let scale = if ended { F::zero() } else { decay.scale };
        // the slope of ln(1 + x), 1/(1 + x), is near enough 1 - x/2
        let slope = F::of(-0.5).mul_add(decay.exp, F::one());
        let (log, log_low) = log1p(decay.exp, decay.rounding() * slope);
        let rest = log_low.mul_add(self.inverse[0], log * self.inverse[1]);
        let log = log.mul_add(self.inverse[0], rest) * scale;
        let value = if negative { log } else { z + log };
        let product = h.copysign(z) * p;
        let third = -product.mul_add(self.squared[0], product * self.squared_low) * scale * self.squared[1];
        let third = if y.abs() < self.tiny { -(z * self.eighth_cubed) } else { third };
        let cut = y > self.cut;
        [
            if cut { z } else { value },
            if cut {
                F::one()
            } else if negative {
                c * scale
            } else {
                s
            },
            if cut { F::zero() } else { self.beta * p * scale },
            if cut { F::zero() } else { third },
        ]
    }
}

impl<F: Real> Higher<F> for Softplus<F> {
    /// f^(j) = beta^(j-1) s^(j-1)(y); zero where f is taken to be the identity.
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let y = map(z, |z| self.beta * z);
        let mut low = [F::zero(); BLOCK];
        for l in 0..BLOCK {
            let rest = self.beta_low.mul_add(z[l], self.beta.mul_add(z[l], -y[l]));
            low[l] = if y[l].abs() > F::DECAY_END { F::zero() } else { rest };
        }
        let Bump { scale, mut p, .. } = Bump::new(order - 2, &y, &low);
        for j in 2..=order {
            for l in 0..BLOCK {
                // so near to zero f'' is zero only where it is taken to be
                let flat = d[2][l] == F::zero() && y[l].abs() < F::of(40.0);
                // one factor less for each order that is done
                for row in &mut p[j - 2..=order - 2] {
                    row[l] *= self.beta;
                }
                if j > 3 {
                    d[j][l] = if flat { F::zero() } else { p[j - 2][l] * scale[l] };
                }
            }
        }
    }
}
