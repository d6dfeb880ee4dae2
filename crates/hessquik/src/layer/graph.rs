//! A layer whose forward pass is a graph, from a model file or another program.
use super::{Init, Layer, Weights};
use crate::architecture::Architecture;
use crate::graph::{GraphSpec, Var};
use crate::{Error, Real};
use ndarray::ArrayD;
use std::sync::Arc;

/// A layer whose forward pass is data, a [`GraphSpec`].
///
/// ```
/// use hessquik::{GraphLayer, GraphSpec, Init, Layer};
/// let spec: GraphSpec = serde_json::from_str(r#"{"inputs": 3, "output": 1, "nodes": [
///     {"op": "input"}, {"op": "times", "a": 0, "b": 0}]}"#).unwrap();
/// let squares = GraphLayer::<f64>::new(spec, &mut Init::seed(0))?;
/// assert_eq!(squares.dim_output(), 3);
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphLayer<F> {
    spec: Arc<GraphSpec>,
    sizes: Arc<[usize]>,
    weights: Weights<F>,
}

impl<F: Real> GraphLayer<F> {
    /// The layer of a graph, with weights uniform in +-1/sqrt(length of their first axis).
    ///
    /// # Errors
    /// [`Error::Architecture`] naming the first invalid node.
    pub fn new(spec: GraphSpec, init: &mut Init) -> Result<Self, Error> {
        let sizes = spec.sizes()?;
        let mut weights = Weights::new();
        for w in &spec.weights {
            let bound = 1.0 / (w.shape.first().copied().unwrap_or(1) as f64).sqrt();
            weights = weights.with(&w.name, init.uniform::<F, _, _>(&w.shape[..], -bound, bound));
        }
        Ok(Self { spec: Arc::new(spec), sizes: sizes.into(), weights })
    }

    /// The graph.
    pub fn spec(&self) -> &GraphSpec {
        &self.spec
    }
}

impl<F: Real> Layer<F> for GraphLayer<F> {
    fn name(&self) -> String {
        "graph".into()
    }
    fn dim_input(&self) -> usize {
        self.spec.inputs
    }
    fn dim_output(&self) -> usize {
        self.sizes[self.spec.output]
    }
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        self.weights.list()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        self.weights.list_mut()
    }
    fn settled(&self) -> bool {
        true
    }
    fn forward_pass(&self, u: Var<F>) -> Var<F> {
        u.replay(&self.spec, &self.sizes)
    }
    fn architecture(&self) -> Option<Architecture> {
        Some(Architecture::Graph((*self.spec).clone()))
    }
}
