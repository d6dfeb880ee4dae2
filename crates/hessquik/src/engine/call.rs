//! A request resolved against a network: which sweeps to run, and where their results go.
use super::by_graph::seconds;
use super::kind::Kind;
use super::program::{Program, Stage};
use super::rescue::Others;
use super::sizes::Work;
use super::start::Start;
use crate::execute::GraphCall;
use crate::plan::{Candidate, Costs};
pub(crate) use crate::result::Field;
use crate::{Error, Explanation, Mode, Plan, Real, Request};
use ndarray::Array2;
use std::sync::Arc;

/// How a result is read off the slots of a task's [`Kind`].
#[derive(Clone, Debug)]
pub(crate) enum Sink<F> {
    /// All slots as they are.
    All,
    /// These slots.
    Slots(Vec<usize>),
    /// A weighted sum of slots.
    Sum(Vec<(usize, F)>),
}

/// What a task computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Job {
    /// The slots of its kind.
    Curvature,
    /// `V H w^T` for this many rows `w`, by tangents of the adjoints.
    Products,
    /// The core of the factored Hessian.
    Factored,
}

/// One sweep for second derivatives.
#[derive(Clone, Debug)]
pub(crate) struct Task<F> {
    pub job: Job,
    pub kind: Kind<F>,
    pub plan: Plan,
    /// What the tangents start with at the first layer, and at each pivot.
    pub start: Start<F>,
    pub pivots: Vec<Start<F>>,
    /// Whether `start` is the input directions of the request.
    pub along_v: bool,
    pub sinks: Vec<(usize, Sink<F>)>,
    name: &'static str,
    pub work: Work,
}

/// Where the gradient comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Via {
    None,
    /// `V G_0`.
    Adjoints,
    /// The tangents of this task, at the end of its prefix.
    Task(usize),
    /// Tangents of its own, through all layers.
    Tangents,
}

/// A request resolved against a network.
#[derive(Debug)]
pub(crate) struct Call<F> {
    pub program: Arc<Program<F>>,
    pub d: usize,
    pub m: usize,
    pub k: usize,
    pub q: usize,
    /// Input directions (k, d), unless the identity.
    pub v: Option<Vec<F>>,
    /// Output directions as rows (q, m), unless the identity.
    pub u: Option<Vec<F>>,
    /// Each result with its shape (q, ..) per sample in memory order.
    pub fields: Vec<(Field, Vec<usize>)>,
    pub tasks: Vec<Task<F>>,
    pub gradient: Via,
    /// The first layer that adjoints reach.
    pub lowest: usize,
    /// Where Hessians carried forward meet the adjoints.
    pub joins: Vec<usize>,
    /// Whether this is for a pullback.
    pub reverses: bool,
    /// Highest derivative of the activations.
    pub order: usize,
    /// Samples that go through all sweeps at once.
    pub tile: usize,
    /// Whether fewer points are cut into tiles of one size, rather than all but the last being as large as that.
    pub even: bool,
    /// `V M_1` (k, p) of the factored Hessian.
    pub outer: Option<Array2<F>>,
    /// What tangents start with where the gradient has its own.
    pub along: Option<Start<F>>,
    /// Whether samples, not features, go side by side where a tile has enough of them.
    pub across: bool,
    /// The request on a graph, instead of all sweeps.
    pub graph: Option<GraphCall<F>>,
    /// Whether to scale products before they are summed, where that costs time: for what overflows otherwise.
    pub careful: bool,
    /// The other ways, for what overflows in this one; none for a careful one.
    pub others: Others<F>,
}

impl<F: Real> Call<F> {
    /// Resolves `request`; `reverse` for a pullback, which turns every second-order result into a kind it can reverse.
    pub fn new(program: Arc<Program<F>>, request: &Request<F>, reverse: bool, careful: bool) -> Result<Self, Error> {
        if request.is_empty() {
            return Err(Error::Request(crate::request::EMPTY.into()));
        }
        let request = &*request.of_matrix(program.width(0))?;
        if program.graph.is_some() {
            return Self::by_graph(program, request, reverse, careful);
        }
        let (d, m) = (program.width(0), program.width(program.depth()));
        let (mut k, mut q) = (d, m);
        let (mut v, mut u) = (None, None);
        if let Some(rows) = &request.directions {
            if rows.ncols() != d || rows.nrows() == 0 {
                return Err(Error::shape("the input directions", rows.shape(), format!("[k, {d}] with k at least 1")));
            }
            k = rows.nrows();
            v = Some(rows.iter().copied().collect());
        }
        if let Some(columns) = &request.outputs {
            if columns.nrows() != m || columns.ncols() == 0 {
                return Err(Error::shape(
                    "the output directions",
                    columns.shape(),
                    format!("[{m}, q] with q at least 1"),
                ));
            }
            q = columns.ncols();
            u = Some(columns.t().iter().copied().collect());
        }
        let mut call = Self {
            program,
            d,
            m,
            k,
            q,
            v,
            u,
            fields: Vec::new(),
            tasks: Vec::new(),
            gradient: Via::None,
            lowest: 0,
            joins: Vec::new(),
            reverses: reverse,
            order: if request.second_order() { 2 } else { usize::from(request.gradient) } + usize::from(reverse),
            tile: 1,
            even: false,
            outer: None,
            along: None,
            across: false,
            graph: None,
            careful,
            others: if careful { Others::none() } else { Others::new(request) },
        };
        if request.value {
            call.add_field(Field::Value, &[]);
        }
        if request.gradient {
            call.add_field(Field::Gradient, &[k]);
        }
        call.add_second_order(request, reverse)?;
        call.route(request.gradient);
        call.across = call.goes_across();
        (call.tile, call.even) = call.tiles();
        Ok(call)
    }

    fn add_field(&mut self, field: Field, shape: &[usize]) -> usize {
        let shape = [self.q].iter().chain(shape).copied().collect();
        self.fields.push((field, shape));
        self.fields.len() - 1
    }

    fn add_second_order(&mut self, request: &Request<F>, reverse: bool) -> Result<(), Error> {
        let k = self.k;
        let full = request.hessian || request.packed;
        let slot = |a: usize, b: usize| a.min(b) * k + a.max(b);
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        let mut sinks = Vec::new();
        // reads the entries of `list` off the full Hessian, or adds them to the pairs
        let mut read = |list: &[(usize, usize)]| {
            if full {
                return Sink::Slots(list.iter().map(|&(a, b)| slot(a, b)).collect());
            }
            let from = pairs.len();
            pairs.extend_from_slice(list);
            Sink::Slots((from..pairs.len()).collect())
        };
        let diagonal: Vec<_> = (0..k).map(|a| (a, a)).collect();
        if request.hessian {
            sinks.push((self.add_field(Field::Hessian, &[k, k]), Sink::All));
        }
        if request.packed {
            let upper: Vec<_> = (0..k).flat_map(|a| (a..k).map(move |b| (a, b))).collect();
            sinks.push((self.add_field(Field::Packed, &[upper.len()]), read(&upper)));
        }
        let mut trace_from = None;
        if request.diagonal {
            let sink = read(&diagonal);
            if let Sink::Slots(slots) = &sink {
                trace_from = Some(slots.clone());
            }
            sinks.push((self.add_field(Field::Diagonal, &[k]), sink));
        }
        if let Some((rows, cols)) = &request.block {
            check_indices("block", rows.iter().chain(cols), k)?;
            let list: Vec<_> = rows.iter().flat_map(|&a| cols.iter().map(move |&b| (a, b))).collect();
            sinks.push((self.add_field(Field::Block, &[rows.len(), cols.len()]), read(&list)));
        }
        if let Some(list) = &request.partials {
            let list: Vec<(usize, usize)> = list.iter().map(|axes| (axes[0], axes[1])).collect();
            check_indices("partials", list.iter().flat_map(|(a, b)| [a, b]), k)?;
            sinks.push((self.add_field(Field::Partials, &[list.len()]), read(&list)));
        }
        if full {
            trace_from = Some((0..k).map(|a| slot(a, a)).collect());
        }
        let mut traces = Vec::new();
        if request.laplacian {
            let field = self.add_field(Field::Laplacian, &[]);
            match &trace_from {
                Some(slots) => sinks.push((field, Sink::Sum(slots.iter().map(|&s| (s, F::one())).collect()))),
                None => traces.push((field, "laplacian", None)),
            }
        }
        if let Some(b) = &request.operator {
            if b.shape() != [k, k] {
                return Err(Error::shape("the operator B", b.shape(), format!("[{k}, {k}]")));
            }
            // an entry that is no number could fall among directions that nobody asks for, and pass unseen
            if let Some(((i, j), entry)) = b.indexed_iter().find(|(_, b)| !b.is_finite()) {
                return Err(Error::setting(format!("entry [{i}, {j}] of the operator B"), entry, "a finite number"));
            }
            let field = self.add_field(Field::Operator, &[]);
            if full {
                let both = |a: usize, c: usize| if a == c { b[[a, a]] } else { b[[a, c]] + b[[c, a]] };
                let sum = (0..k).flat_map(|a| (a..k).map(move |c| (a, c))).map(|(a, c)| (slot(a, c), both(a, c)));
                sinks.push((field, Sink::Sum(sum.filter(|(_, w)| *w != F::zero()).collect())));
            } else {
                traces.push((field, "operator", Some(b)));
            }
        }
        // of no entries at all nothing is computed
        if full || !pairs.is_empty() {
            let kind = if full { Kind::Full { k } } else { Kind::Pairs { k, pairs } };
            let name = if full { "hessian" } else { "entries of the Hessian" };
            let start = self.start_along(self.v.as_deref(), k);
            self.add_task(name, Job::Curvature, kind, start, true, sinks, request)?;
        }
        for (field, name, b) in traces {
            self.add_trace(name, field, b, request)?;
        }
        if let Some(w) = &request.products {
            self.add_products(w, request, reverse)?;
        }
        if request.factored {
            self.add_factored(request, reverse)?;
        }
        Ok(())
    }

    /// Tangents that start with the rows of `v` (r, d), or with the identity.
    pub(super) fn start_along(&self, v: Option<&[F]>, r: usize) -> Start<F> {
        let stages = &self.program.stages;
        v.map_or_else(|| Start::identity(stages), |v| Start::rows(stages, v, r))
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn add_task(
        &mut self,
        name: &'static str,
        job: Job,
        kind: Kind<F>,
        start: Start<F>,
        along_v: bool,
        sinks: Vec<(usize, Sink<F>)>,
        request: &Request<F>,
    ) -> Result<(), Error> {
        let work = Work::new(&kind, self.q, request.gradient && along_v);
        let plan = match job {
            Job::Curvature => Costs::new(&self.program, work).plan(&request.mode, size_of::<F>())?,
            Job::Products => Plan::sites(),
            Job::Factored => {
                // the first segment is the fold; what comes after it is planned as usual
                let depth = self.program.depth();
                let rest = Costs::new(&self.program, work).plan(&request.mode, size_of::<F>())?.pivots;
                let pivots = [1].into_iter().chain(rest.into_iter().filter(|&p| p > 1)).filter(|&p| p < depth);
                Plan::new(0, pivots.collect::<Vec<_>>())
            }
        };
        let pivots = plan.pivots.iter().map(|&p| Start::identity(&self.program.stages[p..])).collect();
        self.tasks.push(Task { job, kind, plan, start, pivots, along_v, sinks, name, work });
        Ok(())
    }

    fn add_products(&mut self, w: &Array2<F>, request: &Request<F>, reverse: bool) -> Result<(), Error> {
        let (k, d, kw) = (self.k, self.d, w.nrows());
        if w.ncols() != d || kw == 0 {
            return Err(Error::shape(
                "the vectors of the products",
                w.shape(),
                format!("[kw, {d}] with kw at least 1"),
            ));
        }
        let field = self.add_field(Field::Products, &[k, kw]);
        let sinks = vec![(field, Sink::All)];
        let w: Vec<F> = w.iter().copied().collect();
        let flops: f64 = self.program.stages.iter().map(|s| s.sizes().flops()).sum();
        let sites = self.program.sites() as f64;
        let (by_tangents, by_adjoints) =
            (k as f64 * flops + 2.0 * (k * kw * self.q) as f64 * sites, 2.0 * (kw * self.q) as f64 * flops);
        if !reverse && request.mode == Mode::Auto && by_adjoints <= by_tangents {
            let start = self.start_along(Some(&w), kw);
            let kind = Kind::Pairs { k: kw, pairs: vec![(0, 0); k * kw] };
            return self.add_task("products", Job::Products, kind, start, false, sinks, request);
        }
        let mut rows = match &self.v {
            Some(v) => v.clone(),
            None => (0..d * d).map(|i| if i / d == i % d { F::one() } else { F::zero() }).collect(),
        };
        rows.extend(w);
        let pairs = (0..k).flat_map(|a| (0..kw).map(move |b| (a, k + b))).collect();
        let start = self.start_along(Some(&rows), k + kw);
        self.add_task("products", Job::Curvature, Kind::Pairs { k: k + kw, pairs }, start, false, sinks, request)
    }

    fn add_factored(&mut self, request: &Request<F>, reverse: bool) -> Result<(), Error> {
        if reverse {
            return Err(Error::Request("the factored Hessian has no pullback; ask for the Hessian".into()));
        }
        let Stage::Site(site) = &self.program.stages[0] else {
            return Err(Error::Request("the factored Hessian needs a first layer in the one form".into()));
        };
        if site.folds().is_none() {
            let name = &self.program.names[0];
            return Err(Error::Request(format!("the factored Hessian needs a first single layer, found {name}")));
        }
        let p = site.p;
        let start = self.start_along(self.v.as_deref(), self.k);
        let outer = Array2::from_shape_vec((self.k, p), start.through_m.clone()).expect("V M_1 is (k, p)");
        self.outer = Some(outer);
        let field = self.add_field(Field::Factored, &[p, p]);
        self.add_task("factored", Job::Factored, Kind::Full { k: p }, start, false, vec![(field, Sink::All)], request)
    }

    /// Decides where the gradient comes from, and how far adjoints go.
    fn route(&mut self, gradient: bool) {
        let depth = self.program.depth();
        self.joins = self.tasks.iter().map(|t| t.plan.prefix).collect();
        let reaches = |t: &Task<F>| if t.plan.prefix < depth { t.plan.prefix } else { depth };
        self.lowest = self.tasks.iter().map(reaches).min().unwrap_or(depth);
        if gradient {
            self.gradient = if self.lowest == 0 {
                Via::Adjoints
            } else if let Some(t) = self.tasks.iter().position(|t| t.along_v) {
                Via::Task(t)
            } else if self.q <= self.k {
                Via::Adjoints
            } else {
                self.along = Some(self.start_along(self.v.as_deref(), self.k));
                Via::Tangents
            };
        }
        if self.gradient == Via::Adjoints {
            self.lowest = 0;
        }
    }

    /// The plan of the first second-order result, if any.
    pub fn plan(&self) -> Option<&Plan> {
        self.tasks.first().map(|t| &t.plan)
    }

    /// The plan where there is nothing of second order.
    fn first_order(&self) -> Plan {
        if self.gradient == Via::Tangents { Plan::forward(self.program.depth()) } else { Plan::sites() }
    }

    /// Predicted seconds for a point.
    pub fn seconds(&self) -> f64 {
        if let Some(graph) = &self.graph {
            return seconds(graph.operations(), size_of::<F>());
        }
        let (k, q) = (self.k, self.q);
        let of = |work: Work, plan: &Plan| Costs::new(&self.program, work).of(plan).seconds(size_of::<F>());
        match &self.tasks[..] {
            [] => of(Work::first_order(k, q), &self.first_order()),
            tasks => tasks.iter().map(|task| of(task.work, &task.plan)).sum(),
        }
    }

    /// Plans and costs of all second-order results beside the alternatives.
    pub fn explain(&self, points: usize, request: &Request<F>) -> Explanation {
        let program = &self.program;
        if let Some(graph) = &self.graph {
            let layers = vec![(0, program.names[0].clone(), [self.d, 0, self.m])];
            let (directions, steps) = ([self.k, self.q], graph.steps());
            return Explanation { points, directions, layers, results: Vec::new(), tile: self.tile, steps };
        }
        let depth = program.depth();
        let layer = |(i, s): (usize, &Stage<F>)| (i, program.names[i].clone(), [s.n(), s.p(), s.n_out()]);
        let mut results = Vec::new();
        let first_order;
        let works: Vec<(&str, Work, Option<&Plan>)> = if self.tasks.is_empty() {
            first_order = self.first_order();
            let name = if request.gradient { "gradient" } else { "value" };
            vec![(name, Work::first_order(if request.gradient { self.k } else { 0 }, self.q), Some(&first_order))]
        } else {
            self.tasks.iter().map(|t| (t.name, t.work, Some(&t.plan))).collect()
        };
        for (name, work, chosen) in works {
            let costs = Costs::new(program, work);
            let candidate = |name: &str, plan: Plan| {
                let cost = costs.of(&plan);
                Candidate { name: name.into(), seconds: points as f64 * cost.seconds(size_of::<F>()), plan, cost }
            };
            let mut candidates: Vec<Candidate> = Vec::new();
            candidates.extend(chosen.map(|plan| candidate("chosen", plan.clone())));
            let others = [
                ("auto", costs.cheapest(size_of::<F>())),
                ("sites", Plan::sites()),
                ("backward", Plan::backward(depth)),
                ("forward", Plan::forward(depth)),
            ];
            candidates.extend(others.map(|(name, plan)| candidate(name, plan)));
            results.push((name.into(), candidates));
        }
        let layers = program.stages.iter().enumerate().map(layer).collect();
        Explanation { points, directions: [self.k, self.q], layers, results, tile: self.tile, steps: Vec::new() }
    }
}

fn check_indices<'a>(what: &'static str, indices: impl Iterator<Item = &'a usize>, len: usize) -> Result<(), Error> {
    for &index in indices {
        if index >= len {
            return Err(Error::Index { what, index, len });
        }
    }
    Ok(())
}
