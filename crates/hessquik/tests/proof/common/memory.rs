//! Whether working memory that is used again carries anything over.
use super::Ask;
use super::compare::{fields, map_fields};
use hessquik::{Evaluate, Jet, Layer, Network, Request};
use ndarray::{Array2, ArrayD};

/// Fails if a network that was used before, for other requests and at points that are no numbers, gives other bits than
/// a fresh one: whatever a sweep reads without writing it first is then no number.
pub fn nothing_is_carried_over(net: &Network<f64>, x: &Array2<f64>, asks: &[Ask]) {
    let (d, m) = (net.dim_input(), net.dim_output());
    let fresh = || {
        let mut net = net.clone();
        net.set_flat_weights(net.flat_weights().view()).unwrap(); // drops all that was kept
        net
    };
    let used = fresh();
    for ask in asks {
        spoil(&used, d, m);
        let request = ask.request();
        assert_eq!(bits(&used, x, &request), bits(&fresh(), x, &request), "{ask:?}");
        // the factored Hessian is there for some networks only, has no pullback, and stands alone
        let factored = |net: &Network<f64>| {
            let request = Request::new().factored().mode(ask.mode.clone());
            net.evaluate(x, &request).ok().map(|jet| to_bits(&jet.factored.unwrap().core.into_dyn()))
        };
        spoil(&used, d, m);
        assert_eq!(factored(&used), factored(&fresh()), "factored {:?}", ask.mode);
    }
}

/// Evaluates and pulls back at points that are no numbers, with other directions and outputs, by several plans.
fn spoil(net: &Network<f64>, d: usize, m: usize) {
    let modes = [hessquik::Mode::Forward, hessquik::Mode::Backward, hessquik::Mode::Sites];
    for (i, mode) in modes.into_iter().enumerate() {
        let (k, q) = (1 + (d + i) % 5, 1 + (m + i) % 4);
        let ask = Ask {
            directions: Some(super::uniform(i as u64, 1.0, (k, d))),
            outputs: Some(super::uniform(i as u64, 1.0, (m, q))),
            ..Ask::everything(i as u64, k, d)
        };
        let x = Array2::from_elem((7, d), f64::NAN);
        for ask in [ask.clone(), Ask { packed: true, ..Ask::default() }, Ask { laplacian: true, ..Ask::default() }] {
            let request = ask.mode(mode.clone()).request();
            let jet = net.evaluate(&x, &request).unwrap();
            net.pullback(&x, &request, &jet).unwrap();
        }
    }
}

fn to_bits(a: &ArrayD<f64>) -> Vec<u64> {
    a.iter().map(|a| a.to_bits()).collect()
}

/// All results and gradients of a request, to the last bit.
fn bits(net: &Network<f64>, x: &Array2<f64>, request: &Request<f64>) -> Vec<Vec<u64>> {
    let jet = net.evaluate(x, request).unwrap();
    let bar: Jet<f64> = map_fields!(jet, |a| super::uniform(9, 1.0, a.raw_dim()));
    let gradients = net.pullback(x, request, &bar).unwrap();
    let mut all: Vec<Vec<u64>> = fields(&jet).iter().map(|(_, a)| to_bits(a)).collect();
    all.push(to_bits(&gradients.weights.into_dyn()));
    all.push(to_bits(&gradients.input.into_dyn()));
    all
}
