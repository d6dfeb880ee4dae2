//! Every result, with directions and in every mode, against the engine of the library.
use crate::common::{WAYS, architectures, check, device, example, has, tensor};
use hessquik::{Evaluate as _, Mode, Plan, Real, Request};
use hessquik_burn::{Evaluate as _, Network};
use ndarray::Array2;

fn requests(d: usize, m: usize, depth: usize) -> Vec<Request<f64>> {
    let matrix =
        |rows, cols| Array2::from_shape_fn((rows, cols), |(i, j)| f64::from(((i * 5 + j * 3) % 7) as f32 / 4.0 - 0.5));
    let all = |k: usize| {
        let request = Request::new().value().gradient().hessian().packed().diagonal().laplacian();
        request.operator(matrix(k, k)).products(matrix(3, d)).block(&[k - 1, 0], &[0]).partials(&[(0, k - 1), (0, 0)])
    };
    let mut out = vec![Request::new().value(), Request::new().gradient(), Request::new().laplacian(), all(d)];
    // each kind of rows that kernels carry: the trace, the diagonal, all pairs
    out.push(Request::new().value().gradient().laplacian().outputs(matrix(m, 2)));
    out.push(Request::new().diagonal().laplacian());
    out.push(Request::new().diagonal().directions(matrix(4, d)));
    out.push(Request::new().hessian().packed().diagonal().laplacian().operator(matrix(3, 3)).directions(matrix(3, d)));
    out.push(Request::new().block(&[2, 0], &[1]).partials(&[(1, 0)]).directions(matrix(3, d)).outputs(matrix(m, 2)));
    out.push(Request::new().products(matrix(2, d)));
    out.push(all(2).directions(matrix(2, d)));
    out.push(all(d).outputs(matrix(m, 2)));
    out.push(Request::new().gradient().outputs(matrix(m, 1)).directions(matrix(1, d)));
    for mode in [Mode::Forward, Mode::Backward, Mode::Sites] {
        out.push(all(d).mode(mode.clone()));
        out.push(Request::new().gradient().mode(mode));
    }
    if depth > 2 {
        out.push(
            all(2).directions(matrix(2, d)).outputs(matrix(m, 1)).mode(Mode::Plan(Plan { prefix: 1, pivots: vec![2] })),
        );
        out.push(all(d).mode(Mode::Plan(Plan { prefix: 0, pivots: vec![1, 2] })));
    }
    out
}

fn jets<F: Real>(tolerance: f64) {
    use hessquik::Layer as _;
    let device = device();
    if !has::<F>(&device) {
        return;
    }
    for (name, architecture) in architectures() {
        let (library, points) = example::<F>(&architecture);
        let (exact, _) = example::<f64>(&architecture);
        let module = Network::from_library(&library, &device).unwrap();
        let depth = if name == "nested" { 4 } else { exact.layers().len() };
        for (i, request) in requests(exact.dim_input(), exact.dim_output(), depth).iter().enumerate() {
            let wanted = exact.evaluate(&points, request).unwrap();
            for way in WAYS {
                let what = format!("{name}, request {i}, {way:?}, {}", F::NAME);
                let x = tensor::<F, 2, _>(&points, &device);
                let jets = way.evaluate(&module, x, request).unwrap_or_else(|e| panic!("{what}: {e}"));
                check(&jets, &wanted, tolerance, &what);
            }
        }
    }
}

#[test]
fn jets_f32() {
    jets::<f32>(3e-5);
}

#[test]
fn jets_f64() {
    jets::<f64>(1e-12);
}

/// `H = outer core outer^T`, with directions and output directions.
#[test]
fn factored() {
    let device = device();
    for name in ["pinn", "wide inputs", "no bias"] {
        let (_, architecture) = architectures().into_iter().find(|(n, _)| *n == name).unwrap();
        let (library, points) = example::<f32>(&architecture);
        let (exact, _) = example::<f64>(&architecture);
        let module = Network::from_library(&library, &device).unwrap();
        let request = Request::new().value().factored();
        let jets = module.evaluate(tensor::<f32, 2, _>(&points, &device), &request).unwrap();
        check(&jets, &exact.evaluate(&points, &request).unwrap(), 1e-5, name);
        let dense = hessquik_burn::Jets { hessian: Some(jets.factored.unwrap().to_dense()), ..Default::default() };
        check(&dense, &exact.evaluate(&points, &Request::new().hessian()).unwrap(), 1e-5, name);
    }
    let (_, convex) = architectures().into_iter().find(|(n, _)| *n == "convex").unwrap();
    let (library, points) = example::<f32>(&convex);
    let module = Network::from_library(&library, &device).unwrap();
    let error = module.evaluate(tensor::<f32, 2, _>(&points, &device), &Request::new().factored()).unwrap_err();
    assert!(error.to_string().contains("first single layer"), "{error}");
}

/// No points, and one.
#[test]
fn few_points() {
    let device = device();
    let (_, architecture) = architectures().remove(0);
    let (library, points) = example::<f32>(&architecture);
    let module = Network::from_library(&library, &device).unwrap();
    let request = Request::new().value().gradient().hessian();
    let one = points.slice(ndarray::s![..1, ..]).to_owned();
    for way in WAYS {
        let jets = way.evaluate(&module, tensor::<f32, 2, _>(&one, &device), &request).unwrap();
        assert_eq!(jets.hessian.unwrap().dims(), [1, 3, 3, 2]);
    }
    let none = burn::tensor::Tensor::<2>::zeros([0, 3], &device);
    assert_eq!(module.evaluate(none, &request).unwrap().hessian.unwrap().dims(), [0, 3, 3, 2]);
}

/// What makes no sense is an error that says what was expected, before any operation runs.
#[test]
fn errors() {
    let device = device();
    let (_, architecture) = architectures().remove(0);
    let (library, points) = example::<f32>(&architecture);
    let module = Network::from_library(&library, &device).unwrap();
    let x = || tensor::<f32, 2, _>(&points, &device);
    let message = |result: Result<hessquik_burn::Jets, hessquik_burn::Error>| result.unwrap_err().to_string();
    for way in WAYS {
        let narrow = burn::tensor::Tensor::<2>::zeros([4, 2], &device);
        let found = message(way.evaluate(&module, narrow, &Request::new().value()));
        assert!(found.contains("[4, 2], expected [n_s, 3]"), "{found}");
        let found = message(way.evaluate(&module, x(), &Request::new()));
        assert!(found.contains("the request is empty"), "{found}");
        let found = message(way.evaluate(&module, x(), &Request::new().hessian().directions(Array2::zeros((1, 2)))));
        assert!(found.contains("shape"), "{found}");
        let found = message(way.evaluate(&module, x(), &Request::new().partials(&[(0, 3)])));
        assert!(found.contains("index 3 is out of range"), "{found}");
        if hessquik_burn::supports(&device, burn::tensor::DType::F64) {
            let double = tensor::<f64, 2, _>(&points, &device);
            let found = message(way.evaluate(&module, double, &Request::new().value()));
            assert!(found.contains("F64, expected F32"), "{found}");
        }
    }
    if !hessquik_burn::supports(&device, burn::tensor::DType::F64) {
        let (double, _) = example::<f64>(&architecture);
        let found = Network::from_library(&double, &device).unwrap_err().to_string();
        assert!(found.contains("F32 only, expected F64"), "{found}");
    }
    let soft = hessquik::Architecture::from_json(r#"{"type":"softmax","features":3}"#).unwrap();
    let soft = soft.build::<f32>(&mut hessquik::Init::zeros()).unwrap();
    let found = Network::from_library(&soft, &device).unwrap_err().to_string();
    assert!(found.contains("does not fit the one form"), "{found}");
}
