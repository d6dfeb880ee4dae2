//! `hessquik eval` hit by SIGINT, SIGTERM and SIGKILL at random moments: outputs are whole or absent, and old ones stay.
#![allow(clippy::zombie_processes)] // children are waited for by `wait4`
use crate::command::{command, header, hessquik, wait};
use crate::random::Random;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The arguments of `signals`.
#[derive(clap::Args)]
pub struct Args {
    /// How many runs are hit.
    #[arg(long, default_value_t = 1000)]
    runs: u32,
    /// Points of each run.
    #[arg(long, default_value_t = 400_000)]
    points: usize,
    /// Seed of the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The command, if not the one beside this program.
    #[arg(long)]
    hessquik: Option<PathBuf>,
}

/// Hits run after run; false if an output was neither whole nor as before.
pub fn run(args: &Args) -> bool {
    let program = hessquik(&args.hessquik);
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let ask = |args: &str| command(&program, root, args);
    assert!(ask("new --preset peaks --dtype f32 -o m.safetensors").status().unwrap().success());
    zeros(&root.join("x.npy"), args.points);
    let eval = |out: &str| format!("eval m.safetensors -i x.npy -r value,gradient,laplacian --force -o {out}");
    let started = Instant::now();
    let mut whole = BTreeMap::new();
    for out in ["whole.safetensors", "whole"] {
        assert!(ask(&eval(out)).status().unwrap().success());
        whole.insert(out, read(&root.join(out)));
    }
    let takes = started.elapsed() / 2;
    let mut numbers = Random(args.seed);
    let mut random = move || (numbers.next() >> 33) as u32;
    let mut counts = BTreeMap::<String, u32>::new();
    let mut ok = true;
    for i in 0..args.runs {
        let (name, signal) =
            [("SIGINT", libc::SIGINT), ("SIGTERM", libc::SIGTERM), ("SIGKILL", libc::SIGKILL)][(i % 3) as usize];
        let (out, reference) = [("out.safetensors", "whole.safetensors"), ("out", "whole")][(random() % 2) as usize];
        // an earlier result in its place, or none
        let old = random() % 2 == 0;
        let path = root.join(out);
        let before: Contents = if old { [("old".to_string(), b"old".to_vec())].into() } else { Contents::new() };
        if old && out == "out" {
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("value.npy"), "old").unwrap();
        } else if old {
            std::fs::write(&path, "old").unwrap();
        }
        let child = ask(&eval(out)).spawn().unwrap();
        let wait_for = takes.mul_f64(1.1 * f64::from(random()) / f64::from(u32::MAX >> 1));
        std::thread::sleep(wait_for.max(Duration::from_micros(1)));
        // SAFETY: the child is ours and has not been waited for, so the number is still its own
        unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        let (code, _) = wait(&child);
        let after = read(&path);
        let left = |name: &str| name.starts_with(".hessquik-");
        let temporary = names(root).into_iter().chain(names(&path)).filter(|n| left(n)).count();
        let state = match &after {
            after if *after == whole[reference] => "new",
            after if !old && after.is_empty() => "absent",
            after if old && after.values().eq(before.values()) => "old",
            _ => "BROKEN",
        };
        // a signal that can be caught leaves no temporary file, unless it came before the program was ready for it
        let tidy = temporary == 0 || signal == libc::SIGKILL || code < 0;
        ok &= state != "BROKEN" && tidy && (code != 0 || state == "new");
        if state == "BROKEN" || !tidy {
            println!("{name} after {wait_for:?}, code {code}, {out}: {state}, {temporary} temporary");
        }
        let code = if code < 0 { format!("killed by {}", -code) } else { format!("exit code {code}") };
        *counts.entry(format!("{name:8} {code:14} output {state}, temporary files {temporary}")).or_default() += 1;
        clean(root, &path);
    }
    counts.iter().for_each(|(what, n)| println!("{n:6}  {what}"));
    ok
}

type Contents = BTreeMap<String, Vec<u8>>;

/// The results at `path`, a file or a folder; empty if it is not there.
fn read(path: &Path) -> Contents {
    if path.is_file() {
        return [(String::new(), std::fs::read(path).unwrap())].into();
    }
    let all = names(path).into_iter().filter(|n| !n.starts_with('.'));
    all.map(|name| (name.clone(), std::fs::read(path.join(name)).unwrap())).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// Removes the output and what a killed process left.
fn clean(root: &Path, path: &Path) {
    for name in names(root).into_iter().filter(|n| n.starts_with(".hessquik-")) {
        let left = root.join(name);
        let _ = if left.is_dir() { std::fs::remove_dir_all(left) } else { std::fs::remove_file(left) };
    }
    let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
}

/// Points that are all zero, without a byte on disk.
fn zeros(path: &Path, points: usize) {
    let header = header(points);
    std::fs::write(path, &header).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(header.len() as u64 + 8 * points as u64).unwrap();
}
