//! The network that training starts from.
use super::args::NetworkOptions;
use crate::command::preset;
use crate::element::Element;
use crate::failure::Failure;
use crate::model::{self, Model};
use burn::tensor::Device;
use hessquik::{Architecture, Error, Init, Layer, Network};
use hessquik_burn::FlatNetwork;

/// The network of the options, for `dims` inputs and outputs, on a device that differentiates.
pub fn start<F: Element>(
    options: &NetworkOptions,
    dims: (usize, usize),
    seed: u64,
    device: &Device,
) -> Result<FlatNetwork, Failure> {
    let library: Network<F> = match &options.model {
        Some(path) => Model::read(path)?.network()?,
        None => architecture(options, dims)?.build(&mut Init::seed(seed))?,
    };
    let found = (library.dim_input(), library.dim_output());
    if found != dims {
        let (what, (d, m)) = ("the inputs and outputs of the network", found);
        return Err(
            Error::Shape { what: what.into(), found: vec![d, m], wanted: format!("[{}, {}]", dims.0, dims.1) }.into()
        );
    }
    Ok(FlatNetwork::from_library(&library, &device.clone().autodiff())?)
}

fn architecture(options: &NetworkOptions, dims: (usize, usize)) -> Result<Architecture, Failure> {
    if let Some(path) = &options.architecture {
        let json = model::description(path)?;
        return Architecture::from_json(&json).map_err(|e| Failure::file(path, e.to_string()));
    }
    if let Some(known) = options.preset {
        return preset::architecture(known, Some(dims.0), Some(dims.1)).map_err(Failure::Usage);
    }
    Ok(preset::fit(dims, (options.width, options.depth.into()), options.step, options.activation))
}
