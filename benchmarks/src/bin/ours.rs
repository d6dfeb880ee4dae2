//! The worker for hessquik; run by `run.py`.
use hessquik_benchmarks::{Kind, OursCase, Points, serve};

fn main() {
    serve(|load| {
        let kind = Kind::parse(load.kind)?;
        Ok(match load.dtype {
            "f32" => Box::new(OursCase::<f32>::new(Points::load(load.file)?, kind)?),
            _ => Box::new(OursCase::<f64>::new(Points::load(load.file)?, kind)?),
        })
    });
}
