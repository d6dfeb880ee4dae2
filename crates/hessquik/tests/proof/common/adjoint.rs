//! Gradients of losses against the oracle, weight by weight.
use super::compare::{absolute, inner};
use super::{Ask, Model, Named, Worst, differentiate_along, named};
use hessquik::{Gradients, Jet, Layer, Network};
use ndarray::{Array2, s};

/// Checks `found`, the pullback of the cotangents `bar`, along one random direction of every weight and one of `x`:
/// each must be <bar, derivative of the jet along it>, which nested dual numbers give to full precision.
pub fn directional<M: Model>(
    model: &M,
    net: &Network<f64>,
    x: &Array2<f64>,
    ask: &Ask,
    bar: &Jet<f64>,
    found: &Gradients<f64>,
    seed: u64,
) -> Worst {
    let (weights, mut worst) = (named(net), Worst::default());
    let still: Named<f64> = weights.iter().map(|(n, w)| (n.clone(), w.mapv(|_| 0.0))).collect();
    let mut compare = |name: &str, dw: &Named<f64>, dx: &Array2<f64>, found: f64| {
        let change = differentiate_along(model, &weights, x, dw, dx);
        let wanted = inner(&ask.contract(&change), bar);
        let size = inner(&ask.magnitude(&change), &absolute(bar));
        let error = if found == wanted { 0.0 } else { (found - wanted).abs() / size };
        let error = if error.is_nan() { f64::INFINITY } else { error };
        worst.join(Worst { error, place: format!("the gradient of {name}: {found:e} for {wanted:e}") });
    };
    let mut start = 0;
    for (i, (name, w)) in net.weights().into_iter().enumerate() {
        let direction = super::uniform(seed + i as u64, 1.0, w.raw_dim());
        let gradient = found.weights.slice(s![start..start + w.len()]);
        let slope = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let mut dw = still.clone();
        dw.insert(name.clone(), direction);
        compare(&name, &dw, &x.mapv(|_| 0.0), slope);
        start += w.len();
    }
    assert_eq!(start, found.weights.len());
    let dx: Array2<f64> = super::uniform(seed + 99, 1.0, x.raw_dim());
    compare("x", &still, &dx, (&found.input * &dx).sum());
    worst
}
