//! The worker's cases of higher order: what it computes is what the library computes, and steps have the right gradient.
use hessquik::{Activation, Evaluate, Init, Network, Request, fully_connected};
use hessquik_benchmarks::{Case, Kind, OursCase, Points};
use ndarray::Array2;
use safetensors::SafeTensors;
use std::io::Write;
use std::process::{Command, Stdio};

fn network() -> Network<f64> {
    let mut network = fully_connected(&[2, 6, 6, 1], Activation::Tanh, &mut Init::seed(0)).unwrap();
    let theta = Init::seed(1).uniform(network.flat_weights().len(), -0.8, 0.8);
    network.set_flat_weights(theta.view()).unwrap();
    network
}

fn points() -> Array2<f64> {
    Init::seed(2).uniform((7, 2), -1.0, 1.0)
}

/// What a case writes, by name.
fn saved(network: Network<f64>, kind: &str, mode: &str) -> Vec<(String, Vec<f64>)> {
    let out = std::env::temp_dir().join(format!("hessquik-orders-{}-{kind}-{mode}.safetensors", std::process::id()));
    let kind = Kind::parse(kind).unwrap();
    let mut case = OursCase::new(Points { network, x: points() }, kind).unwrap();
    case.call(mode).unwrap();
    case.save(mode, &out.display().to_string()).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    let numbers = |data: &[u8]| data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors.tensors().iter().map(|(name, t)| (name.clone(), numbers(t.data()))).collect()
}

#[test]
fn results_are_those_of_the_library() {
    let partial = |axes: &[usize]| {
        let jet = network().evaluate(&points(), &Request::new().any_partials(&[axes])).unwrap();
        jet.partials.unwrap().into_raw_vec_and_offset().0
    };
    let sum = |all: Vec<Vec<f64>>| (0..7).map(|s| all.iter().map(|p| p[s]).sum()).collect::<Vec<f64>>();
    for (kind, wanted) in [
        ("kdv", partial(&[1, 1, 1])),
        ("beam", partial(&[1; 4])),
        ("trace", sum(vec![partial(&[0, 0]), partial(&[1, 1])])),
        ("bilaplacian", sum([[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [1; 4]].map(|a| partial(&a)).to_vec())),
    ] {
        for mode in ["fresh", "lent"] {
            let found = saved(network(), kind, mode);
            assert_eq!((found.len(), &*found[0].0), (1, "result"), "{kind}");
            let close = found[0].1.iter().zip(&wanted).all(|(f, w)| (f - w).abs() < 1e-11);
            assert!(close && found[0].1.len() == 7, "{kind} {mode}: {found:?} {wanted:?}");
        }
    }
}

/// Against differences of the loss along a line of weights.
#[test]
fn the_step_of_kuramoto_and_sivashinsky() {
    let line: ndarray::Array1<f64> = Init::seed(3).uniform(network().flat_weights().len(), -1.0, 1.0);
    let at = |h: f64| {
        let mut network = network();
        let theta = network.flat_weights() + &line * h;
        network.set_flat_weights(theta.view()).unwrap();
        saved(network, "kuramoto", "fresh")
    };
    let loss = |h: f64| at(h).into_iter().find(|(name, _)| name == "loss").unwrap().1[0];
    let d = |h: f64| (loss(h) - loss(-h)) / (2.0 * h);
    let wanted = (4.0 * d(5e-4) - d(1e-3)) / 3.0;
    let mut slope = 0.0;
    let found = at(0.0);
    for (name, along) in network().by_name(line.view()).unwrap() {
        let (_, gradient) = found.iter().find(|(n, _)| *n == format!("weights.{name}")).unwrap();
        slope += gradient.iter().zip(along.iter()).map(|(g, a)| g * a).sum::<f64>();
    }
    assert!((slope - wanted).abs() < 1e-7 * wanted.abs().max(1.0), "{slope} {wanted}");
}

/// What a worker does not know, it says.
#[test]
fn unknown_kinds_are_errors() {
    let mut worker =
        Command::new(env!("CARGO_BIN_EXE_ours")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let line = r#"{"op": "load", "file": "none", "dtype": "f64", "kind": "plate"}"#;
    writeln!(worker.stdin.take().unwrap(), "{line}").unwrap();
    let answer = String::from_utf8(worker.wait_with_output().unwrap().stdout).unwrap();
    assert!(answer.contains("unknown kind") && answer.contains("plate"), "{answer}");
}
