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
/// So many are tried, however long they take; of more than four the faster half goes on.
const FEWEST: usize = 16;
const FINALISTS: usize = 4;
/// Within this of the fastest, the automatic plan leads.
const LEADS: f64 = 1.02;

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

/// All plans, the cheapest by the cost model first; of too many only those, and the named ones, and all with one pivot.
fn candidates<F: Real>(case: &OursCase<F>, depth: usize) -> Result<Vec<Plan>, hessquik::Error> {
    let network = &case.points.network;
    let cost = |plan: Plan| {
        let request = case.request.clone().mode(Mode::Plan(plan.clone()));
        let seconds = network.explain(case.points.x.nrows(), &request)?.results[0].1[0].seconds;
        Ok((seconds, plan))
    };
    let mut ranked = all(depth).into_iter().map(cost).collect::<Result<Vec<_>, hessquik::Error>>()?;
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut plans: Vec<Plan> = ranked.into_iter().map(|(_, plan)| plan).collect();
    if plans.len() > ALL {
        plans.truncate(LIKELY);
        let pivots = (1..depth).map(|p| Plan::new(0, [p]));
        let named = [Plan::sites(), Plan::backward(depth), Plan::forward(depth)];
        for plan in named.into_iter().chain(pivots) {
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
    }
    Ok(plans)
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Plans that run against each other; the automatic one is the first.
struct Race<'a, F> {
    case: &'a mut OursCase<F>,
    requests: Vec<Request<F>>,
    samples: Vec<Vec<f64>>,
    live: Vec<usize>,
}

impl<F: Real> Race<'_, F> {
    /// Every plan once, for `budget` seconds in all but [`FEWEST`] in any case; half as fast as the fastest and slower
    /// ones drop out.
    fn heats(&mut self, budget: f64) -> Result<(), hessquik::Error> {
        let (start, mut first) = (Instant::now(), Vec::new());
        for request in &self.requests {
            if first.len() >= FEWEST && start.elapsed().as_secs_f64() > budget {
                break;
            }
            let fastest = first.iter().copied().fold(f64::INFINITY, f64::min);
            let mut best = times(0.0, 1, 1, || self.case.with(request))?[0];
            // a first call is slower, by its memory and by what it resolves; but not by far where it is long
            if best < 0.02 || best < 2.0 * fastest {
                best = times(1e-3, 1, 20, || self.case.with(request))?.into_iter().fold(best, f64::min);
            }
            first.push(best);
        }
        let fastest = first.iter().copied().fold(f64::INFINITY, f64::min);
        self.live = (0..first.len()).filter(|&i| i == 0 || first[i] < 2.0 * fastest).collect();
        Ok(())
    }

    /// Every plan that is left, in turns.
    fn turn(&mut self) -> Result<(), hessquik::Error> {
        for &i in &self.live {
            // calls of microseconds are repeated within a turn, for caches to settle
            self.samples[i].extend(times(2e-4, 1, 10, || self.case.with(&self.requests[i]))?);
        }
        Ok(())
    }

    /// Medians of those that are left, the fastest first.
    fn standing(&self) -> Vec<(usize, f64)> {
        let mut standing: Vec<_> = self.live.iter().map(|&i| (i, median(&self.samples[i]))).collect();
        standing.sort_by(|a, b| a.1.total_cmp(&b.1));
        standing
    }

    /// The faster half goes on, and the automatic plan.
    fn halve(&mut self) {
        let half = self.live.len().div_ceil(2);
        self.live = self.standing().iter().take(half).map(|&(i, _)| i).collect();
        if !self.live.contains(&0) {
            self.live.push(0);
        }
    }

    /// Whether the automatic plan is about the fastest.
    fn led(&self) -> bool {
        median(&self.samples[0]) <= LEADS * self.standing()[0].1
    }
}

/// Times plans in turns, the slower half dropping out again and again, until few are left; those take `least` turns, and
/// more for `most` seconds in all where the automatic one does not lead.
pub(crate) fn sweep<F: Real>(case: &mut OursCase<F>, request: &Value) -> Answer {
    let (budget, most) = (number(request, "budget")?, number(request, "most")?);
    let least = number(request, "least")? as usize;
    let points = case.points.x.nrows();
    let depth = case.points.network.explain(points, &case.request)?.layers.len();
    let auto = case.points.network.plan(&case.request)?;
    let mut plans = candidates(case, depth)?;
    plans.retain(|plan| *plan != auto);
    plans.insert(0, auto);

    let requests: Vec<_> = plans.iter().map(|p| case.request.clone().mode(Mode::Plan(p.clone()))).collect();
    let start = Instant::now();
    let mut race = Race { case, requests, samples: vec![Vec::new(); plans.len()], live: Vec::new() };
    race.heats(budget)?;
    let entered = race.live.len();
    while race.live.len() > FINALISTS {
        race.turn()?;
        race.turn()?;
        race.halve();
    }
    let mut turns = 0;
    while turns < least || (turns < 200 && start.elapsed().as_secs_f64() < most && !race.led()) {
        race.turn()?;
        turns += 1;
    }
    let (standing, auto_seconds) = (race.standing(), median(&race.samples[0]));
    let (best, best_seconds) = standing[0];
    let table: Vec<Value> = standing.iter().map(|&(i, s)| json!([plans[i].to_string(), s])).collect();
    Ok(json!({
        "plans": plans.len(), "close": entered, "turns": turns, "seconds": start.elapsed().as_secs_f64(),
        "auto": plans[0].to_string(), "auto_seconds": auto_seconds, "best": plans[best].to_string(),
        "best_seconds": best_seconds, "ratio": auto_seconds / best_seconds, "table": table,
    }))
}
