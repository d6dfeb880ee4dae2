//! ONNX models in every command that takes a model.
mod support;
use support::Folder;

/// A folder with the ONNX files of the library's tests and points for them.
fn folder() -> Folder {
    let folder = Folder::new();
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../hessquik/tests/onnx");
    for name in ["mlp", "attention", "unknown"] {
        folder.write(&format!("{name}.onnx"), std::fs::read(files.join(format!("{name}.onnx"))).unwrap());
    }
    folder.write("x.csv", b"0.1,0.2\n-0.5,0.25\n");
    folder
}

#[test]
fn onnx_models_are_models() {
    let folder = folder();
    let info = folder.run("info mlp.onnx --json").ok().json();
    assert_eq!((&info["dim_input"], &info["dim_output"]), (&2.into(), &3.into()));
    assert_eq!((&info["dtype"], &info["weights"]), (&"f64".into(), &33.into()));
    assert!(folder.run("info mlp.onnx").ok().stdout.contains("0.weight"));
    assert!(folder.run("check attention.onnx").ok().stdout.contains("passed"));
    assert!(folder.run("explain mlp.onnx --points 100 --request laplacian").ok().stdout.contains("100"));
    folder.run("eval mlp.onnx --input x.csv --request value,gradient,hessian -o out.safetensors").ok();
    assert_eq!(folder.tensors("out.safetensors")["hessian"].shape, [2, 2, 2, 3]);
}

#[test]
fn converted_models_give_the_same() {
    let folder = folder();
    let report = folder.run("convert mlp.onnx -o mlp.safetensors --json").ok().json();
    assert_eq!((&report["dtype"], &report["weights"]), (&"f64".into(), &33.into()));
    for (model, out) in [("mlp.onnx", "a"), ("mlp.safetensors", "b")] {
        folder.run(&format!("eval {model} --input x.csv --request value,laplacian -o {out}.safetensors")).ok();
    }
    assert_eq!(folder.tensors("a.safetensors"), folder.tensors("b.safetensors"));
    folder.run("convert mlp.safetensors --dtype f32 -o single.safetensors").ok();
    assert_eq!(folder.run("info single.safetensors --json").ok().json()["dtype"], "f32");
    // and back
    folder.run("convert mlp.safetensors -o again.onnx").ok();
    folder.run("eval again.onnx --input x.csv --request value,laplacian -o c.safetensors").ok();
    assert_eq!(folder.tensors("c.safetensors"), folder.tensors("a.safetensors"));
    // with derivatives, for other runtimes
    folder.run("convert mlp.safetensors -o jets.onnx --with gradient,laplacian").ok();
    folder.run("info jets.onnx").fails(3, &["3 outputs", "y", "gradient", "laplacian"]);
    folder.run("convert mlp.safetensors -o more.onnx --with bilaplacian").fails(3, &["an ONNX model computes value"]);
    folder.run("convert mlp.safetensors -o more.safetensors --with hessian").fails(2, &["ends in .onnx"]);
    assert!(!folder.path("more.onnx").exists() && !folder.path("more.safetensors").exists());
    // weights that somebody trained are not lost
    folder.run("convert mlp.onnx -o mlp.onnx").fails(2, &["mlp.onnx"]);
}

#[test]
fn what_cannot_be_taken_is_named() {
    let folder = folder();
    for command in ["info", "check", "convert -o out.safetensors", "eval -i x.csv -o out"] {
        folder.run(&format!("{command} unknown.onnx")).fails(3, &["unknown.onnx", "NonZero", "a [n, 5]"]);
    }
}
