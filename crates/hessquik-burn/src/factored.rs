//! The factored Hessian `V M_1 (D S D + diag C) M_1^T V^T`: its core is the Hessian of the network behind the first linear
//! map, at the pre-activations.
use crate::Error;
use crate::jets::FactoredHessian;
use crate::product::product;
use crate::steps;
use crate::tensors::constant;
use burn::tensor::Tensor;
use hessquik::schedule::Schedule;
use hessquik::{ActivationSpec, Architecture, Graph, GraphSpec, Init, Network, NodeSpec, Request};
use ndarray::Array2;

/// A request for the factored Hessian, resolved.
#[derive(Debug)]
pub(crate) struct Core {
    /// Sizes of the first layer, and whether it has a bias.
    first: First,
    directions: Option<Array2<f64>>,
    /// The Hessian of what follows the first linear map.
    schedule: Schedule<f64>,
}

/// The first layer, a single one.
#[derive(Clone, Copy, Debug)]
struct First {
    dims: [usize; 2],
    act: ActivationSpec,
    bias: bool,
}

impl Core {
    /// For a network whose first layer is a single one, as the library has checked.
    pub(crate) fn new(architecture: &Architecture, request: &Request<f64>) -> Result<Self, Error> {
        let mut rest = Vec::new();
        let first = split(architecture, &mut rest).ok_or_else(|| {
            let message = "the factored Hessian needs a first single layer; ask for the Hessian";
            Error::Library(hessquik::Error::Request(message.into()))
        })?;
        let nodes = vec![NodeSpec::Input {}, NodeSpec::Act { of: 0, act: first.act }];
        let pointwise = GraphSpec { inputs: first.dims[1], weights: Vec::new(), nodes, output: 1 };
        let mut layers = vec![Architecture::Graph(pointwise)];
        layers.extend(rest);
        let network: Network<f64> = Architecture::Network { layers }.build(&mut Init::zeros())?;
        let hessian = Request { outputs: request.outputs.clone(), ..Request::new().hessian() };
        let schedule = Schedule::new(&Graph::of(&network)?, &hessian)?;
        Ok(Self { first, directions: request.directions.clone(), schedule })
    }

    pub(crate) fn evaluate(&self, theta: &Tensor<1>, x: &Tensor<2>) -> Result<FactoredHessian, Error> {
        let First { dims: [d, p], bias, .. } = self.first;
        let m = theta.clone().narrow(0, 0, d * p).reshape([d, p]);
        let z = product(x.clone(), m.clone());
        let z = if bias { z + theta.clone().narrow(0, d * p, p).reshape([1, p]) } else { z };
        let own = d * p + if bias { p } else { 0 };
        let rest = theta.dims()[0] - own;
        let theta = if rest == 0 { theta.clone() } else { theta.clone().narrow(0, own, rest) };
        let core = steps::run(&self.schedule, &theta, &z)?.remove(0);
        let [samples, all] = core.dims();
        let outer = match &self.directions {
            Some(v) => product(constant(v, x), m),
            None => m,
        };
        Ok(FactoredHessian { outer, core: core.reshape([samples, all / (p * p), p, p]).permute([0, 2, 3, 1]) })
    }
}

/// The first layer of a network, with those behind it in `rest`.
fn split(architecture: &Architecture, rest: &mut Vec<Architecture>) -> Option<First> {
    match architecture {
        Architecture::Network { layers } => {
            let (first, others) = layers.split_first()?;
            let first = split(first, rest)?;
            rest.extend_from_slice(others);
            Some(first)
        }
        &Architecture::Single { in_features, out_features, act, bias } => {
            Some(First { dims: [in_features, out_features], act, bias })
        }
        _ => None,
    }
}
