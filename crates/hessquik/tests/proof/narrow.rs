//! Narrow networks at so many points that samples go side by side in the engine, against the oracle.
use crate::common;
use common::compare::fields;
use common::random;
use common::{Ask, compare, differentiate, named, network, points};
use hessquik::{ActivationSpec, Architecture, Evaluate, Init, Mode, Network};
use ndarray::{Array2, Axis, s};
use proptest::prelude::*;

/// A single layer, residual and single layers of one width, and a single layer without a bias.
fn narrow(d: usize, width: usize, m: usize, inner: &[(bool, f64)], act: ActivationSpec) -> Architecture {
    use Architecture as A;
    let single = |in_features, out_features, act, bias| A::Single { in_features, out_features, act, bias };
    let mut layers = vec![single(d, width, ActivationSpec::Tanh, true)];
    for &(skip, h) in inner {
        layers.push(match skip {
            true => A::Resnet { width, h, act, bias: true },
            false => single(width, width, act, true),
        });
    }
    layers.push(single(width, m, if m == 1 { ActivationSpec::Identity } else { act }, false));
    A::Network { layers }
}

/// Requests that go across, operators of every kind among them.
fn asks(d: usize, seed: u64) -> Vec<Ask> {
    let none = Ask::default();
    let b: Array2<f64> = Init::seed(seed).uniform((d, d), -1.0, 1.0);
    let operator = |b: Array2<f64>| Ask { value: true, gradient: true, operator: Some(b), ..Ask::default() };
    let column = b.column(0).insert_axis(Axis(1));
    let mut pair = Array2::zeros((d, d));
    pair[[0, d - 1]] = 1.0;
    vec![
        operator(column.dot(&column.t())),
        operator(Array2::from_diag(&b.diag())),
        operator(pair),
        operator(b),
        Ask::jet(),
        Ask { value: true, laplacian: true, ..none.clone() },
        Ask { gradient: true, ..none.clone() },
        Ask { value: true, ..none.clone() },
        Ask { packed: true, laplacian: true, diagonal: true, ..Ask::jet() },
        Ask { packed: true, ..none },
    ]
}

proptest! {
    #![proptest_config(random::config(96))]

    #[test]
    fn narrow_jets_are_those_of_hyper_dual_numbers(
        (d, width, m) in (1usize..=8, 1usize..=12, 1usize..=3),
        inner in prop::collection::vec((any::<bool>(), -1.0..1.0), 0..=3),
        act in random::activations(),
        n_s in 8usize..=100,
        wish in random::wishes(),
        seed in any::<u64>(),
    ) {
        let architecture = narrow(d, width, m, &inner, act);
        let net = network::<f64>(&architecture, seed);
        let single: Network<f32> = net.cast().unwrap();
        let x = points::<f32>(seed, n_s, d);
        let (net, wide) = (single.cast::<f64>().unwrap(), x.mapv(f64::from));
        let full = differentiate(&architecture, &named(&net), &wide);
        // others need not go across, and then have other bits for few points
        let asks = asks(d, seed).into_iter().map(|ask| (ask, true)).chain([(wish.ask(d, m), false)]);
        for ((ask, bits), mode) in asks.flat_map(|ask| [Mode::Auto, Mode::Sites].map(|mode| (ask.clone(), mode))) {
            let ask = ask.mode(mode);
            let (wanted, magnitude) = (ask.contract(&full), ask.magnitude(&full));
            let found = net.evaluate(&wide, &ask.request()).unwrap();
            let worst = compare(&found, &wanted, &magnitude);
            worst.record("narrow");
            prop_assert!(worst.error <= 1e-11, "{worst} for {ask:?} of {architecture:?} at {n_s} points");
            let worst = compare(&single.evaluate(&x, &ask.request()).unwrap(), &wanted, &magnitude);
            worst.record("narrow, f32");
            prop_assert!(worst.error <= 2e-4, "f32: {worst} for {ask:?} of {architecture:?} at {n_s} points");
            // few points go another way, to the same bits
            let few = net.evaluate(&wide.slice(s![3..5, ..]), &ask.request()).unwrap();
            for ((name, all), (_, few)) in fields(&found).into_iter().zip(fields(&few)) {
                let same = !bits || all.slice_axis(Axis(0), (3..5).into()) == few;
                prop_assert!(same, "{name} for {ask:?} of {architecture:?}");
            }
        }
    }
}
