//! Layers that are their forward pass: random graphs against hyper-dual numbers, and the layers of the manual as graphs
//! against the same layers in the one form.
use crate::as_graph::AsGraph;
use crate::common;
use common::adjoint::Slopes;
use common::random::{self, Drawn, Limits};
use common::{Ask, Model, Named, Scalar, compare, differentiate, named, network, points};
use hessquik::{
    Activation, ActivationSpec, Architecture, Evaluate, Init, Layer, Mode, Network, Real, Request, Var, Weights,
};
use ndarray::ArrayD;
use proptest::prelude::*;

mod lines;
pub use lines::{Random, lines};

const MODES: [Mode; 4] = [Mode::Auto, Mode::Sites, Mode::Forward, Mode::Backward];

proptest! {
    #![proptest_config(random::config(96))]

    /// Every request of random graphs, in every mode, is that of hyper-dual numbers, and so is its pullback.
    #[test]
    fn random_graphs_are_those_of_hyper_dual_numbers(lines in lines(), wish in random::wishes(), seed in any::<u32>()) {
        let layer = Random::<f64>::new(&lines, seed.into());
        let net = Network::bare(Box::new(layer)).unwrap();
        let x = points::<f64>(seed.into(), 2, lines.d);
        let full = differentiate(&lines, &named(&net), &x);
        prop_assume!(full.hessian.iter().chain(&full.value).all(|h| h.abs() < 1e3));
        let ask = wish.ask(lines.d, lines.m);
        for mode in MODES {
            let ask = ask.clone().mode(mode);
            let found = net.evaluate(&x, &ask.request()).unwrap();
            let worst = compare(&found, &ask.contract(&full), &ask.magnitude(&full));
            worst.record("random graphs");
            prop_assert!(worst.error <= 1e-10, "{worst} for {ask:?} of {lines:?}, seed {seed}");
            let bar = Ask::cotangents(&found, seed.into());
            let slopes = Slopes::new(&lines, &net, &x, &ask, &bar, seed.into());
            let worst = slopes.check(&net.pullback(&x, &ask.request(), &bar).unwrap());
            worst.record("pullbacks of random graphs");
            prop_assert!(worst.error <= 1e-9, "{worst} of the pullback for {ask:?} of {lines:?}, seed {seed}");
        }
    }

    /// Partials of orders 1 to 5, derivatives along directions and the bilaplacian are those of nested dual numbers, of random
    /// graphs and of the layers of the manual.
    #[test]
    fn higher_orders_are_those_of_nested_dual_numbers(
        lines in lines(),
        seed in any::<u32>(),
        axes in prop::collection::vec(prop::collection::vec(0usize..8, 1..6), 1..4),
        mode in 0usize..2,
    ) {
        let net = Network::bare(Box::new(Random::<f64>::new(&lines, seed.into()))).unwrap();
        let x = points::<f64>(seed.into(), 2, lines.d);
        let axes: Vec<Vec<usize>> = axes.into_iter().map(|a| a.into_iter().map(|a| a % lines.d).collect()).collect();
        let weights = named(&net);
        let mut largest = 0.0f64;
        let mut wanted = ndarray::Array3::zeros((2, axes.len(), lines.m));
        for s in 0..2 {
            for (p, axes) in axes.iter().enumerate() {
                for (r, f) in higher::partial(&lines, &weights, &x.row(s).to_vec(), axes).into_iter().enumerate() {
                    wanted[[s, p, r]] = f;
                    largest = largest.max(f.abs());
                }
            }
        }
        prop_assume!(largest < 1e4);
        let mode = [Mode::Auto, Mode::Forward][mode].clone();
        let request = Request::new().value().any_partials(&axes).directional(3).bilaplacian().mode(mode);
        let jet = net.evaluate(&x, &request).unwrap();
        let error = (jet.partials.unwrap() - &wanted).fold(0.0f64, |m, e| m.max(e.abs()));
        prop_assert!(error <= 1e-9 * largest.max(1.0), "{error:e} of {largest:e} for {axes:?} of {lines:?}, seed {seed}");
        let (along, bilaplacian) = (jet.directional.unwrap(), jet.bilaplacian.unwrap());
        for s in 0..2 {
            let point = x.row(s).to_vec();
            let one = |axes: &[usize]| higher::partial(&lines, &weights, &point, axes);
            for a in 0..lines.d {
                for j in 1..=3 {
                    for (r, f) in one(&vec![a; j]).into_iter().enumerate() {
                        let error = (along[[s, j - 1, a, r]] - f).abs();
                        prop_assert!(error <= 1e-9 * f.abs().max(1.0), "order {j} along {a}: {error:e} of {lines:?}");
                    }
                }
            }
            let mut sum = vec![0.0; lines.m];
            let mut size = 1.0f64;
            for a in 0..lines.d {
                for b in 0..lines.d {
                    for (r, f) in one(&[a, a, b, b]).into_iter().enumerate() {
                        sum[r] += f;
                        size = size.max(f.abs());
                    }
                }
            }
            for (r, f) in sum.into_iter().enumerate() {
                let error = (bilaplacian[[s, r]] - f).abs();
                prop_assert!(error <= 1e-8 * size, "bilaplacian: {error:e} of {size:e} of {lines:?}");
            }
        }
    }

    /// Pullbacks of higher orders are those of finite differences along random directions.
    #[test]
    fn pullbacks_of_higher_orders_are_differences(lines in lines(), seed in any::<u32>(), order in 1usize..5) {
        let mut net = Network::bare(Box::new(Random::<f64>::new(&lines, seed.into()))).unwrap();
        let x = points::<f64>(seed.into(), 2, lines.d);
        let axes: Vec<Vec<usize>> = vec![(0..order).map(|a| a % lines.d).collect(), vec![0; order]];
        let request = Request::new().any_partials(&axes).directional(2).bilaplacian();
        let jet = net.evaluate(&x, &request).unwrap();
        let all = |jet: &hessquik::Jet<f64>| -> Vec<f64> {
            let (p, d, b) = (&jet.partials, &jet.directional, &jet.bilaplacian);
            let (p, d, b) = (p.as_ref().unwrap(), d.as_ref().unwrap(), b.as_ref().unwrap());
            p.iter().chain(d).chain(b).copied().collect()
        };
        prop_assume!(all(&jet).iter().all(|f| f.abs() < 1e4));
        let bars = hessquik::Jet {
            partials: Some(common::uniform(7, 1.0, jet.partials.as_ref().unwrap().raw_dim())),
            directional: Some(common::uniform(8, 1.0, jet.directional.as_ref().unwrap().raw_dim())),
            bilaplacian: Some(common::uniform(9, 1.0, jet.bilaplacian.as_ref().unwrap().raw_dim())),
            ..Default::default()
        };
        let gradients = net.pullback(&x, &request, &bars).unwrap();
        let (theta, bar) = (net.flat_weights(), all(&bars));
        let (dw, dx) = (common::uniform::<f64, _>(3, 1.0, theta.len()), common::uniform::<f64, _>(4, 1.0, x.raw_dim()));
        let slope = gradients.weights.dot(&dw) + (&gradients.input * &dx).sum();
        let mut at = |h: f64| -> f64 {
            net.set_flat_weights((&theta + &(&dw * h)).view()).unwrap();
            all(&net.evaluate(&(&x + &(&dx * h)), &request).unwrap()).iter().zip(&bar).map(|(a, b)| a * b).sum()
        };
        let difference = |at: &mut dyn FnMut(f64) -> f64, h: f64| (at(h) - at(-h)) / (2.0 * h);
        let (coarse, fine) = (difference(&mut at, 1e-3), difference(&mut at, 5e-4));
        let wanted = (4.0 * fine - coarse) / 3.0;
        let scale = wanted.abs().max(1.0);
        // where the differences themselves are not settled there is nothing to compare with
        prop_assume!((fine - coarse).abs() < 1e-2 * scale);
        let allowed = 1e-6 * scale + 0.2 * (fine - coarse).abs();
        prop_assert!((slope - wanted).abs() <= allowed, "{slope} for {wanted}, order {order} of {lines:?}, seed {seed}");
    }

    /// The layers of the manual as graphs are those in the one form: every request and pullback.
    #[test]
    fn the_layers_of_the_manual_are_graphs_too(
        drawn in random::networks(Limits::SMALL),
        wish in random::wishes(),
        n_s in 1usize..70,
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        prop_assume!(random::tame(&net, &x));
        let graph = Network::bare(Box::new(AsGraph(net.clone()))).unwrap();
        let ask = wish.ask(drawn.d, drawn.m);
        for mode in MODES {
            let ask = ask.clone().mode(mode);
            let wanted = net.evaluate(&x, &ask.request()).unwrap();
            let found = graph.evaluate(&x, &ask.request()).unwrap();
            let (value, gradient, hessian) = net.hessian(&x).unwrap();
            let scale = ask.magnitude(&common::Jets { value, gradient, hessian });
            let worst = compare(&found, &wanted, &scale);
            prop_assert!(worst.error <= 1e-9, "{worst} for {ask:?} in {}", show(&drawn));
            let bar = Ask::cotangents(&found, drawn.seed);
            let wanted = net.pullback(&x, &ask.request(), &bar).unwrap();
            let found = graph.pullback(&x, &ask.request(), &bar).unwrap();
            let worst = common::compare::gradients(&net, &found, &wanted);
            prop_assert!(worst.error <= 1e-8, "{worst} of the pullback for {ask:?} in {}", show(&drawn));
        }
    }
}

/// Mixed partials by dual numbers nested in dual numbers, one level for each axis.
pub mod higher {
    use super::{Model, Named, Scalar};
    use num_dual::Dual;

    pub fn partial<M: Model>(model: &M, weights: &Named<f64>, x: &[f64], axes: &[usize]) -> Vec<f64> {
        type D1 = Dual<f64>;
        type D2 = Dual<D1>;
        type D3 = Dual<D2>;
        type D4 = Dual<D3>;
        type D5 = Dual<D4>;
        fn lift<T: Scalar>(w: &Named<f64>) -> Named<T> {
            w.iter().map(|(n, w)| (n.clone(), w.mapv(T::from))).collect()
        }
        macro_rules! nested {
            ($t:ty, $re:expr, $($eps:tt).+) => {{
                let x: Vec<$t> = x.iter().enumerate().map(|(i, &x)| $re(x, i)).collect();
                model.apply(&lift::<$t>(weights), &x).into_iter().map(|f| f.$($eps).+).collect()
            }};
        }
        let on = |i: usize, level: usize| if axes[level] == i { 1.0 } else { 0.0 };
        let d1 = |x: f64, i: usize| D1::new(x, on(i, 0));
        let d2 = |x: f64, i: usize| D2::new(d1(x, i), on(i, 1).into());
        let d3 = |x: f64, i: usize| D3::new(d2(x, i), on(i, 2).into());
        let d4 = |x: f64, i: usize| D4::new(d3(x, i), on(i, 3).into());
        let d5 = |x: f64, i: usize| D5::new(d4(x, i), on(i, 4).into());
        match axes.len() {
            1 => nested!(D1, d1, eps),
            2 => nested!(D2, d2, eps.eps),
            3 => nested!(D3, d3, eps.eps.eps),
            4 => nested!(D4, d4, eps.eps.eps.eps),
            _ => nested!(D5, d5, eps.eps.eps.eps.eps),
        }
    }
}

fn show(drawn: &Drawn) -> String {
    let architecture: &Architecture = &drawn.architecture;
    format!("seed {} of {}", drawn.seed, architecture.to_json())
}
