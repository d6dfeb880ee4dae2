//! Activations and their first three derivatives as tensor operations.
use crate::Error;
use burn::tensor::{DType, Tensor, activation};
use hessquik::Activation;
use std::f64::consts::{LN_2, PI, SQRT_2};

/// `act`, `act'` and `act''` at `z`, as many as `order` asks for; `None` stands for a derivative that is 1 (the first of
/// an identity) or 0 (its second).
///
/// Under autodiff each is a value that knows its derivative, the next in the row: exact at every point, also where the
/// formula of the value has a kink (softplus at 0), and no graph of the formula is kept.
pub(crate) fn jet(act: &Activation, z: Tensor<2>, order: usize) -> Result<[Option<Tensor<2>>; 3], Error> {
    if matches!(act, Activation::Identity) {
        return Ok([Some(z), None, None]);
    }
    let tracked = z.is_tracked();
    let z0 = if tracked { z.clone().inner() } else { z.clone() };
    let wanted = order + 1 + usize::from(tracked);
    let mut plain = derivatives(act, z0.clone(), wanted)?.into_iter();
    if !tracked {
        return Ok(std::array::from_fn(|_| plain.next()));
    }
    // f(z0) + f'(z0) (z - z0): the value of f, and its derivative, to the last bit
    let step = z - Tensor::from_inner(z0);
    let rows: Vec<_> = plain.collect();
    Ok(std::array::from_fn(|i| {
        let (f, slope) = (rows.get(i)?, rows.get(i + 1)?);
        Some(Tensor::from_inner(f.clone()) + Tensor::from_inner(slope.clone()) * step.clone())
    }))
}

/// The value and the first derivatives, `wanted` in all, and no operation for others.
fn derivatives(act: &Activation, z: Tensor<2>, wanted: usize) -> Result<Vec<Tensor<2>>, Error> {
    let mut out = Vec::with_capacity(wanted);
    macro_rules! next {
        ($derivative:expr) => {
            out.push($derivative);
            if out.len() == wanted {
                return Ok(out);
            }
        };
    }
    // 1 - x
    let rest = |x: Tensor<2>| -x + 1.0;
    match act {
        Activation::AntiTanh => {
            let t = z.clone().tanh();
            // ln cosh z, without overflow
            next!(z.clone().abs() + log1p((z.abs() * -2.0).exp()) - LN_2);
            next!(t.clone());
            let d = rest(t.clone().square());
            next!(d.clone());
            next!(t * d * -2.0);
        }
        Activation::Identity => {
            next!(z.clone());
            next!(z.ones_like());
            next!(z.zeros_like());
            next!(z.zeros_like());
        }
        Activation::Quadratic => {
            next!(z.clone().square() * 0.5);
            next!(z.clone());
            next!(z.ones_like());
            next!(z.zeros_like());
        }
        Activation::Sigmoid => {
            let s = sigmoid(z.clone());
            next!(s.clone());
            let p = s * sigmoid(-z.clone());
            next!(p.clone());
            next!(-(p.clone() * (z * 0.5).tanh()));
            next!(p.clone() * rest(p * 6.0));
        }
        Activation::Softplus { beta, threshold } => {
            let y = z.clone() * *beta;
            let soft = (activation::relu(y.clone()) + log1p((-y.clone().abs()).exp())) / *beta;
            next!(soft.mask_where(y.clone().greater_scalar(*threshold), z));
            let s = sigmoid(y.clone());
            next!(s.clone());
            let p = s * sigmoid(-y.clone());
            next!(p.clone() * *beta);
            next!(p * (y * 0.5).tanh() * -(beta * beta));
        }
        Activation::Tanh => {
            let t = z.tanh();
            next!(t.clone());
            let d = rest(t.clone().square());
            next!(d.clone());
            next!(t * d.clone() * -2.0);
            // 1 - 3 t^2 = 3 d - 2
            next!(d.clone() * (d * -6.0 + 4.0));
        }
        Activation::Sin => {
            let (s, c) = (z.clone().sin(), z.cos());
            next!(s.clone());
            next!(c.clone());
            next!(-s);
            next!(-c);
        }
        Activation::Silu => {
            let s = sigmoid(z.clone());
            next!(z.clone() * s.clone());
            let p = s.clone() * sigmoid(-z.clone());
            next!(s + z.clone() * p.clone());
            let h = (z.clone() * 0.5).tanh();
            next!(p.clone() * (-(z.clone() * h.clone()) + 2.0));
            next!(p.clone() * (z * rest(p * 6.0) - h * 3.0));
        }
        Activation::Gelu => {
            let cdf = normal_cdf(z.clone());
            next!(z.clone() * cdf.clone());
            let square = z.clone().square();
            let pdf = (square.clone() * -0.5).exp() / (2.0 * PI).sqrt();
            next!(cdf + z.clone() * pdf.clone());
            next!((-square.clone() + 2.0) * pdf.clone());
            next!(z * (square - 4.0) * pdf);
        }
        Activation::Gaussian => {
            let square = z.clone().square();
            let f = (-square.clone()).exp();
            next!(f.clone());
            next!(z.clone() * f.clone() * -2.0);
            next!((square.clone() * 4.0 - 2.0) * f.clone());
            next!(z * (-square * 8.0 + 12.0) * f);
        }
        Activation::Cos => {
            let (s, c) = (z.clone().sin(), z.cos());
            next!(c.clone());
            next!(-s.clone());
            next!(-c);
            next!(s);
        }
        Activation::Exp => {
            let f = z.exp();
            (0..wanted).for_each(|_| out.push(f.clone()));
        }
        Activation::Square => {
            next!(z.clone().square());
            next!(z.clone() * 2.0);
            next!(z.ones_like() * 2.0);
            next!(z.zeros_like());
        }
        Activation::Log => {
            next!(z.clone().log());
            let r = z.recip();
            next!(r.clone());
            next!(-r.clone().square());
            next!(r.clone().square() * r * 2.0);
        }
        Activation::Sqrt => {
            let f = z.clone().sqrt();
            next!(f.clone());
            let first = f.recip() * 0.5;
            next!(first.clone());
            let second = first / z.clone() * -0.5;
            next!(second.clone());
            next!(second / z * -1.5);
        }
        Activation::Reciprocal => {
            let r = z.recip();
            next!(r.clone());
            next!(-r.clone().square());
            let third = r.clone().square() * r.clone() * 2.0;
            next!(third.clone());
            next!(third * r * -3.0);
        }
        Activation::Relu | Activation::LeakyRelu { .. } => {
            let slope = if let Activation::LeakyRelu { slope } = act { *slope } else { 0.0 };
            let positive = z.clone().greater_scalar(0.0);
            let slopes = (z.ones_like() * slope).mask_fill(positive, 1.0);
            next!(z.clone() * slopes.clone());
            next!(slopes);
            next!(z.zeros_like());
            next!(z.zeros_like());
        }
        Activation::Scaled { act, a, b } => {
            let mut factor = *a;
            for derivative in derivatives(act, z * *b, wanted)? {
                out.push(derivative * factor);
                factor *= b;
            }
        }
        Activation::Power { .. }
        | Activation::Erf
        | Activation::Atan
        | Activation::Elu { .. }
        | Activation::Celu { .. }
        | Activation::Selu
        | Activation::Mish
        | Activation::Squareplus { .. }
        | Activation::TanhGelu => {
            return Err(Error::Unsupported {
                what: format!("the activation {}", act.name()),
                message: "it has no formula for devices yet; evaluate on the device cpu".into(),
            });
        }
        Activation::Custom(own) => {
            return Err(Error::Unsupported {
                what: format!("the activation {own:?}"),
                message: "its formula is code for the CPU; evaluate on the device cpu".into(),
            });
        }
    }
    Ok(out)
}

/// 1 / (1 + exp(-z)). Burn's own is that of single precision on GPUs, whatever the tensor has.
fn sigmoid(z: Tensor<2>) -> Tensor<2> {
    ((-z).exp() + 1.0).recip()
}

/// ln(1 + x), x > -1, as exact near 0 as elsewhere: GPUs take the logarithm of the rounded sum u, which is ln(1 + x)
/// but for the factor x / (u - 1) (Goldberg, What every computer scientist should know about floating-point arithmetic,
/// theorem 4).
fn log1p(x: Tensor<2>) -> Tensor<2> {
    let u = x.clone() + 1.0;
    let step = u.clone() - 1.0;
    (u.log() * x.clone() / step.clone()).mask_where(step.equal_scalar(0.0), x)
}

/// The distribution function of the normal distribution.
fn normal_cdf(z: Tensor<2>) -> Tensor<2> {
    if z.dtype() != DType::F64 {
        return ((z / SQRT_2).erf() + 1.0) * 0.5;
    }
    // the error function of GPUs is good to 1.5e-7, in double precision too
    let upper = erfc(z.clone().abs() / SQRT_2) * 0.5;
    (-upper.clone() + 1.0).mask_where(z.lower_scalar(0.0), upper)
}

/// P of [`erfc`], in Chebyshev polynomials.
pub(crate) const ERFC: [f64; 28] = [
    -1.3026537197817094,
    6.419_697_923_564_902e-1,
    1.9476473204185836e-2,
    -9.56151478680863e-3,
    -9.46595344482036e-4,
    3.66839497852761e-4,
    4.2523324806907e-5,
    -2.0278578112534e-5,
    -1.624290004647e-6,
    1.303655835580e-6,
    1.5626441722e-8,
    -8.5238095915e-8,
    6.529054439e-9,
    5.059343495e-9,
    -9.91364156e-10,
    -2.27365122e-10,
    9.6467911e-11,
    2.394038e-12,
    -6.886027e-12,
    8.94487e-13,
    3.13092e-13,
    -1.12708e-13,
    3.81e-16,
    7.106e-15,
    -1.523e-15,
    -9.4e-17,
    1.21e-16,
    -2.8e-17,
];

/// The complementary error function for x >= 0, to double precision: t exp(-x^2 + P(t)), t = 2 / (2 + x), with P in
/// Chebyshev polynomials, summed by Clenshaw's recurrence (Press et al., Numerical Recipes, 3rd ed., section 6.2.2).
fn erfc(x: Tensor<2>) -> Tensor<2> {
    let t = (x.clone() * 0.5 + 1.0).recip();
    let y = t.clone() * 4.0 - 2.0;
    let (mut d, mut before) = (x.zeros_like(), x.zeros_like());
    for &coefficient in ERFC[1..].iter().rev() {
        (d, before) = (y.clone() * d.clone() - before + coefficient, d);
    }
    t * (-x.square() + (y * d + ERFC[0]) * 0.5 - before).exp()
}
