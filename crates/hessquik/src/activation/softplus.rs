//! The smooth ramp ln(1 + exp(beta z))/beta.
use super::elementary::{Decay, log1p};
use super::logistic::Logistic;
use super::sweep::Kernel;
use crate::Real;

/// f = ln(1 + exp(y))/beta with y = beta z, f' = s(y), f'' = beta s (1 - s) = beta p, f''' = -beta^2 p tanh(y/2).
///
/// hessQuik's manual prints f'' as beta/(2 cosh(y)^2); differentiating f gives beta/(2 + 2 cosh y), which is beta p.
/// f = max(z, 0) + ln(1 + exp(-|y|))/beta does not overflow; past the threshold f is z, as documented, while the
/// derivatives remain those of the formula.
#[derive(Clone, Copy)]
pub(super) struct Softplus<F> {
    beta: F,
    /// What `beta` lacks of the setting, in double precision.
    beta_low: F,
    threshold: F,
    /// beta^2 as a product of two factors of which the second is 1 unless beta is extreme.
    squared: [F; 2],
    /// beta^3/8: -f'''/z near zero.
    eighth_cubed: F,
    /// Where that takes over, because y may have lost bits to underflow.
    tiny: F,
}

impl<F: Real> Softplus<F> {
    pub(super) fn new(beta: f64, threshold: f64) -> Self {
        let setting = beta.clamp(F::min_positive_value().as_f64(), F::max_value().as_f64());
        let (beta, beta_low) = F::two_parts(setting, 0.0);
        let moderate = beta < F::FAR_SCALE.powf(F::of(-0.25));
        Self {
            beta,
            beta_low,
            threshold: F::of(threshold),
            squared: if moderate { [F::of(setting * setting), F::one()] } else { [beta, beta] },
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
        let log = log1p(decay.exp) / self.beta * scale;
        let value = if negative { log } else { z + log };
        let third = -(h.copysign(z) * p * self.squared[0]) * scale * self.squared[1];
        [
            if y > self.threshold { z } else { value },
            if negative { c * scale } else { s },
            self.beta * p * scale,
            if y.abs() < self.tiny { -(z * self.eighth_cubed) } else { third },
        ]
    }
}
