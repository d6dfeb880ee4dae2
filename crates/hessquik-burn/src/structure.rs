//! What a network is apart from its weights: its layers in the one form, and what was resolved for its requests.
use crate::Error;
use crate::device::{is_cpu, supported};
use crate::engine::{self, Engine, Layout};
use crate::form::TensorForm;
use crate::jets::{FactoredHessian, Jets};
use crate::product::product;
use crate::sites::{Contract, Kind, Start, Wish, sums};
#[cfg(feature = "kernels")]
use crate::taylor;
use crate::tensors::{constant, identity, zeros};
use burn::tensor::{DType, Int, Tensor, TensorData};
use hessquik::{Architecture, Evaluate, Form, Init, Layer, Network, Parts, Plan, Request};
use ndarray::Array2;
use std::sync::{Arc, Mutex, PoisonError};

/// A network without its weights.
#[derive(Debug)]
pub struct Structure {
    /// Of zero weights: its shapes, plans and messages.
    skeleton: Network<f64>,
    weights: Vec<(String, Vec<usize>)>,
    pub(crate) dims: [usize; 2],
    engine: Arc<Engine>,
    /// The plans of the last requests: shortest paths, which depend on sizes alone.
    plans: Mutex<Vec<(Request<f64>, Plan)>>,
}

const KEPT: usize = 8;

impl Structure {
    pub(crate) fn new(architecture: &Architecture) -> Result<Self, Error> {
        let skeleton: Network<f64> = architecture.build(&mut Init::zeros())?;
        Ok(Self {
            weights: architecture.weight_shapes(),
            dims: [skeleton.dim_input(), skeleton.dim_output()],
            engine: Arc::new(Engine::new(architecture.clone())),
            plans: Mutex::default(),
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

    /// The cheapest plan of a request, after all of it was checked.
    fn plan(&self, request: &Request<f64>) -> Result<Plan, Error> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = plans.iter().find(|(known, _)| known == request) {
            return Ok(plan.clone());
        }
        let plan = self.skeleton.plan(request)?;
        plans.truncate(KEPT - 1);
        plans.insert(0, (request.clone(), plan.clone()));
        Ok(plan)
    }

    /// What `request` asks for, at points `x` (n_s, d), with these weights, each a flat tensor, or all of them in one.
    ///
    /// On the CPU by the engine of `hessquik`; elsewhere by a kernel for each layer where there is one for the request, or
    /// by tensor operations.
    pub(crate) fn evaluate(&self, weights: Weights, x: Tensor<2>, request: &Request<f64>) -> Result<Jets, Error> {
        self.check(&weights, &x)?;
        if is_cpu(&x.device()) && !request.factored {
            return engine::evaluate(&self.engine, weights.flat(), x, request);
        }
        up_to_second(request)?;
        #[cfg(feature = "kernels")]
        if x.dims()[0] > 0 {
            self.plan(request)?;
            if let Some(jets) = taylor::jets(|| self.forms(&weights, &x), &x, request)? {
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
        up_to_second(request)?;
        let plan = self.plan(request)?;
        if x.dims()[0] == 0 {
            let layout = Layout::new(&self.skeleton.zeros(0, request)?);
            return Ok(layout.jets(0, zeros([0], &x)));
        }
        jets(&self.forms(&weights, &x)?, x, request, &plan)
    }

    /// All layers, with these weights.
    fn forms(&self, weights: &Weights, x: &Tensor<2>) -> Result<Vec<TensorForm>, Error> {
        let weights = weights.shaped(&self.weights);
        let find = |name: &str| {
            let at = self.weights.iter().position(|(n, _)| n == name).expect("a form names weights of its layer");
            weights[at].clone()
        };
        let mut forms = Vec::new();
        collect(&self.skeleton, "", &find, x, &mut forms)?;
        Ok(forms)
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

/// The forms of a layer and those inside it, in order.
fn collect(
    layer: &dyn Layer<f64>,
    prefix: &str,
    weight: &dyn Fn(&str) -> Tensor<2>,
    like: &Tensor<2>,
    out: &mut Vec<TensorForm>,
) -> Result<(), Error> {
    match layer.parts() {
        Parts::Form(form) => {
            let named = |name: &str| weight(&format!("{prefix}{name}"));
            out.push(TensorForm::new(&form as &Form<f64>, &named, like));
        }
        Parts::Chain(layers) => {
            // a network of one bare layer has no positions in its names
            let bare = layer.architecture().is_some_and(|a| !matches!(a, Architecture::Network { .. }));
            for (i, inner) in layers.iter().enumerate() {
                let inner_prefix = if bare { prefix.to_string() } else { format!("{prefix}{i}.") };
                collect(&**inner, &inner_prefix, weight, like, out)?;
            }
        }
        Parts::Smooth(_) | Parts::Forward => {
            return Err(Error::Unsupported {
                what: format!("layer {prefix}{}", layer.name()),
                message: "it does not fit the one form; evaluate on the device cpu".into(),
            });
        }
    }
    Ok(())
}

/// An error for orders that only the engine has.
fn up_to_second(request: &Request<f64>) -> Result<(), Error> {
    let other = |axes: &Vec<usize>| axes.len() != 2;
    let higher = request.directional.is_some() || request.bilaplacian || request.terms.is_some();
    let higher = higher || request.partials.iter().flatten().any(other);
    if !higher {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: "a derivative of another order than two among the partials or along directions, or an operator given by terms"
            .into(),
        message: "on this device there are values, gradients and second derivatives; evaluate on the device cpu".into(),
    })
}

/// The request in terms of sums over sites, and its results from them.
fn jets(forms: &[TensorForm], x: Tensor<2>, request: &Request<f64>, plan: &Plan) -> Result<Jets, Error> {
    let d = x.dims()[1];
    let matrix = |a: &Array2<f64>| constant(a, &x);
    let rows = |indices: &mut dyn Iterator<Item = usize>, k: usize| {
        let picks: Vec<usize> = indices.collect();
        matrix(&Array2::from_shape_fn((picks.len(), k), |(i, j)| if picks[i] == j { 1.0 } else { 0.0 }))
    };
    let directions = request.directions.as_ref().map_or_else(|| identity(d, &x), &matrix);
    let k = directions.dims()[0];

    // each second-order result is one kind of sum
    let mut kinds = Vec::new();
    let mut add = |wanted: bool, contract, left: Option<Tensor<2>>, right: Option<Tensor<2>>| {
        wanted.then(|| {
            kinds.push(Kind { contract, left, right });
            kinds.len() - 1
        })
    };
    let hessian = add(request.hessian || request.packed, Contract::All, None, None);
    let diagonal = add(request.diagonal, Contract::Rows, None, None);
    let laplacian = add(request.laplacian, Contract::Trace, None, None);
    let operator = request.operator.as_ref().map(matrix);
    let operator = add(operator.is_some(), Contract::Trace, None, operator);
    let vectors = request.products.as_ref().map(matrix);
    // along directions, the vectors are tangents of their own: below
    let products = add(vectors.is_some() && request.directions.is_none(), Contract::All, None, vectors.clone());
    let block = request.block.as_ref().and_then(|(left, right)| {
        add(true, Contract::All, Some(rows(&mut left.iter().copied(), k)), Some(rows(&mut right.iter().copied(), k)))
    });
    let partials = request.partials.as_ref().and_then(|pairs| {
        let (left, right) = (&mut pairs.iter().map(|p| p[0]), &mut pairs.iter().map(|p| p[1]));
        add(true, Contract::Rows, Some(rows(left, k)), Some(rows(right, k)))
    });

    let outputs = request.outputs.as_ref().map(matrix);
    let start = Start::Directions(directions.clone());
    let wish = Wish { gradient: request.gradient, kinds: &kinds, start, outputs: outputs.clone(), plan };
    let found = sums(forms, x.clone(), &wish)?;

    let second: Vec<Tensor<4>> = found.second.into_iter().map(|h| h.permute([0, 2, 3, 1])).collect();
    let at = |i: Option<usize>| i.map(|i| second[i].clone());
    let column = |i: Option<usize>| at(i).map(|h| h.squeeze_dim::<3>(2));
    let scalar = |i: Option<usize>| column(i).map(|h| h.squeeze_dim::<2>(1));
    let products = match (at(products), vectors) {
        (None, Some(vectors)) => {
            let (k, kw) = (directions.dims()[0], vectors.dims()[0]);
            let start = Start::Directions(Tensor::cat(vec![directions.clone(), vectors], 0));
            let (left, right) = (rows(&mut (0..k), k + kw), rows(&mut (k..k + kw), k + kw));
            let kinds = [Kind { contract: Contract::All, left: Some(left), right: Some(right) }];
            let wish = Wish { gradient: false, kinds: &kinds, start, outputs: outputs.clone(), plan };
            let found = sums(forms, x.clone(), &wish)?.second.remove(0);
            Some(found.permute([0, 2, 3, 1]))
        }
        (products, _) => products,
    };
    let factored = match request.factored {
        true => Some(factored(forms, x.clone(), directions, outputs)?),
        false => None,
    };
    Ok(Jets {
        value: request.value.then_some(found.value),
        gradient: found.gradient,
        packed: request.packed.then(|| upper(at(hessian).expect("added above"))),
        hessian: if request.hessian { at(hessian) } else { None },
        diagonal: column(diagonal),
        laplacian: scalar(laplacian),
        operator: scalar(operator),
        products,
        block: at(block),
        partials: column(partials),
        directional: None,
        bilaplacian: None,
        factored,
    })
}

/// The upper half (n_s, k (k+1)/2, q) of (n_s, k, k, q), row by row.
fn upper(hessian: Tensor<4>) -> Tensor<3> {
    let [samples, k, _, q] = hessian.dims();
    let entries: Vec<i64> = (0..k).flat_map(|a| (a..k).map(move |b| (a * k + b) as i64)).collect();
    let data = TensorData::new(entries.clone(), [entries.len()]);
    let entries = Tensor::<1, Int>::from_data(data, &hessian.device().inner());
    hessian.reshape([samples, k * k, q]).select(1, entries)
}

/// `(V M_1, D S_1 D + diag C_1)`: the sum with tangents that start at the pre-activations of the first layer.
fn factored(
    forms: &[TensorForm],
    x: Tensor<2>,
    directions: Tensor<2>,
    outputs: Option<Tensor<2>>,
) -> Result<FactoredHessian, Error> {
    let outer = product(directions, forms[0].m.clone());
    let kinds = [Kind { contract: Contract::All, left: None, right: None }];
    let wish = Wish { gradient: false, kinds: &kinds, start: Start::FirstSite, outputs, plan: &Plan::default() };
    let core = sums(forms, x, &wish)?.second.remove(0).permute([0, 2, 3, 1]);
    Ok(FactoredHessian { outer, core })
}
