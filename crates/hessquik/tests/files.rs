//! Model files: what is written is read back bit by bit, and whatever is wrong with a file is an error that says so.
use hessquik::{
    Activation, Architecture, Error, Form, Icnn, Init, Layer, Linear, LogSumExp, Network, Parts, Quadratic,
    QuadraticIcnn, Resnet, Single, Softmax, Weights, fully_connected, icnn, resnet, weights_dtype,
};
use ndarray::{ArrayD, array};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

#[path = "files/own_layers.rs"]
mod own_layers;

fn golden() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "safetensors"));
    assert!(files.len() >= 18);
    files.sort();
    files
}

/// All kinds of layers, nested.
fn nested() -> Network<f64> {
    let init = &mut Init::seed(3);
    Network::new(vec![
        Box::new(Single::new(3, 4, Activation::AntiTanh, init).without_bias()),
        Box::new(resnet(4, 2, 0.1 + 0.2, Activation::Softplus { beta: 1.0 / 3.0, threshold: 20.0 }, init).unwrap()),
        Box::new(Resnet::new(4, 0.7, Activation::Sin, init).without_bias()),
        Box::new(Softmax::new(4)),
        Box::new(icnn(4, &[3, 2], Activation::softplus(), init).unwrap()),
        Box::new(QuadraticIcnn::new(4, Some(2), 2, init)),
    ])
    .unwrap()
}

/// A file of these tensors, each with its element type, shape and bytes.
fn file(tensors: &[(&str, &str, &[usize], &[u8])], architecture: Option<&str>) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    if let Some(a) = architecture {
        header.insert("__metadata__".into(), serde_json::json!({ "architecture": a }));
    }
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        data.extend_from_slice(bytes);
        header.insert((*name).into(), serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
    }
    with_header(&serde_json::to_string(&header).unwrap(), &data)
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn f64s(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|v| v.to_le_bytes()).collect()
}

const SINGLE: &str = r#"{"type": "single", "in_features": 1, "out_features": 2, "act": {"type": "tanh"}}"#;

fn message<F: hessquik::Real>(bytes: &[u8]) -> String {
    match Network::<F>::from_bytes(bytes) {
        Err(Error::File { message, .. }) => message,
        other => panic!("expected a file error, found {other:?}"),
    }
}

#[test]
fn golden_files_load_in_both_precisions() {
    for path in golden() {
        let network = Network::<f64>::load(&path).unwrap();
        assert_eq!(weights_dtype(&path).unwrap(), "f64", "{path:?}");
        let bytes = std::fs::read(&path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for (name, w) in network.weights() {
            let stored = tensors.tensor(&format!("weights.{name}")).unwrap();
            assert_eq!(stored.shape(), w.shape());
            assert_eq!(stored.data(), f64s(w.as_slice().unwrap()));
        }
        let single = Network::<f32>::load(&path).unwrap();
        assert_eq!(single.flat_weights(), network.flat_weights().mapv(|w| w as f32), "{path:?}");
    }
}

#[test]
fn files_come_back_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let network = nested();
    network.save(&path).unwrap();
    let copy = Network::<f64>::load(&path).unwrap();
    assert_eq!(copy.architecture(), network.architecture());
    assert_eq!(copy.weights(), network.weights());
    assert_eq!(copy.to_bytes().unwrap(), std::fs::read(&path).unwrap());
    assert_eq!(weights_dtype(&path).unwrap(), "f64");

    // single precision to double is exact; a second save takes the place of the first
    let single = network.cast::<f32>().unwrap();
    single.save(&path).unwrap();
    assert_eq!(weights_dtype(&path).unwrap(), "f32");
    let double = Network::<f64>::load(&path).unwrap();
    assert_eq!(double.flat_weights(), single.flat_weights().mapv(f64::from));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files are gone");
}

#[test]
fn weights_keep_hessquik_names() {
    let bytes = nested().to_bytes().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let mut wanted = vec!["0.K", "1.0.layer.K", "1.0.layer.b", "1.1.layer.K", "1.1.layer.b", "2.layer.K"];
    wanted.extend(["4.0.K", "4.0.b", "4.1.K", "4.1.L", "4.1.b", "5.A", "5.mu", "5.v", "5.w"]);
    assert_eq!(names, wanted);
    let bare = Network::bare(Box::new(Single::<f32>::new(4, 7, Activation::Tanh, &mut Init::seed(0)))).unwrap();
    let bytes = bare.to_bytes().unwrap();
    let mut names = safetensors::SafeTensors::deserialize(&bytes).unwrap().names().join(" ");
    names.retain(|c| c != ' ');
    assert!(names == "Kb" || names == "bK");
}

#[test]
fn shapes_are_known_without_building() {
    let init = &mut Init::seed(0);
    let bare: Vec<Box<dyn Layer<f64>>> = vec![
        Box::new(Single::new(3, 4, Activation::Tanh, init)),
        Box::new(Single::new(3, 4, Activation::Tanh, init).without_bias()),
        Box::new(Resnet::new(3, 1.0, Activation::Tanh, init)),
        Box::new(Resnet::new(3, 1.0, Activation::Tanh, init).without_bias()),
        Box::new(Icnn::new(3, None, 4, Activation::Tanh, init)),
        Box::new(Icnn::new(3, Some(2), 4, Activation::Tanh, init)),
        Box::new(Icnn::new(3, Some(2), 4, Activation::Tanh, init).without_bias()),
        Box::new(Quadratic::new(3, 2, init)),
        Box::new(QuadraticIcnn::new(3, None, 2, init)),
        Box::new(QuadraticIcnn::new(3, Some(4), 2, init)),
        Box::new(LogSumExp::new(3)),
        Box::new(Softmax::new(3)),
        Box::new(nested()),
    ];
    for layer in bare {
        let wanted: Vec<_> = layer.weights().into_iter().map(|(n, w)| (n, w.shape().to_vec())).collect();
        assert_eq!(layer.architecture().unwrap().weight_shapes(), wanted, "{layer:?}");
    }
}

#[test]
fn every_truncation_and_every_added_byte_is_an_error() {
    let bytes = nested().to_bytes().unwrap();
    for len in 0..bytes.len() {
        message::<f64>(&bytes[..len]);
    }
    message::<f64>(&[&bytes[..], &[0]].concat());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
    #[test]
    fn damaged_files_never_panic(at in 0usize..2000, byte: u8, at2 in 0usize..2000, byte2: u8) {
        let network = fully_connected::<f64>(&[2, 3, 1], Activation::Tanh, &mut Init::seed(0)).unwrap();
        let mut bytes = network.to_bytes().unwrap();
        let n = bytes.len();
        bytes[at % n] = byte;
        bytes[at2 % n] = byte2;
        if let Ok(network) = Network::<f32>::from_bytes(&bytes) {
            prop_assert!(network.flat_weights().iter().all(|w| w.is_finite()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Network::<f64>::from_bytes(&bytes);
        let _ = Network::<f64>::from_bytes(&with_header(&String::from_utf8_lossy(&bytes), &bytes));
    }
}

#[test]
fn lying_headers_are_errors() {
    let data = f64s(&[1.0, 2.0, 3.0, 4.0]);
    let k = |shape: &str, offsets: &str| format!(r#""K":{{"dtype":"F64","shape":{shape},"data_offsets":{offsets}}}"#);
    let b = |shape: &str, offsets: &str| format!(r#""b":{{"dtype":"F64","shape":{shape},"data_offsets":{offsets}}}"#);
    let metadata = format!(r#""__metadata__":{{"architecture":{}}}"#, serde_json::to_string(SINGLE).unwrap());
    let file = |k: String, b: String| with_header(&format!("{{{metadata},{k},{b}}}"), &data);
    assert!(Network::<f64>::from_bytes(&file(k("[1,2]", "[0,16]"), b("[2]", "[16,32]"))).is_ok());
    let max = usize::MAX;
    for (k, b) in [
        (k("[1,2]", "[0,16]"), b("[2]", "[8,24]")),  // overlap
        (k("[1,2]", "[0,16]"), b("[2]", "[0,16]")),  // the same bytes twice
        (k("[1,2]", "[0,16]"), b("[2]", "[24,40]")), // a gap, and beyond the file
        (k("[1,2]", "[0,16]"), b("[3]", "[16,40]")), // beyond the file
        (k("[1,2]", "[0,16]"), b("[1]", "[16,24]")), // bytes left over
        (k("[1,2]", "[16,0]"), b("[2]", "[16,32]")), // backwards
        (k("[1,3]", "[0,16]"), b("[2]", "[16,32]")), // shape and bytes disagree
        (k("[1,2]", &format!("[0,{max}]")), b("[2]", "[16,32]")),
        (k(&format!("[{max},{max}]"), "[0,16]"), b("[2]", "[16,32]")),
        (k(&format!("[{}]", max / 64), &format!("[0,{}]", max / 64 * 8)), b("[2]", "[16,32]")),
        (k("[-1,2]", "[0,16]"), b("[2]", "[16,32]")),
        (k("[1,2]", "[0,16]"), k("[1,2]", "[0,16]")), // twice the same name
    ] {
        message::<f64>(&file(k, b));
    }
    message::<f64>(&with_header("{", &data));
    message::<f64>(&with_header("[]", &data));
    message::<f64>(&with_header("\u{1}", &data));
    message::<f64>(&u64::MAX.to_le_bytes());
    let mut bytes = with_header("{}", &[]);
    bytes[8] = 0xff; // not UTF-8
    message::<f64>(&bytes);
}

#[test]
fn wrong_contents_are_named() {
    let (k, b) = (f64s(&[1.0, 2.0]), f64s(&[3.0, 4.0]));
    let good = [("K", "F64", &[1, 2][..], &k[..]), ("b", "F64", &[2][..], &b[..])];
    assert!(Network::<f64>::from_bytes(&file(&good, Some(SINGLE))).is_ok());

    assert!(message::<f64>(&file(&good, None)).contains("\"architecture\""));
    assert!(message::<f64>(&file(&good[..1], Some(SINGLE))).starts_with("weight b is missing; the network has K, b"));
    let extra = [good[0], good[1], ("c", "F64", &[2], &b)];
    assert_eq!(message::<f64>(&file(&extra, Some(SINGLE))), "tensor c is not a weight of the network");
    let wide = [("K", "F64", &[2, 1][..], &k[..]), good[1]];
    assert_eq!(message::<f64>(&file(&wide, Some(SINGLE))), "weight K has shape [2, 1], expected [1, 2]");
    let half = [("K", "F16", &[1, 2][..], &k[..4]), good[1]];
    assert!(message::<f64>(&file(&half, Some(SINGLE))).contains("weight K has elements of type F16, expected F32"));
    let ints = [good[0], ("b", "I64", &[2][..], &b[..])];
    assert!(message::<f64>(&file(&ints, Some(SINGLE))).contains("weight b has elements of type I64"));

    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let b = f64s(&[3.0, bad]);
        let message = message::<f64>(&file(&[good[0], ("b", "F64", &[2], &b)], Some(SINGLE)));
        assert!(message.starts_with("weight b: entry 1 is "), "{message}");
    }
    // too large for single precision, but not for double; too small is rounded to zero
    let b = f64s(&[1e-300, 1e300]);
    let large = file(&[good[0], ("b", "F64", &[2], &b)], Some(SINGLE));
    assert!(Network::<f64>::from_bytes(&large).is_ok());
    assert_eq!(message::<f32>(&large), "weight b: entry 1, 1e300, is too large for f32");

    for (json, part) in [
        ("", "EOF"),
        ("{", "EOF"),
        (r#"{"type": "dense", "in_features": 1}"#, "dense"),
        (r#"{"type": "single", "in_features": 1, "out_features": 2, "act": {"type": "maxout"}}"#, "maxout"),
        (r#"{"type": "single", "in_features": 1, "out_features": 2, "activation": "tanh"}"#, "activation"),
        (r#"{"type": "single", "in_features": -1, "out_features": 2}"#, "-1"),
        (r#"{"type": "single", "in_features": 1}"#, "out_features"),
        (r#"{"type": "single", "in_features": 0, "out_features": 2}"#, "in_features is 0"),
        (r#"{"type": "network", "layers": []}"#, ""),
        (r#"{"type": "resnet", "width": 2, "h": 1e999}"#, "number out of range"),
        (r#"{"type": "resnet", "width": 18446744073709551615}"#, "cannot allocate"),
    ] {
        let message = message::<f64>(&file(&good, Some(json)));
        assert!(message.contains(part), "{json}: {message}");
    }
    let deep = r#"{"type":"network","layers":["#.repeat(100_000);
    message::<f64>(&file(&good, Some(&deep)));
}

#[test]
fn widths_that_do_not_fit_are_errors() {
    let layer = |a: usize, b: usize| {
        format!(
            r#"{{"type": "network", "layers": [{{"type": "single", "in_features": {a}, "out_features": {b}}},
            {{"type": "single", "in_features": 2, "out_features": 1}}]}}"#
        )
    };
    let (k, b, k2, b2) = (f64s(&[1.0; 3]), f64s(&[1.0; 3]), f64s(&[1.0; 2]), f64s(&[1.0]));
    let tensors = [
        ("0.K", "F64", &[1, 3][..], &k[..]),
        ("0.b", "F64", &[3], &b),
        ("1.K", "F64", &[2, 1], &k2),
        ("1.b", "F64", &[1], &b2),
    ];
    assert!(matches!(Network::<f64>::from_bytes(&file(&tensors, Some(&layer(1, 3)))), Err(Error::File { .. })));
}

#[test]
fn huge_architectures_are_errors_at_once() {
    for json in [
        r#"{"type": "single", "in_features": 1000000000000000000, "out_features": 16}"#,
        r#"{"type": "single", "in_features": 18446744073709551615, "out_features": 18446744073709551615}"#,
        r#"{"type": "icnn", "input_dim": 18446744073709551615, "in_features": 18446744073709551615, "out_features": 1}"#,
        r#"{"type": "quadratic", "in_features": 1000000000, "rank": 1000000000}"#,
        r#"{"type": "quadratic_icnn", "input_dim": 10000000000000, "in_features": 1, "rank": 100000}"#,
        r#"{"type": "softmax", "features": 1000000000000000000}"#,
        r#"{"type": "log_sum_exp", "in_features": 18446744073709551615}"#,
    ] {
        let one = Architecture::from_json(json).unwrap();
        let error = one.build::<f64>(&mut Init::seed(0)).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{json}: {error}");
        let many = Architecture::Network { layers: vec![one.clone(), one] };
        assert!(matches!(many.check(), Err(Error::OutOfMemory { .. })));
        message::<f32>(&file(&[], Some(json)));
    }
}

#[test]
fn settings_without_sense_are_errors() {
    for (json, what) in [
        (r#"{"type": "single", "in_features": 0, "out_features": 16}"#, "in_features"),
        (r#"{"type": "single", "in_features": 1, "out_features": 0}"#, "out_features"),
        (r#"{"type": "resnet", "width": 0}"#, "width"),
        (r#"{"type": "icnn", "input_dim": 0, "out_features": 1}"#, "input_dim"),
        (r#"{"type": "icnn", "input_dim": 1, "in_features": 0, "out_features": 1}"#, "in_features"),
        (r#"{"type": "icnn", "input_dim": 1, "out_features": 0}"#, "out_features"),
        (r#"{"type": "quadratic", "in_features": 0, "rank": 1}"#, "in_features"),
        (r#"{"type": "quadratic", "in_features": 1, "rank": 0}"#, "rank"),
        (r#"{"type": "quadratic_icnn", "input_dim": 0, "rank": 1}"#, "input_dim"),
        (r#"{"type": "quadratic_icnn", "input_dim": 1, "in_features": 0, "rank": 1}"#, "in_features"),
        (r#"{"type": "softmax", "features": 0}"#, "features"),
        (r#"{"type": "log_sum_exp", "in_features": 0}"#, "in_features"),
    ] {
        let one = Architecture::from_json(json).unwrap();
        for (architecture, place) in [
            (one.clone(), String::new()),
            (
                Architecture::Network { layers: vec![Architecture::Network { layers: vec![one] }] },
                " of layer 0.0".into(),
            ),
        ] {
            match architecture.build::<f64>(&mut Init::seed(0)) {
                Err(Error::Setting { what: found, .. }) => assert_eq!(found, format!("{what}{place}")),
                other => panic!("{json}: {other:?}"),
            }
        }
    }
    let act = Activation::Tanh.describe().unwrap();
    for h in [f64::NAN, f64::INFINITY] {
        let layer = Architecture::Resnet { width: 2, h, act, bias: true };
        assert!(matches!(layer.check(), Err(Error::Setting { .. })));
    }
    for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let act = Activation::Softplus { beta, threshold: 20.0 }.describe().unwrap();
        let layer = Architecture::Single { in_features: 1, out_features: 1, act, bias: true };
        assert!(matches!(layer.check(), Err(Error::Setting { .. })), "beta {beta}");
    }
}

#[test]
fn prefixed_weights_stand_beside_anything() {
    let (k, b) = (f64s(&[1.0, 2.0]), f64s(&[3.0, 4.0]));
    let tensors = [
        ("weights.K", "F64", &[1, 2][..], &k[..]),
        ("weights.b", "F64", &[2][..], &b[..]),
        ("x", "I64", &[2], &b),
        ("K", "F64", &[2], &b),
    ];
    let network = Network::<f64>::from_bytes(&file(&tensors, Some(SINGLE))).unwrap();
    assert_eq!(network.flat_weights(), array![1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn element_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let (k, b) = (f64s(&[1.0, 2.0]), f64s(&[3.0]));
    let write = |dtypes: [&str; 2]| {
        let tensors = [
            ("K", dtypes[0], &[if dtypes[0] == "F64" { 2 } else { 4 }][..], &k[..]),
            ("b", dtypes[1], &[if dtypes[1] == "F64" { 1 } else { 2 }][..], &b[..]),
        ];
        std::fs::write(&path, file(&tensors, None)).unwrap();
        weights_dtype(&path)
    };
    assert_eq!(write(["F64", "F64"]).unwrap(), "f64");
    assert_eq!(write(["F32", "F32"]).unwrap(), "f32");
    assert_eq!(write(["F32", "F64"]).unwrap(), "f64");
    let error = write(["F32", "I32"]).unwrap_err();
    assert!(matches!(&error, Error::File { message, .. } if message.starts_with("weight b has elements of type I32")));
    assert!(matches!(weights_dtype(folder.path().join("none")), Err(Error::Io { .. })));
    std::fs::write(&path, b"not a model").unwrap();
    assert!(matches!(weights_dtype(&path), Err(Error::File { .. })));

    let softmax = Network::bare(Box::new(Softmax::new(3)) as Box<dyn Layer<f32>>).unwrap();
    softmax.save(&path).unwrap();
    assert_eq!(weights_dtype(&path).unwrap(), "f64");
    assert_eq!(Network::<f64>::load(&path).unwrap().n_weights(), 0);
}

#[test]
fn files_that_cannot_be_read_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let network = fully_connected::<f64>(&[2, 3], Activation::Tanh, &mut Init::seed(0)).unwrap();
    assert!(matches!(Network::<f64>::load(folder.path().join("none")), Err(Error::Io { .. })));
    assert!(matches!(Network::<f64>::load(folder.path()), Err(Error::Io { .. })));
    assert!(matches!(network.save(folder.path()), Err(Error::Io { .. })));
    assert!(matches!(network.save(folder.path().join("no/folder")), Err(Error::Io { .. })));
    // a device is not replaced by a file
    #[cfg(unix)]
    {
        assert!(matches!(network.save("/dev/null"), Err(Error::Io { .. })));
        assert!(!Path::new("/dev/null").is_file());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no temporary file is left");
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("net.safetensors"), folder.path().join("link"));
    let network = |seed| fully_connected::<f64>(&[2, 3], Activation::Tanh, &mut Init::seed(seed)).unwrap();
    network(0).save(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    network(1).save(&link).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Network::<f64>::load(&path).unwrap().flat_weights(), network(1).flat_weights());
}

#[test]
fn weights_that_are_not_finite_are_not_written() {
    let mut network = fully_connected::<f64>(&[2, 3], Activation::Tanh, &mut Init::seed(0)).unwrap();
    network.set_weight("0.b", array![0.0, f64::NAN, 0.0].into_dyn().view()).unwrap();
    match network.to_bytes() {
        Err(Error::Setting { what, .. }) => assert_eq!(what, "entry 1 of weight 0.b"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn networks_too_deep_to_be_read_are_not_written() {
    let mut network = fully_connected::<f64>(&[2, 2], Activation::Tanh, &mut Init::seed(0)).unwrap();
    for _ in 0..30 {
        network = Network::new(vec![Box::new(network) as Box<dyn Layer<f64>>]).unwrap();
    }
    assert!(Network::<f64>::from_bytes(&network.to_bytes().unwrap()).is_ok());
    for _ in 0..100 {
        network = Network::new(vec![Box::new(network) as Box<dyn Layer<f64>>]).unwrap();
    }
    assert!(matches!(network.to_bytes(), Err(Error::Architecture(_))));
}

#[test]
fn equal_networks_are_equal_files() {
    let network = fully_connected::<f32>(&[2, 3, 1], Activation::Tanh, &mut Init::seed(0)).unwrap();
    let more = [("written_by", "a test".to_string()), ("checksum", "\"quoted\" \u{e9}".to_string()), ("z", "1".into())];
    let first = network.to_bytes_with(&more).unwrap();
    for _ in 0..20 {
        assert_eq!(network.to_bytes_with(&more).unwrap(), first);
    }
    assert_eq!(Network::<f32>::from_bytes(&first).unwrap().flat_weights(), network.flat_weights());
    let (_, header) = safetensors::SafeTensors::read_metadata(&first).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["checksum"], "\"quoted\" \u{e9}");
}
