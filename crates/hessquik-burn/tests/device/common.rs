//! Devices under test, tensors to and from arrays, and distances.
use burn::tensor::{DType, Device, Tensor, TensorData};
use hessquik::{Architecture, Init, Jet, Network, Real};
use hessquik_burn::{Error, Evaluate, Jets};
use ndarray::{Array2, ArrayD, IxDyn};

/// The device under test.
pub fn device() -> Device {
    let name = std::env::var("HESSQUIK_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    hessquik_burn::device(&name).unwrap_or_else(|e| panic!("{e}")).0
}

pub fn dtype<F: Real>() -> DType {
    if F::NAME == "f32" { DType::F32 } else { DType::F64 }
}

/// Whether the device under test has the precision.
pub fn has<F: Real>(device: &Device) -> bool {
    let has = hessquik_burn::supports(device, dtype::<F>());
    if !has {
        println!("{device:?} has no {}: not tested", F::NAME);
    }
    has
}

/// The two ways of evaluating a module.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// As on this device: by the engine on the CPU.
    Device,
    Tensors,
}
pub const WAYS: [Way; 2] = [Way::Device, Way::Tensors];

impl Way {
    pub fn evaluate(
        self,
        module: &impl Evaluate,
        x: Tensor<2>,
        request: &hessquik::Request<f64>,
    ) -> Result<Jets, Error> {
        match self {
            Self::Device => module.evaluate(x, request),
            Self::Tensors => module.evaluate_by_tensors(x, request),
        }
    }
}

pub fn tensor<F: Real, const D: usize, Dim: ndarray::Dimension>(
    array: &ndarray::Array<f64, Dim>,
    device: &Device,
) -> Tensor<D> {
    let data = TensorData::new(array.iter().copied().collect::<Vec<f64>>(), array.shape().to_vec());
    Tensor::from_data(data.convert_dtype(dtype::<F>()), (device, dtype::<F>()))
}

pub fn array<const D: usize>(tensor: &Tensor<D>) -> ArrayD<f64> {
    let data = tensor.clone().into_data().convert::<f64>();
    ArrayD::from_shape_vec(IxDyn(&tensor.dims()), data.try_into_vec().unwrap()).unwrap()
}

/// The largest difference over the largest entry of what is wanted.
pub fn distance(found: &ArrayD<f64>, wanted: &ArrayD<f64>, what: &str) -> f64 {
    assert_eq!(found.shape(), wanted.shape(), "{what}");
    let scale = wanted.iter().fold(0.0f64, |m, v| m.max(v.abs())).max(1e-30);
    let worst = found.iter().zip(wanted).fold(0.0f64, |m, (a, b)| {
        let d = (a - b).abs();
        if d.is_nan() { f64::INFINITY } else { m.max(d) }
    });
    worst / scale
}

/// Each result that both have, by name.
pub fn pairs(jets: &Jets, jet: &Jet<f64>) -> Vec<(&'static str, ArrayD<f64>, ArrayD<f64>)> {
    let mut out = Vec::new();
    macro_rules! pair {
        ($($member:ident)*) => {$(
            assert_eq!(jets.$member.is_some(), jet.$member.is_some(), stringify!($member));
            if let (Some(found), Some(wanted)) = (&jets.$member, &jet.$member) {
                out.push((stringify!($member), array(found), wanted.clone().into_dyn()));
            }
        )*};
    }
    pair!(value gradient hessian packed diagonal laplacian operator products block partials directional bilaplacian);
    if let (Some(found), Some(wanted)) = (&jets.factored, &jet.factored) {
        out.push(("outer", array(&found.outer), wanted.outer.clone().into_dyn()));
        out.push(("core", array(&found.core), wanted.core.clone().into_dyn()));
    }
    out
}

pub fn check(jets: &Jets, jet: &Jet<f64>, tolerance: f64, what: &str) {
    for (name, found, wanted) in pairs(jets, jet) {
        let distance = distance(&found, &wanted, what);
        assert!(distance <= tolerance, "{what}: {name} is off by {distance:e}");
    }
}

/// Networks of every layer and activation, with wide inputs, wide outputs, and networks inside.
pub fn architectures() -> Vec<(&'static str, Architecture)> {
    let single = |n: usize, m: usize, act: &str| {
        format!(r#"{{"type":"single","in_features":{n},"out_features":{m},"act":{act}}}"#)
    };
    let resnet = |n: usize, act: &str| format!(r#"{{"type":"resnet","width":{n},"h":0.5,"act":{act}}}"#);
    let icnn = |d: usize, n: &str, m: usize| {
        format!(r#"{{"type":"icnn","input_dim":{d},"in_features":{n},"out_features":{m}}}"#)
    };
    let chain = |layers: &[String]| format!(r#"{{"type":"network","layers":[{}]}}"#, layers.join(","));
    let act = |name: &str| format!(r#"{{"type":"{name}"}}"#);
    let tanh = &act("tanh");
    let mut out = vec![
        ("pinn", chain(&[single(3, 8, tanh), resnet(8, tanh), resnet(8, tanh), single(8, 2, &act("identity"))])),
        ("wide inputs", chain(&[single(12, 5, tanh), resnet(5, &act("sin")), single(5, 1, tanh)])),
        ("wide outputs", chain(&[single(2, 4, tanh), single(4, 9, &act("sigmoid"))])),
        (
            "convex",
            chain(&[
                icnn(3, "null", 6),
                icnn(3, "6", 5),
                r#"{"type":"quadratic_icnn","input_dim":3,"in_features":5,"rank":2}"#.into(),
            ]),
        ),
        ("quadratic", r#"{"type":"quadratic","in_features":4,"rank":3}"#.into()),
        ("nested", chain(&[single(2, 5, tanh), chain(&[resnet(5, tanh), single(5, 4, tanh)]), single(4, 1, tanh)])),
        ("no bias", r#"{"type":"single","in_features":3,"out_features":2,"act":{"type":"tanh"},"bias":false}"#.into()),
    ];
    for name in
        ["anti_tanh", "identity", "quadratic", "sigmoid", "tanh", "sin", "silu", "gelu", "gaussian", "cos", "square"]
    {
        out.push((name, chain(&[single(2, 4, &act(name)), resnet(4, &act(name)), single(4, 2, &act(name))])));
    }
    let soft = r#"{"type":"softplus","beta":2.0,"threshold":3.0}"#;
    out.push(("softplus", chain(&[single(2, 4, soft), resnet(4, soft)])));
    out.into_iter().map(|(name, json)| (name, Architecture::from_json(&json).unwrap())).collect()
}

/// A network of the library with weights that are exact in both precisions, and points.
pub fn example<F: Real>(architecture: &Architecture) -> (Network<F>, Array2<f64>) {
    use hessquik::Layer as _;
    let mut network = architecture.build::<f64>(&mut Init::seed(7)).unwrap();
    let theta = network.flat_weights().mapv(|v| f64::from(v as f32));
    network.set_flat_weights(theta.view()).unwrap();
    let d = network.dim_input();
    let x = Array2::from_shape_fn((6, d), |(i, j)| f64::from(((i * 7 + j * 3) % 11) as f32 / 5.0 - 1.0));
    (network.cast().unwrap(), x)
}

/// Calls a macro with the names of all results.
macro_rules! each_result {
    ($call:ident) => {
        $call!(value gradient hessian packed diagonal laplacian operator products block partials directional bilaplacian)
    };
}
pub(crate) use each_result;

/// Cotangents of the results that a jet has, numbers without a pattern.
pub fn cotangent(jet: &Jet<f64>) -> Jet<f64> {
    let mut bar = Jet::default();
    macro_rules! set {
        ($($member:ident)*) => {$(
            bar.$member = jet.$member.as_ref().map(|array| {
                let mut i = 0.0;
                array.map(|_| { i += 1.0; f64::from((i * 0.7f64).sin() as f32) })
            });
        )*};
    }
    each_result!(set);
    bar
}
