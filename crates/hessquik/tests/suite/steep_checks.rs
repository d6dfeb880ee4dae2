//! Derivative checks of networks with large weights, whose length scale is a small part of the usual steps.
use hessquik::check::{
    DifferenceOptions, DirectionalOptions, Function, Options, directional_derivative_check, input_derivative_check,
    input_derivative_check_finite_difference, laplacian_check_finite_difference, network_derivative_check,
};
use hessquik::{Activation, Error, Init, Jet, Layer, Mode, Network, Pointwise, Request, Single, fully_connected};
use ndarray::{Array2, ArrayView2};

/// A network with weights `scale` times the initial ones; its last layer is affine, since a saturated one has no derivatives.
fn steep(widths: &[usize], act: Activation, scale: f64, seed: u64) -> Network<f64> {
    let init = &mut Init::seed(seed);
    let last = widths.len() - 2;
    let layer = |(i, w): (usize, &[usize])| -> Box<dyn Layer<f64>> {
        Box::new(Single::new(w[0], w[1], if i == last { Activation::Identity } else { act.clone() }, init))
    };
    let mut network = Network::new(widths.windows(2).enumerate().map(layer).collect()).expect("valid");
    let weights = network.flat_weights() * scale;
    network.set_flat_weights(weights.view()).expect("as many");
    network
}

fn points(n: usize, d: usize) -> Array2<f64> {
    Init::seed(11).uniform((n, d), -1.0, 1.0)
}

/// The verdicts of all checks: gradient and Hessian by Taylor expansions and by differences, the Laplacian, along
/// directions, and the weights.
fn verdicts(f: &(impl Function<f64> + ?Sized), x: &Array2<f64>, seed: u64) -> Vec<(&'static str, bool, String)> {
    let mut all = Vec::new();
    for mode in [Mode::Forward, Mode::Backward] {
        let options = Options { hessian: true, seed, mode: mode.clone(), ..Options::default() };
        let report = input_derivative_check(f, x, &options).expect("valid");
        all.push(("gradient, Taylor", report.gradient, report.to_string()));
        all.push(("Hessian, Taylor", report.hessian == Some(true), report.to_string()));
        let options = DifferenceOptions { hessian: true, mode, ..DifferenceOptions::default() };
        let report = input_derivative_check_finite_difference(f, x, &options).expect("valid");
        all.push(("gradient, differences", report.gradient.passed, report.to_string()));
        all.push(("Hessian, differences", report.hessian.expect("asked for").passed, report.to_string()));
    }
    let report = laplacian_check_finite_difference(f, x, &DifferenceOptions::default()).expect("valid");
    all.push(("Laplacian", report.laplacian.expect("asked for").passed, report.to_string()));
    all
}

#[test]
fn right_networks_pass_whatever_their_weights() {
    let (mut passed, mut count) = (0, 0);
    let mut failures = Vec::new();
    for scale in [1.0, 3.0, 10.0, 20.0, 30.0] {
        for seed in 0..20 {
            for widths in [&[2, 16, 16, 1][..], &[3, 8, 2], &[1, 20, 20, 20, 1]] {
                let network = steep(widths, Activation::Tanh, scale, seed);
                let x = points(5, widths[0]);
                let mut all = verdicts(&network, &x, seed);
                let options = DirectionalOptions { seed, ..DirectionalOptions::default() };
                let report = directional_derivative_check(&network, &x, &options).expect("valid");
                all.push(("directions", report.passed(), report.to_string()));
                for hessian in [false, true] {
                    let options = Options { hessian, seed, ..Options::default() };
                    let report = network_derivative_check(&network, &x, &options).expect("valid");
                    all.push(("weights", report.passed(), report.to_string()));
                }
                for (what, right, report) in all {
                    count += 1;
                    passed += usize::from(right);
                    if !right {
                        println!("{what} of {widths:?} {scale} {seed}\n{report}");
                        failures.push(format!("{what} of {widths:?}, weights times {scale}, seed {seed}"));
                    }
                }
            }
        }
    }
    println!("{passed} of {count} pass");
    assert!(failures.is_empty(), "{passed} of {count} pass; these fail:\n{}", failures.join("\n"));
}

#[test]
fn wrong_derivatives_of_steep_networks_fail() {
    for scale in [10.0, 30.0] {
        for seed in 0..5 {
            let network = steep(&[2, 16, 16, 1], Activation::Tanh, scale, seed);
            let x = points(5, 2);
            let spoilt = |spoil: fn(&mut Jet<f64>)| {
                let network = &network;
                move |x: ArrayView2<f64>, request: &Request<f64>| -> Result<Jet<f64>, Error> {
                    let mut jet = network.jet(x, request)?;
                    spoil(&mut jet);
                    Ok(jet)
                }
            };
            let failed = |spoil: fn(&mut Jet<f64>)| -> Vec<&'static str> {
                let all = verdicts(&spoilt(spoil), &x, seed);
                all.into_iter().filter(|(_, passed, _)| !passed).map(|(what, ..)| what).collect()
            };
            let gradients: [fn(&mut Jet<f64>); 3] = [
                |jet| jet.gradient.iter_mut().for_each(|g| *g *= 1.01),
                |jet| jet.gradient.iter_mut().for_each(|g| *g *= -1.0),
                |jet| jet.gradient.iter_mut().for_each(|g| *g *= 0.5),
            ];
            for spoil in gradients {
                let found = failed(spoil);
                assert!(found.contains(&"gradient, Taylor") && found.contains(&"gradient, differences"), "{found:?}");
            }
            let hessians: [fn(&mut Jet<f64>); 3] = [
                |jet| jet.hessian.iter_mut().for_each(|h| *h *= 1.01),
                |jet| jet.hessian.iter_mut().for_each(|h| *h *= 0.5),
                |jet| jet.hessian.iter_mut().for_each(|h| h.fill(0.0)),
            ];
            for spoil in hessians {
                let found = failed(spoil);
                assert!(found.contains(&"Hessian, Taylor") && found.contains(&"Hessian, differences"), "{found:?}");
            }
            let found = failed(|jet| jet.laplacian.iter_mut().for_each(|l| *l *= 1.01));
            assert_eq!(found, ["Laplacian"]);
        }
    }
}

/// A third derivative that is off shows in the gradient of the weights alone.
#[derive(Debug)]
struct Off;

impl Pointwise for Off {
    fn name(&self) -> &str {
        "off"
    }
    fn jet(&self, z: f64) -> [f64; 4] {
        let [f, d, dd, ddd] = Activation::Tanh.jet(z);
        [f, d, dd, 1.2 * ddd]
    }
}

#[test]
fn wrong_weight_gradients_of_steep_networks_fail() {
    for seed in 0..5 {
        let network = steep(&[2, 8, 8, 1], Activation::custom(Off), 10.0, seed);
        let options = Options { hessian: true, seed, ..Options::default() };
        let report = network_derivative_check(&network, &points(5, 2), &options).expect("valid");
        assert!(!report.passed(), "{report}");
    }
}

/// A constant has nothing to check: every report says so, and none passes.
#[test]
fn zeros_do_not_pass() {
    let mut network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0)).expect("valid");
    let zeros = network.flat_weights() * 0.0;
    network.set_flat_weights(zeros.view()).expect("as many");
    let x = points(4, 2);
    let words = "All derivatives are zero";
    for hessian in [false, true] {
        let report = input_derivative_check(&network, &x, &Options { hessian, ..Options::default() }).expect("valid");
        assert!(!report.passed() && report.vanishes() && report.to_string().contains(words), "{report}");
        let options = DifferenceOptions { hessian, ..DifferenceOptions::default() };
        let report = input_derivative_check_finite_difference(&network, &x, &options).expect("valid");
        assert!(!report.passed() && report.vanishes() && report.to_string().contains(words), "{report}");
    }
    let report = laplacian_check_finite_difference(&network, &x, &DifferenceOptions::default()).expect("valid");
    assert!(!report.passed() && report.to_string().contains(words), "{report}");
    let report = directional_derivative_check(&network, &x, &DirectionalOptions::default()).expect("valid");
    assert!(!report.passed() && report.to_string().contains(words), "{report}");
    // in the weights the last bias acts, unless the value is zero too; an affine network has a gradient, and passes
    let report = network_derivative_check(&network, &x, &Options::default()).expect("valid");
    assert!(!report.passed() && report.to_string().contains(words), "{report}");
    let affine = Single::<f64>::new(2, 3, Activation::Identity, &mut Init::seed(1));
    let report = input_derivative_check(&affine, &x, &Options { hessian: true, ..Options::default() }).expect("valid");
    assert!(report.passed() && !report.vanishes() && !report.to_string().contains(words), "{report}");
}
