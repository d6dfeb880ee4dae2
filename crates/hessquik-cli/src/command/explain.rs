//! `hessquik explain`: how a request would be computed, and what it costs.
use super::Report;
use crate::args::{Dtype, Explain};
use crate::element::Element;
use crate::failure::Failure;
use crate::model::Model;
use hessquik::Evaluate;

/// Plans the request without computing it.
pub fn run(args: &Explain) -> Result<Report, Failure> {
    let model = Model::read(&args.model)?;
    match model.precision(args.dtype)? {
        Dtype::F32 => explain::<f32>(args, &model),
        Dtype::F64 => explain::<f64>(args, &model),
    }
}

fn explain<F: Element>(args: &Explain, model: &Model) -> Result<Report, Failure> {
    let network = model.network::<F>()?;
    let resolved = args.wish.request(&network)?;
    let (network, request) = resolved.along(network)?;
    let explanation = network.explain(args.points, &request)?;
    let json = serde_json::to_value(&explanation).unwrap_or_default();
    let mut text = explanation.to_string();
    if args.steps {
        text.extend(explanation.steps.iter().map(|step| format!("{step}\n")));
    }
    Ok(Report::done(text, json).noting([model.remarks(), resolved.remarks].concat()))
}
