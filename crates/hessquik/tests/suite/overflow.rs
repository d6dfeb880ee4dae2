//! Every mode gives the Hessian where it is finite, though one of them overflows on its way there.

use crate::as_graph::AsGraph;
use hessquik::{Activation, Evaluate, Init, Jet, Layer, Mode, Network, Real, Request, Resnet, Single};
use ndarray::{Array2, ArrayD};

const MODES: [Mode; 4] = [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites];

/// A network whose layers' matrices are multiplied by these factors.
fn scaled<F: Real>(layers: Vec<Box<dyn Layer<F>>>, factors: &[f64]) -> Network<F> {
    let mut network = Network::new(layers).expect("valid");
    let of_layer = |name: &str| name.split('.').next().and_then(|i| i.parse::<usize>().ok()).expect("a position");
    let scaled: Vec<(String, ArrayD<F>)> = network
        .weights()
        .into_iter()
        .filter(|(name, _)| name.ends_with('K'))
        .map(|(name, w)| (name.clone(), w.mapv(|w| w * F::of(factors[of_layer(&name)]))))
        .collect();
    scaled.iter().for_each(|(name, w)| network.set_weight(name, w.view()).expect("its own name"));
    network
}

fn single<F: Real>(n: usize, m: usize, act: Activation, init: &mut Init) -> Box<dyn Layer<F>> {
    Box::new(Single::new(n, m, act, init))
}

/// Networks that go through large numbers: large first layers, small ones after them, and the other way round.
fn networks<F: Real>(large: f64) -> Vec<(&'static str, Network<F>, Array2<F>)> {
    let init = &mut Init::seed(2);
    let far = |factors: &[f64], sizes: [usize; 4], init: &mut Init| {
        let act = |i: usize| if i == 2 { Activation::Identity } else { Activation::Tanh };
        let layers = sizes.windows(2).enumerate().map(|(i, s)| single(s[0], s[1], act(i), init)).collect();
        scaled(layers, factors)
    };
    let x = |n: usize, d: usize, size: f64| {
        let x: Array2<f64> = Init::seed(7).uniform((n, d), -size, size);
        x.mapv(F::of)
    };
    let residual: Vec<Box<dyn Layer<F>>> = vec![
        single(3, 20, Activation::Tanh, init),
        Box::new(Resnet::new(20, 0.5, Activation::Tanh, init)),
        single(20, 2, Activation::Identity, init),
    ];
    // small all through the first layer, its shift too, so that the second is not saturated
    let mut backwards = far(&[1.0 / large, large, large], [3, 16, 16, 2], init);
    let shift = backwards.weight("0.b").expect("there").mapv(|b| b * F::of(1.0 / large));
    backwards.set_weight("0.b", shift.view()).expect("of this shape");
    let chains = vec![
        ("narrow", far(&[large, 1.0 / large, 1.0], [2, 5, 5, 1], init), x(21, 2, 1.0 / large)),
        ("wide", far(&[large, 1.0 / large, 1.0], [3, 32, 32, 2], init), x(21, 3, 1.0 / large)),
        ("many inputs", far(&[large, 1.0 / large, 1.0], [40, 12, 12, 2], init), x(5, 40, 1.0 / large)),
        ("residual", scaled(residual, &[large, 1.0, 1.0 / large]), x(9, 3, 1.0 / large)),
        // adjoints overflow where tangents are small
        ("backwards", backwards, x(9, 3, 1.0)),
    ];
    let graph = |network: &Network<F>| Network::bare(Box::new(AsGraph(network.clone()))).expect("valid");
    let graphs: Vec<_> = chains.iter().map(|(name, network, x)| (*name, graph(network), x.clone())).collect();
    chains.into_iter().chain(graphs).collect()
}

fn every_mode_agrees<F: Real>(large: f64, tolerance: f64) {
    for (name, network, x) in networks::<F>(large) {
        let double: Network<f64> = network.cast().expect("built in");
        let d = x.ncols();
        let wanted = double
            .evaluate(&x.mapv(|x| x.as_f64()), &Request::new().hessian().laplacian())
            .expect("valid")
            .hessian
            .expect("asked for");
        let most = wanted.iter().fold(0.0, |m: f64, h| m.max(h.abs()));
        assert!(most < F::max_value().as_f64() && most > 0.0, "{name}: the Hessian is in range: {most:e}");
        let weights = Array2::from_shape_fn((d, d), |(i, j)| F::of(((i * d + j) as f64).sin()));
        for mode in MODES {
            let request = Request::new().hessian().mode(mode.clone());
            let hessian = network.evaluate(&x, &request).expect("valid").hessian.expect("asked for");
            for (found, wanted) in hessian.iter().zip(&wanted) {
                let error = (found.as_f64() - wanted).abs() / most;
                assert!(error < tolerance, "{name} {mode:?}: {found:e} for {wanted:e}");
            }
            let request = Request::new().laplacian().operator(weights.clone()).mode(mode.clone());
            let jet = network.evaluate(&x, &request).expect("valid");
            for ((s, r), found) in jet.laplacian.expect("asked for").indexed_iter() {
                let wanted: f64 = (0..d).map(|i| wanted[[s, i, i, r]]).sum();
                let error = (found.as_f64() - wanted).abs() / (most * d as f64);
                assert!(error < tolerance, "{name} {mode:?} laplacian: {found:e} for {wanted:e}");
            }
            for ((s, r), found) in jet.operator.expect("asked for").indexed_iter() {
                let pairs = (0..d).flat_map(|i| (0..d).map(move |j| (i, j)));
                let wanted: f64 = pairs.map(|(i, j)| weights[[i, j]].as_f64() * wanted[[s, i, j, r]]).sum();
                let error = (found.as_f64() - wanted).abs() / (most * (d * d) as f64);
                assert!(error < tolerance, "{name} {mode:?} operator: {found:e} for {wanted:e}");
            }
            let diagonal = network.evaluate(&x, &Request::new().diagonal().partials(&[(0, 1)]).mode(mode.clone()));
            let diagonal = diagonal.expect("valid").diagonal.expect("asked for");
            assert!(diagonal.iter().all(|x| x.is_finite()), "{name} {mode:?}");
        }
    }
}

#[test]
fn modes_agree_where_one_of_them_overflows() {
    every_mode_agrees::<f32>(1e20, 1e-4);
    every_mode_agrees::<f64>(1e160, 1e-11);
    // nothing overflows
    every_mode_agrees::<f32>(1e3, 1e-4);
}

/// A point that is no number spoils its own results alone, and points that overflow do not change their neighbours'.
#[test]
fn neighbours_keep_their_bits() {
    for (name, network, x) in networks::<f32>(1e20).into_iter().take(2) {
        let d = x.ncols();
        let mut mixed = Array2::zeros((x.nrows() + 2, d));
        mixed.slice_mut(ndarray::s![1..=x.nrows(), ..]).assign(&x);
        mixed.row_mut(0).fill(f32::NAN);
        mixed.row_mut(x.nrows() + 1).fill(1e-3);
        for mode in MODES {
            let request = Request::new().value().hessian().mode(mode.clone());
            let of = |x: &Array2<f32>| network.evaluate(x, &request).expect("valid").hessian.expect("asked for");
            let (alone, together) = (of(&x), of(&mixed));
            let middle = together.slice(ndarray::s![1..=x.nrows(), .., .., ..]);
            assert!(alone.iter().zip(&middle).all(|(a, b)| a == b), "{name} {mode:?}");
            assert!(together.index_axis(ndarray::Axis(0), 0).iter().all(|h| h.is_nan()), "{name} {mode:?}");
        }
    }
}

/// The gradient to the points is finite in every mode, though some weights' is not.
#[test]
fn pullbacks_go_by_the_plan_that_works() {
    for (name, network, x) in networks::<f64>(1e160).into_iter().take(4) {
        let request = |mode| Request::new().laplacian().mode(mode);
        let outputs = network.layers().last().expect("layers").dim_output();
        let bar = Jet { laplacian: Some(Array2::ones((x.nrows(), outputs))), ..Jet::default() };
        let pullback = |mode| network.pullback(&x, &request(mode), &bar).expect("valid");
        let wanted = pullback(Mode::Sites);
        for mode in MODES {
            let found = pullback(mode.clone());
            for (found, wanted) in found.weights.iter().zip(&wanted.weights) {
                assert!(!wanted.is_finite() || found.is_finite(), "{name} {mode:?}: {found:e} for {wanted:e}");
            }
        }
    }
}

/// Of no entries there is nothing to compute: neither results nor gradients fail, in any mode.
#[test]
fn nothing_of_the_hessian() {
    let network = networks::<f64>(1.0).swap_remove(1).1;
    let x: Array2<f64> = Init::seed(1).uniform((5, 3), -1.0, 1.0);
    let mut modes: Vec<Mode> = MODES.into();
    modes.extend([Mode::Plan(hessquik::Plan::new(1, [2])), Mode::Plan(hessquik::Plan::new(2, []))]);
    for mode in modes {
        for (name, request) in [
            ("partials", Request::new().partials(&[])),
            ("block", Request::new().block(&[], &[])),
            ("rows alone", Request::new().block(&[0, 1], &[])),
            ("both", Request::new().partials(&[]).block(&[], &[2])),
            ("with the value", Request::new().value().gradient().partials(&[])),
            ("with the Laplacian", Request::new().laplacian().partials(&[]).block(&[], &[])),
            ("with the diagonal", Request::new().diagonal().laplacian().block(&[], &[])),
        ] {
            let request = request.mode(mode.clone());
            let jet = network.evaluate(&x, &request).expect("valid");
            if let Some(partials) = &jet.partials {
                assert_eq!(partials.dim(), (5, 0, 2), "{name} {mode:?}");
            }
            let gradients = network.pullback(&x, &request, &jet).expect("valid");
            assert_eq!(gradients.input.dim(), (5, 3), "{name} {mode:?}");
            if jet.value.is_none() && jet.laplacian.is_none() {
                assert!(gradients.input.iter().chain(&gradients.weights).all(|g| *g == 0.0), "{name} {mode:?}");
            }
            assert!(!network.explain(5, &request).expect("valid").to_string().is_empty());
        }
    }
}
