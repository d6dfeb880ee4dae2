//! Products with more vectors than there are inputs: taken of the whole Hessian where that costs less, with equal results
//! and pullbacks.
use crate::as_graph::AsGraph;
use hessquik::layer::{ModifiedMlp, ModifiedMlpSpec};
use hessquik::{
    Activation, ActivationSpec, Evaluate, Init, Jet, Layer, Mode, Network, Request, Single, fully_connected,
};
use ndarray::{Array2, ArrayD, s};

/// A modified MLP, a chain, and this chain as a graph.
fn networks() -> Vec<Network<f64>> {
    let init = &mut Init::seed(3);
    let gated = ModifiedMlpSpec { in_features: 3, width: 5, depth: 2, act: ActivationSpec::Tanh };
    let gated: Vec<Box<dyn Layer<f64>>> =
        vec![Box::new(ModifiedMlp::new(gated, init).unwrap()), Box::new(Single::new(5, 2, Activation::Identity, init))];
    let chain = fully_connected(&[3, 6, 6, 2], Activation::Sin, init).unwrap();
    let graph = Network::bare(Box::new(AsGraph(chain.clone()))).unwrap();
    vec![Network::new(gated).unwrap(), chain, graph]
}

fn apart<D: ndarray::Dimension>(a: &ndarray::Array<f64, D>, b: &ndarray::Array<f64, D>) -> f64 {
    let size = b.fold(0.0f64, |m, v| m.max(v.abs()));
    (a - b).fold(0.0f64, |m, v| m.max(v.abs())) / size
}

#[test]
fn many_products_are_those_of_the_hessian() {
    let x: Array2<f64> = Init::seed(1).uniform((9, 3), -1.0, 1.0);
    for kw in [2, 3, 4, 40] {
        let w: Array2<f64> = Init::seed(2).uniform((kw, 3), -1.0, 1.0);
        for net in networks() {
            let (_, _, hessian) = net.hessian(&x).unwrap();
            let request = Request::new().products(w.clone());
            let found = net.evaluate(&x, &request).unwrap().products.unwrap();
            assert_eq!(found.shape(), [9, 3, kw, 2]);
            for (n, b, r) in triples(9, kw, 2) {
                let wanted = hessian.slice(s![n, .., .., r]).dot(&w.row(b));
                let got = found.slice(s![n, .., b, r]).to_owned();
                assert!(apart(&got, &wanted) < 1e-12, "{kw}");
            }
            // beside the Hessian, and in the other modes
            let both = net.evaluate(&x, &request.clone().hessian()).unwrap();
            assert!(apart(&both.products.unwrap(), &found) < 1e-12 && apart(&both.hessian.unwrap(), &hessian) < 1e-12);
            for mode in [Mode::Forward, Mode::Backward, Mode::Sites] {
                let other = net.evaluate(&x, &request.clone().mode(mode)).unwrap().products.unwrap();
                assert!(apart(&other, &found) < 1e-12);
            }
            // sum of p . (H w^T) over all entries is that of (p w) . H
            let p: ArrayD<f64> = Init::seed(4).uniform(vec![9, 3, kw, 2], -1.0, 1.0);
            let p = p.into_dimensionality::<ndarray::Ix4>().unwrap();
            let mut of_hessian = hessian.clone();
            for (n, a, r) in triples(9, 3, 2) {
                of_hessian.slice_mut(s![n, a, .., r]).assign(&p.slice(s![n, a, .., r]).dot(&w));
            }
            let bar = Jet { products: Some(p), ..Jet::default() };
            let found = net.pullback(&x, &request, &bar).unwrap();
            let bar = Jet { hessian: Some(of_hessian), ..Jet::default() };
            let wanted = net.pullback(&x, &Request::new().hessian(), &bar).unwrap();
            assert!(apart(&found.weights, &wanted.weights) < 1e-11 && apart(&found.input, &wanted.input) < 1e-11);
        }
    }
}

/// All triples of numbers below these.
fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

#[test]
fn it_is_the_hessian_that_they_are_taken_of() {
    let request = Request::new().products(Init::seed(0).uniform((40, 3), -1.0, 1.0));
    let steps = networks()[0].explain(1000, &request).unwrap().steps;
    assert!(
        steps.iter().any(|step| step.step.contains("product") && step.step.contains("(6, 3) (3, 40)")),
        "{steps:?}"
    );
}
