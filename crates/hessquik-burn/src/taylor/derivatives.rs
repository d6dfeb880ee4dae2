//! Activations and their first three derivatives inside a kernel, by the formulas of `activation.rs`.
use super::kernel::Numbers;
use crate::activation::{Bend, ERFC, FAR, FAR_SQUARE};
use cubecl::prelude::*;
use hessquik::Activation;
use std::f64::consts::{LN_2, PI, SQRT_2};

/// An activation, as far as a kernel is compiled for it; the numbers of a softplus are arguments.
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
    /// The formula with the numbers of its softplus; none for one that has no formula here.
    pub(crate) fn of(act: &Activation) -> Option<(Self, Bend)> {
        let formula = match act {
            &Activation::Softplus { beta, threshold } => return Some((Self::Softplus, Bend::new(beta, threshold))),
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
        Some((formula, Bend::new(1.0, f64::INFINITY)))
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
pub(super) fn derivatives<F: Float>(z: F, numbers: &Numbers, #[comptime] formula: Formula) -> Derivatives<F> {
    let (zero, one, two) = (F::new(0.0), F::new(1.0), F::new(2.0));
    let half = F::new(0.5);
    match comptime!(formula) {
        Formula::AntiTanh => {
            let t = z.tanh();
            let d = sech_squared::<F>(z);
            // ln cosh z = |z| + ln((1 + exp(-2 |z|))/2) = -ln(1 - tanh^2 z)/2, whichever does not cancel
            let far = z.abs() + log1p::<F>((z.abs() * F::new(-2.0)).exp()) - number::<F>(LN_2);
            let near = F::new(-0.5) * log1p::<F>(-t * t);
            Derivatives::<F> {
                value: select(z.abs() < one, near, far),
                first: t,
                second: d,
                third: F::new(-2.0) * t * d,
            }
        }
        Formula::Identity => Derivatives::<F> { value: z, first: one, second: zero, third: zero },
        Formula::Quadratic => Derivatives::<F> { value: half * z * z, first: z, second: one, third: zero },
        Formula::Sigmoid => {
            let l = logistic::<F>(z, (-z.abs()).exp());
            let third = l.p * (one - F::new(6.0) * l.p);
            Derivatives::<F> { value: l.s, first: l.p, second: -(l.p * l.h), third }
        }
        Formula::Softplus => {
            let beta = numbers.beta.get::<F>();
            let y = beta * z;
            let e = decay::<F>(z, numbers);
            let soft = z.max(zero) + log1p::<F>(e) / beta;
            let l = logistic::<F>(y, e);
            let third = -(beta * beta * l.p * l.h);
            // the identity past the threshold, if there is one
            let cut = y > numbers.cut.get::<F>();
            Derivatives::<F> {
                value: select(cut, z, soft),
                first: select(cut, one, l.s),
                second: select(cut, zero, beta * l.p),
                third: select(cut, zero, third),
            }
        }
        Formula::Tanh => {
            let t = z.tanh();
            let d = sech_squared::<F>(z);
            // 1 - 3 t^2 = 3 d - 2
            let third = d * (F::new(4.0) - F::new(6.0) * d);
            Derivatives::<F> { value: t, first: d, second: F::new(-2.0) * t * d, third }
        }
        Formula::Sin => {
            let (s, c) = (z.sin(), z.cos());
            Derivatives::<F> { value: s, first: c, second: -s, third: -c }
        }
        Formula::Silu => {
            let l = logistic::<F>(z, (-z.abs()).exp());
            // past the range of exp(-|z|), where z counts no more, infinities would make NaN of zeros
            let x = within::<F>(z, number::<F>(FAR));
            let third = l.p * (x * (one - F::new(6.0) * l.p) - F::new(3.0) * l.h);
            let value = select(z < -number::<F>(FAR), zero, z * l.s);
            Derivatives::<F> { value, first: l.s + x * l.p, second: l.p * (two - x * l.h), third }
        }
        Formula::Gelu => {
            let far = number::<F>(FAR_SQUARE);
            let x = within::<F>(z, far);
            let bell = bell::<F>(x, half);
            let upper = upper_tail::<F>(x.abs(), bell);
            let cdf = select(x < zero, upper, one - upper);
            let square = x * x;
            let pdf = bell / number::<F>(comptime!((2.0 * PI).sqrt()));
            let (second, third) = ((two - square) * pdf, x * (square - F::new(4.0)) * pdf);
            Derivatives::<F> { value: select(z < -far, zero, z * cdf), first: cdf + x * pdf, second, third }
        }
        Formula::Gaussian => {
            let x = within::<F>(z, number::<F>(FAR_SQUARE));
            let square = x * x;
            let f = bell::<F>(x, one);
            let second = (F::new(4.0) * square - two) * f;
            let third = x * (F::new(12.0) - F::new(8.0) * square) * f;
            Derivatives::<F> { value: f, first: F::new(-2.0) * x * f, second, third }
        }
    }
}

/// `z`, but for what lies beyond +-`far`, which becomes that; NaN stays NaN.
#[cube]
fn within<F: Float>(z: F, far: F) -> F {
    let below = select(z > far, far, z);
    select(z < -far, -far, below)
}

/// exp(-beta |z|); see [`Bend`].
#[cube]
fn decay<F: Float>(z: F, numbers: &Numbers) -> F {
    let (beta_head, grid) = (numbers.head.get::<F>(), numbers.grid.get::<F>());
    let a = within::<F>(z.abs(), numbers.most.get::<F>());
    let head = (a * grid).floor() / grid;
    let rest = (a - head) * beta_head + a * numbers.low.get::<F>();
    (-(head * beta_head)).exp() * (-rest).exp()
}

/// The logistic function s(y), its derivative p = s (1 - s), and h = tanh(y/2).
#[derive(CubeType)]
struct Logistic<F: Float> {
    s: F,
    p: F,
    h: F,
}

/// Of `y`, given `e` = exp(-|y|).
#[cube]
fn logistic<F: Float>(y: F, e: F) -> Logistic<F> {
    let larger = F::new(1.0) / (F::new(1.0) + e);
    let smaller = e * larger;
    let h = (F::new(0.5) * y).tanh();
    Logistic::<F> { s: select(y < F::new(0.0), smaller, larger), p: larger * smaller, h }
}

/// 1 - tanh^2 z = 4 e/(1 + e)^2 with e = exp(-2 |z|).
#[cube]
fn sech_squared<F: Float>(z: F) -> F {
    let e = (z.abs() * F::new(-2.0)).exp();
    let larger = F::new(2.0) / (F::new(1.0) + e);
    e * larger * larger
}

/// ln(1 + x), x > -1, as exact near 0 as elsewhere.
#[cube]
fn log1p<F: Float>(x: F) -> F {
    let u = F::new(1.0) + x;
    let step = u - F::new(1.0);
    select(step == F::new(0.0), x, u.ln() * x / step)
}

/// exp(-`scale` z^2), by the exact square of a few leading bits of |z|, and a small rest.
#[cube]
fn bell<F: Float>(z: F, scale: F) -> F {
    let a = z.abs();
    let head = (a * F::new(16.0)).floor() / F::new(16.0);
    let rest = (a - head) * (a + head);
    (-(scale * head * head)).exp() * (-(scale * rest)).exp()
}

/// 1 - Phi(a) for a >= 0, where `bell` is exp(-a^2/2).
#[cube]
fn upper_tail<F: Float>(a: F, bell: F) -> F {
    let t = F::new(1.0) / (F::new(1.0) + a * number::<F>(comptime!(0.5 / SQRT_2)));
    let y = F::new(4.0) * t - F::new(2.0);
    let (mut d, mut before) = (F::new(0.0), F::new(0.0));
    #[unroll]
    for i in 1..28 {
        let next = y * d - before + number::<F>(comptime!(ERFC[28 - i]));
        before = d;
        d = next;
    }
    let p = F::new(0.5) * (y * d + number::<F>(comptime!(ERFC[0]))) - before;
    F::new(0.5) * t * p.exp() * bell
}

/// A constant in the precision of the kernel; `F::new` has those of single precision.
#[cube]
fn number<F: Float>(#[comptime] value: f64) -> F {
    intrinsic!(|scope| F::elem_type(scope).constant(value.into()).into())
}
