//! Graphs as text, and for Graphviz.
use super::{Graph, GraphSpec, NodeSpec};
use crate::{Activation, Error, Layer, Real};
use std::fmt;

impl GraphSpec {
    /// The graph of a layer or network, whatever kind its layers are.
    ///
    /// ```
    /// use hessquik::{Activation, GraphSpec, Init, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let graph = GraphSpec::of(&network)?;
    /// assert_eq!(graph.weights.len(), 4);
    /// println!("{graph}");
    /// assert!(graph.to_dot().starts_with("digraph"));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Architecture`] for a user-defined activation, and [`Error::Layer`] for a smooth map: neither has a
    /// description.
    pub fn of<F: Real, L: Layer<F> + ?Sized>(layer: &L) -> Result<Self, Error> {
        Graph::of(layer)?.describe(layer.weights()).ok_or_else(|| {
            Error::Architecture(format!(
                "layer {} has a user-defined activation, which has no description",
                layer.name()
            ))
        })
    }

    /// The graph in Graphviz's DOT language, for `dot -Tsvg`. The number after a name is its number of features; an
    /// edge is labelled with the factor of its term, unless that is 1.
    pub fn to_dot(&self) -> String {
        let mut out = String::from("digraph {\n  node [shape=box, fontname=\"sans-serif\"]\n");
        let sizes = self.sizes().unwrap_or_else(|_| vec![0; self.nodes.len()]);
        for (i, (node, n)) in self.nodes.iter().zip(sizes).enumerate() {
            let label = match node {
                NodeSpec::Weight { weight } => self.weight(*weight),
                node => format!("{}, {n}", what(node)),
            };
            let shape = match node {
                NodeSpec::Weight { .. } | NodeSpec::Constant { .. } => ", shape=ellipse",
                _ if i == self.output => ", peripheries=2",
                _ => "",
            };
            out += &format!("  {i} [label=\"{}\"{shape}]\n", label.replace('\\', "\\\\").replace('"', "\\\""));
            for (of, c) in parents(node) {
                let label = if c == 1.0 { String::new() } else { format!(" [label=\"{c}\"]") };
                out += &format!("  {of} -> {i}{label}\n");
            }
        }
        out + "}\n"
    }

    fn weight(&self, at: usize) -> String {
        self.weights.get(at).map_or_else(|| format!("weight {at}"), |w| format!("{} {:?}", w.name, w.shape))
    }
}

/// What a node does, in a word.
fn what(node: &NodeSpec) -> String {
    match node {
        NodeSpec::Input {} => "x".into(),
        NodeSpec::Weight { .. } => "weight".into(),
        NodeSpec::Constant { .. } => "constant".into(),
        NodeSpec::Affine { terms, .. } if terms.len() == 1 => "affine".into(),
        NodeSpec::Affine { .. } => "sum".into(),
        NodeSpec::Largest { .. } => "largest".into(),
        NodeSpec::Frozen { .. } => "frozen".into(),
        NodeSpec::Act { act, .. } => Activation::from(*act).name().to_string(),
        NodeSpec::Times { .. } => "times".into(),
        NodeSpec::Product { .. } => "product".into(),
    }
}

/// The nodes that one is made of, with their factors.
fn parents(node: &NodeSpec) -> Vec<(usize, f64)> {
    match node {
        NodeSpec::Input {} | NodeSpec::Weight { .. } | NodeSpec::Constant { .. } => vec![],
        NodeSpec::Affine { terms, .. } => terms.iter().map(|t| (t.of, t.c)).collect(),
        NodeSpec::Largest { of, .. } | NodeSpec::Frozen { of } | NodeSpec::Act { of, .. } => vec![(*of, 1.0)],
        NodeSpec::Times { a, b } | NodeSpec::Product { a, b, .. } => vec![(*a, 1.0), (*b, 1.0)],
    }
}

impl fmt::Display for GraphSpec {
    /// A line for each node: its number, its features, and its formula.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.sizes().unwrap_or_else(|_| vec![0; self.nodes.len()]);
        let (first, second) =
            (self.nodes.len().to_string().len() + 1, sizes.iter().max().unwrap_or(&0).to_string().len());
        for (i, (node, n)) in self.nodes.iter().zip(sizes).enumerate() {
            let formula = match node {
                NodeSpec::Input {} => "the point".into(),
                NodeSpec::Weight { weight } => self.weight(*weight),
                NodeSpec::Constant { .. } => "constant".into(),
                NodeSpec::Affine { terms, shift, .. } => {
                    let term = |t: &super::TermSpec| {
                        let factor = if t.c == 1.0 { String::new() } else { format!("{} ", t.c) };
                        let part = if t.blocks.is_some() { " in part" } else { "" };
                        format!("{factor}%{}{part}", t.of)
                    };
                    let shift = (*shift != 0.0).then(|| shift.to_string());
                    let all: Vec<String> = terms.iter().map(term).chain(shift).collect();
                    if all.is_empty() { "0".into() } else { all.join(" + ") }
                }
                NodeSpec::Largest { of, len, .. } => format!("the largest of each {len} of %{of}"),
                NodeSpec::Frozen { of } => format!("%{of} as a constant"),
                NodeSpec::Act { of, .. } => format!("{}(%{of})", what(node)),
                NodeSpec::Times { a, b } => format!("%{a} . %{b}"),
                NodeSpec::Product { a, b, dims: [g, r, s, t], transposed } => {
                    let transposed = if *transposed { "^T" } else { "" };
                    let many = if *g == 1 { String::new() } else { format!("{g} times ") };
                    format!("%{a} %{b}{transposed}: {many}({r}, {s}) ({s}, {t})")
                }
            };
            let output = if i == self.output { ", the result" } else { "" };
            write!(f, "{}{:<first$} {n:>second$}  {formula}{output}", if i == 0 { "" } else { "\n" }, format!("%{i}"))?;
        }
        Ok(())
    }
}
