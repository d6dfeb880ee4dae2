//! Second derivatives of a request: Hessians, their entries, sums of them, and their products with vectors.
use super::build::times;
use super::compile::{Way, Work};
use super::step::{Block, DotPlace, GramPlace, Id, Op, Place, Source, Triple};
use super::sweeps::{RowsOf, Sweeps};
use crate::Real;
use crate::graph::Kind;
use crate::result::Field;
use std::sync::Arc;

/// A result that is a list of entries of the Hessian: its name, its shape without the outputs, and the entries.
type Entries = (Field, Vec<usize>, Vec<(usize, usize)>);

impl<'g, F: Real> Work<'g, '_, F> {
    pub(super) fn second_order(&mut self) {
        let (k, q) = (self.k, self.q);
        let request = self.request;
        let full = request.hessian || request.packed;
        if full {
            self.full();
        }
        let upper = |k: usize| (0..k).flat_map(move |a| (a..k).map(move |b| (a, b)));
        // entries (a, b): off the full Hessian if it is there, else in a list of their own
        let mut lists: Vec<Entries> = Vec::new();
        if request.diagonal {
            lists.push((Field::Diagonal, vec![k], (0..k).map(|a| (a, a)).collect()));
        }
        if let Some((rows, cols)) = &request.block {
            let list = rows.iter().flat_map(|&a| cols.iter().map(move |&b| (a, b))).collect();
            lists.push((Field::Block, vec![rows.len(), cols.len()], list));
        }
        if let Some(list) = &request.partials
            && !request.higher_partials()
        {
            lists.push((Field::Partials, vec![list.len()], list.iter().map(|axes| (axes[0], axes[1])).collect()));
        }
        if full {
            let hessian = self.readings.pop().expect("the full Hessian");
            let at = |a: usize, b: usize, r: usize| hessian.places[(r * k + a) * k + b];
            let from = hessian.from;
            let entries = |list: &[(usize, usize)]| -> Vec<usize> {
                (0..q).flat_map(|r| list.iter().map(move |&(a, b)| (r, a, b))).map(|(r, a, b)| at(a, b, r)).collect()
            };
            if request.hessian {
                self.read(Field::Hessian, &[k, k], from, hessian.places.clone());
            }
            if request.packed {
                let list: Vec<_> = upper(k).collect();
                self.read(Field::Packed, &[list.len()], from, entries(&list));
            }
            for (field, shape, list) in lists {
                self.read(field, &shape, from, entries(&list));
            }
        } else if !lists.is_empty() {
            let mut unique: Vec<(usize, usize)> =
                lists.iter().flat_map(|(_, _, list)| list.iter().map(|&(a, b)| (a.min(b), a.max(b)))).collect();
            unique.sort_unstable();
            unique.dedup();
            // lists without entries have nothing to read
            let (from, places) = if unique.is_empty() { (self.zeros(1), Vec::new()) } else { self.pairs(&unique) };
            for (field, shape, list) in lists {
                let find =
                    |&(a, b): &(usize, usize)| unique.binary_search(&(a.min(b), a.max(b))).expect("collected above");
                let own: Vec<usize> = list.iter().map(find).collect();
                let places =
                    (0..q).flat_map(|r| own.iter().map(move |&e| (r, e))).map(|(r, e)| places[r * unique.len() + e]);
                let places = places.collect();
                self.read(field, &shape, from, places);
            }
        }
        let weighed = |entry: &dyn Fn(usize, usize) -> F| -> Vec<(usize, usize, F)> {
            let all = (0..k).flat_map(|a| (0..k).map(move |b| (a, b)));
            all.map(|(a, b)| (a, b, entry(a, b))).filter(|(_, _, c)| *c != F::zero()).collect()
        };
        if request.laplacian && self.way == Way::Careful {
            let from = self.weighed(&weighed(&|a, b| F::of(f64::from(a == b))));
            self.read(Field::Laplacian, &[], from, (0..q).collect());
        } else if request.laplacian {
            let signs: Arc<[_]> = (0..k).map(|a| Triple { y: 0, a, b: a, c: F::one() }).collect();
            let from = self.trace(|sweeps, node, t| sweeps.second(node, t, 1, &signs));
            self.read(Field::Laplacian, &[], from, (0..q).collect());
        }
        if let (Some(b), Way::Careful) = (&request.operator, self.way) {
            let from = self.weighed(&weighed(&|i, j| b[[i, j]]));
            self.read(Field::Operator, &[], from, (0..q).collect());
        } else if let Some(b) = &request.operator {
            let half = F::of(0.5);
            let symmetric: Vec<F> = (0..k * k).map(|i| half * (b[[i / k, i % k]] + b[[i % k, i / k]])).collect();
            let mix = self.list().source(k * k, 1, Source::Literal(symmetric.into()));
            let from = self.trace(|sweeps, node, t| sweeps.second_by(node, t, mix));
            self.read(Field::Operator, &[], from, (0..q).collect());
        }
        if request.products.is_some() {
            self.products();
        }
        self.higher();
    }

    /// One row of second derivatives at each curved node, summed: (q) features.
    pub(super) fn trace(&mut self, add: impl Fn(&mut Sweeps<'g, F>, usize, &RowsOf) -> Option<Id>) -> Id {
        let t = self.tangents();
        self.collect(1, |sweeps, node| add(sweeps, node, &t))
    }

    /// What curved nodes add in `rows` rows, at the outputs: feature `r * rows + e`.
    pub(super) fn collect(&mut self, rows: usize, mut add: impl FnMut(&mut Sweeps<'g, F>, usize) -> Option<Id>) -> Id {
        let q = self.q;
        let found = if self.way == Way::Forward {
            self.sweeps.carry(rows, add)[self.graph().output]
        } else {
            let g = self.adjoints();
            let mut terms = Vec::new();
            for node in self.sweeps.curved() {
                if let (Some(e), Some(g)) = (add(&mut self.sweeps, node), g[node]) {
                    terms.push(Op::Dot { place: DotPlace::D, a: g, b: e });
                }
            }
            self.list().sum(q * rows, 1, terms)
        };
        found.unwrap_or_else(|| self.zeros(q * rows))
    }

    /// Second derivatives along pairs of directions, a <= b: where they are, `places[r * pairs + e]`.
    fn pairs(&mut self, pairs: &[(usize, usize)]) -> (Id, Vec<usize>) {
        let q = self.q;
        // only directions that are read are swept
        let mut used: Vec<usize> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
        used.sort_unstable();
        used.dedup();
        let at = |a: usize| used.binary_search(&a).expect("collected above");
        if self.by_rows() {
            // rows of the Hessian along as few directions as possible
            let rows = cover(pairs);
            let h = self.hessian_rows(&rows);
            let places = (0..q).flat_map(|r| pairs.iter().map(move |&(a, b)| (r, a, b))).map(|(r, a, b)| {
                let (row, col) = match rows.binary_search(&a) {
                    Ok(row) => (row, b),
                    Err(_) => (rows.binary_search(&b).expect("every pair has a row"), a),
                };
                h.1(row, r, col)
            });
            return (h.0, places.collect());
        }
        let t = self.tangents_along(&used);
        let list: Arc<[_]> =
            pairs.iter().enumerate().map(|(y, &(a, b))| Triple { y, a: at(a), b: at(b), c: F::one() }).collect();
        let from = self.collect(pairs.len(), |sweeps, node| sweeps.second(node, &t, pairs.len(), &list));
        (from, (0..q * pairs.len()).collect())
    }

    pub(super) fn by_rows(&self) -> bool {
        matches!(self.way, Way::Products | Way::Careful)
    }

    /// A weighted sum of entries (a, b) of the Hessian, taken when its rows are there: (q) features.
    pub(super) fn weighed(&mut self, entries: &[(usize, usize, F)]) -> Id {
        let q = self.q;
        let mut used: Vec<usize> = entries.iter().map(|&(a, ..)| a).collect();
        used.dedup();
        if used.is_empty() {
            return self.zeros(q);
        }
        let (h, at) = self.hessian_rows(&used);
        let rows = self.list().buffers[h].rows;
        let out = self.zeros_of_tile(q);
        for r in 0..q {
            for &(a, b, c) in entries {
                let place = at(used.binary_search(&a).expect("collected above"), r, b);
                let blocks = Some([Block { from: place / rows, to: r, len: 1 }].into());
                self.list().push(out, Op::Move { x: h, c, blocks, rows: Some([(0, place % rows)].into()) });
            }
        }
        out
    }

    /// Rows of the Hessian, those of the listed directions: a buffer, and where entry (row, output, direction) is.
    #[allow(clippy::type_complexity)]
    fn hessian_rows(&mut self, rows: &[usize]) -> (Id, Box<dyn Fn(usize, usize, usize) -> usize>) {
        let (k, q) = (self.k, self.q);
        let t = self.tangents_along(rows);
        let kw = rows.len();
        let found = self.products_along(&t);
        match found {
            None => (self.zeros(kw * q * k), Box::new(move |row, r, a| (row * q + r) * k + a)),
            Some(h) if self.request.directions.is_none() => (h, Box::new(move |row, r, a| a * kw * q + row * q + r)),
            Some(h) => {
                let v = self.start(&(0..k).collect::<Vec<_>>());
                let dot = Op::Dot { place: DotPlace::D, a: h, b: v };
                (self.list().one(kw * q * k, 1, dot), Box::new(move |row, r, a| (row * q + r) * k + a))
            }
        }
    }

    /// Products of the Hessian with directions of which `t` are the tangents: (d) features, rows `b * q + r`.
    fn products_along(&mut self, t: &RowsOf) -> Option<Id> {
        let g = self.adjoints();
        let input = self.graph().input;
        self.sweeps.products(&g, t)[input]
    }

    /// The full Hessian, as the last of the readings.
    fn full(&mut self) {
        let (k, q) = (self.k, self.q);
        let square = |a: usize, b: usize, r: usize| (r * k + a) * k + b;
        let each = move || (0..q).flat_map(move |r| (0..k).flat_map(move |a| (0..k).map(move |b| (r, a, b))));
        let (from, places) = match self.way {
            Way::Products | Way::Careful => {
                let (h, at) = self.hessian_rows(&(0..k).collect::<Vec<_>>());
                // rows and columns are the same numbers; the upper half is read for both, so that it is symmetric
                (h, each().map(|(r, a, b)| at(a.min(b), r, a.max(b))).collect())
            }
            Way::Forward => {
                let upper: Vec<(usize, usize)> = (0..k).flat_map(|a| (a..k).map(move |b| (a, b))).collect();
                let (h, places) = self.pairs(&upper);
                let slot = |a: usize, b: usize| a * k - a * (a + 1) / 2 + b;
                (h, each().map(|(r, a, b)| places[r * upper.len() + slot(a.min(b), a.max(b))]).collect())
            }
            Way::Sites | Way::Whole => (self.gram(), each().map(|(r, a, b)| square(a, b, r)).collect()),
        };
        self.read(Field::Hessian, &[k, k], from, places);
    }

    /// `H = sum over the curved nodes of A diag(C) A^T`: (q k k) features.
    fn gram(&mut self) -> Id {
        if let Some(whole) = self.whole {
            return whole;
        }
        let (k, q) = (self.k, self.q);
        let (t, g) = (self.tangents(), self.adjoints());
        let mut terms = Vec::new();
        for node in self.sweeps.curved() {
            let Some(gi) = g[node] else { continue };
            let n = self.graph().nodes[node].n;
            match &self.graph().nodes[node].kind {
                Kind::Pointwise { of, .. } => {
                    let Some(z) = t[*of] else { continue };
                    let second = self.sweeps.second_derivative(node);
                    let c = self.list().one(n, q, times(gi, second));
                    terms.push(Op::Gram { place: GramPlace::H, operands: [c, z, z], c: F::one() });
                }
                Kind::Times { a, b } => {
                    let (Some(a), Some(b)) = (t[*a], t[*b]) else { continue };
                    terms.push(Op::Gram { place: GramPlace::H, operands: [gi, a, b], c: F::of(2.0) });
                }
                Kind::Product { a, b, form } => {
                    let (Some(ta), Some(tb)) = (t[*a], t[*b]) else { continue };
                    // x[r, b, a] = G[r] . (T_a[a] T_b[b]), and its transpose
                    let triples = (0..q).flat_map(|r| (0..k).map(move |b| (r, b)));
                    let triples = triples.map(|(r, b)| Triple { y: r * k + b, a: r, b, c: F::one() }).collect();
                    let na = self.graph().nodes[*a].n;
                    let gb = self.list().one(na, q * k, form.adjoint_a(gi, tb, Some(triples)));
                    let x = self.list().one(q * k * k, 1, Op::Dot { place: DotPlace::D, a: gb, b: ta });
                    let mirrored = (0..q * k * k).map(|e| {
                        let (r, a, b) = (e / (k * k), e / k % k, e % k);
                        Block { from: e, to: (r * k + b) * k + a, len: 1 }
                    });
                    let blocks = Some(mirrored.collect());
                    terms.push(Op::Move { x, c: F::one(), blocks: None, rows: None });
                    terms.push(Op::Move { x, c: F::one(), blocks, rows: None });
                }
                _ => {}
            }
        }
        let found = self.list().sum(q * k * k, 1, terms);
        let whole = found.unwrap_or_else(|| self.zeros(q * k * k));
        self.whole = Some(whole);
        whole
    }

    /// `V H w^T` for each row of `w`: (q, k, kw).
    fn products(&mut self) {
        let (k, q, d) = (self.k, self.q, self.graph().dim_input());
        let w = self.request.products.as_ref().expect("asked for");
        let kw = w.nrows();
        let numbers: Vec<F> = (0..d).flat_map(|i| (0..kw).map(move |b| w[[b, i]])).collect();
        if self.way == Way::Whole {
            let h = self.gram();
            let w = self.list().source(d * kw, 1, Source::Literal(numbers.into()));
            let product = Op::Product { place: Place::Y, a: h, b: w, dims: [1, q * k, d, kw], rows: None };
            let from = self.list().one(q * k * kw, 1, product);
            return self.read(Field::Products, &[k, kw], from, (0..q * k * kw).collect());
        }
        let start = self.list().source(d, kw, Source::Literal(numbers.into()));
        let order = move || (0..q).flat_map(move |r| (0..k).flat_map(move |a| (0..kw).map(move |b| (r, a, b))));
        if self.by_rows() || k >= kw * q && self.way == Way::Sites {
            let t = self.sweeps.tangents(start);
            let (from, places): (Id, Vec<usize>) = match self.products_along(&t) {
                None => (self.zeros(q * k * kw), (0..q * k * kw).collect()),
                Some(h) if self.request.directions.is_none() => {
                    (h, order().map(|(r, a, b)| a * kw * q + b * q + r).collect())
                }
                Some(h) => {
                    let v = self.start(&(0..k).collect::<Vec<_>>());
                    let dot = Op::Dot { place: DotPlace::D, a: h, b: v };
                    (self.list().one(kw * q * k, 1, dot), order().map(|(r, a, b)| (b * q + r) * k + a).collect())
                }
            };
            return self.read(Field::Products, &[k, kw], from, places);
        }
        // tangents along the directions and the vectors, side by side
        let v = self.start(&(0..k).collect::<Vec<_>>());
        let both = self.list().fresh(d, k + kw, true);
        let rows = |count: usize, first: usize| Some((0..count).map(|r| (first + r, r)).collect());
        self.list().push(both, Op::Move { x: v, c: F::one(), blocks: None, rows: rows(k, 0) });
        self.list().push(both, Op::Move { x: start, c: F::one(), blocks: None, rows: rows(kw, k) });
        let t = self.sweeps.tangents(both);
        let list: Arc<[_]> =
            (0..k).flat_map(|a| (0..kw).map(move |b| Triple { y: a * kw + b, a, b: k + b, c: F::one() })).collect();
        let from = self.collect(k * kw, |sweeps, node| sweeps.second(node, &t, k * kw, &list));
        self.read(Field::Products, &[k, kw], from, (0..q * k * kw).collect());
    }
}

/// Directions such that every pair has one of them, in order: greedily those in most pairs.
fn cover(pairs: &[(usize, usize)]) -> Vec<usize> {
    let mut left: Vec<(usize, usize)> = pairs.to_vec();
    let mut chosen = Vec::new();
    while !left.is_empty() {
        let mut counts = std::collections::BTreeMap::<usize, usize>::new();
        for &(a, b) in &left {
            *counts.entry(a).or_default() += 1;
            if b != a {
                *counts.entry(b).or_default() += 1;
            }
        }
        // of equals the first
        let (&most, _) =
            counts.iter().max_by_key(|&(&a, &count)| (count, std::cmp::Reverse(a))).expect("pairs are left");
        left.retain(|&(a, b)| a != most && b != most);
        chosen.push(most);
    }
    chosen.sort_unstable();
    chosen
}
