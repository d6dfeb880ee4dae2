//! Many points through `hessquik eval`: Laplacians of a file that need not fit in memory, within fixed memory.
#![allow(clippy::zombie_processes)] // children are waited for by `wait4`, which tells their memory
use crate::command::{command, header, hessquik, wait};
use crate::random::Random;
use hessquik::{Evaluate, Network, Request};
use ndarray::Array2;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Instant;

/// The arguments of `load`.
#[derive(clap::Args)]
pub struct Args {
    /// Points, of two inputs each.
    #[arg(long, default_value_t = 100_000_000)]
    points: usize,
    /// Most memory of the command in MiB.
    #[arg(long, default_value_t = 256)]
    memory: u64,
    /// A folder with room for the points and the results, 12 bytes a point.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// The command, if not the one beside this program.
    #[arg(long)]
    hessquik: Option<PathBuf>,
}

/// Points that are looked at again.
const SOME: usize = 1000;

/// Runs the command and compares some of its results with a call of the library; false if something is wrong.
pub fn run(args: &Args) -> bool {
    let folder = tempfile::tempdir_in(&args.folder).expect("a folder to write to");
    let at = |name: &str| folder.path().join(name);
    let program = hessquik(&args.hessquik);
    write(&at("x.npy"), args.points);
    assert!(
        command(&program, folder.path(), "new --preset peaks --dtype f32 -o m.safetensors").status().unwrap().success()
    );
    let started = Instant::now();
    let child = command(&program, folder.path(), "eval m.safetensors -i x.npy -r laplacian -o out").spawn().unwrap();
    let (code, memory) = wait(&child);
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} points, exit code {code}, {seconds:.1} s, {:.3e} points/s, at most {:.1} MiB of memory",
        args.points,
        args.points as f64 / seconds,
        memory as f64 / f64::from(1 << 20),
    );
    let mut ok = code == 0 && memory >> 20 <= args.memory;
    let network = Network::<f32>::load(at("m.safetensors")).expect("the model");
    let rows = args.points.min(SOME);
    for first in [0, args.points / 2, args.points - rows] {
        let x = numbers(&at("x.npy"), 2 * first, 2 * rows);
        let x = Array2::from_shape_vec((rows, 2), x).expect("the shape");
        let wanted = network.evaluate(&x, &Request::new().laplacian()).expect("valid").laplacian.expect("asked for");
        let found = numbers(&at("out/laplacian.npy"), first, rows);
        let largest = wanted.iter().fold(f32::MIN_POSITIVE, |m, w| m.max(w.abs()));
        let error = wanted.iter().zip(&found).fold(0.0f32, |m, (w, f)| m.max((w - f).abs())) / largest;
        println!("points from {first}: relative difference {error:e}");
        ok &= error < 1e-6;
    }
    ok
}

/// A file of points that differ all over.
fn write(path: &std::path::Path, points: usize) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    file.write_all(&header(points)).unwrap();
    let mut random = Random(1);
    for _ in 0..2 * points {
        file.write_all(&(random.coordinate() as f32).to_le_bytes()).unwrap();
    }
    file.flush().expect("room on the disk");
}

/// `count` numbers of an `.npy` file of 32-bit floats, after the first `skip`.
fn numbers(path: &std::path::Path, skip: usize, count: usize) -> Vec<f32> {
    let mut file = File::open(path).expect("a file");
    let mut start = [0; 10];
    file.read_exact(&mut start).expect("a header");
    let header = 10 + u64::from(u16::from_le_bytes([start[8], start[9]]));
    file.seek(SeekFrom::Start(header + 4 * skip as u64)).unwrap();
    let mut bytes = vec![0; 4 * count];
    file.read_exact(&mut bytes).expect("so many numbers");
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}
