//! Seconds of a call of the Rust engine, for `benchmarks/python/overhead.py`: `call MODEL POINTS`, and for every line with
//! a number of calls on standard input the seconds of each on standard output.
use hessquik::{Evaluate, Init, Layer, Network, Real, Request, weights_dtype};
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, points] = &arguments[..] else { return Err("usage: call MODEL POINTS".into()) };
    match weights_dtype(model)? {
        "f32" => serve(&Network::<f32>::load(model)?, points.parse()?),
        _ => serve(&Network::<f64>::load(model)?, points.parse()?),
    }
}

fn serve<F: Real>(network: &Network<F>, points: usize) -> Result<(), Box<dyn Error>> {
    let x = Init::seed(0).uniform((points, network.dim_input()), -1.0, 1.0).mapv(F::of);
    let request = Request::new().value().gradient().hessian();
    for line in std::io::stdin().lock().lines() {
        let mut seconds = Vec::new();
        for _ in 0..line?.trim().parse::<usize>()? {
            let start = Instant::now();
            black_box(network.evaluate(black_box(&x), &request)?);
            seconds.push(start.elapsed().as_secs_f64());
        }
        let line = serde_json::to_string(&seconds)?;
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
