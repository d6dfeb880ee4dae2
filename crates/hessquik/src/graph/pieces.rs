//! What readers of foreign graphs need of variables: entries put together from places of others, weights that are
//! declared as they are met, and numbers of nodes that depend on constants alone.
use super::trace::{Shared, Tracer};
use super::{Block, Graph, Kind, Node, NodeId, Term, Var};
use crate::Real;
use ndarray::{ArrayView2, ArrayViewMut2};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Runs of `from[j] -> to[j]` that go up together.
pub(super) fn runs(pairs: impl Iterator<Item = (usize, usize)>) -> Arc<[Block]> {
    let mut blocks: Vec<Block> = Vec::new();
    for (from, to) in pairs {
        match blocks.last_mut() {
            Some(b) if b.from + b.len == from && b.to + b.len == to => b.len += 1,
            _ => blocks.push(Block { from, to, len: 1 }),
        }
    }
    blocks.into()
}

impl<F: Real> Var<F> {
    /// A point of `d` features, outside of any layer.
    pub(crate) fn point(d: usize) -> Self {
        let shared: Shared<F> = Rc::new(RefCell::new(Tracer::new()));
        let id = shared.borrow_mut().push(Kind::Input, d);
        Self::new(shared, id, vec![d])
    }

    /// The graph that ends here; its other variables must be gone.
    pub(crate) fn into_graph(self) -> Graph<F> {
        let nodes = std::mem::take(&mut self.tracer().borrow_mut().nodes);
        Graph { nodes, input: 0, output: self.id() }
    }

    /// What went wrong since the last call.
    pub(crate) fn fault(&self) -> Option<String> {
        let message = self.tracer().borrow_mut().error.take()?;
        // without the line of this library, where nobody can change anything
        Some(message.split(" (at ").next().unwrap_or_default().to_string())
    }

    /// Entries at these places, one after another, in a shape of as many.
    pub(crate) fn picked(&self, places: impl IntoIterator<Item = usize>, shape: Vec<usize>) -> Self {
        let blocks = runs(places.into_iter().enumerate().map(|(to, from)| (from, to)));
        self.moved(blocks, shape)
    }

    /// Zeros to which entries of `parts` are added: each part goes from places of its own to places of the result.
    pub(crate) fn assembled<I: IntoIterator<Item = (usize, usize)>>(
        &self,
        shape: Vec<usize>,
        parts: impl IntoIterator<Item = (Self, I)>,
    ) -> Self {
        let term = |(of, pairs): (Self, I)| Term { of: of.id(), c: F::one(), blocks: Some(runs(pairs.into_iter())) };
        self.push(Kind::Affine { terms: parts.into_iter().map(term).collect(), shift: F::zero() }, shape)
    }

    /// The weight that starts at this place of the flat vector.
    pub(crate) fn declared(&self, theta: usize, shape: Vec<usize>) -> Self {
        self.push(Kind::Weight { theta }, shape)
    }

    /// The number of nodes so far.
    pub(crate) fn mark(&self) -> usize {
        self.tracer().borrow().nodes.len()
    }

    /// Entries of all nodes from `mark` on.
    pub(crate) fn entries_since(&self, mark: usize) -> usize {
        self.tracer().borrow().nodes[mark..].iter().fold(0, |n, node| n.saturating_add(node.n))
    }

    /// Forgets the nodes from `mark` on.
    pub(crate) fn rewind(&self, mark: usize) {
        self.tracer().borrow_mut().nodes.truncate(mark);
    }

    /// The numbers of this variable, which is made of constants after `mark` alone.
    pub(crate) fn folded(&self, mark: usize) -> Vec<F> {
        let tracer = self.tracer();
        let nodes = &tracer.borrow().nodes;
        let mut values: Vec<Vec<F>> = Vec::with_capacity(nodes.len() - mark);
        for node in &nodes[mark..=self.id()] {
            let value = value(node, |id| &values[id - mark]);
            values.push(value);
        }
        values.pop().unwrap_or_default()
    }
}

/// The numbers of a node, from those of its parents.
fn value<'a, F: Real>(node: &Node<F>, of: impl Fn(NodeId) -> &'a Vec<F>) -> Vec<F> {
    match &node.kind {
        Kind::Constant(values) => values.to_vec(),
        Kind::Input | Kind::Weight { .. } => unreachable!("only constants are folded"),
        Kind::Affine { terms, shift } => {
            let mut out = vec![*shift; node.n];
            for term in terms {
                let from = of(term.of);
                let whole = [Block { from: 0, to: 0, len: node.n }];
                for b in term.blocks.as_deref().unwrap_or(&whole) {
                    let entries = from[b.from..b.from + b.len].iter();
                    out[b.to..b.to + b.len].iter_mut().zip(entries).for_each(|(o, &v)| *o += term.c * v);
                }
            }
            out
        }
        Kind::Largest { of: id, len, inner } => {
            let from = of(*id);
            let group = |i: usize| {
                let first = i / inner * len * inner + i % inner;
                (1..*len).map(|j| from[first + j * inner]).fold(from[first], |a, b| if b > a { b } else { a })
            };
            (0..node.n).map(group).collect()
        }
        Kind::Frozen { of: id } => of(*id).clone(),
        Kind::Pointwise { of: id, act } => of(*id).iter().map(|&z| act.jet(z)[0]).collect(),
        Kind::Times { a, b } => of(*a).iter().zip(of(*b)).map(|(&a, &b)| a * b).collect(),
        Kind::Product { a, b, form } => {
            let [groups, rows, middle, cols] = form.dims;
            let (middle, cols) = if form.transposed { (cols, middle) } else { (middle, cols) };
            let mut out = vec![F::zero(); node.n];
            for g in 0..groups {
                let a = &of(*a)[g * rows * middle..(g + 1) * rows * middle];
                let b = &of(*b)[g * middle * cols..(g + 1) * middle * cols];
                let a = ArrayView2::from_shape((rows, middle), a).expect("the shape");
                let b = match form.transposed {
                    true => ArrayView2::from_shape((cols, middle), b).expect("the shape").reversed_axes(),
                    false => ArrayView2::from_shape((middle, cols), b).expect("the shape"),
                };
                let out = &mut out[g * rows * cols..(g + 1) * rows * cols];
                ArrayViewMut2::from_shape((rows, cols), out).expect("the shape").assign(&a.dot(&b));
            }
            out
        }
    }
}
