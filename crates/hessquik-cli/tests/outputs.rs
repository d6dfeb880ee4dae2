//! What is in the place of an output: nothing of others is removed or replaced, and nothing changes that should stay.
mod support;
use support::{Folder, Run, golden};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("x.csv", "0.1,0.2\n0.3,0.4\n");
    folder
}

fn eval(folder: &Folder, more: &str) -> Run {
    folder.run(&format!("eval {} {more}", golden("peaks_resnet").display()))
}

fn bytes(folder: &Folder, name: &str) -> Vec<u8> {
    std::fs::read(folder.path(name)).unwrap()
}

/// A folder of data is not a folder of results, whatever is asked for.
#[test]
fn a_folder_of_data_stays() {
    let folder = folder();
    folder.run("peaks -n 5 -o data").ok();
    let before: Vec<_> = folder.names_in("data").iter().map(|name| bytes(&folder, &format!("data/{name}"))).collect();
    eval(&folder, "-i data/x.npy -r laplacian -o data/").fails(2, &["data", "x.npy", "--force"]);
    eval(&folder, "-i x.csv -r laplacian -o data").fails(2, &["hessquik peaks", "--force"]);
    eval(&folder, "-i data -r laplacian -o data").fails(2, &["--force"]);
    let after: Vec<_> = folder.names_in("data").iter().map(|name| bytes(&folder, &format!("data/{name}"))).collect();
    assert_eq!(before, after);
    // with --force, what has no name of a result stays, and so does what is read
    eval(&folder, "-i data/x.npy -r laplacian -o data --force").ok();
    let names = [".hessquik.json", "gradient.npy", "hessian.npy", "laplacian.npy", "value.npy", "x.npy"];
    assert_eq!(folder.names_in("data"), names);
    let after =
        ["gradient.npy", "hessian.npy", "value.npy", "x.npy"].map(|name| bytes(&folder, &format!("data/{name}")));
    assert_eq!(after[..], before[1..]);
    std::fs::copy(folder.path("data/x.npy"), folder.path("data/value.npy")).unwrap();
    eval(&folder, "-i data/value.npy -r value -o data --force").fails(2, &["replace", "value.npy"]);
}

#[test]
fn files_of_others_stay() {
    let folder = folder();
    for (name, out) in [("mine/value.npy", "mine"), ("notes/notes.txt", "notes"), ("a.safetensors", "a.safetensors")] {
        if let Some((parent, _)) = name.split_once('/') {
            std::fs::create_dir(folder.path(parent)).unwrap();
        }
        folder.write(name, "mine");
        eval(&folder, &format!("-i x.csv -o {out}")).fails(2, &[out, "--force"]);
        assert_eq!(bytes(&folder, name), b"mine");
        eval(&folder, &format!("-i x.csv -o {out} --force")).ok();
        assert_eq!(bytes(&folder, name) == b"mine", name == "notes/notes.txt", "{name}");
    }
    // our own are replaced, until they are changed
    for out in ["r", "r.safetensors", "r.npz"] {
        eval(&folder, &format!("-i x.csv -o {out}")).ok();
        eval(&folder, &format!("-i x.csv -r value -o {out}")).ok();
        folder.run(&format!("peaks -n 3 -o {out}")).fails(2, &["hessquik eval", "--force"]);
    }
    folder.write("r/value.npy", "changed since, and of another length");
    eval(&folder, "-i x.csv -r value -o r").fails(2, &["value.npy", "--force"]);
    eval(&folder, "-i x.csv -r laplacian -o r").ok();
    assert_eq!(bytes(&folder, "r/value.npy"), b"changed since, and of another length");
    // a text cannot say who wrote it
    eval(&folder, "-i x.csv -o r.csv").ok();
    eval(&folder, "-i x.csv -o r.csv").fails(2, &["r.csv", "--force"]);
    eval(&folder, "-i x.csv -o r.csv --force").ok();
}

#[test]
fn a_trained_model_stays() {
    let folder = folder();
    folder.run("new --preset peaks -o m.safetensors").ok();
    folder.run("new --preset peaks --seed 1 -o m.safetensors").ok();
    // other weights, with all the metadata that was there: a model that was trained in Python
    let mut model = bytes(&folder, "m.safetensors");
    let last = model.len() - 2;
    model[last] ^= 1;
    folder.write("m.safetensors", &model);
    folder.run("new --preset peaks -o m.safetensors").fails(2, &["m.safetensors", "--force"]);
    assert_eq!(bytes(&folder, "m.safetensors"), model);
    std::fs::copy(golden("peaks_resnet"), folder.path("g.safetensors")).unwrap();
    folder.run("new --preset peaks -o g.safetensors").fails(2, &["g.safetensors"]);
    folder.run("eval m.safetensors -i x.csv -o g.safetensors").fails(2, &["g.safetensors"]);
    folder.run("new --preset peaks -o m.safetensors --force").ok();
    folder.write("own", "mine");
    folder.run("new --preset peaks -o own").fails(2, &["own"]);
    folder.write("t.json", "{}");
    folder.run("timing --in-feature-range 1 --nex 1 --num-trials 1 -o t.json").fails(2, &["t.json", "--force"]);
    for _ in 0..2 {
        folder.run("timing --in-feature-range 1 --nex 1 --num-trials 1 -o u.json --plot u.svg").ok();
    }
}

/// One of the results cannot get to its place: none does.
#[test]
fn all_or_nothing() {
    let folder = folder();
    eval(&folder, "-i x.csv -r value,gradient -o out").ok();
    std::fs::create_dir(folder.path("out/hessian.npy")).unwrap();
    let before = bytes(&folder, "out/value.npy");
    folder.write("x.csv", "5,6\n");
    for more in ["", "--force"] {
        eval(&folder, &format!("-i x.csv -r value,hessian -o out {more}")).fails(2, &["hessian.npy", "folder"]);
    }
    assert_eq!(bytes(&folder, "out/value.npy"), before);
    assert_eq!(folder.names_in("out"), [".hessquik.json", "gradient.npy", "hessian.npy", "value.npy"]);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::process::{Command, Stdio};

    fn mode(folder: &Folder, name: &str) -> u32 {
        std::fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn permissions_stay() {
        let folder = folder();
        let set =
            |name: &str, mode| std::fs::set_permissions(folder.path(name), PermissionsExt::from_mode(mode)).unwrap();
        for (name, line) in [
            ("r.safetensors", "eval PEAKS -i x.csv -o r.safetensors"),
            ("r.npz", "eval PEAKS -i x.csv -o r.npz"),
            ("r.csv", "eval PEAKS -i x.csv -o r.csv --force"),
            ("r/value.npy", "eval PEAKS -i x.csv -r value -o r"),
            ("m.safetensors", "new --preset peaks -o m.safetensors"),
            ("p/x.npy", "peaks -n 3 -o p"),
        ] {
            let line = line.replace("PEAKS", &golden("peaks_resnet").display().to_string());
            folder.run(&line).ok();
            set(name, 0o600);
            folder.run(&line).ok();
            assert_eq!(mode(&folder, name), 0o600, "{name}");
        }
    }

    #[test]
    fn links_stay() {
        let folder = folder();
        std::fs::create_dir(folder.path("far")).unwrap();
        for (link, to) in [("l.safetensors", "far/r.safetensors"), ("l.npz", "far/r.npz"), ("l", "far/r")] {
            symlink(to, folder.path(link)).unwrap();
            eval(&folder, &format!("-i x.csv -r value -o {link}")).ok();
            assert!(folder.path(link).is_symlink() && folder.path(to).exists(), "{link}");
        }
        symlink("far/m.safetensors", folder.path("m.safetensors")).unwrap();
        folder.run("new --preset peaks -o m.safetensors").ok();
        assert!(folder.path("m.safetensors").is_symlink() && folder.path("far/m.safetensors").is_file());
        symlink("round", folder.path("round")).unwrap();
        eval(&folder, "-i x.csv -o round").fails(3, &["round"]);
        // a link among the results is not ours
        std::fs::write(folder.path("precious"), "mine").unwrap();
        std::fs::remove_file(folder.path("far/r/value.npy")).unwrap();
        symlink("../../precious", folder.path("far/r/value.npy")).unwrap();
        eval(&folder, "-i x.csv -r value -o far/r --force").fails(2, &["value.npy", "link"]);
        assert_eq!(bytes(&folder, "precious"), b"mine");
    }

    /// Devices and FIFOs are written into, or refused, and never replaced.
    #[test]
    fn devices_and_fifos() {
        let folder = folder();
        symlink("/dev/null", folder.path("null.safetensors")).unwrap();
        for out in ["/dev/null", "null.safetensors"] {
            eval(&folder, &format!("-i x.csv -o {out}")).ok();
            folder.run(&format!("new --preset peaks -o {out}")).ok();
            folder.run(&format!("peaks -n 3 -o {out}")).ok();
            assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        }
        assert!(folder.path("null.safetensors").is_symlink());
        let run =
            folder.shell("mkfifo f; (cat f > got) & hessquik eval \"$PEAKS\" -i x.csv -r value -o f; wait; test -p f");
        run.ok();
        assert_eq!(String::from_utf8(bytes(&folder, "got")).unwrap().lines().count(), 3);
        let run = folder.shell(
            "(cat f > m.safetensors) & hessquik new --preset peaks -o f; wait; test -p f; hessquik info m.safetensors",
        );
        run.ok();
    }

    /// Two runs into one folder at a time: the files of one of them.
    #[test]
    fn runs_at_the_same_time() {
        let folder = folder();
        folder.write("y.csv", "1,2\n3,4\n5,6\n");
        let model = golden("peaks_resnet").display().to_string();
        for (input, out) in [("x.csv", "a"), ("y.csv", "b")] {
            eval(&folder, &format!("-i {input} -o {out}")).ok();
        }
        for round in 0..12 {
            let mut children: Vec<_> = ["x.csv", "y.csv", "x.csv", "y.csv"]
                .map(|input| {
                    let mut command = Command::new(env!("CARGO_BIN_EXE_hessquik"));
                    command.args(["eval", &model, "-i", input, "-o", "out"]).current_dir(folder.path(""));
                    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
                })
                .into();
            let codes: Vec<_> = children.iter_mut().map(|child| child.wait().unwrap().code()).collect();
            assert_eq!(codes, [Some(0); 4], "round {round}");
            let of =
                |name: &str| ["value", "gradient", "hessian"].map(|file| bytes(&folder, &format!("{name}/{file}.npy")));
            assert!(of("out") == of("a") || of("out") == of("b"), "round {round}");
            assert_eq!(folder.names_in("out").len(), 4);
            if round % 3 == 0 {
                std::fs::remove_dir_all(folder.path("out")).unwrap();
            }
        }
    }

    #[test]
    fn a_file_that_may_not_be_written_stays() {
        let folder = folder();
        eval(&folder, "-i x.csv -o r.safetensors").ok();
        std::fs::set_permissions(folder.path("r.safetensors"), PermissionsExt::from_mode(0o444)).unwrap();
        if std::fs::OpenOptions::new().write(true).open(folder.path("r.safetensors")).is_ok() {
            return; // this user may write everywhere
        }
        eval(&folder, "-i x.csv -o r.safetensors").fails(3, &["ermission"]);
    }

    /// An interrupt is heard within one tile, however long it takes.
    #[test]
    fn an_interrupt_within_one_tile() {
        let folder = Folder::new();
        // seconds of one tile
        folder.write(
            "a.json",
            r#"{"type": "network", "layers": [
            {"type": "single", "in_features": 300, "out_features": 700, "act": "tanh"},
            {"type": "single", "in_features": 700, "out_features": 700, "act": "tanh"},
            {"type": "single", "in_features": 700, "out_features": 700, "act": "tanh"},
            {"type": "single", "in_features": 700, "out_features": 60}]}"#,
        );
        folder.run("new a.json -o m.safetensors").ok();
        folder.write("x.npy", support::npy(1, "'<f4'", false, "(60, 300)", &vec![0; 4 * 60 * 300]));
        for out in ["out", "out.safetensors", "out.csv", "out.npz"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_hessquik"));
            let line =
                format!("eval m.safetensors -i x.npy -r hessian --mode forward --tile 60 --threads 1 --json -o {out}");
            command.args(line.split(' ')).current_dir(folder.path(""));
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            while folder.names().len() < 4 {
                std::thread::sleep(std::time::Duration::from_millis(5)); // until the temporary file is there
            }
            std::thread::sleep(std::time::Duration::from_millis(300)); // within the tile
            let asked = std::time::Instant::now();
            Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
            let ended = child.wait_with_output().unwrap();
            let after = asked.elapsed().as_secs_f64();
            assert_eq!(ended.status.code(), Some(130), "{ended:?}");
            assert!(String::from_utf8_lossy(&ended.stderr).starts_with("error: interrupted"), "{ended:?}");
            assert!(after < 5.0, "{after} s");
            assert_eq!(folder.names(), ["a.json", "m.safetensors", "x.npy"], "{out}");
        }
    }
}

/// What is read is not replaced, whatever is asked for.
#[test]
fn files_that_are_read_stay() {
    let folder = folder();
    let model = bytes(&folder, &std::fs::canonicalize(golden("peaks_resnet")).unwrap().display().to_string());
    std::fs::write(folder.path("m.svg"), &model).unwrap();
    std::fs::write(folder.path("m.safetensors"), &model).unwrap();
    std::fs::copy(folder.path("x.csv"), folder.path("x.svg")).unwrap();
    folder.write("arch.json", r#"{"type": "single", "in_features": 2, "out_features": 1, "act": "tanh"}"#);
    for command in [
        "check m.svg --plot m.svg --force",
        "explain m.svg --plot m.svg --force",
        "eval m.svg --grid 3 -r value -o aa.npz --plot m.svg --force",
        "check m.safetensors -i x.svg --input-format csv --plot x.svg --force",
        "convert m.safetensors --dtype f32 -o m.safetensors --force",
        "new arch.json -o arch.json --force",
    ] {
        folder.run(command).fails(2, &["would replace", "which is read"]);
    }
    assert!(bytes(&folder, "m.svg") == model && bytes(&folder, "m.safetensors") == model);
    assert_eq!(bytes(&folder, "x.svg"), bytes(&folder, "x.csv"));
    assert!(bytes(&folder, "arch.json").starts_with(b"{"));
}

/// A manifest says which files of its folder are ours, and nothing of others.
#[test]
fn manifests_reach_no_other_folder() {
    let folder = folder();
    eval(&folder, "-i x.csv -r value -o out").ok();
    folder.write("precious.txt", "precious");
    let found = std::fs::metadata(folder.path("precious.txt")).unwrap();
    let time = found.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let manifest = String::from_utf8(bytes(&folder, "out/.hessquik.json")).unwrap();
    let other = format!("\"files\": {{\n    \"../precious.txt\": [{}, {time}],", found.len());
    let changed = manifest.replacen("\"files\": {", &other, 1);
    assert_ne!(changed, manifest);
    folder.write("out/.hessquik.json", &changed);
    eval(&folder, "-i x.csv -r gradient -o out").ok();
    assert_eq!(bytes(&folder, "precious.txt"), b"precious");
    assert_eq!(folder.names_in("out"), [".hessquik.json", "gradient.npy"]);
}

#[test]
fn too_many_threads_are_refused() {
    let folder = folder();
    eval(&folder, "-i x.csv -r value -o out.npz --threads 60000").fails(2, &["--threads is 60000", "at most"]);
}
