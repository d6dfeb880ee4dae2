//! Against hyper-dual numbers and finite differences, on random networks of all layers, in every mode and by any plan.
use crate::common;
use common::compare::single_scale;
use common::oracle;
use common::random::{self, Cuts, Drawn, Limits};
use common::{Ask, Jets, Model, Scalar, compare, differentiate, jostled, named, network, plan, points, slack};
use hessquik::activation::PlainActivationSpec;
use hessquik::{ActivationSpec, Architecture, Evaluate, Layer, Mode, Network};
use ndarray::{Array1, Array2, Axis, s};
use num_dual::HyperHyperDual64;
use proptest::prelude::*;

fn modes(drawn: &Drawn, cuts: &[Cuts]) -> Vec<Mode> {
    let mut modes = vec![Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites];
    modes.extend(cuts.iter().map(|c| {
        let (prefix, pivots) = c.of(drawn.depth);
        Mode::Plan(plan(prefix, &pivots))
    }));
    modes
}

fn show(drawn: &Drawn) -> String {
    format!("seed {} of {}", drawn.seed, drawn.architecture.to_json())
}

proptest! {
    #![proptest_config(random::config(96))]

    /// Value, gradient and Hessian are those of hyper-dual numbers, and all modes and plans agree.
    #[test]
    fn jets_are_those_of_hyper_dual_numbers(
        drawn in random::networks(Limits::FULL),
        cuts in prop::collection::vec(random::cuts(), 3),
        n_s in 1usize..=3,
    ) {
        let network = network::<f64>(&drawn.architecture, drawn.seed);
        prop_assert_eq!((network.dim_input(), network.dim_output()), (drawn.d, drawn.m));
        let x = points(drawn.seed, n_s, drawn.d);
        prop_assume!(random::tame(&network, &x));
        let full = differentiate(&drawn.architecture, &named(&network), &x);
        let slack = slack(&drawn.architecture, &named(&network), &x, &full, 1e-11);
        for mode in modes(&drawn, &cuts) {
            let ask = Ask::jet().mode(mode.clone());
            let found = network.evaluate(&x, &ask.request()).unwrap();
            let worst = compare(&found, &ask.contract(&full), &ask.magnitude_with(&full, Some(&slack)));
            worst.record("hyper-dual");
            prop_assert!(worst.error <= 1e-11, "{:?}: {} in {}", mode, worst, show(&drawn));
        }
    }

    /// A network describes itself as what it was built from, and its weights survive the flat vector and a copy.
    #[test]
    fn descriptions_and_flat_weights_come_back(drawn in random::networks(Limits::FULL)) {
        let original = network::<f64>(&drawn.architecture, drawn.seed);
        let told = original.architecture().unwrap();
        prop_assert_eq!(&told, &drawn.architecture);
        prop_assert_eq!(&Architecture::from_json(&told.to_json()).unwrap(), &told);
        let mut other = network::<f64>(&told, drawn.seed + 1);
        other.set_flat_weights(original.flat_weights().view()).unwrap();
        prop_assert_eq!(named(&other), named(&original));
        let theta = original.flat_weights();
        let by_name = original.by_name(theta.view()).unwrap();
        prop_assert_eq!(by_name.into_iter().collect::<common::Named<f64>>(), named(&original));
        prop_assert!(original.by_name(theta.slice(s![..theta.len() / 2])).is_err() || theta.is_empty());
        let single: Network<f32> = original.cast().unwrap();
        prop_assert_eq!(single.flat_weights(), theta.mapv(|w| w as f32));
    }

    /// The same in single precision, with the weights rounded first.
    #[test]
    fn single_precision_follows(
        drawn in random::networks(Limits::FULL),
        cuts in prop::collection::vec(random::cuts(), 2),
        n_s in 1usize..=3,
    ) {
        let single: Network<f32> = network(&drawn.architecture, drawn.seed);
        let double: Network<f64> = single.cast().unwrap();
        let x = points::<f32>(drawn.seed, n_s, drawn.d);
        let derivatives = |net: &Network<f64>, x: &Array2<f64>| {
            let (value, gradient, hessian) = net.hessian(x).unwrap();
            Jets { value, gradient, hessian }
        };
        let wide = x.mapv(f64::from);
        let full = derivatives(&double, &wide);
        prop_assume!(random::tame(&double, &wide));
        let ask = Ask::jet();
        let moved = [1, 2].map(|seed| {
            let (net, x) = jostled(&double, &wide, seed);
            ask.contract(&derivatives(&net, &x))
        });
        let scale = single_scale(&ask.magnitude(&full), &ask.contract(&full), &moved);
        for mode in modes(&drawn, &cuts) {
            let ask = Ask::jet().mode(mode.clone());
            let found = single.evaluate(&x, &ask.request()).unwrap();
            let worst = compare(&found, &ask.contract(&full), &scale);
            worst.record("single precision");
            prop_assert!(worst.error <= 1e-4, "{:?}: {} in {}", mode, worst, show(&drawn));
        }
    }

    /// Many points give what they give one by one, however tiles are cut; none give nothing.
    #[test]
    fn points_do_not_meet(
        drawn in random::networks(Limits { width: 20, inputs: 8, outputs: 6, ..Limits::FULL }),
        cuts in random::cuts(),
        n_s in prop_oneof![Just(0usize), Just(1), 2usize..=300],
    ) {
        let network = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        for mode in modes(&drawn, &[cuts]) {
            let ask = Ask::jet().mode(mode);
            let all = network.evaluate(&x, &ask.request()).unwrap();
            prop_assert_eq!(all.hessian.as_ref().unwrap().shape(), [n_s, drawn.d, drawn.d, drawn.m]);
            for i in [0, n_s / 3, n_s / 2, n_s.saturating_sub(1)].into_iter().filter(|&i| i < n_s) {
                let one = network.evaluate(&x.slice(s![i..i + 1, ..]), &ask.request()).unwrap();
                let of = |all: &hessquik::Jet<f64>| {
                    let (v, g, h) = (all.value.as_ref(), all.gradient.as_ref(), all.hessian.as_ref());
                    Jets {
                        value: v.unwrap().select(Axis(0), &[i]),
                        gradient: g.unwrap().select(Axis(0), &[i]),
                        hessian: h.unwrap().select(Axis(0), &[i]),
                    }
                };
                let full = of(&all);
                let worst = compare(&one, &ask.contract(&full), &ask.magnitude(&full));
                worst.record("points");
                prop_assert!(worst.error <= 1e-11, "point {i} of {n_s}: {worst} in {}", show(&drawn));
            }
        }
    }

    /// Gradients are central differences of values, Hessians of gradients: no dual numbers, no formulas.
    #[test]
    fn jets_are_finite_differences(drawn in random::networks(Limits { inputs: 8, ..Limits::FULL })) {
        let network = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points::<f64>(drawn.seed, 1, drawn.d);
        prop_assume!(random::tame(&network, &x));
        let (value, gradient, hessian) = network.hessian(&x).unwrap();
        let along = |a: usize, h: f64| { let mut x = x.clone(); x[[0, a]] += h; x };
        let size = |a: &[f64]| a.iter().fold(0.0, |m: f64, a| m.max(a.abs()));
        let steep = size(value.as_slice().unwrap()) + size(&gradient.iter().copied().collect::<Vec<_>>());
        let curved = steep + size(&hessian.iter().copied().collect::<Vec<_>>());
        for a in 0..drawn.d {
            let slope = richardson(|h| network.value(&along(a, h)).unwrap().row(0).to_owned());
            let bend = richardson(|h| network.gradient(&along(a, h)).unwrap().1.flatten().to_owned());
            let (g, h) = (gradient.slice(s![0, a, ..]).to_owned(), hessian.slice(s![0, a, .., ..]).flatten().to_owned());
            for (found, wanted, size) in [(g, slope, steep), (h, bend, curved)] {
                // where these steps are too long for the network there is nothing to compare with
                prop_assume!(wanted.1.iter().all(|e| *e < 1e-4 * size));
                let error = (&found - &wanted.0).mapv(f64::abs);
                let allowed = wanted.1.mapv(|e| 20.0 * e + 1e-8 * size);
                prop_assert!(
                    error.iter().zip(&allowed).all(|(e, a)| e <= a),
                    "input {a}: {found} is not {} +- {allowed} in {}", wanted.0, show(&drawn)
                );
            }
        }
    }
}

/// The derivative of `f` at 0 by central differences extrapolated to step 0, and what shorter steps change of it.
fn richardson(f: impl Fn(f64) -> Array1<f64>) -> (Array1<f64>, Array1<f64>) {
    let slope = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    let from = |h: f64| {
        let (coarse, middle, fine) = (slope(4.0 * h), slope(2.0 * h), slope(h));
        let (c, m) = ((&middle * 4.0 - &coarse) / 3.0, (&fine * 4.0 - &middle) / 3.0);
        (&m * 16.0 - &c) / 15.0
    };
    let (long, short) = (from(1e-3), from(3.7e-4));
    let error = (&long - &short).mapv(f64::abs);
    (short, error)
}

/// A layer of every kind standing alone, in both precisions; wide, narrow, with features and without.
#[test]
fn every_layer_alone() {
    use Architecture as A;
    let act = ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 };
    let mut layers = vec![
        A::Quadratic { in_features: 6, rank: 3 },
        A::Quadratic { in_features: 1, rank: 1 },
        A::Quadratic { in_features: 3, rank: 8 },
        A::QuadraticIcnn { input_dim: 4, in_features: None, rank: 2 },
        A::QuadraticIcnn { input_dim: 4, in_features: Some(5), rank: 6 },
        A::LogSumExp { in_features: 7 },
        A::LogSumExp { in_features: 1 },
        A::Softmax { features: 6 },
        A::Softmax { features: 1 },
        A::Network { layers: vec![A::Softmax { features: 5 }, A::LogSumExp { in_features: 5 }] },
        A::Network { layers: vec![A::Network { layers: vec![A::Resnet { width: 3, h: 0.5, act, bias: true }] }] },
    ];
    for bias in [true, false] {
        for act in every_activation() {
            layers.push(A::Single { in_features: 5, out_features: 7, act, bias });
            layers.push(A::Resnet { width: 6, h: -0.75, act, bias });
            layers.push(A::Icnn { input_dim: 3, in_features: None, out_features: 5, act, bias });
            layers.push(A::Icnn { input_dim: 3, in_features: Some(4), out_features: 5, act, bias });
        }
    }
    for (i, layer) in layers.iter().enumerate() {
        let double = network::<f64>(layer, i as u64);
        let x = points(i as u64, 5, double.dim_input()).mapv(|x: f64| 2.0 * x);
        let full = differentiate(layer, &named(&double), &x);
        let single = network::<f32>(layer, i as u64);
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites] {
            let ask = Ask { laplacian: true, diagonal: true, packed: true, ..Ask::jet() }.mode(mode);
            let (wanted, magnitude) = (ask.contract(&full), ask.magnitude(&full));
            let found = double.evaluate(&x, &ask.request()).unwrap();
            compare(&found, &wanted, &magnitude).within(1e-12, &layer.to_json());
            let found = single.evaluate(&x.mapv(|x| x as f32), &ask.request()).unwrap();
            compare(&found, &wanted, &magnitude).within(2e-5, &layer.to_json());
        }
    }
}

fn every_activation() -> Vec<ActivationSpec> {
    use ActivationSpec as A;
    let softplus = |beta, threshold| A::Softplus { beta, threshold };
    vec![
        A::AntiTanh,
        A::Identity,
        A::Quadratic,
        A::Sigmoid,
        softplus(1.0, 20.0),
        softplus(2.5, 20.0),
        softplus(1.0, 2.0),
        A::Tanh,
        A::Sin,
        A::Silu,
        A::Gelu,
        A::Gaussian,
        A::Cos,
        A::Exp,
        A::Square,
        A::Erf,
        A::Atan,
        A::TanhGelu,
        A::Mish,
        A::LeakyRelu { slope: 0.1 },
        A::Step,
        A::Elu { alpha: 0.7 },
        A::Celu { alpha: 1.5 },
        A::Selu,
        A::Squareplus { b: 2.0 },
        A::Scaled { act: PlainActivationSpec::Tanh, a: 1.7159, b: 0.625 },
    ]
}

/// Value and three derivatives of every activation, over the whole range and far into the tails.
#[test]
fn activations_are_those_of_dual_numbers() {
    for spec in every_activation() {
        let activation = hessquik::Activation::from(spec);
        assert_eq!(activation.describe(), Some(spec));
        for i in -120i32..=120 {
            let z = f64::from((f64::from(i) * 0.17 + 0.013) as f32); // the same point in both precisions
            let f = oracle::activation(&spec, HyperHyperDual64::new(z, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0));
            let wanted = [f.re, f.eps1, f.eps1eps2, f.eps1eps2eps3];
            let found = activation.jet(z);
            let single = activation.jet(z as f32);
            for order in 0..4 {
                // relative to the entry itself: tails keep their digits; zeros in between cost some
                let size = wanted[order].abs() + 1e-3 * wanted.iter().fold(0.0, |m: f64, w| m.max(w.abs())).min(1.0);
                // a constant has nothing that errors are relative to
                let size = size.max(f64::MIN_POSITIVE);
                let error = (found[order] - wanted[order]).abs() / size;
                assert!(error <= 1e-12, "{spec:?} order {order} at {z}: {:e} for {:e}", found[order], wanted[order]);
                let error = (f64::from(single[order]) - wanted[order]).abs() / (size + f64::from(f32::MIN_POSITIVE));
                assert!(
                    error <= 1e-4,
                    "{spec:?} order {order} at {z}: {:e} for {:e} in f32",
                    single[order],
                    wanted[order]
                );
            }
        }
    }
}

/// The oracle itself against formulas that are known in closed form, so that it cannot drift with the library.
#[test]
fn oracle_knows_closed_forms() {
    struct Products;
    impl Model for Products {
        fn apply<T: Scalar>(&self, _: &common::Named<T>, x: &[T]) -> Vec<T> {
            vec![x[0] * x[0] * x[1], x[1].sin() * x[0]]
        }
    }
    let x = ndarray::array![[0.7, -1.3]];
    let (a, b) = (0.7f64, -1.3f64);
    let jets = differentiate(&Products, &Default::default(), &x);
    let close = |f: f64, w: f64| assert!((f - w).abs() < 1e-15, "{f} for {w}");
    close(jets.value[[0, 0]], a * a * b);
    close(jets.gradient[[0, 0, 0]], 2.0 * a * b);
    close(jets.gradient[[0, 1, 1]], b.cos() * a);
    close(jets.hessian[[0, 0, 0, 0]], 2.0 * b);
    close(jets.hessian[[0, 0, 1, 0]], 2.0 * a);
    close(jets.hessian[[0, 1, 0, 1]], b.cos());
    close(jets.hessian[[0, 1, 1, 1]], -b.sin() * a);
    let dx: Array2<f64> = ndarray::array![[0.0, 1.0]];
    let none = Default::default();
    let along = common::differentiate_along(&Products, &none, &x, &none, &dx);
    close(along.hessian[[0, 0, 0, 0]], 2.0);
    close(along.hessian[[0, 1, 1, 1]], -b.cos() * a);
}
