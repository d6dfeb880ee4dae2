//! On the CPU: the engine of `hessquik` as one operation of Burn, with its pullback as the backward pass.
//!
//! An operation of Burn has one output, so all results of a request stand behind one another in one flat tensor, each in
//! the engine's own order of axes (sample, output, ...): nothing is copied on the way in or out.
mod layout;

pub(crate) use layout::Layout;

use crate::Error;
use crate::jets::Jets;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;
use hessquik::{Architecture, Evaluate, Field, Init, JetMut, JetView, Mode, Network, Prepared, Real, Request};
use ndarray::{Array2, ArrayView2, Axis, CowArray, Ix2};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The networks of the engine, in both precisions, with the weights of the last call.
#[derive(Debug)]
pub(crate) struct Engine {
    architecture: Architecture,
    single: OnceLock<Mutex<State<f32>>>,
    double: OnceLock<Mutex<State<f64>>>,
}

#[derive(Debug)]
struct State<F: Real> {
    network: Network<F>,
    /// The weights that it has.
    theta: Vec<F>,
    /// Requests that were resolved for them.
    prepared: Vec<(Request<f64>, Arc<Prepared<F>>)>,
    /// The same requests with their plans and their layouts, which depend on sizes alone and outlive changes of weights.
    layouts: Vec<(Request<f64>, Request<F>, Arc<Layout>)>,
}

const KEPT: usize = 8;

/// A precision with its state in the engine.
trait Precision: Real + burn::tensor::Element + bytemuck::Pod {
    fn state(engine: &Engine) -> Result<&Mutex<State<Self>>, Error>;
}

macro_rules! precision {
    ($float:ty, $field:ident) => {
        impl Precision for $float {
            fn state(engine: &Engine) -> Result<&Mutex<State<Self>>, Error> {
                if engine.$field.get().is_none() {
                    let state = State::new(&engine.architecture)?;
                    engine.$field.get_or_init(|| Mutex::new(state));
                }
                Ok(engine.$field.get().expect("set above"))
            }
        }
    };
}
precision!(f32, single);
precision!(f64, double);

impl Engine {
    pub(crate) fn new(architecture: Architecture) -> Self {
        Self { architecture, single: OnceLock::new(), double: OnceLock::new() }
    }

    fn layout(&self, request: &Request<f64>, dtype: DType) -> Result<Arc<Layout>, Error> {
        match dtype {
            DType::F32 => locked::<f32, _>(self, |state| Ok(state.layout(request)?.1)),
            _ => locked::<f64, _>(self, |state| Ok(state.layout(request)?.1)),
        }
    }
}

fn locked<F: Precision, T>(engine: &Engine, f: impl FnOnce(&mut State<F>) -> Result<T, Error>) -> Result<T, Error> {
    f(&mut F::state(engine)?.lock().unwrap_or_else(PoisonError::into_inner))
}

impl<F: Precision> State<F> {
    fn new(architecture: &Architecture) -> Result<Self, Error> {
        let network: Network<F> = architecture.build(&mut Init::zeros())?;
        let theta = network.flat_weights().to_vec();
        Ok(Self { network, theta, prepared: Vec::new(), layouts: Vec::new() })
    }

    /// The request of the engine with its plan, and the layout of its results.
    fn layout(&mut self, request: &Request<f64>) -> Result<(Request<F>, Arc<Layout>), Error> {
        if let Some((_, cast, layout)) = self.layouts.iter().find(|(known, ..)| known == request) {
            return Ok((cast.clone(), layout.clone()));
        }
        let mut cast = cast(request);
        let layout = Arc::new(Layout::new(&self.network.zeros(0, &cast)?));
        if layout.fields.iter().any(|(field, _)| *field != Field::Value) {
            cast.mode = Mode::Plan(self.network.plan(&cast)?);
        }
        self.layouts.truncate(KEPT - 1);
        self.layouts.insert(0, (request.clone(), cast.clone(), layout.clone()));
        Ok((cast, layout))
    }

    /// The request resolved for these weights.
    fn prepare(&mut self, theta: &[F], request: &Request<f64>) -> Result<(Arc<Prepared<F>>, Arc<Layout>), Error> {
        let (cast, layout) = self.layout(request)?;
        if bytemuck::cast_slice::<F, u8>(theta) != bytemuck::cast_slice::<F, u8>(&self.theta) {
            self.prepared.clear();
            self.network.set_flat_weights(theta.into())?;
            self.theta.copy_from_slice(theta);
        }
        if let Some((_, prepared)) = self.prepared.iter().find(|(known, _)| known == request) {
            return Ok((prepared.clone(), layout));
        }
        let prepared = Arc::new(Prepared::new(&self.network, cast)?);
        self.prepared.truncate(KEPT - 1);
        self.prepared.push((request.clone(), prepared.clone()));
        Ok((prepared, layout))
    }
}

/// The request in another precision.
fn cast<F: Real>(request: &Request<f64>) -> Request<F> {
    let Request { value, gradient, hessian, packed, diagonal, laplacian, factored, .. } = *request;
    let Request { operator, terms, products, block, partials, directions, outputs, mode, .. } = request.clone();
    let Request { directional, bilaplacian, .. } = *request;
    let matrix = |a: Option<ndarray::Array2<f64>>| a.map(|a| a.mapv(F::of));
    let mut cast = Request::new();
    (cast.value, cast.gradient, cast.hessian, cast.packed) = (value, gradient, hessian, packed);
    (cast.diagonal, cast.laplacian, cast.factored) = (diagonal, laplacian, factored);
    (cast.operator, cast.products, cast.block, cast.partials) = (matrix(operator), matrix(products), block, partials);
    (cast.directional, cast.bilaplacian) = (directional, bilaplacian);
    cast.terms = terms.map(|terms| terms.into_iter().map(|(axes, c)| (axes, F::of(c))).collect());
    (cast.directions, cast.outputs, cast.mode) = (matrix(directions), matrix(outputs), mode);
    cast
}

/// One call: a network and a request. It passes through Burn's operations as an argument.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    engine: Arc<Engine>,
    request: Arc<Request<f64>>,
}

/// The operation, for each backend that has it.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait EngineOps: Backend {
    /// All results, flat, for weights (flat) and points (n_s, d).
    fn jet(theta: FloatTensor<Self>, x: FloatTensor<Self>, job: Job) -> FloatTensor<Self>;

    /// The weighted sum of half the squared distances of results to targets y (n_s, entries), differentiable to the
    /// weights, then each by itself.
    fn misfit(
        theta: FloatTensor<Self>,
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        job: Job,
        weights: Vec<f64>,
    ) -> FloatTensor<Self>;
}

impl EngineOps for Flex {
    fn jet(theta: FloatTensor<Self>, x: FloatTensor<Self>, job: Job) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => forward::<f32>(&theta, &x, &job),
            _ => forward::<f64>(&theta, &x, &job),
        }
    }

    fn misfit(theta: FlexTensor, x: FlexTensor, y: FlexTensor, job: Job, weights: Vec<f64>) -> FlexTensor {
        distances([&theta, &x, &y], &job, &weights, false).0
    }
}

impl<C: CheckpointStrategy> EngineOps for Autodiff<Flex, C> {
    fn jet(theta: FloatTensor<Self>, x: FloatTensor<Self>, job: Job) -> FloatTensor<Self> {
        let nodes = [theta.node(), x.node()];
        let (theta, x) = (theta.into_primitive(), x.into_primitive());
        let out = Flex::jet(theta.clone(), x.clone(), job.clone());
        match Pullback.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((theta, x, job), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn misfit(
        theta: FloatTensor<Self>,
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        job: Job,
        weights: Vec<f64>,
    ) -> FloatTensor<Self> {
        let nodes = [theta.node()];
        let (theta, x, y) = (theta.into_primitive(), x.into_primitive(), y.into_primitive());
        match Scale.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (out, gradient) = distances([&theta, &x, &y], &job, &weights, true);
                prep.finish(gradient.expect("asked for"), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(distances([&theta, &x, &y], &job, &weights, false).0),
        }
    }
}

/// The backward pass of a loss whose gradient came with it.
#[derive(Debug)]
struct Scale;

impl Backward<Flex, 1> for Scale {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let bar = grads.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let gradient = match bar.dtype() {
            DType::F32 => scaled::<f32>(&ops.state, &bar),
            _ => scaled::<f64>(&ops.state, &bar),
        };
        grads.register::<Flex>(node.id, gradient);
    }
}

/// The gradient times the cotangent of the first entry, the loss.
fn scaled<F: Precision>(gradient: &FlexTensor, bar: &FlexTensor) -> FlexTensor {
    let by = slice::<F>(bar)[0];
    if by == F::one() {
        return gradient.clone();
    }
    vector(slice::<F>(gradient).iter().map(|&g| g * by).collect())
}

/// The backward pass: the engine's pullback gives both gradients at once.
#[derive(Debug)]
struct Pullback;

impl Backward<Flex, 2> for Pullback {
    type State = (FlexTensor, FlexTensor, Job);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let bar = grads.consume::<Flex>(&ops.node);
        let (theta, x, job) = ops.state;
        let (theta_bar, x_bar) = match x.dtype() {
            DType::F32 => backward::<f32>(&theta, &x, &bar, &job),
            _ => backward::<f64>(&theta, &x, &bar, &job),
        };
        let [theta_node, x_node] = ops.parents;
        for (node, bar) in [(theta_node, theta_bar), (x_node, x_bar)] {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, bar);
            }
        }
    }
}

/// A tensor of the CPU as a slice: its own memory where that is contiguous.
fn slice<F: Precision>(tensor: &FlexTensor) -> Cow<'_, [F]> {
    match tensor.as_slice::<F>() {
        Some(slice) => slice.into(),
        None => tensor.to_contiguous().as_slice::<F>().expect("contiguous").to_vec().into(),
    }
}

/// The points (n_s, d).
fn points<F: Precision>(x: &FlexTensor) -> CowArray<'_, F, Ix2> {
    let shape = x.layout().shape().dims::<2>();
    match slice::<F>(x) {
        Cow::Borrowed(entries) => ArrayView2::from_shape(shape, entries).expect(CHECKED).into(),
        Cow::Owned(entries) => Array2::from_shape_vec(shape, entries).expect(CHECKED).into(),
    }
}

fn tensor<F: Precision>(entries: Vec<F>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(entries, Shape::from(shape.to_vec())))
}

fn vector<F: Precision>(entries: Vec<F>) -> FlexTensor {
    let len = entries.len();
    tensor(entries, &[len])
}

const CHECKED: &str = "shapes and the request were checked before the operation";

impl Job {
    /// Resolved for these weights.
    fn prepare<F: Precision>(&self, theta: &FlexTensor) -> (Arc<Prepared<F>>, Arc<Layout>) {
        let theta = slice::<F>(theta);
        locked::<F, _>(&self.engine, |state| state.prepare(&theta, &self.request)).expect(CHECKED)
    }
}

fn forward<F: Precision>(theta: &FlexTensor, x: &FlexTensor, job: &Job) -> FlexTensor {
    let (points, (prepared, layout)) = (points::<F>(x), job.prepare::<F>(theta));
    let n = points.nrows();
    let mut flat = vec![F::zero(); n * layout.width()];
    prepared.evaluate_into(&points, layout.split(n, &mut flat)).expect(CHECKED);
    vector(flat)
}

fn backward<F: Precision>(theta: &FlexTensor, x: &FlexTensor, bar: &FlexTensor, job: &Job) -> (FlexTensor, FlexTensor) {
    let (points, (prepared, layout)) = (points::<F>(x), job.prepare::<F>(theta));
    let bar = slice::<F>(bar);
    let gradients = prepared.pullback(&points, &layout.view(points.nrows(), &bar)).expect(CHECKED);
    let input = gradients.input.into_raw_vec_and_offset().0;
    (vector(gradients.weights.into_raw_vec_and_offset().0), tensor(input, points.shape()))
}

/// What `request` asks for, by the engine, for flat weights and points on the CPU.
pub(crate) fn evaluate(
    engine: &Arc<Engine>,
    theta: Tensor<1>,
    x: Tensor<2>,
    request: &Request<f64>,
) -> Result<Jets, Error> {
    let layout = engine.layout(request, x.dtype())?;
    let samples = x.dims()[0];
    let bytes = samples as u128 * layout.width() as u128 * x.dtype().size() as u128;
    if bytes > isize::MAX as u128 {
        return Err(hessquik::Error::OutOfMemory { what: "the results".into(), bytes }.into());
    }
    let job = Job { engine: engine.clone(), request: Arc::new(request.clone()) };
    let flat = <Dispatch as EngineOps>::jet(theta.into_dispatch(), x.into_dispatch(), job);
    Ok(layout.jets(samples, Tensor::from_dispatch(flat)))
}

/// The loss and its terms, and if wanted the gradient of the loss to the weights.
fn distances(
    tensors: [&FlexTensor; 3],
    job: &Job,
    weights: &[f64],
    gradient: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    match tensors[1].dtype() {
        DType::F32 => distances_in::<f32>(tensors, job, weights, gradient),
        _ => distances_in::<f64>(tensors, job, weights, gradient),
    }
}

fn distances_in<F: Precision>(
    [theta, x, y]: [&FlexTensor; 3],
    job: &Job,
    weights: &[f64],
    gradient: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    let (points, (prepared, layout)) = (points::<F>(x), job.prepare::<F>(theta));
    let (n, targets) = (points.nrows(), slice::<F>(y));
    let (width, terms) = (layout.width(), weights.len());
    // one entry for each sample and term: summed in the order of the samples, whatever the threads did
    let sums: Vec<AtomicU64> = (0..n * terms).map(|_| AtomicU64::new(0)).collect();
    let compare = |range: Range<usize>, jet: &JetView<'_, F>, bar: &mut JetMut<'_, F>| {
        let mut start = 0;
        for (term, (_, shape)) in layout.fields.iter().enumerate() {
            let entries = shape.iter().product::<usize>();
            let (found, bar) = layout.entries(term, jet, bar);
            let (weight, mut bar) = (F::of(weights[term]), bar);
            for (i, s) in range.clone().enumerate() {
                let target = &targets[s * width + start..][..entries];
                let mut sum = 0.0;
                let found = found.index_axis(Axis(0), i);
                let mut one = |f: F, y: F| {
                    let distance = f - y;
                    sum += distance.as_f64() * distance.as_f64();
                    weight * distance
                };
                match &mut bar {
                    Some(bar) => {
                        let bar = &mut bar.index_axis_mut(Axis(0), i);
                        bar.iter_mut().zip(&found).zip(target).for_each(|((b, &f), &y)| *b = one(f, y));
                    }
                    None => found.iter().zip(target).for_each(|(&f, &y)| {
                        one(f, y);
                    }),
                }
                sums[s * terms + term].store((0.5 * sum).to_bits(), Ordering::Relaxed);
            }
            start += entries;
        }
        F::zero()
    };
    let gradient = if gradient {
        let (_, gradients) = prepared.loss_gradients(&points, compare).expect(CHECKED);
        Some(vector(gradients.weights.into_raw_vec_and_offset().0))
    } else {
        let jet = prepared.evaluate(&points).expect(CHECKED);
        compare(0..n, &jet.view(), &mut JetMut::default());
        None
    };
    let mut out = vec![0.0; 1 + terms];
    for sample in sums.chunks(terms) {
        for (t, sum) in sample.iter().enumerate() {
            out[1 + t] += f64::from_bits(sum.load(Ordering::Relaxed));
        }
    }
    out[0] = weights.iter().zip(&out[1..]).map(|(w, t)| w * t).sum();
    (vector(out.into_iter().map(F::of).collect::<Vec<F>>()), gradient)
}

/// The operation of [`EngineOps::misfit`] on tensors; `request` is for value, gradient or Hessian, one weight for each.
pub(crate) fn misfit(
    engine: &Arc<Engine>,
    theta: Tensor<1>,
    x: Tensor<2>,
    y: Tensor<2>,
    request: &Request<f64>,
    weights: Vec<f64>,
) -> Result<Tensor<1>, Error> {
    engine.layout(request, x.dtype())?;
    let job = Job { engine: engine.clone(), request: Arc::new(request.clone()) };
    let all =
        <Dispatch as EngineOps>::misfit(theta.into_dispatch(), x.into_dispatch(), y.into_dispatch(), job, weights);
    Ok(Tensor::from_dispatch(all))
}
