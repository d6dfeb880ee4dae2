//! Architectures as JSON: an error, or a description that comes back from what it writes, and a network of its sizes.
#![no_main]
use hessquik::{Architecture, Init, Layer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let Ok(architecture) = Architecture::from_json(json) else { return };
    let text = architecture.to_json();
    let again = Architecture::from_json(&text).expect("what was read can be written and read");
    assert_eq!(again.to_json(), text);
    if architecture.check().is_err() {
        return;
    }
    let shapes = architecture.weight_shapes();
    let weights = shapes.iter().fold(0u128, |n, (_, s)| n + s.iter().map(|&len| len as u128).product::<u128>());
    if weights > 1 << 14 {
        return;
    }
    if let Ok(network) = architecture.build::<f32>(&mut Init::seed(0)) {
        let found: Vec<_> = network.weights().iter().map(|(name, w)| (name.clone(), w.shape().to_vec())).collect();
        assert_eq!(found, shapes);
        assert_eq!(network.architecture().expect("built from one").to_json(), text);
    }
});
