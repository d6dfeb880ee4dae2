//! Gradients of losses of every result, to weights and points, against the engine's pullback.
use crate::common::{WAYS, Way, architectures, array, cotangent, device, distance, example, has, tensor};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use hessquik::{Evaluate as _, Mode, Real, Request};
use hessquik_burn::{FlatNetwork, Network};
use ndarray::{Array1, Array2, array};

/// The gradients of all weights of a module, in the order of the library.
pub fn of_weights(module: &Network, grads: &Gradients) -> Array1<f64> {
    struct Collect<'a>(&'a Gradients, Vec<f64>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            match value.grad(self.0) {
                Some(grad) => self.1.extend(array(&grad).iter()),
                None => self.1.extend(std::iter::repeat_n(0.0, value.dims().iter().product())),
            }
        }
    }
    let mut collect = Collect(grads, Vec::new());
    module.visit(&mut collect);
    collect.1.into()
}

/// All results, and those that take fewer rows of kernels; the loss is their sum of products with cotangents, not symmetric
/// in them.
fn requests(d: usize) -> Vec<Request<f64>> {
    let b = Array2::from_shape_fn((d, d), |(i, j)| ((i + 2 * j) % 3) as f64 - 0.5);
    let w = Array2::from_shape_fn((2, d), |(i, j)| ((i * 2 + j) % 4) as f64 / 2.0 - 0.5);
    let request = Request::new().value().gradient().hessian().packed().diagonal().laplacian();
    let all = request.operator(b).products(w).block(&[0], &[0, d - 1]).partials(&[(0, d - 1)]);
    vec![
        all.clone(),
        all.clone().mode(Mode::Forward),
        all.mode(Mode::Backward),
        Request::new().value(),
        Request::new().gradient(),
        Request::new().value().laplacian(),
        Request::new().diagonal().laplacian(),
    ]
}

fn gradients<F: Real>(tolerance: f64) {
    let device = device();
    if !has::<F>(&device) {
        return;
    }
    let device = device.autodiff();
    for (name, architecture) in architectures() {
        let (library, points) = example::<F>(&architecture);
        let (exact, _) = example::<f64>(&architecture);
        let module = Network::from_library(&library, &device).unwrap();
        let flat = FlatNetwork::from_library(&library, &device).unwrap();
        let requests = requests(points.ncols());
        for (way, (i, request)) in WAYS.iter().flat_map(|w| requests.iter().enumerate().map(move |r| (w, r))) {
            let what = format!("{name}, request {i}, {way:?}, {}", F::NAME);
            let bar = cotangent(&exact.zeros(points.nrows(), request).unwrap());
            let wanted = exact.pullback(&points, request, &bar).unwrap();
            let loss = |jets: hessquik_burn::Jets| {
                let mut terms: Vec<Tensor<1>> = Vec::new();
                macro_rules! term {
                    ($($member:ident)*) => {$(
                        if let (Some(found), Some(bar)) = (jets.$member, &bar.$member) {
                            terms.push((found * tensor::<F, _, _>(bar, &device)).sum());
                        }
                    )*};
                }
                term!(value gradient hessian packed diagonal laplacian operator products block partials);
                terms.into_iter().reduce(|a, b| a + b).unwrap()
            };
            let x = tensor::<F, 2, _>(&points, &device).require_grad();
            let sum = loss(way.evaluate(&module, x.clone(), request).unwrap());
            if !sum.is_tracked() {
                // constants, as second derivatives of linear networks
                let zero = wanted.weights.iter().chain(&wanted.input).all(|&g| g == 0.0);
                assert!(zero, "{what}: has a gradient, and no graph");
                continue;
            }
            let grads = sum.backward();
            let found = of_weights(&module, &grads).into_dyn();
            let off = distance(&found, &wanted.weights.clone().into_dyn(), &what);
            assert!(off <= tolerance, "{what}: weights off by {off:e}");
            // none where the results do not depend on the points, as gradients of linear networks
            let x_bar = x.grad(&grads).map_or_else(|| Array2::zeros(points.raw_dim()).into_dyn(), |bar| array(&bar));
            let off = distance(&x_bar, &wanted.input.clone().into_dyn(), &what);
            assert!(off <= tolerance, "{what}: points off by {off:e}");

            let x = tensor::<F, 2, _>(&points, &device).require_grad();
            let grads = loss(way.evaluate(&flat, x, request).unwrap()).backward();
            let off = distance(&array(&flat.theta.val().grad(&grads).unwrap()), &wanted.weights.into_dyn(), &what);
            assert!(off <= tolerance, "{what}: flat weights off by {off:e}");
        }
    }
}

#[test]
fn gradients_f32() {
    gradients::<f32>(2e-4);
}

#[test]
fn gradients_f64() {
    gradients::<f64>(1e-11);
}

/// At the kink of its formula softplus has its own derivative, 1/2.
#[test]
fn softplus_at_zero() {
    let device = device().autodiff();
    let json = r#"{"type":"icnn","input_dim":1,"in_features":1,"out_features":1}"#;
    let mut library =
        hessquik::Architecture::from_json(json).unwrap().build::<f32>(&mut hessquik::Init::zeros()).unwrap();
    library.set_weight("K", array![[1.0f32]].into_dyn().view()).unwrap();
    let module = Network::from_library(&library, &device).unwrap();
    for way in [Way::Device, Way::Tensors] {
        let x = tensor::<f32, 2, _>(&array![[0.0, 0.0]], &device).require_grad();
        let jets = way.evaluate(&module, x.clone(), &Request::new().value().hessian()).unwrap();
        let grads = (jets.value.unwrap().narrow(1, 0, 1).sum() + jets.hessian.unwrap().sum()).backward();
        let bar = array(&x.grad(&grads).unwrap());
        // d act/dx = 1/2 at 0, and the third derivative is 0 there
        assert!((bar[[0, 1]] - 0.5).abs() < 1e-6, "{way:?} {bar}");
    }
}
