//! Equations of orders three and four: their solutions have no loss, and training comes to them.
use burn::tensor::{DType, Device};
use hessquik::{Activation, Evaluate as _, Init, Network, Single};
use hessquik_burn::FlatNetwork;
use hessquik_burn::train::{Alone, ClampedBeam, KortewegDeVries, Objective, Schedule, Settings, test, train};
use ndarray::Array2;

/// A network of layers with one feature each between inputs and output: activations, matrices and biases.
fn narrow(layers: &[(Activation, &[f64], f64)]) -> FlatNetwork {
    let init = &mut Init::zeros();
    let mut boxed: Vec<Box<dyn hessquik::Layer<f64>>> = Vec::new();
    let mut theta = Vec::new();
    for (act, k, b) in layers {
        boxed.push(Box::new(Single::new(k.len(), 1, act.clone(), init)));
        theta.extend(k.iter().chain([b]));
    }
    let mut library = Network::new(boxed).unwrap();
    library.set_flat_weights(ndarray::ArrayView1::from(&theta)).unwrap();
    FlatNetwork::from_library(&library, &Device::flex().autodiff()).unwrap()
}

/// Networks that are the solutions have no loss: a soliton is c/2 (1 - tanh^2), the beam the square of a square.
#[test]
fn solutions_have_no_loss() {
    let device = Device::flex();
    for c in [0.7, 4.0] {
        let (root, x): (f64, _) =
            (f64::sqrt(c) / 2.0, Array2::from_shape_fn((50, 2), |(s, a)| (s * (a + 3) % 7) as f64));
        let soliton = narrow(&[
            (Activation::Tanh, &[-root * c, root], root * c / 2.0),
            (Activation::Square, &[1.0], 0.0),
            (Activation::Identity, &[-c / 2.0], c / 2.0),
        ]);
        let value = soliton.to_library::<f64>().unwrap().value(&x).unwrap();
        assert!((value - KortewegDeVries::solution(c, &x)).iter().all(|e| e.abs() < 1e-13));
        let kdv = KortewegDeVries::new(200, 100, c, 3, &device, DType::F64).unwrap();
        let found = test(&soliton, &kdv, &Alone).unwrap();
        assert!(found.iter().all(|l| *l < 1e-24), "{found:?}");
        // of another speed it is a solution of the equation, too, but not of what is given
        let other = KortewegDeVries::new(200, 100, c + 1.0, 3, &device, DType::F64).unwrap();
        let found = test(&soliton, &other, &Alone).unwrap();
        assert!(found[1] < 1e-24 && found[2] > 1e-3 && found[3] > 1e-8, "{found:?}");
    }
    let beam = narrow(&[
        (Activation::Square, &[1.0], -0.5),
        (Activation::Square, &[-1.0], 0.25),
        (Activation::Identity, &[16.0], 0.0),
    ]);
    let x = Array2::from_shape_fn((50, 1), |(s, _)| s as f64 / 49.0);
    let value = beam.to_library::<f64>().unwrap().value(&x).unwrap();
    assert!((value - ClampedBeam::solution(&x)).iter().all(|e| e.abs() < 1e-14));
    let found = test(&beam, &ClampedBeam::new(100, 10, 0, &device, DType::F64).unwrap(), &Alone).unwrap();
    assert!(found.iter().all(|l| *l < 1e-24), "{found:?}");
    // without a load, half of one; without clamps, a slope
    let line = narrow(&[(Activation::Identity, &[2.0], 0.0)]);
    let found = test(&line, &ClampedBeam::new(100, 10, 0, &device, DType::F64).unwrap(), &Alone).unwrap();
    assert!((found[1] - 0.5).abs() < 1e-12 && (found[2] - 1.0).abs() < 1e-12 && (found[3] - 2.0).abs() < 1e-12);
}

/// Training on derivatives of orders three and four comes to the known solutions.
#[test]
fn higher_orders_are_learned() {
    fn learn<O: Objective>(d: usize, objective: &O, settings: &Settings) -> Network<f64> {
        let init = &mut Init::seed(1);
        let library = Network::<f64>::new(vec![
            Box::new(Single::new(d, 10, Activation::Tanh, init)),
            Box::new(Single::new(10, 10, Activation::Tanh, init)),
            Box::new(Single::new(10, 1, Activation::Identity, init)),
        ]);
        let start = FlatNetwork::from_library(&library.unwrap(), &Device::flex().autodiff()).unwrap();
        let outcome = train(start, objective, None, settings, &Alone, &mut |_| (), &|| true).unwrap();
        outcome.network.to_library::<f64>().unwrap()
    }
    let off = |network: &Network<f64>, x: &Array2<f64>, truth: Array2<f64>| {
        let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
        norm(&(network.value(x).unwrap() - &truth)) / norm(&truth)
    };
    let schedule = Schedule::Cosine { last: 1e-4 };
    let settings = Settings { epochs: 15, batch: 20, rate: 1e-2, schedule, lbfgs: 6, ..Settings::default() };
    let beam = ClampedBeam::new(80, 20, 0, &Device::flex(), DType::F64).unwrap();
    let x = Array2::from_shape_fn((50, 1), |(s, _)| s as f64 / 49.0);
    let error = off(&learn(1, &beam, &settings), &x, ClampedBeam::solution(&x));
    assert!(error < 0.05, "{error}");
    let kdv = KortewegDeVries::new(200, 100, 2.0, 0, &Device::flex(), DType::F64).unwrap();
    let x = Array2::from_shape_fn(
        (400, 2),
        |(s, a)| if a == 0 { (s / 20) as f64 / 19.0 } else { (s % 20) as f64 / 1.9 - 5.0 },
    );
    let error = off(&learn(2, &kdv, &settings), &x, KortewegDeVries::solution(2.0, &x));
    assert!(error < 0.2, "{error}");
}

#[test]
fn problems_that_make_no_sense() {
    let device = Device::flex();
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = KortewegDeVries::new(10, 10, speed, 0, &device, DType::F64).unwrap_err().to_string();
        assert!(error.contains("speed"), "{error}");
    }
    let error = ClampedBeam::new(10, 0, 0, &device, DType::F64).unwrap_err().to_string();
    assert!(error.contains("10 points inside and 0 on the boundary"), "{error}");
    let error = KortewegDeVries::new(0, 3, 1.0, 0, &device, DType::F64).unwrap_err().to_string();
    assert!(error.contains("0 points inside and 3 on the boundary"), "{error}");
}
