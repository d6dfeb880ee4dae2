//! Networks with a layer of the user's own, which no description rebuilds.
use super::*;

/// A layer of the user's own, without an architecture.
#[derive(Clone, Debug)]
struct Fourier(Weights<f64>);

impl Layer<f64> for Fourier {
    fn name(&self) -> String {
        "fourier".into()
    }
    fn dim_input(&self) -> usize {
        2
    }
    fn dim_output(&self) -> usize {
        3
    }
    fn weights(&self) -> Vec<(String, &ArrayD<f64>)> {
        self.0.list()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<f64>)> {
        self.0.list_mut()
    }
    fn parts(&self) -> Parts<'_, f64> {
        let form = Form::new(2, 3, 3).m(Linear::zero().weight("B", 0, 0)).act(Activation::Sin);
        Parts::Form(form.w(Linear::identity(3)))
    }
}

#[test]
fn user_defined_layers_load_weights_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let fourier = || Fourier(Weights::new().with("B", array![[1.0, 2.0, 3.0], [0.5, 0.0, 1.0]]));
    let inner = Network::new(vec![Box::new(fourier()) as Box<dyn Layer<f64>>]).unwrap();
    let mut network = Network::new(vec![
        Box::new(inner) as Box<dyn Layer<f64>>,
        Box::new(Single::new(3, 1, Activation::Identity, &mut Init::seed(0))),
    ])
    .unwrap();
    match network.save(&path) {
        Err(Error::Architecture(message)) => assert!(message.starts_with("layer 0.0 (fourier)"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(!path.exists());

    let numbers = f64s(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let tensors = [
        ("0.0.B", "F64", &[2, 3][..], &numbers[..]),
        ("1.K", "F64", &[3, 1], &numbers[..24]),
        ("1.b", "F64", &[1], &numbers[..8]),
    ];
    std::fs::write(&path, file(&tensors, None)).unwrap();
    network.load_weights(&path).unwrap();
    assert_eq!(network.flat_weights(), array![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 1.0]);

    // an error in the last weight leaves the first as it was
    let before = network.flat_weights();
    let tensors = [
        ("0.0.B", "F64", &[2, 3][..], &f64s(&[9.0; 6])[..]),
        ("1.K", "F64", &[3, 1], &numbers[..24]),
        ("1.b", "F64", &[1], &f64s(&[f64::NAN])),
    ];
    std::fs::write(&path, file(&tensors, None)).unwrap();
    assert!(matches!(network.load_weights(&path), Err(Error::File { .. })));
    assert_eq!(network.flat_weights(), before);
}
