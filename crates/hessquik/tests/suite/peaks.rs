//! `peaks` against hyper-dual numbers, finite differences, and known values.
use hessquik::{Error, Jet, Request, peaks};
use ndarray::{Array2, array, s};
use num_dual::{DualNum, second_partial_derivative};

type Dual = num_dual::HyperDual64;

/// The formula as it is printed, on hyper-dual numbers.
fn formula(x: Dual, y: Dual) -> Dual {
    let exp = |x: Dual, y: Dual| (-x.powi(2) - y.powi(2)).exp();
    let a = (-x + 1.0).powi(2) * exp(x, y + 1.0) * 3.0;
    let b = (x / 5.0 - x.powi(3) - y.powi(5)) * exp(x, y) * 10.0;
    a - b - exp(x + 1.0, y) / 3.0
}

fn all() -> Request<f64> {
    Request::new().value().gradient().hessian().packed().diagonal().laplacian()
}

/// 13 x 13 points of [-3, 3]^2 and some further out.
fn points() -> Array2<f64> {
    let mut y: Vec<[f64; 2]> =
        (0..169).map(|i| [-3.0 + 0.5 * f64::from(i % 13), -3.0 + 0.5 * f64::from(i / 13)]).collect();
    y.extend([[0.123, -4.5], [5.0, 6.0], [-7.0, 0.3], [1.0, 1e-9], [0.0, 0.0]]);
    Array2::from(y)
}

#[test]
fn agrees_with_hyper_dual_numbers() {
    let y = points();
    let jet = peaks(&y, &all()).unwrap();
    let (value, gradient, hessian) = (jet.value.unwrap(), jet.gradient.unwrap(), jet.hessian.unwrap());
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-13 * (1.0 + b.abs()), "{a} {b}");
    for (i, p) in y.rows().into_iter().enumerate() {
        let (f, fx, fy, fxy) = second_partial_derivative(|(x, y)| formula(x, y), (p[0], p[1]));
        let (_, _, _, fxx) = second_partial_derivative(|(x, h)| formula(x + h, Dual::from(p[1])), (p[0], 0.0));
        let (_, _, _, fyy) = second_partial_derivative(|(y, h)| formula(Dual::from(p[0]), y + h), (p[1], 0.0));
        close(value[[i, 0]], f);
        close(gradient[[i, 0, 0]], fx);
        close(gradient[[i, 1, 0]], fy);
        close(hessian[[i, 0, 0, 0]], fxx);
        close(hessian[[i, 0, 1, 0]], fxy);
        close(hessian[[i, 1, 0, 0]], fxy);
        close(hessian[[i, 1, 1, 0]], fyy);
    }
}

#[test]
fn agrees_with_finite_differences() {
    let y = points();
    let jet = peaks(&y, &all()).unwrap();
    let value = |dx: f64, dy: f64| peaks(&(&y + &array![dx, dy]), &Request::new().value()).unwrap().value.unwrap();
    let h = 1e-4;
    let fx = (value(h, 0.0) - value(-h, 0.0)) / (2.0 * h);
    let fxy = (value(h, h) - value(h, -h) - value(-h, h) + value(-h, -h)) / (4.0 * h * h);
    let lap = (value(h, 0.0) + value(-h, 0.0) + value(0.0, h) + value(0.0, -h) - 4.0 * value(0.0, 0.0)) / (h * h);
    let far = |a: Array2<f64>, b: ndarray::ArrayView2<f64>| (a - b).iter().fold(0.0, |m: f64, d| m.max(d.abs()));
    assert!(far(fx, jet.gradient.unwrap().slice(s![.., 0, ..])) < 1e-5);
    assert!(far(fxy, jet.hessian.unwrap().slice(s![.., 0, 1, ..])) < 1e-5);
    assert!(far(lap, jet.laplacian.unwrap().view()) < 1e-5);
}

#[test]
fn results_agree_with_one_another() {
    let y = points();
    let jet = peaks(&y, &all()).unwrap();
    let n = y.nrows();
    let (h, d) = (jet.hessian.unwrap(), jet.diagonal.unwrap());
    assert_eq!(h.dim(), (n, 2, 2, 1));
    assert_eq!(d.dim(), (n, 2, 1));
    assert_eq!(d.slice(s![.., 0, ..]), h.slice(s![.., 0, 0, ..]));
    assert_eq!(d.slice(s![.., 1, ..]), h.slice(s![.., 1, 1, ..]));
    let p = jet.packed.unwrap();
    assert_eq!(p.dim(), (n, 3, 1));
    assert_eq!(p.slice(s![.., 1, ..]), h.slice(s![.., 0, 1, ..]));
    assert_eq!(p.slice(s![.., 2, ..]), h.slice(s![.., 1, 1, ..]));
    assert_eq!(jet.laplacian.unwrap(), d.sum_axis(ndarray::Axis(1)));
    let value = peaks(&y, &Request::new().value()).unwrap();
    assert_eq!(value, Jet { value: jet.value, ..Jet::default() });
}

#[test]
fn single_precision_is_double_precision_rounded() {
    let y = points().mapv(|v| v as f32);
    let single = peaks(&y, &Request::new().value().hessian()).unwrap();
    let double = peaks(&y.mapv(f64::from), &all()).unwrap();
    assert_eq!(single.value.unwrap(), double.value.unwrap().mapv(|v| v as f32));
    assert_eq!(single.hessian.unwrap(), double.hessian.unwrap().mapv(|v| v as f32));
}

#[test]
fn far_away_it_is_zero_and_nan_stays_nan() {
    let far = array![[1e200, 0.0], [0.0, -1e100], [f64::INFINITY, f64::NEG_INFINITY], [40.0, 40.0]];
    let jet = peaks(&far, &all()).unwrap();
    assert!(jet.value.unwrap().iter().chain(&jet.hessian.unwrap()).all(|v| *v == 0.0));
    let jet = peaks(&array![[f64::NAN, 0.0]], &all()).unwrap();
    assert!(jet.value.unwrap()[[0, 0]].is_nan());
}

#[test]
fn any_strides_and_no_points() {
    let y = points();
    let fortran = y.t().as_standard_layout().into_owned().reversed_axes();
    assert_eq!(peaks(&fortran, &all()).unwrap(), peaks(&y, &all()).unwrap());
    let none = peaks(&y.slice(s![..0, ..]), &all()).unwrap();
    assert_eq!(none.hessian.unwrap().dim(), (0, 2, 2, 1));
}

#[test]
fn what_it_cannot_give_is_an_error() {
    let y = array![[1.0, 2.0]];
    assert!(matches!(peaks(&array![[1.0, 2.0, 3.0]], &all()), Err(Error::Shape { .. })));
    for request in [
        Request::new(),
        all().directions(array![[1.0, 0.0]]),
        all().outputs(array![[1.0]]),
        all().operator(array![[1.0, 0.0], [0.0, 1.0]]),
        all().products(array![[1.0, 0.0]]),
        all().block(&[0], &[1]),
        all().partials(&[(0, 1)]),
        all().factored(),
    ] {
        assert!(matches!(peaks(&y, &request), Err(Error::Request(_))), "{request:?}");
    }
}
