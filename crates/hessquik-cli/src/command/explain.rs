//! `hessquik explain`: how a request would be computed, and what it costs.
use super::Report;
use crate::args::{Dtype, Explain};
use crate::element::Element;
use crate::failure::Failure;
use crate::model::Model;
use crate::output::Owner;
use crate::pictures::{Bars, Plot};
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
    let plot = Plot::maybe(args.plot.as_deref(), &Owner::new("explain", args.force).reading([&*args.model]))?;
    let resolved = args.wish.request(&network)?;
    let (network, request) = resolved.along(network)?;
    let explanation = network.explain(args.points, &request)?;
    let json = serde_json::to_value(&explanation).unwrap_or_default();
    let mut text = explanation.to_string();
    if args.steps {
        text.extend(explanation.steps.iter().map(|step| format!("{step}\n")));
    }
    let title = format!("Predicted time, {}, one thread", super::count(args.points, "point"));
    let bars = explanation.results.iter().flat_map(|(result, candidates)| {
        let all = candidates.iter();
        all.map(move |c| (format!("{result}, {}: {}", c.name, c.plan), 1e3 * c.seconds))
    });
    let picture = Bars { title, axis: "milliseconds".into(), bars: bars.collect() };
    if plot.is_some() && picture.bars.is_empty() {
        let why = "--plot: there are no plans to compare: the request has no second derivatives, or goes by a schedule";
        return Err(Failure::Usage(why.into()));
    }
    let aside = Plot::finish(plot, &picture)?;
    Ok(Report::done(text, json).beside(aside).noting([model.remarks(), resolved.remarks].concat()))
}
