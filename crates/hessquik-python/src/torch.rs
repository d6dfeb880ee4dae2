//! The class `TorchNetwork`: a network that reads weights and points, and writes results, in the memory of tensors.
//!
//! Tensors come as addresses and strides, since asking them for more would take longer than a small evaluation.
//! `hessquik_rs/_torch/engine.py`, the only caller, has made sure that they are on the CPU, of this precision and of the
//! shapes that are assumed here, and keeps them alive during the call.
use crate::array::Float;
use crate::errors::raise;
use crate::pool;
use hessquik::{
    Architecture, Error, Evaluate, Gradients, Init, JetMut, JetView, Layer, Mode, Network, Plan, Prepared, Request,
};
use ndarray::{Array2, ArrayView, ArrayView2, ArrayViewMut, Dimension, IntoDimension, ShapeBuilder, s};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// What a call computes: bits of results, mode, and directions with whether they are those of the output.
type Call<'a> = (u8, &'a str, Option<(usize, usize, usize, bool)>);
/// Address, number of rows, and strides of the points.
type Points = (usize, usize, usize, usize);

const VALUE: u8 = 1;
const GRADIENT: u8 = 2;
const HESSIAN: u8 = 4;
const LAPLACIAN: u8 = 8;

/// The request of some results in a mode.
fn request<F: Float>(results: u8, mode: &str) -> Result<Request<F>, Error> {
    let mut request = Request::new().mode(mode.parse()?);
    for (bit, add) in [
        (VALUE, Request::value as fn(Request<F>) -> Request<F>),
        (GRADIENT, Request::gradient),
        (HESSIAN, Request::hessian),
        (LAPLACIAN, Request::laplacian),
    ] {
        if results & bit != 0 {
            request = add(request);
        }
    }
    Ok(request)
}

/// The array that starts at an address.
///
/// # Safety
/// There must be an array of this shape and these strides, which nobody writes while the view lives.
unsafe fn view<'a, F, D: Dimension>(
    at: usize,
    shape: impl IntoDimension<Dim = D>,
    strides: impl IntoDimension<Dim = D>,
) -> ArrayView<'a, F, D> {
    let shape = shape.into_dimension().strides(strides.into_dimension());
    // SAFETY: as the caller promises.
    unsafe { ArrayView::from_shape_ptr(shape, at as *const F) }
}

/// The array that starts at an address, to be written.
///
/// # Safety
/// There must be an array of this shape and these strides, which nobody else reads or writes while the view lives.
unsafe fn view_mut<'a, F, D: Dimension>(
    at: usize,
    shape: impl IntoDimension<Dim = D>,
    strides: impl IntoDimension<Dim = D>,
) -> ArrayViewMut<'a, F, D> {
    let shape = shape.into_dimension().strides(strides.into_dimension());
    // SAFETY: as the caller promises.
    unsafe { ArrayViewMut::from_shape_ptr(shape, at as *mut F) }
}

/// A network with the weights of the last call, and what was prepared for them.
#[derive(Debug)]
struct State<F: Float> {
    network: Network<F>,
    /// The weights one after another, and the number of entries of each.
    flat: Vec<F>,
    lengths: Arc<[usize]>,
    /// Requests without directions, by their results and mode.
    prepared: Vec<(u8, Mode, Arc<Prepared<F>>)>,
    /// Their plans, which depend on sizes alone and outlive changes of weights.
    plans: Vec<(u8, Mode, Plan)>,
}

/// A call resolved against the weights that it has.
struct Resolved<F: Float> {
    prepared: Arc<Prepared<F>>,
    lengths: Arc<[usize]>,
}

impl<F: Float> State<F> {
    fn new(architecture: &Architecture) -> Result<Self, Error> {
        let network = architecture.build(&mut Init::zeros())?;
        let lengths: Arc<[usize]> = network.weights().iter().map(|(_, w)| w.len()).collect();
        let flat = vec![F::zero(); lengths.iter().sum()];
        Ok(Self { network, flat, lengths, prepared: Vec::new(), plans: Vec::new() })
    }

    /// Takes over the weights at these addresses if any differs. They are compared entry by entry: torch counts no
    /// version when a program changes weights through `.data` or through memory shared with numpy.
    ///
    /// # Safety
    /// At each address there must be as many entries as the weight has, which nobody writes meanwhile.
    unsafe fn update(&mut self, weights: &[usize]) -> Result<(), Error> {
        debug_assert_eq!(weights.len(), self.lengths.len());
        let (mut rest, mut changed) = (&mut self.flat[..], false);
        for (&at, &length) in weights.iter().zip(&*self.lengths) {
            let (kept, after) = rest.split_at_mut(length);
            // SAFETY: as the caller promises; an address of no entries may be null, and is not looked at.
            let given = if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(at as *const F, length) } };
            if bytes(kept) != bytes(given) {
                kept.copy_from_slice(given);
                changed = true;
            }
            rest = after;
        }
        if changed {
            self.prepared.clear();
            self.network.set_flat_weights(ArrayView::from(&self.flat[..]))?;
        }
        Ok(())
    }

    /// The call resolved against the network.
    ///
    /// # Safety
    /// Directions must be arrays as their sizes say.
    unsafe fn prepare(&mut self, (results, mode, directions): Call<'_>) -> Result<Arc<Prepared<F>>, Error> {
        let mode: Mode = mode.parse()?;
        if directions.is_none()
            && let Some((.., found)) = self.prepared.iter().find(|(r, m, _)| *r == results && *m == mode)
        {
            return Ok(found.clone());
        }
        let mut wish = request(results, "auto")?.mode(mode.clone());
        if directions.is_none() && results & (GRADIENT | HESSIAN | LAPLACIAN) != 0 {
            wish = wish.mode(Mode::Plan(self.plan(results, &mode)?));
        }
        if let Some((at, rows, columns, outputs)) = directions {
            // SAFETY: as the caller promises.
            let v = unsafe { view(at, (rows, columns), (columns, 1)) }.to_owned();
            wish = if outputs { wish.outputs(v) } else { wish.directions(v) };
        }
        let new = Arc::new(Prepared::new(&self.network, wish)?);
        if directions.is_none() {
            self.prepared.push((results, mode, new.clone()));
        }
        Ok(new)
    }
}

impl<F: Float> State<F> {
    /// The plan of a request without directions, found once.
    fn plan(&mut self, results: u8, mode: &Mode) -> Result<Plan, Error> {
        if let Some((.., found)) = self.plans.iter().find(|(r, m, _)| *r == results && m == mode) {
            return Ok(found.clone());
        }
        let plan = self.network.plan(&request(results, "auto")?.mode(mode.clone()))?;
        self.plans.push((results, mode.clone(), plan.clone()));
        Ok(plan)
    }
}

fn bytes<F: Float>(entries: &[F]) -> &[u8] {
    // SAFETY: floats have no padding, and every byte pattern is a valid `u8`.
    unsafe { std::slice::from_raw_parts(entries.as_ptr().cast(), size_of_val(entries)) }
}

#[derive(Debug)]
enum Precision {
    F32(Mutex<State<f32>>),
    F64(Mutex<State<f64>>),
}

/// See the page of this file.
#[pyclass(frozen, module = "hessquik_rs._native")]
#[derive(Debug)]
pub struct TorchNetwork {
    architecture: Architecture,
    state: Precision,
    /// Numbers of inputs and outputs.
    dims: (usize, usize),
}

#[pymethods]
impl TorchNetwork {
    #[new]
    fn new(architecture: &str, double: bool) -> PyResult<Self> {
        let architecture = Architecture::from_json(architecture).map_err(raise)?;
        let state = match double {
            false => Precision::F32(Mutex::new(State::new(&architecture).map_err(raise)?)),
            true => Precision::F64(Mutex::new(State::new(&architecture).map_err(raise)?)),
        };
        let network = architecture.build::<f32>(&mut Init::zeros()).map_err(raise)?;
        let dims = (network.dim_input(), network.dim_output());
        Ok(Self { architecture, state, dims })
    }

    /// Numbers of inputs and outputs.
    fn dims(&self) -> (usize, usize) {
        self.dims
    }

    /// Names and shapes of the weights, in the order in which calls have them.
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.architecture.weight_shapes()
    }

    /// Prefix and pivots of the plan for these results along `k` input and `q` output directions.
    fn plan(&self, results: u8, k: usize, q: usize, mode: &str) -> PyResult<(usize, Vec<usize>)> {
        let network = self.architecture.build::<f32>(&mut Init::zeros()).map_err(raise)?;
        let mut wish = request(results, mode).map_err(raise)?;
        let (d, m) = self.dims;
        if k != d {
            wish = wish.directions(Array2::zeros((k, d)));
        }
        if q != m {
            wish = wish.outputs(Array2::zeros((m, q)));
        }
        let plan = network.plan(&wish).map_err(raise)?;
        Ok((plan.prefix, plan.pivots))
    }

    /// What the engine says about its plan.
    fn explain(&self, points: usize, results: u8, mode: &str) -> PyResult<String> {
        let network = self.architecture.build::<f32>(&mut Init::zeros()).map_err(raise)?;
        let wish = request(results, mode).map_err(raise)?;
        Ok(network.explain(points, &wish).map_err(raise)?.to_string())
    }

    /// Writes value, gradient, and Hessian or Laplacian to these addresses, those of what is not computed being zero. In
    /// memory the output axis of derivatives stands right behind the sample axis.
    fn evaluate(
        &self,
        py: Python<'_>,
        weights: Vec<usize>,
        x: Points,
        call: Call<'_>,
        out: (usize, usize, usize),
    ) -> PyResult<()> {
        match &self.state {
            Precision::F32(state) => evaluate(py, state, self.dims, &weights, x, call, out),
            Precision::F64(state) => evaluate(py, state, self.dims, &weights, x, call, out),
        }
    }

    /// Writes the gradients to the points and to each weight to these addresses, given address and strides of the
    /// cotangents of value, gradient, and Hessian or Laplacian.
    fn pullback(
        &self,
        py: Python<'_>,
        weights: Vec<usize>,
        x: Points,
        call: Call<'_>,
        cotangents: [Option<(usize, Vec<usize>)>; 3],
        out: (usize, Vec<usize>),
    ) -> PyResult<()> {
        match &self.state {
            Precision::F32(state) => pullback(py, state, self.dims, &weights, x, call, &cotangents, &out),
            Precision::F64(state) => pullback(py, state, self.dims, &weights, x, call, &cotangents, &out),
        }
    }
}

/// The state of a call: with these weights, resolved. Python's lock is held meanwhile, so no thread waits here.
///
/// # Safety
/// Weights and directions must be where the call says.
unsafe fn prepare<F: Float>(state: &Mutex<State<F>>, weights: &[usize], call: Call<'_>) -> Result<Resolved<F>, Error> {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: as the caller promises.
    unsafe {
        state.update(weights)?;
        Ok(Resolved { prepared: state.prepare(call)?, lengths: state.lengths.clone() })
    }
}

/// Numbers of input and output directions.
fn directions((d, m): (usize, usize), call: Call<'_>) -> (usize, usize) {
    match call.2 {
        None => (d, m),
        Some((_, rows, _, false)) => (rows, m),
        Some((_, _, columns, true)) => (d, columns),
    }
}

fn evaluate<F: Float>(
    py: Python<'_>,
    state: &Mutex<State<F>>,
    dims: (usize, usize),
    weights: &[usize],
    (at, n, row, column): Points,
    call: Call<'_>,
    (value, gradient, second): (usize, usize, usize),
) -> PyResult<()> {
    let (k, q) = directions(dims, call);
    let has = |bit| call.0 & bit != 0;
    // SAFETY: the caller has tensors of these shapes and strides, the results fresh ones, and keeps all of them.
    let (Resolved { prepared, .. }, x, out) = unsafe {
        let x: ArrayView2<F> = view(at, (n, dims.0), (row, column));
        let out = JetMut {
            value: has(VALUE).then(|| view_mut(value, (n, q), (q, 1))),
            gradient: has(GRADIENT).then(|| view_mut(gradient, (n, k, q), (k * q, 1, k))),
            hessian: has(HESSIAN).then(|| view_mut(second, (n, k, k, q), (k * k * q, k, 1, k * k))),
            laplacian: has(LAPLACIAN).then(|| view_mut(second, (n, q), (q, 1))),
            ..Default::default()
        };
        (prepare(state, weights, call).map_err(raise)?, x, out)
    };
    let small = pool::small(&prepared, n, prepared.tile())?;
    pool::run(py, small, |go_on| prepared.evaluate_into_while(&x, out, go_on))?.map_err(raise)?;
    Ok(())
}

#[allow(clippy::too_many_arguments)] // those of the method
fn pullback<F: Float>(
    py: Python<'_>,
    state: &Mutex<State<F>>,
    dims: (usize, usize),
    weights: &[usize],
    (at, n, row, column): Points,
    call: Call<'_>,
    cotangents: &[Option<(usize, Vec<usize>)>; 3],
    (x_bar, weight_bars): &(usize, Vec<usize>),
) -> PyResult<()> {
    let (k, q) = directions(dims, call);
    let [value, gradient, second] = cotangents;
    let (hessian, laplacian) = if call.0 & HESSIAN != 0 { (second, &None) } else { (&None, second) };
    // SAFETY: the caller has tensors of these shapes and strides, the results fresh ones, and keeps all of them.
    let (Resolved { prepared, lengths }, x, bars) = unsafe {
        let x: ArrayView2<F> = view(at, (n, dims.0), (row, column));
        let bars = JetView {
            value: value.as_ref().map(|(at, s)| view(*at, (n, q), (s[0], s[1]))),
            gradient: gradient.as_ref().map(|(at, s)| view(*at, (n, k, q), (s[0], s[1], s[2]))),
            hessian: hessian.as_ref().map(|(at, s)| view(*at, (n, k, k, q), (s[0], s[1], s[2], s[3]))),
            laplacian: laplacian.as_ref().map(|(at, s)| view(*at, (n, q), (s[0], s[2]))),
            ..Default::default()
        };
        (prepare(state, weights, call).map_err(raise)?, x, bars)
    };
    let small = pool::small(&prepared, n, prepared.pullback_tile().map_err(raise)?)?;
    let gradients = pool::run(py, small, |go_on| prepared.pullback_while(&x, &bars, go_on))?.map_err(raise)?;
    if let Some(Gradients { weights, input }) = gradients {
        // SAFETY: as above.
        unsafe {
            view_mut(*x_bar, input.dim(), (dims.0, 1)).assign(&input);
            let mut start = 0;
            for (&at, &length) in weight_bars.iter().zip(&*lengths) {
                view_mut(at, length, 1).assign(&weights.slice(s![start..start + length]));
                start += length;
            }
        }
    }
    Ok(())
}
