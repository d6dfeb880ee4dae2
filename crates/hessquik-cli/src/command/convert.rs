//! `hessquik convert`: any model that can be read, as a model file or as an ONNX model; and state dictionaries, which
//! become models.
use super::{Report, dimensions};
use crate::args::{Convert, Dtype};
use crate::element::Element;
use crate::failure::Failure;
use crate::model::{self, Model};
use crate::output::{Draft, Owner};
use hessquik::{Layer, Network, Request, StateDict};
use serde_json::json;

/// Reads the network and saves it.
pub fn run(args: &Convert) -> Result<Report, Failure> {
    let model = Model::read(&args.model)?;
    if model.is_state_dict() && (args.chain.is_given() || model.advice().is_some()) {
        return of_state_dict(args, &model);
    }
    if args.chain.is_given() {
        return Err(Failure::Usage(format!(
            "--act, --last and --layers are for state dictionaries, and {} is not one: a model has its activations",
            args.model.display()
        )));
    }
    match model.precision(args.dtype)? {
        Dtype::F32 => convert::<f32>(args, &model),
        Dtype::F64 => convert::<f64>(args, &model),
    }
}

fn convert<F: Element>(args: &Convert, model: &Model) -> Result<Report, Failure> {
    write(args, &model.network::<F>()?, model.remarks())
}

/// Writes the network of a state dictionary.
fn of_state_dict(args: &Convert, model: &Model) -> Result<Report, Failure> {
    let state = args.chain.ordered(model.state_dict()?)?;
    let layers = state.layers()?;
    if args.chain.act.is_none() && layers.len() > 1 {
        let advice = model.advice().unwrap_or_else(|| "name the activations by --act".into());
        return Err(Failure::Usage(format!("{}: {advice}", args.model.display())));
    }
    let notes = vec![args.chain.note(&layers)];
    match (args.dtype, state.dtype()) {
        (Some(Dtype::F32), _) | (None, "f32") => write(args, &network::<f32>(args, &state)?, notes),
        _ => write(args, &network::<f64>(args, &state)?, notes),
    }
}

fn network<F: Element>(args: &Convert, state: &StateDict) -> Result<Network<F>, Failure> {
    args.chain.network(state)
}

fn write<F: Element>(args: &Convert, network: &Network<F>, notes: Vec<String>) -> Result<Report, Failure> {
    let owner = Owner::new("convert", args.force).reading([&*args.model]);
    let mut draft = Draft::create(&args.output, &[], &owner)?;
    let onnx = args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    draft.fill(match (&args.with, onnx) {
        (None, true) => network.to_onnx()?,
        (Some(names), true) => network.to_onnx_with(&Request::parse(names)?.value())?,
        (None, false) => model::to_bytes(network, &owner)?,
        (Some(names), false) => {
            let message =
                format!("--with {names}: a model file has no derivatives in it; give -o a name that ends in .onnx");
            return Err(Failure::Usage(message));
        }
    })?;
    let aside = draft.is_stdout();
    draft.finish()?;
    let path = args.output.display().to_string();
    let text = format!("{path}: {} ({})", dimensions(network), F::NAME);
    let json = json!({
        "model": path, "from": args.model.display().to_string(), "dim_input": network.dim_input(),
        "dim_output": network.dim_output(), "weights": network.n_weights(), "dtype": F::NAME,
    });
    Ok(Report::done(text, json).beside(aside).noting(notes))
}
