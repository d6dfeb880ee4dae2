//! From a graph and a request to a list of steps, and where its results are.
//!
//! Second derivatives are sums over the curved nodes, of adjoints times what these nodes add; or what they add is carried
//! forward to the outputs; or the Hessian is applied to directions. The cheapest list is taken, by the sums of what its
//! steps cost.
use super::build::List;
use super::higher::Swept;
use super::step::{DotPlace, Id, Op, Source};
use super::sweeps::{RowsOf, Sweeps};
use crate::graph::Graph;
use crate::request::HIGHEST;
use crate::result::Field;
use crate::{Error, Mode, Real, Request};

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
    pub tangents: Option<RowsOf>,
    /// Taylor coefficients along directions.
    pub swept: Swept,
    /// The full Hessian as a sum over the curved nodes.
    pub whole: Option<Id>,
    pub readings: Vec<Reading>,
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
}
