//! The layers that are their forward pass: values, derivatives and gradients against hyper-dual numbers of their formulas,
//! descriptions, files, and settings that make no sense.
#[path = "proof/common/mod.rs"]
mod common;

use common::adjoint::Slopes;
use common::{Ask, compare, differentiate, named, points};
use hessquik::layer::{
    Attention, AttentionSpec, Boundary, DeepONet, Fourier, FourierSpec, Product, Separable, Skip, Sum,
};
use hessquik::{
    Activation, Architecture, Error, Evaluate, Init, Layer, Mode, Network, Request, Single, SmoothMap, Softmax,
    fully_connected,
};
use ndarray::{Array1, array};

const MODES: [Mode; 4] = [Mode::Auto, Mode::Sites, Mode::Forward, Mode::Backward];

/// A single layer with an activation, to stand inside others.
fn single(d: usize, m: usize, act: &str) -> String {
    format!(r#"{{"type": "single", "in_features": {d}, "out_features": {m}, "act": "{act}"}}"#)
}

fn network(layers: &[String]) -> String {
    format!(r#"{{"type": "network", "layers": [{}]}}"#, layers.join(", "))
}

/// Every layer, with settings of every kind.
fn cases() -> Vec<String> {
    let (a, b, c) = (single(2, 3, "tanh"), single(2, 3, "sin"), single(2, 1, "softplus"));
    let branch = network(&[single(3, 5, "tanh"), single(5, 4, "identity")]);
    let trunk = network(&[single(2, 5, "sin"), single(5, 4, "identity")]);
    let axis = network(&[single(1, 4, "tanh"), single(4, 6, "tanh")]);
    let small = r#"{"type": "layer_norm", "features": 3}"#.to_string();
    [
        r#"{"type": "affine", "in_features": 3, "out_features": 2}"#,
        r#"{"type": "affine", "in_features": 2, "out_features": 2, "bias": false, "input_mean": [0.5, -1], "input_std": [2, 0.25],
            "output_mean": [3, 1], "output_std": [10, 0.1]}"#,
        r#"{"type": "affine", "in_features": 2, "out_features": 1, "input_std": [3, 4], "output_mean": [7]}"#,
        r#"{"type": "normalise", "mean": [1, 2, 3], "std": [0.5, 2, 4]}"#,
        r#"{"type": "normalise", "mean": [1, 2], "std": [0.5, 2], "inverse": true}"#,
        r#"{"type": "fourier", "in_features": 2, "frequencies": 3, "trained": true}"#,
        r#"{"type": "fourier", "in_features": 2, "frequencies": 3, "matrix": [[0.5, 0.1, 0.3], [-0.2, 0.7, 0]]}"#,
        r#"{"type": "periodic", "periods": [2, null, 0.75], "harmonics": 2}"#,
        r#"{"type": "periodic", "periods": [3]}"#,
        r#"{"type": "modified_mlp", "in_features": 2, "width": 4, "depth": 3}"#,
        r#"{"type": "modified_mlp", "in_features": 3, "width": 2, "depth": 1, "act": "sin"}"#,
        r#"{"type": "piratenet", "features": 4, "depth": 2}"#,
        r#"{"type": "piratenet", "features": 3, "act": "silu"}"#,
        r#"{"type": "layer_norm", "features": 4, "eps": 0.01}"#,
        r#"{"type": "layer_norm", "features": 3, "tokens": 2, "affine": false}"#,
        r#"{"type": "layer_norm", "features": 2, "tokens": 2, "eps": 0.5}"#,
        r#"{"type": "attention", "tokens": 3, "features": 4, "heads": 2}"#,
        r#"{"type": "attention", "tokens": 2, "features": 2, "bias": false}"#,
        r#"{"type": "attention", "tokens": 1, "features": 2, "heads": 2}"#,
        r#"{"type": "mfn", "in_features": 2, "width": 3, "depth": 3}"#,
        r#"{"type": "mfn", "in_features": 2, "width": 3, "depth": 2, "filter": "gabor"}"#,
        r#"{"type": "mfn", "in_features": 1, "width": 2, "depth": 1, "filter": "gabor", "scale": 2}"#,
        r#"{"type": "picnn", "context": 2, "convex": 3, "widths": [4, 3, 1], "context_width": 3}"#,
        r#"{"type": "picnn", "context": 1, "convex": 1, "widths": [2], "context_width": 3, "context_act": "sin"}"#,
        &format!(r#"{{"type": "deeponet", "branch": {branch}, "trunk": {trunk}}}"#),
        &format!(r#"{{"type": "deeponet", "branch": {branch}, "trunk": {trunk}, "outputs": 2}}"#),
        &format!(r#"{{"type": "separable", "factors": [{axis}, {axis}, {axis}], "outputs": 2}}"#),
        &format!(r#"{{"type": "separable", "factors": [{trunk}]}}"#),
        &format!(r#"{{"type": "boundary", "net": {a}, "lower": [0, null], "upper": [1, 2.5]}}"#),
        &format!(r#"{{"type": "boundary", "net": {a}, "lower": [null, -1], "upper": [null, null], "shift": {b}}}"#),
        &format!(r#"{{"type": "boundary", "net": {branch}, "lower": [-2, 0, -1], "upper": [2, 3, 1]}}"#),
        &format!(r#"{{"type": "along", "net": {a}, "directions": 2}}"#),
        &format!(r#"{{"type": "along", "net": {branch}, "directions": 1}}"#),
        &format!(r#"{{"type": "sum", "terms": [{a}, {b}, {c}], "coefficients": [1, -2.5, 0.5]}}"#),
        &format!(r#"{{"type": "sum", "terms": [{a}]}}"#),
        &format!(r#"{{"type": "product", "factors": [{a}, {c}, {b}]}}"#),
        &format!(r#"{{"type": "skip", "net": {a}}}"#),
        // nested in one another, at other positions
        &network(&[
            format!(r#"{{"type": "sum", "terms": [{a}, {{"type": "product", "factors": [{a}, {b}]}}]}}"#),
            small.clone(),
            format!(r#"{{"type": "skip", "net": {{"type": "skip", "net": {small}}}}}"#),
            single(9, 1, "tanh"),
        ]),
    ]
    .map(String::from)
    .to_vec()
}

/// The network of a description, all weights random.
fn built(json: &str, seed: u64) -> (Architecture, Network<f64>) {
    let architecture = Architecture::from_json(json).unwrap_or_else(|e| panic!("{json}: {e}"));
    let mut net: Network<f64> = architecture.build(&mut Init::seed(seed)).unwrap_or_else(|e| panic!("{json}: {e}"));
    let theta: Array1<f64> = common::uniform(seed, 0.8, net.n_weights());
    net.set_flat_weights(theta.view()).unwrap();
    (architecture, net)
}

#[test]
fn every_request_and_pullback_is_that_of_hyper_dual_numbers() {
    for (seed, json) in (1u64..).zip(cases()) {
        let (architecture, net) = built(&json, seed);
        let d = net.dim_input();
        let x = points::<f64>(seed, 2, d);
        let full = differentiate(&architecture, &named(&net), &x);
        for ask in [Ask::everything(seed, d, d), Ask::jet(), Ask { laplacian: true, ..Ask::default() }] {
            for mode in MODES {
                let ask = ask.clone().mode(mode);
                let found = net.evaluate(&x, &ask.request()).unwrap_or_else(|e| panic!("{json}: {e}"));
                let worst = compare(&found, &ask.contract(&full), &ask.magnitude(&full));
                assert!(worst.error <= 1e-10, "{worst} for {ask:?} of {json}");
                let bar = Ask::cotangents(&found, seed);
                let slopes = Slopes::new(&architecture, &net, &x, &ask, &bar, seed);
                let worst = slopes.check(&net.pullback(&x, &ask.request(), &bar).unwrap());
                assert!(worst.error <= 1e-10, "{worst} of the pullback for {ask:?} of {json}");
            }
        }
    }
}

#[test]
fn single_precision_is_near() {
    for (seed, json) in (1u64..).zip(cases()) {
        let (architecture, net) = built(&json, seed);
        let net32 = net.cast::<f32>().unwrap();
        let x32 = points::<f32>(seed, 3, net.dim_input());
        let full = differentiate(&architecture, &named(&net32), &x32.mapv(f64::from));
        for mode in MODES {
            let ask = Ask { laplacian: true, ..Ask::jet() }.mode(mode);
            let found = net32.evaluate(&x32, &ask.request()).unwrap();
            let worst = compare(&found, &ask.contract(&full), &ask.magnitude(&full));
            assert!(worst.error <= 1e-3, "{worst} for {ask:?} of {json}");
        }
    }
}

#[test]
fn descriptions_and_files_come_back_to_the_last_bit() {
    for (seed, json) in (1u64..).zip(cases()) {
        let (architecture, net) = built(&json, seed);
        let told = net.architecture().expect("a description");
        assert_eq!(told, architecture, "{json}");
        assert_eq!(Architecture::from_json(&told.to_json()).unwrap(), told);
        let shapes: Vec<_> = net.weights().into_iter().map(|(name, w)| (name, w.shape().to_vec())).collect();
        assert_eq!(told.weight_shapes(), shapes, "{json}");
        let again = Network::<f64>::from_bytes(&net.to_bytes().unwrap()).unwrap_or_else(|e| panic!("{json}: {e}"));
        let x = points::<f64>(seed, 5, net.dim_input());
        assert_eq!(again.architecture(), Some(told));
        assert_eq!(again.hessian(&x).unwrap(), net.hessian(&x).unwrap(), "{json}");
        // the same seed, the same network
        let fresh = |seed| architecture.build::<f64>(&mut Init::seed(seed)).unwrap().flat_weights();
        assert_eq!(fresh(3), fresh(3));
        assert!(format!("{net:?}").contains("weight"));
    }
}

/// What is wrong, and what the error says.
#[test]
fn bad_settings_are_named() {
    let a = single(2, 3, "tanh");
    for (json, words) in [
        (r#"{"type": "affine", "in_features": 0, "out_features": 2}"#.into(), "in_features is 0, expected at least 1"),
        (
            r#"{"type": "affine", "in_features": 2, "out_features": 2, "input_mean": [1]}"#.into(),
            "input_mean is 1, expected 2",
        ),
        (r#"{"type": "affine", "in_features": 1, "out_features": 1, "input_std": [0]}"#.into(), "input_std"),
        (r#"{"type": "affine", "in_features": 1, "out_features": 1, "input_std": [1e-310]}"#.into(), "input_std"),
        (r#"{"type": "affine", "in_features": 1, "out_features": 1, "act": "tanh"}"#.into(), "unknown field"),
        (r#"{"type": "normalise", "mean": [], "std": []}"#.into(), "at least 1"),
        (r#"{"type": "normalise", "mean": [1, 2], "std": [1]}"#.into(), "std is 1, expected 2"),
        (r#"{"type": "fourier", "in_features": 2, "frequencies": 0}"#.into(), "frequencies is 0"),
        (r#"{"type": "fourier", "in_features": 2, "frequencies": 3, "sigma": 0}"#.into(), "sigma is 0"),
        (r#"{"type": "fourier", "in_features": 2, "frequencies": 1, "matrix": [[1]]}"#.into(), "2 rows of 1"),
        (
            r#"{"type": "fourier", "in_features": 1, "frequencies": 1, "matrix": [[1]], "trained": true}"#.into(),
            "matrix is given",
        ),
        (r#"{"type": "periodic", "periods": [null]}"#.into(), "number of periods is 0"),
        (r#"{"type": "periodic", "periods": [-1]}"#.into(), "a period is -1"),
        (r#"{"type": "periodic", "periods": [1e-320]}"#.into(), "period"),
        (r#"{"type": "periodic", "periods": [1], "harmonics": 0}"#.into(), "harmonics is 0"),
        (r#"{"type": "modified_mlp", "in_features": 2, "width": 4, "depth": 0}"#.into(), "depth is 0"),
        (
            r#"{"type": "modified_mlp", "in_features": 2, "width": 4, "depth": 1000000000000}"#.into(),
            "depth is 1000000000000",
        ),
        (r#"{"type": "piratenet", "features": 0}"#.into(), "features is 0"),
        (r#"{"type": "piratenet", "features": 2, "act": {"type": "softplus", "beta": -1}}"#.into(), "beta"),
        (r#"{"type": "layer_norm", "features": 2, "eps": -1}"#.into(), "eps is -1"),
        (
            r#"{"type": "attention", "tokens": 3, "features": 4, "heads": 3}"#.into(),
            "heads is 3, expected a number that divides",
        ),
        (r#"{"type": "attention", "tokens": 3, "features": 4, "heads": 0}"#.into(), "heads is 0"),
        (r#"{"type": "mfn", "in_features": 2, "width": 3, "depth": 2, "filter": "haar"}"#.into(), "haar"),
        (r#"{"type": "mfn", "in_features": 2, "width": 3, "depth": 2, "scale": -1}"#.into(), "scale is -1"),
        (r#"{"type": "picnn", "context": 2, "convex": 3, "widths": [], "context_width": 3}"#.into(), "widths is 0"),
        (
            r#"{"type": "picnn", "context": 2, "convex": 3, "widths": [2, 0, 1], "context_width": 3}"#.into(),
            "widths is 0",
        ),
        (format!(r#"{{"type": "deeponet", "branch": {a}, "trunk": {}}}"#, single(2, 2, "tanh")), "is 2, expected 3"),
        (
            format!(r#"{{"type": "deeponet", "branch": {a}, "trunk": {a}, "outputs": 2}}"#),
            "a multiple of the 2 outputs",
        ),
        (format!(r#"{{"type": "deeponet", "branch": {a}, "trunk": {a}, "outputs": 0}}"#), "outputs is 0"),
        (r#"{"type": "separable", "factors": []}"#.into(), "number of factors is 0"),
        (format!(r#"{{"type": "boundary", "net": {a}, "lower": [null, null], "upper": [null, null]}}"#), "faces is 0"),
        (format!(r#"{{"type": "boundary", "net": {a}, "lower": [0], "upper": [1]}}"#), "is 1, expected 2"),
        (format!(r#"{{"type": "boundary", "net": {a}, "lower": [0, 0], "upper": [1]}}"#), "is 1, expected 2"),
        (format!(r#"{{"type": "boundary", "net": {a}, "lower": [1, 0], "upper": [1, 2]}}"#), "4/(upper - lower)^2"),
        (format!(r#"{{"type": "boundary", "net": {a}, "lower": [2, 0], "upper": [1, 2]}}"#), "a lower face is 2"),
        (
            format!(
                r#"{{"type": "boundary", "net": {a}, "lower": [0, 0], "upper": [1, 2], "shift": {}}}"#,
                single(2, 1, "sin")
            ),
            "2 to 1, expected 2 to 3",
        ),
        (
            format!(r#"{{"type": "along", "net": {a}, "directions": 0}}"#),
            "number of directions is 0, expected at least 1",
        ),
        (r#"{"type": "sum", "terms": []}"#.into(), "number of terms is 0"),
        (format!(r#"{{"type": "sum", "terms": [{a}], "coefficients": [1, 2]}}"#), "coefficients is 2, expected 1"),
        (
            format!(r#"{{"type": "sum", "terms": [{a}, {}]}}"#, single(3, 3, "tanh")),
            "inputs of network 1 is 3, expected 2",
        ),
        (format!(r#"{{"type": "product", "factors": [{a}, {}]}}"#, single(2, 2, "sin")), "outputs of network 1 is 2"),
        (r#"{"type": "skip", "net": {"type": "single", "in_features": 2, "out_features": 0}}"#.into(), "layer net"),
        (r#"{"type": "skip", "net": {"type": "network", "layers": []}}"#.into(), "at least one layer"),
        (r#"{"type": "layernorm", "features": 2}"#.into(), "did you mean layer_norm?"),
    ] {
        let error = match Architecture::from_json(&json) {
            Ok(architecture) => architecture.build::<f64>(&mut Init::seed(0)).map(drop),
            Err(e) => Err(e),
        };
        let message = error.expect_err(&json).to_string();
        assert!(message.contains(words), "{json}: {message}");
    }
}

/// The positions of errors go into the layers inside, as the names of weights do.
#[test]
fn errors_say_where() {
    let inner =
        r#"{"type": "sum", "terms": [{"type": "piratenet", "features": 2}, {"type": "piratenet", "features": 0}]}"#;
    let json = network(&[single(2, 2, "tanh"), inner.into()]);
    let error = Architecture::from_json(&json).unwrap().check().unwrap_err();
    assert_eq!(error.to_string(), "features of layer 1.1 is 0, expected at least 1");
}

/// Numbers that f32 does not hold are errors there, and only there.
#[test]
fn settings_that_a_precision_does_not_hold() {
    for json in [
        r#"{"type": "normalise", "mean": [0], "std": [1e-60]}"#,
        r#"{"type": "normalise", "mean": [1e60], "std": [1]}"#,
        r#"{"type": "layer_norm", "features": 2, "eps": 1e-80}"#,
    ] {
        let architecture = Architecture::from_json(json).unwrap();
        let net = architecture.build::<f64>(&mut Init::seed(0)).unwrap_or_else(|e| panic!("{json}: {e}"));
        let error = architecture.build::<f32>(&mut Init::seed(0)).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }) && error.to_string().contains("f32"), "{error}");
        assert!(net.cast::<f32>().is_err());
    }
}

/// Sizes that no machine has are found before anything of them is made.
#[test]
fn sizes_are_bounded() {
    let n = 1u64 << 60;
    for json in [
        format!(r#"{{"type": "fourier", "in_features": {n}, "frequencies": {n}}}"#),
        format!(r#"{{"type": "periodic", "periods": [1], "harmonics": {n}}}"#),
        format!(r#"{{"type": "layer_norm", "features": {n}, "tokens": {n}, "affine": false}}"#),
        format!(r#"{{"type": "attention", "tokens": {n}, "features": {n}, "heads": {n}}}"#),
        format!(r#"{{"type": "attention", "tokens": {n}, "features": 1, "bias": false}}"#),
        format!(r#"{{"type": "mfn", "in_features": {n}, "width": {n}, "depth": 4, "filter": "gabor"}}"#),
        format!(r#"{{"type": "affine", "in_features": {n}, "out_features": 1}}"#),
        format!(r#"{{"type": "skip", "net": {{"type": "softmax", "features": {n}}}}}"#),
    ] {
        let error = Architecture::from_json(&json).unwrap().check().unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{json}: {error}");
    }
}

#[test]
fn fixed_frequencies_follow_from_their_seed() {
    let of = |seed| {
        let spec = FourierSpec::new(2, 4, 3.0).seed(seed);
        let net = Network::bare(Box::new(Fourier::<f64>::new(spec, &mut Init::seed(9)).unwrap())).unwrap();
        net.value(&array![[0.3, 0.7]]).unwrap()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    // normal numbers: mean 0, standard deviation sigma, a few beyond two of them
    let b: Array1<f64> = Init::seed(4).normal(40_000, 3.0);
    assert!(b.mean().unwrap().abs() < 0.06 && (b.std(0.0) - 3.0).abs() < 0.05, "{} {}", b.mean().unwrap(), b.std(0.0));
    let beyond = b.iter().filter(|b| b.abs() > 6.0).count() as f64 / 4e4;
    assert!((beyond - 0.0455).abs() < 0.005, "{beyond}");
    assert!(Init::zeros().normal::<f64, _, _>(3, 1.0).iter().all(|&b| b == 0.0));
}

/// On the faces the factor is zero to the last bit, in either precision, and the network is its shift.
#[test]
fn boundary_values_are_exact() {
    fn check<F: hessquik::Real>() {
        let init = &mut Init::seed(2);
        let net = || fully_connected::<F>(&[2, 5, 2], Activation::Tanh, &mut Init::seed(1)).unwrap();
        let shift = fully_connected::<F>(&[2, 3, 2], Activation::Sin, init).unwrap();
        let (lower, upper) = (vec![Some(0.1), None], vec![Some(0.7), Some(-0.3)]);
        let zero = Boundary::new(Box::new(net()), lower.clone(), upper.clone()).unwrap();
        let layer = Boundary::with_shift(Box::new(net()), Box::new(shift.clone()), lower, upper).unwrap();
        let layer = Network::bare(Box::new(layer)).unwrap();
        let x = array![[0.1, 0.4], [0.7, -1.0], [0.33, -0.3]].mapv(F::of);
        let (found, wanted) = (layer.value(&x).unwrap(), shift.value(&x).unwrap());
        assert!(
            found.iter().zip(&wanted).all(|(f, w)| (*f - *w).abs() <= F::of(4.0) * F::epsilon()),
            "{found} {wanted}"
        );
        assert!(Network::bare(Box::new(zero)).unwrap().value(&x).unwrap().iter().all(|v| *v == F::zero()));
        let inside = array![[0.4, -1.0]].mapv(F::of);
        assert_ne!(layer.value(&inside).unwrap(), shift.value(&inside).unwrap());
    }
    check::<f32>();
    check::<f64>();
}

/// Outputs are convex in `y`, whatever the weights are, and not in `x`.
#[test]
fn partially_convex_networks_are_convex_in_some_inputs() {
    let json = r#"{"type": "picnn", "context": 1, "convex": 2, "widths": [6, 5, 1], "context_width": 4}"#;
    let mut other = false;
    for seed in 0..20 {
        let (_, net) = built(json, seed);
        let x = points::<f64>(seed, 20, 3);
        let h = net.hessian(&x).unwrap().2;
        for s in 0..20 {
            let (a, b, c) = (h[[s, 1, 1, 0]], h[[s, 1, 2, 0]], h[[s, 2, 2, 0]]);
            assert!(a >= -1e-12 && c >= -1e-12 && a * c - b * b >= -1e-10, "{a} {b} {c}");
            other |= h[[s, 0, 0, 0]] < -1e-3;
        }
    }
    assert!(other);
}

/// Layers without a description, and layers of every door, stand inside others; files keep the graph then.
#[test]
fn layers_of_the_users_own_stand_inside() {
    /// The square of every feature, without a description.
    #[derive(Clone, Debug)]
    struct Own;
    impl Layer<f64> for Own {
        fn name(&self) -> String {
            "own".into()
        }
        fn dim_input(&self) -> usize {
            2
        }
        fn dim_output(&self) -> usize {
            2
        }
        fn forward_pass(&self, u: hessquik::Var<f64>) -> hessquik::Var<f64> {
            u.square()
        }
        fn architecture(&self) -> Option<Architecture> {
            None
        }
    }
    let _: &dyn SmoothMap<f64> = &Softmax::new(2);
    let init = &mut Init::seed(3);
    let linear = Single::new(2, 2, Activation::Identity, init);
    let product = Product::new(vec![Box::new(Own), Box::new(Softmax::new(2)), Box::new(linear)]).unwrap();
    let sum = Sum::new(vec![Box::new(product), Box::new(Own)], None).unwrap();
    let net = Network::bare(Box::new(Skip::new(Box::new(sum)).unwrap())).unwrap();
    let names: Vec<_> = net.weights().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["net.0.2.K", "net.0.2.b"]);
    let x = array![[0.4, -0.3]];
    let (k, b) = (net.weight("net.0.2.K").unwrap().to_owned(), net.weight("net.0.2.b").unwrap().to_owned());
    let e = [0.4f64.exp(), (-0.3f64).exp()];
    let value = net.value(&x).unwrap();
    for o in 0..2 {
        let linear = x[[0, 0]] * k[[0, o]] + x[[0, 1]] * k[[1, o]] + b[[o]];
        let square = x[[0, o]] * x[[0, o]];
        let wanted = square * e[o] / (e[0] + e[1]) * linear + square;
        assert!((value[[0, o]] - wanted).abs() < 1e-14);
        assert_eq!(value[[0, 2 + o]], x[[0, o]]);
    }
    let again = Network::<f64>::from_bytes(&net.to_bytes().unwrap()).unwrap();
    // the innermost that holds it is a graph
    let told = again.architecture().unwrap().to_json();
    assert!(told.starts_with(r#"{"type":"skip","net":{"type":"graph""#), "{told}");
    assert_eq!(again.weights(), net.weights());
    assert_eq!(again.hessian(&x).unwrap(), net.hessian(&x).unwrap());
}

/// Constructors check what descriptions check.
#[test]
fn constructors_return_errors() {
    let init = &mut Init::seed(0);
    assert!(matches!(Attention::<f64>::new(AttentionSpec::new(2, 4, 3), init), Err(Error::Setting { .. })));
    assert!(matches!(Sum::<f64>::new(vec![], None), Err(Error::Setting { .. })));
    let mut one = move |d, m| Box::new(Single::<f64>::new(d, m, Activation::Tanh, init)) as Box<dyn Layer<f64>>;
    assert!(matches!(DeepONet::new(one(2, 3), one(2, 4), 1), Err(Error::Setting { .. })));
    assert!(matches!(Separable::new(vec![one(1, 3), one(1, 3)], 2), Err(Error::Setting { .. })));
    let spec = AttentionSpec::new(2, 4, 2);
    assert!(matches!(
        Attention::of(spec, vec![("0".into(), one(2, 2))], &mut Init::zeros()),
        Err(Error::Setting { .. })
    ));
    let whole = Separable::new(vec![one(1, 4), one(2, 4)], 2).unwrap();
    let jet = Network::bare(Box::new(whole)).unwrap().evaluate(&array![[0.1, 0.2, 0.3]], &Request::new().value());
    assert_eq!(jet.unwrap().value.unwrap().dim(), (1, 2));
}
