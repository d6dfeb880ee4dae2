//! `hessquik new`: a model with random weights.
use super::{Report, dimensions, preset};
use crate::args::{Dtype, New};
use crate::element::Element;
use crate::failure::Failure;
use crate::model;
use crate::output::{Draft, Owner};
use hessquik::{Architecture, Init, Layer, Network};
use serde_json::json;

/// Builds the network and saves it.
pub fn run(args: &New) -> Result<Report, Failure> {
    let architecture = match (&args.architecture, args.preset) {
        (Some(path), _) => {
            let json = model::description(path)?;
            Architecture::from_json(&json).map_err(|e| Failure::file(path, e.to_string()))?
        }
        (None, Some(preset)) => {
            preset::architecture(preset, args.dim_input, args.dim_output).map_err(Failure::Usage)?
        }
        (None, None) => return Err(Failure::Usage("expected ARCHITECTURE.json or --preset".into())),
    };
    match args.dtype {
        Dtype::F32 => create::<f32>(&architecture, args),
        Dtype::F64 => create::<f64>(&architecture, args),
    }
}

fn create<F: Element>(architecture: &Architecture, args: &New) -> Result<Report, Failure> {
    let network: Network<F> = architecture.build(&mut Init::seed(args.seed))?;
    let owner = Owner::new("new", args.force).reading(args.architecture.as_deref());
    let mut draft = Draft::create(&args.output, &[], &owner)?;
    draft.fill(model::to_bytes(&network, &owner)?)?;
    let aside = draft.is_stdout();
    draft.finish()?;
    let path = args.output.display().to_string();
    let text = format!("{path}: {} ({}, seed {})", dimensions(&network), F::NAME, args.seed);
    let json = json!({
        "model": path, "dim_input": network.dim_input(), "dim_output": network.dim_output(),
        "weights": network.n_weights(), "dtype": F::NAME, "seed": args.seed,
    });
    Ok(Report::done(text, json).beside(aside))
}
