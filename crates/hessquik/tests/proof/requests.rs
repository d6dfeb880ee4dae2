//! Every result that can be asked for, alone and together, along directions, by every plan, against
//! sums over the oracle's full derivatives.
use crate::common;
use common::compare::{arrays, as_f64};
use common::random::{self, Drawn, Limits, depth};
use common::{Ask, Jets, compare, differentiate, named, network, plan, points, slack};
use hessquik::{
    Activation, ActivationSpec, Architecture, Error, Evaluate, Init, Jet, Layer, Mode, Network, Plan, Real, Request,
    fully_connected,
};
use ndarray::{Array1, Array2, Array4, Axis, Ix2, s};
use proptest::prelude::*;

pub const LIMITS: Limits = Limits { depth: 5, width: 16, inputs: 7, outputs: 5 };

/// A network of all kinds of blocks, 4 inputs to 3 outputs.
pub fn mixed() -> (Architecture, usize, usize) {
    let softplus = ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 };
    use Architecture as A;
    let layers = vec![
        A::Single { in_features: 4, out_features: 9, act: ActivationSpec::Tanh, bias: true },
        A::Network { layers: vec![A::Resnet { width: 9, h: 0.7, act: softplus, bias: true }; 2] },
        A::Icnn { input_dim: 9, in_features: None, out_features: 3, act: softplus, bias: true },
        A::Softmax { features: 12 },
        A::Single { in_features: 12, out_features: 3, act: ActivationSpec::AntiTanh, bias: false },
    ];
    (A::Network { layers }, 4, 3)
}

fn all_modes(architecture: &Architecture) -> Vec<Mode> {
    let depth = depth(architecture);
    let mut modes = vec![Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites];
    for prefix in 0..=depth {
        modes.push(Mode::Plan(plan(prefix, &[])));
        for pivot in prefix + 1..depth {
            modes.push(Mode::Plan(plan(prefix, &[pivot])));
        }
    }
    modes
}

/// Each single result in each mode and by every plan with at most one pivot, in both precisions.
#[test]
fn each_result_alone() {
    let (architecture, d, m) = mixed();
    let net = network::<f64>(&architecture, 3);
    let single: Network<f32> = net.cast().unwrap();
    let x = points::<f64>(4, 5, d);
    let full = differentiate(&architecture, &named(&net), &x);
    let everything = Ask::everything(5, d, d);
    let off = Ask { directions: None, ..Ask::default() };
    let alone = [
        Ask { value: true, ..off.clone() },
        Ask { gradient: true, ..off.clone() },
        Ask { hessian: true, ..off.clone() },
        Ask { packed: true, ..off.clone() },
        Ask { diagonal: true, ..off.clone() },
        Ask { laplacian: true, ..off.clone() },
        Ask { operator: everything.operator.clone(), ..off.clone() },
        Ask { products: everything.products.clone(), ..off.clone() },
        Ask { block: everything.block.clone(), ..off.clone() },
        Ask { partials: everything.partials.clone(), ..off.clone() },
        everything,
    ];
    let with = |ask: &Ask, v: bool, u: bool| Ask {
        directions: v.then(|| common::uniform(6, 1.0, (d, d))), // as many as inputs, so that indices stay valid
        outputs: u.then(|| common::uniform(7, 1.0, (m, 2))),
        ..ask.clone()
    };
    for mode in all_modes(&architecture) {
        for ask in alone.iter().flat_map(|a| [with(a, false, false), with(a, true, false), with(a, true, true)]) {
            let ask = ask.mode(mode.clone());
            let (wanted, magnitude) = (ask.contract(&full), ask.magnitude(&full));
            let found = net.evaluate(&x, &ask.request()).unwrap();
            compare(&found, &wanted, &magnitude).within(1e-12, &format!("{ask:?}"));
            let found = single.evaluate(&x.mapv(|x| x as f32), &ask.request()).unwrap();
            compare(&found, &wanted, &magnitude).within(1e-5, &format!("f32 {ask:?}"));
        }
    }
}

proptest! {
    #![proptest_config(random::config(160))]

    /// Any combination of results, directions and outputs in one request, by any plan.
    #[test]
    fn any_request(
        drawn in random::networks(LIMITS),
        wish in random::wishes(),
        cuts in random::cuts(),
        n_s in 0usize..=4,
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        prop_assume!(random::tame(&net, &x));
        let full = if n_s > 0 { differentiate(&drawn.architecture, &named(&net), &x) } else { nothing(&drawn) };
        let slack = slack(&drawn.architecture, &named(&net), &x, &full, 1e-11);
        let (prefix, pivots) = cuts.of(drawn.depth);
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites, Mode::Plan(plan(prefix, &pivots))] {
            let ask = wish.ask(drawn.d, drawn.m).mode(mode);
            let found = net.evaluate(&x, &ask.request()).unwrap();
            let worst = compare(&found, &ask.contract(&full), &ask.magnitude_with(&full, Some(&slack)));
            worst.record("requests");
            prop_assert!(worst.error <= 1e-11, "{worst} for {ask:?} in {}", drawn.architecture.to_json());
        }
    }
}

/// The full derivatives at no points.
fn nothing(drawn: &Drawn) -> Jets {
    let (d, m) = (drawn.d, drawn.m);
    Jets {
        value: Array2::zeros((0, m)),
        gradient: ndarray::Array3::zeros((0, d, m)),
        hessian: Array4::zeros((0, d, d, m)),
    }
}

/// Requests read from names are those built by hand, and both give the same.
#[test]
fn requests_by_name() {
    let all = "value, gradient,hessian,packed ,diagonal,laplacian,factored";
    let built = Request::<f64>::new().value().gradient().hessian().packed().diagonal().laplacian().factored();
    assert_eq!(Request::parse(all).unwrap(), built);
    let auto: Mode = "auto".parse().unwrap();
    assert_eq!(auto, Mode::Auto);
    for (name, mode) in [("forward", Mode::Forward), ("backward", Mode::Backward), ("sites", Mode::Sites)] {
        assert_eq!(name.parse::<Mode>().unwrap(), mode);
    }
}

/// `tr(B H)` is linear in B, sees only its symmetric part, and for B = I is the Laplacian.
#[test]
fn operators() {
    let (architecture, d, _) = mixed();
    let net = network::<f64>(&architecture, 10);
    let x = points::<f64>(11, 7, d);
    let operator = |b: Array2<f64>| net.evaluate(&x, &Request::new().operator(b)).unwrap().operator.unwrap();
    let close = |name: &str, a: &Array2<f64>, b: &Array2<f64>| {
        let scale = b.mapv(|b| b.abs() + 1e-2).into_dyn();
        arrays(name, &a.clone().into_dyn(), &b.clone().into_dyn(), &scale).within(1e-12, &"operator");
    };
    let b: Array2<f64> = common::uniform(12, 1.0, (d, d));
    let laplacian = net.laplacian(&x).unwrap().2;
    assert!(laplacian.iter().all(|l| l.abs() > 1e-6), "a network with something to measure");
    close("identity", &operator(Array2::eye(d)), &laplacian);
    close("transposed", &operator(b.t().to_owned()), &operator(b.clone()));
    close("symmetric part", &operator((&b + &b.t()) / 2.0), &operator(b.clone()));
    close("linear", &operator(&b * 3.0 - Array2::<f64>::eye(d)), &(operator(b.clone()) * 3.0 - &laplacian));
    // indefinite: the wave operator
    let wave = Array2::from_diag(&Array1::from_shape_fn(d, |i| if i == 0 { 1.0 } else { -1.0 }));
    let diagonal = net.evaluate(&x, &Request::new().diagonal()).unwrap().diagonal.unwrap();
    let by_hand = diagonal.slice(s![.., 0, ..]).mapv(|h| 2.0 * h) - diagonal.sum_axis(Axis(1));
    close("wave", &operator(wave), &by_hand);
    // antisymmetric: nothing
    assert!(operator(&b - &b.t()).iter().all(|f| f.abs() < 1e-12));
    // of low rank, and of a single entry
    let v: Array2<f64> = common::uniform(13, 1.0, (1, d));
    let along = net.evaluate(&x, &Request::new().laplacian().directions(v.clone())).unwrap().laplacian.unwrap();
    close("rank one", &operator(v.t().dot(&v)), &along);
    let mut entry = Array2::zeros((d, d));
    entry[[1, 2]] = 1.0;
    let partial = net.evaluate(&x, &Request::new().partials(&[(1, 2)])).unwrap().partials.unwrap();
    close("one entry", &operator(entry), &partial.index_axis(Axis(1), 0).to_owned());
}

/// `M C M^T` of the factored Hessian is the Hessian, for narrow and wide inputs, along directions, in both precisions.
#[test]
fn factored_hessians() {
    fn check<F: Real>(widths: &[usize], v: Option<usize>, u: Option<usize>, tolerance: f64) {
        let (d, m) = (widths[0], *widths.last().unwrap());
        let net = fully_connected::<F>(widths, Activation::Tanh, &mut Init::seed(14)).unwrap();
        let x = points::<F>(15, 6, d);
        let ask = Ask {
            directions: v.map(|k| common::uniform(16, 1.0, (k, d))),
            outputs: u.map(|q| common::uniform(17, 1.0, (m, q))),
            ..Ask::jet()
        };
        let wanted = net.evaluate(&x, &ask.request()).unwrap();
        let jet = net.evaluate(&x, &ask.request().factored()).unwrap();
        let factored = jet.factored.expect("asked for");
        let (outer, core) = (factored.outer.mapv(|a| a.as_f64()), factored.core.mapv(|c| c.as_f64()));
        let (k, p, q) = (v.unwrap_or(d), widths[1], u.unwrap_or(m));
        assert_eq!((outer.dim(), core.dim()), ((k, p), (6, p, p, q)));
        let hessian = Array4::from_shape_fn((6, k, k, q), |(s, a, b, r)| {
            outer.row(a).dot(&core.slice(s![s, .., .., r])).dot(&outer.row(b))
        });
        let wide = as_f64(wanted.hessian.as_ref().unwrap());
        let what = format!("{widths:?} {v:?} {u:?}");
        arrays("M C M^T", &hessian.into_dyn(), &wide, &wide).within(tolerance, &what);

        // what comes from it without the dense Hessian
        let all = Ask::everything(18, k, k);
        let w = all.products.as_ref().unwrap();
        let (rows, cols) = all.block.as_ref().unwrap();
        let hessian = wanted.hessian.unwrap().mapv(|h| h.as_f64());
        let zeros = Array2::zeros((6, q));
        let gradient = ndarray::Array3::zeros((6, k, q));
        let full = Jets { value: zeros, gradient, hessian };
        let ask = Ask { hessian: true, diagonal: true, laplacian: true, ..Ask::default() };
        let ask = Ask { products: all.products.clone(), block: all.block.clone(), ..ask };
        let found = Jet {
            hessian: Some(factored.to_dense()),
            diagonal: Some(factored.diagonal()),
            laplacian: Some(factored.laplacian()),
            products: Some(factored.products(w.mapv(F::of).view()).unwrap()),
            block: Some(factored.block(rows, cols).unwrap()),
            ..Jet::default()
        };
        compare(&found, &ask.contract(&full), &ask.magnitude(&full)).within(tolerance, &what);
        assert!(matches!(factored.block(&[0], &[k]), Err(Error::Index { .. })));
        assert!(matches!(factored.products(Array2::zeros((1, k + 1)).view()), Err(Error::Shape { .. })));
    }
    for widths in [&[30, 7, 6, 2][..], &[3, 12, 1], &[5, 4], &[1, 1, 1]] {
        for (v, u) in [(None, None), (Some(2), None), (None, Some(3)), (Some(40), Some(1))] {
            check::<f64>(widths, v, u, 1e-12);
            check::<f32>(widths, v, u, 1e-4);
        }
    }
}

/// An operator of zeros gives zeros, in every mode, and gradients of zero.
#[test]
fn operator_of_zeros() {
    let (architecture, d, m) = mixed();
    let net = network::<f64>(&architecture, 10);
    let x = points::<f64>(11, 7, d);
    for mode in all_modes(&architecture) {
        let request = Request::new().operator(Array2::zeros((d, d))).mode(mode);
        let jet = net.evaluate(&x, &request).unwrap();
        assert_eq!(jet.operator.as_ref().unwrap(), Array2::<f64>::zeros((7, m)));
        let bar = Jet { operator: Some(Array2::ones((7, m))), ..Jet::default() };
        let gradients = net.pullback(&x, &request, &bar).unwrap();
        assert!(gradients.weights.iter().chain(&gradients.input).all(|g| *g == 0.0));
    }
}

/// Directions that repeat, vanish or depend on each other, more of them than the network is wide, along weights that
/// depend on each other too: traces of them are what they are, not what a factorisation of them can stand.
#[test]
fn degenerate_directions() {
    let json = r#"{"type": "network", "layers": [
        {"type": "single", "in_features": 6, "out_features": 4, "act": {"type": "tanh"}},
        {"type": "single", "in_features": 4, "out_features": 3, "act": {"type": "sin"}}]}"#;
    let architecture = Architecture::from_json(json).unwrap();
    let mut net = network::<f64>(&architecture, 20);
    let x = points::<f64>(21, 5, 6);
    let k = net.weight("0.K").unwrap().to_owned().into_dimensionality::<Ix2>().unwrap();
    let v: Array2<f64> = common::uniform(22, 1.0, (3, 6));
    let repeated = v.select(Axis(0), &[0, 1, 0, 2, 1, 0, 1, 2, 0]);
    let mut vanishing = repeated.clone();
    vanishing.slice_mut(s![2..7, ..]).fill(0.0);
    let flat = Array2::from_shape_fn((6, 6), |(i, j)| v[[0, i]] * v[[1, j]]); // rank one, not symmetric
    for weights in
        [k.clone(), k.select(Axis(1), &[0, 1, 0, 1]), k.select(Axis(1), &[2, 2, 2, 2]), Array2::zeros((6, 4))]
    {
        net.set_weight("0.K", weights.view().into_dyn()).unwrap();
        let full = differentiate(&architecture, &named(&net), &x);
        for directions in [None, Some(repeated.clone()), Some(vanishing.clone()), Some(Array2::zeros((8, 6)))] {
            let k = directions.as_ref().map_or(6, |v| v.nrows());
            let wide: Array2<f64> = common::uniform(23, 1.0, (k, k));
            let operators = [None, Some(wide), Some(Array2::ones((k, k))), (k == 6).then(|| flat.clone())];
            for operator in operators {
                let laplacian = operator.is_none();
                let ask = Ask { laplacian, operator, directions: directions.clone(), ..Ask::default() };
                let (wanted, magnitude) = (ask.contract(&full), ask.magnitude(&full));
                let bar = Ask::cotangents(&wanted, 24);
                let slopes = common::adjoint::Slopes::new(&architecture, &net, &x, &ask, &bar, 25);
                for mode in all_modes(&architecture) {
                    let ask = ask.clone().mode(mode);
                    let found = net.evaluate(&x, &ask.request()).unwrap();
                    compare(&found, &wanted, &magnitude).within(1e-12, &format!("{ask:?}"));
                    let pulled = net.pullback(&x, &ask.request(), &bar).unwrap();
                    let worst = slopes.check(&pulled);
                    worst.within(1e-11, &format!("pullback {ask:?}"));
                }
            }
        }
    }
}

/// Operators that are no numbers are refused or give no numbers; they never give numbers.
#[test]
fn operators_that_are_no_numbers() {
    let (architecture, d, _) = mixed();
    let net = network::<f64>(&architecture, 10);
    let x = points::<f64>(11, 7, d);
    for bad in [f64::NAN, f64::INFINITY] {
        for at in [[0, 0], [1, 2]] {
            let mut b = Array2::eye(d);
            b[at] = bad;
            if let Ok(jet) = net.evaluate(&x, &Request::new().operator(b)) {
                let found = jet.operator.unwrap();
                assert!(found.iter().all(|f| !f.is_finite()), "operator with {bad} at {at:?}: {found}");
            }
        }
    }
}

/// A plan that is asked for by name is the plan that is taken: `plan` of a request gives the same bits as `Auto`.
#[test]
fn the_plan_that_is_told_is_taken() {
    let (architecture, d, m) = mixed();
    // a softmax goes by a schedule, which has no plan
    let explained = network::<f64>(&architecture, 10).explain(1000, &Request::new().hessian()).unwrap();
    assert!(explained.results.is_empty() && !explained.steps.is_empty(), "{explained}");
    let Architecture::Network { mut layers } = architecture else { unreachable!("a network") };
    layers[3] = Architecture::Single { in_features: 12, out_features: 12, act: ActivationSpec::Sin, bias: true };
    let architecture = Architecture::Network { layers };
    let net = network::<f64>(&architecture, 10);
    let x = points::<f64>(11, 7, d);
    let results = [
        Request::new().hessian(),
        Request::new().packed(),
        Request::new().laplacian(),
        Request::new().diagonal(),
        Request::new().hessian().directions(common::uniform(12, 1.0, (9, d))),
        Request::new().hessian().outputs(common::uniform(12, 1.0, (m, 1))),
    ];
    for request in results {
        let plan = net.plan(&request).unwrap();
        let told = net.evaluate(&x, &request.clone().mode(Mode::Plan(plan.clone()))).unwrap();
        assert_eq!(net.evaluate(&x, &request).unwrap(), told, "{plan}");
        let explanation = net.explain(1000, &request).unwrap();
        let [(_, candidates)] = &explanation.results[..] else { panic!("one result: {explanation}") };
        assert_eq!(candidates[0].plan, plan);
        assert!(candidates.iter().all(|c| c.seconds >= candidates[0].seconds * (1.0 - 1e-12)), "{explanation}");
        assert!(candidates.iter().all(|c| c.seconds.is_finite() && c.cost.flops > 0.0), "{explanation}");
        assert!(candidates.len() >= 4 && explanation.to_string().lines().count() > 4, "{explanation}");
    }
    for (mode, wanted) in [
        (Mode::Sites, Plan::sites()),
        (Mode::Forward, Plan::forward(depth(&architecture))),
        (Mode::Backward, Plan::backward(depth(&architecture))),
        (Mode::Plan(plan(2, &[4])), plan(2, &[4])),
    ] {
        assert_eq!(net.plan(&Request::new().hessian().mode(mode)).unwrap(), wanted);
    }
}

/// Networks wider and deeper than any tile is made for, at entries that the oracle can still afford.
#[test]
fn wide_and_deep_networks() {
    use Architecture as A;
    let single = |i, o, act| A::Single { in_features: i, out_features: o, act, bias: true };
    let resnet = |width| A::Resnet { width, h: 0.3, act: ActivationSpec::Tanh, bias: true };
    let (tanh, sin) = (ActivationSpec::Tanh, ActivationSpec::Sin);
    let shapes = [
        vec![single(130, 70, tanh), resnet(70), single(70, 33, sin)],
        vec![single(3, 260, sin), resnet(260), single(260, 1, tanh)],
        vec![single(90, 2, tanh), single(2, 300, sin)],
        [vec![resnet(3); 60], vec![single(3, 2, tanh)]].concat(),
        vec![
            A::Icnn { input_dim: 100, in_features: None, out_features: 40, act: tanh, bias: true },
            single(140, 3, sin),
        ],
        vec![single(40, 90, tanh), A::Softmax { features: 90 }, single(90, 50, sin)],
    ];
    for (i, layers) in shapes.into_iter().enumerate() {
        let architecture = A::Network { layers };
        let net = network::<f64>(&architecture, i as u64);
        let (d, m) = (net.dim_input(), net.dim_output());
        let x = points::<f64>(i as u64, 3, d);
        // a few directions, for which the oracle is cheap, and entries of the full Hessian, two by two
        let ends = [0, 1, d / 2, d - 1].map(|a| a.min(d - 1));
        let units = Array2::from_shape_fn((4, d), |(a, i)| f64::from(u8::from(ends[a] == i)));
        let along: Array2<f64> = common::uniform(30, 1.0, (3, d));
        let v = ndarray::concatenate![Axis(0), units, along];
        let full = common::oracle::differentiate_directions(&architecture, &named(&net), &x, &v);
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites, Mode::Plan(plan(1, &[2]))] {
            if depth(&architecture) == 2 && matches!(mode, Mode::Plan(_)) || d * m > 1000 && mode == Mode::Forward {
                continue;
            }
            let what = format!("shape {i} by {mode:?}");
            let ask = Ask { laplacian: true, ..Ask::jet() };
            let request = ask.request::<f64>().mode(mode.clone()).directions(v.clone());
            let found = net.evaluate(&x, &request).unwrap();
            compare(&found, &ask.contract(&full), &ask.magnitude(&full)).within(1e-11, &what);
            let dense = net.evaluate(&x, &Request::new().value().gradient().hessian().mode(mode)).unwrap();
            let (g, h) = (dense.gradient.unwrap(), dense.hessian.unwrap());
            let entries = Jets {
                value: full.value.clone(),
                gradient: full.gradient.slice(s![.., ..4, ..]).to_owned(),
                hessian: full.hessian.slice(s![.., ..4, ..4, ..]).to_owned(),
            };
            let found = Jet {
                value: dense.value,
                gradient: Some(g.select(Axis(1), &ends)),
                hessian: Some(h.select(Axis(1), &ends).select(Axis(2), &ends)),
                ..Jet::default()
            };
            compare(&found, &Ask::jet().contract(&entries), &Ask::jet().magnitude(&entries)).within(1e-11, &what);
        }
    }
}

/// An operator with entries of very different sizes keeps the small ones.
#[test]
fn a_graded_operator_keeps_its_small_entries() {
    let mut net = fully_connected::<f64>(&[2, 1], Activation::Sin, &mut Init::zeros()).unwrap();
    net.set_weight("0.K", ndarray::array![[0.0], [1.0]].view().into_dyn()).unwrap();
    let x = ndarray::array![[0.3, 0.9]];
    let b = ndarray::array![[1e20, 0.0], [0.0, 1.0]];
    let jet = net.evaluate(&x, &Request::new().operator(b)).unwrap();
    let error = jet.operator.unwrap()[[0, 0]] + 0.9f64.sin();
    assert!(error.abs() < 1e-15, "{error}");
}
