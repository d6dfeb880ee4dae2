//! What goes wrong is said in one line, with what was found and expected; nothing half-written stays behind.
mod support;
use support::{Folder, Run, golden, npy};

/// A folder with two points of a model with two inputs.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("x.csv", "0.1,0.2\n0.3,0.4\n");
    folder
}

fn eval(folder: &Folder, input: &str, more: &str) -> Run {
    folder.run(&format!("eval {} --input {input} {more}", golden("peaks_resnet").display()))
}

/// Evaluation at the points in the file of this name and content fails, and leaves nothing behind.
fn broken(name: &str, content: impl AsRef<[u8]>, words: &[&str]) {
    let folder = Folder::new();
    folder.write(name, content);
    eval(&folder, name, "-o out.safetensors").fails(3, &[&[name], words].concat());
    eval(&folder, name, "-o out").fails(3, words);
    assert_eq!(folder.names(), [name]);
}

#[test]
fn command_line() {
    let folder = folder();
    folder.run("evaluate").fails(2, &["evaluate"]);
    eval(&folder, "x.csv", "").fails(2, &["--output"]);
    eval(&folder, "x.csv", "-o out --request value,hesian").fails(2, &["hesian", "hessian", "partials"]);
    eval(&folder, "x.csv", "-o out --request ,").fails(2, &["the request is empty"]);
    eval(&folder, "x.csv", "-o out --request partials:0-").fails(2, &["partials:0-1"]);
    eval(&folder, "x.csv", "-o out --request block:0").fails(2, &["block:0+1/2"]);
    eval(&folder, "x.csv", "-o out --mode fast").fails(2, &["fast", "forward"]);
    eval(&folder, "x.csv", "-o out --dtype f16").fails(2, &["f16", "f32"]);
    eval(&folder, "x.csv", "-o out --threads 0").fails(2, &["0"]);
    eval(&folder, "x.csv", "-o out --tile 0").fails(2, &["at least 1"]);
    eval(&folder, "x.csv", "-o out.txt").fails(2, &["out.txt", ".safetensors"]);
    folder.run("new -o m.safetensors").fails(2, &["ARCHITECTURE"]);
    folder.run("new --preset icnn --dim-output 2 -o m.safetensors").fails(2, &["one output"]);
    folder.run("new --preset pinns -o m.safetensors").fails(2, &["pinn"]);
    folder.run("peaks -n 3 --grid 3 -o p").fails(2, &["--grid"]);
    assert_eq!(folder.names(), ["x.csv"]);
}

#[test]
fn errors_as_json() {
    let folder = folder();
    let run = eval(&folder, "missing.npy", "-o out --json").fails(3, &["missing.npy"]);
    assert!(run.json()["error"].as_str().unwrap().contains("missing.npy"));
    let run = eval(&folder, "x.csv", "-o out --request hesian --json").fails(2, &["hesian"]);
    assert!(run.json()["error"].as_str().unwrap().contains("hesian"));
}

#[test]
fn files_that_are_missing() {
    let folder = folder();
    eval(&folder, "missing.npy", "-o out").fails(3, &["missing.npy", "No such file"]);
    eval(&folder, "x.csv", "-o out --directions v.npy").fails(3, &["v.npy"]);
    eval(&folder, "x.csv", "-o nowhere/out.safetensors").fails(3, &["nowhere"]);
    eval(&folder, "x.csv", "-o nowhere/out").fails(3, &["nowhere"]);
    for command in ["info", "check", "explain", "eval -i x.csv -o out"] {
        folder.run(&format!("{command} missing.safetensors")).fails(3, &["missing.safetensors"]);
    }
    folder.run("new missing.json -o m.safetensors").fails(3, &["missing.json"]);
    eval(&folder, ".", "-o out").fails(3, &[".npy, .csv or .safetensors"]);
    assert_eq!(folder.names(), ["x.csv"]);
}

#[test]
fn broken_models() {
    let folder = folder();
    folder.write("m.safetensors", b"not a model");
    folder.run("eval m.safetensors -i x.csv -o out").fails(3, &["m.safetensors"]);
    folder.run("info m.safetensors").fails(3, &["m.safetensors"]);
    let bytes = std::fs::read(golden("peaks_resnet")).unwrap();
    folder.write("m.safetensors", &bytes[..bytes.len() - 8]);
    folder.run("check m.safetensors").fails(3, &["m.safetensors", "truncated"]);
    folder.write("a.json", r#"{"type": "dense", "in_features": 2, "out_features": 1}"#);
    folder.run("new a.json -o new.safetensors").fails(3, &["a.json", "dense", "single"]);
    folder.write("a.json", r#"{"type": "single", "in_features": 2, "out_features": 0}"#);
    folder.run("new a.json -o new.safetensors").fails(3, &["out_features"]);
    assert_eq!(folder.names(), ["a.json", "m.safetensors", "x.csv"]);
}

#[test]
fn broken_text() {
    broken("x.csv", "1,2\n3,4\n5\n6,7\n", &["line 3", "1 columns", "expected 2"]);
    broken("x.csv", "x,y\n1,2\n# note\n\n3,four\n", &["line 5, column 2", "four", "not a number"]);
    broken("x.csv", "1,2,3\n", &["[1, 3]", "expected 2 columns"]);
    broken("x.csv", "a,b,c\n", &["expected 2 columns"]);
    broken("x.csv", "1,zwei\n3,4\n", &["line 1, column 2", "zwei"]);
    broken("x.csv", "1,2\n,4\n", &["line 2, column 1"]);
    broken("x.csv", "1,2\n-1e400,4\n", &["line 2, column 1", "too large"]);
    broken("x.csv", b"1,2\n3,\xff\n", &["UTF-8"]);
    broken("x.dat", "1,2", &[".npy, .csv or .safetensors"]);
}

#[test]
fn broken_npy() {
    let two = [0u8; 32];
    broken("x.npy", b"", &["not a npy file"]);
    broken("x.npy", b"PK\x03\x04 and so on", &["NUMPY"]);
    broken("x.npy", &npy(1, "'<f8'", false, "(2, 2)", &two)[..20], &["cut off"]);
    broken("x.npy", npy(1, "'<f8'", false, "(2, 2)", &two[..31]), &["bytes long", "[2, 2]"]);
    broken("x.npy", npy(1, "'<f8'", false, "(2, 3)", &[0; 48]), &["[2, 3]", "expected 2 columns"]);
    broken("x.npy", npy(1, "'<f8'", false, "(2,)", &[]), &["bytes long"]);
    broken("x.npy", npy(1, "'<f8'", false, "(3,)", &[0; 24]), &["[3, 1]", "expected 2 columns"]);
    broken("x.npy", npy(1, "'<f8'", false, "()", &[0; 8]), &["shape []", "two axes"]);
    broken("x.npy", npy(1, "'<f8'", false, "(1, 2, 2)", &two), &["[1, 2, 2]", "two axes"]);
    broken("x.npy", npy(1, "'<f8'", false, "(-1, 2)", &two), &["shape"]);
    broken("x.npy", npy(1, "'<f8'", false, "(9223372036854775807, 2)", &two), &["addressed"]);
    broken("x.npy", npy(1, "'|O'", false, "(2, 2)", &two), &["|O", "float64"]);
    broken("x.npy", npy(1, "'<f16'", false, "(1, 2)", &two), &["<f16", "float64"]);
    broken("x.npy", npy(1, "'<c16'", false, "(1, 2)", &two), &["<c16"]);
    broken("x.npy", npy(1, "[('a', '<f8')]", false, "(2, 2)", &two), &["structured"]);
    broken("x.npy", npy(4, "'<f8'", false, "(2, 2)", &two), &["version 4.0"]);
    broken("x.npy", npy(2, "'<f8'", false, "2", &two), &["shape"]);
}

#[test]
fn broken_safetensors() {
    let file =
        |header: &str, bytes: &[u8]| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), bytes].concat();
    let two = [0u8; 32];
    broken("x.safetensors", b"12", &["too short"]);
    broken("x.safetensors", b"0123456789", &["not a safetensors file"]);
    broken("x.safetensors", file("{", &[]), &["header"]);
    let header =
        |name: &str, dtype: &str| format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":[2,2],"data_offsets":[0,32]}}}}"#);
    broken("x.safetensors", file(&header("points", "F64"), &two), &["no tensor named x", "points"]);
    broken("x.safetensors", file(&header("x", "F64"), &two[..31]), &["bytes long"]);
    broken("x.safetensors", file(&header("x", "F32"), &two), &["header"]);
    broken("x.safetensors", file(&header("x", "C64"), &two), &["C64", "F64"]);
}

#[test]
fn numbers_too_large() {
    let folder = Folder::new();
    folder.write("x.csv", "0,0\n1e300,0\n");
    eval(&folder, "x.csv", "-o out --dtype f32").fails(3, &["x.csv", "too large for f32"]);
    assert_eq!(folder.names(), ["x.csv"]);
}

#[test]
fn arrays_that_do_not_fit() {
    let folder = folder();
    folder.write("three.csv", "1 0 0\n0 1 0\n0 0 1\n");
    eval(&folder, "x.csv", "-o out --directions three.csv").fails(3, &["three.csv", "expected 2 columns"]);
    eval(&folder, "x.csv", "-o out --operator three.csv").fails(3, &["[3, 3]"]);
    eval(&folder, "x.csv", "-o out --outputs three.csv").fails(3, &["[3, 3]"]);
    for shape in ["(0, 18446744073709551615)", "(18446744073709551615, 0)"] {
        folder.write("wide.npy", npy(1, "'<f8'", false, shape, &[]));
        eval(&folder, "x.csv", "-o out --operator wide.npy").fails(3, &["wide.npy", "addressed"]);
        eval(&folder, "x.csv", "-o out --outputs wide.npy").fails(3, &["wide.npy", "addressed"]);
    }
    std::fs::remove_file(folder.path("wide.npy")).unwrap();
    eval(&folder, "x.csv", "-o out --products three.csv").fails(3, &["three.csv", "expected 2 columns"]);
    eval(&folder, "x.csv", "-o out --request partials:0-2").fails(3, &["index 2", "2 entries"]);
    eval(&folder, "x.csv", "-o out --request block:0/5").fails(3, &["index 5"]);
    assert_eq!(folder.names(), ["three.csv", "x.csv"]);
}

#[test]
fn an_old_output_stays_after_a_failure() {
    let folder = folder();
    folder.write("out.safetensors", "old");
    std::fs::create_dir(folder.path("out")).unwrap();
    folder.write("out/value.npy", "old");
    folder.write("bad.csv", "1e300,0\n");
    for out in ["out.safetensors", "out"] {
        eval(&folder, "bad.csv", &format!("--dtype f32 --force -o {out}")).fails(3, &["too large"]);
    }
    assert_eq!(std::fs::read(folder.path("out.safetensors")).unwrap(), b"old");
    assert_eq!(std::fs::read(folder.path("out/value.npy")).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path("out")).unwrap().count(), 1);
    eval(&folder, "x.csv", "-o out.safetensors --force").ok();
    assert_eq!(folder.tensors("out.safetensors")["value"].shape, [2, 1]);
}

#[test]
fn inputs_are_not_overwritten() {
    let folder = folder();
    let model = golden("peaks_resnet");
    std::fs::copy(&model, folder.path("m.safetensors")).unwrap();
    folder.run("eval m.safetensors -i x.csv -o ./m.safetensors").fails(2, &["m.safetensors", "replace"]);
    folder.run("eval m.safetensors -i m.safetensors -o m.safetensors").fails(2, &["replace"]);
    assert_eq!(std::fs::read(model).unwrap(), std::fs::read(folder.path("m.safetensors")).unwrap());
}

#[test]
fn places_that_cannot_be_written() {
    let folder = folder();
    folder.write("file", "");
    std::fs::create_dir(folder.path("d.safetensors")).unwrap();
    eval(&folder, "x.csv", "-o file").fails(2, &["not a folder"]);
    eval(&folder, "x.csv", "-o d.safetensors").fails(2, &["is a folder"]);
    eval(&folder, "x.csv", "-o file/out.safetensors").fails(3, &["file"]);
    eval(&folder, "x.csv", "-o /proc/out.safetensors").fails(3, &["/proc/out.safetensors"]);
    folder.run("new --preset peaks -o file/m.safetensors").fails(3, &["file"]);
    assert_eq!(folder.names(), ["d.safetensors", "file", "x.csv"]);
}

#[cfg(unix)]
#[test]
fn read_only_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let locked = folder.path("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(locked.join("probe"), "").is_ok() {
        return; // this user may write everywhere
    }
    eval(&folder, "x.csv", "-o locked/out.safetensors").fails(3, &["locked", "ermission"]);
    eval(&folder, "x.csv", "-o locked/out").fails(3, &["locked", "ermission"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    use std::process::{Command, Stdio};
    let folder = folder();
    folder.run("new --preset timing -o m.safetensors").ok();
    // two million points, all zero, without a byte on disk
    folder.write("x.npy", npy(1, "'<f4'", false, "(2000000, 64)", &[]));
    let file = std::fs::OpenOptions::new().write(true).open(folder.path("x.npy")).unwrap();
    file.set_len(file.metadata().unwrap().len() + 2_000_000 * 64 * 4).unwrap();
    for out in ["out.safetensors", "out"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hessquik"));
        let args = format!("eval m.safetensors -i x.npy -r value,laplacian -o {out}");
        command.args(args.split(' ')).current_dir(folder.path("."));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while folder.names().len() < 4 {
            std::thread::sleep(std::time::Duration::from_millis(5)); // until the temporary file is there
        }
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(130), "{out:?}");
        assert!(String::from_utf8_lossy(&out.stderr).starts_with("error: interrupted"), "{out:?}");
        assert_eq!(folder.names(), ["m.safetensors", "x.csv", "x.npy"]);
    }
}
