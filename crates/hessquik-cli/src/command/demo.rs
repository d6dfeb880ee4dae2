//! The bare command: the main job, on a model and points that it makes.
use super::estimate::Estimating;
use super::{Report, check, eval, new, short};
use crate::args::{Check, Dtype, Eval, Grid, New, Preset, Reading, Writing};
use crate::failure::Failure;
use crate::output::{Format, Owner, Sink, Target, Tensor};
use crate::request::Wish;
use crate::results::put;
use hessquik::{Evaluate, Init, Network};
use ndarray::{Array2, ArrayView2, s};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

const FOLDER: &str = "hessquik-demo";
const POINTS: usize = 20_000;

/// Makes a model and points, evaluates, checks, and says how to do the same by hand.
pub fn run() -> Result<Report, Failure> {
    let folder = Path::new(FOLDER);
    let x: Array2<f64> = Init::seed(1).uniform((POINTS, 2), -1.0, 1.0);
    let points = vec![Tensor::new("x", x.shape())];
    // without a name, as it was called
    let owner = Owner::of_command("hessquik".into(), false);
    let target = Target::new(folder, Some(Format::Npy), owner)?;
    target.protect(&points)?;
    let mut sink = Sink::create::<f64>(&target, points)?;
    put(&mut sink, "x", &x, POINTS, 0)?;
    sink.finish()?;

    let model = folder.join("model.safetensors");
    let made = new::run(&New {
        architecture: None,
        preset: Some(Preset::Pinn),
        dim_input: None,
        dim_output: None,
        seed: 0,
        dtype: Dtype::F64,
        output: model.clone(),
        force: false,
    })?;

    let evaluated = eval::run(&Eval {
        model: model.clone(),
        input: Some(folder.join("x.npy")),
        grid: Grid::default(),
        reading: Reading::default(),
        wish: Wish::default(),
        estimating: Estimating::default(),
        dtype: None,
        share: None,
        tile: None,
        output: folder.join("results.safetensors"),
        writing: Writing::default(),
    })?;
    let checked = check::run(&Check {
        model: model.clone(),
        input: None,
        reading: Reading::default(),
        points: 10,
        seed: 0,
        order: 2,
        plot: None,
        force: false,
    })?;

    let network = Network::<f64>::load(&model)?;
    let text = text(&evaluated.json, &table(&network, x.slice(s![..3, ..]))?, checked.passed);
    let json = json!({ "model": made.json, "evaluation": evaluated.json, "checks": checked.json });
    Ok(Report { passed: checked.passed, ..Report::done(text, json) })
}

fn text(evaluated: &Value, table: &str, passed: bool) -> String {
    let seconds = evaluated["seconds_computing"].as_f64().unwrap_or(0.0);
    let rate = evaluated["points_per_second"].as_f64().unwrap_or(0.0);
    let threads = &evaluated["threads"];
    let checks = if passed { "passed" } else { "FAILED" };
    let (seconds, rate) = (short(seconds, "s"), short(rate, ""));
    format!(
        "\
hessquik: values, gradients and Hessians of neural networks with respect to their inputs

A network with two inputs and random weights, at {POINTS} points:

{table}
  {seconds} on {threads} threads, {rate} points/s, value, gradient and Hessian in f64
  checks against Taylor series and finite differences: {checks}

Written to {FOLDER}/: model.safetensors, x.npy, results.safetensors. The same by hand:

  hessquik new --preset pinn --dtype f64 -o {FOLDER}/model.safetensors
  hessquik eval {FOLDER}/model.safetensors --input {FOLDER}/x.npy \\
      --request value,gradient,hessian -o {FOLDER}/results.safetensors
  hessquik check {FOLDER}/model.safetensors
  hessquik explain {FOLDER}/model.safetensors --points {POINTS}

All commands: hessquik --help
"
    )
}

/// Values and derivatives at a few points, one column for each point.
fn table(network: &Network<f64>, x: ArrayView2<f64>) -> Result<String, Failure> {
    let (value, gradient, hessian) = network.hessian(&x)?;
    let mut text = String::new();
    let mut row = |name: &str, numbers: &dyn Fn(usize) -> f64| {
        let numbers: String = (0..x.nrows()).map(|s| format!("{:>12.6}", numbers(s))).collect();
        let _ = writeln!(text, "  {name:<12}{numbers}");
    };
    row("x", &|s| x[[s, 0]]);
    row("y", &|s| x[[s, 1]]);
    row("f", &|s| value[[s, 0]]);
    row("df/dx", &|s| gradient[[s, 0, 0]]);
    row("df/dy", &|s| gradient[[s, 1, 0]]);
    row("d2f/dx2", &|s| hessian[[s, 0, 0, 0]]);
    row("d2f/dxdy", &|s| hessian[[s, 0, 1, 0]]);
    row("d2f/dy2", &|s| hessian[[s, 1, 1, 0]]);
    Ok(text)
}
