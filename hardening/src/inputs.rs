//! What must hold for any bytes that are read: as a model, as an architecture, as points. `hardening mutate` and the targets
//! of `fuzz/` share these checks; a broken promise is a panic.
use crate::points::Points;
use hessquik::{Architecture, Evaluate, Init, Layer, Network, Real, Request};
use ndarray::Array2;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A model file: an error, or a network whose weights come back bit by bit from what it writes, and which can be evaluated.
pub fn model(bytes: &[u8]) {
    model_as::<f32>(bytes);
    model_as::<f64>(bytes);
}

/// Networks of more than this are read, and not evaluated: the time would go into products.
const SMALL: usize = 1 << 12;

fn model_as<F: Real>(bytes: &[u8]) {
    let Ok(network) = Network::<F>::from_bytes(bytes) else { return };
    let weights = network.flat_weights();
    assert!(weights.iter().all(|w| w.is_finite()));
    let copy = Network::<F>::from_bytes(&network.to_bytes().expect("what was read can be written")).expect("and read");
    assert_eq!(copy.flat_weights(), weights);
    let (d, m) = (network.dim_input(), network.dim_output());
    let widest = network.architecture().map_or(0, |a| a.widest());
    if weights.len().max(d * d * m) < SMALL && widest * (d.max(m) as u128) < SMALL as u128 {
        let x = Array2::from_elem((3, d), F::of(0.5));
        let request = Request::new().value().gradient().hessian().laplacian();
        let jet = network.evaluate(&x, &request).expect("small");
        network.pullback(&x, &request, &jet).expect("small");
    }
}

/// An architecture as JSON: an error, or a description that comes back from what it writes, and a network of its sizes.
pub fn architecture(bytes: &[u8]) {
    let Some(architecture) = std::str::from_utf8(bytes).ok().and_then(|json| Architecture::from_json(json).ok()) else {
        return;
    };
    let text = architecture.to_json();
    let again = Architecture::from_json(&text).expect("what was read can be written and read");
    assert_eq!(again.to_json(), text);
    if architecture.check().is_err() {
        return;
    }
    let shapes = architecture.weight_shapes();
    let weights = shapes.iter().fold(0u128, |n, (_, s)| n + s.iter().map(|&len| len as u128).product::<u128>());
    if weights > 1 << 14 || architecture.widest() > 1 << 14 {
        return;
    }
    if let Ok(network) = architecture.build::<f32>(&mut Init::seed(0)) {
        let found: Vec<_> = network.weights().iter().map(|(name, w)| (name.clone(), w.shape().to_vec())).collect();
        assert_eq!(found, shapes);
        assert_eq!(network.architecture().expect("built from one").to_json(), text);
    }
}

/// One file of each kind, in memory where the system has such a folder.
static FILES: LazyLock<[PathBuf; 3]> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
    ["npy", "csv", "safetensors"].map(|ending| folder.join(format!("hessquik-inputs-{}.{ending}", std::process::id())))
});

/// More numbers than this are not read: a header may promise what fits the file and takes long.
const MOST: usize = 1 << 16;

/// A file of points: an error or a matrix, the same however many rows are read at a time. The first byte chooses the kind of
/// file and the number of columns that a model would want.
pub fn points(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let file = &FILES[usize::from(choice % 3)];
    let width = [None, Some(1), Some(2), Some(3)][usize::from(choice / 3 % 4)];
    std::fs::write(file, bytes).expect("a place to write");
    let Ok(mut points) = Points::open(file, width) else { return };
    let (rows, cols) = (points.rows(), points.cols());
    if let Some(width) = width {
        assert_eq!(cols, width);
    }
    if rows.saturating_mul(cols.max(1)) > MOST {
        return;
    }
    let Ok(whole) = points.read::<f64>(rows) else { return };
    assert_eq!(whole.dim(), (rows, cols));
    let mut points = Points::open(file, width).expect("opened before");
    for first in (0..rows).step_by(3) {
        let some = points.read::<f64>(3).expect("read before");
        let wanted = whole.slice(ndarray::s![first..(first + 3).min(rows), ..]);
        assert!(some.iter().zip(wanted).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    let single = Points::open(file, width).expect("opened before").read::<f32>(rows);
    let fits = whole.iter().all(|x| !x.is_finite() || (*x as f32).is_finite());
    assert_eq!(single.is_ok(), fits);
}
