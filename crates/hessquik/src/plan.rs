//! The plan: where tangents start, what that costs, and the cheapest choice.
//!
//! It depends on sizes only. With `S_j` the Hessian of the network with respect to the state after `j` layers, the
//! Hessian is `T_j S_j T_j^T` plus the sites up to `j`. So tangents may restart as identities at any state (a *pivot*),
//! with `S_j` lifted back; or the Hessian may be carried forward through the first layers (the *prefix*) and contracted
//! with the adjoints there. The cost of a plan is a sum over prefix, segments and lifts, so the cheapest plan is a
//! shortest path over the layers (see Naumann and Burela, *Hessian chain bracketing*, 2023).
use crate::engine::{Program, Stage, StageSizes, Work, spared};
use crate::{Error, Mode, Real};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How second derivatives are computed: forward mode through the first `prefix` layers, then the sum over the sites of
/// the others, with tangents restarted as identities before each layer in `pivots`. Layers are counted with nested
/// networks flattened.
///
/// Every plan gives the same numbers; [`Mode::Auto`] takes the cheapest.
///
/// ```
/// use hessquik::{Activation, Evaluate, Init, Mode, Plan, Request, fully_connected};
/// let network = fully_connected::<f64>(&[9, 4, 4, 2], Activation::Tanh, &mut Init::seed(0))?;
/// let x = ndarray::Array2::ones((3, 9));
/// let request = Request::new().hessian();
/// let sum = network.evaluate(&x, &request.clone().mode(Mode::Sites))?.hessian.unwrap();
/// let pivot = network.evaluate(&x, &request.mode(Mode::Plan(Plan::new(0, [1]))))?.hessian.unwrap();
/// assert!((sum - pivot).iter().all(|e| e.abs() < 1e-14));
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// Number of layers through which the Hessian is carried forward.
    pub prefix: usize,
    /// Indices of the layers before which tangents restart, increasing, above `prefix` and below the number of layers.
    pub pivots: Vec<usize>,
}

impl Plan {
    /// A plan with this prefix and these pivots.
    pub fn new(prefix: usize, pivots: impl Into<Vec<usize>>) -> Self {
        Self { prefix, pivots: pivots.into() }
    }

    /// The plain sum over the sites.
    pub fn sites() -> Self {
        Self::default()
    }

    /// hessQuik's forward mode for a network of `depth` layers.
    pub fn forward(depth: usize) -> Self {
        Self::new(depth, [])
    }

    /// hessQuik's backward mode for a network of `depth` layers.
    pub fn backward(depth: usize) -> Self {
        Self::new(0, (1..depth).collect::<Vec<_>>())
    }

    /// Whether the plan fits a network of `depth` layers.
    pub(crate) fn check(&self, depth: usize) -> Result<(), Error> {
        let mut before = self.prefix;
        let increasing = self.pivots.iter().all(|&p| p > std::mem::replace(&mut before, p));
        if self.prefix > depth || !increasing || self.pivots.last().is_some_and(|&p| p >= depth) {
            let wanted = format!("a prefix of at most {depth} layers and increasing pivots between it and {depth}");
            return Err(Error::setting("the plan", self, wanted));
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.prefix, &self.pivots[..]) {
            (0, []) => write!(f, "sites"),
            (c, []) => write!(f, "forward through layers 0..{c}, then sites"),
            (0, pivots) => write!(f, "sites, pivots at {pivots:?}"),
            (c, pivots) => write!(f, "forward through layers 0..{c}, then sites, pivots at {pivots:?}"),
        }
    }
}

/// The cost of a computation, per sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Floating-point operations in matrix products.
    pub flops: f64,
    /// Elements that pass through activations and elementwise operations.
    pub elements: f64,
    /// Entries of the results that are written.
    pub outputs: f64,
}

impl std::ops::Add for Cost {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { flops: self.flops + o.flops, elements: self.elements + o.elements, outputs: self.outputs + o.outputs }
    }
}

impl Cost {
    /// Predicted seconds on one thread of a core with 512-bit vectors, from the rates of matrix products, of
    /// elementwise passes and of writing, for entries of `bytes` bytes.
    pub fn seconds(&self, bytes: usize) -> f64 {
        // ANCHOR: seconds
        let single = 4.0 / bytes as f64;
        self.flops / (150e9 * single) + self.elements / (12e9 * single) + self.outputs * bytes as f64 / 10e9
        // ANCHOR_END: seconds
    }
}

/// Costs of one network for one piece of work (a kind of second derivative along `k` directions).
pub(crate) struct Costs {
    stages: Vec<StageSizes>,
    work: Work,
    /// The end of the last stage that is not affine.
    curved: usize,
    /// Over the stages before each: what `r` rows that pass to the next state cost per row (flops, elements), the sums
    /// over sites per term, and the curvature of smooth maps per pair of rows.
    sums: Vec<[f64; 4]>,
    /// For tangents that start before each stage, what a row is spared by columns that stay fixed (flops): at the next
    /// stage, at the two that follow, and so on.
    spared: Vec<Vec<f64>>,
}

impl Costs {
    pub fn new<F: Real>(program: &Program<F>, work: Work) -> Self {
        let stages: Vec<StageSizes> = program.stages.iter().map(Stage::sizes).collect();
        let mut sums = vec![[0.0; 4]];
        for s in &stages {
            let [flops, elements, terms, pairs] = sums[sums.len() - 1];
            let (site, smooth) = if s.smooth { (0.0, 2.0 * work.q * s.n) } else { (2.0 * work.q * s.p, 0.0) };
            let passes = 2.0 * s.p + s.n_out + 0.5 * site;
            sums.push([flops + s.flops(), elements + passes, terms + site, pairs + smooth]);
        }
        let spared = (0..stages.len()).map(|a| spared(&program.stages[a..])).collect();
        Self { stages, work, curved: program.curved(), sums, spared }
    }

    /// Of tangents that start before stage `a`, what a row is spared before stage `b`.
    fn spared(&self, a: usize, b: usize) -> f64 {
        let after = &self.spared[a][..self.spared[a].len().min(b - a - 1)];
        after.last().copied().unwrap_or(0.0)
    }

    /// Value sweep, and activations with two derivatives.
    fn values(&self) -> Cost {
        let cost = |s: &StageSizes| Cost { flops: s.flops(), elements: 12.0 * s.p + s.n_out, outputs: 0.0 };
        self.stages.iter().map(cost).fold(Cost::default(), |a, b| a + b)
    }

    /// Adjoint sweep through stage `i`.
    fn adjoint(&self, i: usize) -> Cost {
        let (s, q) = (&self.stages[i], self.work.q);
        Cost { flops: q * s.flops(), elements: q * (3.0 * s.p + s.n), outputs: 0.0 }
    }

    /// `r` tangents through stage `i`; the first of a segment starts from rows that all samples share.
    fn tangent(&self, i: usize, r: f64, first: bool, to_state: bool) -> Cost {
        let s = &self.stages[i];
        let m = if first { 0.0 } else { s.m };
        let through = if to_state { s.s + s.w } else { 0.0 };
        let elements = r * (s.p + if to_state { s.p + s.n_out } else { 0.0 });
        Cost { flops: r * (m + through), elements, outputs: 0.0 }
    }

    /// Forward mode through stage `i`: tangents and carried rows.
    fn carry(&self, i: usize) -> Cost {
        let (s, w) = (&self.stages[i], &self.work);
        let rows = if i == 0 { w.rows * s.w } else { w.rows * s.flops() };
        let curvature = 6.0 * w.carried[0] * if s.smooth { s.n * s.n_out } else { s.p };
        let rows = rows + w.carried[1] * s.p;
        let elements = w.rows * (7.0 * s.p + 3.0 * s.n_out) + curvature;
        let spared = if i == 0 { 0.0 } else { w.k * (self.spared(0, i + 1) - self.spared(0, i)) };
        self.tangent(i, w.k, i == 0, true) + Cost { flops: rows - spared, elements, outputs: 0.0 }
    }

    /// Tangents and sites of the stages `a .. b`, and the lift of the Hessian with respect to the state after them; the
    /// first segment (`head`) goes on with the tangents of the prefix, the others restart from identities.
    fn segment(&self, a: usize, b: usize, head: bool, r: f64, terms: f64) -> Cost {
        let (q, last) = (self.work.q, b == self.stages.len());
        let folds = !last && self.stages[b - 1].folds;
        let shared = a == 0 || !head;
        let end = if last { self.curved.max(a + 1) } else { b };
        let sum = |i: usize| self.sums[end][i] - self.sums[a][i];
        // ANCHOR: segment
        let mut cost = Cost { flops: r * sum(0) + terms * sum(2) + r * r * sum(3), elements: r * sum(1), outputs: 0.0 };
        // ANCHOR_END: segment
        if shared {
            cost.flops -= r * (self.stages[a].m + self.spared(a, end));
        }
        let s = &self.stages[end - 1];
        if last || folds {
            // the last sweep ends with the site
            cost.flops -= r * (s.s + s.w);
            cost.elements -= r * (s.p + s.n_out);
        }
        if folds {
            cost.flops -= terms * 2.0 * q * s.p;
            cost.elements -= r * q * s.p;
        }
        // ANCHOR: lift_cost
        if !last {
            let n = self.stages[b].n;
            cost.flops += q * (2.0 * r * n * n + 2.0 * terms * n);
            // factors are packed, blocks mirrored
            cost.elements += r * n + q * (r * n + r * r + if folds { n * n } else { 0.0 });
        }
        // ANCHOR_END: lift_cost
        cost
    }

    /// The whole cost of a plan.
    pub fn of(&self, plan: &Plan) -> Cost {
        let (w, depth) = (&self.work, self.stages.len());
        let mut cost = self.values();
        for i in 0..plan.prefix {
            cost = cost + self.carry(i);
        }
        for i in plan.prefix..depth {
            cost = cost + self.adjoint(i);
        }
        cost = cost + self.join(plan.prefix);
        if plan.prefix < depth {
            let cuts: Vec<usize> =
                [plan.prefix].into_iter().chain(plan.pivots.iter().copied()).chain([depth]).collect();
            for (j, cut) in cuts.windows(2).enumerate() {
                let n = self.stages[cut[0]].n;
                let (r, terms) = if j == 0 { (w.k, w.terms) } else { (n, n * (n + 1.0) / 2.0) };
                cost = cost + self.segment(cut[0], cut[1], j == 0, r, terms);
            }
        }
        cost.outputs += w.outputs;
        cost
    }

    /// Contraction of what was carried forward, and of the tangents for the gradient, with the adjoints there.
    fn join(&self, prefix: usize) -> Cost {
        let w = &self.work;
        let n = self.stages.get(prefix).map_or(0.0, |s| s.n);
        let gradient = if w.gradient { 2.0 * w.k * n * w.q } else { 0.0 };
        let carried = if prefix > 0 { 2.0 * w.rows * n * w.q } else { 0.0 };
        Cost { flops: gradient + carried, elements: w.k * w.q, outputs: 0.0 }
    }

    /// The cheapest plan, by a shortest path over the layers from the last to the first.
    pub fn cheapest(&self, bytes: usize) -> Plan {
        let (w, depth) = (&self.work, self.stages.len());
        let seconds = |cost: Cost| cost.seconds(bytes);
        // tail[a]: cost and next pivot of the cheapest way from a restart before layer a to the end
        // ANCHOR: tail
        let mut tail = vec![(0.0, depth); depth + 1];
        let step = |a: usize, head: bool, r: f64, terms: f64, tail: &[(f64, usize)]| {
            let to = |b: usize| (seconds(self.segment(a, b, head, r, terms)) + tail[b].0, b);
            (a + 1..=depth).map(to).min_by(|x, y| x.0.total_cmp(&y.0)).expect("at least one layer is left")
        };
        for a in (1..depth).rev() {
            let n = self.stages[a].n;
            tail[a] = step(a, false, n, n * (n + 1.0) / 2.0, &tail);
        }
        // ANCHOR_END: tail
        let mut best = (f64::INFINITY, Plan::default());
        let mut carried = 0.0;
        let mut adjoints: f64 = (0..depth).map(|i| seconds(self.adjoint(i))).sum();
        for prefix in 0..=depth {
            let (rest, first) = if prefix < depth { step(prefix, true, w.k, w.terms, &tail) } else { (0.0, depth) };
            let total = carried + adjoints + seconds(self.join(prefix)) + rest;
            if total < best.0 {
                let pivots = std::iter::successors(Some(first), |&p| (p < depth).then(|| tail[p].1));
                best = (total, Plan::new(prefix, pivots.take_while(|&p| p < depth).collect::<Vec<_>>()));
            }
            if prefix < depth {
                carried += seconds(self.carry(prefix));
                adjoints -= seconds(self.adjoint(prefix));
            }
        }
        best.1
    }

    /// The plan of a mode.
    pub fn plan(&self, mode: &Mode, bytes: usize) -> Result<Plan, Error> {
        let depth = self.stages.len();
        Ok(match mode {
            Mode::Auto => self.cheapest(bytes),
            Mode::Forward => Plan::forward(depth),
            Mode::Backward => Plan::backward(depth),
            Mode::Sites => Plan::sites(),
            Mode::Plan(plan) => {
                plan.check(depth)?;
                plan.clone()
            }
        })
    }
}

/// One way to compute a result, with its predicted cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// `auto`, `sites`, `backward` or `forward`; `chosen` for the mode of the request.
    pub name: String,
    /// The plan.
    pub plan: Plan,
    /// Cost per sample.
    pub cost: Cost,
    /// Predicted seconds for all points, on one thread.
    pub seconds: f64,
}

/// The plan of a request, its predicted cost, and the alternatives; `Display` prints a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Number of points.
    pub points: usize,
    /// Input and output directions.
    pub directions: [usize; 2],
    /// The layers, with nested networks flattened: index, name, and widths of state, site and next state.
    pub layers: Vec<(usize, String, [usize; 3])>,
    /// For each second-order result: its name and the candidates, the chosen one first.
    pub results: Vec<(String, Vec<Candidate>)>,
    /// Number of points that go through all sweeps at once.
    pub tile: usize,
    /// If the request is computed by a schedule of the network's graph: its steps in order, starting with those that
    /// are the same for all points. Empty if it follows the plans above.
    pub steps: Vec<StepCost>,
}

/// One step of a schedule.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StepCost {
    /// The operation and the buffers that it reads.
    pub step: String,
    /// The buffer that it writes: number, features and rows.
    pub out: [usize; 3],
    /// Whether it runs once for all points.
    pub once: bool,
    /// Operations per point.
    pub operations: f64,
}

impl std::fmt::Display for StepCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [id, n, rows] = self.out;
        let once = if self.once { "once" } else { "" };
        let shape = format!("({n}, {rows})");
        write!(f, "  %{id:<5} {shape:<14} {once:<5} {:>12.0}  {}", self.operations, self.step)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [k, q] = self.directions;
        writeln!(f, "{} points, {k} input and {q} output directions, tiles of {}", self.points, self.tile)?;
        for (i, name, [n, p, n_out]) in &self.layers {
            writeln!(f, "  layer {i:>2}  {name:<24} {n:>6} -> site {p:>6} -> {n_out:>6}")?;
        }
        for (result, candidates) in &self.results {
            writeln!(f, "{result}")?;
            writeln!(f, "  {:<10} {:>12} {:>12} {:>12}  plan", "", "flop/point", "passes/point", "ms in all")?;
            for c in candidates {
                let (flops, elements) = (c.cost.flops, c.cost.elements);
                writeln!(f, "  {:<10} {flops:>12.0} {elements:>12.0} {:>12.4}  {}", c.name, c.seconds * 1e3, c.plan)?;
            }
        }
        if !self.steps.is_empty() {
            let operations: f64 = self.steps.iter().map(|s| s.operations).sum();
            writeln!(f, "a schedule of {} steps, {operations:.0} operations a point", self.steps.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Kind;
    use crate::{Activation, Init, Layer, Network, Resnet, Single};

    /// Every plan of a network of `depth` layers.
    fn all_plans(depth: usize) -> Vec<Plan> {
        let mut plans = Vec::new();
        for prefix in 0..=depth {
            let places: Vec<usize> = (prefix + 1..depth).collect();
            for choice in 0..1u32 << places.len() {
                let chosen = places.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|(_, &p)| p);
                plans.push(Plan::new(prefix, chosen.collect::<Vec<_>>()));
            }
        }
        plans
    }

    #[test]
    fn the_shortest_path_is_the_cheapest_of_all_plans() {
        let init = &mut Init::zeros();
        let shapes: [&[usize]; 6] = [
            &[2, 64, 64, 64, 1],
            &[784, 64, 64, 10],
            &[3, 20, 1000],
            &[100, 8, 100, 8, 100, 3],
            &[64, 64, 64],
            &[1, 5, 40, 2, 40, 7],
        ];
        let mut chosen = std::collections::HashSet::new();
        for widths in shapes {
            let mut layers: Vec<Box<dyn Layer<f32>>> = Vec::new();
            for w in widths.windows(2) {
                layers.push(if w[0] == w[1] {
                    Box::new(Resnet::new(w[0], 1.0, Activation::Tanh, init))
                } else {
                    Box::new(Single::new(w[0], w[1], Activation::Tanh, init))
                });
            }
            let network = Network::new(layers).unwrap();
            let (d, q) = (network.dim_input(), network.dim_output());
            let kinds = [
                Kind::Full { k: d },
                Kind::Pairs { k: d, pairs: (0..d).map(|a| (a, a)).collect() },
                Kind::<f32>::Trace { signs: vec![1.0; d] },
            ];
            for (kind, gradient) in kinds.iter().flat_map(|k| [(k, false), (k, true)]) {
                let program = network.program().unwrap();
                let costs = Costs::new(&program, Work::new(kind, q, gradient));
                let seconds = |p: &Plan| costs.of(p).seconds(4);
                let best = all_plans(widths.len() - 1).iter().map(seconds).fold(f64::INFINITY, f64::min);
                let found = costs.cheapest(4);
                let ratio = seconds(&found) / best;
                assert!((ratio - 1.0).abs() < 1e-12, "{widths:?} {kind:?}: {found} costs {ratio} times the cheapest");
                chosen.insert((found.prefix > 0, !found.pivots.is_empty()));
            }
        }
        assert!(chosen.len() >= 3, "the shapes want different plans, found {chosen:?}");
    }
}
