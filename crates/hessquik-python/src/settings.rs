//! Settings of layers that single precision cannot hold.
use crate::array::Float;
use hessquik::{ActivationSpec, Architecture, Error};

/// That the settings of all layers are numbers in the precision `F`, neither infinite there nor zero unless they are.
pub fn fit<F: Float>(architecture: &Architecture) -> Result<(), Error> {
    check::<F>(architecture, "")
}

fn check<F: Float>(architecture: &Architecture, position: &str) -> Result<(), Error> {
    use Architecture as A;
    let of = |what: &str| if position.is_empty() { what.into() } else { format!("{what} of layer {position}") };
    match architecture {
        A::Network { layers } => {
            let dot = if position.is_empty() { "" } else { "." };
            layers.iter().enumerate().try_for_each(|(i, layer)| check::<F>(layer, &format!("{position}{dot}{i}")))
        }
        A::Single { act, .. } | A::Icnn { act, .. } => activation::<F>(act, of),
        A::Resnet { act, h, .. } => {
            number::<F>(*h, of("the step h"))?;
            activation::<F>(act, of)
        }
        _ => Ok(()),
    }
}

fn activation<F: Float>(act: &ActivationSpec, of: impl Fn(&str) -> String) -> Result<(), Error> {
    if let ActivationSpec::Softplus { beta, threshold } = act {
        number::<F>(*beta, of("beta of softplus"))?;
        number::<F>(*threshold, of("threshold of softplus"))?;
    }
    Ok(())
}

fn number<F: Float>(value: f64, what: String) -> Result<(), Error> {
    let (least, most) = (F::min_positive_value().as_f64(), F::max_value().as_f64());
    if !value.is_finite() || value == 0.0 || (least..=most).contains(&value.abs()) {
        return Ok(());
    }
    let wanted = format!("0 or a size between {least:e} and {most:e}, which {} can hold", F::DTYPE);
    Err(Error::Setting { what, found: format!("{value:e}"), wanted })
}
