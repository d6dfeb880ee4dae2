//! Graphs: the computation of a network, as nodes of a few kinds.
//!
//! A node holds a row of numbers for each sample; the first node holds the points. Every node is affine, pointwise or
//! bilinear in the nodes before it:
//!
//! | kind | value | curved |
//! |---|---|---|
//! | [`Kind::Affine`] | `u = sum_p c_p P_p u_p + s`, with `P_p` moving blocks of features | |
//! | [`Kind::Largest`] | `u = max z` in each group, whose derivative is that of the entry | |
//! | [`Kind::Frozen`] | `u = z`, whose derivative is taken to be zero | |
//! | [`Kind::Pointwise`] | `u = act(z)` | yes |
//! | [`Kind::Times`] | `u = a . b`, entry by entry | yes |
//! | [`Kind::Product`] | `u = a b`, products of matrices | yes |
//!
//! A weight is a node that does not depend on the points; so is any node made of weights alone. The product of a node
//! with a matrix of weights is a [`Kind::Product`] that is linear in the points. Nodes that do not depend on the points
//! are computed once for each set of weights.
mod draw;
#[cfg_attr(not(feature = "files"), expect(dead_code, reason = "what the operators of ONNX alone use"))]
mod pieces;
#[cfg(feature = "files")]
mod simplify;
mod spec;
mod trace;
mod var;

pub use spec::{GraphSpec, NodeSpec, TermSpec, WeightSpec};
pub(crate) use trace::described;
pub use var::Var;
#[cfg(feature = "files")]
pub(crate) use var::broadcast;

use crate::schedule::{Block, Id, Op, Place, Triples};
use crate::{Activation, Error, Real};
use std::sync::Arc;

/// The place of a node in its graph.
pub(crate) type NodeId = usize;

/// One parent of an affine node: `c` times its features, in their places or moved by blocks.
#[derive(Clone, Debug)]
pub(crate) struct Term<F> {
    pub of: NodeId,
    pub c: F,
    pub blocks: Option<Arc<[Block]>>,
}

/// What a node computes from its parents.
#[derive(Clone, Debug)]
pub(crate) enum Kind<F> {
    /// The point.
    Input,
    /// The flat vector of weights from `theta` on.
    Weight { theta: usize },
    /// Numbers that are not trained.
    Constant(Arc<[F]>),
    /// The sum of its terms, and `shift` at every entry.
    Affine { terms: Vec<Term<F>>, shift: F },
    /// The largest entry of each group of `len` entries that are `inner` apart.
    Largest { of: NodeId, len: usize, inner: usize },
    /// The entries, as numbers that do not move.
    Frozen { of: NodeId },
    /// An activation, entry by entry.
    Pointwise { of: NodeId, act: Activation },
    /// A product, entry by entry.
    Times { a: NodeId, b: NodeId },
    /// Products of matrices.
    Product { a: NodeId, b: NodeId, form: Form },
}

impl<F> Kind<F> {
    /// The nodes that this one is made of.
    pub fn parents(&self) -> Vec<NodeId> {
        match self {
            Kind::Input | Kind::Weight { .. } | Kind::Constant(_) => vec![],
            Kind::Affine { terms, .. } => terms.iter().map(|t| t.of).collect(),
            Kind::Largest { of, .. } | Kind::Frozen { of } | Kind::Pointwise { of, .. } => vec![*of],
            Kind::Times { a, b } | Kind::Product { a, b, .. } => vec![*a, *b],
        }
    }
}

impl<F: Real> Kind<F> {
    /// Whether another node computes the same from the same parents.
    fn same(&self, other: &Self) -> bool {
        let bits = |x: &F| x.as_f64().to_bits();
        let term = |(a, b): (&Term<F>, &Term<F>)| a.of == b.of && bits(&a.c) == bits(&b.c) && a.blocks == b.blocks;
        match (self, other) {
            (Kind::Input, Kind::Input) => true,
            (Kind::Weight { theta: a }, Kind::Weight { theta: b }) => a == b,
            (Kind::Constant(a), Kind::Constant(b)) => a.iter().map(bits).eq(b.iter().map(bits)),
            (Kind::Affine { terms: a, shift: s }, Kind::Affine { terms: b, shift: t }) => {
                bits(s) == bits(t) && a.len() == b.len() && a.iter().zip(b).all(term)
            }
            (Kind::Largest { of, len, inner }, Kind::Largest { of: b, len: l, inner: i }) => {
                (of, len, inner) == (b, l, i)
            }
            (Kind::Frozen { of }, Kind::Frozen { of: b }) => of == b,
            (Kind::Pointwise { of, act }, Kind::Pointwise { of: b, act: other }) => of == b && act.same(other),
            (Kind::Times { a, b }, Kind::Times { a: c, b: d }) => (a, b) == (c, d),
            (Kind::Product { a, b, form }, Kind::Product { a: c, b: d, form: other }) => (a, b, form) == (c, d, other),
            _ => false,
        }
    }
}

/// `dims[0]` products of matrices in C order: `a b` of (dims 1, dims 2) and (dims 2, dims 3), or `a b^T` of
/// (dims 1, dims 3) and (dims 2, dims 3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Form {
    pub dims: [usize; 4],
    pub transposed: bool,
}

impl Form {
    /// `a b`.
    pub fn plain(dims: [usize; 4]) -> Self {
        Self { dims, transposed: false }
    }

    /// The product, of rows of the factors.
    pub fn product<F>(&self, a: Id, b: Id, rows: Triples<F>) -> Op<F> {
        let place = if self.transposed { Place::A } else { Place::Y };
        Op::Product { place, a, b, dims: self.dims, rows }
    }

    /// Its adjoint `g` to the first factor.
    pub fn adjoint_a<F>(&self, g: Id, b: Id, rows: Triples<F>) -> Op<F> {
        let place = if self.transposed { Place::Y } else { Place::A };
        Op::Product { place, a: g, b, dims: self.dims, rows }
    }

    /// Its adjoint `g` to the second factor; rows of `a` and of `g`, in this order.
    pub fn adjoint_b<F: Copy>(&self, a: Id, g: Id, rows: Triples<F>) -> Op<F> {
        if self.transposed {
            let swap = |t: &crate::schedule::Triple<F>| crate::schedule::Triple { a: t.b, b: t.a, ..*t };
            let rows = rows.map(|rows| rows.iter().map(swap).collect());
            return Op::Product { place: Place::B, a: g, b: a, dims: self.dims, rows };
        }
        Op::Product { place: Place::B, a, b: g, dims: self.dims, rows }
    }
}

/// A node: `n` numbers for each sample, or once for all samples unless it `varies` with the points.
#[derive(Clone, Debug)]
pub(crate) struct Node<F> {
    pub kind: Kind<F>,
    pub n: usize,
    pub varies: bool,
}

/// The computation of a network: nodes in an order in which parents come before their children.
///
/// The forward pass of a layer, [`Layer::forward_pass`](crate::Layer::forward_pass), on a [`Var`] builds it.
#[derive(Clone, Debug)]
pub struct Graph<F> {
    pub(crate) nodes: Vec<Node<F>>,
    pub(crate) input: NodeId,
    pub(crate) output: NodeId,
}

impl<F: Real> Graph<F> {
    /// Number of features of the points.
    pub(crate) fn dim_input(&self) -> usize {
        self.nodes[self.input].n
    }

    /// Number of features of the output.
    pub(crate) fn dim_output(&self) -> usize {
        self.nodes[self.output].n
    }

    /// Whether each node is needed for the output.
    pub(crate) fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        needed[self.output] = true;
        for i in (0..self.nodes.len()).rev() {
            if needed[i] {
                self.nodes[i].kind.parents().into_iter().for_each(|p| needed[p] = true);
            }
        }
        needed
    }

    /// The same graph with its output times the columns of `u` (m, q).
    pub(crate) fn along_outputs(mut self, u: &[F], q: usize) -> Self {
        let m = self.dim_output();
        let varies = self.nodes[self.output].varies;
        self.nodes.push(Node { kind: Kind::Constant(u.into()), n: m * q, varies: false });
        let b = self.nodes.len() - 1;
        let kind = Kind::Product { a: self.output, b, form: Form::plain([1, 1, m, q]) };
        self.nodes.push(Node { kind, n: q, varies });
        self.output = b + 1;
        self
    }

    /// Whether another graph is this one, number by number.
    pub(crate) fn same(&self, other: &Self) -> bool {
        (self.input, self.output, self.nodes.len()) == (other.input, other.output, other.nodes.len())
            && self.nodes.iter().zip(&other.nodes).all(|(a, b)| a.n == b.n && a.kind.same(&b.kind))
    }

    /// An error for activations whose settings make no sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.nodes.iter().try_for_each(|node| match &node.kind {
            Kind::Pointwise { act, .. } => act.check(),
            _ => Ok(()),
        })
    }
}
