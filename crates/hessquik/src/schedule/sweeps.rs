//! The sweeps over a graph: values, tangents, Taylor coefficients, adjoints, and what curved nodes add to second and higher
//! derivatives. Each line is a rule of one kind of node.
//!
//! Taylor coefficients along a direction `v` are those of `u(x + t v) = sum_j c_j t^j`; tangents are `c_1`.
use super::build::{List, backwards, moved, scaled, scaled_times, times, times_rows};
use super::step::{DotPlace, Id, Op, PickPlace, Source, Triple, Triples};
use crate::graph::{Graph, Kind, NodeId};
use crate::{Activation, Real};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A graph, and the list of steps that computes with it.
#[derive(Clone, Debug)]
pub(crate) struct Sweeps<'g, F> {
    pub graph: &'g Graph<F>,
    pub list: List<F>,
    /// Whether squares of tangents are avoided.
    pub careful: bool,
    needed: Vec<bool>,
    /// The value of each node.
    pub u: Vec<Id>,
    /// Derivatives of activations, by node and order from 1 on.
    acts: Vec<Vec<Id>>,
}

/// Rows of each node, where they are not zero.
pub(crate) type RowsOf = Vec<Option<Id>>;

impl<'g, F: Real> Sweeps<'g, F> {
    /// The values of all nodes that the output needs.
    pub fn values(graph: &'g Graph<F>) -> Self {
        let needed = graph.needed();
        let mut sweeps = Self { graph, list: List::default(), careful: false, needed, u: Vec::new(), acts: Vec::new() };
        for (i, node) in graph.nodes.iter().enumerate() {
            let (n, list, u) = (node.n, &mut sweeps.list, &sweeps.u);
            // points are there even if nothing depends on them
            let id = if !sweeps.needed[i] && !matches!(node.kind, Kind::Input) {
                usize::MAX
            } else {
                match &node.kind {
                    Kind::Input => list.source(n, 1, Source::Points),
                    Kind::Weight { theta } => list.source(n, 1, Source::Weight(*theta)),
                    Kind::Constant(numbers) => list.source(n, 1, Source::Literal(numbers.clone())),
                    Kind::Affine { terms, shift } => {
                        let terms = terms.iter().map(|t| moved(u[t.of], t.c, t.blocks.clone()));
                        let add = (*shift != F::zero()).then_some(Op::Add { s: *shift });
                        // a literal of zeros where there is no term at all
                        let terms: Vec<_> = terms.chain(add).collect();
                        let zeros = || Source::Literal(vec![F::zero(); n].into());
                        list.sum(n, 1, terms).unwrap_or_else(|| list.source(n, 1, zeros()))
                    }
                    Kind::Largest { of, len, inner } => {
                        list.one(n, 1, Op::Pick { place: PickPlace::Y, x: u[*of], z: u[*of], len: *len, inner: *inner })
                    }
                    Kind::Frozen { of } => list.one(n, 1, Op::Frozen { x: u[*of] }),
                    Kind::Pointwise { of, act } => list.one(n, 1, Op::Act { z: u[*of], act: act.clone(), order: 0 }),
                    Kind::Times { a, b } => list.one(n, 1, times(u[*a], u[*b])),
                    Kind::Product { a, b, form } => list.one(n, 1, form.product(u[*a], u[*b], None)),
                }
            };
            sweeps.u.push(id);
            sweeps.acts.push(Vec::new());
        }
        sweeps
    }

    /// The derivative of this order of a pointwise node.
    fn act(&mut self, node: NodeId, order: usize) -> Id {
        let Kind::Pointwise { of, act } = &self.graph.nodes[node].kind else { unreachable!("a pointwise node") };
        // the exponential is its own derivative
        if order == 0 || matches!(act, Activation::Exp) {
            return self.u[node];
        }
        let n = self.graph.nodes[node].n;
        while self.acts[node].len() < order {
            let order = self.acts[node].len() + 1;
            let mut constant = |c: f64| self.list.source(n, 1, Source::Literal(vec![F::of(c); n].into()));
            // what does not depend on the point is computed once for all
            let id = match (act, order) {
                (Activation::Quadratic, 1) => self.u[*of],
                (Activation::Quadratic, 2) => constant(1.0),
                (Activation::Square, 2) => constant(2.0),
                (Activation::Quadratic | Activation::Square, 3..) => constant(0.0),
                _ => self.list.one(n, 1, Op::Act { z: self.u[*of], act: act.clone(), order }),
            };
            self.acts[node].push(id);
        }
        self.acts[node][order - 1]
    }

    /// The second derivative of a pointwise node.
    pub fn second_derivative(&mut self, node: NodeId) -> Id {
        self.act(node, 2)
    }

    /// Rows of the parents of a node, carried through it as tangents are.
    fn through(&mut self, node: NodeId, rows: &RowsOf) -> Vec<Op<F>> {
        let graph = self.graph;
        let at = |p: NodeId| rows.get(p).copied().flatten();
        let u = |p: NodeId| self.u[p];
        match &graph.nodes[node].kind {
            Kind::Input | Kind::Weight { .. } | Kind::Constant(_) | Kind::Frozen { .. } => vec![],
            Kind::Affine { terms, .. } => {
                terms.iter().filter_map(|t| Some(moved(at(t.of)?, t.c, t.blocks.clone()))).collect()
            }
            Kind::Largest { of, len, inner } => {
                let pick = |x| Op::Pick { place: PickPlace::Y, x, z: u(*of), len: *len, inner: *inner };
                at(*of).map(pick).into_iter().collect()
            }
            Kind::Pointwise { of, .. } => match at(*of) {
                Some(t) => vec![times(t, self.act(node, 1))],
                None => vec![],
            },
            Kind::Times { a, b } => {
                let left = at(*a).map(|t| times(t, u(*b)));
                left.into_iter().chain(at(*b).map(|t| times(u(*a), t))).collect()
            }
            Kind::Product { a, b, form } => {
                let left = at(*a).map(|t| form.product(t, u(*b), None));
                left.into_iter().chain(at(*b).map(|t| form.product(u(*a), t, None))).collect()
            }
        }
    }

    /// Tangents of all nodes that start with these rows (d, k).
    pub fn tangents(&mut self, start: Id) -> RowsOf {
        let k = self.list.buffers[start].rows;
        let mut t: RowsOf = Vec::new();
        for i in 0..self.graph.nodes.len() {
            let rows = match self.graph.nodes[i].kind {
                _ if !self.varies(i) => None,
                Kind::Input => Some(start),
                _ => {
                    let terms = self.through(i, &t);
                    self.list.sum(self.graph.nodes[i].n, k, terms)
                }
            };
            t.push(rows);
        }
        t
    }

    fn varies(&self, node: NodeId) -> bool {
        self.needed[node] && self.graph.nodes[node].varies
    }

    /// Adjoints of all nodes that depend on the points, from those of the output (m, q); `more` are added to them, as
    /// [`products`](Self::products) does.
    fn sweep_back(
        &mut self,
        end: Option<Id>,
        q: usize,
        mut more: impl FnMut(&mut Self, NodeId) -> Vec<(NodeId, Op<F>)>,
    ) -> RowsOf {
        let graph = self.graph;
        let count = graph.nodes.len();
        let mut terms: Vec<Vec<Op<F>>> = vec![Vec::new(); count];
        let mut g: RowsOf = vec![None; count];
        for i in (0..count).rev() {
            if !self.varies(i) {
                continue;
            }
            let mut own = std::mem::take(&mut terms[i]);
            if i == graph.output {
                own.extend(end.map(|end| scaled(end, F::one())));
            }
            g[i] = self.list.sum(graph.nodes[i].n, q, own);
            for (p, op) in more(self, i) {
                terms[p].push(op);
            }
            let Some(gi) = g[i] else { continue };
            let u = |p: NodeId| self.u[p];
            let mut to = |p: NodeId, op: Op<F>| terms[p].push(op);
            let varies = |p: NodeId| graph.nodes[p].varies;
            match &graph.nodes[i].kind {
                Kind::Input | Kind::Weight { .. } | Kind::Constant(_) | Kind::Frozen { .. } => {}
                Kind::Affine { terms, .. } => {
                    terms.iter().filter(|t| varies(t.of)).for_each(|t| to(t.of, moved(gi, t.c, backwards(&t.blocks))));
                }
                Kind::Largest { of, len, inner } => {
                    to(*of, Op::Pick { place: PickPlace::X, x: gi, z: u(*of), len: *len, inner: *inner });
                }
                Kind::Pointwise { of, .. } => {
                    let d = self.act(i, 1);
                    to(*of, times(gi, d));
                }
                Kind::Times { a, b } => {
                    if varies(*a) {
                        to(*a, times(gi, u(*b)));
                    }
                    if varies(*b) {
                        to(*b, times(u(*a), gi));
                    }
                }
                Kind::Product { a, b, form } => {
                    if varies(*a) {
                        to(*a, form.adjoint_a(gi, u(*b), None));
                    }
                    if varies(*b) {
                        to(*b, form.adjoint_b(u(*a), gi, None));
                    }
                }
            }
        }
        g
    }

    /// Adjoints of all nodes that depend on the points, from those of the output (m, q).
    pub fn adjoints(&mut self, end: Id) -> RowsOf {
        let q = self.list.buffers[end].rows;
        self.sweep_back(Some(end), q, |_, _| vec![])
    }

    /// Derivatives of the adjoints `g` along the tangents `t`: row `b * q + r` is that of adjoint `r` along tangent `b`.
    /// At the input these are products of the Hessian with the directions.
    pub fn products(&mut self, g: &RowsOf, t: &RowsOf) -> RowsOf {
        let graph = self.graph;
        let rows =
            |of: &RowsOf, list: &List<F>| of.iter().flatten().map(|&id| list.buffers[id].rows).max().unwrap_or(0);
        let (q, k) = (rows(g, &self.list), rows(t, &self.list));
        let pairs: Vec<(usize, usize)> = (0..k).flat_map(|b| (0..q).map(move |r| (b, r))).collect();
        let one = F::one();
        // (y, adjoint, tangent) and (y, tangent, adjoint)
        let by_adjoint: Arc<[_]> = pairs.iter().map(|&(b, r)| Triple { y: b * q + r, a: r, b, c: one }).collect();
        let by_tangent: Arc<[_]> = pairs.iter().map(|&(b, r)| Triple { y: b * q + r, a: b, b: r, c: one }).collect();
        self.sweep_back(None, k * q, |this, i| {
            let Some(gi) = g[i] else { return vec![] };
            match &graph.nodes[i].kind {
                Kind::Pointwise { of, .. } => match t[*of] {
                    Some(tz) => {
                        let second = this.act(i, 2);
                        let c = this.list.one(graph.nodes[i].n, q, times(gi, second));
                        vec![(*of, times_rows(c, tz, Some(by_adjoint.clone())))]
                    }
                    None => vec![],
                },
                Kind::Times { a, b } => {
                    let mut out = vec![];
                    if let (Some(tb), true) = (t[*b], graph.nodes[*a].varies) {
                        out.push((*a, times_rows(gi, tb, Some(by_adjoint.clone()))));
                    }
                    if let (Some(ta), true) = (t[*a], graph.nodes[*b].varies) {
                        out.push((*b, times_rows(ta, gi, Some(by_tangent.clone()))));
                    }
                    out
                }
                Kind::Product { a, b, form } => {
                    let mut out = vec![];
                    if let (Some(tb), true) = (t[*b], graph.nodes[*a].varies) {
                        out.push((*a, form.adjoint_a(gi, tb, Some(by_adjoint.clone()))));
                    }
                    if let (Some(ta), true) = (t[*a], graph.nodes[*b].varies) {
                        out.push((*b, form.adjoint_b(ta, gi, Some(by_tangent.clone()))));
                    }
                    out
                }
                _ => vec![],
            }
        })
    }

    /// What a curved node adds to second derivatives along pairs of tangents `t`: row `y` is the sum over its triples of
    /// `c` times the second derivative along `(a, b)`; `rows` of them.
    pub fn second(&mut self, node: NodeId, t: &RowsOf, rows: usize, pairs: &Arc<[Triple<F>]>) -> Option<Id> {
        let graph = self.graph;
        let n = graph.nodes[node].n;
        let swapped = || -> Triples<F> { Some(pairs.iter().map(|p| Triple { a: p.b, b: p.a, ..*p }).collect()) };
        let same = || -> Triples<F> { Some(pairs.clone()) };
        match &graph.nodes[node].kind {
            Kind::Pointwise { of, .. } => {
                let tz = t[*of]?;
                let second = self.act(node, 2);
                if self.careful {
                    let k = self.list.buffers[tz].rows;
                    let curved = self.list.one(n, k, times(tz, second));
                    return Some(self.list.one(n, rows, times_rows(curved, tz, same())));
                }
                let squares = self.list.one(n, rows, times_rows(tz, tz, same()));
                Some(self.list.one(n, rows, times(squares, second)))
            }
            Kind::Times { a, b } => {
                let (ta, tb) = (t[*a]?, t[*b]?);
                self.list.sum(n, rows, vec![times_rows(ta, tb, same()), times_rows(ta, tb, swapped())])
            }
            Kind::Product { a, b, form } => {
                let (ta, tb) = (t[*a]?, t[*b]?);
                let term = |rows| form.product(ta, tb, rows);
                self.list.sum(n, rows, vec![term(same()), term(swapped())])
            }
            _ => None,
        }
    }

    /// `sum_ab B[a, b] d2/da db` of what a curved node adds, in one row; `mix` is `B` as a shared buffer of k * k
    /// features.
    pub fn second_by(&mut self, node: NodeId, t: &RowsOf, mix: Id) -> Option<Id> {
        let graph = self.graph;
        let n = graph.nodes[node].n;
        let mixed = |list: &mut List<F>, x: Id| {
            let b = &list.buffers[x];
            let (n, k) = (b.n, b.rows);
            list.one(n, k, Op::Dot { place: DotPlace::T, a: mix, b: x })
        };
        match &graph.nodes[node].kind {
            Kind::Pointwise { of, .. } => {
                let tz = t[*of]?;
                let right = mixed(&mut self.list, tz);
                let second = self.act(node, 2);
                if self.careful {
                    let k = self.list.buffers[tz].rows;
                    let curved = self.list.one(n, k, times(right, second));
                    return Some(self.list.one(n, 1, times(curved, tz)));
                }
                let squares = self.list.one(n, 1, times(right, tz));
                Some(self.list.one(n, 1, times(squares, second)))
            }
            Kind::Times { a, b } => {
                let (ta, tb) = (t[*a]?, t[*b]?);
                let right = mixed(&mut self.list, ta);
                Some(self.list.one(n, 1, scaled_times(right, tb, F::of(2.0))))
            }
            Kind::Product { a, b, form } => {
                let (ta, tb) = (t[*a]?, t[*b]?);
                let right = mixed(&mut self.list, ta);
                let k = self.list.buffers[ta].rows;
                let two: Triples<F> = Some((0..k).map(|e| Triple { y: 0, a: e, b: e, c: F::of(2.0) }).collect());
                Some(self.list.one(n, 1, form.product(right, tb, two)))
            }
            _ => None,
        }
    }

    /// Rows carried forward through all nodes, with what curved nodes `add` on the way.
    pub fn carry(&mut self, rows: usize, mut add: impl FnMut(&mut Self, NodeId) -> Option<Id>) -> RowsOf {
        let mut h: RowsOf = Vec::new();
        for i in 0..self.graph.nodes.len() {
            let carried = if self.varies(i) {
                let mut terms = self.through(i, &h);
                terms.extend(add(self, i).map(|e| scaled(e, F::one())));
                self.list.sum(self.graph.nodes[i].n, rows, terms)
            } else {
                None
            };
            h.push(carried);
        }
        h
    }

    /// The curved nodes on which the output depends.
    pub fn curved(&self) -> Vec<NodeId> {
        let curved = |k: &Kind<F>| matches!(k, Kind::Pointwise { .. } | Kind::Times { .. } | Kind::Product { .. });
        (0..self.graph.nodes.len()).filter(|&i| self.varies(i) && curved(&self.graph.nodes[i].kind)).collect()
    }
}

/// Taylor coefficients of every node along directions: `c[j][node]` for orders 1 up to the last, `j` from 0 on being
/// order `j + 1`.
#[derive(Clone, Debug)]
pub(crate) struct Taylor {
    pub c: Vec<RowsOf>,
    /// Powers of `z(t) - z(0)` at pointwise nodes: `powers[node][m - 2][j]` is the coefficient of order `j` of the power `m`.
    powers: Vec<Vec<Vec<Option<Id>>>>,
    /// What curved nodes add, by node and order.
    added: BTreeMap<(NodeId, usize), Option<Id>>,
}

impl<'g, F: Real> Sweeps<'g, F> {
    /// Coefficients of order 1, which are tangents.
    pub fn taylor(&mut self, tangents: RowsOf) -> Taylor {
        let powers = vec![Vec::new(); self.graph.nodes.len()];
        Taylor { c: vec![tangents], powers, added: BTreeMap::new() }
    }

    /// One order more.
    pub fn raise(&mut self, taylor: &mut Taylor) {
        let order = taylor.c.len() + 1;
        let rows = taylor.c[0].iter().flatten().map(|&id| self.list.buffers[id].rows).max().unwrap_or(1);
        let next = self.carry(rows, |this, i| this.highest(taylor, i, order));
        taylor.c.push(next);
    }

    /// What a curved node adds to coefficients of this order: its own coefficient with that of its parents put to zero.
    /// Those of the orders below must be there.
    pub fn highest(&mut self, taylor: &mut Taylor, node: NodeId, order: usize) -> Option<Id> {
        if let Some(found) = taylor.added.get(&(node, order)) {
            return *found;
        }
        let found = self.add_to(taylor, node, order);
        taylor.added.insert((node, order), found);
        found
    }

    fn add_to(&mut self, taylor: &mut Taylor, node: NodeId, order: usize) -> Option<Id> {
        let graph = self.graph;
        let n = graph.nodes[node].n;
        let at = |taylor: &Taylor, p: NodeId, j: usize| taylor.c.get(j - 1).and_then(|c| c.get(p).copied().flatten());
        let rows = taylor.c[0].iter().flatten().map(|&id| self.list.buffers[id].rows).max()?;
        match &graph.nodes[node].kind {
            // ANCHOR: added
            // act(z(t)) = sum_m act^(m)/m! (z(t) - z(0))^m, powers by the Cauchy product
            Kind::Pointwise { of, .. } => {
                let mut terms = Vec::new();
                let mut factorial = F::one();
                for m in 2..=order {
                    factorial *= F::of(m as f64);
                    let Some(power) = self.power(taylor, node, *of, m, order) else { continue };
                    let d = self.act(node, m);
                    terms.push(scaled_times(power, d, F::one() / factorial));
                }
                self.list.sum(n, rows, terms)
            }
            Kind::Times { a, b } => {
                let pairs = (1..order).filter_map(|j| Some((at(taylor, *a, j)?, at(taylor, *b, order - j)?)));
                let terms = pairs.map(|(a, b)| times(a, b)).collect();
                self.list.sum(n, rows, terms)
            }
            Kind::Product { a, b, form } => {
                let pairs = (1..order).filter_map(|j| Some((at(taylor, *a, j)?, at(taylor, *b, order - j)?)));
                let terms = pairs.map(|(a, b)| form.product(a, b, None)).collect();
                self.list.sum(n, rows, terms)
            }
            // ANCHOR_END: added
            _ => None,
        }
    }

    /// The coefficient of `order` of the power `m` of `z(t) - z(0)`.
    fn power(&mut self, taylor: &mut Taylor, node: NodeId, z: NodeId, m: usize, order: usize) -> Option<Id> {
        if order < m {
            return None;
        }
        if m == 1 {
            return taylor.c.get(order - 1)?[z];
        }
        let known = &mut taylor.powers[node];
        known.resize_with(known.len().max(m - 1), Vec::new);
        let orders = &mut known[m - 2];
        if let Some(found) = orders.get(order) {
            return *found;
        }
        // the power before times z, orders below one by one: each is asked for in turn
        for below in orders.len()..order {
            self.power(taylor, node, z, m, below);
        }
        let mut terms = Vec::new();
        let mut rows = 1;
        if m == 2 {
            // symmetric: each pair of different orders once, doubled
            for i in 1..=order / 2 {
                let (Some(a), Some(b)) = (taylor.c[i - 1][z], taylor.c[order - i - 1][z]) else { continue };
                rows = self.list.buffers[a].rows;
                terms.push(scaled_times(a, b, if 2 * i == order { F::one() } else { F::of(2.0) }));
            }
        } else {
            for i in m - 1..order {
                let Some(a) = self.power(taylor, node, z, m - 1, i) else { continue };
                let Some(b) = taylor.c[order - i - 1][z] else { continue };
                rows = self.list.buffers[b].rows;
                terms.push(times(a, b));
            }
        }
        let n = self.graph.nodes[z].n;
        let found = self.list.sum(n, rows, terms);
        let orders = &mut taylor.powers[node][m - 2];
        orders.resize(orders.len().max(order), None);
        orders.push(found);
        found
    }
}
