//! Networks as text: a line for each layer, and nothing of what they work in.
use hessquik::{
    Activation, Evaluate, Icnn, Init, Network, Pointwise, Prepared, Request, Single, Softmax, fully_connected, resnet,
};
use ndarray::Array2;

/// z^2
#[derive(Debug)]
struct Square;

impl Pointwise for Square {
    fn name(&self) -> &str {
        "square"
    }
    fn jet(&self, z: f64) -> [f64; 4] {
        [z * z, 2.0 * z, 2.0, 0.0]
    }
}

#[test]
fn a_network_prints_its_layers() {
    let init = &mut Init::seed(0);
    let network = Network::<f32>::new(vec![
        Box::new(Single::new(3, 70, Activation::custom(Square), init)),
        Box::new(resnet(70, 2, 0.5, Activation::softplus(), init).expect("valid")),
        Box::new(Single::new(70, 1, Activation::Identity, init)),
    ])
    .expect("valid");
    let wanted = "\
3 inputs, 1 output, 10291 weights (f32)

layer                   activation     in    out  weights
0        single         square          3     70  K [3, 70]  b [70]
1.0      resnet         softplus       70     70  layer.K [70, 70]  layer.b [70]
1.1      resnet         softplus       70     70  layer.K [70, 70]  layer.b [70]
2        single         identity       70      1  K [70, 1]  b [1]
";
    assert_eq!(format!("{network:?}"), wanted);
    // the same after it has worked
    network.hessian(&Array2::ones((500, 3))).expect("valid");
    assert_eq!(format!("{network:?}"), wanted);
    assert_eq!(network.summary()[1].position, "1.0");
}

#[test]
fn layers_without_a_choice_of_activation_have_none() {
    let init = &mut Init::seed(0);
    let network = Network::<f64>::new(vec![
        Box::new(Icnn::new(2, None, 3, Activation::softplus(), init)),
        Box::new(Softmax::new(5)),
    ]);
    let text = format!("{:?}", network.expect("valid"));
    assert!(text.starts_with("2 inputs, 5 outputs, 9 weights (f64)\n"), "{text}");
    assert!(text.contains("softmax        -"), "{text}");
}

#[test]
fn what_is_prepared_is_short_too() {
    let network = fully_connected::<f64>(&[2, 300, 300, 1], Activation::Tanh, &mut Init::seed(0)).expect("valid");
    let prepared = Prepared::new(&network, Request::new().hessian()).expect("valid");
    prepared.evaluate(&Array2::ones((100, 2))).expect("valid");
    let text = format!("{prepared:?}");
    assert!(text.len() < 1000 && text.contains("plan"), "{text}");
}
