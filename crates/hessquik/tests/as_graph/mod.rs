//! Networks of layers as graphs.
use hessquik::{Layer, Network, Real, Var};
use ndarray::ArrayD;

/// A network whose forward pass is that of another one.
#[derive(Clone, Debug)]
pub struct AsGraph<F: Real>(pub Network<F>);

impl<F: Real> Layer<F> for AsGraph<F> {
    fn name(&self) -> String {
        "graph".into()
    }
    fn dim_input(&self) -> usize {
        self.0.dim_input()
    }
    fn dim_output(&self) -> usize {
        self.0.dim_output()
    }
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        self.0.weights()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        self.0.weights_mut()
    }
    fn forward_pass(&self, u: Var<F>) -> Var<F> {
        u.apply("", &self.0)
    }
}
