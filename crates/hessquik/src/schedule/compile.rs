//! From a graph and a request to a list of steps, and where its results are.
//!
//! Second derivatives are sums over the curved nodes, of adjoints times what these nodes add; or what they add is carried
//! forward to the outputs; or the Hessian is applied to directions. The cheapest list is taken, by the sums of what its
//! steps cost.
use super::build::{List, times};
use super::higher::Swept;
use super::step::{Block, DotPlace, GramPlace, Id, Op, Place, Source, Triple};
use super::sweeps::{RowsOf, Sweeps};
use crate::graph::{Graph, Kind};
use crate::request::HIGHEST;
use crate::result::Field;
use crate::{Error, Mode, Real, Request};
use std::sync::Arc;

/// Where a result is: entry `e` of a sample is feature and row `places[e]` of a buffer, `i * rows + row`.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which result.
    pub field: Field,
    /// Its shape for one sample, with the outputs first: (q, ..).
    pub shape: Vec<usize>,
    /// The buffer.
    pub from: Id,
    /// Where each entry is in it, in C order of `shape`.
    pub places: Vec<usize>,
}

/// A request as steps.
#[derive(Clone, Debug)]
pub(crate) struct Compiled<F> {
    pub list: List<F>,
    pub readings: Vec<Reading>,
    /// Operations for each sample.
    pub operations: f64,
}

/// How second derivatives are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Adjoints times what the curved nodes add.
    Sites,
    /// The same, with products taken of the whole Hessian: for many vectors of few inputs.
    Whole,
    /// What the curved nodes add, carried to the outputs.
    Forward,
    /// Derivatives of adjoints along tangents: rows of the Hessian.
    Products,
    /// The same for sums of its entries too: no product of two tangents, which may overflow where the Hessian does not.
    Careful,
}

/// A result that is a list of entries of the Hessian: its name, its shape without the outputs, and the entries.
type Entries = (Field, Vec<usize>, Vec<(usize, usize)>);

/// The sizes of a request, checked.
struct Sizes {
    k: usize,
    q: usize,
}

/// The sweeps of one request, each made when it is first needed.
pub(super) struct Work<'g, 'r, F> {
    pub sweeps: Sweeps<'g, F>,
    pub request: &'r Request<F>,
    pub k: usize,
    pub q: usize,
    pub adjoints: Option<RowsOf>,
    /// Tangents along all directions.
    tangents: Option<RowsOf>,
    /// Taylor coefficients along directions.
    pub swept: Swept,
    /// The full Hessian as a sum over the curved nodes.
    whole: Option<Id>,
    readings: Vec<Reading>,
    pub way: Way,
}

/// Resolves a request against a graph by the cheapest list of steps; a `careful` one is for points at which such a list
/// overflows.
pub(crate) fn compile<F: Real>(graph: &Graph<F>, request: &Request<F>, careful: bool) -> Result<Compiled<F>, Error> {
    let sizes = check(graph, request)?;
    let request = &*request.of_matrix(graph.dim_input())?;
    let along;
    let graph = match &request.outputs {
        Some(u) => {
            let flat: Vec<F> = u.iter().copied().collect();
            along = graph.clone().along_outputs(&flat, sizes.q);
            &along
        }
        None => graph,
    };
    let ways: &[Way] = match request.mode {
        _ if !request.second_order() => &[Way::Sites],
        Mode::Forward => &[Way::Forward],
        _ if careful => &[Way::Careful],
        Mode::Auto if request.directions.is_none() && request.products.as_ref().is_some_and(|w| w.nrows() > 1) => {
            &[Way::Sites, Way::Whole, Way::Forward, Way::Products]
        }
        Mode::Auto => &[Way::Sites, Way::Forward, Way::Products],
        _ => &[Way::Sites],
    };
    let lists = ways.iter().map(|&way| Work::run(graph, request, &sizes, (way, careful)));
    Ok(lists.min_by(|a, b| a.operations.total_cmp(&b.operations)).expect("at least one way"))
}

fn check<F: Real>(graph: &Graph<F>, request: &Request<F>) -> Result<Sizes, Error> {
    let (d, m) = (graph.dim_input(), graph.dim_output());
    if request.is_empty() {
        return Err(Error::Request(crate::request::EMPTY.into()));
    }
    let k = match &request.directions {
        Some(v) if v.ncols() != d || v.nrows() == 0 => {
            return Err(Error::shape("the input directions", v.shape(), format!("[k, {d}] with k at least 1")));
        }
        Some(v) => v.nrows(),
        None => d,
    };
    let q = match &request.outputs {
        Some(u) if u.nrows() != m || u.ncols() == 0 => {
            return Err(Error::shape("the output directions", u.shape(), format!("[{m}, q] with q at least 1")));
        }
        Some(u) => u.ncols(),
        None => m,
    };
    let indices = |what, mut list: Box<dyn Iterator<Item = usize> + '_>| match list.find(|&i| i >= k) {
        Some(index) => Err(Error::Index { what, index, len: k }),
        None => Ok(()),
    };
    if let Some((rows, cols)) = &request.block {
        indices("block", Box::new(rows.iter().chain(cols).copied()))?;
    }
    if let Some(list) = &request.partials {
        indices("partials", Box::new(list.iter().flatten().copied()))?;
        if let Some(axes) = list.iter().find(|axes| axes.is_empty() || axes.len() > HIGHEST) {
            return Err(Error::setting("the order of a partial", axes.len(), format!("1 to {HIGHEST}")));
        }
    }
    if let Some(order) = request.directional.filter(|&order| order == 0 || order > HIGHEST) {
        return Err(Error::setting("the order of directional derivatives", order, format!("1 to {HIGHEST}")));
    }
    if let Some(b) = &request.operator {
        if b.shape() != [k, k] {
            return Err(Error::shape("the operator B", b.shape(), format!("[{k}, {k}]")));
        }
        if let Some(((i, j), entry)) = b.indexed_iter().find(|(_, b)| !b.is_finite()) {
            return Err(Error::setting(format!("entry [{i}, {j}] of the operator B"), entry, "a finite number"));
        }
    }
    if let Some(w) = &request.products
        && (w.ncols() != d || w.nrows() == 0)
    {
        return Err(Error::shape("the vectors of the products", w.shape(), format!("[kw, {d}] with kw at least 1")));
    }
    if request.factored {
        return Err(Error::Request(
            "the factored Hessian needs a first single layer, and a network that is a chain of layers; ask for the Hessian"
                .into(),
        ));
    }
    Ok(Sizes { k, q })
}

impl<'g, 'r, F: Real> Work<'g, 'r, F> {
    /// All results in one way.
    fn run(graph: &'g Graph<F>, request: &'r Request<F>, sizes: &Sizes, (way, careful): (Way, bool)) -> Compiled<F> {
        let (k, q) = (sizes.k, sizes.q);
        let mut sweeps = Sweeps::values(graph);
        sweeps.careful = careful;
        let mut work = Self {
            sweeps,
            request,
            k,
            q,
            adjoints: None,
            tangents: None,
            swept: Swept::default(),
            whole: None,
            readings: Vec::new(),
            way,
        };
        if request.value {
            let from = work.sweeps.u[graph.output];
            work.read(Field::Value, &[], from, (0..q).collect());
        }
        let at = work.readings.len();
        work.second_order();
        if request.gradient {
            // after the rest, whose sweeps may be those of the gradient; before it among the results
            let before = work.readings.split_off(at);
            work.gradient();
            work.readings.extend(before);
        }
        let mut list = work.sweeps.list;
        let reads: Vec<Id> = work.readings.iter().map(|r| r.from).collect();
        list.drop_unread(&reads);
        list.drop_copies(&reads);
        list.gather();
        Compiled { operations: super::cost::cost(&list), list, readings: work.readings }
    }

    pub(super) fn read(&mut self, field: Field, shape: &[usize], from: Id, places: Vec<usize>) {
        let shape = [self.q].iter().chain(shape).copied().collect();
        self.readings.push(Reading { field, shape, from, places });
    }

    pub(super) fn graph(&self) -> &'g Graph<F> {
        self.sweeps.graph
    }

    pub(super) fn list(&mut self) -> &mut List<F> {
        &mut self.sweeps.list
    }

    /// Rows to start tangents with: those of the directions that are listed.
    pub(super) fn start(&mut self, rows: &[usize]) -> Id {
        let d = self.graph().dim_input();
        match &self.request.directions {
            None => self.list().source(d, rows.len(), Source::Units(rows.into())),
            Some(v) => {
                let numbers: Vec<F> = (0..d).flat_map(|i| rows.iter().map(move |&a| v[[a, i]])).collect();
                self.list().source(d, rows.len(), Source::Literal(numbers.into()))
            }
        }
    }

    pub(super) fn tangents(&mut self) -> RowsOf {
        if self.tangents.is_none() {
            let start = self.start(&(0..self.k).collect::<Vec<_>>());
            self.tangents = Some(self.sweeps.tangents(start));
        }
        self.tangents.clone().expect("made above")
    }

    /// Tangents along these directions, in order.
    pub(super) fn tangents_along(&mut self, rows: &[usize]) -> RowsOf {
        if rows.len() == self.k {
            return self.tangents();
        }
        let start = self.start(rows);
        self.sweeps.tangents(start)
    }

    pub(super) fn adjoints(&mut self) -> RowsOf {
        if self.adjoints.is_none() {
            let q = self.q;
            let end = self.list().source(q, q, Source::Units((0..q).collect()));
            self.adjoints = Some(self.sweeps.adjoints(end));
        }
        self.adjoints.clone().expect("made above")
    }

    /// Zeros of this many features, where a result is zero by the structure of the graph.
    pub(super) fn zeros(&mut self, n: usize) -> Id {
        self.list().source(n, 1, Source::Literal(vec![F::zero(); n].into()))
    }

    fn gradient(&mut self) {
        let (k, q) = (self.k, self.q);
        // what is there already; else by the fewer rows
        let by_tangents = self.tangents.is_some() || self.adjoints.is_none() && k <= q;
        let (from, places) = if by_tangents {
            let t = self.tangents();
            match t[self.graph().output] {
                Some(t) => (t, (0..q * k).collect()),
                None => (self.zeros(q * k), (0..q * k).collect()),
            }
        } else {
            let g = self.adjoints();
            match (g[self.graph().input], &self.request.directions) {
                (None, _) => (self.zeros(q * k), (0..q * k).collect()),
                (Some(g), None) => (g, (0..q).flat_map(|r| (0..k).map(move |a| a * q + r)).collect()),
                (Some(g), Some(_)) => {
                    let v = self.start(&(0..k).collect::<Vec<_>>());
                    let dot = Op::Dot { place: DotPlace::D, a: g, b: v };
                    (self.list().one(q * k, 1, dot), (0..q * k).collect())
                }
            }
        };
        self.read(Field::Gradient, &[k], from, places);
    }

    fn second_order(&mut self) {
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
