//! Narrow networks at so many points that samples go side by side in the engine, against the oracle.
use crate::common;
use common::compare::fields;
use common::random;
use common::{Ask, compare, differentiate, named, network, points};
use hessquik::{ActivationSpec, Architecture, Evaluate, Mode, Network};
use ndarray::{Axis, s};
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

fn asks() -> Vec<Ask> {
    let none = Ask::default();
    vec![
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
        (d, width, m) in (1usize..=5, 1usize..=12, 1usize..=3),
        inner in prop::collection::vec((any::<bool>(), -1.0..1.0), 0..=3),
        act in random::activations(),
        n_s in 8usize..=100,
        seed in any::<u64>(),
    ) {
        let architecture = narrow(d, width, m, &inner, act);
        let net = network::<f64>(&architecture, seed);
        let single: Network<f32> = net.cast().unwrap();
        let x = points::<f32>(seed, n_s, d);
        let (net, wide) = (single.cast::<f64>().unwrap(), x.mapv(f64::from));
        let full = differentiate(&architecture, &named(&net), &wide);
        for ask in asks().into_iter().flat_map(|ask| [Mode::Auto, Mode::Sites].map(|mode| ask.clone().mode(mode))) {
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
                prop_assert_eq!(all.slice_axis(Axis(0), (3..5).into()), few, "{} for {:?} of {:?}", name, ask, architecture);
            }
        }
    }
}
