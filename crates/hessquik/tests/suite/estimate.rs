//! Estimates from random directions: unbiased, with the standard error that they say, the same for the same seed.
use hessquik::estimate::{Estimate, Kind, Options, Quantity, directions, estimate, estimate_while};
use hessquik::{Activation, Error, Evaluate, Init, Layer, Network, Real, Request, Single, fully_connected};
use ndarray::{Array2, ArrayD, Axis, array};

fn network<F: Real>(d: usize) -> Network<F> {
    fully_connected(&[d, 12, 2], Activation::Tanh, &mut Init::seed(3)).unwrap()
}

fn points<F: Real>(n: usize, d: usize) -> Array2<F> {
    Init::seed(4).uniform((n, d), -1.0, 1.0)
}

fn operator(d: usize) -> Array2<f64> {
    Init::seed(5).uniform((d, d), -1.0, 1.0)
}

/// Terms of orders 0 to 2, and of orders up to `highest`.
fn terms(highest: usize) -> Vec<(Vec<usize>, f64)> {
    let all = [
        (vec![], 0.5),
        (vec![2], -1.0),
        (vec![0, 1], 2.0),
        (vec![1, 0], -0.5),
        (vec![3, 3], 1.0),
        (vec![1, 1, 1], 1.5),
        (vec![0, 2, 2, 0], -2.0),
        (vec![3, 3, 3, 3], 0.5),
    ];
    all.into_iter().filter(|(axes, _)| axes.len() <= highest).collect()
}

fn exact<F: Real>(net: &Network<F>, x: &Array2<F>, quantity: &Quantity<F>) -> Array2<F> {
    let request = Request::new();
    match quantity {
        Quantity::Laplacian => net.evaluate(x, &request.laplacian()).unwrap().laplacian,
        Quantity::Bilaplacian => net.evaluate(x, &request.bilaplacian()).unwrap().bilaplacian,
        Quantity::Operator(b) => net.evaluate(x, &request.operator(b.clone())).unwrap().operator,
        Quantity::Terms(terms) => net.evaluate(x, &request.operator_terms(terms)).unwrap().operator,
    }
    .unwrap()
}

/// Over many seeds, errors in units of the standard error have the mean 0 and the variance 1 (a little more: the standard
/// error is itself estimated, from `directions` of them).
#[test]
fn unbiased_with_the_right_standard_error() {
    let (net, x) = (network::<f64>(4), points(2, 4));
    let (gaussian, rademacher) = (Kind::Gaussian, Kind::Rademacher);
    let cases = [
        (Quantity::Laplacian, rademacher, false),
        (Quantity::Laplacian, gaussian, false),
        (Quantity::Laplacian, gaussian, true),
        (Quantity::Bilaplacian, gaussian, false),
        (Quantity::Bilaplacian, gaussian, true),
        (Quantity::Operator(operator(4)), rademacher, false),
        (Quantity::Operator(operator(4)), rademacher, true),
        (Quantity::Terms(terms(2)), rademacher, false),
        (Quantity::Terms(terms(2)), gaussian, true),
        (Quantity::Terms(terms(4)), rademacher, false),
    ];
    for (quantity, kind, per_point) in cases {
        let options = Options { directions: 200, kind, per_point, ..Options::default() };
        // fourth powers of normal numbers have heavy tails, which 200 of them do not show in full
        let most = if quantity == Quantity::Bilaplacian { 3.0 } else { 1.9 };
        unbiased(&net, &x, &quantity, &options, most);
    }
}

/// Over 60 seeds, errors in units of the standard error have the mean 0, and a variance of at most `most`.
fn unbiased(net: &Network<f64>, x: &Array2<f64>, quantity: &Quantity<f64>, options: &Options<f64>, most: f64) {
    let wanted = exact(net, x, quantity);
    let seeds = 60;
    let (mut sums, mut squares) = (Array2::<f64>::zeros(wanted.dim()), Array2::<f64>::zeros(wanted.dim()));
    for seed in 0..seeds {
        let options = Options { seed, ..options.clone() };
        let Estimate { mean, standard_error } = estimate(net, x, quantity, &options).unwrap();
        assert!(standard_error.iter().all(|&e| e > 0.0));
        let off = (mean - &wanted) / standard_error;
        sums += &off;
        squares += &(&off * &off);
    }
    let n = seeds as f64;
    let (means, variances) = (sums / n, squares / n);
    // the mean of 60 numbers of variance 1 is within 0.13 by a standard deviation, their variance within 0.18
    let say = format!("{quantity:?}, {options:?}: {means:.2} {variances:.2}");
    assert!(means.iter().all(|m| m.abs() < 4.5 * n.sqrt().recip()), "{say}");
    assert!(variances.iter().all(|v| (0.45..most).contains(v)), "{say}");
}

/// The variance is that of the formulae: twice the squares of all entries of the Hessian, or of those off the diagonal.
#[test]
fn variances_are_those_of_the_formulae() {
    let (net, x) = (network::<f64>(6), points(1, 6));
    let hessian = net.evaluate(&x, &Request::new().hessian()).unwrap().hessian.unwrap();
    let count = 20_000;
    for kind in [Kind::Gaussian, Kind::Rademacher] {
        let options = Options { directions: count, kind, ..Options::default() };
        let found = estimate(&net, &x, &Quantity::Laplacian, &options).unwrap();
        for r in 0..2 {
            let counts = |a: usize, b: usize| kind == Kind::Gaussian || a != b;
            let squares: f64 = hessian
                .indexed_iter()
                .filter(|((_, a, b, o), _)| *o == r && counts(*a, *b))
                .map(|(_, h)| 2.0 * h * h)
                .sum();
            let wanted = (squares / count as f64).sqrt();
            let ratio = found.standard_error[[0, r]] / wanted;
            assert!((ratio - 1.0).abs() < 0.05, "{kind:?}: {ratio}");
        }
    }
}

/// Where the Hessian is diagonal, every Rademacher direction gives the exact trace.
#[test]
fn rademacher_is_exact_for_diagonal_hessians() {
    let mut layer = Single::<f64>::new(5, 5, Activation::Sin, &mut Init::seed(0));
    layer.weights_mut()[0].1.assign(&Array2::<f64>::eye(5));
    let ones = Array2::<f64>::ones((5, 1));
    let net = Network::new(vec![Box::new(layer)]).unwrap();
    let x = points(3, 5);
    let wanted = net.evaluate(&x, &Request::new().laplacian().outputs(ones.clone())).unwrap().laplacian.unwrap();
    for per_point in [false, true] {
        let options = Options { directions: 3, per_point, outputs: Some(ones.clone()), ..Options::default() };
        let found = estimate(&net, &x, &Quantity::Laplacian, &options).unwrap();
        assert!((&found.mean - &wanted).iter().all(|e| e.abs() < 1e-14));
        assert!(found.standard_error.iter().all(|&e| e < 1e-14));
        let gaussian = Options { kind: Kind::Gaussian, ..options };
        assert!(estimate(&net, &x, &Quantity::Laplacian, &gaussian).unwrap().standard_error.iter().all(|&e| e > 1e-3));
    }
}

/// With a sketch the estimate is unbiased, and its standard error is right.
#[test]
fn sketches_are_unbiased() {
    let (net, x) = (network::<f64>(6), points(2, 6));
    for (kind, per_point) in [(Kind::Rademacher, false), (Kind::Gaussian, true)] {
        let options = Options { directions: 100, kind, per_point, sketch: 2, ..Options::default() };
        unbiased(&net, &x, &Quantity::Laplacian, &options, 1.9);
    }
}

/// The Hessian of a layer of few units has their number of eigenvalues that are not zero: as many directions of a sketch
/// leave nothing to estimate, and fewer leave what the smaller eigenvalues are.
#[test]
fn sketches_are_exact_where_the_rank_is_theirs() {
    let net = fully_connected::<f64>(&[40, 3, 2], Activation::Tanh, &mut Init::seed(3)).unwrap();
    let net = Network::new(vec![Box::new(net), Box::new(Single::new(2, 2, Activation::Identity, &mut Init::seed(1)))]);
    let (net, x) = (net.unwrap(), points::<f64>(5, 40));
    let u = array![[1.0], [-0.5]];
    let wanted = net.evaluate(&x, &Request::new().laplacian().outputs(u.clone())).unwrap().laplacian.unwrap();
    let of = |sketch: usize, per_point: bool| {
        let options = Options { directions: 4, sketch, per_point, outputs: Some(u.clone()), ..Options::default() };
        estimate(&net, &x, &Quantity::Laplacian, &options).unwrap()
    };
    for per_point in [false, true] {
        // all of the range, and more than there is of it
        for sketch in [6, 40, 100] {
            let found = of(sketch, per_point);
            assert!((&found.mean - &wanted).iter().all(|e| e.abs() < 1e-13), "{sketch}: {}", &found.mean - &wanted);
            assert!(found.standard_error.iter().all(|&e| e < 1e-13));
        }
        let (none, some) = (of(0, per_point).standard_error, of(2, per_point).standard_error);
        assert!(none.sum() > 2.0 * some.sum(), "{none} {some}");
    }
    let bilaplacian = Options { sketch: 3, kind: Kind::Gaussian, ..Options::default() };
    let error = estimate(&net, &x, &Quantity::Bilaplacian, &bilaplacian).unwrap_err().to_string();
    assert!(error.contains("sketch is 3") && error.contains("only the Laplacian"), "{error}");
}

/// The same numbers for the same seed, in single precision rounded; others for another seed.
#[test]
fn seeds_decide() {
    let (net, x) = (network::<f64>(7), points::<f64>(30, 7));
    let (single, y) = (network::<f32>(7), x.mapv(|x| x as f32));
    for (quantity, cast) in [
        (Quantity::Laplacian, Quantity::Laplacian),
        (Quantity::Operator(operator(7)), Quantity::Operator(operator(7).mapv(|b| b as f32))),
    ] {
        let options = Options { directions: 100, seed: 9, ..Options::default() };
        let one = estimate(&net, &x, &quantity, &options).unwrap();
        assert_eq!(one, estimate(&net, &x, &quantity, &options).unwrap());
        assert_ne!(one, estimate(&net, &x, &quantity, &Options { seed: 10, ..options.clone() }).unwrap());
        let options = Options { directions: 100, seed: 9, ..Options::default() };
        let found = estimate(&single, &y, &cast, &options).unwrap();
        assert!((one.mean - found.mean.mapv(f64::from)).iter().all(|e| e.abs() < 1e-4));
        assert!((one.standard_error - found.standard_error.mapv(f64::from)).iter().all(|e| e.abs() < 1e-4));
    }
    // each point its own: the same points have different errors
    let twice = array![[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]];
    for per_point in [false, true] {
        let options = Options { per_point, ..Options::default() };
        let found = estimate(&net, &twice, &Quantity::Laplacian, &options).unwrap().mean;
        assert_eq!(found.row(0) != found.row(1), per_point);
    }
}

/// Directions of a request are the same estimate, and so are its gradients exact.
#[test]
fn directions_of_a_request() {
    let (net, x) = (network::<f64>(40), points(5, 40));
    let v = directions::<f64>(Kind::Rademacher, 24, 40, 8);
    let request = Request::new().laplacian().directions(v);
    let along = net.evaluate(&x, &request).unwrap().laplacian.unwrap();
    let options = Options { directions: 24, seed: 8, ..Options::default() };
    let found = estimate(&net, &x, &Quantity::Laplacian, &options).unwrap().mean;
    assert!((along - found).iter().all(|e| e.abs() < 1e-13));
}

/// A vector as a column.
fn matrix(w: &ArrayD<f64>) -> Array2<f64> {
    let rows = w.shape()[0];
    w.to_shape((rows, w.len() / rows)).unwrap().to_owned()
}

/// A hundred thousand inputs.
#[test]
fn many_inputs() {
    let d = 100_000;
    let init = &mut Init::seed(1);
    let layers: Vec<Box<dyn Layer<f32>>> = vec![
        Box::new(Single::new(d, 8, Activation::Tanh, init)),
        Box::new(Single::new(8, 1, Activation::Identity, init)),
    ];
    let net = Network::new(layers).unwrap();
    let x = points::<f32>(2, d);
    let options = Options { directions: 40, ..Options::default() };
    let found = estimate(&net, &x, &Quantity::Laplacian, &options).unwrap();
    // f = tanh(x K + b) W + c, up to the activation of the last layer
    let weights: Vec<Array2<f64>> = net.weights().iter().map(|(_, w)| matrix(&w.mapv(f64::from))).collect();
    let z = x.mapv(f64::from).dot(&weights[0]) + weights[1].t();
    let lengths = weights[0].mapv(|k| k * k).sum_axis(Axis(0));
    let t = z.mapv(f64::tanh);
    let wanted = (t.mapv(|t| -2.0 * t * (1.0 - t * t)) * lengths).dot(&weights[2]);
    let off = (found.mean.mapv(f64::from) - &wanted) / found.standard_error.mapv(f64::from);
    assert!(off.iter().all(|off| off.abs() < 4.0), "{off} of {wanted}");
    let terms: Vec<(Vec<usize>, f32)> = (0..d).step_by(3).map(|a| (vec![a, a], 1.0)).collect();
    let terms = estimate(&net, &x, &Quantity::Terms(terms), &options).unwrap();
    assert!(terms.mean.iter().chain(&terms.standard_error).all(|e| e.is_finite()));
}

#[test]
fn errors_say_why() {
    let (net, x) = (network::<f64>(4), points(2, 4));
    let says = |quantity: Quantity<f64>, options: Options<f64>, words: &[&str]| {
        let error = estimate(&net, &x, &quantity, &options).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    let usual = Options::default;
    says(Quantity::Laplacian, Options { directions: 1, ..usual() }, &["directions", "1", "at least 2"]);
    says(Quantity::Bilaplacian, usual(), &["rademacher", "gaussian", "not 3"]);
    says(Quantity::Operator(Array2::eye(3)), usual(), &["[3, 3]", "[4, 4]"]);
    says(Quantity::Operator(Array2::from_elem((4, 4), f64::NAN)), usual(), &["[0, 0]", "NaN"]);
    says(Quantity::Terms(vec![(vec![4], 1.0)]), usual(), &["(4,)", "less than 4"]);
    says(Quantity::Terms(vec![]), usual(), &["no terms"]);
    says(Quantity::Terms(terms(4)), Options { per_point: true, ..usual() }, &["(0, 0, 2, 2)", "order 4"]);
    assert!(matches!("normal".parse::<Kind>(), Err(Error::Setting { .. })));
    let wide = estimate(&net, &Array2::zeros((2, 5)), &Quantity::Laplacian, &usual()).unwrap_err();
    assert!(matches!(wide, Error::Shape { .. }));
    // no points, and work that is stopped
    let none = estimate(&net, &Array2::zeros((0, 4)), &Quantity::Laplacian, &usual()).unwrap();
    assert_eq!(none.mean.dim(), (0, 2));
    assert!(estimate_while(&net, &x, &Quantity::Laplacian, &usual(), &|| false).unwrap().is_none());
}
