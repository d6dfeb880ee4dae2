//! Requests that go by a schedule of the network's graph instead of sweeps over its layers.
use super::call::{Call, Via};
use super::program::{Program, Stage};
use super::rescue::Others;
use crate::execute::{GraphCall, How, Plan};
use crate::schedule::Moves;
use crate::{Error, Mode, Real, Request};
use std::sync::Arc;

/// Bytes that the buffers of a tile should stay within, so that they live in the second-level cache.
const BYTES: usize = 768 << 10;
/// Bytes of the results of a tile, at most.
const RESULTS: usize = 1 << 20;
/// Vectors of samples of a tile, at most.
const VECTORS: usize = 64;
/// What each step costs in itself is much of the work of few features; of many, sums over sites and over features are
/// fastest at few vectors, so that a tile has more than these only within fewer bytes.
const FEW: usize = 8;
const ROOMY: usize = 512 << 10;
/// Operations of a schedule each second in single precision, measured on networks of width 20 to 64.
const RATE: f64 = 60e9;
/// As many points, pulled back through narrow layers, are faster by a schedule.
pub(crate) const MANY: usize = 64;
/// Of the cost of the sweeps, what a schedule may cost at most to take their place: the costs of steps and of sweeps are
/// predicted apart, and each is off by a factor of two at times.
const GAIN: f64 = 0.25;

impl<F: Real> Call<F> {
    /// Resolves `request` against the graph of the program.
    pub(super) fn by_graph(
        program: Arc<Program<F>>,
        request: &Request<F>,
        reverse: bool,
        careful: bool,
    ) -> Result<Self, Error> {
        let (graph, theta) = program.graph.as_ref().expect("a network as a graph");
        let plan = match careful {
            true => Arc::new(Plan::new(graph, request, How { reverses: reverse, careful, pushed: None })?),
            false => program.schedules.plan(graph, request, reverse)?,
        };
        plan.fits()?;
        let others = if careful { Others::none() } else { Others::new(request) };
        let call = Self::of_plan(program.clone(), plan, theta, request);
        Ok(Self { reverses: reverse, careful, others, ..call })
    }

    /// The tangents of the results: at points `[x, x']` (n_s, 2 d) if the points move, with weights whose tangents `weights`
    /// are given if these do.
    pub(super) fn pushed(
        program: &Program<F>,
        request: &Request<F>,
        points: bool,
        weights: Option<&[F]>,
        reverse: bool,
    ) -> Result<Self, Error> {
        let (graph, theta) = program.graph.as_ref().expect("a network as a graph");
        let moves = Moves { points, weights: weights.map(|_| theta.len()) };
        let how = How { reverses: reverse, careful: false, pushed: Some(moves) };
        let plan = Arc::new(Plan::new(graph, request, how)?);
        let mut both = program.memory.spares.buffer(theta.len() + weights.map_or(0, <[F]>::len));
        both.iter_mut().zip(theta.iter().chain(weights.into_iter().flatten())).for_each(|(to, &w)| *to = w);
        let program = Program {
            n_weights: both.len(),
            names: program.names.clone(),
            memory: program.memory.clone(),
            graph: Some((graph.clone(), both)),
            ..Program::empty()
        };
        let program = Arc::new(program);
        let (_, theta) = program.graph.as_ref().expect("made above");
        let call = Self::of_plan(program.clone(), plan, theta, request);
        Ok(Self { reverses: reverse, d: if points { 2 * call.d } else { call.d }, ..call })
    }

    fn of_plan(program: Arc<Program<F>>, plan: Arc<Plan<F>>, theta: &[F], request: &Request<F>) -> Self {
        let (graph, _) = program.graph.as_ref().expect("a network as a graph");
        let call = GraphCall::new(plan, theta, &program.memory.spares);
        let (d, m) = (graph.dim_input(), graph.dim_output());
        let fields = call.fields();
        let results: usize = fields.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let lanes = super::kernels::lanes::<F>();
        let sample = call.floats_per_sample() * size_of::<F>();
        let (tile, vectors) = (BYTES / sample, (ROOMY / (sample * lanes)).clamp(FEW, VECTORS));
        let tile = tile.min(RESULTS / (results * size_of::<F>()).max(1));
        Self {
            d,
            m,
            k: request.directions.as_ref().map_or(d, |v| v.nrows()),
            q: request.outputs.as_ref().map_or(m, |u| u.ncols()),
            v: None,
            u: None,
            fields,
            tasks: Vec::new(),
            gradient: Via::None,
            lowest: 0,
            joins: Vec::new(),
            reverses: false,
            order: 0,
            tile: (tile / lanes).clamp(1, vectors) * lanes,
            even: false,
            outer: None,
            along: None,
            across: false,
            careful: false,
            others: Others::none(),
            graph: Some(call),
            program,
        }
    }

    /// Whether a schedule of the graph may cost less than these sweeps: they carry every direction, or all of the Hessian's
    /// rows, where a request reads few of them.
    pub fn may_cost_less(&self, request: &Request<F>) -> bool {
        request.mode == Mode::Auto && !request.factored && (request.second_order() || self.smooth())
    }

    /// Whether there are smooth maps, which go sample by sample.
    fn smooth(&self) -> bool {
        self.program.stages.iter().any(|s| matches!(s, Stage::Smooth(_)))
    }

    /// This schedule in the place of sweeps over the layers `program`, which are its other ways.
    pub fn instead_of(self, program: Arc<Program<F>>, request: &Request<F>) -> Self {
        Self { others: Others::of_layers(request, program), ..self }
    }

    /// Whether the pullback at [`MANY`] points is that of a schedule, where samples go side by side: the features of these
    /// sweeps leave much of the vectors of the machine unused.
    pub fn is_narrow(&self, request: &Request<F>) -> bool {
        let program = &self.program;
        let derivatives = request.gradient || request.second_order();
        self.graph.is_none() && program.narrow && request.mode == Mode::Auto && !request.factored && derivatives
    }

    /// Whether a schedule is predicted to cost so much less than these sweeps that it takes their place; instead of smooth
    /// maps, which go entry by entry through arrays of one sample, it always does.
    pub fn gives_way_to(&self, schedule: &Self) -> bool {
        self.smooth() || schedule.seconds() < GAIN * self.seconds()
    }
}

/// Predicted seconds for a point of so many operations of a schedule, in a precision of so many bytes.
pub(super) fn seconds(operations: f64, bytes: usize) -> f64 {
    operations * bytes as f64 / 4.0 / RATE
}
