//! Full disks, files that are cut off, processes that are killed: outputs are whole or absent, and old ones stay.
mod support;
use support::{Folder, golden, npy};

/// Points file of zeros for a model with two inputs.
fn zeros(folder: &Folder, points: usize) {
    folder.write("x.npy", npy(1, "'<f4'", false, &format!("({points}, 2)"), &vec![0; 8 * points]));
}

/// The file cut at every byte: never a panic, never a result, never a file left behind. (A text may be cut between two
/// lines and be another text; see `points` for that.)
#[test]
fn points_cut_at_every_byte() {
    let folder = Folder::new();
    let whole = npy(1, "'<f8'", false, "(2, 2)", &[1; 32]);
    for length in 0..whole.len() {
        folder.write("x.npy", &whole[..length]);
        let run = folder.run(&format!("eval {} -i x.npy -o out", golden("peaks_resnet").display()));
        run.fails(3, &["x.npy"]);
    }
    let header = r#"{"x":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]}}"#;
    let whole = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[1; 16]].concat();
    for length in 0..whole.len() {
        folder.write("x.safetensors", &whole[..length]);
        let run = folder.run(&format!("eval {} -i x.safetensors -o out", golden("peaks_resnet").display()));
        run.fails(3, &["x.safetensors"]);
    }
    assert_eq!(folder.names(), ["x.npy", "x.safetensors"]);
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use std::process::{Command, Output};
    use std::time::Duration;

    /// Runs a line of shell in the folder; `$HESSQUIK` is the command, `$MODEL` a model with two inputs.
    fn shell(folder: &Folder, line: &str) -> Output {
        let mut command = Command::new("sh");
        command.env("HESSQUIK", env!("CARGO_BIN_EXE_hessquik")).env("MODEL", golden("peaks_resnet"));
        command.args(["-c", line]).current_dir(folder.path(".")).output().unwrap()
    }

    #[track_caller]
    fn fails(out: &Output, words: &[&str]) {
        let message = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(3), "{out:?}");
        assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
    }

    #[test]
    fn standard_output_on_a_full_disk() {
        let folder = Folder::new();
        fails(&shell(&folder, "exec \"$HESSQUIK\" info \"$MODEL\" > /dev/full"), &["standard output", "No space left"]);
        let gone = shell(&folder, "\"$HESSQUIK\" info \"$MODEL\" | true");
        assert_eq!(gone.status.code(), Some(0), "a reader that has gone away is no error");
    }

    /// Files that may not grow so far, as under a quota.
    #[test]
    fn outputs_past_the_limit_on_files() {
        let folder = Folder::new();
        zeros(&folder, 1000);
        folder.write("old.safetensors", "old");
        for out in ["out.safetensors", "old.safetensors", "out"] {
            let line =
                format!("trap '' XFSZ; ulimit -f 1; exec \"$HESSQUIK\" eval \"$MODEL\" -i x.npy --force -o {out}");
            fails(&shell(&folder, &line), &["too large"]);
        }
        assert_eq!(folder.names(), ["old.safetensors", "x.npy"]);
        assert_eq!(std::fs::read(folder.path("old.safetensors")).unwrap(), b"old");
    }

    /// A real disk that fills while results are written: 64 KiB in memory, where this user may mount one.
    #[test]
    fn outputs_on_a_full_disk() {
        let folder = Folder::new();
        zeros(&folder, 20_000);
        std::fs::create_dir(folder.path("disk")).unwrap();
        let on_disk = |line: &str| {
            let mount = "mount -t tmpfs -o size=64k none disk";
            shell(&folder, &format!("exec unshare -m sh -c '{mount} && {line}'"))
        };
        if !on_disk("true").status.success() {
            eprintln!("skipped: no disk can be mounted here");
            return;
        }
        for out in ["out.safetensors", "out"] {
            let run = format!("\"$HESSQUIK\" eval \"$MODEL\" -i x.npy -o disk/{out}; code=$?; ls -A disk; exit $code");
            let out = on_disk(&run);
            fails(&out, &["No space left"]);
            assert!(out.stdout.is_empty(), "nothing stays behind: {out:?}");
        }
        fails(&on_disk("\"$HESSQUIK\" new --preset pinn -o disk/m.safetensors"), &["No space left"]);
    }

    /// A kill at any moment: the new output or the old one, or none, never a part.
    #[test]
    fn kills() {
        let folder = Folder::new();
        folder.run("new --preset peaks -o m.safetensors").ok();
        zeros(&folder, 100_000);
        let args = |out: &str| format!("eval m.safetensors -i x.npy -r value,gradient,laplacian -o {out}");
        let started = std::time::Instant::now();
        folder.run(&args("whole")).ok();
        folder.run(&args("whole.safetensors")).ok();
        let takes = started.elapsed() / 2;
        let read = |name: &str| std::fs::read(folder.path(name)).ok();
        let results = ["value.npy", "gradient.npy", "laplacian.npy"];
        for i in 0..24 {
            let out = ["out.safetensors", "out"][i % 2];
            let mut command = Command::new(env!("CARGO_BIN_EXE_hessquik"));
            command.args(args(out).split(' ')).current_dir(folder.path(".")).stdout(std::process::Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(takes.mul_f64(i as f64 / 20.0).max(Duration::from_millis(1)));
            child.kill().unwrap();
            child.wait().unwrap();
            if out == "out" {
                let there = folder.path("out").exists();
                for name in results {
                    let found = read(&format!("out/{name}"));
                    assert_eq!(found.is_some(), there, "{name} after step {i}");
                    assert!(found.is_none() || found == read(&format!("whole/{name}")), "{name} after step {i}");
                }
                let _ = std::fs::remove_dir_all(folder.path("out"));
            } else if let Some(found) = read(out) {
                assert!(Some(found) == read("whole.safetensors"), "step {i}");
                std::fs::remove_file(folder.path(out)).unwrap();
            }
        }
    }
}

/// Results of a run never stand beside those of another.
#[test]
fn a_folder_holds_the_results_of_one_run() {
    let folder = Folder::new();
    zeros(&folder, 3);
    let eval = |request: &str| format!("eval {} -i x.npy -o out -r {request}", golden("peaks_resnet").display());
    folder.run(&eval("value,hessian")).ok();
    folder.write("out/notes.txt", "mine");
    folder.run(&eval("value,laplacian")).ok();
    assert_eq!(folder.names_in("out"), [".hessquik.json", "laplacian.npy", "notes.txt", "value.npy"]);
    assert_eq!(folder.names(), ["out", "x.npy"]);
}
