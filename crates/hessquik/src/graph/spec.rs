//! Graphs as data: how model files store networks defined by their forward pass, and how other programs write them.
use super::trace::Tracer;
use super::{Form, Graph, Kind, Node, NodeId, Term};
use crate::schedule::Block;
use crate::{Activation, ActivationSpec, Error, Real};
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A graph as stored in JSON: `{"type": "graph", "weights": [..], "nodes": [..], "output": 5}`.
///
/// Nodes are numbered from 0, and the operands of a node come before it. Node 0 is the point.
///
/// ```
/// use hessquik::{Architecture, Evaluate, Init, Network};
/// // tanh(x K) . x
/// let json = r#"{"type": "graph", "inputs": 2, "weights": [{"name": "K", "shape": [2, 2]}], "output": 4, "nodes": [
///     {"op": "input"}, {"op": "weight", "weight": 0},
///     {"op": "product", "a": 0, "b": 1, "dims": [1, 1, 2, 2]},
///     {"op": "act", "of": 2, "act": {"type": "tanh"}}, {"op": "times", "a": 3, "b": 0}]}"#;
/// let network: Network<f64> = Architecture::from_json(json)?.build(&mut Init::seed(0))?;
/// assert_eq!(network.value(&ndarray::Array2::ones((3, 2)))?.dim(), (3, 2));
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// Number of features of the points.
    pub inputs: usize,
    /// The weights, in the order of the flat vector.
    #[serde(default)]
    pub weights: Vec<WeightSpec>,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// The node that is the output.
    pub output: usize,
}

/// A weight of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightSpec {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A term of an affine node: `c` times the features of node `of`, or times the blocks `[from, to, len]` of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermSpec {
    /// The node.
    pub of: usize,
    /// The factor.
    #[serde(default = "one")]
    pub c: f64,
    /// Features `from .. from + len` go to `to .. to + len`; without blocks all features stay in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<[usize; 3]>>,
}

/// A node of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NodeSpec {
    /// The point.
    Input {},
    /// The weight at this position in the list, flattened in C order.
    Weight {
        /// Its position.
        weight: usize,
    },
    /// Numbers that are not trained.
    Constant {
        /// The numbers.
        values: Vec<f64>,
    },
    /// The sum of the terms, with `n` features, plus `shift` at each feature.
    Affine {
        /// Number of features.
        n: usize,
        /// The terms.
        terms: Vec<TermSpec>,
        /// The constant added to every feature.
        #[serde(default)]
        shift: f64,
    },
    /// The largest feature of each group of `len` features that are `inner` apart.
    Largest {
        /// The node.
        of: usize,
        /// Number of features in a group.
        len: usize,
        /// Distance between the features of a group.
        #[serde(default = "unit")]
        inner: usize,
    },
    /// The features as constants, with derivatives taken to be zero.
    Frozen {
        /// The node.
        of: usize,
    },
    /// An activation, entry by entry.
    Act {
        /// The node.
        of: usize,
        /// The activation.
        act: ActivationSpec,
    },
    /// A product, entry by entry.
    Times {
        /// The first factor.
        a: usize,
        /// The second factor.
        b: usize,
    },
    /// `g` products of matrices (r, s) and (s, t) for `dims` `[g, r, s, t]`, in C order.
    Product {
        /// The first factors.
        a: usize,
        /// The second factors.
        b: usize,
        /// `[g, r, s, t]`.
        dims: [usize; 4],
        /// Whether the product is `a b^T` instead, of (r, t) and (s, t).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        transposed: bool,
    },
}

fn one() -> f64 {
    1.0
}
fn unit() -> usize {
    1
}

/// Entries of a node, and blocks of a term, at most: beyond it a file is broken, or meant to be.
const MOST: usize = 1 << 31;

fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MOST)
}

impl GraphSpec {
    /// The number of features of each node.
    ///
    /// # Errors
    /// [`Error::Architecture`] naming the first invalid node.
    pub fn sizes(&self) -> Result<Vec<usize>, Error> {
        for (i, weight) in self.weights.iter().enumerate() {
            if product(&weight.shape).is_none_or(|n| n == 0) {
                return Err(Error::Architecture(format!(
                    "graph: weight {:?} has shape {:?}, expected lengths of at least 1 that fit in memory",
                    weight.name, weight.shape
                )));
            }
            if self.weights[..i].iter().any(|w| w.name == weight.name) {
                return Err(Error::Architecture(format!("graph: two weights are named {:?}", weight.name)));
            }
        }
        let mut sizes: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let n = self
                .size(node, &sizes)
                .map_err(|message| Error::Architecture(format!("graph: node {i}: {message}")))?;
            sizes.push(n);
        }
        if self.output >= sizes.len() {
            let message = format!("graph: the output is node {}, of {} nodes", self.output, sizes.len());
            return Err(Error::Architecture(message));
        }
        if !matches!(self.nodes.first(), Some(NodeSpec::Input {})) || self.inputs == 0 {
            return Err(Error::Architecture("graph: node 0 is not the input, or it has no features".into()));
        }
        if self.nodes[1..].iter().any(|n| matches!(n, NodeSpec::Input {})) {
            return Err(Error::Architecture("graph: only node 0 may be the input".into()));
        }
        Ok(sizes)
    }

    fn size(&self, node: &NodeSpec, sizes: &[usize]) -> Result<usize, String> {
        let of = |id: usize| match sizes.get(id) {
            Some(&n) => Ok(n),
            None => Err(format!("operand {id} does not come before this node")),
        };
        match node {
            NodeSpec::Input {} => Ok(self.inputs),
            NodeSpec::Weight { weight } => match self.weights.get(*weight) {
                Some(w) => Ok(w.shape.iter().product()),
                None => Err(format!("weight {weight} of {} weights", self.weights.len())),
            },
            NodeSpec::Constant { values } if values.is_empty() => Err("a constant without entries".into()),
            NodeSpec::Constant { values } => Ok(values.len()),
            NodeSpec::Affine { n, terms, shift } => {
                if *n == 0 || *n > MOST || !shift.is_finite() {
                    return Err(format!("n is {n} and shift {shift}, expected at least 1 and a finite number"));
                }
                for term in terms {
                    let from = of(term.of)?;
                    if !term.c.is_finite() {
                        return Err(format!("c is {}, expected a finite number", term.c));
                    }
                    let fits = |&[f, t, len]: &[usize; 3]| {
                        f.checked_add(len).is_some_and(|e| e <= from) && t.checked_add(len).is_some_and(|e| e <= *n)
                    };
                    match &term.blocks {
                        None if from != *n => return Err(format!("operand {} has {from} features, not {n}", term.of)),
                        Some(blocks) => {
                            if let Some(wrong) = blocks.iter().find(|b| !fits(b)) {
                                return Err(format!(
                                    "block {wrong:?} leaves {from} features of operand {} or {n}",
                                    term.of
                                ));
                            }
                        }
                        None => {}
                    }
                }
                Ok(*n)
            }
            NodeSpec::Frozen { of: id } => of(*id),
            NodeSpec::Largest { of: id, len, inner } => {
                let n = of(*id)?;
                match len.checked_mul(*inner) {
                    Some(group) if group > 0 && n % group == 0 => Ok(n / len),
                    _ => Err(format!("groups of {len} features, {inner} apart, of {n}")),
                }
            }
            NodeSpec::Act { of: id, act } => {
                Activation::from(*act).check().map_err(|e| e.to_string())?;
                of(*id)
            }
            NodeSpec::Times { a, b } => {
                let (a, b) = (of(*a)?, of(*b)?);
                if a == b { Ok(a) } else { Err(format!("factors of {a} and {b} features")) }
            }
            NodeSpec::Product { a, b, dims: [g, r, s, t], transposed } => {
                let (found_a, found_b) = (of(*a)?, of(*b)?);
                let (left, out) = if *transposed { ([*g, *r, *t], [*g, *r, *s]) } else { ([*g, *r, *s], [*g, *r, *t]) };
                match (product(&left), product(&[*g, *s, *t]), product(&out)) {
                    (Some(left), Some(right), Some(out)) if (left, right) == (found_a, found_b) && out > 0 => Ok(out),
                    _ => Err(format!("factors of {found_a} and {found_b} features for dims {:?}", [g, r, s, t])),
                }
            }
        }
    }
}

impl<F: Real> Graph<F> {
    /// The graph as data, with the names and shapes of these weights, those of the layer whose graph it is; `None` where an
    /// activation is the user's own.
    pub(crate) fn describe(&self, weights: Vec<(String, &ArrayD<F>)>) -> Option<GraphSpec> {
        let mut start = 0;
        let mut starts = Vec::new();
        let weights: Vec<WeightSpec> = weights
            .into_iter()
            .map(|(name, w)| {
                starts.push(start);
                start += w.len();
                WeightSpec { name, shape: w.shape().to_vec() }
            })
            .collect();
        let blocks = |blocks: &Option<Arc<[Block]>>| {
            blocks.as_ref().map(|blocks| blocks.iter().map(|b| [b.from, b.to, b.len]).collect())
        };
        let of = |node: &Node<F>| -> Option<NodeSpec> {
            Some(match &node.kind {
                Kind::Input => NodeSpec::Input {},
                Kind::Weight { theta } => NodeSpec::Weight { weight: starts.binary_search(theta).ok()? },
                Kind::Constant(values) => NodeSpec::Constant { values: values.iter().map(|v| v.as_f64()).collect() },
                Kind::Affine { terms, shift } => NodeSpec::Affine {
                    n: node.n,
                    terms: terms
                        .iter()
                        .map(|t| TermSpec { of: t.of, c: t.c.as_f64(), blocks: blocks(&t.blocks) })
                        .collect(),
                    shift: shift.as_f64(),
                },
                Kind::Largest { of, len, inner } => NodeSpec::Largest { of: *of, len: *len, inner: *inner },
                Kind::Frozen { of } => NodeSpec::Frozen { of: *of },
                Kind::Pointwise { of, act } => NodeSpec::Act { of: *of, act: act.describe()? },
                Kind::Times { a, b } => NodeSpec::Times { a: *a, b: *b },
                Kind::Product { a, b, form } => {
                    NodeSpec::Product { a: *a, b: *b, dims: form.dims, transposed: form.transposed }
                }
            })
        };
        let nodes = self.nodes.iter().map(of).collect::<Option<_>>()?;
        Some(GraphSpec { inputs: self.dim_input(), weights, nodes, output: self.output })
    }
}

/// Writes the nodes of a checked graph after those that are there, at the point `input`: the node of the output.
pub(super) fn replay<F: Real>(spec: &GraphSpec, sizes: &[usize], tracer: &mut Tracer<F>, input: NodeId) -> NodeId {
    let mut ids: Vec<NodeId> = Vec::with_capacity(spec.nodes.len());
    for (node, &n) in spec.nodes.iter().zip(sizes) {
        let kind = match node {
            NodeSpec::Input {} => {
                ids.push(input);
                continue;
            }
            NodeSpec::Weight { weight } => {
                // an unknown name is noted as an error, and any node will do then
                ids.push(tracer.weight(&spec.weights[*weight].name).map_or(input, |(id, _)| id));
                continue;
            }
            NodeSpec::Constant { values } => Kind::Constant(values.iter().map(|&v| F::of(v)).collect()),
            NodeSpec::Affine { terms, shift, .. } => {
                let block = |b: &[usize; 3]| Block { from: b[0], to: b[1], len: b[2] };
                let term = |t: &TermSpec| Term {
                    of: ids[t.of],
                    c: F::of(t.c),
                    blocks: t.blocks.as_ref().map(|blocks| blocks.iter().map(block).collect()),
                };
                Kind::Affine { terms: terms.iter().map(term).collect(), shift: F::of(*shift) }
            }
            NodeSpec::Largest { of, len, inner } => Kind::Largest { of: ids[*of], len: *len, inner: *inner },
            NodeSpec::Frozen { of } => Kind::Frozen { of: ids[*of] },
            NodeSpec::Act { of, act } => Kind::Pointwise { of: ids[*of], act: Activation::from(*act) },
            NodeSpec::Times { a, b } => Kind::Times { a: ids[*a], b: ids[*b] },
            NodeSpec::Product { a, b, dims, transposed } => {
                Kind::Product { a: ids[*a], b: ids[*b], form: Form { dims: *dims, transposed: *transposed } }
            }
        };
        ids.push(tracer.push(kind, n));
    }
    ids[spec.output]
}
