//! Operators given by terms: sums of partials of any order, with all that partials have.
use crate::common;
use crate::graphs::{Random, higher, lines};
use crate::hostile::{everything_network, modes};
use crate::pushforward::{second, transposed};
use common::random::{self};
use common::{named, points};
use hessquik::{
    Activation, Error, Evaluate, Field, Init, Jet, Layer, Mode, Network, Prepared, Real, Request, Single,
    fully_connected,
};
use ndarray::{Array2, array};
use proptest::prelude::*;

type Terms = Vec<(Vec<usize>, f64)>;

/// Terms of orders 0 to 4 for `d` inputs, from axes that may be too large.
fn within(terms: &Terms, d: usize) -> Terms {
    terms.iter().map(|(axes, c)| (axes.iter().map(|a| a % d).collect(), *c)).collect()
}

fn terms() -> impl Strategy<Value = Terms> {
    prop::collection::vec((prop::collection::vec(0usize..8, 0..5), -2.0..2.0), 1..6)
}

proptest! {
    #![proptest_config(random::config(64))]

    /// Operators of random graphs are sums of what nested dual numbers give, alone and beside everything that shares their
    /// sweeps.
    #[test]
    fn sums_of_nested_dual_numbers(lines in lines(), seed in any::<u32>(), terms in terms(), mode in 0usize..3) {
        let net = Network::bare(Box::new(Random::<f64>::new(&lines, seed.into()))).unwrap();
        let (x, terms) = (points::<f64>(seed.into(), 2, lines.inputs()), within(&terms, lines.inputs()));
        let value = net.evaluate(&x, &Request::new().value()).unwrap().value.unwrap();
        let (mut wanted, mut size) = (Array2::<f64>::zeros(value.dim()), 1.0f64);
        for s in 0..2 {
            for (axes, c) in &terms {
                let point = x.row(s).to_vec();
                let all = match axes.len() {
                    0 => value.row(s).to_vec(),
                    _ => higher::partial(&lines, &named(&net), &point, axes),
                };
                for (r, f) in all.into_iter().enumerate() {
                    wanted[[s, r]] += c * f;
                    size = size.max((c * f).abs());
                }
            }
        }
        prop_assume!(size < 1e4);
        let mode = [Mode::Auto, Mode::Forward, Mode::Sites][mode].clone();
        let alone = Request::new().operator_terms(&terms).mode(mode);
        let beside = alone.clone().value().gradient().hessian().any_partials(&[&[0][..], &[0, 0, 0], &[0; 4]]);
        let beside = beside.directional(3).bilaplacian().laplacian();
        for request in [alone, beside] {
            let found = net.evaluate(&x, &request).unwrap().operator.unwrap();
            let error = (&found - &wanted).fold(0.0f64, |m, e| m.max(e.abs()));
            prop_assert!(error <= 1e-9 * size, "{error:e} of {size:e} for {request:?} of {lines:?}, seed {seed}");
        }
    }

    /// Pushforwards are transposed pullbacks, and second derivatives those of differences.
    #[test]
    fn pull_and_push(lines in lines(), seed in any::<u32>(), terms in terms()) {
        let mut net = Network::bare(Box::new(Random::<f64>::new(&lines, seed.into()))).unwrap();
        let (x, terms) = (points::<f64>(seed.into(), 3, lines.inputs()), within(&terms, lines.inputs()));
        let request = Request::new().value().operator_terms(&terms).any_partials(&[[0, 0, 0]]);
        let jet = net.evaluate(&x, &request).unwrap();
        prop_assume!(jet.operator.unwrap().iter().chain(&jet.partials.unwrap()).all(|f| f.abs() < 1e3));
        transposed(&net, &x, &request, seed.into())?;
        second(&mut net, &x, &request, seed.into())?;
    }
}

/// The derivatives of sums of sines are known in closed form, to order 8.
#[test]
fn to_order_eight() {
    fn check<F: Real>(bound: f64) {
        let layer = Single::<F>::new(3, 4, Activation::Sin, &mut Init::seed(3));
        let net = Network::new(vec![Box::new(layer)]).unwrap();
        let x = points::<F>(4, 7, 3);
        let value = net.evaluate(&x, &Request::new().value()).unwrap().value.unwrap();
        let (weights, bias) = (net.weights()[0].1.clone(), net.weights()[1].1.clone());
        let all: Vec<(Vec<usize>, f64)> = vec![
            (vec![], 0.5),
            (vec![2], -1.5),
            (vec![0, 1], 2.0),
            (vec![1, 1, 0], 0.25),
            (vec![0, 1, 1], 0.5),
            (vec![2, 0, 1, 0, 2], -3.0),
            (vec![1; 6], 1.0),
            (vec![0, 2, 2, 1, 1, 0, 0], 0.75),
            (vec![0, 0, 1, 1, 2, 2, 2, 0], 1.25),
        ];
        // all terms, and each alone
        let mut cases: Vec<Vec<(Vec<usize>, f64)>> = all.iter().map(|term| vec![term.clone()]).collect();
        cases.push(all);
        for terms in cases {
            let cast: Vec<(Vec<usize>, F)> = terms.iter().map(|(axes, c)| (axes.clone(), F::of(*c))).collect();
            let found = net.evaluate(&x, &Request::new().operator_terms(&cast)).unwrap().operator.unwrap();
            for ((s, r), found) in found.indexed_iter() {
                let z: f64 = (0..3).map(|a| x[[s, a]].as_f64() * weights[[a, r]].as_f64()).sum::<f64>();
                let z = z + bias[r].as_f64();
                assert!((value[[s, r]].as_f64() - z.sin()).abs() < bound, "the layer is not what the test thinks");
                let term = |(axes, c): &(Vec<usize>, f64)| {
                    let slope: f64 = axes.iter().map(|&a| weights[[a, r]].as_f64()).product();
                    c * slope * (z + axes.len() as f64 * std::f64::consts::FRAC_PI_2).sin()
                };
                let wanted: f64 = terms.iter().map(term).sum();
                let error = (found.as_f64() - wanted).abs();
                assert!(error < bound, "{error:e} at {s}, output {r}, of {wanted} for {terms:?} in {}", F::NAME);
            }
        }
    }
    check::<f64>(1e-12);
    check::<f32>(2e-4);
}

/// Terms of second order are a matrix; permuted axes add, and cancelled terms are zero.
#[test]
fn second_order_is_a_matrix() {
    let net = fully_connected::<f64>(&[3, 8, 2], Activation::Tanh, &mut Init::seed(1)).unwrap();
    let x = points::<f64>(2, 20, 3);
    let of = |request: Request<f64>| net.evaluate(&x, &request).unwrap().operator.unwrap();
    let near = |a: Array2<f64>, b: &Array2<f64>| assert!((a - b).iter().all(|e| e.abs() < 1e-13));
    let b = array![[1.0, 0.5, 0.0], [0.25, 0.0, -2.0], [0.0, 0.0, 3.0]];
    let matrix = of(Request::new().operator(b.clone()));
    let terms: Terms = b.indexed_iter().map(|((i, j), c)| (vec![i, j], *c)).collect();
    near(of(Request::new().operator_terms(&terms)), &matrix);
    // and so are they in calls that are resolved once
    let [by_terms, by_matrix] =
        [Request::new().operator_terms(&terms), Request::new().operator(b.clone())].map(|request| {
            let prepared = Prepared::new(&net, request).unwrap();
            prepared.pullback(&x, &Jet { operator: Some(matrix.clone()), ..Jet::default() }.view()).unwrap()
        });
    assert_eq!(by_terms, by_matrix);
    // beside a derivative of another order, which has no matrix
    let mixed: Terms =
        terms.iter().cloned().chain([(vec![1], 0.5), (vec![0, 2, 1], 1.0), (vec![1, 0, 2], -1.0)]).collect();
    let gradient = net.evaluate(&x, &Request::new().gradient()).unwrap().gradient.unwrap();
    near(
        of(Request::new().operator_terms(&mixed)),
        &(&matrix + &gradient.index_axis(ndarray::Axis(1), 1).mapv(|g| 0.5 * g)),
    );
    let nothing = of(Request::new().operator_terms(&[([0, 1, 1], 2.0), ([1, 0, 1], -2.0)]));
    assert!(nothing.iter().all(|&e| e == 0.0));
    // along directions, to fewer outputs
    let (v, u) = (points::<f64>(5, 2, 3), array![[1.0], [-0.5]]);
    let along = Request::new().directions(v.clone()).outputs(u.clone());
    let one = of(along.clone().operator_terms(&[(&[0, 1, 1][..], 1.0), (&[0], 2.0), (&[1, 0], -1.0), (&[], 3.0)]));
    let jet = net.evaluate(&x, &along.value().any_partials(&[&[0, 1, 1][..], &[0], &[1, 0]])).unwrap();
    let (f, p) = (jet.value.unwrap(), jet.partials.unwrap());
    let part = |e: usize| p.index_axis(ndarray::Axis(1), e);
    near(one, &(&part(0) + &(&part(1) * 2.0) - part(2) + &f * 3.0));
}

/// Operators of many inputs need no matrix of all of them.
#[test]
fn of_many_inputs() {
    let d = 20_000;
    let net = fully_connected::<f64>(&[d, 4, 1], Activation::Sin, &mut Init::seed(1)).unwrap();
    let x = points::<f64>(2, 2, d);
    let terms: [(&[usize], f64); 3] = [(&[0, 0], 1.0), (&[7, d - 1], -2.0), (&[3, 3], 0.5)];
    let found = net.evaluate(&x, &Request::new().operator_terms(&terms)).unwrap().operator.unwrap();
    let jet = net.evaluate(&x, &Request::new().any_partials(&terms.map(|(axes, _)| axes))).unwrap();
    let partials = jet.partials.unwrap();
    for s in 0..2 {
        let wanted: f64 = (0..3).map(|e| terms[e].1 * partials[[s, e, 0]]).sum();
        assert!((found[[s, 0]] - wanted).abs() < 1e-14 * wanted.abs().max(1.0));
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let net = everything_network::<f64>(1);
    let terms = [(&[0][..], 1.0), (&[1, 1], 1.0), (&[0, 1, 2], -0.5), (&[2, 2, 2, 2], 0.1)];
    for mode in modes().into_iter().filter(|mode| !matches!(mode, Mode::Plan(_))) {
        let request = Request::new().gradient().operator_terms(&terms).mode(mode);
        let tile = net.explain(1, &request).unwrap().tile;
        let x = points::<f64>(2, 6 * tile + 5, 3);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let jet = net.evaluate(&x, &request).unwrap();
                let gradients = net.pullback(&x, &request, &jet).unwrap();
                (jet, gradients)
            })
        };
        let one = run(1);
        assert!([2, 5].into_iter().all(|threads| one == run(threads)), "{request:?}");
    }
}

#[test]
fn errors_name_the_term() {
    let net = fully_connected::<f64>(&[3, 4, 1], Activation::Tanh, &mut Init::seed(1)).unwrap();
    let ask = |request: Request<f64>| net.evaluate(&array![[0.1, 0.2, 0.3]], &request).unwrap_err();
    let says = |error: Error, parts: &[&str]| {
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
    };
    let of = |terms: &[(&[usize], f64)]| ask(Request::new().operator_terms(terms));
    says(of(&[(&[0], 1.0), (&[0, 3], 1.0)]), &["(0, 3)", "is 3", "less than 3, the number of inputs"]);
    says(of(&[(&[0; 9], 1.0)]), &["(0, 0, 0, 0, 0, 0, 0, 0, 0)", "is 9", "0 to 8"]);
    says(of(&[(&[1], f64::NAN)]), &["(1,)", "NaN", "finite"]);
    says(of(&[]), &["no terms"]);
    says(ask(Request::new().operator_terms(&[([0], 1.0)]).operator(Array2::eye(3))), &["matrix", "terms"]);
    let along = Request::new().directions(array![[1.0, 0.0, 0.0]]).operator_terms(&[([1, 0, 0], 1.0)]);
    says(ask(along), &["(1, 0, 0)", "less than 1, the number of directions"]);
    // terms need more than the name
    assert!(!Field::Operator.is_plain());
}
