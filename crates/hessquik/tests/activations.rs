//! Activations against 60-digit references, their limits, NaN, arrays and dual numbers.
use hessquik::{Activation, Error, Pointwise, Real};
use ndarray::{Array1, Array2, ArrayD, Axis, array, s};
use num_dual::{Dual3_64, DualNum};
use proptest::prelude::*;
use safetensors::SafeTensors;

/// The built-in activations by their name in the reference file; softplus without a threshold.
fn builtin() -> Vec<(&'static str, Activation)> {
    let softplus = |beta| Activation::Softplus { beta, threshold: f64::INFINITY };
    vec![
        ("anti_tanh", Activation::AntiTanh),
        ("identity", Activation::Identity),
        ("quadratic", Activation::Quadratic),
        ("sigmoid", Activation::Sigmoid),
        ("softplus_0.1", softplus(0.1)),
        ("softplus_1", softplus(1.0)),
        ("softplus_3", softplus(3.0)),
        ("softplus_50", softplus(50.0)),
        ("tanh", Activation::Tanh),
        ("sin", Activation::Sin),
        ("silu", Activation::Silu),
        ("gelu", Activation::Gelu),
        ("gaussian", Activation::Gaussian),
    ]
}

/// The largest error allowed at each order, in ulp, in double and in single precision.
fn bounds(name: &str) -> ([f64; 4], [f64; 4]) {
    match name {
        "identity" => ([0.0; 4], [0.0; 4]),
        "quadratic" => ([0.51, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0]),
        _ => ([4.0; 4], [4.0; 4]),
    }
}

/// The distance from |x| to the next double.
fn ulp(x: f64) -> f64 {
    let x = x.abs().min(f64::MAX.next_down());
    x.next_up() - x
}

/// The same in single precision.
fn ulp_f32(x: f64) -> f64 {
    let x = (x.abs() as f32).min(f32::MAX.next_down());
    f64::from(x.next_up() - x)
}

/// The greatest error at each order, and where.
#[derive(Default)]
struct Worst([(f64, f64); 4]);

impl Worst {
    fn note(&mut self, order: usize, error: f64, z: f64) {
        // not `error > worst`: a NaN must not slip through
        if !(error <= self.0[order].0) {
            self.0[order] = (error, z);
        }
    }

    fn check(&self, name: &str, kind: &str, bounds: [f64; 4]) {
        let line: Vec<_> = self.0.iter().map(|(e, z)| format!("{e:6.2} at {z:<24e}")).collect();
        println!("{name:13} {kind}  {}", line.join("  "));
        for (order, (bound, (error, z))) in bounds.into_iter().zip(self.0).enumerate() {
            assert!(error <= bound, "{name} {kind} order {order}: {error} ulp at {z:e}");
        }
    }
}

fn doubles(bytes: &[u8]) -> impl Iterator<Item = f64> + '_ {
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes")))
}

#[test]
fn double_precision_is_right_to_a_few_ulp() {
    let path = std::env::var("HESSQUIK_ACTIVATIONS_REFERENCE").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/activations/reference.safetensors").into()
    });
    let bytes = std::fs::read(path).expect("the reference file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let data = |name: &str, what: &str| file.tensor(&format!("{name}.{what}")).expect("tensor").data();
    let mut all = Vec::new();
    for (name, activation) in builtin() {
        let mut worst = Worst::default();
        let references: Vec<f64> = doubles(data(name, "jet")).collect();
        let rests = data(name, "rest");
        for (i, z) in doubles(data(name, "z")).enumerate() {
            for (order, found) in activation.jet(z).into_iter().enumerate() {
                let reference = references[4 * i + order];
                let rest = f64::from(rests[4 * i + order] as i8) / 254.0;
                let error = if found == reference { rest } else { (found - reference) / ulp(reference) - rest };
                worst.note(order, if found == reference { 0.0 } else { error.abs() }, z);
            }
        }
        all.push((name, worst));
    }
    for (name, worst) in &all {
        worst.check(name, "f64", [f64::INFINITY; 4]);
    }
    for (name, worst) in &all {
        worst.check(name, "f64", bounds(name).0);
    }
}

#[test]
fn single_precision_is_right_to_a_few_ulp() {
    // every 4099th bit pattern, and all numbers around the zeros of derivatives
    let zeros = [0.658478948_f32, 1.31695795, 1.27846456, 2.39935732, 3.43584108, 0.751791537, 2.0, 0.5]
        .into_iter()
        .chain([0.5_f32, 1.5, 2.0].map(f32::sqrt))
        .flat_map(|x| (x.to_bits() - 2000..x.to_bits() + 2000).flat_map(|b| [f32::from_bits(b), -f32::from_bits(b)]));
    let points: Array1<f32> =
        (0..=u32::MAX).step_by(4099).map(f32::from_bits).filter(|z| z.is_finite()).chain(zeros).collect();
    let mut all = Vec::new();
    for (name, activation) in builtin() {
        let mut worst = Worst::default();
        let references = activation.evaluate(&points.mapv(f64::from), 3).expect("valid");
        let results = activation.evaluate(&points, 3).expect("valid");
        for order in 0..4 {
            for ((&reference, &found), &z) in references[order].iter().zip(&results[order]).zip(&points) {
                let error = if found == reference as f32 {
                    // 1/2 at most
                    if found.is_finite() { (f64::from(found) - reference).abs() / ulp_f32(reference) } else { 0.0 }
                } else {
                    (f64::from(found) - reference).abs() / ulp_f32(reference)
                };
                worst.note(order, error, f64::from(z));
            }
        }
        all.push((name, worst));
    }
    for (name, worst) in &all {
        worst.check(name, "f32", [f64::INFINITY; 4]);
    }
    for (name, worst) in &all {
        worst.check(name, "f32", bounds(name).1);
    }
}
