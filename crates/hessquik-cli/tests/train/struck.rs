//! Runs that a signal strikes.
use super::support::Folder;
use super::with_the_feature::{history, names};

/// Starts a run in the folder `out` and sends it a signal so long after its first checkpoint.
fn struck(folder: &Folder, line: &str, signal: &str, after: std::time::Duration) -> std::process::Output {
    use std::process::{Command, Stdio};
    let mut command = Command::new(env!("CARGO_BIN_EXE_hessquik"));
    command.args(line.split(' ')).current_dir(folder.path("."));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !folder.path("out/checkpoint.safetensors").exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    std::thread::sleep(after);
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    child.wait_with_output().unwrap()
}

/// The same command goes on to what a run makes that nothing struck.
fn goes_on(folder: &Folder, line: &str) {
    folder.run(line).ok();
    assert!(!folder.path("out/checkpoint.safetensors").exists());
    folder.run(&line.replace("out", "whole")).ok();
    assert_eq!(history(folder, "out/history.csv"), history(folder, "whole/history.csv"));
    let bytes = |name: &str| std::fs::read(folder.path(name)).unwrap();
    assert_eq!(bytes("out/model.safetensors"), bytes("whole/model.safetensors"));
}

#[test]
fn an_interrupt_saves_and_the_same_command_goes_on() {
    let folder = Folder::new();
    let line = "train hermite --points 2000 --batch 5 --epochs 40 --lbfgs 1 --every 1 -o out";
    let out = struck(&folder, line, "-INT", std::time::Duration::ZERO);
    assert_eq!(out.status.code(), Some(130), "{out:?}");
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(message.starts_with("error: interrupted; ") && message.contains("checkpoint.safetensors"), "{message}");
    assert!(names(&folder.path("out")).iter().any(|n| n == "model.safetensors"));
    let before = history(&folder, "out/history.csv");
    assert!(before.len() > 1 && before.len() < 42, "{}", before.len());
    folder.run("info out/model.safetensors").ok();
    goes_on(&folder, line);
}

/// `kill -9`, again and again, at other moments: the checkpoint is whole, nothing else is there, and the same command
/// goes on.
#[test]
fn a_kill_leaves_a_whole_checkpoint_and_the_same_command_goes_on() {
    let folder = Folder::new();
    let line = "train hermite --points 500 --batch 50 --epochs 400 --lbfgs 0 --every 1 -o out";
    let mut epochs = Vec::new();
    for kill in 0..8 {
        let out = struck(&folder, line, "-KILL", std::time::Duration::from_millis(12 * kill));
        assert_eq!(out.status.code(), None, "{out:?}");
        let bytes = std::fs::read(folder.path("out/checkpoint.safetensors")).unwrap();
        safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let state = &header.metadata().as_ref().unwrap()["hessquik_training"];
        let state: serde_json::Value = serde_json::from_str(state).unwrap();
        epochs.push(state["progress"]["history"].as_array().unwrap().len());
        let visible: Vec<_> = names(&folder.path("out")).into_iter().filter(|n| !n.starts_with('.')).collect();
        assert_eq!(visible, ["checkpoint.safetensors"]);
    }
    assert!(epochs.is_sorted() && epochs[7] > epochs[0] && epochs[7] < 400, "{epochs:?}");
    goes_on(&folder, line);
}
