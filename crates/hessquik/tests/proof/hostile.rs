//! What goes wrong in practice: bad shapes, odd views, no points, no memory, no numbers.
use crate::common;
use common::{Ask, named, network, plan, points};
use hessquik::{
    Activation, ActivationSpec, Architecture, Error, Evaluate, Init, Jet, JetMut, Layer, LogSumExp, Mode, Network,
    Quadratic, Real, Request, Resnet, Single, fully_connected, icnn, resnet,
};
use ndarray::{Array1, Array2, Array3, Array4, ArrayView2, Axis, array, s};

mod wrong_input;

/// A network with every kind of layer, 3 inputs to 2 outputs.
pub fn everything_network<F: Real>(seed: u64) -> Network<F> {
    use Architecture as A;
    let softplus = ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 };
    let resnet = |act| A::Resnet { width: 12, h: 0.5, act, bias: true };
    let layers = vec![
        A::Single { in_features: 3, out_features: 12, act: ActivationSpec::AntiTanh, bias: true },
        A::Network { layers: vec![resnet(ActivationSpec::Tanh), resnet(softplus), resnet(ActivationSpec::Sin)] },
        A::Softmax { features: 12 },
        A::Icnn { input_dim: 12, in_features: None, out_features: 5, act: softplus, bias: true },
        A::Icnn { input_dim: 12, in_features: Some(5), out_features: 4, act: softplus, bias: true },
        A::Single { in_features: 16, out_features: 2, act: ActivationSpec::Sigmoid, bias: true },
    ];
    network(&A::Network { layers }, seed)
}

pub fn modes() -> Vec<Mode> {
    let plans = [plan(0, &[1]), plan(2, &[3, 5]), plan(3, &[]), plan(0, &[4, 7])].map(Mode::Plan);
    [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites].into_iter().chain(plans).collect()
}

// ---------------------------------------------------------------- views

/// Views of any strides give the same bits as a contiguous copy.
#[test]
fn any_view_of_points() {
    let net = everything_network::<f64>(1);
    let big = points::<f64>(2, 40, 11);
    let fortran = big.t().as_standard_layout().into_owned();
    let row = points::<f64>(3, 1, 3);
    let views: Vec<(&str, ArrayView2<f64>)> = vec![
        ("some columns", big.slice(s![.., 4..7])),
        ("every other column", big.slice(s![.., 1..6;2])),
        ("reversed points", big.slice(s![..;-1, 0..3])),
        ("reversed features", big.slice(s![.., 0..3;-1])),
        ("both reversed, with steps", big.slice(s![..;-3, ..;-4])),
        ("column-major", fortran.slice(s![2..5, ..]).reversed_axes()),
        ("one point for many", row.broadcast((25, 3)).unwrap()),
    ];
    let ask = Ask::everything(4, 3, 3);
    for (name, x) in views {
        assert_eq!(x.ncols(), 3, "{name}");
        let copy = x.as_standard_layout().into_owned();
        let (found, wanted) = (net.evaluate(&x, &ask.request()).unwrap(), net.evaluate(&copy, &ask.request()).unwrap());
        assert_eq!(found, wanted, "{name}");
        let bar = Ask::cotangents(&wanted, 5);
        let pull = |x: &ArrayView2<f64>, bar: &Jet<f64>| net.pullback(x, &ask.request(), bar).unwrap();
        assert_eq!(pull(&x, &bar), pull(&copy.view(), &bar), "{name}");
        // cotangents in standard order rather than the order of results
        let standard = common::compare::map_fields!(bar, |a| a.as_standard_layout().into_owned());
        assert_eq!(pull(&x, &standard), pull(&x, &bar), "{name}");
    }
}

/// Directions, outputs and operators given as transposed arrays are read by their indices.
#[test]
fn any_layout_of_directions() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 4, 3);
    let fortran = |a: Array2<f64>| a.t().as_standard_layout().into_owned().reversed_axes();
    let (v, u): (Array2<f64>, Array2<f64>) = (common::uniform(3, 1.0, (4, 3)), common::uniform(4, 1.0, (2, 3)));
    let (b, w): (Array2<f64>, Array2<f64>) = (common::uniform(5, 1.0, (4, 4)), common::uniform(6, 1.0, (2, 3)));
    let ask = |f: &dyn Fn(Array2<f64>) -> Array2<f64>| {
        let request = Request::new().gradient().hessian().operator(f(b.clone())).products(f(w.clone()));
        net.evaluate(&x, &request.directions(f(v.clone())).outputs(f(u.clone()))).unwrap()
    };
    assert_eq!(ask(&|a| a), ask(&fortran));
}

// ---------------------------------------------------------------- sizes

/// No points: arrays without samples, gradients of zero.
#[test]
fn no_points() {
    let net = everything_network::<f64>(1);
    let x = Array2::<f64>::zeros((0, 3));
    let ask = Ask::everything(2, 3, 3);
    for mode in modes() {
        let request = ask.clone().mode(mode).request();
        let jet = net.evaluate(&x, &request).unwrap();
        assert_eq!(jet.value.as_ref().unwrap().shape(), [0, 2]);
        assert_eq!(jet.gradient.as_ref().unwrap().shape(), [0, 3, 2]);
        assert_eq!(jet.hessian.as_ref().unwrap().shape(), [0, 3, 3, 2]);
        assert_eq!(jet.packed.as_ref().unwrap().shape(), [0, 6, 2]);
        assert_eq!(jet.products.as_ref().unwrap().shape(), [0, 3, 3, 2]);
        let gradients = net.pullback(&x, &request, &jet).unwrap();
        assert_eq!(gradients.input.shape(), [0, 3]);
        assert_eq!(gradients.weights, Array1::<f64>::zeros(net.n_weights()));
    }
    let (loss, gradients) = net.loss_gradients(&x, &ask.request(), |_, _, _| 0.0).unwrap();
    assert_eq!((loss, gradients.weights), (0.0, Array1::zeros(net.n_weights())));
    net.explain(0, &ask.request()).unwrap();
}

/// One input, one output, one feature, one point.
#[test]
fn ones() {
    let net = fully_connected::<f64>(&[1, 1, 1], Activation::Tanh, &mut Init::seed(1)).unwrap();
    let weights = named(&net);
    let (k0, b0) = (weights["0.K"][[0, 0]], weights["0.b"][[0]]);
    let (k1, b1) = (weights["1.K"][[0, 0]], weights["1.b"][[0]]);
    let x = 0.3;
    let (t0, t1) = ((x * k0 + b0).tanh(), ((x * k0 + b0).tanh() * k1 + b1).tanh());
    let slope = (1.0 - t1 * t1) * k1 * (1.0 - t0 * t0) * k0;
    let bend = -2.0 * t1 * (1.0 - t1 * t1) * (k1 * (1.0 - t0 * t0) * k0).powi(2)
        + (1.0 - t1 * t1) * k1 * (-2.0 * t0 * (1.0 - t0 * t0)) * k0 * k0;
    for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites, Mode::Plan(plan(0, &[1]))] {
        let request = Request::new().value().gradient().hessian().packed().diagonal().laplacian().mode(mode);
        let jet = net.evaluate(&array![[x]], &request).unwrap();
        let close = |f: f64, w: f64| assert!((f - w).abs() < 1e-15, "{f} for {w}");
        close(jet.value.unwrap()[[0, 0]], t1);
        close(jet.gradient.unwrap()[[0, 0, 0]], slope);
        close(jet.hessian.unwrap()[[0, 0, 0, 0]], bend);
        close(jet.packed.unwrap()[[0, 0, 0]], bend);
        close(jet.diagonal.unwrap()[[0, 0, 0]], bend);
        close(jet.laplacian.unwrap()[[0, 0]], bend);
    }
}

/// A point more or less at any tile border changes nothing: many sizes, each against its points in one large batch.
#[test]
fn every_number_of_points() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 700, 3);
    let ask = Ask { laplacian: true, ..Ask::jet() };
    let all = net.evaluate(&x, &ask.request()).unwrap();
    for n_s in (1..=70).chain([127, 128, 129, 255, 256, 257, 511, 512, 513, 699]) {
        let part = net.evaluate(&x.slice(s![..n_s, ..]), &ask.request()).unwrap();
        let wanted = common::compare::map_fields!(all, |a| a.slice_axis(Axis(0), (..n_s).into()).to_owned());
        common::compare(&part, &wanted, &wanted).within(1e-11, &n_s);
    }
}

/// Results that fit no memory are an error that says how much was asked for, before anything is computed.
#[test]
fn no_memory() {
    let net = fully_connected::<f64>(&[100, 8, 3], Activation::Tanh, &mut Init::seed(1)).unwrap();
    let one = points::<f64>(2, 1, 100);
    let n_s = 1usize << 48;
    let x = one.broadcast((n_s, 100)).unwrap();
    let refused = |e: Error, wanted: u128| match &e {
        Error::OutOfMemory { bytes, .. } => {
            assert_eq!(*bytes, wanted, "{e}");
            assert!(e.to_string().contains(&wanted.to_string()), "{e}");
        }
        other => panic!("not about memory: {other}"),
    };
    let n = n_s as u128;
    refused(net.value(&x).unwrap_err(), n * 3 * 8);
    refused(net.evaluate(&x, &Request::new().gradient()).unwrap_err(), n * 100 * 3 * 8);
    refused(net.evaluate(&x, &Request::new().hessian()).unwrap_err(), n * 100 * 100 * 3 * 8);
    refused(net.evaluate(&x, &Request::new().packed()).unwrap_err(), n * 5050 * 3 * 8);
    // more bytes than a machine word counts, and in single precision
    let single: Network<f32> = net.cast().unwrap();
    let one = one.mapv(|x| x as f32);
    let x32 = one.broadcast((1 << 56, 100)).unwrap();
    refused(single.evaluate(&x32, &Request::new().hessian()).unwrap_err(), (1u128 << 56) * 30_000 * 4);
    // the gradient of the points is as large as the points
    let e = net.pullback(&x, &Request::new().value(), &Jet::default()).unwrap_err();
    assert!(matches!(e, Error::OutOfMemory { .. }), "{e}");
    let e = net.loss_gradients(&x, &Request::new().value(), |_, _, _| 0.0).unwrap_err();
    assert!(matches!(e, Error::OutOfMemory { .. }), "{e}");
    // in chunks the same points cost nothing before they come
    let mut chunks = 0;
    let stopped = net.stream(&x, &Request::new().laplacian(), |range, jet| -> Result<(), Stop> {
        assert_eq!(jet.laplacian.as_ref().unwrap().nrows(), range.len());
        chunks += 1;
        if chunks == 3 { Err(Stop::Enough(range.end)) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(Stop::Enough(end)) if end > 0 && end < 1 << 30), "{stopped:?}");
}

#[derive(Debug)]
enum Stop {
    Enough(usize),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

/// An error of the consumer stops the stream; an error of the library comes out in the consumer's type.
#[test]
fn streams_stop() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 50, 4);
    let failed = net.stream(&x, &Request::new().value(), |_, _| -> Result<(), Stop> { unreachable!() });
    assert!(matches!(failed, Err(Stop::Failed(Error::Shape { .. }))), "{failed:?}");
}

#[track_caller]
pub fn says(result: Result<impl std::fmt::Debug, Error>, words: &[&str]) {
    let message = result.expect_err("an error").to_string();
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

// ---------------------------------------------------------------- weights

/// Weights set by any door are the weights of the next evaluation.
#[test]
fn new_weights_count() {
    let mut net = everything_network::<f64>(1);
    let x = points::<f64>(2, 3, 3);
    let other = everything_network::<f64>(7);
    let wanted = other.hessian(&x).unwrap();
    assert_ne!(net.hessian(&x).unwrap(), wanted);
    net.set_flat_weights(other.flat_weights().view()).unwrap();
    assert_eq!(net.hessian(&x).unwrap(), wanted);
    let kept = net.clone();
    let b = net.weight("1.2.layer.b").unwrap().mapv(|b| b + 1.0);
    net.set_weight("1.2.layer.b", b.view()).unwrap();
    assert_ne!(net.hessian(&x).unwrap(), wanted);
    assert_eq!(kept.hessian(&x).unwrap(), wanted);
    for (name, w) in net.weights_mut() {
        if name == "1.2.layer.b" {
            w.mapv_inplace(|b| b - 1.0);
        }
    }
    let back = net.hessian(&x).unwrap();
    let scale = wanted.2.mapv(f64::abs).into_dyn();
    common::compare::arrays("hessian", &back.2.into_dyn(), &wanted.2.into_dyn(), &scale).within(1e-12, &"set back");
}

#[test]
fn wrong_weights() {
    let mut net = everything_network::<f64>(1);
    let before = net.flat_weights();
    says(net.weight("1.9.layer.b"), &["1.9.layer.b", "1.2.layer.b"]);
    says(net.set_weight("b", before.view().into_dyn()), &["\"b\"", "0.K"]);
    says(net.set_weight("0.b", Array1::zeros(13).view().into_dyn()), &["0.b", "[13]", "[12]"]);
    says(net.set_flat_weights(Array1::zeros(before.len() + 1).view()), &[&before.len().to_string()]);
    says(net.set_flat_weights(Array1::zeros(0).view()), &["[0]"]);
    assert_eq!(net.flat_weights(), before);
}

// ---------------------------------------------------------------- no numbers

/// A point that is no number, or infinite, spoils its own results and nothing else.
#[test]
fn bad_points_keep_to_themselves() {
    fn check<F: Real>() {
        let net = everything_network::<F>(1);
        let x = points::<F>(2, 150, 3);
        let ask = Ask::everything(3, 3, 3);
        for mode in modes() {
            let request = ask.clone().mode(mode.clone()).request();
            let clean = net.evaluate(&x, &request).unwrap();
            let mut dirty = x.clone();
            dirty[[5, 1]] = F::nan();
            dirty[[77, 0]] = F::infinity();
            dirty[[149, 2]] = F::neg_infinity();
            let jet = net.evaluate(&dirty, &request).unwrap();
            for ((name, clean), (_, jet)) in common::compare::fields(&clean).iter().zip(common::compare::fields(&jet)) {
                for s in 0..150 {
                    let (clean, jet) = (clean.index_axis(Axis(0), s), jet.index_axis(Axis(0), s));
                    if s == 5 {
                        assert!(jet.iter().all(|j| j.is_nan()), "{name} at NaN by {mode:?}: {jet}");
                    } else if ![77, 149].contains(&s) {
                        assert!(clean == jet, "{name} of point {s} by {mode:?}: {jet} for {clean}");
                    }
                }
            }
        }
    }
    check::<f64>();
    check::<f32>();
}

/// Points far out: tanh, sigmoid, softplus, softmax and log-sum-exp saturate without overflow.
#[test]
fn saturation_is_finite() {
    fn check<F: Real>(size: f64) {
        use Architecture as A;
        let single = |act| A::Single { in_features: 3, out_features: 4, act, bias: true };
        let softplus = ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 };
        let saturating = [
            single(ActivationSpec::Tanh),
            single(ActivationSpec::AntiTanh),
            single(ActivationSpec::Sigmoid),
            single(softplus),
            single(ActivationSpec::Silu),
            single(ActivationSpec::Gelu),
            single(ActivationSpec::Gaussian),
            A::Softmax { features: 3 },
            A::LogSumExp { in_features: 3 },
        ];
        for architecture in saturating {
            let net = network::<F>(&architecture, 1);
            let x = points::<F>(2, 40, 3) * F::of(size);
            let ask = Ask::everything(3, 3, 3);
            let jet = net.evaluate(&x, &ask.request()).unwrap();
            for (name, a) in common::compare::fields(&jet) {
                assert!(a.iter().all(|a| a.is_finite()), "{name} of {} at {size:e}: {a}", architecture.to_json());
            }
            let ones = common::compare::map_fields!(jet, |a| a.mapv(|_| F::one()));
            let gradients = net.pullback(&x, &ask.request(), &ones).unwrap();
            let all = gradients.weights.iter().chain(&gradients.input);
            assert!(all.cloned().all(|g| g.is_finite()), "pullback of {} at {size:e}", architecture.to_json());
        }
    }
    for size in [30.0, 1e3, 1e6, 1e15] {
        check::<f64>(size);
        check::<f32>(size);
    }
    check::<f64>(1e100);
}
