//! Graphs with fewer nodes that compute the same: moves of moves as one, equal nodes once, and nothing that the output
//! does not need.
use super::pieces::runs;
use super::{Block, Graph, Kind, Node, NodeId, Term};
use crate::Real;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

impl<F: Real> Graph<F> {
    /// A graph that computes the same, with as few nodes as these rules give.
    pub(crate) fn simplified(self) -> Self {
        let needed = self.needed();
        let Self { nodes, input, output } = self;
        let mut made: Vec<Node<F>> = Vec::with_capacity(nodes.len());
        let mut places: Vec<NodeId> = Vec::with_capacity(nodes.len());
        let mut seen: HashMap<u64, Vec<NodeId>> = HashMap::new();
        for (i, mut node) in nodes.into_iter().enumerate() {
            if !needed[i] && i != input {
                places.push(usize::MAX);
                continue;
            }
            rename(&mut node.kind, &places);
            if let Kind::Affine { terms, shift } = &mut node.kind {
                let alone = terms.len() == 1 && *shift == F::zero();
                terms.iter_mut().for_each(|term| *term = through(term.clone(), node.n, alone, &made));
                let whole = |t: &Term<F>| t.blocks.is_none() && t.c == F::one();
                if terms.len() == 1 && *shift == F::zero() && whole(&terms[0]) {
                    places.push(terms[0].of);
                    continue;
                }
            }
            let alike = seen.entry(likeness(&node)).or_default();
            let same = alike.iter().find(|&&id| made[id].n == node.n && made[id].kind.same(&node.kind));
            match same {
                Some(&id) => places.push(id),
                None => {
                    alike.push(made.len());
                    places.push(made.len());
                    made.push(node);
                }
            }
        }
        Self { nodes: made, input: places[input], output: places[output] }.pruned()
    }

    /// The same graph with the weights that it uses alone, of those with these `lengths`, and which these are.
    pub(crate) fn packed(mut self, lengths: &[usize]) -> (Self, Vec<usize>) {
        let mut used = Vec::new();
        let (mut old, mut new) = (0, 0);
        let mut moves: HashMap<usize, usize> = HashMap::new();
        let thetas: HashSet<usize> = self.nodes.iter().filter_map(theta).collect();
        for (i, len) in lengths.iter().enumerate() {
            if thetas.contains(&old) {
                used.push(i);
                moves.insert(old, new);
                new += len;
            }
            old += len;
        }
        for node in &mut self.nodes {
            if let Kind::Weight { theta } = &mut node.kind {
                *theta = moves[theta];
            }
        }
        (self, used)
    }

    /// The same graph without the nodes that its output does not need.
    fn pruned(self) -> Self {
        let needed = self.needed();
        let mut places: Vec<NodeId> = Vec::with_capacity(needed.len());
        let mut kept = 0;
        for (i, &needed) in needed.iter().enumerate() {
            places.push(kept);
            kept += usize::from(needed || i == self.input);
        }
        let (input, output) = (self.input, self.output);
        let nodes = self.nodes.into_iter().enumerate().filter(|(i, _)| needed[*i] || *i == input);
        let renamed = nodes.map(|(_, mut node)| {
            rename(&mut node.kind, &places);
            node
        });
        Self { nodes: renamed.collect(), input: places[input], output: places[output] }
    }
}

/// Where the weight of a node starts, if it is one.
fn theta<F>(node: &Node<F>) -> Option<usize> {
    match node.kind {
        Kind::Weight { theta } => Some(theta),
        _ => None,
    }
}

/// The parents of a node by their new numbers.
fn rename<F>(kind: &mut Kind<F>, places: &[NodeId]) {
    match kind {
        Kind::Input | Kind::Weight { .. } | Kind::Constant(_) => {}
        Kind::Affine { terms, .. } => terms.iter_mut().for_each(|t| t.of = places[t.of]),
        Kind::Largest { of, .. } | Kind::Frozen { of } | Kind::Pointwise { of, .. } => *of = places[*of],
        Kind::Times { a, b } | Kind::Product { a, b, .. } => (*a, *b) = (places[*a], places[*b]),
    }
}

/// A number that equal nodes have in common.
fn likeness<F: Real>(node: &Node<F>) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(&node.kind).hash(&mut hasher);
    (node.n, node.kind.parents()).hash(&mut hasher);
    if let Kind::Constant(values) = &node.kind {
        values.iter().take(64).for_each(|v| v.as_f64().to_bits().hash(&mut hasher));
    }
    hasher.finish()
}

/// Whether products with a number are not rounded: 1, 2, 4, .. or one over these, of either sign.
fn exact<F: Real>(c: F) -> bool {
    const FRACTION: u64 = (1 << (f64::MANTISSA_DIGITS - 1)) - 1;
    c.as_f64().is_normal() && c.as_f64().to_bits() & FRACTION == 0
}

/// Whether at most one entry goes to each of `n` places.
fn once(blocks: &[Block], n: usize) -> bool {
    let mut taken = vec![false; n];
    blocks.iter().flat_map(|b| b.to..b.to + b.len).all(|to| !std::mem::replace(&mut taken[to], true))
}

/// A term past nodes that only move entries, or multiply all of them by one number.
///
/// Unless it is `alone` in its sum, a product that is rounded stays a node: a sum multiplies and adds at once, so that
/// `0.9 x - 0.9 y` would not be 0 where `x` is `y`, and comparisons would find one of two equal numbers larger.
fn through<F: Real>(mut term: Term<F>, n: usize, alone: bool, nodes: &[Node<F>]) -> Term<F> {
    const NOWHERE: usize = usize::MAX;
    let alone = alone && term.blocks.as_ref().is_none_or(|blocks| once(blocks, n));
    while let Kind::Affine { terms, shift } = &nodes[term.of].kind {
        let [inner] = &terms[..] else { break };
        if *shift != F::zero() || !(alone || exact(inner.c)) {
            break;
        }
        let Some(blocks) = &inner.blocks else {
            term = Term { of: inner.of, c: term.c * inner.c, blocks: term.blocks };
            continue;
        };
        let mut came = vec![NOWHERE; nodes[term.of].n];
        let mut sum = false;
        for b in blocks.iter() {
            for j in 0..b.len {
                sum |= came[b.to + j] != NOWHERE;
                came[b.to + j] = b.from + j;
            }
        }
        if sum {
            break;
        }
        let moved: Arc<[_]> = match &term.blocks {
            None => runs(came.iter().enumerate().filter(|(_, f)| **f != NOWHERE).map(|(to, &from)| (from, to))),
            Some(blocks) => {
                let pairs = blocks.iter().flat_map(|b| (0..b.len).map(|j| (came[b.from + j], b.to + j)));
                runs(pairs.filter(|(from, _)| *from != NOWHERE))
            }
        };
        let whole = moved.len() == 1 && (moved[0].from, moved[0].to, moved[0].len) == (0, 0, n);
        let blocks = if whole && nodes[inner.of].n == n { None } else { Some(moved) };
        term = Term { of: inner.of, c: term.c * inner.c, blocks };
    }
    // as an affine node without a shift writes it
    match &term.blocks {
        Some(b) if b.len() == 1 && (b[0].from, b[0].to, b[0].len) == (0, 0, n) && nodes[term.of].n == n => {
            Term { blocks: None, ..term }
        }
        _ => term,
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{GraphSpec, NodeSpec, Var};
    use crate::layer::GraphLayer;
    use crate::{Evaluate, Init, Network};
    use ndarray::{Array2, array};

    /// The graph that ends here, simplified, as data.
    fn simple(y: Var<f64>) -> GraphSpec {
        y.into_graph().simplified().describe(vec![]).unwrap()
    }

    fn value(spec: GraphSpec, x: &Array2<f64>) -> Array2<f64> {
        let layer = GraphLayer::<f64>::new(spec, &mut Init::seed(0)).unwrap();
        Network::new(vec![Box::new(layer)]).unwrap().value(x).unwrap()
    }

    #[test]
    fn products_in_sums_are_rounded_as_they_were() {
        let x = array![[0.3, 0.7, -1.1], [1.7, 0.1, 1.7], [-0.2, 5.3, 0.9]];
        for c in [0.9, -0.7, 3.0, 2.0, 0.1] {
            let point = Var::<f64>::point(3);
            let scaled = &point * c;
            let difference = &scaled.select(0, &[0, 0, 0]) - &scaled;
            drop((point, scaled));
            let expected = Array2::from_shape_fn((3, 3), |(s, i)| c * x[[s, 0]] - c * x[[s, i]]);
            assert_eq!(value(simple(difference), &x), expected, "{c}");

            let point = Var::<f64>::point(3);
            let both = Var::concat(0, &[point.clone(), -&point]).reshape(&[2, 3]);
            let total = (&both * c).sum(0);
            drop((point, both));
            assert_eq!(value(simple(total), &x), Array2::<f64>::zeros((3, 3)), "{c}");
        }
    }

    #[test]
    fn products_that_lose_nothing_are_one_node_with_what_follows() {
        let point = Var::<f64>::point(3);
        let alone = &(&point.select(0, &[2, 0]) * 0.9) * 0.5;
        drop(point);
        let doubled = {
            let point = Var::<f64>::point(3);
            &(&point * 2.0) - &(&point.select(0, &[1, 1, 1]) * -0.25)
        };
        for (y, terms) in [(alone, 1), (doubled, 2)] {
            let nodes = simple(y).nodes;
            assert_eq!(nodes.len(), 2, "{nodes:?}");
            assert!(matches!(&nodes[1], NodeSpec::Affine { terms: found, .. } if found.len() == terms));
        }
    }
}
