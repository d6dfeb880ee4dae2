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
            next!(z.clone().abs() + (z.abs() * -2.0).exp().log1p() - LN_2);
            next!(t.clone());
            let d = rest(t.clone().square());
            next!(d.clone());
            next!(t * d * -2.0);
        }
        // `jet` has no derivatives of it
        Activation::Identity => out.push(z),
        Activation::Quadratic => {
            next!(z.clone().square() * 0.5);
            next!(z.clone());
            next!(z.ones_like());
            next!(z.zeros_like());
        }
        Activation::Sigmoid => {
            let s = activation::sigmoid(z.clone());
            next!(s.clone());
            let p = s * activation::sigmoid(-z.clone());
            next!(p.clone());
            next!(-(p.clone() * (z * 0.5).tanh()));
            next!(p.clone() * rest(p * 6.0));
        }
        Activation::Softplus { beta, threshold } => {
            let y = z.clone() * *beta;
            let soft = (activation::relu(y.clone()) + (-y.clone().abs()).exp().log1p()) / *beta;
            next!(soft.mask_where(y.clone().greater_scalar(*threshold), z));
            let s = activation::sigmoid(y.clone());
            next!(s.clone());
            let p = s * activation::sigmoid(-y.clone());
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
            let s = activation::sigmoid(z.clone());
            next!(z.clone() * s.clone());
            let p = s.clone() * activation::sigmoid(-z.clone());
            next!(s + z.clone() * p.clone());
            let h = (z.clone() * 0.5).tanh();
            next!(p.clone() * (-(z.clone() * h.clone()) + 2.0));
            next!(p.clone() * (z * rest(p * 6.0) - h * 3.0));
        }
        Activation::Gelu => {
            let cdf = ((z.clone() / SQRT_2).erf() + 1.0) * 0.5;
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
        Activation::Custom(own) => {
            return Err(Error::Unsupported {
                what: format!("the activation {own:?}"),
                message: "its formula is code for the CPU; evaluate on the device cpu".into(),
            });
        }
    }
    Ok(out)
}
