//! The class `Network`: a network in either precision, whose weights may be changed while other threads evaluate it.
use crate::array::{self, Float};
use crate::calls;
use crate::checks;
use crate::errors::{self, raise};
use crate::estimates::{self, Draw};
use crate::pool;
use crate::results::views;
use crate::schedule;
use crate::settings::fit;
use crate::tangents::{self, Rates};
use crate::wish::Wish;
use hessquik::{Architecture, Error, Evaluate, Init, Layer, PointDirections, Prepared, Request};
use ndarray::{Ix1, Ix2};
use numpy::PyReadonlyArrayDyn;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests that a network keeps resolved.
const KEPT: usize = 8;

/// A network with the requests that were last resolved against it.
#[derive(Debug)]
pub struct Model<F: Float> {
    pub(crate) network: hessquik::Network<F>,
    prepared: Mutex<Vec<Arc<Prepared<F>>>>,
    /// The network along directions of each point, of which there were so many when it was last asked for.
    along: Mutex<Option<(usize, Arc<Self>)>>,
}

impl<F: Float> Model<F> {
    fn new(network: hessquik::Network<F>) -> Self {
        Self { network, prepared: Mutex::new(Vec::new()), along: Mutex::default() }
    }

    /// The request resolved against the network, now or at an earlier call.
    pub fn prepare(&self, request: Request<F>) -> Result<Arc<Prepared<F>>, Error> {
        let mut kept = lock(&self.prepared);
        if let Some(found) = kept.iter().find(|p| *p.request() == request) {
            return Ok(found.clone());
        }
        let new = Arc::new(Prepared::new(&self.network, request)?);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(new.clone());
        Ok(new)
    }

    /// The network along `k` directions of each point.
    fn along(&self, k: usize) -> Result<Arc<Self>, Error> {
        let mut kept = lock(&self.along);
        if let Some((_, found)) = kept.as_ref().filter(|(count, _)| *count == k) {
            return Ok(found.clone());
        }
        let new = Arc::new(Self::new(PointDirections::new(&self.network, k)?.network().clone()));
        *kept = Some((k, new.clone()));
        Ok(new)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // what is kept is whole at every moment, even after a panic
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model that evaluations hold on to while it is replaced by one with other weights.
#[derive(Debug)]
struct Shared<F: Float>(Mutex<Arc<Model<F>>>);

impl<F: Float> Shared<F> {
    fn new(network: hessquik::Network<F>) -> Self {
        Self(Mutex::new(Arc::new(Model::new(network))))
    }

    fn get(&self) -> Arc<Model<F>> {
        lock(&self.0).clone()
    }

    /// Changes the weights: in place, or in a copy while an evaluation goes on with the old ones.
    fn change(&self, f: impl FnOnce(&mut hessquik::Network<F>) -> Result<(), Error>) -> PyResult<()> {
        let mut model = lock(&self.0);
        if let Some(model) = Arc::get_mut(&mut model) {
            model.prepared.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
            *model.along.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
            return f(&mut model.network).map_err(raise);
        }
        let mut network = model.network.clone();
        f(&mut network).map_err(raise)?;
        *model = Arc::new(Model::new(network));
        Ok(())
    }
}

#[derive(Debug)]
enum Precision {
    F32(Shared<f32>),
    F64(Shared<f64>),
}

/// `$body` with `$shared` the network in its precision, and `F` that precision.
macro_rules! with {
    ($network:expr, $shared:ident => $body:expr) => {
        match &$network.0 {
            Precision::F32($shared) => {
                #[allow(dead_code)]
                type F = f32;
                $body
            }
            Precision::F64($shared) => {
                #[allow(dead_code)]
                type F = f64;
                $body
            }
        }
    };
}

/// What a pickle keeps: the class, its arguments, and the weights, which files would refuse if they are not finite.
type Reduced<'py> = (Bound<'py, PyAny>, (String, &'static str), Bound<'py, PyAny>);

/// A network; see `hessquik_rs.Network`, which wraps it.
#[pyclass(frozen, module = "hessquik_rs._native")]
#[derive(Debug)]
pub struct Network(Precision);

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (architecture, dtype = "float64", seed = None))]
    fn new(architecture: &str, dtype: &str, seed: Option<u64>) -> PyResult<Self> {
        let architecture = Architecture::from_json(architecture).map_err(raise)?;
        let init = &mut seed.map_or_else(Init::zeros, Init::seed);
        Ok(Self(match dtype {
            "float32" => {
                fit::<f32>(&architecture).map_err(raise)?;
                Precision::F32(Shared::new(architecture.build(init).map_err(raise)?))
            }
            "float64" => Precision::F64(Shared::new(architecture.build(init).map_err(raise)?)),
            other => return Err(errors::dtype("the network", other, "float32 or float64")),
        }))
    }

    #[staticmethod]
    #[pyo3(signature = (path, dtype = None))]
    fn load(py: Python<'_>, path: PathBuf, dtype: Option<&str>) -> PyResult<Self> {
        let file = path.clone();
        // it may be a pipe that nobody writes to yet
        let bytes = pool::wait_for(py, move || std::fs::read(file))?;
        let bytes = bytes.map_err(|source| raise(Error::Io { path: path.clone(), source }))?;
        let of_file = |error| match error {
            Error::File { message, .. } => raise(Error::File { path: path.clone(), message }),
            other => raise(other),
        };
        let not_a_model = |message| raise(Error::File { path: path.clone(), message });
        let stored = match dtype {
            None if hessquik::weights_dtype_of_bytes(&bytes).map_err(not_a_model)? == "f32" => "float32",
            None => "float64",
            Some(dtype) => dtype,
        };
        match stored {
            "float32" => Self::single(hessquik::Network::from_bytes_of(&path, &bytes).map_err(of_file)?),
            "float64" => Ok(Self::double(hessquik::Network::from_bytes_of(&path, &bytes).map_err(of_file)?)),
            other => Err(errors::dtype("the network", other, "float32 or float64")),
        }
    }

    fn save(&self, path: PathBuf) -> PyResult<()> {
        with!(self, shared => shared.get().network.save(path).map_err(raise))
    }

    fn save_onnx(&self, path: PathBuf, request: &str) -> PyResult<()> {
        with!(self, shared => {
            let request = hessquik::Request::parse(request).map_err(raise)?;
            shared.get().network.save_onnx_with(path, &request).map_err(raise)
        })
    }

    /// The same network in another precision; a copy if it is the same.
    fn cast(&self, dtype: &str) -> PyResult<Self> {
        Ok(Self(match (&self.0, dtype) {
            (Precision::F32(n), "float32") => Precision::F32(Shared::new(n.get().network.clone())),
            (Precision::F64(n), "float64") => Precision::F64(Shared::new(n.get().network.clone())),
            (Precision::F32(n), "float64") => Precision::F64(Shared::new(n.get().network.cast().map_err(raise)?)),
            (Precision::F64(n), "float32") => {
                Precision::F32(Shared::new(fitting(n.get().network.cast().map_err(raise)?)?))
            }
            (_, other) => return Err(errors::dtype("the network", other, "float32 or float64")),
        }))
    }

    fn copy(&self) -> PyResult<Self> {
        self.cast(self.dtype())
    }

    /// The network of steps, points and their directions, of which there are so many at each point, with the weights
    /// that this one has now.
    fn along(&self, directions: usize) -> PyResult<Self> {
        Ok(Self(match &self.0 {
            Precision::F32(shared) => {
                Precision::F32(Shared(Mutex::new(shared.get().along(directions).map_err(raise)?)))
            }
            Precision::F64(shared) => {
                Precision::F64(Shared(Mutex::new(shared.get().along(directions).map_err(raise)?)))
            }
        }))
    }

    #[getter]
    fn architecture(&self) -> PyResult<String> {
        let architecture = with!(self, shared => shared.get().network.architecture());
        // every layer that Python can build has one
        architecture.map(|a| a.to_json()).ok_or_else(|| PyTypeError::new_err("the network has no description"))
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        with!(self, _shared => F::DTYPE)
    }

    #[getter]
    fn dim_input(&self) -> usize {
        with!(self, shared => shared.get().network.dim_input())
    }

    #[getter]
    fn dim_output(&self) -> usize {
        with!(self, shared => shared.get().network.dim_output())
    }

    #[getter]
    fn n_weights(&self) -> usize {
        with!(self, shared => shared.get().network.n_weights())
    }

    fn weight_names(&self) -> Vec<String> {
        with!(self, shared => shared.get().network.weights().into_iter().map(|(name, _)| name).collect())
    }

    fn weight<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        with!(self, shared => {
            let array = shared.get().network.weight(name).map_err(raise)?.to_owned();
            Ok(array::out(py, array).into_any())
        })
    }

    /// Sets the weights of a dictionary by name, all of them or none; the others stay as they are then, whatever other
    /// threads change.
    fn set_some(&self, weights: &Bound<'_, PyDict>) -> PyResult<()> {
        with!(self, shared => {
            let mut given = HashMap::with_capacity(weights.len());
            for (name, array) in weights {
                let name: String = name.extract()?;
                shared.get().network.weight(&name).map_err(raise)?;
                let array = array::read::<F>(&format!("weight {name}"), &array)?;
                given.insert(name, array);
            }
            shared.change(|network| {
                let all = network.weights().into_iter().map(|(name, present)| match given.get(&name) {
                    Some(array) => array.as_array().to_owned(),
                    None => present.to_owned(),
                });
                let all: Vec<_> = all.collect();
                network.set_weights(&all.iter().map(|w| w.view()).collect::<Vec<_>>())
            })
        })
    }

    fn flat_weights<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        with!(self, shared => array::out(py, shared.get().network.flat_weights()).into_any())
    }

    fn set_flat_weights(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let what = "the flat vector of weights";
        with!(self, shared => {
            let array = array::read::<F>(what, array)?;
            let flat = array::fixed::<F, Ix1>(what, array.as_array())?;
            shared.change(|network| network.set_flat_weights(flat))
        })
    }

    /// Sets all weights from a list of arrays in the order of `weight_names()`.
    fn set_weights(&self, arrays: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        with!(self, shared => {
            let arrays = read_all::<F>(&arrays)?;
            shared.change(|network| network.set_weights(&views(&arrays)))
        })
    }

    /// A copy of this network with these weights, in the order of `weight_names()`.
    fn with_weights(&self, arrays: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        fn copy<F: Float>(shared: &Shared<F>, arrays: &[Bound<'_, PyAny>]) -> PyResult<Shared<F>> {
            let arrays = read_all::<F>(arrays)?;
            let mut network = shared.get().network.clone();
            network.set_weights(&views(&arrays)).map_err(raise)?;
            Ok(Shared::new(network))
        }
        Ok(Self(match &self.0 {
            Precision::F32(shared) => Precision::F32(copy(shared, &arrays)?),
            Precision::F64(shared) => Precision::F64(copy(shared, &arrays)?),
        }))
    }

    /// A flat vector such as a gradient, as a dictionary of arrays of the shapes of the weights.
    fn by_name<'py>(&self, py: Python<'py>, flat: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        with!(self, shared => {
            let flat = array::read::<F>("the flat vector", flat)?;
            let flat = array::fixed::<F, Ix1>("the flat vector", flat.as_array())?;
            let dict = PyDict::new(py);
            for (name, array) in shared.get().network.by_name(flat).map_err(raise)? {
                dict.set_item(name, array::out(py, array))?;
            }
            Ok(dict)
        })
    }

    /// A dictionary of the results by name.
    #[pyo3(signature = (x, request = None, *, out = None, **options))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        request: Option<&Bound<'py, PyAny>>,
        out: Option<&Bound<'py, PyDict>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        with!(self, shared => calls::evaluate::<F>(py, &shared.get(), x, Wish::parse(request, options)?, out))
    }

    /// The gradients of a loss with respect to all weights, flat, and to the points, from its derivatives with respect
    /// to the results by name.
    #[pyo3(signature = (x, request, cotangents, **options))]
    fn pullback<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        request: Option<&Bound<'py, PyAny>>,
        cotangents: &Bound<'py, PyDict>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let keys = cotangents.keys().into_any();
        let request = request.unwrap_or(&keys);
        with!(self, shared => calls::pullback::<F>(py, &shared.get(), x, Wish::parse(Some(request), options)?, cotangents))
    }

    /// The tangents of the results by name, along a tangent of points and weights.
    #[pyo3(signature = (x, request, input, weights, **options))]
    fn pushforward<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        request: Option<&Bound<'py, PyAny>>,
        input: Option<&Bound<'py, PyAny>>,
        weights: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        with!(self, shared => {
            let (wish, rates) = (Wish::<F>::parse(request, options)?, Rates::read(input, weights)?);
            tangents::pushforward(py, &shared.get(), x, wish, rates)
        })
    }

    /// The derivatives, along a tangent of points and weights, of the gradients that `pullback` gives.
    #[pyo3(signature = (x, request, cotangents, input, weights, **options))]
    #[allow(clippy::too_many_arguments)] // they are those of Python
    fn pullback_pushforward<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        request: Option<&Bound<'py, PyAny>>,
        cotangents: &Bound<'py, PyDict>,
        input: Option<&Bound<'py, PyAny>>,
        weights: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let keys = cotangents.keys().into_any();
        let request = request.unwrap_or(&keys);
        with!(self, shared => {
            let (wish, rates) = (Wish::<F>::parse(Some(request), options)?, Rates::read(input, weights)?);
            tangents::pullback_pushforward(py, &shared.get(), x, wish, cotangents, rates)
        })
    }

    /// The plan and its predicted cost beside the alternatives, as a table and as JSON.
    #[pyo3(signature = (points, request = None, **options))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        points: usize,
        request: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(String, String)> {
        with!(self, shared => {
            let request = Wish::<F>::parse(request, options)?.request;
            let model = shared.get();
            let explanation = py.detach(|| model.network.explain(points, &request)).map_err(raise)?;
            Ok((explanation.to_string(), checks::json(&explanation)?))
        })
    }

    /// The steps of a request, as dictionaries.
    #[pyo3(signature = (request = None, **options))]
    fn schedule<'py>(
        &self,
        py: Python<'py>,
        request: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        with!(self, shared => schedule::of::<F>(py, &shared.get().network, Wish::parse(request, options)?))
    }

    /// Number of points, whole tiles of them, whose results take about 16 MiB.
    #[pyo3(signature = (request = None, **options))]
    fn chunk<'py>(
        &self,
        py: Python<'py>,
        request: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<usize> {
        with!(self, shared => {
            let request = Wish::<F>::parse(request, options)?.request;
            let model = shared.get();
            Ok(py.detach(|| model.prepare(request)).map_err(raise)?.chunk())
        })
    }

    /// Mean and standard error of an estimate from random directions.
    #[pyo3(signature = (x, request, draw, **options))]
    fn estimate<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        request: Option<&Bound<'py, PyAny>>,
        draw: (usize, u64, String, bool, usize),
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let (directions, seed, kind, per_point, sketch) = draw;
        let draw = Draw { directions, seed, kind, per_point, sketch };
        with!(self, shared => {
            estimates::estimate(py, &shared.get(), x, Wish::<F>::parse(request, options)?, &draw)
        })
    }

    /// Derivative checks at points `x`, in double precision: name, verdict, table and JSON of each; and those of orders up
    /// to `order`.
    fn check(&self, py: Python<'_>, x: &Bound<'_, PyAny>, seed: u64, order: usize) -> PyResult<Vec<checks::Outcome>> {
        let x = array::read::<f64>("x", x)?;
        let x = array::fixed::<f64, Ix2>("x", x.as_array())?.to_owned();
        let network = match &self.0 {
            Precision::F32(shared) => shared.get().network.cast().map_err(raise)?,
            Precision::F64(shared) => shared.get().network.clone(),
        };
        pool::run_alone(py, move |_| checks::all(&network, x.view(), seed, order))?.map_err(raise)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        let this = slf.get();
        Ok((slf.get_type().into_any(), (this.architecture()?, this.dtype()), this.flat_weights(slf.py())))
    }

    fn __setstate__(&self, flat: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set_flat_weights(flat)
    }

    fn __copy__(&self) -> PyResult<Self> {
        self.copy()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.copy()
    }
}

impl Network {
    /// This network, in double precision.
    pub fn double(network: hessquik::Network<f64>) -> Self {
        Self(Precision::F64(Shared::new(network)))
    }

    /// This network, in single precision, which must hold its settings.
    pub fn single(network: hessquik::Network<f32>) -> PyResult<Self> {
        Ok(Self(Precision::F32(Shared::new(fitting(network)?))))
    }
}

/// The network, if single precision can hold its settings.
fn fitting(network: hessquik::Network<f32>) -> PyResult<hessquik::Network<f32>> {
    network.architecture().map_or(Ok(()), |a| fit::<f32>(&a)).map_err(raise)?;
    Ok(network)
}

fn read_all<'py, F: Float>(arrays: &[Bound<'py, PyAny>]) -> PyResult<Vec<PyReadonlyArrayDyn<'py, F>>> {
    arrays.iter().enumerate().map(|(i, array)| array::read(&format!("weight {i}"), array)).collect()
}
