//! A physics-informed network: Poisson's equation on the square, its loss and the gradient of the loss in one pass.
//!
//! Find u with `u_xx + u_yy = -2 pi^2 sin(pi x) sin(pi y)` and u = 0 on the boundary, which the factor
//! `x (1 - x) y (1 - y)` would build in; here the boundary enters by a penalty, as in most papers.
//! Trained by L-BFGS of the crate argmin: the library computes losses and gradients, any optimiser takes them.
use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
use hessquik::{Activation, Error, Evaluate, Init, JetMut, JetView, Network, Request, Single, fully_connected};
use ndarray::{Array1, Array2, ArrayView1};
use std::cell::RefCell;
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

/// The problem, as argmin wants it: the loss as a function of the weights, and its gradient.
struct Poisson {
    network: RefCell<Network<f64>>,
    inside: Array2<f64>,
    edge: Array2<f64>,
    /// The weights of the last call with their loss and gradient, which one pass computes together.
    last: RefCell<(Vec<f64>, f64, Vec<f64>)>,
}

impl Poisson {
    fn at(&self, theta: &[f64]) -> Result<(f64, Vec<f64>), argmin::core::Error> {
        let mut last = self.last.borrow_mut();
        if last.0 != theta {
            let mut network = self.network.borrow_mut();
            network.set_flat_weights(ArrayView1::from(theta))?;
            let (loss, gradient) = loss_gradient(&network, &self.inside, &self.edge)?;
            *last = (theta.to_vec(), loss, gradient.to_vec());
        }
        Ok((last.1, last.2.clone()))
    }
}

impl CostFunction for Poisson {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, theta: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        Ok(self.at(theta)?.0)
    }
}

impl Gradient for Poisson {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, theta: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(self.at(theta)?.1)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
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

    let start = network.flat_weights().to_vec();
    let problem = Poisson { network: RefCell::new(network.clone()), inside, edge, last: RefCell::default() };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 20);
    let run = Executor::new(problem, solver).configure(|state| state.param(start).max_iters(400)).run()?;
    let state = run.state();
    println!("{} iterations of L-BFGS   loss {:.3e}", state.get_iter(), state.get_best_cost());
    let theta = state.get_best_param().ok_or("L-BFGS found no weights")?;
    network.set_flat_weights(ArrayView1::from(theta))?;

    let grid = Array2::from_shape_fn((441, 2), |(s, a)| (if a == 0 { s / 21 } else { s % 21 }) as f64 / 20.0);
    let truth = grid.map_axis(ndarray::Axis(1), |p| exact(p[0], p[1]));
    let value = network.value(&grid)?;
    let error = (&value.column(0) - &truth).mapv(|e| e * e).sum().sqrt() / truth.mapv(|e| e * e).sum().sqrt();
    println!("relative error of u on a 21 x 21 grid: {error:.2e}");
    assert!(error < 0.02);
    Ok(())
}
