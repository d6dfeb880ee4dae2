//! A surrogate of the peaks function is trained on values and gradients, then minimised by trust regions: once with its
//! Hessian, once with Hessian-vector products alone. The argument is where the picture goes.
use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, State};
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use argmin_math::ArgminDot;
use hessquik::{Activation, Evaluate, Init, JetMut, JetView, Network, Request, Single, fully_connected, peaks};
use ndarray::{Array1, Array2, ArrayView2, array};
use plotters::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

type Paths = Vec<Vec<(f64, f64)>>;

fn point(p: &[f64]) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape((1, p.len()), p).expect("one row")
}

// ANCHOR: problem
/// What argmin asks a problem for; `products` says whether a Hessian is its numbers or its products with vectors.
struct Surrogate {
    network: Rc<Network<f64>>,
    products: bool,
    /// The points that were accepted.
    path: Rc<RefCell<Vec<(f64, f64)>>>,
}

impl CostFunction for Surrogate {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, p: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.network.value(&point(p))?[[0, 0]])
    }
}

impl Gradient for Surrogate {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, p: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.path.borrow_mut().push((p[0], p[1]));
        let (_, gradient) = self.network.gradient(&point(p))?;
        Ok(gradient.iter().copied().collect())
    }
}

impl Hessian for Surrogate {
    type Param = Vec<f64>;
    type Hessian = Curvature;
    fn hessian(&self, p: &Vec<f64>) -> Result<Curvature, Error> {
        if self.products {
            return Ok(Curvature::Products(self.network.clone(), p.clone()));
        }
        let (_, _, hessian) = self.network.hessian(&point(p))?;
        Ok(Curvature::Matrix(hessian.into_shape_with_order((p.len(), p.len()))?))
    }
}

/// All that a conjugate-gradient method wants of a Hessian: what it makes of a vector.
#[derive(Clone)]
enum Curvature {
    Matrix(Array2<f64>),
    Products(Rc<Network<f64>>, Vec<f64>),
}

impl ArgminDot<Vec<f64>, Vec<f64>> for Curvature {
    fn dot(&self, w: &Vec<f64>) -> Vec<f64> {
        match self {
            Self::Matrix(hessian) => hessian.dot(&Array1::from(w.clone())).to_vec(),
            Self::Products(network, at) => {
                let request = Request::new().products(point(w).to_owned());
                let jet = network.evaluate(&point(at), &request).expect("the request fits");
                jet.products.expect("asked for").iter().copied().collect()
            }
        }
    }
}
// ANCHOR_END: problem

// ANCHOR: train
/// A network trained on `n` values and gradients of the peaks function, by Adam.
fn train(n: usize, steps: i32) -> Result<Network<f64>, hessquik::Error> {
    let init = &mut Init::seed(1);
    let mut network = Network::new(vec![
        Box::new(fully_connected::<f64>(&[2, 32, 32], Activation::Tanh, init)?),
        Box::new(Single::new(32, 1, Activation::Identity, init)),
    ])?;
    let x: Array2<f64> = Init::seed(2).uniform((n, 2), -3.0, 3.0);
    let request = Request::new().value().gradient();
    let truth = peaks(&x, &request)?;
    let (f, df) = (truth.value.unwrap(), truth.gradient.unwrap());
    let loss = |points: std::ops::Range<usize>, jet: &JetView<f64>, bar: &mut JetMut<f64>| {
        let (value, gradient) = (jet.value.as_ref().unwrap(), jet.gradient.as_ref().unwrap());
        let r = value - &f.slice(ndarray::s![points.clone(), ..]);
        let s = gradient - &df.slice(ndarray::s![points, .., ..]);
        bar.value.as_mut().unwrap().assign(&(&r / n as f64));
        bar.gradient.as_mut().unwrap().assign(&(&s / n as f64));
        0.5 * (r.iter().map(|r| r * r).sum::<f64>() + s.iter().map(|s| s * s).sum::<f64>()) / n as f64
    };
    let mut theta = network.flat_weights();
    let (mut m, mut v) = (Array1::<f64>::zeros(theta.len()), Array1::<f64>::zeros(theta.len()));
    for step in 1..=steps {
        let (_, gradients) = network.loss_gradients(&x, &request, loss)?;
        let g = gradients.weights;
        m = m * 0.9 + &g * 0.1;
        v = v * 0.999 + g.mapv(|g| g * g) * 0.001;
        let rate = 1e-2 * 0.5 * (1.0 + (std::f64::consts::PI * f64::from(step) / f64::from(steps)).cos());
        let (a, b) = (1.0 - 0.9f64.powi(step), 1.0 - 0.999f64.powi(step));
        theta = theta - (&m / a) / ((&v / b).mapv(f64::sqrt) + 1e-8) * rate;
        network.set_flat_weights(theta.view())?;
    }
    Ok(network)
}
// ANCHOR_END: train

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let picture = std::env::args().nth(1).unwrap_or_else(|| "surrogate.svg".into());
    let network = Rc::new(train(400, 3000)?);
    let test: Array2<f64> = Init::seed(3).uniform((1000, 2), -3.0, 3.0);
    let difference = network.value(&test)? - peaks(&test, &Request::new().value())?.value.unwrap();
    println!("root mean square error of the surrogate ~{:.3}", difference.mapv(|e| e * e).mean().unwrap_or(0.0).sqrt());

    let starts = [[-0.5, -0.2], [1.5, -1.5], [-1.0, -2.4], [0.3, 0.6]];
    let mut paths: Paths = Vec::new();
    for start in starts {
        let mut ends = Vec::new();
        for products in [false, true] {
            let path = Rc::new(RefCell::new(Vec::new()));
            // ANCHOR: solve
            let problem = Surrogate { network: network.clone(), products, path: path.clone() };
            let solver = TrustRegion::new(Steihaug::new()).with_radius(0.5)?.with_max_radius(1.0)?;
            let result =
                Executor::new(problem, solver).configure(|state| state.param(start.to_vec()).max_iters(25)).run()?;
            // ANCHOR_END: solve
            ends.push(result.state().get_best_param().expect("there is one").clone());
            if products {
                paths.push(path.borrow().clone());
            }
        }
        let difference = ends[0].iter().zip(&ends[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(difference < 1e-8, "Hessians and their products lead to points {difference:e} apart");
        let (value, gradient, hessian) = network.hessian(&point(&ends[1]))?;
        let size = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let (a, b, c) = (hessian[[0, 0, 0, 0]], hessian[[0, 0, 1, 0]], hessian[[0, 1, 1, 0]]);
        assert!(size < 1e-7 && a > 0.0 && a * c > b * b, "no minimum: gradient {size:e}");
        println!(
            "from ({:.1}, {:.1}) to ({:.2}, {:.2}), value {:.2}",
            start[0],
            start[1],
            ends[1][0],
            ends[1][1],
            value[[0, 0]]
        );
    }
    let truth = peaks(&array![[0.2283, -1.6255]], &Request::new().value())?.value.unwrap();
    println!("the least value of peaks itself {:.2}", truth[[0, 0]]);
    draw(&picture, &network, &paths)
}

/// Bands of the surrogate's value, and the paths.
fn draw(picture: &str, network: &Network<f64>, paths: &Paths) -> Result<(), Box<dyn std::error::Error>> {
    const CELLS: usize = 72;
    let root = SVGBackend::new(picture, (480, 460)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(30)
        .build_cartesian_2d(-3.0..3.0, -3.0..3.0)?;
    chart.configure_mesh().disable_mesh().x_labels(7).y_labels(7).draw()?;
    let at = |i: usize| -3.0 + 6.0 * i as f64 / CELLS as f64;
    let centres = Array2::from_shape_fn((CELLS * CELLS, 2), |(s, a)| {
        at(if a == 0 { s % CELLS } else { s / CELLS }) + 3.0 / CELLS as f64
    });
    let value = network.value(&centres)?;
    let band = |s: usize| ((value[[s, 0]] + 7.0) / 1.25).clamp(0.0, 11.0).floor();
    for row in 0..CELLS {
        // neighbours of one band are one rectangle
        let mut from = 0;
        for i in 1..=CELLS {
            if i < CELLS && band(row * CELLS + i) == band(row * CELLS + from) {
                continue;
            }
            let shade = band(row * CELLS + from) / 11.0;
            let colour = HSLColor(0.58 - 0.5 * shade, 0.45, 0.52 + 0.36 * shade).filled();
            chart.draw_series([Rectangle::new([(at(from), at(row)), (at(i), at(row + 1))], colour)])?;
            from = i;
        }
    }
    for path in paths {
        chart.draw_series(LineSeries::new(path.clone(), BLACK.stroke_width(2)))?;
        chart.draw_series(path.iter().map(|&p| Circle::new(p, 3, BLACK.filled())))?;
        chart.draw_series(path.last().map(|&p| Circle::new(p, 6, RED.filled())))?;
    }
    root.present()?;
    Ok(())
}
