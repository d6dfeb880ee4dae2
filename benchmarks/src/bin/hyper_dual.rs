//! The worker for `num-dual`; run by `run.py`.
use hessquik_benchmarks::{HyperDualCase, Kind, Points, serve};

fn main() {
    serve(|load| {
        let kind = Kind::parse(load.kind)?;
        Ok(match load.dtype {
            "f32" => Box::new(HyperDualCase::<f32>::new(Points::load(load.file)?, kind)?),
            _ => Box::new(HyperDualCase::<f64>::new(Points::load(load.file)?, kind)?),
        })
    });
}
