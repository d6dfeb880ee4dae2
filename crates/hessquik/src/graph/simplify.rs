//! Graphs with fewer nodes that compute the same: moves of moves as one, equal nodes once, and nothing that the output
//! does not need.
use super::pieces::runs;
use super::{Graph, Kind, Node, NodeId, Term};
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
                terms.iter_mut().for_each(|term| *term = through(term.clone(), node.n, &made));
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

/// A term past nodes that only move entries, or multiply all of them by one number.
fn through<F: Real>(mut term: Term<F>, n: usize, nodes: &[Node<F>]) -> Term<F> {
    const NOWHERE: usize = usize::MAX;
    while let Kind::Affine { terms, shift } = &nodes[term.of].kind {
        let [inner] = &terms[..] else { break };
        if *shift != F::zero() {
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
