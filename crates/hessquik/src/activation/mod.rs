//! Pointwise activations: value and three derivatives of each entry.
use crate::Real;
use std::fmt::Debug;
use std::sync::Arc;

/// A pointwise activation of the user's own.
pub trait Pointwise: Debug + Send + Sync {
    /// What it is called, for messages.
    fn name(&self) -> &str;

    /// The value and the first three derivatives at `z`; the third is used by pullbacks alone.
    fn jet(&self, z: f64) -> [f64; 4];

    /// The same in single precision; by default the double-precision jet, rounded.
    fn jet_f32(&self, z: f32) -> [f32; 4] {
        self.jet(f64::from(z)).map(|d| d as f32)
    }
}

/// A pointwise activation.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Activation {
    AntiTanh,
    Identity,
    Quadratic,
    Sigmoid,
    Softplus { beta: f64, threshold: f64 },
    Tanh,
    Sin,
    Silu,
    Gelu,
    Gaussian,
    Custom(Arc<dyn Pointwise>),
}

impl Activation {
    /// Softplus with hessQuik's defaults, beta = 1 and threshold = 20.
    pub fn softplus() -> Self {
        Self::Softplus { beta: 1.0, threshold: 20.0 }
    }

    /// The value and the first three derivatives at `z`.
    pub fn jet<F: Real>(&self, z: F) -> [F; 4] {
        let z = z.as_f64();
        let jet = match self {
            Self::Tanh => {
                let t = z.tanh();
                let d = 1.0 - t * t;
                [t, d, -2.0 * t * d, -2.0 * d * (1.0 - 3.0 * t * t)]
            }
            Self::AntiTanh => {
                let t = z.tanh();
                let d = 1.0 - t * t;
                [z.abs() + (-2.0 * z.abs()).exp().ln_1p() - std::f64::consts::LN_2, t, d, -2.0 * t * d]
            }
            Self::Identity => [z, 1.0, 0.0, 0.0],
            Self::Quadratic => [z * z / 2.0, z, 1.0, 0.0],
            Self::Sigmoid => {
                let s = 1.0 / (1.0 + (-z).exp());
                let d = s * (1.0 - s);
                [s, d, d * (1.0 - 2.0 * s), d * (1.0 - 6.0 * d)]
            }
            Self::Softplus { beta, .. } => {
                let y = beta * z;
                let s = 1.0 / (1.0 + (-y).exp());
                let d = s * (1.0 - s);
                [(y.max(0.0) + (-y.abs()).exp().ln_1p()) / beta, s, beta * d, beta * beta * d * (1.0 - 2.0 * s)]
            }
            Self::Sin => [z.sin(), z.cos(), -z.sin(), -z.cos()],
            Self::Custom(f) => f.jet(z),
            _ => todo!(),
        };
        jet.map(F::of)
    }

    /// Fills `out[0 ..= order]` with the derivatives of these orders at every entry of `z` (slices of equal length).
    pub(crate) fn fill<F: Real>(&self, order: usize, z: &[F], out: [&mut [F]; 4]) {
        let [o0, o1, o2, o3] = out;
        for (i, &z) in z.iter().enumerate() {
            let j = self.jet(z);
            o0[i] = j[0];
            if order > 0 {
                o1[i] = j[1];
            }
            if order > 1 {
                o2[i] = j[2];
            }
            if order > 2 {
                o3[i] = j[3];
            }
        }
    }

    /// Whether the setting makes sense, for networks to check.
    pub(crate) fn check(&self) -> Result<(), crate::Error> {
        Ok(())
    }
}
