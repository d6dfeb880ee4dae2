//! Networks as text: their size, and one line per layer.
use crate::{Layer, Network, Parts, Real};
use serde::Serialize;
use std::fmt;

/// One layer of a network, as [`Network::summary`] lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerSummary {
    /// Position in the nested networks: `1.0`.
    pub position: String,
    /// The kind of layer.
    pub layer: String,
    /// The name of the activation; `None` if the layer does not have a choice of activation.
    pub activation: Option<String>,
    /// Number of input features.
    pub dim_input: usize,
    /// Number of output features.
    pub dim_output: usize,
    /// Its weights.
    pub weights: Vec<WeightSummary>,
}

/// One weight of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightSummary {
    /// Its name within the layer.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl<F: Real> Network<F> {
    /// The layers with their dimensions and weights; nested networks are flattened.
    ///
    /// ```
    /// use hessquik::{Activation, Init, resnet};
    /// let summary = resnet::<f64>(4, 2, 1.0, Activation::Tanh, &mut Init::seed(0))?.summary();
    /// assert_eq!((summary.len(), summary[1].position.as_str(), summary[1].layer.as_str()), (2, "1", "resnet"));
    /// assert_eq!(summary[1].weights[0].shape, [4, 4]);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn summary(&self) -> Vec<LayerSummary> {
        let mut rows = Vec::new();
        collect(self.layers(), "", &mut rows);
        rows
    }
}

/// The size of the network and one line per layer; `hessquik info` prints the same.
impl<F: Real> fmt::Debug for Network<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, m) = (count(self.dim_input(), "input"), count(self.dim_output(), "output"));
        writeln!(f, "{d}, {m}, {} ({})\n", count(self.n_weights(), "weight"), F::NAME)?;
        writeln!(f, "{:8} {:14} {:10} {:>6} {:>6}  weights", "layer", "", "activation", "in", "out")?;
        for LayerSummary { position, layer, activation, dim_input, dim_output, weights } in self.summary() {
            let activation = activation.as_deref().unwrap_or("-");
            let weights: Vec<_> = weights.iter().map(|w| format!("{} {:?}", w.name, w.shape)).collect();
            let weights = weights.join("  ");
            writeln!(f, "{position:8} {layer:14} {activation:10} {dim_input:>6} {dim_output:>6}  {weights}")?;
        }
        Ok(())
    }
}

/// `1 input`, `2 inputs`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn collect<F: Real>(layers: &[Box<dyn Layer<F>>], prefix: &str, rows: &mut Vec<LayerSummary>) {
    for (i, layer) in layers.iter().enumerate() {
        let position = format!("{prefix}{i}");
        let parts = layer.parts();
        if let Parts::Chain(inner) = parts {
            collect(inner, &format!("{position}."), rows);
            continue;
        }
        let activation = match (layer.architecture(), parts) {
            (Some(architecture), _) => architecture.activation().map(|act| act.name().to_string()),
            (None, Parts::Form(form)) => Some(form.act.name().to_string()),
            _ => None,
        };
        let weights = layer.weights().into_iter();
        rows.push(LayerSummary {
            position,
            layer: layer.name(),
            activation,
            dim_input: layer.dim_input(),
            dim_output: layer.dim_output(),
            weights: weights.map(|(name, w)| WeightSummary { name, shape: w.shape().to_vec() }).collect(),
        });
    }
}
