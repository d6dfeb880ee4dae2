//! Networks of any layer, and random graphs, with results of orders 0 to 4: by tensor operations against the library's own
//! evaluation, and gradients by Burn's autodiff against its pullback.
use crate::common::{Way, array, cotangent, device, distance, each_result, has, tensor};
use crate::numbers::Numbers;
use burn::tensor::Tensor;
use hessquik::activation::ActivationKind;
use hessquik::{
    ActivationSpec, Architecture, Evaluate as _, GraphSpec, Init, Layer as _, Mode, Network, NodeSpec, Real, Request,
    TermSpec, WeightSpec,
};
use hessquik_burn::{Evaluate as _, FlatNetwork, Jets};
use ndarray::{Array1, Array2, ArrayD};

/// Layers that are their forward pass, around others and one after another.
fn layers() -> Vec<String> {
    let single = |d: usize, m: usize, act: &str| {
        format!(r#"{{"type": "single", "in_features": {d}, "out_features": {m}, "act": "{act}"}}"#)
    };
    let network = |layers: &[String]| format!(r#"{{"type": "network", "layers": [{}]}}"#, layers.join(", "));
    let (a, b, c) = (single(2, 3, "tanh"), single(2, 3, "sin"), single(2, 1, "softplus"));
    let branch = network(&[single(3, 5, "tanh"), single(5, 4, "identity")]);
    let trunk = network(&[single(2, 5, "sin"), single(5, 4, "identity")]);
    let axis = network(&[single(1, 4, "tanh"), single(4, 6, "tanh")]);
    [
        r#"{"type": "affine", "in_features": 2, "out_features": 2, "bias": false, "input_mean": [0.5, -1], "input_std": [2, 0.25],
            "output_mean": [3, 1], "output_std": [10, 0.125]}"#,
        r#"{"type": "normalise", "mean": [1, 2], "std": [0.5, 2], "inverse": true}"#,
        r#"{"type": "fourier", "in_features": 2, "frequencies": 3, "trained": true}"#,
        r#"{"type": "periodic", "periods": [2, null, 0.75], "harmonics": 2}"#,
        r#"{"type": "modified_mlp", "in_features": 2, "width": 4, "depth": 3}"#,
        r#"{"type": "piratenet", "features": 3, "depth": 2}"#,
        r#"{"type": "layer_norm", "features": 3, "tokens": 2, "eps": 0.01}"#,
        r#"{"type": "attention", "tokens": 3, "features": 4, "heads": 2}"#,
        r#"{"type": "mfn", "in_features": 2, "width": 3, "depth": 3}"#,
        r#"{"type": "mfn", "in_features": 2, "width": 3, "depth": 2, "filter": "gabor"}"#,
        r#"{"type": "picnn", "context": 2, "convex": 3, "widths": [4, 3, 1], "context_width": 3}"#,
        r#"{"type": "softmax", "features": 3}"#,
        r#"{"type": "log_sum_exp", "in_features": 3}"#,
        &format!(r#"{{"type": "deeponet", "branch": {branch}, "trunk": {trunk}, "outputs": 2}}"#),
        &format!(r#"{{"type": "separable", "factors": [{axis}, {axis}, {axis}], "outputs": 2}}"#),
        &format!(r#"{{"type": "boundary", "net": {a}, "lower": [null, -1], "upper": [null, null], "shift": {b}}}"#),
        &format!(r#"{{"type": "along", "net": {a}, "directions": 2}}"#),
        &format!(r#"{{"type": "sum", "terms": [{a}, {b}, {c}], "coefficients": [1, -2.5, 0.5]}}"#),
        &format!(r#"{{"type": "product", "factors": [{a}, {c}, {b}]}}"#),
        &network(&[
            single(2, 4, "gelu"),
            r#"{"type": "attention", "tokens": 2, "features": 2}"#.into(),
            r#"{"type": "skip", "net": {"type": "layer_norm", "features": 4}}"#.into(),
            single(8, 3, "mish"),
            r#"{"type": "softmax", "features": 3}"#.into(),
        ]),
    ]
    .map(String::from)
    .to_vec()
}

/// An activation of the whole line with its default settings.
fn activation(numbers: &mut Numbers) -> ActivationSpec {
    let name = ActivationKind::ALL[numbers.below(ActivationKind::ALL.len())].name;
    match name {
        // defined for positive numbers, discontinuous, or too large for the tests' tolerances
        "log" | "sqrt" | "reciprocal" | "power" | "step" | "exp" => ActivationSpec::Tanh,
        _ => name.parse().unwrap(),
    }
}

/// A random graph: every kind of node, nodes that are used several times, weights in several places and functions of
/// weights alone.
fn graph(seed: u64) -> GraphSpec {
    let numbers = &mut Numbers(seed);
    let inputs = 1 + numbers.below(3);
    let (mut nodes, mut sizes, mut weights) = (vec![NodeSpec::Input {}], vec![inputs], Vec::<WeightSpec>::new());
    macro_rules! push {
        ($node:expr, $n:expr) => {{
            nodes.push($node);
            sizes.push($n);
            nodes.len() - 1
        }};
    }
    macro_rules! weight {
        ($n:expr) => {{
            let n = $n;
            weights.push(WeightSpec { name: format!("w{}", weights.len()), shape: vec![n] });
            push!(NodeSpec::Weight { weight: weights.len() - 1 }, n)
        }};
    }
    // `n` features of node `of`, in places that wrap around it
    let spread = |of: usize, from: usize, n: usize, numbers: &mut Numbers| {
        let turn = numbers.below(from);
        let blocks = (0..n).map(|i| [(i * 2 + turn) % from, i, 1]).collect();
        TermSpec { of, c: 1.0 + 0.5 * numbers.real(), blocks: Some(blocks) }
    };
    let mut last = 0;
    for _ in 0..4 + numbers.below(5) {
        // one of the latest nodes, which may be a weight
        let of = nodes.len() - 1 - numbers.below(nodes.len().min(4));
        let (of, n) = (of, sizes[of]);
        last = match numbers.below(9) {
            0 | 1 => {
                let m = 1 + numbers.below(4);
                let w = weight!(n * m);
                let (b, dims) = (weight!(m), [1, 1, n, m]);
                let z = push!(NodeSpec::Product { a: of, b: w, dims, transposed: false }, m);
                let terms = [z, b].map(|of| TermSpec { of, c: 1.0, blocks: None }).to_vec();
                push!(NodeSpec::Affine { n: m, terms, shift: 0.0 }, m)
            }
            2 => {
                let m = 1 + numbers.below(4);
                let (w, dims) = (weight!(m * n), [1, m, 1, n]);
                // W u
                push!(NodeSpec::Product { a: w, b: of, dims, transposed: true }, m)
            }
            3 | 4 => push!(NodeSpec::Act { of, act: activation(numbers) }, n),
            5 => {
                let wide = push!(
                    NodeSpec::Affine {
                        n,
                        terms: vec![spread(last, sizes[last], n, numbers), spread(0, inputs, n, numbers)],
                        shift: numbers.real(),
                    },
                    n
                );
                push!(NodeSpec::Times { a: of, b: wide }, n)
            }
            6 => {
                // roots and quotients of what is positive
                let square = push!(NodeSpec::Act { of, act: ActivationSpec::Square }, n);
                let terms = vec![TermSpec { of: square, c: 0.25, blocks: None }];
                let above = push!(NodeSpec::Affine { n, terms, shift: 1.0 }, n);
                let name = ["log", "sqrt", "reciprocal", "power:p=-1.5", "power:p=2.5"][numbers.below(5)];
                push!(NodeSpec::Act { of: above, act: name.parse().unwrap() }, n)
            }
            7 => {
                let [g, r, s, t] = [1, 1, 1, 1].map(|least| least + numbers.below(2));
                let left = push!(
                    NodeSpec::Affine { n: g * r * s, terms: vec![spread(of, n, g * r * s, numbers)], shift: 0.25 },
                    g * r * s
                );
                let right = push!(
                    NodeSpec::Affine {
                        n: g * s * t,
                        terms: vec![spread(last, sizes[last], g * s * t, numbers)],
                        shift: -0.5
                    },
                    g * s * t
                );
                // a b, or a b^T of (r, t) and (s, t)
                match numbers.below(2) == 0 {
                    true => {
                        push!(NodeSpec::Product { a: left, b: right, dims: [g, r, s, t], transposed: false }, g * r * t)
                    }
                    false => {
                        push!(NodeSpec::Product { a: left, b: right, dims: [g, r, t, s], transposed: true }, g * r * t)
                    }
                }
            }
            _ => {
                // less its largest entry, which is taken not to move
                let top = push!(NodeSpec::Largest { of, len: n, inner: 1 }, 1);
                let fixed = push!(NodeSpec::Frozen { of: top }, 1);
                let all = (0..n).map(|i| [0, i, 1]).collect();
                let terms =
                    vec![TermSpec { of, c: 1.0, blocks: None }, TermSpec { of: fixed, c: -0.5, blocks: Some(all) }];
                push!(NodeSpec::Affine { n, terms, shift: 0.0 }, n)
            }
        };
    }
    // the points matter, whatever came before
    let n = sizes[last] + inputs;
    let blocks = |to, len| Some(vec![[0, to, len]]);
    let terms = vec![
        TermSpec { of: last, c: 1.0, blocks: blocks(0, sizes[last]) },
        TermSpec { of: 0, c: 1.0, blocks: blocks(sizes[last], inputs) },
    ];
    let both = push!(NodeSpec::Affine { n, terms, shift: 0.0 }, n);
    let constant = push!(NodeSpec::Constant { values: (0..2 * n).map(|_| numbers.real()).collect() }, 2 * n);
    let bent = push!(NodeSpec::Act { of: both, act: ActivationSpec::Tanh }, n);
    let output = push!(NodeSpec::Product { a: bent, b: constant, dims: [1, 1, n, 2], transposed: false }, 2);
    GraphSpec { inputs, weights, nodes, output }
}

/// Results of orders 0 to 4, together and alone, in every mode.
fn requests(d: usize, m: usize) -> Vec<Request<f64>> {
    let matrix =
        |rows, cols| Array2::from_shape_fn((rows, cols), |(i, j)| f64::from(((i * 5 + j * 3) % 7) as f32 / 4.0 - 0.5));
    let last = d - 1;
    let full = Request::new().value().gradient().hessian().packed().diagonal().laplacian();
    let full =
        full.operator(matrix(d, d)).products(matrix(3, d)).block(&[last, 0], &[0]).partials(&[(0, last), (0, 0)]);
    vec![
        Request::new().value(),
        Request::new().gradient(),
        Request::new().value().laplacian(),
        full.clone(),
        full.clone().mode(Mode::Forward),
        full.outputs(matrix(m, 1)).mode(Mode::Backward),
        Request::new().gradient().hessian().directions(matrix(2, d)).products(matrix(2, d)),
        Request::new().any_partials(&[vec![0], vec![0, last, last], vec![0, 0, last, last]]),
        Request::new().value().directional(4).directions(matrix(2, d)),
        Request::new().laplacian().bilaplacian(),
        Request::new().operator_terms(&[(vec![0], 1.5), (vec![0, 0, last], -0.5), (vec![last; 4], 2.0)]),
    ]
}

fn scaled_distance(found: &ArrayD<f64>, wanted: &ArrayD<f64>, what: &str) -> f64 {
    let most = wanted.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    distance(found, wanted, what) * most.max(1e-30) / most.max(1.0)
}

/// All results of a network and the gradients of a loss of them, to `tolerances` of the largest entry.
fn check<F: Real>(what: &str, exact: &Network<f64>, x: &Array2<f64>, request: &Request<f64>, tolerances: [f64; 2]) {
    let device = device().autodiff();
    let network = exact.cast::<F>().unwrap();
    let flat = FlatNetwork::from_library(&network, &device).unwrap();
    let wanted = exact.evaluate(x, request).unwrap_or_else(|e| panic!("{what}: {e}"));
    let bar = cotangent(&wanted);
    let slopes = exact.pullback(x, request, &bar).unwrap();
    let points = tensor::<F, 2, _>(x, &device).require_grad();
    let jets: Jets = Way::Tensors.evaluate(&flat, points.clone(), request).unwrap_or_else(|e| panic!("{what}: {e}"));
    let mut terms: Vec<Tensor<1>> = Vec::new();
    macro_rules! compare {
        ($($member:ident)*) => {$(
            assert_eq!(jets.$member.is_some(), wanted.$member.is_some(), "{what}: {}", stringify!($member));
            if let (Some(found), Some(wanted), Some(bar)) = (jets.$member, &wanted.$member, &bar.$member) {
                let off = scaled_distance(&array(&found), &wanted.clone().into_dyn(), what);
                assert!(off <= tolerances[0], "{what}: {} is off by {off:e}", stringify!($member));
                terms.push((found * tensor::<F, _, _>(bar, &device)).sum());
            }
        )*};
    }
    each_result!(compare);
    let loss = terms.into_iter().reduce(|a, b| a + b).unwrap();
    let grads = loss.is_tracked().then(|| loss.backward());
    let of = |bar: Option<ArrayD<f64>>, shape: &[usize]| bar.unwrap_or_else(|| ArrayD::zeros(shape));
    let x_bar = grads.as_ref().and_then(|g| points.grad(g)).map(|g| array(&g));
    let off = scaled_distance(&of(x_bar, x.shape()), &slopes.input.into_dyn(), what);
    assert!(off <= tolerances[1], "{what}: gradients of points are off by {off:e}");
    if !slopes.weights.is_empty() {
        let theta_bar = grads.as_ref().and_then(|g| flat.theta.val().grad(g)).map(|g| array(&g));
        let off = scaled_distance(&of(theta_bar, slopes.weights.shape()), &slopes.weights.into_dyn(), what);
        assert!(off <= tolerances[1], "{what}: gradients of weights are off by {off:e}");
    }
}

/// A network with weights that are exact in both precisions, and points.
fn example(architecture: &Architecture, seed: u64) -> (Network<f64>, Array2<f64>) {
    let numbers = &mut Numbers(seed);
    let mut network = architecture.build::<f64>(&mut Init::zeros()).unwrap();
    let theta: Array1<f64> =
        (0..network.flat_weights().len()).map(|_| 0.8 * numbers.real()).map(|w| f64::from(w as f32)).collect();
    network.set_flat_weights(theta.view()).unwrap();
    let x = Array2::from_shape_simple_fn((3, network.dim_input()), || numbers.real());
    (network, x)
}

fn every_layer<F: Real>(tolerances: [f64; 2]) {
    if !has::<F>(&device()) {
        return;
    }
    for (seed, json) in (1..).zip(layers()) {
        let (network, x) = example(&Architecture::from_json(&json).unwrap(), seed);
        for (i, request) in requests(network.dim_input(), network.dim_output()).iter().enumerate() {
            check::<F>(&format!("request {i} of {json}, {}", F::NAME), &network, &x, request, tolerances);
        }
    }
}

#[test]
fn every_layer_f32() {
    every_layer::<f32>([2e-4, 1e-3]);
}

#[test]
fn every_layer_f64() {
    every_layer::<f64>([1e-12, 1e-11]);
}

fn random_graphs<F: Real>(count: u64, tolerances: [f64; 2]) {
    if !has::<F>(&device()) {
        return;
    }
    let mut tested = 0;
    for seed in 0..count {
        let spec = graph(seed);
        let (network, x) = example(&Architecture::Graph(spec.clone()), seed);
        let d = network.dim_input();
        // networks whose derivatives explode tell rounding errors, and no others
        let sizes = network.evaluate(&x, &Request::new().directional(5)).unwrap().directional.unwrap();
        if !sizes.iter().all(|v| v.abs() < 1e3) {
            continue;
        }
        tested += 1;
        for (i, request) in requests(d, network.dim_output()).iter().enumerate() {
            check::<F>(
                &format!("request {i} of graph {seed}, {}: {spec:?}", F::NAME),
                &network,
                &x,
                request,
                tolerances,
            );
        }
    }
    assert!(2 * tested > count, "{tested} of {count} graphs");
}

#[test]
fn random_graphs_f32() {
    random_graphs::<f32>(20, [1e-3, 1e-2]);
}

#[test]
fn random_graphs_f64() {
    random_graphs::<f64>(60, [1e-11, 1e-10]);
}

/// Training on tensors, of a layer that is no module of its own.
#[test]
fn a_step_downhill() {
    let device = device().autodiff();
    let json = r#"{"type": "modified_mlp", "in_features": 2, "width": 4, "depth": 2}"#;
    let (network, x) = example(&Architecture::from_json(json).unwrap(), 3);
    let mut flat = FlatNetwork::from_library(&network.cast::<f32>().unwrap(), &device).unwrap();
    let x = tensor::<f32, 2, _>(&x, &device);
    let request = Request::new().value().any_partials(&[vec![0, 0, 0], vec![1]]);
    let loss = |flat: &FlatNetwork| {
        let jets = flat.evaluate_by_tensors(x.clone(), &request).unwrap();
        (jets.partials.unwrap().square().sum() + (jets.value.unwrap() - 1.0).square().sum()).reshape([1])
    };
    let first: f32 = loss(&flat).into_scalar();
    for _ in 0..40 {
        let grads = loss(&flat).backward();
        let theta = flat.theta.val();
        let slope = theta.grad(&grads).unwrap();
        flat.set_theta(theta.inner() - slope * 1e-2);
    }
    let last: f32 = loss(&flat).into_scalar();
    assert!(last < 0.5 * first, "{first} to {last}");
}

/// A layer that is no module of its own, in words that say what to do.
#[test]
fn other_layers_are_flat_networks() {
    let json = r#"{"type": "attention", "tokens": 2, "features": 2}"#;
    let (network, _) = example(&Architecture::from_json(json).unwrap(), 1);
    let found =
        hessquik_burn::Network::from_library(&network.cast::<f32>().unwrap(), &device()).unwrap_err().to_string();
    assert!(found.contains("Attention") && found.contains("FlatNetwork"), "{found}");
}
