//! Derivatives of activations above the third order against mpmath, and Taylor coefficients of compositions.
mod builtin;
use builtin::{builtin, of_positive_points};
use hessquik::activation::MAX_ORDER;
use hessquik::{Activation, Error, Pointwise, Real};
use ndarray::{Array1, Array2, s};
use safetensors::SafeTensors;

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes"))).collect()
}

/// The points of an activation and its derivatives of orders 0 to 10 there.
fn reference(name: &str) -> (Array1<f64>, Array2<f64>) {
    let path = std::env::var("HESSQUIK_TAYLOR_REFERENCE")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/activations/taylor.safetensors").into());
    let bytes = std::fs::read(path).expect("the reference file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let data = |what: &str| doubles(file.tensor(&format!("{name}.{what}")).expect(name).data());
    let z = Array1::from(data("z"));
    let d = Array2::from_shape_vec((z.len(), 11), data("d")).expect("11 orders");
    (z, d)
}

/// The largest error of each order as a fraction of the derivative, or of a tenth of what the derivative grows by
/// between 0 and z or over a distance of 1, if that is more: next to its zeros.
fn errors<F: Real>(activation: &Activation, z: &Array1<f64>, d: &Array2<f64>) -> [(f64, f64); MAX_ORDER + 1] {
    let least = F::min_positive_value().as_f64();
    let found = activation.derivatives(&z.mapv(F::of), MAX_ORDER).expect("valid");
    std::array::from_fn(|j| {
        let mut worst = (0.0, 0.0);
        for (i, &z) in z.iter().enumerate() {
            if d[[i, j]].abs() > F::max_value().as_f64() {
                continue;
            }
            let size = d[[i, j]].abs().max(0.1 * z.abs().min(1.0) * d[[i, j + 1]].abs());
            let error = (found[j][i].as_f64() - d[[i, j]]).abs() / size;
            // subnormal results, or steps on the way to them
            let negligible = size < 1e3 * least && found[j][i].as_f64().abs() < 2e3 * least;
            if !(negligible || d[[i, j]] == 0.0 && found[j][i] == F::zero() || error <= worst.0) {
                worst = (error, z);
            }
        }
        worst
    })
}

#[test]
fn derivatives_of_every_order_agree_with_mpmath() {
    for (name, activation) in builtin().into_iter().chain(of_positive_points()) {
        let (z, d) = reference(name);
        let worst = errors::<f64>(&activation, &z, &d);
        println!("{name:13} {}", worst.map(|(e, z)| format!("{e:8.1e} ({z:9.2e})")).join(" "));
        for (order, (error, z)) in worst.into_iter().enumerate() {
            let bound = if order <= 6 { 1e-13 } else { 1e-12 };
            assert!(error <= bound, "{name}, order {order}: {error:e} at {z:e}");
        }
    }
}

#[test]
fn single_precision_keeps_its_digits_too() {
    for (name, activation) in builtin().into_iter().chain(of_positive_points()) {
        let (z, d) = reference(name);
        // against double precision, which the test above holds
        let z = z.mapv(|z| f64::from(z as f32));
        let exact = activation.derivatives(&z, MAX_ORDER).expect("valid");
        let mut d = d.clone();
        for (j, exact) in exact.iter().enumerate() {
            d.slice_mut(s![.., j]).assign(exact);
        }
        for (order, (error, z)) in errors::<f32>(&activation, &z, &d).into_iter().enumerate() {
            let bound = if order <= 6 { 2e-5 } else { 1e-4 };
            assert!(error <= bound, "{name}, order {order}: {error:e} at {z:e}");
        }
    }
}

#[test]
fn the_first_orders_are_those_of_evaluate() {
    let z = Array1::from_shape_fn(50, |i| (i as f64 - 25.0) * 0.7);
    for (name, activation) in builtin() {
        for order in 0..=MAX_ORDER {
            let found = activation.derivatives(&z, order).expect("valid");
            assert_eq!(found.len(), order + 1);
            let expected = activation.evaluate(&z, order.min(3)).expect("valid");
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(found, expected, "{name}");
            }
        }
    }
}

/// Taylor coefficients by Faa di Bruno's formula in the form of partial Bell polynomials.
fn bell(d: &[f64], z: &[f64]) -> Vec<f64> {
    let order = d.len() - 1;
    let mut out = vec![d[0]];
    // powers[n] is coefficient n of (z(t) - z(0))^j / j!
    let mut powers = vec![0.0; order + 1];
    powers[0] = 1.0;
    out.resize(order + 1, 0.0);
    for (j, derivative) in d.iter().enumerate().skip(1) {
        let next = (0..=order).map(|n| (1..=n).map(|i| z[i] * powers[n - i]).sum::<f64>() / j as f64).collect();
        powers = next;
        for n in 1..=order {
            out[n] += derivative * powers[n];
        }
    }
    out
}

#[test]
fn taylor_coefficients_are_faa_di_bruno_s() {
    let z: Vec<f64> = [0.4, -0.7, 0.3, 0.9, -0.2, 0.5, -1.1, 0.6, 0.8, -0.3].into();
    for (name, activation) in builtin() {
        for order in 0..=MAX_ORDER {
            let d = activation.derivatives(&Array1::from_elem(1, z[0]), order).expect("valid");
            let d: Vec<f64> = d.iter().map(|d| d[0]).collect();
            let found = activation.taylor(&z[..=order]).expect("valid");
            for (found, expected) in found.iter().zip(bell(&d, &z)) {
                let scale = d.iter().fold(1.0, |a: f64, d| a.max(d.abs()));
                assert!((found - expected).abs() < 1e-12 * scale, "{name} {order}: {found} {expected}");
            }
        }
    }
}

#[test]
fn taylor_coefficients_of_known_series() {
    // ln cosh of t is the series of the integral of tanh; sin of 2 t; the bell along t + t^2, all from the textbook
    let close = |found: Vec<f64>, expected: &[f64]| {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    };
    let line = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    close(Activation::AntiTanh.taylor(&line).expect("valid"), &[0.0, 0.0, 0.5, 0.0, -1.0 / 12.0, 0.0, 1.0 / 45.0]);
    close(
        Activation::Sin.taylor(&line.map(|c| 2.0 * c)).expect("valid"),
        &[0.0, 2.0, 0.0, -8.0 / 6.0, 0.0, 32.0 / 120.0, 0.0],
    );
    // exp(-(t + t^2)^2) = 1 - t^2 - 2 t^3 - t^4/2 + 2 t^5 + ...
    close(
        Activation::Gaussian.taylor(&[0.0, 1.0, 1.0, 0.0, 0.0, 0.0]).expect("valid"),
        &[1.0, 0.0, -1.0, -2.0, -0.5, 2.0],
    );
}

#[derive(Debug)]
struct Cube;

impl Pointwise for Cube {
    fn name(&self) -> &str {
        "cube"
    }
    fn jet(&self, z: f64) -> [f64; 4] {
        [z * z * z, 3.0 * z * z, 6.0 * z, 6.0]
    }
}

/// The same with all its derivatives.
#[derive(Debug)]
struct WholeCube;

impl Pointwise for WholeCube {
    fn name(&self) -> &str {
        "cube"
    }
    fn jet(&self, z: f64) -> [f64; 4] {
        Cube.jet(z)
    }
    fn max_order(&self) -> usize {
        usize::MAX
    }
    fn derivatives(&self, z: f64, out: &mut [f64]) {
        out.fill(0.0);
        for (out, d) in out.iter_mut().zip(self.jet(z)) {
            *out = d;
        }
    }
}

#[test]
fn users_activations_go_as_far_as_they_say() {
    let cube = Activation::custom(Cube);
    assert_eq!(cube.taylor(&[1.0, 2.0, 0.0, 0.0]).expect("order 3"), [1.0, 6.0, 12.0, 8.0]);
    let error = cube.taylor(&[1.0, 2.0, 0.0, 0.0, 0.0]).expect_err("order 4");
    assert!(matches!(&error, Error::Order { activation, order: 4, most: 3 } if activation == "cube"), "{error}");
    assert!(error.to_string().contains("max_order"), "{error}");

    let whole = Activation::custom(WholeCube);
    assert_eq!(whole.taylor(&[1.0_f32, 2.0, 0.0, 0.0, 0.0, 0.0]).expect("any"), [1.0, 6.0, 12.0, 8.0, 0.0, 0.0]);
    let z = Array1::linspace(-2.0, 2.0, 21);
    assert_eq!(whole.derivatives(&z, 9).expect("any").len(), 10);
    assert!(matches!(whole.derivatives(&z, 10), Err(Error::Order { order: 10, most: 9, .. })));
    assert!(matches!(Activation::Tanh.derivatives(&z, 10), Err(Error::Order { order: 10, most: 9, .. })));
    assert!(matches!(Activation::Tanh.taylor(&[0.0; 11]), Err(Error::Order { order: 10, most: 9, .. })));
    assert!(matches!(Activation::Tanh.taylor::<f64>(&[]), Err(Error::Setting { .. })));
    let bad = Activation::Softplus { beta: -1.0, threshold: 20.0 };
    assert!(matches!(bad.taylor(&[0.0]), Err(Error::Setting { .. })));
    assert!(matches!(bad.derivatives(&z, 4), Err(Error::Setting { .. })));
}

/// The derivatives of orders 4 and up at minus infinity and infinity.
#[test]
fn limits_and_nan() {
    let z = Array1::from_vec(vec![f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY]);
    for (name, activation) in builtin().into_iter().chain(of_positive_points()) {
        for (order, d) in activation.derivatives(&z, MAX_ORDER).expect("valid").iter().enumerate().skip(4) {
            assert!(d[0].is_nan() && !d[1].is_nan(), "{name} {order}");
            let (above, below) = (d[2], d[3]);
            match name {
                "sin" | "cos" => assert!(above.is_nan() && below.is_nan()),
                "exp" => assert!(above == f64::INFINITY && below == 0.0),
                "power_8" if order < 8 => assert!(above == f64::INFINITY && below.is_infinite()),
                "power_8" => assert!(above == below && above == if order == 8 { 40320.0 } else { 0.0 }),
                "log" | "sqrt" | "power_2.5" | "power_0.1" | "power_-7.3" => {
                    assert!(above == 0.0 && below.is_nan(), "{name}")
                }
                _ => assert!(above == 0.0 && below == 0.0, "{name} {order} {d}"),
            }
        }
    }
}
