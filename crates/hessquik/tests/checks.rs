//! Derivative checks pass right derivatives and fail wrong ones.
use hessquik::check::{
    DifferenceOptions, DirectionalOptions, Function, Options, TaylorReport, convert_to_base,
    directional_derivative_check, input_derivative_check, input_derivative_check_finite_difference,
    laplacian_check_finite_difference, network_derivative_check,
};
use hessquik::{
    Activation, Error, Icnn, Init, Jet, Layer, LogSumExp, Mode, Network, Parts, Pointwise, Quadratic, QuadraticIcnn,
    Request, Resnet, Single, SmoothMap, Softmax, fully_connected, icnn, peaks, resnet,
};
use ndarray::{Array, Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4, Axis, array, concatenate};
use proptest::prelude::*;
use std::sync::Arc;

#[path = "checks/wrong_networks.rs"]
mod wrong_networks;

/// Points in [-1, 1]^d, far from any grid.
fn points(n: usize, d: usize) -> Array2<f64> {
    Array::from_shape_fn((n, d), |(i, j)| (1.0 + 12.9898 * i as f64 + 78.233 * j as f64).sin())
}

fn hessian() -> Options {
    Options { hessian: true, ..Options::default() }
}

fn every_check(f: &(impl Function<f64> + ?Sized), x: &Array2<f64>, name: &str) {
    for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites] {
        let report = input_derivative_check(f, x, &Options { mode: mode.clone(), ..hessian() }).unwrap();
        assert!(report.gradient && report.hessian == Some(true), "{name}\n{report}");
        let options = DifferenceOptions { hessian: true, mode, ..Default::default() };
        let report = input_derivative_check_finite_difference(f, x, &options).unwrap();
        assert!(report.passed(), "{name}\n{report}");
        let report = laplacian_check_finite_difference(f, x, &options).unwrap();
        assert!(report.passed() && report.laplacian.is_some() && report.hessian.is_none(), "{name}\n{report}");
    }
}

fn right_peaks(x: ArrayView2<f64>, request: &Request<f64>) -> Result<Jet<f64>, Error> {
    peaks(&x, request)
}

/// Two linear functions of two variables, [x + y + 1, 2 x], exactly.
fn linear(x: ArrayView2<f64>, request: &Request<f64>) -> Result<Jet<f64>, Error> {
    let n = x.nrows();
    let zeros = peaks(&x, request)?;
    let j = array![[1.0, 2.0], [1.0, 0.0]];
    Ok(Jet {
        value: zeros.value.map(|_| x.dot(&j) + array![1.0, 0.0]),
        gradient: zeros.gradient.map(|_| j.broadcast((n, 2, 2)).unwrap().to_owned()),
        hessian: zeros.hessian.map(|_| Array4::zeros((n, 2, 2, 2))),
        laplacian: zeros.laplacian.map(|_| Array2::zeros((n, 2))),
        ..Jet::default()
    })
}

#[test]
fn peaks_pass() {
    every_check(&right_peaks, &points(11, 2), "peaks");
}

#[test]
fn exact_derivatives_pass() {
    // every error is zero or rounding: 0 / 0 is not an order
    for scale in [1.0, 1e-3, 100.0] {
        every_check(&linear, &(points(11, 2) * scale), "linear");
    }
    let report = input_derivative_check(&linear, &array![[1.0, 1.0]], &hessian()).unwrap();
    assert!(report.passed(), "{report}");
}

/// peaks with something done to its jet.
fn spoilt(spoil: impl Fn(&mut Jet<f64>)) -> impl Fn(ArrayView2<f64>, &Request<f64>) -> Result<Jet<f64>, Error> {
    move |x, request| {
        let mut jet = peaks(&x, request)?;
        spoil(&mut jet);
        Ok(jet)
    }
}

#[test]
fn wrong_gradients_fail() {
    let x = points(11, 2);
    for factor in [0.0, -1.0, 0.5, 0.999, 1.001, f64::NAN, f64::INFINITY] {
        let f = spoilt(|jet| jet.gradient.iter_mut().for_each(|g| *g *= factor));
        for base in [2.0, 4.0, 10.0] {
            let report = input_derivative_check(&f, &x, &Options { base, ..hessian() }).unwrap();
            assert!(!report.gradient && !report.passed(), "{factor} {base}\n{report}");
        }
        assert!(!input_derivative_check_finite_difference(&f, &x, &Default::default()).unwrap().gradient.passed);
        let report = laplacian_check_finite_difference(&f, &x, &Default::default()).unwrap();
        assert!(!report.gradient.passed && report.laplacian.unwrap().passed);
    }
    // one entry of one point
    for wrong in [0.1, f64::NAN] {
        let f = spoilt(|jet| jet.gradient.iter_mut().for_each(|g| g[[3, 1, 0]] += wrong));
        assert!(!input_derivative_check(&f, &x, &Options::default()).unwrap().gradient);
        assert!(!input_derivative_check_finite_difference(&f, &x, &Default::default()).unwrap().gradient.passed);
    }
}

#[test]
fn wrong_hessians_fail() {
    let x = points(11, 2);
    let options = DifferenceOptions { hessian: true, ..Default::default() };
    for factor in [0.0, -1.0, 0.5, 0.999, f64::NAN, f64::INFINITY] {
        let f = spoilt(|jet| jet.hessian.iter_mut().for_each(|h| *h *= factor));
        let report = input_derivative_check(&f, &x, &hessian()).unwrap();
        assert!(report.gradient && report.hessian == Some(false) && !report.passed(), "{factor}\n{report}");
        let report = input_derivative_check_finite_difference(&f, &x, &options).unwrap();
        assert!(report.gradient.passed && !report.hessian.unwrap().passed, "{factor}\n{report}");
        // not asked about, not judged
        let gradient_alone = Options { hessian: false, ..Options::default() };
        assert!(input_derivative_check(&f, &x, &gradient_alone).unwrap().passed());
    }
    // off the diagonal, one side
    let f = spoilt(|jet| jet.hessian.iter_mut().for_each(|h| h[[3, 0, 1, 0]] += 1e-2));
    assert!(!input_derivative_check_finite_difference(&f, &x, &options).unwrap().passed());
}

#[test]
fn wrong_laplacians_fail() {
    let x = points(11, 2);
    for factor in [0.0, -1.0, 0.999, f64::NAN] {
        let f = spoilt(|jet| jet.laplacian.iter_mut().for_each(|l| *l *= factor));
        let report = laplacian_check_finite_difference(&f, &x, &Default::default()).unwrap();
        assert!(report.gradient.passed && !report.laplacian.unwrap().passed && !report.passed(), "{report}");
    }
}

#[test]
fn values_that_are_not_finite_fail() {
    for bad in [f64::NAN, f64::INFINITY] {
        let x = points(4, 2);
        let f = spoilt(|jet| jet.value.iter_mut().for_each(|v| v[[0, 0]] = bad));
        assert!(!input_derivative_check(&f, &x, &hessian()).unwrap().passed());
        assert!(!input_derivative_check_finite_difference(&f, &x, &Default::default()).unwrap().passed());
        assert!(!laplacian_check_finite_difference(&f, &x, &Default::default()).unwrap().laplacian.unwrap().passed);
    }
}

#[test]
fn functions_without_what_is_asked_for_are_errors() {
    let x = points(4, 2);
    let without = spoilt(|jet| jet.gradient = None);
    assert!(matches!(input_derivative_check(&without, &x, &hessian()), Err(Error::Request(_))));
    let flat = spoilt(|jet| jet.hessian = jet.hessian.as_ref().map(|_| Array4::zeros((4, 2, 1, 1))));
    match input_derivative_check(&flat, &x, &hessian()) {
        Err(Error::Shape { found, wanted, .. }) => {
            assert_eq!((&found[..], &*wanted), (&[4, 2, 1, 1][..], "[4, 2, 2, 1]"))
        }
        other => panic!("{other:?}"),
    }
    // peaks knows no directions
    assert!(matches!(directional_derivative_check(&right_peaks, &x, &Default::default()), Err(Error::Request(_))));
}

#[test]
fn options_without_sense_are_errors() {
    let x = points(4, 2);
    let d = Options::default;
    for options in [
        Options { num_test: 3, ..d() },
        Options { num_test: 100_000, ..d() },
        Options { base: 1.0, ..d() },
        Options { base: f64::NAN, ..d() },
        Options { base: f64::INFINITY, ..d() },
        Options { tol: f64::NAN, ..d() },
        Options { tol: -0.1, ..d() },
    ] {
        assert!(
            matches!(input_derivative_check(&right_peaks, &x, &options), Err(Error::Setting { .. })),
            "{options:?}"
        );
    }
    let d = DifferenceOptions::default;
    for options in [
        DifferenceOptions { eps: 0.0, ..d() },
        DifferenceOptions { eps: f64::NAN, ..d() },
        DifferenceOptions { atol: -1.0, ..d() },
        DifferenceOptions { rtol: f64::INFINITY, ..d() },
    ] {
        let report = input_derivative_check_finite_difference(&right_peaks, &x, &options);
        assert!(matches!(report, Err(Error::Setting { .. })), "{options:?}");
        assert!(matches!(laplacian_check_finite_difference(&right_peaks, &x, &options), Err(Error::Setting { .. })));
    }
    let options = DirectionalOptions { k: 0, ..Default::default() };
    assert!(matches!(directional_derivative_check(&right_peaks, &x, &options), Err(Error::Setting { .. })));

    let none = Array2::zeros((0, 2));
    assert!(matches!(input_derivative_check(&right_peaks, &none, &Options::default()), Err(Error::Shape { .. })));
    let nan = array![[0.0, f64::NAN]];
    assert!(matches!(input_derivative_check(&right_peaks, &nan, &Options::default()), Err(Error::Setting { .. })));
}

#[test]
fn points_at_the_origin_and_few_tests() {
    let report = input_derivative_check(&right_peaks, &array![[0.0, 0.0]], &hessian()).unwrap();
    assert!(report.passed(), "{report}");
    for (num_test, base) in [(6, 2.0), (8, 2.0), (30, 2.0), (60, 2.0), (15, 10.0), (15, 1.5), (10, 4.0)] {
        let report =
            input_derivative_check(&right_peaks, &points(5, 2), &Options { num_test, base, ..hessian() }).unwrap();
        assert!(report.passed() && report.h.len() == num_test, "{num_test} {base}\n{report}");
    }
}

#[test]
fn every_seed() {
    let x = points(5, 2);
    let wrong = spoilt(|jet| jet.gradient.iter_mut().for_each(|g| *g *= 1.01));
    for seed in 0..100 {
        let options = Options { seed, ..hessian() };
        let report = input_derivative_check(&right_peaks, &x, &options).unwrap();
        assert!(report.passed(), "{seed}\n{report}");
        assert_eq!(report, input_derivative_check(&right_peaks, &x, &options).unwrap());
        assert!(!input_derivative_check(&wrong, &x, &options).unwrap().gradient, "{seed}");
    }
    let e1 = |seed| input_derivative_check(&right_peaks, &x, &Options { seed, ..hessian() }).unwrap().e1;
    assert_ne!(e1(0), e1(1));
}

#[test]
fn the_table_is_the_manual_s() {
    let report = TaylorReport {
        base: 2.0,
        h: vec![1.0, 0.5],
        e0: vec![1.62 / 4.0, 1.63 / 8.0],
        e1: vec![1.7 * 2f64.powi(-7), 1.7 * 2f64.powi(-9)],
        e2: Some(vec![1.02 * 2f64.powi(-12), 1.06 * 2f64.powi(-15)]),
        gradient: true,
        hessian: Some(false),
    };
    let wanted = "\
h                       E0                      E1                      E2
1.00 x 2^(00)\t\t1.62 x 2^(-02)\t\t1.70 x 2^(-07)\t\t1.02 x 2^(-12)
1.00 x 2^(-01)\t\t1.63 x 2^(-03)\t\t1.70 x 2^(-09)\t\t1.06 x 2^(-15)
Gradient PASSED!
Hessian FAILED.";
    assert_eq!(report.to_string(), wanted);
    let without = TaylorReport { e2: None, hessian: None, gradient: false, ..report };
    let wanted = "\
h                       E0                      E1
1.00 x 2^(00)\t\t1.62 x 2^(-02)\t\t1.70 x 2^(-07)
1.00 x 2^(-01)\t\t1.63 x 2^(-03)\t\t1.70 x 2^(-09)
Gradient FAILED.";
    assert_eq!(without.to_string(), wanted);

    let options = DifferenceOptions { hessian: true, ..Default::default() };
    let report = input_derivative_check_finite_difference(&right_peaks, &points(2, 2), &options).unwrap();
    let text = report.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("Gradient Finite Difference: Error = ") && lines[0].contains(", Relative Error = "));
    assert_eq!((lines[1], lines[3], lines.len()), ("Gradient PASSED!", "Hessian PASSED!", 4));
}

#[test]
fn reports_are_json() {
    let wrong = spoilt(|jet| jet.gradient.iter_mut().for_each(|g| *g *= f64::NAN));
    let report = input_derivative_check(&wrong, &points(2, 2), &hessian()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["gradient"], &json["hessian"]), (&false.into(), &false.into()));
    assert_eq!((json["e0"].as_array().unwrap().len(), &json["e1"][0]), (15, &serde_json::Value::Null));
}

#[test]
fn bases() {
    assert_eq!(convert_to_base(-3.0, 2.0), (-1.0, 0));
    assert_eq!(convert_to_base(f64::INFINITY, 2.0), (f64::INFINITY, 0));
    assert!(convert_to_base(f64::NAN, 2.0).0.is_nan());
    for base in [1.0, 0.5, -2.0, f64::NAN, f64::INFINITY] {
        assert_eq!(convert_to_base(3.0, base), (3.0, 0));
    }
    // where the quotient of rounded logarithms is off
    for e in -300..300 {
        let (c, found) = convert_to_base(format!("1e{e}").parse().unwrap(), 10.0);
        assert!((1.0..10.0).contains(&c), "1e{e}: {c} {found}");
        assert!(found == e || (found == e - 1 && c > 9.999_999_999_999), "1e{e}: {c} {found}");
    }
    for e in 0..=22 {
        assert_eq!(convert_to_base(format!("1e{e}").parse().unwrap(), 10.0), (1.0, e));
    }
    for e in -1074..1024 {
        assert_eq!(convert_to_base(2f64.powf(f64::from(e)), 2.0), (1.0, i64::from(e)));
        assert_eq!(convert_to_base(1.75 * 2f64.powi(e.max(-1022)), 2.0), (1.75, i64::from(e.max(-1022))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
    #[test]
    fn any_number_in_any_base(a in prop::num::f64::POSITIVE, base in 1.001f64..100.0) {
        let (c, e) = convert_to_base(a, base);
        prop_assert!((1.0..base).contains(&c), "{} {}", c, e);
        let back = c.ln() + e as f64 * base.ln();
        prop_assert!((back - a.ln()).abs() < 1e-9 * (1.0 + a.ln().abs()), "{} {}", c, e);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// networks and layers

fn layers() -> Vec<Box<dyn Layer<f64>>> {
    use Activation as A;
    let init = &mut Init::seed(1);
    let acts = [
        A::AntiTanh,
        A::Identity,
        A::Quadratic,
        A::Sigmoid,
        A::softplus(),
        A::Tanh,
        A::Sin,
        A::Silu,
        A::Gelu,
        A::Gaussian,
    ];
    let mut layers: Vec<Box<dyn Layer<f64>>> = Vec::new();
    for act in acts {
        layers.push(Box::new(Single::new(4, 7, act, init)));
    }
    layers.push(Box::new(Resnet::new(4, 0.25, A::softplus(), init)));
    layers.push(Box::new(Icnn::new(4, None, 5, A::softplus(), init)));
    layers.push(Box::new(Quadratic::new(4, 7, init)));
    layers.push(Box::new(QuadraticIcnn::new(4, None, 5, init)));
    layers.push(Box::new(LogSumExp::new(4)));
    layers.push(Box::new(Softmax::new(4)));
    layers.push(Box::new(nested()));
    layers.push(Box::new(
        Network::new(vec![
            Box::new(icnn(4, &[4, 5, 2], A::softplus(), init).unwrap()) as Box<dyn Layer<f64>>,
            Box::new(QuadraticIcnn::new(4, Some(2), 2, init)),
        ])
        .unwrap(),
    ));
    layers
}

fn nested() -> Network<f64> {
    let init = &mut Init::seed(2);
    Network::new(vec![
        Box::new(Single::new(4, 7, Activation::AntiTanh, init)) as Box<dyn Layer<f64>>,
        Box::new(resnet(7, 3, 0.8, Activation::softplus(), init).unwrap()),
        Box::new(fully_connected(&[7, 9, 5], Activation::Tanh, init).unwrap()),
        Box::new(Single::new(5, 3, Activation::Identity, init)),
    ])
    .unwrap()
}

#[test]
fn every_layer_passes() {
    let x = points(6, 4);
    for layer in layers() {
        every_check(layer.as_ref(), &x, &layer.name());
        let report = directional_derivative_check(layer.as_ref(), &x, &DirectionalOptions::default()).unwrap();
        assert!(report.passed() && report.results.len() == 12, "{layer:?}\n{report}");
    }
}

#[test]
fn every_weight_gradient_passes() {
    let x = points(6, 4);
    for layer in layers().iter().filter(|l| !l.weights().is_empty()) {
        let before: Vec<_> = layer.weights().into_iter().map(|(_, w)| w.clone()).collect();
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites] {
            for hessian in [false, true] {
                let options = Options { hessian, mode: mode.clone(), ..Options::default() };
                let report = network_derivative_check(layer.as_ref(), &x, &options).unwrap();
                assert!(report.gradient && report.e2.is_none(), "{layer:?} {mode:?}\n{report}");
            }
        }
        let after: Vec<_> = layer.weights().into_iter().map(|(_, w)| w.clone()).collect();
        assert_eq!(before, after);
    }
    let error = network_derivative_check(&Softmax::new(4) as &dyn Layer<f64>, &x, &hessian()).unwrap_err();
    assert!(matches!(error, Error::Setting { .. }), "{error}");
}

#[test]
fn single_precision() {
    // wrong by a tenth is seen, right passes; finer differences are for double precision
    let x = points(3, 4).mapv(|v| v as f32);
    let network = nested().cast::<f32>().unwrap();
    let report = input_derivative_check(&network, &x, &hessian()).unwrap();
    assert!(report.passed(), "{report}");
    let wrong = |x: ArrayView2<f32>, request: &Request<f32>| {
        let mut jet = network.jet(x, request)?;
        jet.gradient.iter_mut().for_each(|g| *g *= 1.1);
        Ok(jet)
    };
    let report = input_derivative_check(&wrong, &x, &Options::default()).unwrap();
    assert!(!report.gradient, "{report}");
    assert!(directional_derivative_check(&network, &x, &DirectionalOptions::default()).unwrap().passed());
    let double = network.cast::<f64>().unwrap();
    assert!(input_derivative_check(&double, &x.mapv(f64::from), &hessian()).unwrap().passed());
}

#[test]
fn many_points_and_large_values() {
    let x = concatenate![Axis(0), points(500, 4), points(500, 4) * 30.0];
    let network = nested();
    let large = |x: ArrayView2<f64>, request: &Request<f64>| {
        let mut jet = network.jet(x, request)?;
        jet.value.iter_mut().for_each(|v| *v *= 1e6);
        jet.gradient.iter_mut().for_each(|g| *g *= 1e6);
        jet.hessian.iter_mut().for_each(|h| *h *= 1e6);
        Ok(jet)
    };
    for report in [input_derivative_check(&network, &x, &hessian()), input_derivative_check(&large, &x, &hessian())] {
        assert!(report.as_ref().unwrap().passed(), "{}", report.unwrap());
    }
}

#[test]
fn golden_networks_pass() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    for file in std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
        if file.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let network = Network::<f64>::load(&file).unwrap();
        let x = points(5, network.dim_input());
        for seed in 0..3 {
            let options = Options { seed, ..hessian() };
            let report = input_derivative_check(&network, &x, &options).unwrap();
            assert!(report.passed(), "{file:?}\n{report}");
            let report = network_derivative_check(&network, &x, &options).unwrap();
            assert!(report.passed(), "{file:?}\n{report}");
        }
        let options = DifferenceOptions { hessian: network.dim_input() < 20, ..Default::default() };
        let report = input_derivative_check_finite_difference(&network, &x, &options).unwrap();
        assert!(report.passed(), "{file:?}\n{report}");
        let report = laplacian_check_finite_difference(&network, &x, &options).unwrap();
        assert!(report.passed(), "{file:?}\n{report}");
    }
}
