//! Checks of derivatives of any order: right ones pass, and those that are wrong in one order fail there.
use hessquik::check::{DifferenceOptions, Options, higher_derivative_check, partials_check_finite_difference};
use hessquik::{Activation, Error, Evaluate, Init, Jet, Mode, Network, Request, fully_connected};
use ndarray::{Array2, ArrayView2, array, s};

fn network(act: Activation) -> Network<f64> {
    fully_connected(&[3, 10, 10, 2], act, &mut Init::seed(2)).unwrap()
}

fn points() -> Array2<f64> {
    Init::seed(1).uniform((4, 3), -1.0, 1.0)
}

#[test]
fn right_derivatives_pass() {
    for act in [Activation::Tanh, Activation::Sin, Activation::softplus(), Activation::Silu] {
        for mode in [Mode::Auto, Mode::Forward] {
            let net = network(act.clone());
            let report =
                higher_derivative_check(&net, &points(), 6, &Options { mode: mode.clone(), ..Options::default() });
            let report = report.unwrap();
            assert!(report.passed(), "{act:?} {mode:?}\n{report}");
            assert_eq!(report.orders.len(), 6);
            let partials = [vec![0], vec![1, 0], vec![2, 0, 2], vec![0, 1, 1, 2], vec![1; 5], vec![0, 0, 1, 1, 2, 2]];
            let options = DifferenceOptions { mode: mode.clone(), ..DifferenceOptions::default() };
            let report = partials_check_finite_difference(&net, &points(), &partials, &options).unwrap();
            assert!(report.passed(), "{act:?} {mode:?}\n{report}");
            assert!(report.to_string().contains("Partial 0-1-1-2 PASSED!"), "{report}");
        }
    }
}

/// One per cent, in one order.
#[test]
fn wrong_derivatives_fail_where_they_are_wrong() {
    let net = network(Activation::Tanh);
    for wrong in 1..=5 {
        let f = |x: ArrayView2<f64>, request: &Request<f64>| -> Result<Jet<f64>, Error> {
            let mut jet = net.evaluate(&x, request)?;
            if let Some(all) = &mut jet.directional
                && all.dim().1 >= wrong
            {
                all.slice_mut(s![.., wrong - 1, .., ..]).mapv_inplace(|d| 1.01 * d);
            }
            if let (Some(all), Some(list)) = (&mut jet.partials, &request.partials) {
                for (p, _) in list.iter().enumerate().filter(|(_, axes)| axes.len() == wrong) {
                    all.slice_mut(s![.., p, ..]).mapv_inplace(|d| 1.01 * d);
                }
            }
            Ok(jet)
        };
        let report = higher_derivative_check(&f, &points(), 5, &Options::default()).unwrap();
        // what stands on a wrong order is wrong with it
        let failed: Vec<usize> = report.orders.iter().filter(|o| !o.passed).map(|o| o.order).collect();
        let wanted: Vec<usize> = (wrong..=5.min(wrong + 1)).collect();
        assert_eq!(failed, wanted, "{report}");
        assert!(!report.passed());
        let partials: Vec<Vec<usize>> = (1..=5).map(|j| (0..j).map(|a| a % 3).collect()).collect();
        let report = partials_check_finite_difference(&f, &points(), &partials, &DifferenceOptions::default()).unwrap();
        let failed: Vec<usize> =
            report.partials.iter().filter(|p| !p.difference.passed).map(|p| p.axes.len()).collect();
        assert_eq!(failed, wanted, "{report}");
    }
}

#[test]
fn zeros_and_errors() {
    let mut net = network(Activation::Tanh);
    let zeros = Array2::zeros((1, net.n_weights()));
    net.set_flat_weights(zeros.row(0)).unwrap();
    let report = higher_derivative_check(&net, &points(), 3, &Options::default()).unwrap();
    assert!(report.vanishes && !report.passed() && report.to_string().contains("nothing was checked"), "{report}");
    let report =
        partials_check_finite_difference(&net, &points(), &[vec![0, 1, 2]], &DifferenceOptions::default()).unwrap();
    assert!(report.vanishes() && !report.passed());
    // derivatives above the degree are zero, and right
    let square = fully_connected::<f64>(&[2, 3], Activation::Quadratic, &mut Init::seed(0)).unwrap();
    let report = higher_derivative_check(&square, &array![[0.3, -0.2]], 4, &Options::default()).unwrap();
    assert!(report.passed(), "{report}");
    let x = points();
    let net = network(Activation::Tanh);
    for order in [0, 9] {
        let found = higher_derivative_check(&net, &x, order, &Options::default());
        assert!(matches!(found, Err(Error::Setting { .. })), "{order}: {found:?}");
    }
    for partials in [vec![], vec![vec![]], vec![vec![3]], vec![vec![0; 9]]] {
        assert!(partials_check_finite_difference(&net, &x, &partials, &DifferenceOptions::default()).is_err());
    }
}
