//! Every plan of a case, measured in turns: is the one that the cost model picks the fastest?
use crate::worker::number;
use crate::{Answer, OursCase, times};
use hessquik::{Evaluate, Mode, Plan, Real, Request};
use serde_json::{Value, json};
use std::time::Instant;

/// Above this many plans only the likeliest are measured.
const ALL: usize = 200;
/// How many of those there are.
const LIKELY: usize = 60;

/// Every plan of a network of `depth` layers.
fn all(depth: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for prefix in 0..=depth {
        let places: Vec<usize> = (prefix + 1..depth).collect();
        for choice in 0..1u64 << places.len() {
            let chosen = places.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|(_, &p)| p);
            plans.push(Plan::new(prefix, chosen.collect::<Vec<_>>()));
        }
    }
    plans
}

/// All plans; of too many the cheapest by the cost model, the named ones, and all with one pivot.
fn candidates<F: Real>(case: &OursCase<F>, depth: usize) -> Result<Vec<Plan>, hessquik::Error> {
    let plans = all(depth);
    if plans.len() <= ALL {
        return Ok(plans);
    }
    let network = &case.points.network;
    let cost = |plan: Plan| {
        let request = case.request.clone().mode(Mode::Plan(plan.clone()));
        let seconds = network.explain(case.points.x.nrows(), &request)?.results[0].1[0].seconds;
        Ok((seconds, plan))
    };
    let mut ranked = plans.into_iter().map(cost).collect::<Result<Vec<_>, hessquik::Error>>()?;
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut chosen: Vec<Plan> = ranked.into_iter().take(LIKELY).map(|(_, plan)| plan).collect();
    let pivots = (1..depth).map(|p| Plan::new(0, [p]));
    let named = [Plan::sites(), Plan::backward(depth), Plan::forward(depth)];
    for plan in named.into_iter().chain(pivots) {
        if !chosen.contains(&plan) {
            chosen.push(plan);
        }
    }
    Ok(chosen)
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Times every plan in turns for `budget` seconds in all; plans twice as slow as the fastest drop out after the first
/// turn, the others are timed at least `least` times.
pub(crate) fn sweep<F: Real>(case: &mut OursCase<F>, request: &Value) -> Answer {
    let (budget, least) = (number(request, "budget")?, number(request, "least")? as usize);
    let points = case.points.x.nrows();
    let depth = case.points.network.explain(points, &case.request)?.layers.len();
    let auto = case.points.network.plan(&case.request)?;
    let mut plans = candidates(case, depth)?;
    let considered = plans.len();
    plans.retain(|plan| *plan != auto);
    plans.insert(0, auto);

    let requests: Vec<Request<F>> = plans.iter().map(|p| case.request.clone().mode(Mode::Plan(p.clone()))).collect();
    let start = Instant::now();
    let mut first = Vec::new();
    for request in &requests {
        case.with(request)?; // warm
        first.push(times(1e-3, 1, 20, || case.with(request))?.into_iter().fold(f64::INFINITY, f64::min));
    }
    let fastest = first.iter().copied().fold(f64::INFINITY, f64::min);
    let live: Vec<usize> = (0..plans.len()).filter(|&i| i == 0 || first[i] < 2.0 * fastest).collect();
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); plans.len()];
    let mut turns = 0;
    while turns < least || (turns < 200 && start.elapsed().as_secs_f64() < budget) {
        for &i in &live {
            // calls of microseconds are repeated within a turn, for caches to settle
            samples[i].extend(times(2e-4, 1, 10, || case.with(&requests[i]))?);
        }
        turns += 1;
    }
    let medians: Vec<(usize, f64)> = live.iter().map(|&i| (i, median(&mut samples[i]))).collect();
    let best = medians.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).expect("the automatic plan is among them");
    let table: Vec<Value> = medians.iter().map(|(i, s)| json!([plans[*i].to_string(), s])).collect();
    Ok(json!({
        "plans": considered, "turns": turns, "auto": plans[0].to_string(), "auto_seconds": medians[0].1,
        "best": plans[best.0].to_string(), "best_seconds": best.1, "ratio": medians[0].1 / best.1, "table": table,
    }))
}
