//! State dictionaries: what every command says of them, and how `convert` makes models of them.
mod support;
use support::Folder;

/// A folder with the state dictionaries of the library's tests, and the points at which PyTorch evaluated one.
fn folder() -> Folder {
    let folder = Folder::new();
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../hessquik/tests/state_dict");
    for name in ["sequential.pt", "deepxde.pt", "half.safetensors", "named.safetensors", "alone.pt"] {
        folder.write(name, std::fs::read(files.join(name)).unwrap());
    }
    for name in ["module.pt", "old.pt", "norm.pt", "order.safetensors", "arrays.npz"] {
        folder.write(name, std::fs::read(files.join("refused").join(name)).unwrap());
    }
    folder.write("expected.json", std::fs::read(files.join("expected.json")).unwrap());
    folder.write("x.csv", b"0.1,0.2\n-0.5,0.25\n");
    folder
}

/// The model in `model.safetensors` computes what PyTorch does with the state dictionary in this file.
fn computes(folder: &Folder, model: &str, file: &str) {
    let all: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.path("expected.json")).unwrap()).unwrap();
    let rows = |key: &str| -> Vec<Vec<f64>> { serde_json::from_value(all[file][key].clone()).unwrap() };
    let line = |row: &Vec<f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    folder.write("points.csv", rows("x").iter().map(line).collect::<Vec<_>>().join("\n"));
    folder.run(&format!("eval {model} -i points.csv -r value --dtype f64 -o values.npz --force")).ok();
    let run = folder.run(&format!("eval {model} -i points.csv -r value --dtype f64 -o -")).ok();
    let found: Vec<f64> =
        run.stdout.lines().skip(1).flat_map(|line| line.split(',')).map(|v| v.parse().unwrap()).collect();
    let wanted: Vec<f64> = rows("y").concat();
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?} in place of {wanted:?}");
}

#[test]
fn state_dictionaries_become_models() {
    let folder = folder();
    let run = folder.run("convert sequential.pt -o model.safetensors --act tanh").ok();
    assert!(run.stdout.contains("2 inputs, 1 output, 13 weights (f32)"), "{run:?}");
    assert!(run.stderr.contains("layers: 0 (2 -> 3), tanh, 2 (3 -> 1)"), "{run:?}");
    computes(&folder, "model.safetensors", "sequential.pt");
    let json = folder.run("convert deepxde.pt -o fnn.safetensors --act sin,silu --last sigmoid --json").ok().json();
    assert_eq!((&json["dtype"], &json["weights"]), (&"f64".into(), &31.into()));
    computes(&folder, "fnn.safetensors", "deepxde.pt");
    folder.run("convert half.safetensors -o half-model.safetensors --act tanh").ok();
    computes(&folder, "half-model.safetensors", "half.safetensors");
    folder.run("convert named.safetensors -o named-model.safetensors --act tanh --dtype f64").ok();
    computes(&folder, "named-model.safetensors", "named.safetensors");
    // a layer alone has no activation between layers
    folder.run("convert alone.pt -o alone.safetensors").ok();
    computes(&folder, "alone.safetensors", "alone.pt");
    // as other kinds of file, from standard input, and as graphs that compute derivatives
    folder.shell("cat sequential.pt | hessquik convert - -o piped.onnx --act tanh --dtype f64").ok();
    computes(&folder, "piped.onnx", "sequential.pt");
    folder.run("convert sequential.pt -o jets.onnx --act tanh --with gradient,laplacian").ok();
    folder.run("check model.safetensors").ok();
    // what somebody trained is not lost
    folder
        .run("convert sequential.pt -o sequential.pt --act tanh")
        .fails(2, &["would replace sequential.pt", "which is read"]);
}

#[test]
fn arrays_of_numpy_become_models() {
    let folder = folder();
    folder.run("convert arrays.npz -o model.safetensors").ok();
    folder.run("eval model.safetensors -i x.csv -r value -o out.safetensors").ok();
    folder.tensors("out.safetensors")["value"]
        .close(&support::Tensor { dtype: "F64".into(), shape: vec![2, 1], numbers: vec![0.1 + 0.2, -0.25] }, 1e-15);
    // points are not weights
    folder.run("peaks -n 3 -o points.npz").ok();
    folder.run("info points.npz").fails(3, &["points.npz", "is not the weight"]);
    folder.shell("head -c 200 arrays.npz > cut.npz").ok();
    folder.run("convert cut.npz -o cut.safetensors").fails(3, &["cut.npz", "truncated or damaged"]);
}

#[test]
fn other_commands_say_what_to_type() {
    let folder = folder();
    for command in ["info", "check", "explain", "eval -i x.csv -o out"] {
        for (file, widths) in [("sequential.pt", "2 -> 3 -> 1"), ("named.safetensors", "2 -> 5 -> 5 -> 3")] {
            let convert = format!("hessquik convert {file} -o model.safetensors --act tanh");
            folder.run(&format!("{command} {file}")).fails(3, &[file, "is a state dictionary", widths, &convert]);
        }
        folder.run(&format!("{command} old.pt")).fails(3, &["old.pt", "1.6", "weights_only=True"]);
        folder.run(&format!("{command} norm.pt")).fails(3, &["norm.pt", "'1.weight' [2] is not the weight"]);
        folder.run(&format!("{command} order.safetensors")).fails(3, &["a,b or b,a", "--layers NAME,..."]);
    }
    let line = "hessquik convert - -o model.safetensors --act tanh";
    folder.shell("cat sequential.pt | hessquik info -").fails(3, &["standard input", "2 -> 3 -> 1", line]);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let folder = folder();
    let model = "-o model.safetensors";
    for (line, code, words) in [
        ("convert sequential.pt", 2, &["sequential.pt", "2 -> 3 -> 1", "--act tanh"][..]),
        ("convert sequential.pt --last sin", 2, &["--act tanh"]),
        ("convert sequential.pt --act tahn", 2, &["tahn", "tanh"]),
        ("convert sequential.pt --act tanh,sin", 3, &["found 2 activations, expected 1"]),
        ("convert sequential.pt --act tanh --layers 0,1", 3, &["no layer is named '1'; the layers are 0, 2"]),
        ("convert sequential.pt --act tanh --layers 2,0", 3, &["layer '0' has 2 inputs, expected 1"]),
        ("convert order.safetensors --act tanh", 3, &["a,b or b,a", "--layers NAME,..."]),
        ("convert module.pt --act tanh", 3, &["module.pt", "torch.nn.modules.container.Sequential", "executed"]),
        ("convert old.pt --act tanh", 3, &["old.pt", "weights_only=True"]),
        ("convert norm.pt --act tanh", 3, &["'1.weight' [2]", "ONNX"]),
    ] {
        folder.run(&format!("{line} {model}")).fails(code, words);
        assert!(!folder.path("model.safetensors").exists(), "{line}");
    }
    folder.run(&format!("convert order.safetensors --act tanh --layers b,a {model}")).ok();
    folder.run("convert model.safetensors --act tanh -o other.safetensors").fails(2, &["--act", "not one"]);
}
