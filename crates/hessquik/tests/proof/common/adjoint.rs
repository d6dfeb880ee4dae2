//! Gradients of losses against the oracle, weight by weight.
use super::compare::{absolute, inner};
use super::oracle::slack_along;
use super::{Ask, Jets, Model, Named, Worst, differentiate_along, named};
use hessquik::{Architecture, Gradients, Jet, Layer, Network, Real};
use ndarray::{Array1, Array2};

/// The derivatives of <bar, jet> along one random direction of every weight and one of `x`, by nested dual numbers.
pub struct Slopes {
    slopes: Vec<Slope>,
}

struct Slope {
    name: String,
    /// Where in the flat vector of weights, and the direction there; of `x` if this is `None`.
    start: Option<usize>,
    direction: Array1<f64>,
    wanted: f64,
    /// The size of the terms that `wanted` is the sum of.
    size: f64,
}

impl Slopes {
    /// For any model.
    pub fn new<M: Model>(model: &M, net: &Network<f64>, x: &Array2<f64>, ask: &Ask, bar: &Jet<f64>, seed: u64) -> Self {
        let change =
            |w: &Named<f64>, dw: &Named<f64>, dx: &Array2<f64>| (differentiate_along(model, w, x, dw, dx), None);
        Self::of(net, x, ask, bar, seed, change)
    }

    /// For a network of the library's own layers, with an allowance for rounding at this tolerance.
    pub fn with_slack(
        architecture: &Architecture,
        net: &Network<f64>,
        x: &Array2<f64>,
        (ask, bar): (&Ask, &Jet<f64>),
        seed: u64,
        tolerance: f64,
    ) -> Self {
        let change = |w: &Named<f64>, dw: &Named<f64>, dx: &Array2<f64>| {
            let change = differentiate_along(architecture, w, x, dw, dx);
            let slack = slack_along(architecture, w, x, (dw, dx), &change, tolerance);
            (change, Some(slack))
        };
        Self::of(net, x, ask, bar, seed, change)
    }

    fn of(
        net: &Network<f64>,
        x: &Array2<f64>,
        ask: &Ask,
        bar: &Jet<f64>,
        seed: u64,
        change: impl Fn(&Named<f64>, &Named<f64>, &Array2<f64>) -> (Jets, Option<Jets>),
    ) -> Self {
        let weights = named(net);
        let still: Named<f64> = weights.iter().map(|(n, w)| (n.clone(), w.mapv(|_| 0.0))).collect();
        let slope = |dw: &Named<f64>, dx: &Array2<f64>| {
            let (change, slack) = change(&weights, dw, dx);
            let terms = ask.magnitude_with(&change, slack.as_ref());
            (inner(&ask.contract(&change), bar), inner(&terms, &absolute(bar)))
        };
        let (mut slopes, mut start) = (Vec::new(), 0);
        for (i, (name, w)) in net.weights().into_iter().enumerate() {
            let direction = super::uniform(seed + i as u64, 1.0, w.raw_dim());
            let mut dw = still.clone();
            dw.insert(name.clone(), direction.clone());
            let (wanted, size) = slope(&dw, &x.mapv(|_| 0.0));
            let direction: Array1<f64> = direction.iter().copied().collect();
            slopes.push(Slope { name, start: Some(start), direction, wanted, size });
            start += w.len();
        }
        let dx: Array2<f64> = super::uniform(seed + 99, 1.0, x.raw_dim());
        let (wanted, size) = slope(&still, &dx);
        let direction = dx.iter().copied().collect();
        slopes.push(Slope { name: "x".into(), start: None, direction, wanted, size });
        Self { slopes }
    }

    /// The worst error of `found` along these directions.
    pub fn check<F: Real>(&self, found: &Gradients<F>) -> Worst {
        let mut worst = Worst { error: 0.0, place: "the gradient (all slopes equal)".into() };
        for s in &self.slopes {
            let gradient: Vec<f64> = match s.start {
                Some(start) => found.weights.iter().skip(start).map(|g| g.as_f64()).collect(),
                None => found.input.iter().map(|g| g.as_f64()).collect(),
            };
            let along: f64 = gradient.iter().zip(&s.direction).map(|(g, d)| g * d).sum();
            let error = if along == s.wanted { 0.0 } else { (along - s.wanted).abs() / s.size };
            let error = if error.is_nan() { f64::INFINITY } else { error };
            worst.join(Worst { error, place: format!("the gradient of {}: {along:e} for {:e}", s.name, s.wanted) });
        }
        worst
    }
}
