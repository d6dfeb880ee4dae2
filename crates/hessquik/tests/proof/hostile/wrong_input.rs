//! Wrong shapes, requests, networks, descriptions and plans are errors that say so.
use super::*;

#[test]
fn wrong_shapes() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 5, 3);
    let wide = points::<f64>(2, 5, 4);
    for request in [Request::new().value(), Request::new().hessian()] {
        let e = net.evaluate(&wide, &request).unwrap_err();
        assert!(matches!(&e, Error::Shape { found, .. } if found == &[5, 4]), "{e}");
        says(Err::<(), _>(e), &["[5, 4]", "3"]);
        says(net.pullback(&wide, &request, &Jet::default()), &["[5, 4]", "3"]);
        says(net.loss_gradients(&wide, &request, |_, _, _| 0.0), &["[5, 4]", "3"]);
    }
    says(net.value(&Array2::zeros((5, 0))), &["[5, 0]", "3"]);
    says(net.value(&Array2::zeros((0, 2))), &["[0, 2]", "3"]);
    // the arrays of the request
    let ask = |r: Request<f64>| net.evaluate(&x, &r);
    says(ask(Request::new().hessian().directions(Array2::zeros((2, 4)))), &["[2, 4]", "3"]);
    says(ask(Request::new().value().outputs(Array2::zeros((3, 2)))), &["[3, 2]", "2"]);
    says(ask(Request::new().operator(Array2::zeros((3, 2)))), &["[3, 2]", "3"]);
    says(ask(Request::new().operator(Array2::zeros((4, 4)))), &["[4, 4]", "3"]);
    says(ask(Request::new().operator(Array2::eye(3)).directions(Array2::zeros((2, 3)))), &["[3, 3]", "2"]);
    says(ask(Request::new().products(Array2::zeros((1, 4)))), &["[1, 4]", "3"]);
    // indices count directions
    for r in [
        Request::new().block(&[0, 3], &[1]),
        Request::new().block(&[0], &[3]),
        Request::new().partials(&[(0, 1), (3, 0)]),
        Request::new().partials(&[(0, 3)]),
    ] {
        let e = ask(r).unwrap_err();
        assert!(matches!(e, Error::Index { index: 3, len: 3, .. }), "{e}");
    }
    let e = ask(Request::new().block(&[2], &[0]).directions(Array2::zeros((2, 3)))).unwrap_err();
    assert!(matches!(e, Error::Index { index: 2, len: 2, .. }), "{e}");
    // lent arrays
    let mut short = Array2::zeros((4, 2));
    let out = JetMut { value: Some(short.view_mut()), ..JetMut::default() };
    says(net.evaluate_into(&x, &Request::new().value(), out), &["[4, 2]", "5"]);
    let mut deep = Array4::zeros((5, 3, 3, 1));
    let out = JetMut { hessian: Some(deep.view_mut()), ..JetMut::default() };
    says(net.evaluate_into(&x, &Request::new().hessian(), out), &["[5, 3, 3, 1]", "2"]);
    // cotangents
    let bar = Jet { value: Some(Array2::zeros((5, 3))), ..Jet::default() };
    says(net.pullback(&x, &Request::new().value(), &bar), &["[5, 3]", "2"]);
    let bar = Jet { gradient: Some(Array3::zeros((5, 2, 2))), ..Jet::default() };
    says(net.pullback(&x, &Request::new().gradient(), &bar), &["[5, 2, 2]", "3"]);
    let bar = Jet { hessian: Some(Array4::zeros((4, 3, 3, 2))), ..Jet::default() };
    says(net.pullback(&x, &Request::new().hessian(), &bar), &["[4, 3, 3, 2]", "5"]);
}

/// Requests for nothing, for results of the wrong name, and for what a network cannot give.
#[test]
fn wrong_requests() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 5, 3);
    says(net.evaluate(&x, &Request::new()), &["request"]);
    says(net.pullback(&x, &Request::new(), &Jet::default()), &["request"]);
    says(Request::<f64>::parse("value,hesian"), &["hesian", "hessian", "packed"]);
    says(Request::<f64>::parse(" , "), &["the request is empty"]);
    says("sideways".parse::<Mode>(), &["sideways", "forward", "sites"]);
    // results and arrays lent for them must be the same; cotangents are of what is asked for
    let mut value = Array2::zeros((5, 2));
    let both = Request::new().value().laplacian();
    let out = JetMut { value: Some(value.view_mut()), ..JetMut::default() };
    assert!(matches!(net.evaluate_into(&x, &both, out), Err(Error::Request(_))));
    let out = JetMut { value: Some(value.view_mut()), ..JetMut::default() };
    assert!(matches!(net.evaluate_into(&x, &Request::new().laplacian(), out), Err(Error::Request(_))));
    assert!(value.iter().all(|v| *v == 0.0), "nothing is written");
    let bar = Jet { value: Some(value), ..Jet::default() };
    assert!(matches!(net.pullback(&x, &Request::new().laplacian(), &bar), Err(Error::Request(_))));
    let plain = fully_connected::<f64>(&[3, 4, 2], Activation::Tanh, &mut Init::seed(1)).unwrap();
    let factored = Request::new().factored();
    assert!(plain.evaluate(&x, &factored).is_ok());
    assert!(matches!(plain.pullback(&x, &factored, &Jet::default()), Err(Error::Request(_))));
    // factored form needs a first layer without a skip
    let skip = resnet::<f64>(3, 2, 0.5, Activation::Tanh, &mut Init::seed(1)).unwrap();
    assert!(matches!(skip.evaluate(&x, &Request::new().factored()), Err(Error::Request(_))));
    let convex = icnn::<f64>(3, &[4], Activation::softplus(), &mut Init::seed(1)).unwrap();
    assert!(matches!(convex.evaluate(&x, &Request::new().factored()), Err(Error::Request(_))));
    assert!(matches!(LogSumExp::new(3).evaluate(&x, &Request::new().factored()), Err(Error::Request(_))));
}

/// Requests for empty arrays give empty arrays or an error, never a panic.
#[test]
fn empty_requests() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 5, 3);
    let none = |n: usize, m: usize| Array2::<f64>::zeros((n, m));
    for mode in modes() {
        let ask = |r: Request<f64>| net.evaluate(&x, &r.mode(mode.clone()));
        if let Ok(jet) = ask(Request::new().gradient().hessian().laplacian().directions(none(0, 3))) {
            assert_eq!(jet.gradient.unwrap().shape(), [5, 0, 2]);
            assert_eq!(jet.hessian.unwrap().shape(), [5, 0, 0, 2]);
            assert_eq!(jet.laplacian.unwrap(), none(5, 2));
        }
        if let Ok(jet) = ask(Request::new().value().hessian().outputs(none(2, 0))) {
            assert_eq!(jet.value.unwrap().shape(), [5, 0]);
            assert_eq!(jet.hessian.unwrap().shape(), [5, 3, 3, 0]);
        }
        for r in [Request::new().partials(&[]), Request::new().block(&[], &[1]), Request::new().block(&[1], &[])] {
            let r = r.mode(mode.clone());
            net.stream(&x, &r, |_, _| Ok::<_, Error>(())).unwrap();
            let jet = net.evaluate(&x, &r).unwrap();
            let gradients = net.pullback(&x, &r, &jet).unwrap();
            assert!(gradients.weights.iter().chain(&gradients.input).all(|g| *g == 0.0));
        }
        if let Ok(jet) = ask(Request::new().products(none(0, 3)).block(&[], &[1]).partials(&[])) {
            assert_eq!(jet.products.unwrap().shape(), [5, 3, 0, 2]);
            assert_eq!(jet.block.unwrap().shape(), [5, 0, 1, 2]);
            assert_eq!(jet.partials.unwrap().shape(), [5, 0, 2]);
        }
    }
}

/// Networks that cannot be: the error names the blocks, the setting, and what would be valid.
#[test]
fn wrong_networks() {
    let init = &mut Init::seed(1);
    assert!(matches!(Network::<f64>::new(vec![]), Err(Error::EmptyNetwork)));
    assert!(matches!(fully_connected::<f64>(&[3], Activation::Tanh, init), Err(Error::EmptyNetwork)));
    assert!(matches!(resnet::<f64>(3, 0, 1.0, Activation::Tanh, init), Err(Error::EmptyNetwork)));
    assert!(matches!(icnn::<f64>(3, &[], Activation::Tanh, init), Err(Error::EmptyNetwork)));
    let empty = Architecture::from_json(r#"{"type": "network", "layers": []}"#);
    assert!(empty.and_then(|a| a.build::<f64>(init)).is_err());

    let inner = fully_connected::<f64>(&[4, 6, 5], Activation::Tanh, init).unwrap();
    let layers: Vec<Box<dyn Layer<f64>>> = vec![
        Box::new(Single::new(3, 4, Activation::Tanh, init)),
        Box::new(inner),
        Box::new(Resnet::new(6, 1.0, Activation::Tanh, init)),
    ];
    let e = Network::new(layers).unwrap_err();
    match &e {
        Error::IncompatibleBlocks { left, right, right_name, found: 5, wanted: 6, .. } => {
            assert!(left.starts_with('1') && right == "2" && right_name == "resnet", "{e}");
        }
        other => panic!("{other}"),
    }

    let setting = |layer: Box<dyn Layer<f64>>| {
        let e = Network::new(vec![layer]).expect_err("a setting that makes no sense");
        assert!(matches!(e, Error::Setting { .. } | Error::Layer { .. }), "{e}");
    };
    for h in [f64::NAN, f64::INFINITY] {
        setting(Box::new(Resnet::<f64>::new(3, h, Activation::Tanh, init)));
    }
    setting(Box::new(Single::<f64>::new(0, 3, Activation::Tanh, init)));
    setting(Box::new(Single::<f64>::new(3, 0, Activation::Tanh, init)));
    setting(Box::new(Resnet::<f64>::new(0, 1.0, Activation::Tanh, init)));
    setting(Box::new(LogSumExp::new(0)));
    setting(Box::new(Quadratic::<f64>::new(0, 2, init)));
    for beta in [0.0, f64::NAN, f64::INFINITY] {
        setting(Box::new(Single::<f64>::new(3, 2, Activation::Softplus { beta, threshold: 20.0 }, init)));
    }
    setting(Box::new(Single::<f64>::new(3, 2, Activation::Softplus { beta: 1.0, threshold: f64::NAN }, init)));
}

/// Descriptions with unknown names: the error says which are known.
#[test]
fn wrong_descriptions() {
    let of = Architecture::from_json;
    says(of(r#"{"type": "singel", "in_features": 1, "out_features": 1}"#), &["singel", "single", "resnet"]);
    let act = r#"{"type": "single", "in_features": 1, "out_features": 1, "act": {"type": "maxout"}}"#;
    says(of(act), &["maxout", "tanh", "softplus"]);
    says(of(r#"{"type": "single", "in_features": 1}"#), &["out_features"]);
    says(of(r#"{"type": "single", "in_features": -1, "out_features": 2}"#), &["-1"]);
    says(of(r#"{"type": "single", "in_features": 1, "out_features": 1, "widht": 3}"#), &["widht"]);
    says(of("single"), &["architecture"]);
    says(of(""), &["architecture"]);
}

/// Custom plans that do not fit the network are refused.
#[test]
fn wrong_plans() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 5, 3);
    let by = |prefix: usize, pivots: &[usize]| {
        let request = Request::new().hessian().mode(Mode::Plan(plan(prefix, pivots)));
        net.evaluate(&x, &request).map(|jet| jet.hessian.unwrap())
    };
    assert!(by(8, &[]).is_ok() && by(0, &[7]).is_ok());
    for (prefix, pivots) in [(9, &[][..]), (0, &[8]), (0, &[20]), (3, &[2]), (3, &[3])] {
        match by(prefix, pivots) {
            Err(e) => assert!(matches!(e, Error::Request(_) | Error::Setting { .. }), "{e}"),
            Ok(_) => panic!("prefix {prefix} and pivots {pivots:?} of 8 layers"),
        }
    }
}
