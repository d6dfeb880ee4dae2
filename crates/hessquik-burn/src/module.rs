//! The five layers and networks of them as Burn modules.
use crate::device::supported;
use crate::structure::{Structure, Weights};
use crate::tensors::{numbers, of_numbers};
use crate::{Error, Jets};
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};
use hessquik::{ActivationSpec, Architecture, Explanation, Init, Real, Request};
use ndarray::ArrayD;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The part of a hessquik module that does not depend on its weights; made at the first evaluation and shared by
/// clones.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<OnceLock<Arc<Structure>>>);

impl Shared {
    fn get(&self, architecture: impl FnOnce() -> Architecture) -> Result<Arc<Structure>, Error> {
        if self.0.get().is_none() {
            let structure = Arc::new(Structure::new(&architecture())?);
            let _ = self.0.set(structure);
        }
        Ok(self.0.get().expect("set above").clone())
    }
}

/// Values and derivatives of a module with respect to its input.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use hessquik_burn::{Evaluate, Network};
/// use hessquik::{Activation, Init, Request, fully_connected};
///
/// let device = Device::flex().autodiff();
/// let library = fully_connected::<f32>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let network = Network::from_library(&library, &device)?;
/// let x = Tensor::<2>::from_floats([[0.1, 0.2], [-1.0, 0.5]], &device);
/// let jets = network.evaluate(x, &Request::new().value().laplacian())?;
/// // u_xx + u_yy = 0, say: the loss, and its gradients to the weights
/// let loss = jets.laplacian.unwrap().square().mean();
/// let gradients = loss.backward();
/// # let _ = gradients;
/// # Ok::<(), hessquik_burn::Error>(())
/// ```
pub trait Evaluate {
    /// The part of the module that does not depend on its weights.
    #[doc(hidden)]
    fn shared(&self) -> Result<Arc<Structure>, Error>;

    /// The weights, flat, in the order of [`Architecture::weight_shapes`].
    #[doc(hidden)]
    fn flat(&self) -> Weights;

    /// Computes the results of `request` at points `x` (n_s, d) on the device of the weights.
    ///
    /// On the CPU device the engine of `hessquik` computes them, forward and backward; elsewhere batched tensor
    /// operations do, by the steps of the library's schedule. If the weights or the points are on an autodiff device, the
    /// results are differentiable once with respect to them.
    ///
    /// # Errors
    /// Points whose width, precision or device does not match the weights; a request that is invalid for the network
    /// ([`hessquik::Error`]).
    fn evaluate(&self, x: Tensor<2>, request: &Request<f64>) -> Result<Jets, Error> {
        self.shared()?.evaluate(self.flat(), x, request)
    }

    /// The same by tensor operations on every device, for comparison and tests.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate).
    fn evaluate_by_tensors(&self, x: Tensor<2>, request: &Request<f64>) -> Result<Jets, Error> {
        self.shared()?.evaluate_by_tensors(self.flat(), x, request)
    }

    /// The values (n_s, m).
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate).
    fn forward(&self, x: Tensor<2>) -> Result<Tensor<2>, Error> {
        let jets = self.evaluate(x, &Request::new().value())?;
        Ok(jets.value.expect("asked for"))
    }

    /// The plan of a request, with its costs (see [`hessquik::Explanation`]).
    ///
    /// # Errors
    /// A request that is invalid for the network.
    fn explain(&self, points: usize, request: &Request<f64>) -> Result<Explanation, Error> {
        self.shared()?.explain(points, request)
    }

    /// The description that model files hold.
    ///
    /// # Errors
    /// Settings that no layer has.
    fn architecture(&self) -> Result<Architecture, Error> {
        Ok(self.shared()?.architecture())
    }
}

/// Weights by name, taken one after another.
struct Source<'a> {
    arrays: &'a mut dyn Iterator<Item = (ArrayD<f64>, DType)>,
    device: &'a Device,
}

impl Source<'_> {
    fn param<const D: usize>(&mut self) -> Param<Tensor<D>> {
        let (array, dtype) = self.arrays.next().expect("as many weights as the architecture has");
        let shape = array.shape().try_into().expect("the rank of the weight");
        Param::from_tensor(of_numbers(array, shape, self.device, dtype))
    }
}

fn flat<const D: usize>(param: &Param<Tensor<D>>) -> Tensor<1> {
    let value = param.val();
    let len = value.dims().iter().product::<usize>();
    value.reshape([len])
}

/// `u -> act(u K + b)`, with `K` (in, out) and `b` (out); see [`hessquik::Single`].
#[derive(Module, Debug)]
pub struct Single {
    /// (in, out)
    pub K: Param<Tensor<2>>,
    /// (out)
    pub b: Option<Param<Tensor<1>>>,
    #[module(skip)]
    act: ActivationSpec,
    #[module(skip)]
    shared: Shared,
}

/// `u -> u + h act(u K + b)`; see [`hessquik::Resnet`].
#[derive(Module, Debug)]
pub struct Resnet {
    /// The residual term without the step: `act(u K + b)`.
    pub layer: Single,
    #[module(skip)]
    h: f64,
    #[module(skip)]
    shared: Shared,
}

/// `[u, x] -> [act(u softplus(L) + x K + b), x]`; see [`hessquik::Icnn`].
#[derive(Module, Debug)]
pub struct Icnn {
    /// (d, out)
    pub K: Param<Tensor<2>>,
    /// (in, out); `None` in a first layer
    pub L: Option<Param<Tensor<2>>>,
    /// (out)
    pub b: Option<Param<Tensor<1>>>,
    #[module(skip)]
    act: ActivationSpec,
    #[module(skip)]
    shared: Shared,
}

/// `x -> x v + |A x|^2 / 2 + mu`; see [`hessquik::Quadratic`].
#[derive(Module, Debug)]
pub struct Quadratic {
    /// (d)
    pub v: Param<Tensor<1>>,
    /// (1)
    pub mu: Param<Tensor<1>>,
    /// (rank, d)
    pub A: Param<Tensor<2>>,
    #[module(skip)]
    shared: Shared,
}

/// `[u, x] -> u softplus(w) + x v + |A x|^2 / 2 + mu`; see [`hessquik::QuadraticIcnn`].
#[derive(Module, Debug)]
pub struct QuadraticIcnn {
    /// (in); `None` without features
    pub w: Option<Param<Tensor<1>>>,
    /// (d)
    pub v: Param<Tensor<1>>,
    /// (1)
    pub mu: Param<Tensor<1>>,
    /// (rank, d)
    pub A: Param<Tensor<2>>,
    #[module(skip)]
    shared: Shared,
}

/// One layer of a [`Network`].
#[derive(Module, Debug)]
#[allow(missing_docs)] // each is the layer of the same name
#[allow(clippy::large_enum_variant)] // a dozen of them in a network
pub enum Layer {
    Single(Single),
    Resnet(Resnet),
    Icnn(Icnn),
    Quadratic(Quadratic),
    QuadraticIcnn(QuadraticIcnn),
    Network(Network),
}

/// Layers one after another, itself a layer; see [`hessquik::Network`].
///
/// It can be part of your own module. Its weights have the names used by the library and hessQuik: `0.K`,
/// `1.2.layer.b`.
#[derive(Module, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    #[module(skip)]
    bare: bool,
    #[module(skip)]
    shared: Shared,
}

/// A network of any layers that have a description, with all its weights in one parameter, one after another: an optimiser
/// then makes one update of one long vector instead of a dozen short ones, and the engine reads it in place.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use hessquik::{Architecture, Init, Request};
/// use hessquik_burn::{Evaluate, FlatNetwork};
///
/// let json = r#"{"type": "attention", "tokens": 2, "features": 3}"#;
/// let library = Architecture::from_json(json)?.build::<f32>(&mut Init::seed(0))?;
/// let device = Device::flex().autodiff();
/// let network = FlatNetwork::from_library(&library, &device)?;
/// let x = Tensor::<2>::ones([5, 6], &device);
/// let jets = network.evaluate(x, &Request::new().value().bilaplacian())?;
/// let gradients = jets.bilaplacian.unwrap().square().mean().backward();
/// assert_eq!(network.theta.val().grad(&gradients).unwrap().dims(), network.theta.val().dims());
/// # Ok::<(), hessquik_burn::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct FlatNetwork {
    /// The weights, in the order of [`Architecture::weight_shapes`].
    pub theta: Param<Tensor<1>>,
    #[module(skip)]
    structure: Arc<Structure>,
}

macro_rules! layers {
    ($($name:ident: |$self:ident| $architecture:expr, [$($weight:expr),*];)*) => {$(
        impl Describe for $name {
            fn describe(&$self) -> Architecture {
                $architecture
            }
            fn push(&$self, out: &mut Vec<Tensor<1>>) {
                $(out.extend($weight);)*
            }
        }
        impl Evaluate for $name {
            fn shared(&self) -> Result<Arc<Structure>, Error> {
                self.shared.get(|| self.describe())
            }
            fn flat(&self) -> Weights {
                let mut out = Vec::new();
                self.push(&mut out);
                Weights::Each(out)
            }
        }
    )*};
}

/// How a layer is described, and its weights in order.
trait Describe {
    fn describe(&self) -> Architecture;
    fn push(&self, out: &mut Vec<Tensor<1>>);
}

layers! {
    Single: |self| {
        let [in_features, out_features] = self.K.lazy_shape().dims();
        Architecture::Single { in_features, out_features, act: self.act, bias: self.b.is_some() }
    }, [[flat(&self.K)], self.b.as_ref().map(flat)];
    Resnet: |self| {
        let [width, _] = self.layer.K.lazy_shape().dims();
        Architecture::Resnet { width, h: self.h, act: self.layer.act, bias: self.layer.b.is_some() }
    }, [[flat(&self.layer.K)], self.layer.b.as_ref().map(flat)];
    Icnn: |self| {
        let [input_dim, out_features] = self.K.lazy_shape().dims();
        let in_features = self.L.as_ref().map(|l| l.lazy_shape().dims::<2>()[0]);
        Architecture::Icnn { input_dim, in_features, out_features, act: self.act, bias: self.b.is_some() }
    }, [[flat(&self.K)], self.L.as_ref().map(flat), self.b.as_ref().map(flat)];
    Quadratic: |self| {
        let [rank, in_features] = self.A.lazy_shape().dims();
        Architecture::Quadratic { in_features, rank }
    }, [[flat(&self.v)], [flat(&self.mu)], [flat(&self.A)]];
    QuadraticIcnn: |self| {
        let [rank, input_dim] = self.A.lazy_shape().dims();
        let in_features = self.w.as_ref().map(|w| w.lazy_shape().dims::<1>()[0]);
        Architecture::QuadraticIcnn { input_dim, in_features, rank }
    }, [self.w.as_ref().map(flat), [flat(&self.v)], [flat(&self.mu)], [flat(&self.A)]];
    Network: |self| {
        let mut layers: Vec<_> = self.layers.iter().map(|l| l.as_layer().describe()).collect();
        if self.bare { layers.remove(0) } else { Architecture::Network { layers } }
    }, [{
        let mut all = Vec::new();
        self.layers.iter().for_each(|l| l.as_layer().push(&mut all));
        all
    }];
}

impl Layer {
    fn as_layer(&self) -> &dyn Describe {
        match self {
            Self::Single(l) => l,
            Self::Resnet(l) => l,
            Self::Icnn(l) => l,
            Self::Quadratic(l) => l,
            Self::QuadraticIcnn(l) => l,
            Self::Network(l) => l,
        }
    }

    /// The layer with weights from `source`.
    fn build(architecture: &Architecture, source: &mut Source) -> Result<Self, Error> {
        let shared = Shared::default();
        let single = |source: &mut Source, act, bias: bool| Single {
            K: source.param(),
            b: bias.then(|| source.param()),
            act,
            shared: Shared::default(),
        };
        Ok(match *architecture {
            Architecture::Single { act, bias, .. } => Self::Single(single(source, act, bias)),
            Architecture::Resnet { h, act, bias, .. } => {
                Self::Resnet(Resnet { layer: single(source, act, bias), h, shared })
            }
            Architecture::Icnn { in_features, act, bias, .. } => Self::Icnn(Icnn {
                K: source.param(),
                L: in_features.map(|_| source.param()),
                b: bias.then(|| source.param()),
                act,
                shared,
            }),
            Architecture::Quadratic { .. } => {
                Self::Quadratic(Quadratic { v: source.param(), mu: source.param(), A: source.param(), shared })
            }
            Architecture::QuadraticIcnn { in_features, .. } => Self::QuadraticIcnn(QuadraticIcnn {
                w: in_features.map(|_| source.param()),
                v: source.param(),
                mu: source.param(),
                A: source.param(),
                shared,
            }),
            Architecture::Network { ref layers } => {
                let layers = layers.iter().map(|l| Self::build(l, source)).collect::<Result<_, _>>()?;
                Self::Network(Network { layers, bare: false, shared })
            }
            ref other => {
                let layer = format!("{other:?}");
                let layer = layer.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().into();
                return Err(Error::NoModule { layer });
            }
        })
    }
}

fn dtype<F: Real>() -> DType {
    if F::NAME == "f32" { DType::F32 } else { DType::F64 }
}

impl Network {
    /// A network from a description, with weights drawn as hessQuik draws them, in the precision `F`.
    ///
    /// # Errors
    /// Invalid layer settings, layers that do not fit together or are not modules here, a device without `F`.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use hessquik_burn::Network;
    /// let json = r#"{"type": "network", "layers": [
    ///     {"type": "single", "in_features": 2, "out_features": 16, "act": {"type": "tanh"}},
    ///     {"type": "single", "in_features": 16, "out_features": 1}]}"#;
    /// let network = Network::new::<f32>(&hessquik::Architecture::from_json(json)?, 0, &Device::flex())?;
    /// # let _ = network;
    /// # Ok::<(), hessquik_burn::Error>(())
    /// ```
    pub fn new<F: Real>(architecture: &Architecture, seed: u64, device: &Device) -> Result<Self, Error> {
        Self::from_library(&architecture.build::<F>(&mut Init::seed(seed))?, device)
    }

    /// The same network as a module on a device, with gradients if it is an autodiff device.
    ///
    /// # Errors
    /// User-defined layers or activations, and layers that do not fit the one form, such as softmax and attention, for which
    /// there is [`FlatNetwork`]; a device without the precision `F`.
    pub fn from_library<F: Real>(library: &hessquik::Network<F>, device: &Device) -> Result<Self, Error> {
        use hessquik::Layer as _;
        supported(device, dtype::<F>())?;
        let architecture = described(library)?;
        let weights = library.weights();
        let mut arrays = weights.iter().map(|(_, w)| (w.mapv(|v| v.as_f64()), dtype::<F>()));
        let source = &mut Source { arrays: &mut arrays, device };
        Ok(match Layer::build(&architecture, source)? {
            Layer::Network(network) => network,
            layer => Self { layers: vec![layer], bare: true, shared: Shared::default() },
        })
    }

    /// The same network in the library, with these weights, in the precision `F`.
    ///
    /// # Errors
    /// Weights that cannot be read back from the device.
    pub fn to_library<F: Real>(&self) -> Result<hessquik::Network<F>, Error> {
        to_library(&self.describe(), self.flat())
    }

    /// Reads a model file of the library or of hessQuik, in the precision `F`.
    ///
    /// # Errors
    /// As for [`hessquik::Network::load`] and [`from_library`](Self::from_library).
    pub fn load<F: Real>(path: impl AsRef<Path>, device: &Device) -> Result<Self, Error> {
        Self::from_library(&hessquik::Network::<F>::load(path)?, device)
    }

    /// Writes a model file, in the precision of the weights, whole or not at all.
    ///
    /// # Errors
    /// As for [`hessquik::Network::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        match self.flat().dtype() {
            DType::F64 => Ok(self.to_library::<f64>()?.save(path)?),
            _ => Ok(self.to_library::<f32>()?.save(path)?),
        }
    }

    /// The layers, in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

impl FlatNetwork {
    /// The same network with its weights in one parameter, on a device.
    ///
    /// # Errors
    /// User-defined layers or activations; a device without the precision `F`.
    pub fn from_library<F: Real>(library: &hessquik::Network<F>, device: &Device) -> Result<Self, Error> {
        supported(device, dtype::<F>())?;
        let structure = Arc::new(Structure::new(&described(library)?)?);
        let theta = library.flat_weights().mapv(|v| v.as_f64());
        let len = theta.len();
        Ok(Self { theta: Param::from_tensor(of_numbers(theta, [len], device, dtype::<F>())), structure })
    }

    /// The same network in the library, with these weights.
    ///
    /// # Errors
    /// Weights that cannot be read back from the device.
    pub fn to_library<F: Real>(&self) -> Result<hessquik::Network<F>, Error> {
        to_library(&self.structure.architecture(), self.flat())
    }

    /// [`Structure::misfit`] with these weights.
    pub(crate) fn misfit(
        &self,
        x: Tensor<2>,
        y: Tensor<2>,
        request: &Request<f64>,
        weights: Vec<f64>,
    ) -> Result<(Tensor<1>, Tensor<1>), Error> {
        self.structure.misfit(self.theta.val(), x, y, request, weights)
    }

    /// Replaces the weights by a tensor of the same length, on the same device, detached from any graph.
    pub fn set_theta(&mut self, theta: Tensor<1>) {
        let old = self.theta.val();
        let theta = if old.device().is_autodiff() { Tensor::from_inner(theta.inner()).require_grad() } else { theta };
        self.theta = Param::initialized(self.theta.id, theta);
    }

    /// The description of the network.
    pub fn describe(&self) -> Architecture {
        self.structure.architecture()
    }

    /// Number of inputs and of outputs.
    pub fn dims(&self) -> [usize; 2] {
        self.structure.dims
    }
}

impl Evaluate for FlatNetwork {
    fn shared(&self) -> Result<Arc<Structure>, Error> {
        Ok(self.structure.clone())
    }
    fn flat(&self) -> Weights {
        Weights::All(self.theta.val())
    }
}

fn described<F: Real>(library: &hessquik::Network<F>) -> Result<Architecture, Error> {
    use hessquik::Layer as _;
    library.architecture().ok_or_else(|| Error::Unsupported {
        what: "a layer or activation defined by its user".into(),
        message: "a module is made from a description, and this one does not have one; use the library itself".into(),
    })
}

fn to_library<F: Real>(architecture: &Architecture, weights: Weights) -> Result<hessquik::Network<F>, Error> {
    let mut library = architecture.build::<F>(&mut Init::zeros())?;
    let theta: ndarray::Array1<F> = numbers(weights.flat())?.into_iter().map(F::of).collect();
    library.set_flat_weights(theta.view())?;
    Ok(library)
}
