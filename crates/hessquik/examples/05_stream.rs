//! Ten million points through a network in bounded memory: each chunk's jets go to a closure and are gone.
use hessquik::{Activation, Error, Evaluate, Init, Request, fully_connected};
use ndarray::Array2;
use std::time::Instant;

fn main() -> Result<(), Error> {
    let points: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let network = fully_connected::<f32>(&[2, 16, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    let x: Array2<f32> = Init::seed(1).uniform((points, 2), -3.0, 3.0);
    let request = Request::new().hessian();

    let (clock, mut convex) = (Instant::now(), 0usize);
    network.stream(&x, &request, |_, jet| {
        let hessian = jet.hessian.as_ref().expect("asked for");
        convex += hessian
            .outer_iter()
            .filter(|h| {
                let (a, b, c) = (h[[0, 0, 0]], h[[0, 1, 0]], h[[1, 1, 0]]);
                a > 0.0 && a * c > b * b
            })
            .count();
        Ok::<(), Error>(())
    })?;
    let seconds = clock.elapsed().as_secs_f64();
    println!("{points} Hessians in {seconds:.2} s; the network is convex at {convex} of the points");
    assert!(convex < points);
    Ok(())
}
