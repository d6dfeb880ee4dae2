//! Modules as users of Burn have them: inside other modules, layer by layer, trained by Burn's optimisers, stored by it.
use crate::common::{architectures, array, device, distance, example, tensor};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Tensor;
use hessquik::{Evaluate as _, Request};
use hessquik_burn::{Evaluate as _, Layer, Network};

/// A module of a user with a network inside and a weight of its own.
#[derive(Module, Debug)]
struct Scaled {
    network: Network,
    scale: burn::module::Param<Tensor<1>>,
}

#[test]
fn inside_another_module() {
    let device = device().autodiff();
    let (_, architecture) = architectures().remove(0);
    let (library, points) = example::<f32>(&architecture);
    let network = Network::from_library(&library, &device).unwrap();
    let scale = burn::module::Param::from_tensor(Tensor::from_floats([2.0], &device));
    let mut module = Scaled { network, scale };
    assert_eq!(module.num_params(), library.n_weights() + 1);
    let x = || tensor::<f32, 2, _>(&points, &device);
    let loss = |module: &Scaled| {
        let jets = module.network.evaluate(x(), &Request::new().value().laplacian()).unwrap();
        let value = jets.value.unwrap() * module.scale.val().unsqueeze();
        value.square().mean() + jets.laplacian.unwrap().square().mean()
    };
    let mut optimiser = AdamConfig::new().init();
    let first: f32 = loss(&module).into_scalar();
    for _ in 0..60 {
        let grads = GradientsParams::from_grads(loss(&module).backward(), &module);
        module = optimiser.step(1e-2, module, grads);
    }
    let last: f32 = loss(&module).into_scalar();
    assert!(last < 0.3 * first, "{first} to {last}");
}

/// A layer of a network is itself evaluated.
#[test]
fn layer_by_layer() {
    let device = device();
    for (name, architecture) in architectures() {
        let (library, points) = example::<f32>(&architecture);
        let module = Network::from_library(&library, &device).unwrap();
        let wanted = library.layers()[0].evaluate(&points.mapv(|v| v as f32), &Request::new().hessian()).unwrap();
        let x = tensor::<f32, 2, _>(&points, &device);
        let request = &Request::new().hessian();
        let jets = match &module.layers()[0] {
            Layer::Single(l) => l.evaluate(x, request),
            Layer::Resnet(l) => l.evaluate(x, request),
            Layer::Icnn(l) => l.evaluate(x, request),
            Layer::Quadratic(l) => l.evaluate(x, request),
            Layer::QuadraticIcnn(l) => l.evaluate(x, request),
            Layer::Network(l) => l.evaluate(x, request),
        };
        let found = array(&jets.unwrap().hessian.unwrap());
        let wanted = wanted.hessian.unwrap().mapv(f64::from).into_dyn();
        if wanted.iter().any(|v| *v != 0.0) {
            assert!(distance(&found, &wanted, name) < 1e-5, "{name}");
        }
    }
}
