//! `hessquik explain`: how a request would be computed, and what it costs.
use super::{Report, precision};
use crate::args::{Dtype, Explain};
use crate::element::Element;
use crate::failure::Failure;
use hessquik::{Evaluate, Network};

/// Plans the request without computing it.
pub fn run(args: &Explain) -> Result<Report, Failure> {
    match precision(args.dtype, &args.model)? {
        Dtype::F32 => explain::<f32>(args),
        Dtype::F64 => explain::<f64>(args),
    }
}

fn explain<F: Element>(args: &Explain) -> Result<Report, Failure> {
    let network = Network::<F>::load(&args.model)?;
    let explanation = network.explain(args.points, &args.wish.request(&network)?)?;
    let json = serde_json::to_value(&explanation).unwrap_or_default();
    Ok(Report::done(explanation.to_string(), json))
}
