//! A layer of one's own: the gate of the "modified MLP" for physics-informed networks (Wang, Teng and Perdikaris,
//! *Understanding and mitigating gradient flow pathologies*, 2021), `h' = (1 - z) U + z V` with encoders U and V.
//!
//! Nothing is derived by hand. The gate is a product, and products are in the one form:
//! `z (V - U) = [(z + V - U)^2 - (z - V + U)^2] / 4`, so `M` makes the sum and the difference, the activation is
//! `z^2 / 2`, and `W` takes half of the one minus half of the other.
use hessquik::check::{Options, input_derivative_check, network_derivative_check};
use hessquik::{Activation, Error, Evaluate, Form, Init, Layer, Linear, Network, Parts, Single, Weights};
use ndarray::ArrayD;

/// State [z, U, V] to [(1 - z) U + z V, U, V].
#[derive(Clone, Debug)]
struct Gate {
    width: usize,
}

impl Layer<f64> for Gate {
    fn name(&self) -> String {
        "gate".into()
    }
    fn dim_input(&self) -> usize {
        3 * self.width
    }
    fn dim_output(&self) -> usize {
        3 * self.width
    }
    fn parts(&self) -> Parts<'_, f64> {
        let w = self.width;
        let (z, u, v) = (0, w, 2 * w);
        let sum = Linear::zero().copy(z, 0, w, 1.0).copy(v, 0, w, 1.0).copy(u, 0, w, -1.0);
        let both = sum.copy(z, w, w, 1.0).copy(v, w, w, -1.0).copy(u, w, w, 1.0);
        Parts::Form(
            Form::new(3 * w, 2 * w, 3 * w)
                .m(both)
                .act(Activation::Quadratic)
                .w(Linear::zero().copy(0, 0, w, 0.5).copy(w, 0, w, -0.5))
                .s(Linear::zero().copy(u, 0, w, 1.0).copy(u, u, 2 * w, 1.0)),
        )
    }
}

/// State [h, U, V] to [act(h K + b), U, V].
#[derive(Clone, Debug)]
struct Hidden {
    width: usize,
    weights: Weights<f64>,
}

impl Hidden {
    fn new(width: usize, init: &mut Init) -> Self {
        let weights = Weights::new().with("K", init.kaiming_uniform(width, width, 5.0));
        Self { width, weights: weights.with("b", init.uniform(width, -0.1, 0.1)) }
    }
}

impl Layer<f64> for Hidden {
    fn name(&self) -> String {
        "hidden".into()
    }
    fn dim_input(&self) -> usize {
        3 * self.width
    }
    fn dim_output(&self) -> usize {
        3 * self.width
    }
    fn weights(&self) -> Vec<(String, &ArrayD<f64>)> {
        self.weights.list()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<f64>)> {
        self.weights.list_mut()
    }
    fn parts(&self) -> Parts<'_, f64> {
        let w = self.width;
        Parts::Form(
            Form::new(3 * w, w, 3 * w)
                .m(Linear::zero().weight("K", 0, 0))
                .b("b")
                .act(Activation::Tanh)
                .w(Linear::zero().copy(0, 0, w, 1.0))
                .s(Linear::zero().copy(w, w, 2 * w, 1.0)),
        )
    }
}

fn main() -> Result<(), Error> {
    let (width, init) = (12, &mut Init::seed(0));
    let network = Network::new(vec![
        Box::new(Single::new(2, 3 * width, Activation::Tanh, init)), // h, U and V at once
        Box::new(Hidden::new(width, init)),
        Box::new(Gate { width }),
        Box::new(Hidden::new(width, init)),
        Box::new(Gate { width }),
        Box::new(Single::new(3 * width, 1, Activation::Identity, init)),
    ])?;
    let x = Init::seed(1).uniform((20, 2), -1.0, 1.0);

    let check = input_derivative_check(&network, &x, &Options { hessian: true, ..Default::default() })?;
    println!("{check}");
    let weights = network_derivative_check(&network, &x, &Options { hessian: true, ..Default::default() })?;
    println!("{weights}");
    assert!(check.gradient && check.hessian == Some(true) && weights.gradient);

    let (_, _, laplacian) = network.laplacian(&x)?;
    println!("Laplacian at the first points: {:.6}", laplacian.slice(ndarray::s![..4, 0]));
    Ok(())
}
