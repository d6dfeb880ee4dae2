//! ONNX files: values against those of the reference of ONNX, derivatives by our checks, errors, and any bytes at all.
//! `onnx/make.py` writes the files.
use hessquik::activation::ActivationKind;
use hessquik::check::{DifferenceOptions, input_derivative_check_finite_difference};
use hessquik::{Activation, Architecture, Error, Evaluate, Init, Layer, Mode, Network, Request, Single, weights_dtype};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::path::PathBuf;

const NAMES: [&str; 4] = ["mlp", "attention", "conv", "relu"];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(format!("{name}.onnx"))
}

/// Points and values that the reference computed.
fn expected(name: &str) -> (Array2<f64>, Array2<f64>) {
    let text = std::fs::read_to_string(path("").with_file_name("expected.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let matrix = |rows: &serde_json::Value| {
        let rows: Vec<Vec<f64>> = serde_json::from_value(rows.clone()).unwrap();
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
    };
    (matrix(&all[name]["x"]), matrix(&all[name]["y"]))
}

fn message(bytes: &[u8]) -> String {
    match Network::<f64>::from_bytes(bytes) {
        Err(Error::File { message, .. }) => message,
        other => panic!("expected a file error, found {other:?}"),
    }
}

#[test]
fn values_are_those_of_the_reference() {
    for name in NAMES {
        let (x, y) = expected(name);
        let network = Network::<f64>::load(path(name)).unwrap();
        let found = network.value(&x).unwrap();
        // the reference has the small number under the root of a norm in single precision
        assert!((&found - &y).iter().all(|e| e.abs() < 1e-10), "{name}: {found} in place of {y}");
        let single = Network::<f32>::load(path(name)).unwrap().value(&x.mapv(|v| v as f32)).unwrap();
        assert!(single.iter().zip(&y).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{name}");
        assert_eq!(weights_dtype(path(name)).unwrap(), "f64");
    }
    assert_eq!(weights_dtype(path("mlp_single")).unwrap(), "f32");
}

#[test]
fn derivatives_are_those_of_differences() {
    for name in NAMES {
        let (x, _) = expected(name);
        let network = Network::<f64>::load(path(name)).unwrap();
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites] {
            let options = DifferenceOptions { hessian: true, mode, ..Default::default() };
            let report = input_derivative_check_finite_difference(&network, &x, &options).unwrap();
            assert!(report.passed(), "{name}\n{report}");
        }
        let jet = network.evaluate(&x, &Request::new().hessian().laplacian()).unwrap();
        let (hessian, laplacian) = (jet.hessian.unwrap(), jet.laplacian.unwrap());
        for ((s, r), lap) in laplacian.indexed_iter() {
            let trace: f64 = (0..x.ncols()).map(|i| hessian[[s, i, i, r]]).sum();
            assert!((trace - lap).abs() < 1e-12 * trace.abs().max(1.0), "{name}");
        }
    }
}

#[test]
fn weights_are_the_initialisers_at_points() {
    let names = |name: &str| -> Vec<String> {
        let network = Network::<f64>::load(path(name)).unwrap();
        network.weights().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("mlp"), ["0.weight", "0.bias", "2.weight", "2.bias"]);
    assert_eq!(names("attention"), ["scale", "shift", "qkv", "out", "bias"]);
    // the mean and variance of a batch norm are not trained
    assert_eq!(names("conv"), ["first", "b1", "gamma", "beta", "last"]);
}

#[test]
fn networks_come_back_from_model_files() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let network = Network::<f64>::load(path(name)).unwrap();
        let saved = folder.path().join("net.safetensors");
        network.save(&saved).unwrap();
        let again = Network::<f64>::load(&saved).unwrap();
        let (x, _) = expected(name);
        assert_eq!(again.value(&x).unwrap(), network.value(&x).unwrap(), "{name}");
        assert_eq!(again.flat_weights(), network.flat_weights());
        let bytes = std::fs::read(path(name)).unwrap();
        assert_eq!(Network::<f64>::from_bytes(&bytes).unwrap().flat_weights(), network.flat_weights());
    }
}

#[test]
fn weights_alone_come_from_model_files_alone() {
    let mut network = Network::<f64>::load(path("mlp")).unwrap();
    let error = network.load_weights(path("mlp")).unwrap_err().to_string();
    assert!(error.contains("ONNX"), "{error}");
}

#[test]
fn unknown_operators_are_named() {
    // at places that depend on the points
    let error = Network::<f64>::load(path("unknown")).unwrap_err().to_string();
    for word in ["unknown.onnx", "NonZero", "/NonZero_2", "opset 17", "a [n, 5]", "depend on the points"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    // another name of as many letters
    let mut bytes = std::fs::read(path("unknown")).unwrap();
    for at in 0..bytes.len() - 7 {
        if &bytes[at..at + 7] == b"NonZero" {
            bytes[at..at + 7].copy_from_slice(b"Nothing");
        }
    }
    let error = message(&bytes);
    for word in ["Nothing", "/Nothing_2", "opset 17", "a [n, 5]", "does not have this operator"] {
        assert!(error.contains(word), "{word}: {error}");
    }
}

/// A field of a message, with a length before its bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
    out
}

/// A model of this graph.
fn model(graph: &[u8]) -> Vec<u8> {
    [vec![0x08, 8], field(8, &[0x10, 17]), field(7, graph)].concat()
}

#[test]
fn depth_and_size_have_limits() {
    // an If in an If in an If, without end
    let mut graph = Vec::new();
    for _ in 0..20_000 {
        let attribute = [field(1, b"then_branch"), field(6, &graph)].concat();
        graph = field(1, &[field(4, b"If"), field(5, &attribute)].concat());
        if graph.len() > 1 << 20 {
            break;
        }
    }
    assert!(message(&model(&graph)).contains("nested"));
    // two bytes for each node
    let many: Vec<u8> = [0x0a, 0].repeat(3 << 19);
    assert!(message(&model(&many)).contains("messages"));
    // dimensions without numbers for them
    let huge = [vec![0x08, 0xff, 0xff, 0xff, 0xff, 0x7f], vec![0x10, 1], field(8, b"w")].concat();
    let input = [field(1, b"x"), field(2, &field(1, &[&[0x08, 1][..], &field(2, &field(1, &[0x08, 3]))].concat()))];
    let graph = [field(5, &huge), field(11, &input.concat())].concat();
    assert!(message(&model(&graph)).contains("\"w\""));
}

/// Any bytes are an error or a network.
#[test]
fn mutated_files_are_never_a_panic() {
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let files: Vec<Vec<u8>> = NAMES.iter().map(|name| std::fs::read(path(name)).unwrap()).collect();
    let (mut networks, mut errors) = (0, 0);
    let mut tried = |bytes: &[u8]| match Network::<f64>::from_bytes(bytes) {
        Ok(network) => {
            networks += 1;
            assert!(network.flat_weights().iter().all(|w| w.is_finite()));
            let bytes = network.to_bytes().expect("what was read can be written");
            let again = Network::<f64>::from_bytes(&bytes).expect("and read");
            assert_eq!(again.flat_weights(), network.flat_weights());
        }
        Err(Error::File { .. }) => errors += 1,
        Err(other) => panic!("{other}"),
    };
    for file in &files {
        (0..file.len()).for_each(|end| tried(&file[..end]));
        for at in 0..file.len() {
            let mut bytes = file.clone();
            bytes[at] ^= 1 << random(8);
            tried(&bytes);
            bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)];
            tried(&bytes);
            // a piece of another file
            let other = &files[random(files.len())];
            let from = random(other.len());
            let piece = &other[from..(from + random(40)).min(other.len())];
            bytes.splice(at..(at + random(12)).min(file.len()), piece.iter().copied());
            tried(&bytes);
        }
    }
    assert!(networks > 500 && errors > 2000, "{networks} networks, {errors} errors");
}

/// Every activation in one network, and layers of many kinds.
fn exported() -> Vec<(&'static str, Network<f64>)> {
    let init = &mut Init::seed(5);
    let acts = ActivationKind::ALL.iter().map(|kind| match kind.name {
        "power" => Activation::Power { p: 3.0 },
        name => name.parse::<hessquik::ActivationSpec>().unwrap().into(),
    });
    let cut = Activation::Softplus { beta: 2.0, threshold: 0.5 };
    let mut networks = Vec::new();
    for act in acts.chain([cut]) {
        let name = format!("{act:?}").leak();
        let scaled = Activation::scaled(0.5, act.clone(), 1.5);
        let layers: Vec<Box<dyn Layer<f64>>> =
            vec![Box::new(Single::new(2, 4, act, init)), Box::new(Single::new(4, 3, scaled, init))];
        networks.push((&*name, Network::new(layers).unwrap()));
    }
    for json in [
        r#"{"type": "attention", "tokens": 3, "features": 4, "heads": 2}"#,
        r#"{"type": "deeponet", "branch": {"type": "single", "in_features": 4, "out_features": 6}, "trunk": {"type": "piratenet", "features": 6, "depth": 2}, "outputs": 2}"#,
        r#"{"type": "icnn", "input_dim": 3, "out_features": 4}"#,
        r#"{"type": "quadratic_icnn", "input_dim": 3, "rank": 2}"#,
        r#"{"type": "resnet", "width": 3, "h": 0.5}"#,
        r#"{"type": "softmax", "features": 4}"#,
        r#"{"type": "log_sum_exp", "in_features": 4}"#,
        r#"{"type": "layer_norm", "features": 4, "tokens": 2}"#,
    ] {
        let network = Architecture::from_json(json).unwrap().build(init).unwrap();
        networks.push((json, network));
    }
    for name in NAMES {
        networks.push((name, Network::load(path(name)).unwrap()));
    }
    networks
}

#[test]
fn laplacians_are_written_as_well() {
    for (name, network) in exported() {
        let x = Array2::from_shape_fn((3, network.dim_input()), |(i, j)| 0.3 + ((3 * i + 7 * j) as f64).sin().abs());
        let request = Request::new().laplacian();
        let bytes = network.to_onnx_with(&request).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = match Network::<f64>::from_bytes(&bytes) {
            // of what is piecewise linear: zero, whatever the points
            Err(e) if e.to_string().contains("does not depend on the input") => {
                assert!(network.laplacian(&x).unwrap().2.iter().all(|v| *v == 0.0), "{name}");
                continue;
            }
            again => again.unwrap_or_else(|e| panic!("{name}: {e}")),
        };
        let (found, wanted) = (again.value(&x).unwrap(), network.evaluate(&x, &request).unwrap().laplacian.unwrap());
        let most = wanted.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        let near = found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-11 * most || a.is_nan() && b.is_nan());
        assert!(near, "{name}: {found:?} in place of {wanted:?}");
    }
    let network = hessquik::fully_connected::<f64>(&[2, 3, 1], Activation::Tanh, &mut Init::seed(0)).unwrap();
    for request in [Request::new(), Request::new().packed(), Request::new().value().directional(2)] {
        let error = network.to_onnx_with(&request).unwrap_err().to_string();
        assert!(error.contains("value, gradient, hessian and laplacian"), "{error}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for (name, network) in exported() {
        let again = Network::<f64>::from_bytes(&network.to_onnx().unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let x = Array2::from_shape_fn((3, network.dim_input()), |(i, j)| 0.3 + ((3 * i + 7 * j) as f64).sin().abs());
        let request = Request::new().value().gradient().laplacian();
        let (found, wanted) = (again.evaluate(&x, &request).unwrap(), network.evaluate(&x, &request).unwrap());
        let close = |found: Vec<f64>, wanted: Vec<f64>| {
            // the logarithm of some numbers is not one
            let most = wanted.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            assert_eq!(found.len(), wanted.len(), "{name}");
            let near = found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-12 * most || a.is_nan() && b.is_nan());
            assert!(near, "{name}: {found:?} in place of {wanted:?}");
        };
        close(found.value.into_iter().flatten().collect(), wanted.value.into_iter().flatten().collect());
        close(found.gradient.into_iter().flatten().collect(), wanted.gradient.into_iter().flatten().collect());
        close(found.laplacian.into_iter().flatten().collect(), wanted.laplacian.into_iter().flatten().collect());
        // weights that are stored as they are used keep their names and values
        let own: BTreeMap<_, _> = network.weights().into_iter().collect();
        for (name, w) in again.weights() {
            if let Some(own) = own.get(&name).filter(|own| own.shape() == w.shape()) {
                assert_eq!(*own, w, "{name}");
            }
        }
        if NAMES.contains(&name) || name.starts_with(r#"{"type": "resnet""#) {
            assert_eq!(again.weights(), network.weights(), "{name}");
        }
    }
}
