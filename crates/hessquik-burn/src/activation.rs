//! Activations and their first three derivatives as tensor operations.
use crate::Error;
use burn::tensor::{Tensor, activation};
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

/// The value and the first derivatives, `wanted` in all.
fn derivatives(act: &Activation, z: Tensor<2>, wanted: usize) -> Result<Vec<Tensor<2>>, Error> {
    let one = |t: &Tensor<2>| t.ones_like();
    let all = match act {
        Activation::AntiTanh => {
            let t = z.clone().tanh();
            let d = one(&t) - t.clone().square();
            // ln cosh z, without overflow
            let value = z.clone().abs() + (z.abs() * -2.0).exp().log1p() - LN_2;
            vec![value, t.clone(), d.clone(), t * d * -2.0]
        }
        Activation::Identity => vec![z.clone(), one(&z), z.zeros_like(), z.zeros_like()],
        Activation::Quadratic => vec![z.clone().square() * 0.5, z.clone(), one(&z), z.zeros_like()],
        Activation::Sigmoid => {
            let s = activation::sigmoid(z.clone());
            let p = s.clone() * activation::sigmoid(-z.clone());
            let t = (z * 0.5).tanh();
            vec![s, p.clone(), -(p.clone() * t), p.clone() * (one(&p) - p * 6.0)]
        }
        Activation::Softplus { beta, threshold } => {
            let y = z.clone() * *beta;
            let s = activation::sigmoid(y.clone());
            let p = s.clone() * activation::sigmoid(-y.clone());
            let soft = (activation::relu(y.clone()) + (-y.clone().abs()).exp().log1p()) / *beta;
            let value = soft.mask_where(y.clone().greater_scalar(*threshold), z);
            let t = (y * 0.5).tanh();
            vec![value, s, p.clone() * *beta, -(p * t) * (beta * beta)]
        }
        Activation::Tanh => {
            let t = z.tanh();
            let d = one(&t) - t.clone().square();
            let third = d.clone() * (one(&t) - t.clone().square() * 3.0) * -2.0;
            vec![t.clone(), d.clone(), t * d * -2.0, third]
        }
        Activation::Sin => {
            let (s, c) = (z.clone().sin(), z.cos());
            vec![s.clone(), c.clone(), -s, -c]
        }
        Activation::Silu => {
            let s = activation::sigmoid(z.clone());
            let p = s.clone() * activation::sigmoid(-z.clone());
            let h = (z.clone() * 0.5).tanh();
            let first = s.clone() + z.clone() * p.clone();
            let second = p.clone() * (-(z.clone() * h.clone()) + 2.0);
            let third = p.clone() * (z.clone() * (-p * 6.0 + 1.0) - h * 3.0);
            vec![z * s, first, second, third]
        }
        Activation::Gelu => {
            let cdf = ((z.clone() / SQRT_2).erf() + 1.0) * 0.5;
            let pdf = (z.clone().square() * -0.5).exp() / (2.0 * PI).sqrt();
            let square = z.clone().square();
            let first = cdf.clone() + z.clone() * pdf.clone();
            let second = (-square.clone() + 2.0) * pdf.clone();
            let third = z.clone() * (square - 4.0) * pdf;
            vec![z * cdf, first, second, third]
        }
        Activation::Gaussian => {
            let f = (-z.clone().square()).exp();
            let square = z.clone().square();
            let second = (square.clone() * 4.0 - 2.0) * f.clone();
            let third = z.clone() * (-square * 8.0 + 12.0) * f.clone();
            vec![f.clone(), z * f * -2.0, second, third]
        }
        Activation::Custom(own) => {
            return Err(Error::Unsupported {
                what: format!("the activation {own:?}"),
                message: "its formula is code for the CPU; evaluate on the device cpu".into(),
            });
        }
    };
    Ok(all.into_iter().take(wanted).collect())
}
