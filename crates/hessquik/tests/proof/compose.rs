//! Layers one at a time: carrying a jet forward and prepending to one compose to the jet of the network.
use crate::common;
use common::random::{self, Limits};
use common::{Ask, Jets, compare, differentiate, named, network, points};
use hessquik::{Activation, Architecture, Error, Evaluate, Init, Jet, Layer, LogSumExp, Network, Single};
use ndarray::{Array2, Array3, Array4};
use proptest::prelude::*;

/// The layers of a network, networks inside it as one layer each, or all flattened.
fn layers<'a>(network: &'a Network<f64>, flatten: bool, out: &mut Vec<&'a dyn Layer<f64>>) {
    for layer in network.layers() {
        match layer.parts() {
            hessquik::Parts::Chain(inner) if flatten => inner.iter().for_each(|l| out.push(l.as_ref())),
            _ => out.push(layer.as_ref()),
        }
    }
}

/// The jet of the identity at `x`.
fn start(x: &Array2<f64>) -> Jet<f64> {
    let (n_s, d) = x.dim();
    let gradient = Array3::from_shape_fn((n_s, d, d), |(_, a, b)| f64::from(u8::from(a == b)));
    let hessian = Some(Array4::zeros((n_s, d, d, d)));
    let jet = Jet { value: Some(x.clone()), gradient: Some(gradient), hessian, ..Jet::default() };
    assert_eq!(jet, Jet::identity(x));
    jet
}

/// The jet of a network at `x` by its layers' `backward`, from the last to the first.
fn by_backward(layers: &[&dyn Layer<f64>], x: &Array2<f64>, hessian: bool) -> Jet<f64> {
    let mut states = vec![x.clone()];
    for layer in layers {
        states.push(layer.value(states.last().unwrap()).unwrap());
    }
    let mut g = start(&states[layers.len()]);
    g.hessian = g.hessian.filter(|_| hessian);
    for (layer, u) in layers.iter().zip(&states).rev() {
        g = layer.backward(u, &g).unwrap();
    }
    Jet { value: states.pop(), ..g }
}

proptest! {
    #![proptest_config(random::config(96))]

    /// Forward through every layer, backward through every layer, and both halves joined at any layer.
    #[test]
    fn layers_compose_to_their_network(
        drawn in random::networks(Limits { depth: 5, width: 16, inputs: 7, outputs: 5 }),
        n_s in prop_oneof![4 => 0usize..=3, 1 => 30usize..=70],
        flatten in any::<bool>(),
        hessian in any::<bool>(),
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points::<f64>(drawn.seed, n_s, drawn.d);
        let mut list = Vec::new();
        layers(&net, flatten, &mut list);
        let full = match n_s {
            0 => { let (value, gradient, hessian) = net.hessian(&x).unwrap(); Jets { value, gradient, hessian } }
            _ => differentiate(&drawn.architecture, &named(&net), &x),
        };
        let ask = Ask { hessian, ..Ask::jet() };
        let (wanted, magnitude) = (ask.contract(&full), ask.magnitude(&full));

        let mut u = start(&x);
        u.hessian = u.hessian.filter(|_| hessian);
        for layer in &list {
            u = layer.forward(&u).unwrap();
        }
        let worst = compare(&u, &wanted, &magnitude);
        worst.record("composition");
        prop_assert!(worst.error <= 1e-11, "forward: {worst} in {}", drawn.architecture.to_json());

        let worst = compare(&by_backward(&list, &x, hessian), &wanted, &magnitude);
        worst.record("composition");
        prop_assert!(worst.error <= 1e-11, "backward: {worst} in {}", drawn.architecture.to_json());

        // the whole network as one layer, from the identity
        let mut u = start(&x);
        u.hessian = u.hessian.filter(|_| hessian);
        let worst = compare(&net.forward(&u).unwrap(), &wanted, &magnitude);
        worst.record("composition");
        prop_assert!(worst.error <= 1e-11, "forward at once: {worst} in {}", drawn.architecture.to_json());
    }

    /// From a jet that is not the identity: the composition of two networks is the network of both.
    #[test]
    fn networks_compose(
        first in random::networks(Limits { depth: 3, width: 12, inputs: 6, outputs: 8 }),
        second in random::networks(Limits { depth: 3, width: 12, inputs: 8, outputs: 4 }),
        n_s in 1usize..=3,
    ) {
        let adapter = Architecture::Single {
            in_features: first.m, out_features: second.d, act: hessquik::ActivationSpec::Tanh, bias: true,
        };
        let architecture = Architecture::Network {
            layers: vec![first.architecture.clone(), adapter, second.architecture.clone()],
        };
        let net = network::<f64>(&architecture, first.seed);
        let x = points::<f64>(second.seed, n_s, first.d);
        let full = differentiate(&architecture, &named(&net), &x);
        let ask = Ask::jet();
        let [first, middle, second] = net.layers() else { unreachable!() };

        let u = first.evaluate(&x, &ask.request()).unwrap();
        let v = middle.forward(&u).unwrap();
        let worst = compare(&second.forward(&v).unwrap(), &ask.contract(&full), &ask.magnitude(&full));
        worst.record("composition");
        prop_assert!(worst.error <= 1e-11, "forward: {worst} in {}", architecture.to_json());

        let g = second.evaluate(v.value.as_ref().unwrap(), &ask.request()).unwrap();
        let g = middle.backward(u.value.as_ref().unwrap(), &g).unwrap();
        let g = Jet { value: Some(net.value(&x).unwrap()), ..first.backward(&x, &g).unwrap() };
        let worst = compare(&g, &ask.contract(&full), &ask.magnitude(&full));
        worst.record("composition");
        prop_assert!(worst.error <= 1e-11, "backward: {worst} in {}", architecture.to_json());
    }
}

/// Only the value goes forward if only the value is there.
#[test]
fn forward_of_a_value() {
    let layer = Single::<f64>::new(3, 5, Activation::Tanh, &mut Init::seed(1));
    let x = points::<f64>(2, 4, 3);
    let u = layer.forward(&Jet { value: Some(x.clone()), ..Jet::default() }).unwrap();
    assert_eq!(u.value.unwrap(), layer.value(&x).unwrap());
    assert!(u.gradient.is_none() && u.hessian.is_none());
}

/// Layers that stand alone evaluate like networks of one.
#[test]
fn layers_evaluate_alone() {
    let layer = Single::<f64>::new(3, 5, Activation::Tanh, &mut Init::seed(1));
    let net = Network::bare(Box::new(layer.clone())).unwrap();
    let x = points::<f64>(2, 4, 3);
    let request = Ask::everything(3, 3, 3).request();
    assert_eq!(layer.evaluate(&x, &request).unwrap(), net.evaluate(&x, &request).unwrap());
    let boxed: Box<dyn Layer<f64>> = Box::new(layer.clone());
    assert_eq!(boxed.hessian(&x).unwrap(), layer.hessian(&x).unwrap());
    let bar = Ask::cotangents(&layer.evaluate(&x, &request).unwrap(), 5);
    assert_eq!(layer.pullback(&x, &request, &bar).unwrap(), net.pullback(&x, &request, &bar).unwrap());
    let smooth = LogSumExp::new(3);
    let x32 = x.mapv(|x| x as f32);
    let value: Array2<f32> = smooth.value(&x32).unwrap();
    assert!((value[[0, 0]].exp() - x32.row(0).mapv(f32::exp).sum()).abs() < 1e-5);
}

/// Jets of the wrong shape are refused in words.
#[test]
fn wrong_jets() {
    let layer = Single::<f64>::new(3, 5, Activation::Tanh, &mut Init::seed(1));
    let x = points::<f64>(2, 4, 3);
    let right = start(&x);
    assert!(layer.forward(&right).is_ok());
    let wrong = [
        Jet::default(),
        Jet { value: Some(points(2, 4, 2)), ..right.clone() },
        Jet { gradient: Some(Array3::zeros((3, 3, 3))), ..right.clone() },
        Jet { gradient: Some(Array3::zeros((4, 3, 2))), ..right.clone() },
        Jet { hessian: Some(Array4::zeros((4, 3, 2, 3))), ..right.clone() },
        Jet { hessian: Some(Array4::zeros((4, 2, 2, 3))), ..right.clone() },
    ];
    for (i, jet) in wrong.iter().enumerate() {
        let e = layer.forward(jet).expect_err(&format!("wrong jet {i}"));
        assert!(matches!(e, Error::Shape { .. } | Error::Request(_)), "{i}: {e}");
    }
    let g = start(&layer.value(&x).unwrap());
    assert!(layer.backward(&x, &g).is_ok());
    let wrong = [
        Jet::default(),
        Jet { gradient: Some(Array3::zeros((4, 4, 1))), ..Jet::default() },
        Jet { gradient: Some(Array3::zeros((3, 5, 1))), ..Jet::default() },
        Jet { hessian: Some(Array4::zeros((4, 5, 5, 2))), ..g.clone() },
        Jet { hessian: Some(Array4::zeros((4, 5, 4, 5))), ..g.clone() },
    ];
    for (i, jet) in wrong.iter().enumerate() {
        let e = layer.backward(&x, jet).expect_err(&format!("wrong jet {i}"));
        assert!(matches!(e, Error::Shape { .. } | Error::Request(_)), "{i}: {e}");
    }
    let e = layer.backward(&points::<f64>(2, 4, 6), &g).unwrap_err();
    assert!(matches!(e, Error::Shape { .. }), "{e}");
}
