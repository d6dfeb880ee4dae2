//! The formulas beside the library's, whose own errors are a few units: in both tails, at limits, and of every order.
use super::derivatives;
use burn::tensor::{DType, Device, Tensor, TensorData};
use hessquik::Activation;
use hessquik::activation::{ActivationKind, MAX_ORDER};
use ndarray::Array1;

fn on_device(act: &Activation, z: &[f64], dtype: DType, order: usize) -> Vec<Vec<f64>> {
    let device = Device::flex();
    let z = Tensor::<3>::from_data(TensorData::new(z.to_vec(), [1, 1, z.len()]), (&device, dtype));
    let all = derivatives(act, z, order).expect("built in");
    all.into_iter().map(|f| f.into_data().convert::<f64>().try_to_vec::<f64>().expect("numbers")).collect()
}

/// The tensors beside the library, whose own errors are a few units: to `bound` units of the entry itself, in both tails,
/// and near the zeros of a derivative to those of what is around.
fn tails(act: &Activation, dtype: DType, unit: f64, bound: f64) {
    // points that both precisions have
    let grid = (-1100..=1100).map(|i| f64::from((f64::from(i) * 0.0397 + 0.011) as f32));
    let far = [9.5, 12.0, 20.000_001, 37.5, 40.0, 60.0, 88.0].into_iter().flat_map(|z| [z, -z]);
    let small = [1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 0.1].into_iter().flat_map(|z| [z, -z]);
    let z: Vec<f64> = grid.chain(far).chain(small).map(|z| f64::from(z as f32)).collect();
    let found = on_device(act, &z, dtype, 3);
    let at = |shift: f64| act.evaluate(&Array1::from_iter(z.iter().map(|z| z + shift)), 3).expect("valid");
    let (exact, left, right) = (at(0.0), at(-0.2), at(0.2));
    // what underflows in the precision is lost; the exponential of a cubic has slopes of hundreds there
    let lost = if matches!(act, Activation::TanhGelu) { 1e8 } else { 1e5 };
    let least = lost * if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
    for order in 0..4 {
        for (i, z) in z.iter().enumerate() {
            let wanted = exact[order][i];
            if wanted.is_nan() || dtype == DType::F32 && wanted.abs() > f64::from(f32::MAX) {
                let found = found[order][i];
                assert!(
                    found.is_nan() && wanted.is_nan() || found == f64::INFINITY.copysign(wanted),
                    "{act:?} {dtype:?} order {order} at {z}: {found} for {wanted}"
                );
                continue;
            }
            let around = if z.abs() > 8.0 { 0.0 } else { left[order][i].abs().max(right[order][i].abs()) };
            // the value of ln cosh, and of what starts like it, is small at 0 without a change of sign
            let around = if order == 0 { 0.0 } else { around };
            let size = wanted.abs() + around + least;
            let error = (found[order][i] - wanted).abs() / size;
            assert!(
                error <= bound * unit,
                "{act:?} {dtype:?} order {order} at {z}: {:e} for {wanted:e}, {} units",
                found[order][i],
                error / unit
            );
        }
    }
}

fn every_activation() -> Vec<Activation> {
    use Activation as A;
    let softplus = |beta, threshold| A::Softplus { beta, threshold };
    let all = vec![
        A::AntiTanh,
        A::Identity,
        A::Quadratic,
        A::Sigmoid,
        softplus(1.0, 20.0),
        softplus(0.3, 20.0),
        softplus(7.0, 20.0),
        softplus(1.0, 3.0),
        softplus(2.0, 0.0),
        A::Tanh,
        A::Sin,
        A::Cos,
        A::Silu,
        A::Gelu,
        A::TanhGelu,
        A::Mish,
        A::Gaussian,
        A::Erf,
        A::Atan,
        A::Exp,
        A::Log,
        A::Sqrt,
        A::Reciprocal,
        A::Square,
        A::Power { p: 3.0 },
        A::Power { p: -2.0 },
        A::Power { p: 1.5 },
        A::Power { p: -0.5 },
        A::Power { p: 2.3 },
        A::Elu { alpha: 1.0 },
        A::Elu { alpha: 0.3 },
        A::Celu { alpha: 1.7 },
        A::Selu,
        A::Squareplus { b: 4.0 },
        A::Squareplus { b: 0.3 },
        A::Relu,
        A::LeakyRelu { slope: 0.125 },
        A::Step,
        A::scaled(1.5, A::Tanh, 2.0),
    ];
    for kind in ActivationKind::ALL {
        assert!(all.iter().any(|act| act.name() == kind.name), "{} is not among those that are tested", kind.name);
    }
    all
}

#[test]
fn tails_keep_their_digits() {
    for act in every_activation() {
        tails(&act, DType::F32, f64::from(f32::EPSILON), 16.0);
        tails(&act, DType::F64, f64::EPSILON, 16.0);
    }
}

/// Limits, and what is large, in both precisions.
#[test]
fn infinities_give_limits_and_nan_stays() {
    let z = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e30, -1e30, 0.0];
    for act in every_activation() {
        for (dtype, unit) in [(DType::F32, f64::from(f32::EPSILON)), (DType::F64, f64::EPSILON)] {
            let found = on_device(&act, &z, dtype, 3);
            for (i, &z) in z.iter().enumerate() {
                let wanted = match dtype {
                    DType::F32 => act.jet(z as f32).map(f64::from),
                    _ => act.jet(z),
                };
                for order in 0..4 {
                    let (found, wanted) = (found[order][i], wanted[order]);
                    let near = (found - wanted).abs() <= 16.0 * unit * wanted.abs();
                    assert!(
                        found == wanted || near || found.is_nan() && wanted.is_nan(),
                        "{act:?} {dtype:?} order {order} at {z}: {found} for {wanted}"
                    );
                }
            }
        }
    }
}

/// Orders above three, to 200 units of what the derivative is around the point.
#[test]
fn every_order() {
    let z: Vec<f64> = (-160..=160).map(|i| f64::from((f64::from(i) * 0.1171 + 0.013) as f32)).collect();
    for act in every_activation() {
        let at =
            |shift: f64| act.derivatives(&Array1::from_iter(z.iter().map(|z| z + shift)), MAX_ORDER).expect("valid");
        let nearby = [-0.2, -0.1, 0.0, 0.1, 0.2].map(at);
        for (dtype, unit) in [(DType::F32, f64::from(f32::EPSILON)), (DType::F64, f64::EPSILON)] {
            let found = on_device(&act, &z, dtype, MAX_ORDER);
            let least = 1e14 * if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
            assert_eq!(found.len(), MAX_ORDER + 1);
            for order in 4..=MAX_ORDER {
                for i in 0..z.len() {
                    let wanted = nearby[2][order][i];
                    if wanted.is_nan() {
                        assert!(found[order][i].is_nan(), "{act:?} {dtype:?} order {order} at {}", z[i]);
                        continue;
                    }
                    let size = nearby.iter().fold(least, |m, d| m.max(d[order][i].abs()));
                    let error = (found[order][i] - wanted).abs() / size;
                    assert!(
                        error <= 200.0 * unit,
                        "{act:?} {dtype:?} order {order} at {}: {:e} for {wanted:e}, {} units",
                        z[i],
                        found[order][i],
                        error / unit
                    );
                }
            }
        }
    }
}

/// Values are not lost where derivatives are infinite, and gradients are those of the next derivative.
#[test]
fn gradients_are_the_next_derivative() {
    let device = Device::flex().autodiff();
    let z = [-0.75, 0.0, 0.5, 1.25, f64::INFINITY];
    for act in every_activation() {
        let wanted = act.derivatives(&Array1::from_iter(z), 3).expect("valid");
        for order in 0..3 {
            let x = Tensor::<3>::from_data(TensorData::new(z.to_vec(), [1, 1, z.len()]), (&device, DType::F64));
            let x = x.require_grad();
            let row = super::jet(&act, x.clone(), 2).expect("built in").swap_remove(order);
            let numbers = |t: Tensor<3>| t.into_data().convert::<f64>().try_to_vec::<f64>().expect("numbers");
            let found = numbers(row.clone());
            let slopes = if row.is_tracked() { x.grad(&row.sum().backward()).map(numbers) } else { None };
            for i in 0..z.len() {
                let (value, slope) = (wanted[order][i], wanted[order + 1][i]);
                let close =
                    |a: f64, b: f64| a == b || (a - b).abs() <= 1e-13 * b.abs().max(1.0) || a.is_nan() && b.is_nan();
                assert!(close(found[i], value), "{act:?} order {order} at {}: {} for {value}", z[i], found[i]);
                if !(value.is_nan() || slope.is_nan()) {
                    let found = slopes.as_ref().map_or(0.0, |s| s[i]);
                    assert!(close(found, slope), "{act:?} order {order} at {}: slope {found} for {slope}", z[i]);
                }
            }
        }
    }
}
