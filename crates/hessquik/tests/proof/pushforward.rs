//! Pushforwards are the transposes of pullbacks; derivatives of pullbacks are symmetric, and those of finite differences.
use crate::common;
use crate::graphs::{Random, lines};
use common::compare::inner;
use common::random::{self, Limits};
use common::{Ask, network, points};
use hessquik::{Error, Evaluate, Gradients, Jet, Network, Request, Tangent};
use ndarray::{Array1, Array2};
use proptest::prelude::*;

/// A tangent of points and weights.
struct Rates {
    x: Array2<f64>,
    weights: Array1<f64>,
}

impl Rates {
    fn new(net: &Network<f64>, x: &Array2<f64>, seed: u64) -> Self {
        Self { x: common::uniform(seed, 1.0, x.raw_dim()), weights: common::uniform(seed + 1, 1.0, net.n_weights()) }
    }

    fn both(&self) -> Tangent<'_, f64> {
        Tangent { input: Some(self.x.view()), weights: Some(self.weights.view()) }
    }

    /// The inner product with gradients, and the size of its terms.
    fn with(&self, g: &Gradients<f64>) -> (f64, f64) {
        let terms = || self.x.iter().zip(&g.input).chain(self.weights.iter().zip(&g.weights)).map(|(a, b)| a * b);
        (terms().sum(), terms().map(f64::abs).sum())
    }
}

/// `<bar, J t> = <J^T bar, t>`, with points and weights moving, or one of them.
pub fn transposed(net: &Network<f64>, x: &Array2<f64>, request: &Request<f64>, seed: u64) -> Result<(), TestCaseError> {
    let rates = Rates::new(net, x, seed);
    let both = net.pushforward(x, request, rates.both()).unwrap();
    let bar = Ask::cotangents(&both, seed);
    let gradients = net.pullback(x, request, &bar).unwrap();
    let (nothing, none) = (Array2::zeros(x.raw_dim()), Array1::zeros(net.n_weights()));
    let cases = [
        (both, rates.x.clone(), rates.weights.clone()),
        (net.pushforward(x, request, Tangent { weights: None, ..rates.both() }).unwrap(), rates.x.clone(), none),
        (net.pushforward(x, request, Tangent { input: None, ..rates.both() }).unwrap(), nothing, rates.weights.clone()),
    ];
    for (found, x, weights) in cases {
        let (wanted, size) = Rates { x, weights }.with(&gradients);
        let found = inner(&found, &bar);
        prop_assert!((found - wanted).abs() <= 1e-9 * size.max(1.0), "{found} for {wanted} of {size}, {request:?}");
    }
    Ok(())
}

/// The derivative of a pullback along a tangent.
pub fn second(net: &mut Network<f64>, x: &Array2<f64>, request: &Request<f64>, seed: u64) -> Result<(), TestCaseError> {
    let (s, t) = (Rates::new(net, x, seed), Rates::new(net, x, seed + 2));
    let bar = Ask::cotangents(&net.evaluate(x, request).unwrap(), seed);
    let along =
        |net: &Network<f64>, rates: &Rates| net.pullback_pushforward(x, request, &bar.view(), rates.both()).unwrap();
    let (of_s, of_t) = (along(net, &s), along(net, &t));
    let ((one, size), (other, _)) = (t.with(&of_s), s.with(&of_t));
    prop_assert!((one - other).abs() <= 1e-8 * size.max(1.0), "{one} and {other} of {size}, {request:?}");
    let theta = net.flat_weights();
    let mut at = |h: f64| {
        net.set_flat_weights((&theta + &(&s.weights * h)).view()).unwrap();
        t.with(&net.pullback(&(x + &(&s.x * h)), request, &bar).unwrap()).0
    };
    let mut difference = |h: f64| (at(h) - at(-h)) / (2.0 * h);
    let (coarse, fine) = (difference(2e-4), difference(1e-4));
    let wanted = (4.0 * fine - coarse) / 3.0;
    net.set_flat_weights(theta.view()).unwrap();
    // where the differences themselves are not settled there is nothing to compare with
    prop_assume!((fine - coarse).abs() < 1e-3 * size.max(1.0));
    let allowed = 1e-6 * size.max(1.0) + 0.2 * (fine - coarse).abs();
    prop_assert!((one - wanted).abs() <= allowed, "{one} for {wanted} of {size}, {request:?}");
    Ok(())
}

proptest! {
    #![proptest_config(random::config(60))]

    #[test]
    fn pushforwards_are_transposed_pullbacks(
        drawn in random::networks(Limits::SMALL),
        wish in random::wishes(),
        n_s in 1usize..40,
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        prop_assume!(random::tame(&net, &x));
        transposed(&net, &x, &wish.ask(drawn.d, drawn.m).request(), drawn.seed)?;
    }

    #[test]
    fn derivatives_of_pullbacks_are_symmetric(drawn in random::networks(Limits::SMALL), wish in random::wishes()) {
        let mut net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, 2, drawn.d);
        prop_assume!(random::tame(&net, &x));
        second(&mut net, &x, &wish.ask(drawn.d, drawn.m).request(), drawn.seed)?;
    }

    #[test]
    fn of_graphs_and_of_higher_orders(lines in lines(), seed in any::<u32>(), order in 1usize..4) {
        let mut net = Network::bare(Box::new(Random::<f64>::new(&lines, seed.into()))).unwrap();
        let d = lines.inputs();
        let x = points::<f64>(seed.into(), 3, d);
        let axes: Vec<Vec<usize>> = vec![(0..order).map(|a| a % d).collect(), vec![0; order]];
        let request = Request::new().value().any_partials(&axes).directional(2).laplacian();
        let jet = net.evaluate(&x, &request).unwrap();
        let tame = |a: &ndarray::ArrayD<f64>| a.iter().all(|f| f.abs() < 1e3);
        prop_assume!(tame(&jet.partials.unwrap().into_dyn()) && tame(&jet.directional.unwrap().into_dyn()));
        transposed(&net, &x, &request, seed.into())?;
        second(&mut net, &x, &request, seed.into())?;
    }
}

#[test]
fn tangents_of_other_shapes_are_errors() {
    let net =
        hessquik::fully_connected::<f64>(&[2, 3, 1], hessquik::Activation::Tanh, &mut hessquik::Init::seed(0)).unwrap();
    let (x, request) = (Array2::zeros((4, 2)), Request::new().value());
    let (wide, short) = (Array2::zeros((4, 3)), Array1::zeros(3));
    let of = |tangent| net.pushforward(&x, &request, tangent);
    let wide = of(Tangent { input: Some(wide.view()), weights: None });
    let short = of(Tangent { input: None, weights: Some(short.view()) });
    assert!(
        matches!(wide, Err(Error::Shape { .. })) && matches!(short, Err(Error::Shape { .. })),
        "{wide:?} {short:?}"
    );
    // nothing moves: nothing changes
    let still: Jet<f64> = of(Tangent { input: None, weights: None }).unwrap();
    assert_eq!(still.value.unwrap(), Array2::<f64>::zeros((4, 1)));
}
