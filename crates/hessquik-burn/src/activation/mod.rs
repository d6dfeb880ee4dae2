//! Activations and their derivatives of any order as tensor operations: the one place where they are written down for
//! tensors.
mod algebraic;
mod curves;
mod exponential;
mod known;
mod pieces;
#[cfg(test)]
mod tests;

pub(crate) use pieces::Bend;
#[cfg(feature = "kernels")]
pub(crate) use pieces::{ERFC, FAR, FAR_SQUARE};

use crate::Error;
use hessquik::Activation;
use known::known;
use pieces::{Numbers, level};

/// `act` and its derivatives up to `order` at `z`.
///
/// Under autodiff each is a value that knows its derivative, the next in the row: exact at every point, also where the
/// formula of the value has a kink (softplus at 0), and no graph of the formula is kept.
pub(crate) fn jet(act: &Activation, z: Numbers, order: usize) -> Result<Vec<Numbers>, Error> {
    if matches!(act, Activation::Identity) {
        let constants = identity(&z, order).split_off(1);
        return Ok([vec![z], constants].concat());
    }
    if !z.is_tracked() {
        return derivatives(act, z, order);
    }
    let rows = derivatives(act, z.clone().inner(), order + 1)?;
    Ok(rows.windows(2).map(|pair| known(&z, pair[0].clone(), pair[1].clone())).collect())
}

/// The value and the derivatives up to `order`, and no operation for others.
///
/// Nothing is taken from a number close to it in the tails: what is left of a saturated activation comes from exp(-|z|)
/// itself, and higher derivatives from lower ones by recurrences in quantities that do not cancel there.
/// `taylor/derivatives.rs` has the first three of ten activations for the insides of kernels.
fn derivatives(act: &Activation, z: Numbers, order: usize) -> Result<Vec<Numbers>, Error> {
    use {algebraic as a, curves as c, exponential as e};
    Ok(match *act {
        Activation::AntiTanh => e::anti_tanh(z, order),
        Activation::Sigmoid => e::sigmoid(z, order),
        Activation::Softplus { beta, threshold } => e::softplus(z, order, Bend::new(beta, threshold)),
        Activation::Tanh => e::tanh(z, order),
        Activation::Silu => e::silu(z, order),
        Activation::TanhGelu => e::tanh_gelu(z, order),
        Activation::Mish => e::mish(z, order),
        Activation::Exp => vec![z.exp(); order + 1],
        Activation::Elu { alpha } => e::elu(z, order, e::Elu { slope: 1.0, size: alpha, width: 1.0 }),
        Activation::Celu { alpha } => e::elu(z, order, e::Elu { slope: 1.0, size: alpha, width: alpha }),
        Activation::Selu => e::elu(z, order, e::SELU),
        Activation::Gelu => c::gelu(z, order),
        Activation::Gaussian => c::gaussian(z, order),
        Activation::Erf => c::erf(z, order),
        Activation::Atan => c::atan(z, order),
        Activation::Squareplus { b } => c::squareplus(z, order, b),
        Activation::Sin => c::wave(z.clone().sin(), z.cos(), order),
        Activation::Cos => c::wave(z.clone().cos(), -z.sin(), order),
        Activation::Identity => identity(&z, order),
        Activation::Quadratic => a::polynomial(&z, vec![z.clone().square() * 0.5, z.clone(), level(&z, 1.0)], order),
        Activation::Square => a::polynomial(&z, vec![z.clone().square(), z.clone() * 2.0, level(&z, 2.0)], order),
        Activation::Relu => a::ramp(z, order, 0.0),
        Activation::LeakyRelu { slope } => a::ramp(z, order, slope),
        Activation::Step => a::step(z, order),
        Activation::Log => a::log(z, order),
        Activation::Sqrt => a::sqrt(z, order),
        Activation::Reciprocal => a::reciprocal(z, order),
        Activation::Power { p } => a::power(&z, order, p),
        Activation::Scaled { ref act, a, b } => {
            let mut factor = a;
            let scale = |f: Numbers| {
                let scaled = f * factor;
                factor *= b;
                scaled
            };
            derivatives(act, z * b, order)?.into_iter().map(scale).collect()
        }
        Activation::Custom(ref own) => {
            return Err(Error::Unsupported {
                what: format!("the activation {own:?}"),
                message: "its formula is code for the CPU; evaluate on the device cpu".into(),
            });
        }
        // what the library may add
        _ => {
            return Err(Error::Unsupported {
                what: format!("the activation {}", act.name()),
                message: "it has no formula for devices yet; evaluate on the device cpu".into(),
            });
        }
    })
}

fn identity(z: &Numbers, order: usize) -> Vec<Numbers> {
    algebraic::polynomial(z, vec![z.clone(), level(z, 1.0)], order)
}
