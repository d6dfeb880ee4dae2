//! A physics-informed network: Poisson's equation on the square, its loss and the gradient of the loss in one pass.
//!
//! Find u with `u_xx + u_yy = -2 pi^2 sin(pi x) sin(pi y)` and u = 0 on the boundary, which the factor
//! `x (1 - x) y (1 - y)` would build in; here the boundary enters by a penalty, as in most papers.
use hessquik::{Activation, Error, Evaluate, Init, JetMut, JetView, Network, Request, Single, fully_connected};
use ndarray::{Array1, Array2};
use std::f64::consts::PI;

fn exact(x: f64, y: f64) -> f64 {
    (PI * x).sin() * (PI * y).sin()
}

/// Mean square of `residual(point, jet)` over the points, filling the cotangents of the fields it depends on.
fn loss_gradient(
    network: &Network<f64>,
    inside: &Array2<f64>,
    edge: &Array2<f64>,
) -> Result<(f64, Array1<f64>), Error> {
    let n = inside.nrows() as f64;
    let poisson = |points: std::ops::Range<usize>, jet: &JetView<f64>, bar: &mut JetMut<f64>| {
        let (laplacian, bar) = (jet.laplacian.as_ref().unwrap(), bar.laplacian.as_mut().unwrap());
        let mut loss = 0.0;
        for (i, s) in points.enumerate() {
            let residual = laplacian[[i, 0]] + 2.0 * PI * PI * exact(inside[[s, 0]], inside[[s, 1]]);
            bar[[i, 0]] = residual / n;
            loss += 0.5 * residual * residual / n;
        }
        loss
    };
    let (a, inner) = network.loss_gradients(inside, &Request::new().laplacian(), poisson)?;
    let weight = 100.0 / edge.nrows() as f64;
    let boundary = |_: std::ops::Range<usize>, jet: &JetView<f64>, bar: &mut JetMut<f64>| {
        let value = jet.value.as_ref().unwrap();
        bar.value.as_mut().unwrap().assign(&(value * weight));
        0.5 * weight * value.iter().map(|u| u * u).sum::<f64>()
    };
    let (b, outer) = network.loss_gradients(edge, &Request::new().value(), boundary)?;
    Ok((a + b, inner.weights + outer.weights))
}

fn main() -> Result<(), Error> {
    let init = &mut Init::seed(1);
    let mut network = Network::new(vec![
        Box::new(fully_connected::<f64>(&[2, 24, 24, 24], Activation::Tanh, init)?),
        Box::new(Single::new(24, 1, Activation::Identity, init)),
    ])?;
    let inside: Array2<f64> = Init::seed(2).uniform((400, 2), 0.0, 1.0);
    let mut edge: Array2<f64> = Init::seed(3).uniform((160, 2), 0.0, 1.0);
    for (s, mut point) in edge.rows_mut().into_iter().enumerate() {
        point[s % 2] = ((s / 2) % 2) as f64;
    }

    // Adam, written out: the library computes gradients, an optimiser is a few lines or another crate
    let mut theta = network.flat_weights();
    let (mut m, mut v) = (Array1::<f64>::zeros(theta.len()), Array1::<f64>::zeros(theta.len()));
    let steps = 2000;
    for step in 1..=steps {
        let (loss, gradient) = loss_gradient(&network, &inside, &edge)?;
        m = m * 0.9 + &gradient * 0.1;
        v = v * 0.999 + gradient.mapv(|g| g * g) * 0.001;
        let rate = 2e-2 * 0.5 * (1.0 + (PI * step as f64 / steps as f64).cos());
        let (a, b) = (1.0 - 0.9f64.powi(step), 1.0 - 0.999f64.powi(step));
        theta = theta - (&m / a) / ((&v / b).mapv(f64::sqrt) + 1e-8) * rate;
        network.set_flat_weights(theta.view())?;
        if step % 250 == 0 {
            println!("step {step:>5}   loss {loss:.3e}");
        }
    }

    let grid = Array2::from_shape_fn((441, 2), |(s, a)| (if a == 0 { s / 21 } else { s % 21 }) as f64 / 20.0);
    let truth = grid.map_axis(ndarray::Axis(1), |p| exact(p[0], p[1]));
    let value = network.value(&grid)?;
    let error = (&value.column(0) - &truth).mapv(|e| e * e).sum().sqrt() / truth.mapv(|e| e * e).sum().sqrt();
    println!("relative error of u on a 21 x 21 grid: {error:.2e}");
    assert!(error < 0.02);
    Ok(())
}
