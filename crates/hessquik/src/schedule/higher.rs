//! Derivatives of any order: partials, operators given by terms, the bilaplacian, and derivatives along directions.
//!
//! All but the last are sums of derivatives `D^j f[v]` along directions. Each order sweeps its directions up to `j - 1`, unless a
//! higher one has swept them already; what curved nodes add to the coefficient `j` is summed over directions and orders at
//! the nodes, before it meets the adjoints.
use super::compile::{Way, Work};
use super::polarise::{self, Direction, Polarised};
use super::step::{Block, DotPlace, Id, Op, Source, Triple};
use super::sweeps::Taylor;
use crate::Real;
use crate::result::Field;
use std::collections::{BTreeMap, BTreeSet};

/// Taylor coefficients along directions, which several results share.
#[derive(Debug, Default)]
pub(super) struct Swept(Vec<Along>);

#[derive(Debug)]
struct Along {
    /// The row of each direction.
    rows: BTreeMap<Vec<(usize, u64)>, usize>,
    taylor: Taylor,
}

impl Along {
    fn row(&self, direction: &Direction) -> Option<usize> {
        self.rows.get(&key(direction)).copied()
    }
}

/// A direction by its bits, which have an order.
fn key(direction: &Direction) -> Vec<(usize, u64)> {
    direction.iter().map(|&(a, c)| (a, c.to_bits())).collect()
}

/// One result: `sums` numbers for each output, each a sum of derivatives along directions, by order.
struct Form {
    field: Field,
    /// Without the outputs.
    shape: Vec<usize>,
    sums: usize,
    orders: BTreeMap<usize, Polarised>,
    /// Parts that are computed otherwise.
    parts: Vec<Part>,
}

impl Form {
    fn new(field: Field, shape: Vec<usize>) -> Self {
        let sums = shape.iter().product();
        Self { field, shape, sums, orders: BTreeMap::new(), parts: Vec::new() }
    }
}

/// Sums of a result, or parts of them: features `r * own + e` of one row, times a factor.
struct Part {
    from: Id,
    own: Vec<usize>,
    factor: f64,
}

impl<F: Real> Work<'_, '_, F> {
    /// All results of other orders than two, and of several.
    pub(super) fn higher(&mut self) {
        let mut forms = Vec::new();
        forms.extend(self.partials());
        forms.extend(self.operator_terms());
        if self.request.bilaplacian {
            let squares = (0..self.k).flat_map(|a| (a..self.k).map(move |b| (a, b)));
            let terms: Vec<_> = squares.map(|(a, b)| (vec![a, a, b, b], if a == b { 1.0 } else { 2.0 })).collect();
            let mut form = Form::new(Field::Bilaplacian, vec![]);
            form.orders.insert(4, polarise::operator(&terms));
            forms.push(form);
        }
        let directional = self.request.directional;
        let mut orders: Vec<usize> = forms.iter().flat_map(|f| f.orders.keys().copied()).chain(directional).collect();
        orders.sort_unstable();
        orders.dedup();
        // the highest first: what they sweep serves the others
        for &order in orders.iter().rev().filter(|&&order| order > 1) {
            if directional == Some(order) {
                self.sweep((0..self.k).map(|a| vec![(a, 1.0)]).collect(), order);
            }
            let all = forms.iter().filter_map(|f| f.orders.get(&order)).flat_map(|p| &p.directions);
            let mut new: Vec<Direction> = Vec::new();
            let mut seen = BTreeSet::new();
            for direction in all {
                if self.swept.0.iter().all(|s| s.row(direction).is_none()) && seen.insert(key(direction)) {
                    new.push(direction.clone());
                }
            }
            if !new.is_empty() {
                self.sweep(new, order);
            }
        }
        for form in &mut forms {
            let all: Vec<(usize, Polarised)> = std::mem::take(&mut form.orders).into_iter().collect();
            let (first, higher): (Vec<_>, Vec<_>) = all.into_iter().partition(|(order, _)| *order == 1);
            if !higher.is_empty() {
                let from = self.along(&higher, form.sums);
                form.parts.push(Part { from, own: (0..form.sums).collect(), factor: 1.0 });
            }
            if let Some((_, first)) = first.first() {
                form.parts.push(self.first_order(first));
            }
        }
        let mut forms = forms.into_iter().peekable();
        while let Some(form) = forms.next_if(|form| form.field != Field::Bilaplacian) {
            self.finish(form);
        }
        if let Some(order) = directional {
            self.directional(order);
        }
        forms.for_each(|form| self.finish(form));
    }

    /// Partials of any orders.
    fn partials(&mut self) -> Option<Form> {
        let list = self.request.partials.as_ref().filter(|_| self.request.higher_partials())?;
        let mut form = Form::new(Field::Partials, vec![list.len()]);
        for (p, axes) in list.iter().enumerate() {
            let all = form.orders.entry(axes.len()).or_default();
            all.weights.resize(list.len(), Vec::new());
            all.add(axes, p, 1.0);
        }
        Some(form)
    }

    /// An operator given by terms.
    fn operator_terms(&mut self) -> Option<Form> {
        self.request.terms.as_ref()?;
        let mut form = Form::new(Field::Operator, vec![]);
        let orders = self.request.terms_by_order();
        let highest = orders.keys().next_back().copied().unwrap_or(0);
        for (order, terms) in orders {
            match order {
                0 => {
                    let from = self.sweeps.u[self.sweeps.graph.output];
                    form.parts.push(Part { from, own: vec![0], factor: terms[0].1 });
                }
                1 => {
                    let direction = terms.iter().map(|(axes, c)| (axes[0], *c)).collect();
                    let one = Polarised { directions: vec![direction], weights: vec![vec![(0, 1.0)]] };
                    form.orders.insert(1, one);
                }
                // along its axes if a higher order may sweep these too
                2 if highest == 2 || self.way == Way::Careful || terms.iter().any(|(axes, _)| axes[0] != axes[1]) => {
                    let from = self.of_second_order(&terms);
                    form.parts.push(Part { from, own: vec![0], factor: 1.0 });
                }
                _ => {
                    form.orders.insert(order, polarise::operator(&terms));
                }
            }
        }
        Some(form)
    }

    /// A weighted sum of second partials, each of two axes in order: (q) features.
    fn of_second_order(&mut self, terms: &[(Vec<usize>, f64)]) -> Id {
        if self.way == Way::Careful {
            let entries: Vec<(usize, usize, F)> = terms.iter().map(|(axes, c)| (axes[0], axes[1], F::of(*c))).collect();
            return self.weighed(&entries);
        }
        let mut used: Vec<usize> = terms.iter().flat_map(|(axes, _)| axes.iter().copied()).collect();
        used.sort_unstable();
        used.dedup();
        let t = self.tangents_along(&used);
        let at = |a: usize| used.binary_search(&a).expect("collected above");
        if terms.iter().all(|(axes, _)| axes[0] == axes[1]) || terms.len() <= 2 * used.len() {
            let triples = terms.iter().map(|(axes, c)| Triple { y: 0, a: at(axes[0]), b: at(axes[1]), c: F::of(*c) });
            let triples = triples.collect();
            return self.collect(1, |sweeps, node| sweeps.second(node, &t, 1, &triples));
        }
        let r = used.len();
        let mut b = vec![F::zero(); r * r];
        for (axes, c) in terms {
            let (i, j) = (at(axes[0]), at(axes[1]));
            b[i * r + j] += F::of(c / 2.0);
            b[j * r + i] += F::of(c / 2.0);
        }
        let mix = self.list().source(r * r, 1, Source::Literal(b.into()));
        self.collect(1, |sweeps, node| sweeps.second_by(node, &t, mix))
    }

    /// Directions given by their coefficients (r, k) of the directions of the request.
    fn start_mixed(&mut self, rows: &[Direction]) -> Id {
        let d = self.graph().dim_input();
        let v = self.request.directions.as_ref();
        let units: Option<Vec<usize>> =
            rows.iter().map(|row| if let [(a, 1.0)] = row[..] { Some(a) } else { None }).collect();
        if let Some(units) = units {
            return self.start(&units);
        }
        let mut numbers = vec![F::zero(); d * rows.len()];
        for (e, row) in rows.iter().enumerate() {
            for &(a, c) in row {
                match v {
                    Some(v) => (0..d).for_each(|i| numbers[i * rows.len() + e] += F::of(c) * v[[a, i]]),
                    None => numbers[a * rows.len() + e] += F::of(c),
                }
            }
        }
        self.list().source(d, rows.len(), Source::Literal(numbers.into()))
    }

    /// Sweeps Taylor coefficients along new directions, as derivatives of this order need them.
    fn sweep(&mut self, directions: Vec<Direction>, order: usize) {
        let all = directions.len() == self.k && directions.iter().enumerate().all(|(a, d)| d[..] == [(a, 1.0)]);
        let tangents = match all {
            true => self.tangents(),
            false => {
                let start = self.start_mixed(&directions);
                self.sweeps.tangents(start)
            }
        };
        let mut taylor = self.sweeps.taylor(tangents);
        (2..order).for_each(|_| self.sweeps.raise(&mut taylor));
        let rows = directions.iter().enumerate().map(|(row, d)| (key(d), row)).collect();
        self.swept.0.push(Along { rows, taylor });
    }

    /// Sums of derivatives of orders above one along directions that were swept: features `r * sums + p`, one row.
    fn along(&mut self, orders: &[(usize, Polarised)], sums: usize) -> Id {
        let mut pieces = Vec::new();
        for (order, all) in orders {
            let scale = polarise::factorial(*order);
            // each direction in the first sweep that has it
            let places: Vec<(usize, usize)> = all
                .directions
                .iter()
                .map(|d| {
                    let found = self.swept.0.iter().enumerate().find_map(|(i, s)| Some((i, s.row(d)?)));
                    found.expect("swept before")
                })
                .collect();
            for i in 0..self.swept.0.len() {
                let mut mix = vec![F::zero(); self.swept.0[i].rows.len() * sums];
                let mut any = false;
                for (p, list) in all.weights.iter().enumerate() {
                    for &(direction, w) in list {
                        let (sweep, row) = places[direction];
                        if sweep == i {
                            mix[row * sums + p] += F::of(scale * w);
                            any = true;
                        }
                    }
                }
                if any {
                    let mix = self.list().source(mix.len(), 1, Source::Literal(mix.into()));
                    pieces.push((i, *order, mix));
                }
            }
        }
        let mut swept = std::mem::take(&mut self.swept);
        let found = self.collect(sums, |sweeps, node| {
            let mut terms = Vec::new();
            for &(i, order, mix) in &pieces {
                // sums over directions are taken at the nodes
                if let Some(e) = sweeps.highest(&mut swept.0[i].taylor, node, order) {
                    terms.push(Op::Dot { place: DotPlace::T, a: mix, b: e });
                }
            }
            let n = sweeps.graph.nodes[node].n;
            sweeps.list.sum(n, sums, terms)
        });
        self.swept = swept;
        self.rows_as_features(found)
    }

    /// Sums of first derivatives: one direction for each.
    fn first_order(&mut self, first: &Polarised) -> Part {
        let q = self.q;
        let own: Vec<usize> = (0..first.weights.len()).filter(|&p| !first.weights[p].is_empty()).collect();
        let directions: Vec<Direction> = own
            .iter()
            .map(|&p| {
                let mut sum: BTreeMap<usize, f64> = BTreeMap::new();
                for &(e, w) in &first.weights[p] {
                    first.directions[e].iter().for_each(|&(a, c)| *sum.entry(a).or_default() += w * c);
                }
                sum.into_iter().collect()
            })
            .collect();
        let start = self.start_mixed(&directions);
        let rows = directions.len();
        let found = if self.way == Way::Forward || self.adjoints.is_none() && rows <= q {
            self.sweeps.tangents(start)[self.graph().output].map(|t| self.rows_as_features(t))
        } else {
            let g = self.adjoints()[self.graph().input];
            g.map(|g| self.list().one(q * rows, 1, Op::Dot { place: DotPlace::D, a: g, b: start }))
        };
        Part { from: found.unwrap_or_else(|| self.zeros(q * rows)), own, factor: 1.0 }
    }

    /// The parts of a result together.
    fn finish(&mut self, form: Form) {
        let (q, sums) = (self.q, form.sums);
        let from = match &form.parts[..] {
            [] => self.zeros(q * sums),
            [Part { from, own, factor: 1.0 }] if own.len() == sums => *from,
            parts => {
                let all = self.zeros_of_tile(q * sums);
                for Part { from, own, factor } in parts {
                    let block =
                        |r: usize, e: usize, p: usize| Block { from: r * own.len() + e, to: r * sums + p, len: 1 };
                    let blocks = (0..q).flat_map(|r| own.iter().enumerate().map(move |(e, &p)| block(r, e, p)));
                    let blocks = Some(blocks.collect());
                    self.list().push(all, Op::Move { x: *from, c: F::of(*factor), blocks, rows: None });
                }
                all
            }
        };
        self.read(form.field, &form.shape, from, (0..q * sums).collect());
    }

    /// A buffer of a tile that several steps fill.
    pub(super) fn zeros_of_tile(&mut self, n: usize) -> Id {
        self.list().fresh(n, 1, false)
    }

    /// Derivatives of orders 1 to `order` along each direction: (q, order, k).
    fn directional(&mut self, order: usize) {
        let (k, q) = (self.k, self.q);
        if order == 1 {
            let t = self.tangents()[self.graph().output];
            let from = match t {
                Some(t) => self.rows_as_features(t),
                None => self.zeros(q * k),
            };
            return self.read(Field::Directional, &[1, k], from, (0..q * k).collect());
        }
        let all = self.zeros_of_tile(q * order * k);
        let mut swept = std::mem::take(&mut self.swept);
        let units = |s: &&mut Along| s.rows.len() == k && (0..k).all(|a| s.row(&vec![(a, 1.0)]) == Some(a));
        let taylor = &mut swept.0.iter_mut().find(units).expect("swept before").taylor;
        let output = self.graph().output;
        for j in 1..=order {
            let factorial = F::of(polarise::factorial(j));
            let block = |r: usize| Block { from: r * k, to: (r * order + j - 1) * k, len: k };
            let blocks = Some((0..q).map(block).collect());
            let found = match j < order {
                true => taylor.c[j - 1][output],
                false => Some(self.collect(k, |sweeps, node| sweeps.highest(taylor, node, order))),
            };
            let found = found.unwrap_or_else(|| self.zeros(q * k));
            let found = self.rows_as_features(found);
            self.list().push(all, Op::Move { x: found, c: factorial, blocks, rows: None });
        }
        self.swept = swept;
        self.read(Field::Directional, &[order, k], all, (0..q * order * k).collect());
    }

    /// (q features, k rows) as q * k features of one row.
    fn rows_as_features(&mut self, x: Id) -> Id {
        let (n, k) = (self.list().buffers[x].n, self.list().buffers[x].rows);
        if k == 1 {
            return x;
        }
        // d[r, e] = sum_i I[i, r] x[i, e]
        let columns = self.list().source(n, n, Source::Units((0..n).collect()));
        self.list().one(n * k, 1, Op::Dot { place: DotPlace::D, a: columns, b: x })
    }
}
