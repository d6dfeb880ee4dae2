//! Activations and their first three derivatives inside a kernel, by the formulas of `activation.rs`.
use crate::activation::ERFC;
use cubecl::prelude::*;
use hessquik::Activation;
use std::f64::consts::{LN_2, PI, SQRT_2};

/// An activation, as far as a kernel is compiled for it; `beta` and `threshold` are arguments.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Formula {
    AntiTanh,
    Identity,
    Quadratic,
    Sigmoid,
    Softplus,
    Tanh,
    Sin,
    Silu,
    Gelu,
    Gaussian,
}

impl Formula {
    /// The formula with its `beta` and `threshold`; none for one that has no formula here.
    pub(crate) fn of(act: &Activation) -> Option<(Self, [f64; 2])> {
        let formula = match act {
            &Activation::Softplus { beta, threshold } => return Some((Self::Softplus, [beta, threshold])),
            Activation::AntiTanh => Self::AntiTanh,
            Activation::Identity => Self::Identity,
            Activation::Quadratic => Self::Quadratic,
            Activation::Sigmoid => Self::Sigmoid,
            Activation::Tanh => Self::Tanh,
            Activation::Sin => Self::Sin,
            Activation::Silu => Self::Silu,
            Activation::Gelu => Self::Gelu,
            Activation::Gaussian => Self::Gaussian,
            // by tensor operations, or not at all
            _ => return None,
        };
        Some((formula, [1.0, 0.0]))
    }
}

/// `act`, `act'`, `act''` and `act'''` at one point.
#[derive(CubeType)]
pub(super) struct Derivatives<F: Float> {
    pub value: F,
    pub first: F,
    pub second: F,
    pub third: F,
}

#[cube]
pub(super) fn derivatives<F: Float>(z: F, beta: F, threshold: F, #[comptime] formula: Formula) -> Derivatives<F> {
    let (zero, one, two) = (F::new(0.0), F::new(1.0), F::new(2.0));
    let half = F::new(0.5);
    match comptime!(formula) {
        Formula::AntiTanh => {
            let t = z.tanh();
            let d = one - t * t;
            // ln cosh z, without overflow
            let value = z.abs() + log1p::<F>((z.abs() * F::new(-2.0)).exp()) - number::<F>(LN_2);
            Derivatives::<F> { value, first: t, second: d, third: F::new(-2.0) * t * d }
        }
        Formula::Identity => Derivatives::<F> { value: z, first: one, second: zero, third: zero },
        Formula::Quadratic => Derivatives::<F> { value: half * z * z, first: z, second: one, third: zero },
        Formula::Sigmoid => {
            let s = sigmoid::<F>(z);
            let p = s * sigmoid::<F>(-z);
            let second = -(p * (half * z).tanh());
            Derivatives::<F> { value: s, first: p, second, third: p * (one - F::new(6.0) * p) }
        }
        Formula::Softplus => {
            let y = beta * z;
            let soft = (y.max(zero) + log1p::<F>((-y.abs()).exp())) / beta;
            let s = sigmoid::<F>(y);
            let p = s * sigmoid::<F>(-y);
            let third = -(beta * beta * p * (half * y).tanh());
            Derivatives::<F> { value: select(y > threshold, z, soft), first: s, second: beta * p, third }
        }
        Formula::Tanh => {
            let t = z.tanh();
            let d = one - t * t;
            // 1 - 3 t^2 = 3 d - 2
            let third = d * (F::new(4.0) - F::new(6.0) * d);
            Derivatives::<F> { value: t, first: d, second: F::new(-2.0) * t * d, third }
        }
        Formula::Sin => {
            let (s, c) = (z.sin(), z.cos());
            Derivatives::<F> { value: s, first: c, second: -s, third: -c }
        }
        Formula::Silu => {
            let s = sigmoid::<F>(z);
            let p = s * sigmoid::<F>(-z);
            let h = (half * z).tanh();
            let third = p * (z * (one - F::new(6.0) * p) - F::new(3.0) * h);
            Derivatives::<F> { value: z * s, first: s + z * p, second: p * (two - z * h), third }
        }
        Formula::Gelu => {
            let upper = half * erfc::<F>(z.abs() / number::<F>(SQRT_2));
            let cdf = select(z < zero, upper, one - upper);
            let square = z * z;
            let pdf = (F::new(-0.5) * square).exp() / number::<F>(comptime!((2.0 * PI).sqrt()));
            let (second, third) = ((two - square) * pdf, z * (square - F::new(4.0)) * pdf);
            Derivatives::<F> { value: z * cdf, first: cdf + z * pdf, second, third }
        }
        Formula::Gaussian => {
            let square = z * z;
            let f = (-square).exp();
            let second = (F::new(4.0) * square - two) * f;
            let third = z * (F::new(12.0) - F::new(8.0) * square) * f;
            Derivatives::<F> { value: f, first: F::new(-2.0) * z * f, second, third }
        }
    }
}

/// 1 / (1 + exp(-z))
#[cube]
fn sigmoid<F: Float>(z: F) -> F {
    F::new(1.0) / (F::new(1.0) + (-z).exp())
}

/// ln(1 + x), x > -1, as exact near 0 as elsewhere.
#[cube]
fn log1p<F: Float>(x: F) -> F {
    let u = F::new(1.0) + x;
    let step = u - F::new(1.0);
    select(step == F::new(0.0), x, u.ln() * x / step)
}

/// The complementary error function for x >= 0.
#[cube]
fn erfc<F: Float>(x: F) -> F {
    let t = F::new(2.0) / (F::new(2.0) + x);
    let y = F::new(4.0) * t - F::new(2.0);
    let (mut d, mut before) = (F::new(0.0), F::new(0.0));
    #[unroll]
    for i in 1..28 {
        let next = y * d - before + number::<F>(comptime!(ERFC[28 - i]));
        before = d;
        d = next;
    }
    t * (F::new(0.5) * (y * d + number::<F>(comptime!(ERFC[0]))) - before - x * x).exp()
}

/// A constant in the precision of the kernel; `F::new` has those of single precision.
#[cube]
fn number<F: Float>(#[comptime] value: f64) -> F {
    intrinsic!(|scope| F::elem_type(scope).constant(value.into()).into())
}
