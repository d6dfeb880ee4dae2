//! What a network is apart from its weights: its graph, and what was resolved for its requests.
use crate::Error;
use crate::device::{is_cpu, supported};
use crate::engine::{self, Engine, Layout};
use crate::factored::Core;
use crate::jets::Jets;
use crate::steps;
use crate::tensors::zeros;
#[cfg(feature = "kernels")]
use crate::{form::TensorForm, taylor};
use burn::tensor::{DType, Tensor};
use hessquik::schedule::Schedule;
use hessquik::{Architecture, Evaluate, Graph, Init, Layer, Network, Request};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A network without its weights.
#[derive(Debug)]
pub struct Structure {
    /// Of zero weights: its shapes, plans and messages.
    skeleton: Network<f64>,
    /// Made at the first request that tensors compute.
    graph: OnceLock<Graph<f64>>,
    /// Names and shapes.
    #[cfg(feature = "kernels")]
    weights: Vec<(String, Vec<usize>)>,
    pub(crate) dims: [usize; 2],
    engine: Arc<Engine>,
    /// The last requests, resolved: they depend on sizes alone.
    resolved: Mutex<Vec<(Request<f64>, Arc<Resolved>)>>,
}

const KEPT: usize = 8;

/// A request resolved for tensors.
#[derive(Debug)]
struct Resolved {
    /// Shapes of results.
    layout: Layout,
    /// Steps of all results but the factored Hessian; none if that is all.
    schedule: Option<Schedule<f64>>,
    factored: Option<Core>,
}

impl Structure {
    pub(crate) fn new(architecture: &Architecture) -> Result<Self, Error> {
        let skeleton: Network<f64> = architecture.build(&mut Init::zeros())?;
        Ok(Self {
            #[cfg(feature = "kernels")]
            weights: architecture.weight_shapes(),
            dims: [skeleton.dim_input(), skeleton.dim_output()],
            engine: Arc::new(Engine::new(architecture.clone())),
            resolved: Mutex::default(),
            graph: OnceLock::new(),
            skeleton,
        })
    }

    /// The description it was made from.
    pub(crate) fn architecture(&self) -> Architecture {
        self.skeleton.architecture().expect("it was built from one")
    }

    pub(crate) fn explain(&self, points: usize, request: &Request<f64>) -> Result<hessquik::Explanation, Error> {
        Ok(self.skeleton.explain(points, request)?)
    }

    /// A request as steps, after all of it was checked.
    fn resolve(&self, request: &Request<f64>) -> Result<Arc<Resolved>, Error> {
        let mut kept = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, resolved)) = kept.iter().find(|(known, _)| known == request) {
            return Ok(resolved.clone());
        }
        let layout = Layout::new(&self.skeleton.zeros(0, request)?);
        let rest = Request { factored: false, ..request.clone() };
        let schedule = (!layout.is_empty()).then(|| Schedule::new(self.graph()?, &rest)).transpose()?;
        let factored = request.factored.then(|| Core::new(&self.architecture(), request)).transpose()?;
        let resolved = Arc::new(Resolved { layout, schedule, factored });
        kept.truncate(KEPT - 1);
        kept.insert(0, (request.clone(), resolved.clone()));
        Ok(resolved)
    }

    fn graph(&self) -> Result<&Graph<f64>, hessquik::Error> {
        if self.graph.get().is_none() {
            let graph = Graph::of(&self.skeleton)?;
            let _ = self.graph.set(graph);
        }
        Ok(self.graph.get().expect("set above"))
    }

    /// What `request` asks for, at points `x` (n_s, d), with these weights, each a flat tensor, or all of them in one.
    ///
    /// On the CPU by the engine of `hessquik`; elsewhere by a kernel for each layer where there is one for the request, or
    /// by the steps of the library's schedule in tensor operations.
    pub(crate) fn evaluate(&self, weights: Weights, x: Tensor<2>, request: &Request<f64>) -> Result<Jets, Error> {
        self.check(&weights, &x)?;
        if is_cpu(&x.device()) && !request.factored {
            return engine::evaluate(&self.engine, weights.flat(), x, request);
        }
        #[cfg(feature = "kernels")]
        if x.dims()[0] > 0 {
            self.resolve(request)?;
            let forms = || TensorForm::all(&self.skeleton, &weights.shaped(&self.weights), &x);
            if let Some(jets) = taylor::jets(forms, &x, request) {
                return Ok(jets);
            }
        }
        self.evaluate_by_tensors(weights, x, request)
    }

    /// The same by tensor operations, on every device.
    pub(crate) fn evaluate_by_tensors(
        &self,
        weights: Weights,
        x: Tensor<2>,
        request: &Request<f64>,
    ) -> Result<Jets, Error> {
        self.check(&weights, &x)?;
        let resolved = self.resolve(request)?;
        let (samples, theta) = (x.dims()[0], weights.flat());
        if samples == 0 {
            return Ok(resolved.layout.jets(0, zeros([0], &x)));
        }
        let mut jets = match &resolved.schedule {
            Some(schedule) => {
                let results = steps::run(schedule, &theta, &x)?;
                let at = |field| schedule.readings.iter().position(|r| r.field == field).expect("asked for");
                resolved.layout.gathered(samples, |field, _| results[at(field)].clone())
            }
            None => Jets::default(),
        };
        if let Some(core) = &resolved.factored {
            jets.factored = Some(core.evaluate(&theta, &x)?);
        }
        Ok(jets)
    }

    /// For value, gradient and Hessian as asked for, and targets y (n_s, entries of all of them in the order of their axes
    /// in memory): `sum_s |result - target|^2 / 2` of each, their weighted sum first, as a tensor that is differentiable to
    /// the weights, then by themselves. On the CPU, where the engine makes all of it and the gradient in one pass.
    pub(crate) fn misfit(
        &self,
        theta: Tensor<1>,
        x: Tensor<2>,
        y: Tensor<2>,
        request: &Request<f64>,
        weights: Vec<f64>,
    ) -> Result<(Tensor<1>, Tensor<1>), Error> {
        let theta = Weights::All(theta);
        self.check(&theta, &x)?;
        let terms = weights.len();
        let all = engine::misfit(&self.engine, theta.flat(), x, y, request, weights)?;
        Ok((all.clone().narrow(0, 0, 1), all.inner().narrow(0, 1, terms)))
    }

    fn check(&self, weights: &Weights, x: &Tensor<2>) -> Result<(), Error> {
        let [d, found] = [self.dims[0], x.dims()[1]];
        if found != d {
            let found = x.dims().to_vec();
            let wanted = format!("[n_s, {d}]");
            return Err(hessquik::Error::Shape { what: "the tensor of points".into(), found, wanted }.into());
        }
        for w in weights.tensors() {
            if w.dtype() != x.dtype() {
                return Err(Error::Precision {
                    what: "the tensor of points".into(),
                    found: format!("{:?}", x.dtype()),
                    wanted: format!("{:?}, as the weights have", w.dtype()),
                });
            }
            if w.device() != x.device() {
                return Err(Error::Device {
                    name: format!("{:?}", x.device()),
                    message: format!("the points are on that device, but the weights are on {:?}", w.device()),
                });
            }
        }
        match x.dtype() {
            dtype @ (DType::F32 | DType::F64) => supported(&x.device(), dtype),
            other => Err(Error::Precision {
                what: "the tensor of points".into(),
                found: format!("{other:?}"),
                wanted: "F32 or F64".into(),
            }),
        }
    }
}

/// The weights of a call: one flat tensor each, in the order of the network, or one of all.
#[allow(clippy::large_enum_variant)] // a few of them in a call
pub enum Weights {
    Each(Vec<Tensor<1>>),
    All(Tensor<1>),
}

impl Weights {
    pub(crate) fn dtype(&self) -> DType {
        self.tensors().first().map_or(DType::F32, |w| w.dtype())
    }

    fn tensors(&self) -> &[Tensor<1>] {
        match self {
            Self::Each(all) => all,
            Self::All(one) => std::slice::from_ref(one),
        }
    }

    pub(crate) fn flat(self) -> Tensor<1> {
        match self {
            Self::Each(all) => Tensor::cat(all, 0),
            Self::All(one) => one,
        }
    }

    /// Each as a matrix; a vector is a column.
    #[cfg(feature = "kernels")]
    fn shaped(&self, shapes: &[(String, Vec<usize>)]) -> Vec<Tensor<2>> {
        let mut start = 0;
        let one = |(i, (_, shape)): (usize, &(String, Vec<usize>))| {
            let len = shape.iter().product::<usize>();
            let w = match self {
                Self::Each(all) => all[i].clone(),
                Self::All(one) => one.clone().narrow(0, start, len),
            };
            start += len;
            w.reshape([shape[0], len / shape[0].max(1)])
        };
        shapes.iter().enumerate().map(one).collect()
    }
}
