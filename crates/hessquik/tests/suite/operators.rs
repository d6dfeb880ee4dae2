//! The operator tr(B H) beside the plain sum of `B` and the full Hessian, at operators of every kind.
use hessquik::{
    Activation, Evaluate, Init, Jet, Layer, Mode, Network, Real, Request, Resnet, Single, fully_connected, icnn,
};
use ndarray::{Array2, Array4};

fn random(rows: usize, cols: usize, seed: u64) -> Array2<f64> {
    Init::seed(seed).uniform((rows, cols), -1.0, 1.0)
}

/// Operators by name: indefinite, definite, nearly singular, of low rank, graded, sparse.
fn operators(k: usize) -> Vec<(&'static str, Array2<f64>)> {
    let a = random(k, k, 1);
    let symmetric = (&a + &a.t()) / 2.0;
    let few = random(k, 3.min(k), 2);
    let kernel = |width: f64| Array2::from_shape_fn((k, k), |(i, j)| (-((i as f64 - j as f64) / width).powi(2)).exp());
    let eye = Array2::<f64>::eye(k);
    let mut wave = Array2::zeros((k, k));
    (wave[[0, k - 1]], wave[[k - 1, 0]]) = (1.0, 1.0);
    let graded = Array2::from_shape_fn((k, k), |(i, j)| {
        symmetric[[i, j]] * 10f64.powi((i % 5) as i32 - 2) * 10f64.powi((j % 5) as i32 - 2)
    });
    vec![
        ("dense and indefinite", symmetric.clone()),
        ("not symmetric", a.clone()),
        ("definite", a.dot(&a.t())),
        ("a covariance", few.dot(&few.t()) + &eye * 1e-3),
        ("a smooth kernel", kernel(k as f64 / 3.0)),
        ("ones, nearly singular", Array2::ones((k, k)) + &eye * 1e-12),
        ("shifted to nearly singular", {
            // the Householder reflection I - 2 v v^T has eigenvalues 1 and -1
            let v = random(k, 1, 4);
            let v = &v / v.mapv(|x| x * x).sum().sqrt();
            &eye * (1.0 + 1e-13) - v.dot(&v.t()) * 1.0
        }),
        ("low rank", few.dot(&few.t())),
        ("low rank and indefinite", few.dot(&Array2::from_diag(&few.row(0).map(|x| x.signum()))).dot(&few.t())),
        ("wave", wave),
        ("graded", graded),
        ("diagonal", Array2::from_diag(&symmetric.row(0))),
        (
            "tridiagonal",
            Array2::from_shape_fn((k, k), |(i, j)| if i.abs_diff(j) < 2 { symmetric[[i, j]] } else { 0.0 }),
        ),
    ]
}

fn networks<F: Real>(k: usize) -> Vec<(&'static str, Network<F>)> {
    let init = &mut Init::seed(5);
    let boxed = |layers| Network::new(layers).expect("layers that fit");
    let mut all = vec![
        ("fully connected", fully_connected(&[k, 12, 12, 2], Activation::Tanh, init).expect("valid")),
        ("convex", icnn(k, &[8, 8, 2], Activation::softplus(), init).expect("valid")),
    ];
    if k <= 40 {
        let resnet = Box::new(Resnet::new(k, 0.5, Activation::Tanh, init));
        all.push(("residual", boxed(vec![resnet, Box::new(Single::new(k, 2, Activation::Sin, init))])));
    }
    all
}

/// `sum_ab B_ab H_ab` in the precision of `F`, and its error bound in units of the precision.
fn plain<F: Real>(b: &Array2<F>, hessian: &Array4<F>) -> Array2<F> {
    let (n, k, _, q) = hessian.dim();
    Array2::from_shape_fn((n, q), |(s, r)| {
        (0..k).map(|i| (0..k).map(|j| b[[i, j]] * hessian[[s, i, j, r]]).sum::<F>()).sum()
    })
}

fn as_accurate_as_the_plain_sum<F: Real>(k: usize) {
    for (kind, network) in networks::<F>(k) {
        let double: Network<f64> = network.cast().expect("built in");
        let x: Array2<F> = random(4, network.dim_input(), 6).mapv(F::of);
        let wide = x.mapv(F::as_f64);
        let exact = double.hessian(&wide).expect("valid").2;
        // the error of the Hessian itself differs from mode to mode, by some units
        let hessian = |mode: &Mode| {
            let request = Request::new().hessian().mode(mode.clone());
            network.evaluate(&x, &request).expect("valid").hessian.expect("asked for")
        };
        let modes = [Mode::Auto, Mode::Sites, Mode::Forward, Mode::Backward];
        let modes = modes.map(|mode| (hessian(&mode), mode));
        for (name, b) in operators(k) {
            let outputs = network.dim_output();
            let pick = Array2::from_shape_fn((outputs, 2), |(i, j)| F::of(f64::from(i == j)));
            let b = b.mapv(F::of);
            let wanted = plain(&b.mapv(F::as_f64), &exact);
            let size = plain(&b.mapv(|x| x.as_f64().abs()), &exact.mapv(f64::abs));
            let largest = |errors: &dyn Fn((usize, usize)) -> f64| {
                ndarray::indices(wanted.dim()).into_iter().map(errors).fold(0.0, f64::max)
            };
            let error = |found: &Array2<F>| largest(&|at| (found[at].as_f64() - wanted[at]).abs() / size[at]);
            let plain_error = |hessian| error(&plain(&b, hessian)).max(4.0 * F::epsilon().as_f64());
            for (hessian, mode) in &modes {
                let of_plain = plain_error(hessian);
                let request = Request::new().operator(b.clone()).mode(mode.clone());
                let found = network.evaluate(&x, &request).expect("valid").operator.expect("asked for");
                let found_error = error(&found);
                println!("{} {kind} {k} {name} {mode:?}: {found_error:.2e} beside {of_plain:.2e}", F::NAME);
                assert!(
                    found_error <= 4.0 * of_plain,
                    "{} {kind} {k} {name} {mode:?}: {found_error:e} beside {of_plain:e}",
                    F::NAME
                );
            }
            // two of the outputs
            let of_plain = plain_error(&modes[0].0);
            let request = Request::new().operator(b.clone()).outputs(pick);
            let found = network.evaluate(&x, &request).expect("valid").operator.expect("asked for");
            for s in 0..x.nrows() {
                for r in 0..2 {
                    let off = (found[[s, r]].as_f64() - wanted[[s, r]]).abs() / size[[s, r]];
                    assert!(off <= 4.0 * of_plain, "{kind} {k} {name}: {off:e}");
                }
            }
        }
    }
}

#[test]
fn operators_are_as_accurate_as_the_plain_sum_in_single_precision() {
    [2, 3, 9, 40, 130].into_iter().for_each(as_accurate_as_the_plain_sum::<f32>);
}

#[test]
fn operators_are_as_accurate_as_the_plain_sum_in_double_precision() {
    [2, 5, 40, 130].into_iter().for_each(as_accurate_as_the_plain_sum::<f64>);
}

/// The pullback of tr(B H) is that of the Hessian with the cotangent B, in every mode.
#[test]
fn pullbacks_of_operators_are_those_of_the_hessian() {
    for k in [2, 9, 40] {
        for (kind, network) in networks::<f64>(k) {
            let x = random(5, network.dim_input(), 7);
            let outputs = network.dim_output();
            let bar: Array2<f64> = random(5, outputs, 8);
            for (name, b) in operators(k) {
                let of_hessian = Array4::from_shape_fn((5, k, k, outputs), |(s, i, j, r)| bar[[s, r]] * b[[i, j]]);
                let cotangent = Jet { hessian: Some(of_hessian), ..Jet::default() };
                let wanted = network.pullback(&x, &Request::new().hessian(), &cotangent).expect("valid");
                let scale = |a: &[f64]| a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
                let b_size = scale(b.as_slice().unwrap_or(&[1e4]));
                for mode in [Mode::Auto, Mode::Sites, Mode::Forward, Mode::Backward] {
                    let request = Request::new().operator(b.clone()).mode(mode.clone());
                    let cotangent = Jet { operator: Some(bar.clone()), ..Jet::default() };
                    let found = network.pullback(&x, &request, &cotangent).expect("valid");
                    let pairs = [
                        (found.weights.to_vec(), wanted.weights.to_vec()),
                        (found.input.iter().copied().collect(), wanted.input.iter().copied().collect()),
                    ];
                    for (found, wanted) in pairs {
                        let bound = 1e-12 * (scale(&wanted) + b_size);
                        for (found, wanted) in found.iter().zip(&wanted) {
                            assert!(
                                (found - wanted).abs() <= bound,
                                "{kind} {k} {name} {mode:?}: {found:e} {wanted:e}"
                            );
                        }
                    }
                }
            }
        }
    }
}
