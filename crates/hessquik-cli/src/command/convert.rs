//! `hessquik convert`: any model that can be read, as a model file or as an ONNX model.
use super::{Report, dimensions};
use crate::args::{Convert, Dtype};
use crate::element::Element;
use crate::failure::Failure;
use crate::model::{self, Model};
use crate::output::{Draft, Owner};
use hessquik::{Layer, Network, Request};
use serde_json::json;

/// Reads the network and saves it.
pub fn run(args: &Convert) -> Result<Report, Failure> {
    let model = Model::read(&args.model)?;
    match model.precision(args.dtype)? {
        Dtype::F32 => convert::<f32>(args, &model),
        Dtype::F64 => convert::<f64>(args, &model),
    }
}

fn convert<F: Element>(args: &Convert, model: &Model) -> Result<Report, Failure> {
    let network: Network<F> = model.network()?;
    let owner = Owner::new("convert", args.force);
    let mut draft = Draft::create(&args.output, &[], &owner)?;
    let onnx = args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    draft.fill(match (&args.with, onnx) {
        (None, true) => network.to_onnx()?,
        (Some(names), true) => network.to_onnx_with(&Request::parse(names)?.value())?,
        (None, false) => model::to_bytes(&network, &owner)?,
        (Some(names), false) => {
            let message =
                format!("--with {names}: a model file has no derivatives in it; give -o a name that ends in .onnx");
            return Err(Failure::Usage(message));
        }
    })?;
    let aside = draft.is_stdout();
    draft.finish()?;
    let path = args.output.display().to_string();
    let text = format!("{path}: {} ({})", dimensions(&network), F::NAME);
    let json = json!({
        "model": path, "from": args.model.display().to_string(), "dim_input": network.dim_input(),
        "dim_output": network.dim_output(), "weights": network.n_weights(), "dtype": F::NAME,
    });
    Ok(Report::done(text, json).beside(aside).noting(model.remarks()))
}
