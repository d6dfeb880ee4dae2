//! State dictionaries: values against those of the modules that they came from, what is refused, and any bytes at all.
//! `state_dict/make.py` writes the files with PyTorch.
use hessquik::{
    Activation, ActivationSpec, Activations, Error, Evaluate, Network, StateDict, StateDictError, is_state_dict,
};
use ndarray::{Array2, array};
use std::path::{Path, PathBuf};

const FILES: [&str; 17] = [
    "sequential.pt",
    "no_checksums.pt",
    "protocol4.pth",
    "deepxde.pt",
    "lightning.ckpt.pt",
    "parameters.pt",
    "strided.pt",
    "half.pt",
    "bfloat.pt",
    "half.safetensors",
    "bfloat.safetensors",
    "alone.pt",
    "mixed.pt",
    "many.safetensors",
    "named.safetensors",
    "compressed.pt",
    "big_endian.pt",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state_dict")
}

fn act(name: &str) -> Activation {
    name.parse::<ActivationSpec>().unwrap().into()
}

/// What PyTorch computes with the module of a file.
struct Expected {
    x: Array2<f64>,
    y: Array2<f64>,
    acts: Activations,
    last: Activation,
    dtype: String,
}

fn expected(file: &str) -> Expected {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let found = &all[file];
    let matrix = |rows: &serde_json::Value| {
        let rows: Vec<Vec<f64>> = serde_json::from_value(rows.clone()).unwrap();
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
    };
    let names: Vec<String> = serde_json::from_value(found["act"].clone()).unwrap();
    let acts = match &names[..] {
        [one] => Activations::All(act(one)),
        several => Activations::Each(several.iter().map(|name| act(name)).collect()),
    };
    let text = |key: &str| found[key].as_str().unwrap().to_string();
    Expected { x: matrix(&found["x"]), y: matrix(&found["y"]), acts, last: act(&text("last")), dtype: text("dtype") }
}

#[test]
fn values_are_those_of_the_modules() {
    for file in FILES {
        let Expected { x, y, acts, last, dtype } = expected(file);
        let state = StateDict::load(folder().join(file)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(state.dtype(), dtype, "{file}");
        let network = Network::<f64>::from_state_dict(&state, acts.clone(), last.clone()).unwrap();
        let found = network.value(&x).unwrap();
        assert!((&found - &y).iter().all(|e| e.abs() < 1e-14), "{file}: {found} in place of {y}");
        let single = Network::<f32>::load_state_dict(folder().join(file), acts, last).unwrap();
        let found = single.value(&x.mapv(|v| v as f32)).unwrap();
        assert!(found.iter().zip(&y).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6), "{file}");
        // and it is a network as any other
        let again = Network::<f64>::from_bytes(&network.to_bytes().unwrap()).unwrap();
        assert_eq!(again.flat_weights(), network.flat_weights());
    }
}

#[test]
fn every_file_of_the_folder_is_tested() {
    let names = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.filter(|name| name.contains(".pt") || name.ends_with(".safetensors")).collect();
    let mut tested = FILES.map(String::from);
    files.sort();
    tested.sort();
    assert_eq!(files, tested);
}

#[test]
fn what_is_refused_is_named() {
    for (file, words) in [
        ("module.pt", &["torch.nn.modules.container.Sequential", "executed", "model.state_dict()"][..]),
        ("trap.pt", &["print", "executed", "model.state_dict()"]),
        ("old.pt", &["1.6", "weights_only=True"]),
        ("script.pt", &["TorchScript", "model.state_dict()"]),
        ("list.pt", &["expected a state dictionary, found list"]),
        ("empty.pt", &["empty"]),
        ("integers.pt", &["'a.weight'", "int64", "expected float32"]),
        ("integers.safetensors", &["'a.weight'", "I32"]),
        ("complex.pt", &["complex64"]),
        ("words.pt", &["uint16"]),
        ("sparse.pt", &["_rebuild_sparse_tensor", "model.state_dict()"]),
        ("more.pt", &["'version' is int", "expected a tensor"]),
        ("norm.pt", &["'1.weight' [2] is not the weight", "ONNX", "from_torch"]),
        ("two.pt", &["model, ema"]),
        ("expanded.pt", &["a.weight", "contiguous"]),
        ("order.safetensors", &["(a,b or b,a)", "--layers"]),
        ("arrays.npz", &[".npz", "hessquik convert"]),
    ] {
        let error = Network::<f64>::load_state_dict(
            folder().join("refused").join(file),
            Activation::Tanh,
            Activation::Identity,
        );
        let error = error.err().unwrap_or_else(|| panic!("{file} was taken")).to_string();
        for word in words {
            assert!(error.contains(word), "{file}: no {word:?} in {error}");
        }
    }
}

#[test]
fn files_are_told_from_models() {
    let bytes = |file: &str| std::fs::read(folder().join(file)).unwrap();
    assert!(FILES.iter().all(|file| is_state_dict(&bytes(file))));
    for file in ["sequential.pt", "named.safetensors", "refused/old.pt"] {
        let error = Network::<f32>::load(folder().join(file)).unwrap_err().to_string();
        assert!(error.contains("convert") || error.contains("torch.save"), "{error}");
    }
    let onnx = folder().with_file_name("onnx").join("mlp.onnx");
    assert!(!is_state_dict(&std::fs::read(&onnx).unwrap()));
    let network = hessquik::fully_connected::<f32>(&[2, 3], Activation::Tanh, &mut hessquik::Init::seed(0)).unwrap();
    let model = network.to_bytes().unwrap();
    assert!(!is_state_dict(&model) && !is_state_dict(b"") && !is_state_dict(b"x,y\n1,2\n"));
    for bytes in [model, std::fs::read(onnx).unwrap()] {
        let error = StateDict::from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains("with its activations"), "{error}");
    }
}

fn refused(state: &StateDict, acts: impl Into<Activations>) -> StateDictError {
    match Network::<f64>::from_state_dict(state, acts, Activation::Identity) {
        Err(Error::StateDict(error)) => error,
        other => panic!("expected an error, found {other:?}"),
    }
}

#[test]
fn shapes_and_activations_are_checked() {
    let (tanh, mut state) = (Activation::Tanh, StateDict::new());
    assert_eq!(refused(&state, tanh.clone()), StateDictError::Empty);
    state.insert("a.weight", array![[1.0f32, 2.0], [3.0, 4.0]].into_dyn());
    state.insert("b.weight", array![[1.0f64, 2.0, 3.0]].into_dyn());
    let error = refused(&state, tanh.clone());
    assert!(matches!(&error, StateDictError::Inputs { found: 3, wanted: 2, .. }), "{error}");
    // an array takes the place of one of the same name
    state.insert("b.weight", array![[1.0f64, 2.0]].into_dyn());
    assert_eq!((state.dtype(), state.layers().unwrap().len()), ("f64", 2));
    let error = refused(&state, vec![tanh.clone(); 2]);
    assert_eq!(error, StateDictError::Activations { found: 2, wanted: 1 });
    state.insert("b.bias", array![1.0, 2.0].into_dyn());
    assert!(matches!(refused(&state, tanh.clone()), StateDictError::Bias { found: 2, wanted: 1, .. }));
    state.insert("b.bias", array![1e300].into_dyn());
    let error = Network::<f32>::from_state_dict(&state, tanh.clone(), tanh.clone()).unwrap_err().to_string();
    assert!(error.contains("1e300") && error.contains("f32"), "{error}");
    state.insert("c.bias", array![1.0].into_dyn());
    assert_eq!(refused(&state, tanh.clone()), StateDictError::NoWeight { layer: "c".into() });
    state.insert("c.weight_g", array![1.0].into_dyn());
    assert!(matches!(refused(&state, tanh), StateDictError::NotLinear { .. }));
}

#[test]
fn layers_are_put_in_order() {
    let state = StateDict::load(folder().join("refused/order.safetensors")).unwrap();
    let value = |names: &[&str]| {
        let sorted = state.in_order(names).unwrap();
        let network = Network::<f64>::from_state_dict(&sorted, Activation::Square, Activation::Identity).unwrap();
        network.value(&array![[1.0, 2.0]]).unwrap()
    };
    // of ones, then the identity; of the identity, then ones
    assert_eq!(value(&["a", "b"]), array![[9.0, 9.0]]);
    assert_eq!(value(&["b", "a"]), array![[5.0, 5.0]]);
    for (names, words) in [
        (&["a", "c"][..], "no layer is named 'c'; the layers are"),
        (&["a", "a", "b"], "'a' is named twice"),
        (&["b"], "'a' is not in the order"),
    ] {
        let error = state.in_order(names).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Any bytes are an error or a state dictionary.
#[test]
fn mutated_files_are_never_a_panic() {
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    // without checksums, so that changes arrive
    let names = ["no_checksums.pt", "strided.pt", "lightning.ckpt.pt", "compressed.pt", "named.safetensors"];
    let files: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(folder().join(name)).unwrap()).collect();
    let files: Vec<Vec<u8>> = files.into_iter().map(without_checksums).collect();
    let (mut networks, mut errors) = (0, 0);
    let mut tried = |bytes: &[u8]| {
        let network = StateDict::from_bytes(bytes)
            .and_then(|state| Network::<f64>::from_state_dict(&state, Activation::Tanh, Activation::Identity));
        match network {
            Ok(network) => {
                networks += 1;
                assert!(network.n_weights() < 100_000);
            }
            Err(Error::File { .. } | Error::StateDict(_) | Error::Setting { .. }) => errors += 1,
            Err(other) => panic!("{other}"),
        }
    };
    for file in &files {
        assert!(StateDict::from_bytes(file).is_ok());
        (0..file.len()).for_each(|end| tried(&file[..end]));
        for at in 0..file.len() {
            let mut bytes = file.clone();
            bytes[at] ^= 1 << random(8);
            tried(&bytes);
            bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'R', b'u', b'(', b'h'][random(9)];
            tried(&bytes);
            // a piece of another file, of the same length so that records stay where they are
            let other = &files[random(files.len())];
            let from = random(other.len());
            let piece = &other[from..(from + random(12)).min(other.len()).min(from + file.len() - at)];
            bytes[at..at + piece.len()].copy_from_slice(piece);
            tried(&bytes);
        }
    }
    assert!(networks > 500 && errors > 2000, "{networks} networks, {errors} errors");
}

/// The archive with zeros in place of its checksums, which then are not compared.
fn without_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    for (magic, at) in [(b"PK\x03\x04", 14), (b"PK\x01\x02", 16), (b"PK\x07\x08", 4)] {
        for start in 0..bytes.len().saturating_sub(at + 4) {
            if bytes[start..].starts_with(magic) {
                bytes[start + at..start + at + 4].fill(0);
            }
        }
    }
    bytes
}
