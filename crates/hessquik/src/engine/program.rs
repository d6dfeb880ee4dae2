//! A network lowered to a list of stages, each in the one form or a smooth map.
use super::linear::{Cover, Known, Lin, cover};
use super::schedules::Schedules;
use super::tape::{Buffer, Spares};
use super::tile::Workspace;
use crate::graph::Graph;
use crate::layer::{Form, Parts, Piece, Shift};
use crate::{Activation, Error, Layer, Real, SmoothMap};
use ndarray::{Array2, Array3, ArrayD};
use std::sync::{Arc, Mutex, PoisonError};

/// One layer in the one form: `z = u M + b`, `u' = u S + act(z) W + c`.
#[derive(Debug)]
pub(crate) struct Site<F> {
    pub n: usize,
    pub p: usize,
    pub n_out: usize,
    pub m: Lin<F>,
    pub b: Option<Vec<F>>,
    pub act: Activation,
    pub s: Lin<F>,
    pub w: Lin<F>,
    pub c: Option<Vec<F>>,
    /// First entries of `b` and `c` in the flat vector of weights, where they are weights.
    pub b_theta: Option<usize>,
    pub c_theta: Option<usize>,
    /// Who writes first into `u S + act W`, and into `G S^T + Q M^T`.
    pub forward: Cover,
    pub backward: Cover,
}

impl<F: Real> Site<F> {
    /// Whether the skip is the identity itself: then states, tangents and adjoints can be updated in place.
    pub fn skips(&self) -> bool {
        self.s.as_identity() == Some(F::one())
    }

    /// Whether the state after this layer is the activation itself, `u' = scale act(z) + c` without a skip: then
    /// everything after it depends on `u` through `z` alone.
    pub fn folds(&self) -> Option<F> {
        if self.s.is_zero() { self.w.as_identity() } else { None }
    }
}

#[derive(Debug)]
pub(crate) enum Stage<F> {
    Site(Box<Site<F>>),
    Smooth(Arc<dyn SmoothMap<F>>),
}

impl<F: Real> Stage<F> {
    pub fn n(&self) -> usize {
        match self {
            Self::Site(s) => s.n,
            Self::Smooth(s) => s.dim_input(),
        }
    }
    /// See [`Site::skips`].
    pub fn skips(&self) -> bool {
        matches!(self, Self::Site(site) if site.skips())
    }
    /// Width of the site; a smooth map has none.
    pub fn p(&self) -> usize {
        match self {
            Self::Site(s) => s.p,
            Self::Smooth(_) => 0,
        }
    }
    pub fn n_out(&self) -> usize {
        match self {
            Self::Site(s) => s.n_out,
            Self::Smooth(s) => s.dim_output(),
        }
    }
}

/// Working memory that no thread uses now, kept for the next call; that of a network outlives its weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory<F> {
    spaces: Arc<Mutex<Vec<Workspace<F>>>>,
    /// Of what was made of weights that have changed.
    pub spares: Spares<F>,
}

/// Writes weights one after another, as many entries as they have.
pub(crate) fn flatten<F: Real>(weights: &[(String, &ArrayD<F>)], mut to: &mut [F]) {
    for (_, w) in weights {
        let (these, rest) = to.split_at_mut(w.len());
        match w.as_slice() {
            Some(w) => these.copy_from_slice(w),
            None => these.iter_mut().zip(w.iter()).for_each(|(to, &w)| *to = w),
        }
        to = rest;
    }
}

impl<F> Memory<F> {
    /// The same spares, and working memory of its own: for the same weights in another form.
    pub fn apart(&self) -> Self {
        Self { spaces: Arc::default(), spares: self.spares.clone() }
    }
}

/// Working memory on loan from a [`Program`].
pub(crate) struct Space<'a, F: Real> {
    program: &'a Program<F>,
    pub space: Workspace<F>,
}

impl<F: Real> Drop for Space<'_, F> {
    fn drop(&mut self) {
        // what a tile left in the middle is not worth keeping
        if std::thread::panicking() {
            return;
        }
        let space = std::mem::take(&mut self.space);
        self.program.memory.spaces.lock().unwrap_or_else(PoisonError::into_inner).push(space);
    }
}

/// A network as the engine runs it.
#[derive(Debug)]
pub struct Program<F> {
    pub(crate) stages: Vec<Stage<F>>,
    /// Where the site of each stage starts among all sites; one more entry for their sum.
    pub(crate) offsets: Vec<usize>,
    pub(crate) n_weights: usize,
    /// Names of the stages: `1.2 (resnet)`.
    pub(crate) names: Vec<String>,
    pub(crate) memory: Memory<F>,
    /// Schedules that outlive the weights.
    pub(crate) schedules: Schedules<F>,
    /// Whether samples, not features, go side by side where a request allows it.
    pub(crate) narrow: bool,
    /// The same network as a graph, with its weights: instead of the stages, where a layer is its forward pass.
    pub(crate) graph: Option<(Arc<Graph<F>>, Buffer<F>)>,
}

/// What lowering met.
#[derive(PartialEq)]
enum Met {
    /// Stages alone.
    Stages,
    /// A layer that is its forward pass: the network is a graph, and what was lowered so far is of no use.
    Forward,
}

impl<F: Real> Program<F> {
    /// One of no layers, to be filled.
    pub(crate) fn empty() -> Self {
        Self {
            stages: Vec::new(),
            offsets: vec![0],
            n_weights: 0,
            names: Vec::new(),
            memory: Memory::default(),
            schedules: Schedules::default(),
            narrow: false,
            graph: None,
        }
    }

    /// Flattens nested networks and puts the weights into the one form; `schedules` are those that the network keeps when
    /// its weights change, as is the memory.
    pub(crate) fn lower<L: Layer<F> + ?Sized>(
        layer: &L,
        memory: Memory<F>,
        schedules: Schedules<F>,
    ) -> Result<Self, Error> {
        let mut program = Self { memory, schedules, ..Self::empty() };
        if program.schedules.forward() || program.push(layer, "")? == Met::Forward {
            program.schedules.is_forward();
            return Self::of_graph(layer, program.memory, program.schedules);
        }
        if program.stages.is_empty() {
            return Err(Error::EmptyNetwork);
        }
        program.narrow = super::across::narrow(&program.stages);
        if program.narrow {
            // sums in the same order whichever way they are taken
            for stage in &mut program.stages {
                if let Stage::Site(site) = stage {
                    site.m.sum_in_order();
                }
            }
        }
        Ok(program)
    }

    /// A network as its graph, whatever its layers are.
    pub(crate) fn of_graph<L: Layer<F> + ?Sized>(
        layer: &L,
        memory: Memory<F>,
        schedules: Schedules<F>,
    ) -> Result<Self, Error> {
        let weights = layer.weights();
        let graph = schedules.graph(layer, &weights)?;
        let mut theta = memory.spares.buffer(weights.iter().map(|(_, w)| w.len()).sum());
        flatten(&weights, &mut theta);
        let (n_weights, names) = (theta.len(), vec![layer.name()]);
        Ok(Self { n_weights, names, memory, schedules, graph: Some((graph, theta)), ..Self::empty() })
    }

    fn push<L: Layer<F> + ?Sized>(&mut self, layer: &L, position: &str) -> Result<Met, Error> {
        let stage = match layer.parts() {
            Parts::Chain(layers) => {
                let before = self.n_weights;
                let met = self.push_chain(layers, position)?;
                if met == Met::Forward || layer.is_network() {
                    return Ok(met);
                }
                let (listed, of_layers): (usize, usize) =
                    (layer.weights().iter().map(|(_, w)| w.len()).sum(), self.n_weights - before);
                if listed != of_layers {
                    let message = format!(
                        "its weights have {listed} entries, those of its layers {of_layers}: list all weights of its \
                         layers in `weights`, in their order, and no others"
                    );
                    return Err(Error::Layer { layer: at(position, layer), message });
                }
                return Ok(met);
            }
            Parts::Form(form) => Stage::Site(Box::new(self.site(layer, position, &form)?)),
            Parts::Forward => return Ok(Met::Forward),
            Parts::Smooth(map) if layer.weights().is_empty() => Stage::Smooth(map),
            Parts::Smooth(_) => {
                let message = "a smooth map cannot have weights; put them in a layer in the one form".into();
                return Err(Error::Layer { layer: at(position, layer), message });
            }
        };
        for (what, found) in [("input", stage.n()), ("output", stage.n_out())] {
            let wanted = if what == "input" { layer.dim_input() } else { layer.dim_output() };
            if found == 0 || found != wanted {
                let what = format!("the {what} dimension of layer {}", at(position, layer));
                return Err(Error::setting(what, found, format!("at least 1, and {wanted} as declared by the layer")));
            }
        }
        if let Stage::Smooth(map) = &stage {
            probe(&**map).map_err(|message| Error::Layer { layer: at(position, layer), message })?;
        }
        self.offsets.push(self.offsets[self.stages.len()] + stage.p());
        self.names.push(at(position, layer));
        self.stages.push(stage);
        Ok(Met::Stages)
    }

    fn push_chain(&mut self, layers: &[Box<dyn Layer<F>>], position: &str) -> Result<Met, Error> {
        let place = |i: usize| if position.is_empty() { format!("{i}") } else { format!("{position}.{i}") };
        if layers.is_empty() {
            return Err(Error::EmptyNetwork);
        }
        for (i, pair) in layers.windows(2).enumerate() {
            if pair[0].dim_output() != pair[1].dim_input() {
                return Err(Error::IncompatibleBlocks {
                    left: place(i),
                    left_name: pair[0].name(),
                    found: pair[0].dim_output(),
                    right: place(i + 1),
                    right_name: pair[1].name(),
                    wanted: pair[1].dim_input(),
                });
            }
        }
        for (i, layer) in layers.iter().enumerate() {
            if self.push(&**layer, &place(i))? == Met::Forward {
                return Ok(Met::Forward);
            }
        }
        Ok(Met::Stages)
    }

    fn site<L: Layer<F> + ?Sized>(&mut self, layer: &L, position: &str, form: &Form<F>) -> Result<Site<F>, Error> {
        let error = |message: String| Error::Layer { layer: at(position, layer), message };
        let [n, p, n_out] = form.dims;
        if p == 0 {
            return Err(Error::setting(format!("the width of layer {}", at(position, layer)), 0, "at least 1"));
        }
        form.act.check_in::<F>().map_err(|e| match e {
            Error::Setting { what, found, wanted } => {
                Error::setting(format!("{what} of layer {}", at(position, layer)), found, wanted)
            }
            other => other,
        })?;
        let weights = layer.weights();
        complete(form, &weights).map_err(error)?;
        let mut known = Known { list: Vec::with_capacity(weights.len()), spares: &self.memory.spares };
        for (name, array) in &weights {
            known.list.push((name, self.n_weights, *array));
            self.n_weights += array.len();
        }
        let shift = |shift: &Shift<F>, len: usize| -> Result<(Option<Vec<F>>, Option<usize>), String> {
            let (data, theta) = match shift {
                Shift::None => return Ok((None, None)),
                Shift::Constant(v) => (v.to_vec(), None),
                Shift::Weight(name) => {
                    let (theta, array) = known.find(name)?;
                    (array.iter().copied().collect(), Some(theta))
                }
            };
            if data.len() != len {
                return Err(format!("an additive vector has {} entries, expected {len}", data.len()));
            }
            Ok((Some(data), theta))
        };
        let (b, b_theta) = shift(&form.b, p).map_err(error)?;
        let (c, c_theta) = shift(&form.c, n_out).map_err(error)?;
        let m = Lin::lower(&form.m, n, p, &known).map_err(error)?;
        let s = Lin::lower(&form.s, n, n_out, &known).map_err(error)?;
        let w = Lin::lower(&form.w, p, n_out, &known).map_err(error)?;
        let (forward, backward) = (cover(&s, &w, false), cover(&s, &m, true));
        Ok(Site { n, p, n_out, m, b, act: form.act.clone(), s, w, c, b_theta, c_theta, forward, backward })
    }

    /// Working memory, that of an earlier call if there is one; it goes back when the result is dropped.
    pub(crate) fn space(&self) -> Space<'_, F> {
        // a thread that panicked has left the list as it was
        let kept = self.memory.spaces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Space { program: self, space: kept.unwrap_or_default() }
    }

    pub(crate) fn depth(&self) -> usize {
        if self.graph.is_some() {
            return 1;
        }
        self.stages.len()
    }

    /// The end of the last stage that is not affine: those after it have no second derivatives.
    pub(crate) fn curved(&self) -> usize {
        let flat = |s: &&Stage<F>| matches!(s, Stage::Site(s) if matches!(s.act, Activation::Identity));
        self.depth() - self.stages.iter().rev().take_while(flat).count()
    }

    /// Width of the state before stage `i` (the output for `i` = depth).
    pub(crate) fn width(&self, i: usize) -> usize {
        if let Some((graph, _)) = &self.graph {
            return if i == 0 { graph.dim_input() } else { graph.dim_output() };
        }
        self.stages.get(i).map_or_else(|| self.stages[i - 1].n_out(), Stage::n)
    }

    /// Sum of the widths of all sites.
    pub(crate) fn sites(&self) -> usize {
        self.offsets[self.depth()]
    }
}

/// Whether a layer in the one form uses all it has: every weight under a name of its own, and its site. What is left out
/// would give numbers all the same, of another function.
fn complete<F: Real>(form: &Form<F>, weights: &[(String, &ArrayD<F>)]) -> Result<(), String> {
    for (i, (name, _)) in weights.iter().enumerate() {
        if weights[..i].iter().any(|(other, _)| other == name) {
            return Err(format!("two of its weights are named {name:?}; give each a unique name"));
        }
    }
    let pieces = || [&form.m, &form.s, &form.w].into_iter().flat_map(|lin| &lin.pieces);
    let stands = |name: &str| {
        let in_pieces = pieces().any(|piece| matches!(piece, Piece::Weight { name: n, .. } if n == name));
        in_pieces || [&form.b, &form.c].into_iter().any(|shift| matches!(shift, Shift::Weight(n) if n == name))
    };
    if let Some((name, _)) = weights.iter().find(|(name, _)| !stands(name)) {
        return Err(format!(
            "its weight {name:?} stands nowhere in its form; put it into M, b, S, W or c, or take it out of `weights`"
        ));
    }
    let [m, s, w] = [&form.m, &form.s, &form.w].map(|lin| !lin.pieces.is_empty());
    let [n, p, n_out] = form.dims;
    match (m, w) {
        (true, true) => Ok(()),
        (true, false) => Err(format!(
            "its W is zero, so that act(z) does not reach the output; set the ({p}, {n_out}) matrix with \
             `.w(Linear::identity({p}))` or another `.w(..)`"
        )),
        (false, true) => Err(format!(
            "its M is zero, so that z does not depend on the input; set the ({n}, {p}) matrix with `.m(..)`"
        )),
        // affine, u' = u S + c
        (false, false) if s && matches!(form.b, Shift::None) => Ok(()),
        (false, false) => Err("its M and W are zero; set them with `.m(..)` and `.w(..)`".into()),
    }
}

/// Asks a smooth map for each of its operations once, at one sample: answers of other shapes than the engine reads
/// would be read all the same.
fn probe<F: Real>(map: &dyn SmoothMap<F>) -> Result<(), String> {
    let (n, n_out) = (map.dim_input(), map.dim_output());
    let u = Array2::zeros((1, n));
    let rows = |rows: usize, n: usize| Array3::zeros((1, rows, n));
    let (t1, t2, g) = (rows(2, n), rows(3, n), rows(4, n_out));
    let answers = [
        ("value", map.value(u.view()).shape().to_vec(), vec![1, n_out]),
        ("tangent", map.tangent(u.view(), t1.view()).shape().to_vec(), vec![1, 2, n_out]),
        ("adjoint", map.adjoint(u.view(), g.view()).shape().to_vec(), vec![1, 4, n]),
        ("curvature", map.curvature(u.view(), t1.view(), t2.view(), g.view()).shape().to_vec(), vec![1, 2, 3, 4]),
    ];
    match answers.into_iter().find(|(_, found, wanted)| found != wanted) {
        Some((what, found, wanted)) => Err(format!("its {what} has shape {found:?}, expected {wanted:?}")),
        None => Ok(()),
    }
}

fn at<F: Real, L: Layer<F> + ?Sized>(position: &str, layer: &L) -> String {
    if position.is_empty() { layer.name() } else { format!("{position} ({})", layer.name()) }
}
