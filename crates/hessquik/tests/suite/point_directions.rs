//! Directions that differ from point to point, against calls of one point each with directions shared by all points, and
//! their gradients against differences of these.
use hessquik::{
    Activation, Error, Evaluate, Gradients, Init, Jet, Layer, Mode, Network, PointDirections, Real, Request, Resnet,
    Single, Tangent,
};
use ndarray::{Array2, Array3, ArrayD, ArrayView2, Axis, s};

fn network<F: Real>(d: usize, m: usize) -> Network<F> {
    let init = &mut Init::seed(3);
    let mut network = Network::new(vec![
        Box::new(Single::new(d, 7, Activation::Tanh, init)),
        Box::new(Resnet::new(7, 0.5, Activation::Sin, init)),
        Box::new(Single::new(7, m, Activation::Identity, init)),
    ])
    .unwrap();
    let theta = Init::seed(4).uniform(network.n_weights(), -0.8, 0.8);
    network.set_flat_weights(theta.view()).unwrap();
    network
}

fn places<F: Real>(n: usize, k: usize, d: usize) -> (Array2<F>, Array3<F>) {
    (Init::seed(5).uniform((n, d), -1.0, 1.0), Init::seed(6).uniform((n, k, d), -1.0, 1.0))
}

/// Requests along two directions of three inputs, two outputs.
fn requests() -> Vec<Request<f64>> {
    let matrix = |rows, cols| Array2::from_shape_fn((rows, cols), |(i, j)| 0.25 * ((i * 5 + j * 3) % 7) as f64 - 0.5);
    let second = || Request::new().value().gradient().hessian().packed().diagonal().laplacian();
    let mixed = [vec![0], vec![0, 1], vec![1, 1, 0], vec![0, 0, 1, 1], vec![1; 6]];
    let terms = [(vec![], 0.5), (vec![0], 1.0), (vec![1, 1, 1], -2.0), (vec![0, 0, 1, 1], 0.7)];
    vec![
        Request::new().directional(1),
        Request::new().directional(4),
        Request::new().value().directional(8),
        second().operator(matrix(2, 2)).products(matrix(3, 3)).block(&[1, 0], &[0]),
        second().outputs(matrix(2, 1)).mode(Mode::Forward),
        second().mode(Mode::Backward),
        second().mode(Mode::Sites),
        Request::new().any_partials(&mixed).bilaplacian(),
        Request::new().operator_terms(&terms).gradient().outputs(matrix(2, 3)),
    ]
}

/// The results of a jet by name.
fn parts<F: Real>(jet: &Jet<F>) -> Vec<(&'static str, ArrayD<F>)> {
    let mut all = Vec::new();
    macro_rules! each {
        ($($field:ident)*) => {
            $(if let Some(a) = &jet.$field { all.push((stringify!($field), a.clone().into_dyn())); })*
        };
    }
    each!(value gradient hessian packed diagonal laplacian operator products block partials directional bilaplacian);
    all
}

fn check<F: Real>(tolerance: f64) {
    let (network, exact) = (network::<F>(3, 2), network::<f64>(3, 2));
    let (x, v) = places::<F>(9, 2, 3);
    let along = PointDirections::new(&network, 2).unwrap();
    for (i, request) in requests().into_iter().enumerate() {
        let cast = |a: &Array2<f64>| a.mapv(F::of);
        let own = Request::<F> {
            operator: request.operator.as_ref().map(cast),
            products: request.products.as_ref().map(cast),
            outputs: request.outputs.as_ref().map(cast),
            terms: request.terms.clone().map(|t| t.into_iter().map(|(axes, c)| (axes, F::of(c))).collect()),
            value: request.value,
            gradient: request.gradient,
            hessian: request.hessian,
            packed: request.packed,
            diagonal: request.diagonal,
            laplacian: request.laplacian,
            block: request.block.clone(),
            partials: request.partials.clone(),
            directional: request.directional,
            bilaplacian: request.bilaplacian,
            mode: request.mode.clone(),
            ..Request::new()
        };
        let found = parts(&along.evaluate(&x.view(), &v.view(), &own).unwrap());
        assert!(!found.is_empty());
        for s in 0..9 {
            let wide = |a: ArrayView2<F>| a.mapv(|e| e.as_f64());
            let request = request.clone().directions(wide(v.index_axis(Axis(0), s)));
            let wanted = parts(&exact.evaluate(&wide(x.slice(s![s..=s, ..])), &request).unwrap());
            for ((name, a), (other, b)) in found.iter().zip(&wanted) {
                let a = a.index_axis(Axis(0), s);
                assert_eq!((name, a.shape()), (other, &b.shape()[1..]));
                let scale = b.iter().fold(1.0f64, |m, e| m.max(e.abs()));
                for (a, b) in a.iter().zip(b) {
                    assert!((a.as_f64() - b).abs() < tolerance * scale, "request {i}, {name}: {a:?} {b}");
                }
            }
        }
    }
}

#[test]
fn results_are_those_of_each_point() {
    check::<f64>(1e-12);
    check::<f32>(3e-4);
}

/// A smooth sum of all results, and its derivatives by them.
fn loss(jet: &Jet<f64>) -> (f64, Jet<f64>) {
    let (mut bar, mut sum) = (jet.clone(), 0.0);
    macro_rules! each {
        ($($field:ident)*) => {
            $(if let Some(a) = &mut bar.$field {
                for (i, e) in a.iter_mut().enumerate() {
                    let weight = 0.3 + 0.1 * (i % 5) as f64;
                    sum += 0.5 * weight * *e * *e;
                    *e *= weight;
                }
            })*
        };
    }
    each!(value gradient hessian packed diagonal laplacian operator products block partials directional bilaplacian);
    (sum, bar)
}

/// Gradients to weights, points and directions: differences of the loss along random lines, of fourth order.
#[test]
fn pullbacks() {
    let network = network::<f64>(3, 2);
    let (x, v) = places::<f64>(4, 2, 3);
    for (i, request) in requests().into_iter().enumerate() {
        let at = |h: f64, which: usize| {
            let by = |on: bool| if on { h } else { 0.0 };
            let theta: ndarray::Array1<f64> = Init::seed(7).uniform(network.n_weights(), -1.0, 1.0);
            let dx: Array2<f64> = Init::seed(8).uniform((4, 3), -1.0, 1.0);
            let dv: Array3<f64> = Init::seed(9).uniform((4, 2, 3), -1.0, 1.0);
            let mut along = PointDirections::new(&network, 2).unwrap();
            along.set_flat_weights((network.flat_weights() + &theta * by(which == 0)).view()).unwrap();
            let (x, v) = (&x + &dx * by(which == 1), &v + &dv * by(which == 2));
            let jet = along.evaluate(&x.view(), &v.view(), &request).unwrap();
            let (sum, bar) = loss(&jet);
            let slope = (h == 0.0).then(|| {
                let g = along.pullback(&x.view(), &v.view(), &request, &bar).unwrap();
                [(g.weights * theta).sum(), (g.input * dx).sum(), (g.directions * dv).sum()][which]
            });
            (sum, slope)
        };
        for which in 0..3 {
            let h = 1e-3;
            let d = |h: f64| (at(h, which).0 - at(-h, which).0) / (2.0 * h);
            let wanted = (4.0 * d(h / 2.0) - d(h)) / 3.0;
            let (sum, slope) = at(0.0, which);
            let off = (slope.unwrap() - wanted).abs();
            assert!(off < 1e-6 * wanted.abs().max(sum), "request {i}, {which}: {slope:?} {wanted}");
        }
    }
}

#[test]
fn pushforwards() {
    let network = network::<f64>(3, 2);
    let (x, v) = places::<f64>(4, 2, 3);
    let along = PointDirections::new(&network, 2).unwrap();
    let dx: Array2<f64> = Init::seed(8).uniform((4, 3), -1.0, 1.0);
    let request = Request::new().directional(3);
    let tangent = Tangent { input: Some(dx.view()), weights: None };
    let found = along.pushforward(&x.view(), &v.view(), &request, tangent).unwrap().directional.unwrap();
    let at = |h: f64| along.evaluate(&(&x + &dx * h).view(), &v.view(), &request).unwrap().directional.unwrap();
    let off = (found - (at(1e-5) - at(-1e-5)) / 2e-5).iter().fold(0.0f64, |m, e| m.max(e.abs()));
    assert!(off < 1e-7, "{off}");
}

/// The same directions everywhere are those of the request, also for a network that is defined by its forward pass, and
/// a second-order pullback by hand.
#[test]
fn shared_directions() {
    let network = network::<f64>(3, 2);
    let (x, _) = places::<f64>(6, 2, 3);
    let v: Array2<f64> = Init::seed(1).uniform((2, 3), -1.0, 1.0);
    let each = v.broadcast((6, 2, 3)).unwrap();
    let along = PointDirections::new(&network, 2).unwrap();
    let request = Request::new().laplacian();
    let one = Jet { laplacian: Some(Array2::ones((6, 2))), ..Jet::default() };
    let found = along.pullback(&x.view(), &each, &request, &one).unwrap();
    let Gradients { weights, input } = network.pullback(&x, &request.clone().directions(v.clone()), &one).unwrap();
    let close = |a: &ArrayD<f64>, b: &ArrayD<f64>| {
        assert!((a - b).iter().all(|e| e.abs() < 1e-11));
    };
    close(&found.weights.into_dyn(), &weights.into_dyn());
    close(&found.input.into_dyn(), &input.into_dyn());
    // d (v^T H v)/dv = 2 H v
    let products = network.evaluate(&x, &Request::new().products(v)).unwrap().products.unwrap();
    let wanted = products.sum_axis(Axis(3)).permuted_axes([0, 2, 1]) * 2.0;
    close(&found.directions.into_dyn(), &wanted.into_dyn());
}

#[test]
fn what_goes_wrong() {
    let network = network::<f64>(3, 2);
    let (x, v) = places::<f64>(4, 2, 3);
    let along = PointDirections::new(&network, 2).unwrap();
    let request = Request::new().directional(2);
    let of = |x: &Array2<f64>, v: &Array3<f64>, request: &Request<f64>| {
        along.evaluate(&x.view(), &v.view(), request).unwrap_err().to_string()
    };
    assert!(of(&x, &v.slice(s![..3, .., ..]).to_owned(), &request).contains("[4, 2, 3]"));
    assert!(of(&x, &v.slice(s![.., ..1, ..]).to_owned(), &request).contains("[4, 1, 3]"));
    assert!(of(&x.slice(s![.., ..2]).to_owned(), &v, &request).contains("[n_s, 3]"));
    assert!(of(&x, &v, &request.clone().directions(Array2::zeros((2, 3)))).contains("each point has its own"));
    assert!(of(&x, &v, &Request::new().factored()).contains("factored"));
    assert!(of(&x, &v, &Request::new().products(Array2::zeros((1, 2)))).contains("[kw, 3]"));
    assert!(of(&x, &v, &Request::new().any_partials(&[(2,)])).contains("2"));
    assert!(matches!(PointDirections::new(&network, 0), Err(Error::Setting { .. })));
    assert!(PointDirections::new(&network, usize::MAX).is_err());
    assert_eq!(along.network().dim_input(), 2 + 3 + 6);
    let none = along.evaluate(&Array2::zeros((0, 3)).view(), &Array3::zeros((0, 2, 3)).view(), &request).unwrap();
    assert_eq!(none.directional.unwrap().dim(), (0, 2, 2, 2));
    // what is not finite stays at its point
    let mut v = v;
    v[[1, 0, 2]] = f64::INFINITY;
    let jet = along.evaluate(&x.view(), &v.view(), &request.value()).unwrap();
    let finite: Vec<bool> = jet.value.unwrap().rows().into_iter().map(|r| r.iter().all(|e| e.is_finite())).collect();
    assert_eq!(finite, [true, false, true, true]);
}
