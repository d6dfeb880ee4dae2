//! Model files: an error or a network, whose weights come back bit by bit from what it writes, and which can be evaluated.
#![no_main]
use hessquik::{Architecture, Evaluate, Layer, Network, Real, Request};
use libfuzzer_sys::fuzz_target;
use ndarray::Array2;

/// Networks of more than this are read, and not evaluated: the time would go into products.
const SMALL: usize = 1 << 12;

fn read<F: Real>(bytes: &[u8]) {
    let Ok(network) = Network::<F>::from_bytes(bytes) else { return };
    let weights = network.flat_weights();
    assert!(weights.iter().all(|w| w.is_finite()));
    let copy = Network::<F>::from_bytes(&network.to_bytes().expect("what was read can be written")).expect("and read");
    assert_eq!(copy.flat_weights(), weights);
    let (d, m) = (network.dim_input(), network.dim_output());
    let widest = network.architecture().map_or(0, |a| widest(&a));
    if weights.len().max(d * d * m).max(widest * d.max(m)) < SMALL {
        let x = Array2::from_elem((3, d), F::of(0.5));
        let jet = network.evaluate(&x, &Request::new().value().gradient().hessian().laplacian()).expect("small");
        network.pullback(&x, &Request::new().value().gradient().hessian().laplacian(), &jet).expect("small");
    }
}

/// The most features anywhere.
fn widest(architecture: &Architecture) -> usize {
    if let Architecture::Network { layers } = architecture {
        return layers.iter().map(widest).max().unwrap_or(0);
    }
    let shapes = architecture.weight_shapes();
    let of_weights = shapes.iter().flat_map(|(_, s)| s.iter().copied()).max().unwrap_or(0);
    let free = match *architecture {
        Architecture::LogSumExp { in_features } => in_features,
        Architecture::Softmax { features } => features,
        _ => 0,
    };
    of_weights.max(free)
}

fuzz_target!(|bytes: &[u8]| {
    read::<f32>(bytes);
    read::<f64>(bytes);
});
