//! Gradients of losses of jets, to all weights and points: against hyper-dual numbers nested in dual numbers, which are
//! exact, and against finite differences.
use crate::common;
use common::adjoint::Slopes;
use common::compare::{gradients, gradients_within, inner, narrowed, widened};
use common::random::{self, Limits};
use common::{Ask, compare, differentiate, jostled, named, network, plan, points};
use hessquik::{ActivationSpec, Architecture, Evaluate, Gradients, Jet, Mode, Network};
use ndarray::{Array1, Array2};
use proptest::prelude::*;
use std::ops::Range;

/// Networks that carry more inputs along than the engine cares to multiply anew in every layer: jets and pullbacks, where
/// tangents start at the input convex part, before it, and within.
#[test]
fn inputs_carried_through_many_layers() {
    use Architecture as A;
    let act = ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 };
    let d = 12;
    let convex = |in_features, out_features, bias| A::Icnn { input_dim: d, in_features, out_features, act, bias };
    let chain = vec![convex(None, 5, true), convex(Some(5), 3, false), convex(Some(3), 6, true)];
    let end = |in_features| A::QuadraticIcnn { input_dim: d, in_features, rank: 3 };
    let turn = A::Single { in_features: d, out_features: d, act: ActivationSpec::Tanh, bias: true };
    let mix = A::Resnet { width: d + 6, h: 0.5, act: ActivationSpec::Tanh, bias: true };
    let networks = [
        [chain.clone(), vec![end(Some(6))]].concat(),
        [vec![turn], chain.clone(), vec![end(Some(6))]].concat(),
        [chain, vec![mix]].concat(),
    ];
    for layers in networks {
        let depth = layers.len();
        let architecture = A::Network { layers };
        let net = network::<f64>(&architecture, 7);
        let x = points(7, 3, d);
        let full = differentiate(&architecture, &named(&net), &x);
        let plans = [plan(0, &[]), plan(0, &[1]), plan(0, &[2]), plan(1, &[]), plan(2, &[3]), plan(depth, &[])];
        for mode in plans.map(Mode::Plan).into_iter().chain([Mode::Auto, Mode::Backward]) {
            let ask = Ask { laplacian: true, ..Ask::jet() }.mode(mode);
            let jet = net.evaluate(&x, &ask.request()).unwrap();
            compare(&jet, &ask.contract(&full), &ask.magnitude(&full)).within(1e-12, &format!("{ask:?}"));
            let bar = Ask::cotangents(&jet, 7);
            let slopes = Slopes::with_slack(&architecture, &net, &x, (&ask, &bar), 7, 1e-11);
            let worst = slopes.check(&net.pullback(&x, &ask.request(), &bar).unwrap());
            assert!(worst.error <= 1e-11, "{worst} for {ask:?}");
        }
    }
}

proptest! {
    #![proptest_config(random::config(160))]

    /// The pullback of random cotangents of any request, in all modes and by any plan.
    #[test]
    fn pullbacks_are_those_of_dual_numbers(
        drawn in random::networks(Limits::SMALL),
        wish in random::wishes(),
        cuts in random::cuts(),
        n_s in 1usize..=2,
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        let (prefix, pivots) = cuts.of(drawn.depth);
        let ask = wish.ask(drawn.d, drawn.m);
        prop_assume!(random::tame(&net, &x));
        let jet = net.evaluate(&x, &ask.request()).unwrap();
        let bar = Ask::cotangents(&jet, drawn.seed);
        let slopes = Slopes::with_slack(&drawn.architecture, &net, &x, (&ask, &bar), drawn.seed, 1e-11);
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites, Mode::Plan(plan(prefix, &pivots))] {
            let ask = ask.clone().mode(mode);
            let worst = slopes.check(&net.pullback(&x, &ask.request(), &bar).unwrap());
            worst.record("pullback");
            prop_assert!(worst.error <= 1e-11, "{worst} for {ask:?} in seed {} {}", drawn.seed, drawn.architecture.to_json());
        }
    }

    /// In single precision, with more points: the same gradients to single precision.
    #[test]
    fn single_precision_follows(
        drawn in random::networks(Limits { width: 20, inputs: 8, ..Limits::SMALL }),
        wish in random::wishes(),
        cuts in random::cuts(),
        n_s in 0usize..=70,
    ) {
        let single: Network<f32> = network(&drawn.architecture, drawn.seed);
        let double: Network<f64> = single.cast().unwrap();
        let x = points::<f32>(drawn.seed, n_s, drawn.d);
        let ask = wish.ask(drawn.d, drawn.m).rounded::<f32>();
        let jet = single.evaluate(&x, &ask.request()).unwrap();
        let bar: Jet<f32> = narrowed(&Ask::cotangents(&widened(&jet), drawn.seed));
        let (wide, wide_bar) = (x.mapv(f64::from), widened(&bar));
        prop_assume!(random::tame(&double, &wide));
        let wanted = double.pullback(&wide, &ask.request(), &wide_bar).unwrap();
        let moved = [1, 2].map(|seed| {
            let (net, x) = jostled(&double, &wide, seed);
            net.pullback(&x, &ask.request(), &wide_bar).unwrap()
        });
        let (prefix, pivots) = cuts.of(drawn.depth);
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites, Mode::Plan(plan(prefix, &pivots))] {
            let ask = ask.clone().mode(mode);
            let found = single.pullback(&x, &ask.request(), &bar).unwrap();
            let worst = gradients_within(&single, &found, &wanted, &moved);
            worst.record("pullback in single precision");
            prop_assert!(worst.error <= 1e-4, "{worst} for {ask:?} in seed {} {}", drawn.seed, drawn.architecture.to_json());
        }
    }

    /// Central differences of <cotangent, jet> along a random direction of all weights and points.
    #[test]
    fn pullbacks_are_finite_differences(
        drawn in random::networks(Limits { width: 16, ..Limits::SMALL }),
        wish in random::wishes(),
        cuts in random::cuts(),
        n_s in 1usize..=40,
    ) {
        let mut net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points::<f64>(drawn.seed, n_s, drawn.d);
        let (prefix, pivots) = cuts.of(drawn.depth);
        let ask = wish.ask(drawn.d, drawn.m).mode(Mode::Plan(plan(prefix, &pivots)));
        let bar = Ask::cotangents(&net.evaluate(&x, &ask.request()).unwrap(), drawn.seed);
        let found = net.pullback(&x, &ask.request(), &bar).unwrap();
        let theta = net.flat_weights();
        let dw: Array1<f64> = common::uniform(drawn.seed + 1, 1.0, theta.len());
        let dx: Array2<f64> = common::uniform(drawn.seed + 2, 1.0, x.raw_dim());
        let mut loss = |h: f64| {
            net.set_flat_weights((&theta + &(&dw * h)).view()).unwrap();
            inner(&net.evaluate(&(&x + &(&dx * h)), &ask.request()).unwrap(), &bar)
        };
        let mut slope = |h: f64| (loss(h) - loss(-h)) / (2.0 * h);
        let (coarse, middle, fine) = (slope(4e-3), slope(2e-3), slope(1e-3));
        let (c, m) = ((4.0 * middle - coarse) / 3.0, (4.0 * fine - middle) / 3.0);
        let (wanted, error) = ((16.0 * m - c) / 15.0, (m - c).abs());
        let found = found.weights.dot(&dw) + (&found.input * &dx).sum();
        let allowed = 10.0 * error + 1e-8 * (coarse.abs() + loss(0.0).abs());
        // where these steps are too long for the network there is nothing to compare with
        prop_assume!(error <= 1e-3 * (coarse.abs() + loss(0.0).abs()) + 1e-12);
        prop_assert!(
            (found - wanted).abs() <= allowed,
            "{found:e} is not {wanted:e} +- {allowed:e} for {ask:?} in seed {} {}", drawn.seed, drawn.architecture.to_json()
        );
    }

    /// A loss and its gradients in one pass are those of evaluation and pullback.
    #[test]
    fn loss_gradients_are_evaluate_and_pullback(
        drawn in random::networks(Limits { width: 16, ..Limits::SMALL }),
        wish in random::wishes(),
        n_s in prop_oneof![0usize..=4, 100usize..=700],
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points::<f64>(drawn.seed, n_s, drawn.d);
        let request = wish.ask(drawn.d, drawn.m).request();
        // half the sum of squares, each point weighted by its index
        let weight = |s: usize| 1.0 + (s % 7) as f64;
        let jet = net.evaluate(&x, &request).unwrap();
        let bar = common::compare::map_fields!(jet, |a| {
            let mut a = a.clone();
            a.outer_iter_mut().enumerate().for_each(|(s, mut a)| a *= weight(s));
            a
        });
        let wanted = (inner(&jet, &bar) / 2.0, net.pullback(&x, &request, &bar).unwrap());
        let found = net.loss_gradients(&x, &request, |range: Range<usize>, jet, bar| {
            let mut loss = 0.0;
            macro_rules! add {
                ($($field:ident),*) => {$(
                    assert_eq!(jet.$field.is_some(), bar.$field.is_some());
                    if let (Some(f), Some(bar)) = (&jet.$field, &mut bar.$field) {
                        assert!(bar.iter().all(|b| *b == 0.0), "cotangents start from zero");
                        assert_eq!((f.len_of(ndarray::Axis(0)), f.shape()), (range.len(), bar.shape()));
                        for (s, (f, mut bar)) in range.clone().zip(f.outer_iter().zip(bar.outer_iter_mut())) {
                            loss += 0.5 * weight(s) * f.iter().map(|f| f * f).sum::<f64>();
                            bar.assign(&f);
                            bar *= weight(s);
                        }
                    }
                )*};
            }
            add!(value, gradient, hessian, packed, diagonal, laplacian, operator, products, block, partials);
            loss
        }).unwrap();
        prop_assert!((found.0 - wanted.0).abs() <= 1e-12 * wanted.0.abs() + 1e-280, "{} for {}", found.0, wanted.0);
        let worst = gradients(&net, &found.1, &wanted.1);
        worst.record("loss gradients");
        prop_assert!(worst.error <= 1e-12, "{worst} in seed {} {}", drawn.seed, drawn.architecture.to_json());
    }
}

/// Fields of the cotangent that are `None` count as zero.
#[test]
fn missing_cotangents_are_zero() {
    let json = r#"{"type": "network", "layers": [
        {"type": "single", "in_features": 3, "out_features": 6, "act": {"type": "tanh"}},
        {"type": "quadratic", "in_features": 6, "rank": 4}]}"#;
    let net = network::<f64>(&Architecture::from_json(json).unwrap(), 1);
    let x = points::<f64>(2, 4, 3);
    let request = Ask::everything(3, 3, 3).request();
    let whole = Ask::cotangents(&net.evaluate(&x, &request).unwrap(), 4);
    let of = |bar: &Jet<f64>| net.pullback(&x, &request, bar).unwrap();
    let only = Jet { hessian: whole.hessian.clone(), ..Jet::default() };
    let zeros = common::compare::map_fields!(whole, |a| a.mapv(|_| 0.0));
    let padded = Jet { hessian: whole.hessian.clone(), ..zeros.clone() };
    gradients(&net, &of(&only), &of(&padded)).within(1e-14, &"only the Hessian");
    let nothing = of(&Jet::default());
    assert!(nothing.weights.iter().chain(&nothing.input).all(|g| *g == 0.0));
    assert_eq!(nothing, of(&zeros));
    // and the whole is the sum of its parts
    let only_value = Jet { value: whole.value.clone(), ..Jet::default() };
    let rest = Jet { value: None, ..whole.clone() };
    let (a, b, sum) = (of(&only_value), of(&rest), of(&whole));
    let parts = Gradients { weights: &a.weights + &b.weights, input: &a.input + &b.input };
    gradients(&net, &parts, &sum).within(1e-13, &"linear in cotangents");
}
