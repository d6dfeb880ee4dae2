//! Activations against 60-digit references, their limits, NaN, arrays and dual numbers.
mod builtin;
use builtin::{bounds, builtin, of_positive_points};
use hessquik::activation::ActivationKind;
use hessquik::{Activation, ActivationSpec, Architecture, Error, Init, Pointwise, Real, softplus_cut};
use ndarray::{Array1, Array2, ArrayD, array, s};
use num_dual::{Dual3_64, DualNum};
use proptest::prelude::*;
use safetensors::SafeTensors;
use std::f64::consts::FRAC_PI_2;

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
        if error.is_nan() || error > self.0[order].0 {
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
    // a larger file, for a harder look, comes from `make_reference.py 1000 FILE`
    let path = std::env::var("HESSQUIK_ACTIVATIONS_REFERENCE").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/activations/reference.safetensors").into()
    });
    let bytes = std::fs::read(path).expect("the reference file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let data = |name: &str, what: &str| file.tensor(&format!("{name}.{what}")).expect("tensor").data();
    for (name, activation) in builtin().into_iter().chain(of_positive_points()) {
        let mut worst = Worst::default();
        let references: Vec<f64> = doubles(data(name, "jet")).collect();
        let rests = data(name, "rest");
        for (i, z) in doubles(data(name, "z")).enumerate() {
            for (order, found) in activation.jet(z).into_iter().enumerate() {
                let reference = references[4 * i + order];
                let rest = f64::from(rests[4 * i + order] as i8) / 254.0;
                // infinities are equal or wrong
                let error =
                    if found == reference { rest.abs() } else { ((found - reference) / ulp(reference) - rest).abs() };
                worst.note(order, error, z);
            }
        }
        worst.check(name, "f64", bounds(name).0);
    }
}

#[test]
fn single_precision_is_right_to_a_few_ulp() {
    // every 4099th bit pattern, and all numbers around the zeros of derivatives
    let zeros = [0.6584789484624083_f64, 1.3169578969248168, 1.2784645427610737, 2.3993572805154675, 3.435840993535111]
        .into_iter()
        .chain([0.7517915246935645, 0.5, 1.0, 2.0])
        .chain([0.5_f64, 1.5, 2.0].map(f64::sqrt))
        .map(|x| x as f32)
        .flat_map(|x| (x.to_bits() - 2000..x.to_bits() + 2000).flat_map(|b| [f32::from_bits(b), -f32::from_bits(b)]));
    let points: Array1<f32> =
        (0..=u32::MAX).step_by(4099).map(f32::from_bits).filter(|z| z.is_finite()).chain(zeros).collect();
    let positive: Array1<f32> = points.iter().copied().filter(|z| *z > 0.0).collect();
    let everywhere = builtin().into_iter().map(|case| (case, &points));
    for ((name, activation), points) in everywhere.chain(of_positive_points().into_iter().map(|case| (case, &positive)))
    {
        let mut worst = Worst::default();
        let references = activation.evaluate(&points.mapv(f64::from), 3).expect("valid");
        let results = activation.evaluate(points, 3).expect("valid");
        for order in 0..4 {
            for ((&reference, &found), &z) in references[order].iter().zip(&results[order]).zip(points) {
                let overflow = found.is_infinite() && found == reference as f32;
                let error = (f64::from(found) - reference).abs() / ulp_f32(reference);
                worst.note(order, if overflow { 0.0 } else { error }, f64::from(z));
            }
        }
        worst.check(name, "f32", bounds(name).1);
    }
}

/// The bits, with one NaN for all.
fn bits<F: Real>(x: F) -> u64 {
    if x.is_nan() { u64::MAX } else { x.as_f64().to_bits() }
}

fn infinities<F: Real>() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    for (activation, below, above) in [
        (Activation::AntiTanh, [INF, -1.0, 0.0, 0.0], [INF, 1.0, 0.0, 0.0]),
        (Activation::Identity, [-INF, 1.0, 0.0, 0.0], [INF, 1.0, 0.0, 0.0]),
        (Activation::Quadratic, [INF, -INF, 1.0, 0.0], [INF, INF, 1.0, 0.0]),
        (Activation::Sigmoid, [0.0; 4], [1.0, 0.0, 0.0, 0.0]),
        (Activation::softplus(), [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::Softplus { beta: 1e30, threshold: INF }, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::Softplus { beta: 1e-30, threshold: INF }, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::Tanh, [-1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
        (Activation::Sin, [NAN; 4], [NAN; 4]),
        (Activation::Silu, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::Gelu, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::Gaussian, [0.0; 4], [0.0; 4]),
        (Activation::Cos, [NAN; 4], [NAN; 4]),
        (Activation::Exp, [0.0; 4], [INF; 4]),
        (Activation::Log, [NAN; 4], [INF, 0.0, 0.0, 0.0]),
        (Activation::Sqrt, [NAN; 4], [INF, 0.0, 0.0, 0.0]),
        (Activation::Reciprocal, [0.0; 4], [0.0; 4]),
        (Activation::Square, [INF, -INF, 2.0, 0.0], [INF, INF, 2.0, 0.0]),
        (Activation::Power { p: 3.0 }, [-INF, INF, -INF, 6.0], [INF, INF, INF, 6.0]),
        (Activation::Power { p: -2.0 }, [0.0; 4], [0.0; 4]),
        (Activation::Power { p: 0.0 }, [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
        (Activation::Power { p: 1.5 }, [NAN; 4], [INF, INF, 0.0, 0.0]),
        (Activation::Erf, [-1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
        (Activation::Atan, [-FRAC_PI_2, 0.0, 0.0, 0.0], [FRAC_PI_2, 0.0, 0.0, 0.0]),
        (Activation::Elu { alpha: 0.3 }, [-0.3, 0.0, 0.0, 0.0], [INF, 1.0, 0.0, 0.0]),
        (Activation::Celu { alpha: 0.3 }, [-0.3, 0.0, 0.0, 0.0], [INF, 1.0, 0.0, 0.0]),
        (Activation::Selu, [-1.7580993408473768, 0.0, 0.0, 0.0], [INF, 1.0507009873554805, 0.0, 0.0]),
        (Activation::Mish, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::Squareplus { b: 4.0 }, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::TanhGelu, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::Relu, [0.0; 4], [INF, 1.0, 0.0, 0.0]),
        (Activation::LeakyRelu { slope: 0.01 }, [-INF, 0.01, 0.0, 0.0], [INF, 1.0, 0.0, 0.0]),
        (Activation::scaled(2.0, Activation::Tanh, 3.0), [-2.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]),
        (Activation::scaled(-2.0, Activation::Silu, 3.0), [0.0; 4], [-INF, -6.0, 0.0, 0.0]),
    ] {
        for (z, expected) in [(-F::infinity(), below), (F::infinity(), above)] {
            // + 0 turns -0 into 0
            let found = activation.jet(z).map(|x| bits(x + F::zero()));
            assert_eq!(found, expected.map(|x| bits(F::of(x))), "{activation:?} at {z}");
        }
    }
}

#[test]
fn infinite_points_give_the_limits() {
    infinities::<f32>();
    infinities::<f64>();
}

#[test]
fn nan_gives_nan_and_leaves_its_neighbours_alone() {
    for (name, activation) in builtin() {
        assert!(activation.jet(f64::NAN).iter().all(|x| x.is_nan()), "{name}");
        assert!(activation.jet(-f32::NAN).iter().all(|x| x.is_nan()), "{name}");
        let mut z = Array1::linspace(-3.0, 3.0, 50);
        z[17] = f64::NAN;
        for result in activation.evaluate(&z, 3).expect("valid") {
            let found: Vec<usize> = (0..50).filter(|&i| result[i].is_nan()).collect();
            assert_eq!(found, [17], "{name}");
        }
    }
}

fn lengths_and_orders<F: Real>() {
    // the last point is one that sin treats apart
    let pool: Vec<F> = (0..70).map(|i| F::of((f64::from(i) * 0.37 - 13.0) * if i == 69 { 1e7 } else { 1.0 })).collect();
    let mut activations = builtin();
    activations.push(("cube", Activation::custom(Cube)));
    for (name, activation) in activations {
        for length in 0..=70 {
            let z = Array1::from_vec(pool[70 - length..].to_vec());
            for order in 0..=3 {
                let results = activation.evaluate(&z, order).expect("valid");
                assert_eq!(results.len(), order + 1);
                for (i, &z) in z.iter().enumerate() {
                    let jet = activation.jet(z);
                    for (k, result) in results.iter().enumerate() {
                        assert_eq!(bits(result[i]), bits(jet[k]), "{name} {length} {order} {i} {k}");
                    }
                }
            }
        }
    }
}

#[test]
fn arrays_and_points_give_the_same_bits() {
    lengths_and_orders::<f32>();
    lengths_and_orders::<f64>();
}

#[test]
fn arrays_of_any_shape_and_strides() {
    let z = Array2::from_shape_fn((5, 7), |(i, j)| i as f64 - 0.5 * j as f64);
    let whole = Activation::Silu.evaluate(&z, 2).expect("valid");
    let view = z.slice(s![..;-2, 1..;3]);
    for (part, whole) in Activation::Silu.evaluate(&view.t(), 2).expect("valid").iter().zip(&whole) {
        assert_eq!(part, whole.slice(s![..;-2, 1..;3]).t());
    }
    let point = ArrayD::from_elem(vec![], 2.0_f32);
    assert_eq!(Activation::Quadratic.evaluate(&point, 0).expect("valid")[0], point);
    let nothing = Array2::<f32>::zeros((0, 3));
    assert_eq!(Activation::Tanh.evaluate(&nothing, 3).expect("valid")[3].shape(), [0, 3]);
}

/// z^3
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

#[test]
fn a_custom_activation_is_used_as_it_is() {
    let cube = Activation::custom(Cube);
    assert_eq!(cube.name(), "cube");
    assert_eq!(cube.jet(2.0), [8.0, 12.0, 12.0, 6.0]);
    let results = cube.evaluate(&array![1.0_f32, -2.0], 2).expect("valid");
    assert_eq!(results, [array![1.0, -8.0], array![3.0, 12.0], array![6.0, -12.0]]);
}

/// Value and derivatives are of one function: the identity past a threshold below 15, and softplus everywhere else.
fn thresholds<F: Real>() {
    let full = |beta| Activation::Softplus { beta, threshold: f64::INFINITY };
    for beta in [0.1, 0.5, 1.0, 3.0, 50.0] {
        for threshold in [0.0, 1e-300, 0.25, 1.0, 3.0, 14.999, 15.0, 19.0, 20.0, 21.5, 300.0, 1e300] {
            let cut = Activation::Softplus { beta, threshold };
            let points = Array1::linspace(-40.0, 40.0, 81).mapv(|y| F::of((y + 0.0371) / beta));
            let sweep = cut.evaluate(&points, 3).expect("valid");
            for (i, &z) in points.iter().enumerate() {
                let past = threshold < 15.0 && beta * z.as_f64() > threshold;
                let wanted = if past { [z, F::one(), F::zero(), F::zero()] } else { full(beta).jet(z) };
                assert_eq!(cut.jet(z), wanted, "beta {beta}, threshold {threshold}, z {z}");
                assert_eq!([0, 1, 2, 3].map(|order| sweep[order][i]), wanted);
            }
        }
    }
    let ramp = Activation::Softplus { beta: 1.0, threshold: 0.0 };
    assert_eq!(ramp.jet(F::of(0.25)), [0.25, 1.0, 0.0, 0.0].map(F::of));
    assert_eq!(ramp.jet(F::infinity()), [F::infinity(), F::one(), F::zero(), F::zero()]);
    assert!(ramp.jet(F::nan()).iter().all(|x| x.is_nan()));
    // at the threshold itself the formula holds
    let cut = Activation::Softplus { beta: 1.0, threshold: 3.0 };
    assert_eq!(cut.jet(F::of(3.0)), full(1.0).jet(F::of(3.0)));
}

#[test]
fn a_softplus_is_one_function_at_every_threshold() {
    thresholds::<f32>();
    thresholds::<f64>();
    assert_eq!([0.0, 14.5, 15.0, 20.0].map(softplus_cut), [0.0, 14.5, f64::INFINITY, f64::INFINITY]);
}

#[test]
fn the_default_softplus_keeps_its_digits_past_its_threshold() {
    // ln(1 + exp(20.0000001)) and ln(1 + exp(25)), rounded
    for (z, value) in [(20.0000001_f64, 20.000_000_102_061_153), (25.0, 25.000_000_000_013_888)] {
        let [f, d, dd, ddd] = Activation::softplus().jet(z);
        assert!((f - value).abs() <= ulp(value), "{f:e} at {z}");
        let p = (-z).exp() / (1.0 + (-z).exp()).powi(2);
        assert!((d - 1.0 / (1.0 + (-z).exp())).abs() <= ulp(1.0));
        assert!((dd / p - 1.0).abs() < 1e-14 && (ddd / (-p * (z / 2.0).tanh()) - 1.0).abs() < 1e-14, "{dd:e} {ddd:e}");
    }
}

#[test]
fn settings_that_a_precision_does_not_hold_are_errors() {
    for beta in [1e39, 1e300, 1e-39, 1e-300] {
        let act = Activation::Softplus { beta, threshold: 20.0 };
        let error = act.evaluate(&array![0.0_f32], 0).expect_err("beyond f32").to_string();
        assert!(error.contains("softplus: beta") && error.contains("f32"), "{error}");
        assert!(act.jet(0.0_f32).iter().all(|x| x.is_nan()));
        assert!(act.evaluate(&array![0.0_f64], 3).is_ok());
        let layer = |act| Architecture::Single { in_features: 2, out_features: 3, act, bias: true };
        let chain = Architecture::Network { layers: vec![layer(act.describe().expect("built in"))] };
        let error = chain.build::<f32>(&mut Init::seed(0)).expect_err("beyond f32").to_string();
        assert!(error.contains("layer 0") && error.contains("f32"), "{error}");
        let double = chain.build::<f64>(&mut Init::seed(0)).expect("within f64");
        assert!(double.cast::<f32>().is_err());
    }
    // extreme, and held
    for beta in [1e-37, 3e38] {
        assert!(Activation::Softplus { beta, threshold: 1e300 }.evaluate(&array![0.0_f32], 3).is_ok());
    }
    let subnormal = Activation::Softplus { beta: 1e-310, threshold: 20.0 };
    assert!(subnormal.evaluate(&array![0.0_f64], 0).is_err());
}

/// Zero, with its sign, and where the domain ends.
#[test]
fn domains_and_kinks() {
    const INF: f64 = f64::INFINITY;
    let power = |p| Activation::Power { p };
    for (activation, z, expected) in [
        (Activation::Log, 0.0, [-INF, INF, -INF, INF]),
        (Activation::Log, -0.0, [-INF, INF, -INF, INF]),
        (Activation::Sqrt, 0.0, [0.0, INF, -INF, INF]),
        (Activation::Reciprocal, 0.0, [INF, -INF, INF, -INF]),
        (Activation::Reciprocal, -0.0, [-INF; 4]),
        (power(2.5), 0.0, [0.0, 0.0, 0.0, INF]),
        (power(2.0), 0.0, [0.0, 0.0, 2.0, 0.0]),
        (power(2.0), -3.0, [9.0, -6.0, 2.0, 0.0]),
        (power(0.0), 0.0, [1.0, 0.0, 0.0, 0.0]),
        (power(0.0), -2.0, [1.0, 0.0, 0.0, 0.0]),
        (power(-1.0), -0.0, [-INF; 4]),
        (Activation::Relu, 0.0, [0.0; 4]),
        (Activation::LeakyRelu { slope: 0.25 }, 0.0, [0.0, 0.25, 0.0, 0.0]),
        (Activation::Step, 0.0, [0.0; 4]),
        (Activation::Step, -0.0, [0.0; 4]),
        (Activation::Step, 0.5, [1.0, 0.0, 0.0, 0.0]),
        (Activation::Step, -2.0, [0.0; 4]),
        (Activation::Step, INF, [1.0, 0.0, 0.0, 0.0]),
        (Activation::Elu { alpha: 2.0 }, 0.0, [0.0, 2.0, 2.0, 2.0]),
        (Activation::Celu { alpha: 2.0 }, 0.0, [0.0, 1.0, 0.5, 0.25]),
    ] {
        assert_eq!(activation.jet(z), expected, "{activation:?} at {z}");
        let single = activation.jet(z as f32).map(f64::from);
        assert_eq!(single, expected, "{activation:?} at {z} in f32");
    }
    for activation in [Activation::Log, Activation::Sqrt, power(2.5), power(-0.5)] {
        for z in [-f64::MIN_POSITIVE, -1.0, -1e300] {
            assert!(activation.jet(z).iter().all(|x| x.is_nan()), "{activation:?} at {z}");
        }
    }
}

/// The list of activations against names, descriptions and what model files take.
#[test]
fn every_kind_has_a_name_and_a_description() {
    for kind in ActivationKind::ALL {
        let settings: Vec<_> = kind.settings.iter().map(|(key, default)| (key, default.unwrap_or(1.5))).collect();
        let text: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let spec: ActivationSpec = format!("{}:{}", kind.name, text.join(",")).parse().expect(kind.name);
        let activation = Activation::from(spec);
        assert_eq!(activation.name(), kind.name);
        assert_eq!(activation.describe(), Some(spec));
        assert!(kind.docs.contains("f ="), "{}", kind.docs);
        if kind.settings.iter().all(|(_, default)| default.is_some()) {
            assert_eq!(kind.name.parse::<ActivationSpec>().expect("by its name"), spec);
        } else {
            assert!(
                matches!(kind.name.parse::<ActivationSpec>(), Err(Error::Architecture(m)) if m.contains("missing"))
            );
        }
        // as a layer's, within a scaled one, and back
        let scaled = Activation::scaled(2.0, activation, -0.5);
        let act = scaled.describe().expect("known");
        let layer = Architecture::Single { in_features: 1, out_features: 1, act, bias: true };
        assert_eq!(Architecture::from_json(&layer.to_json()).expect("valid"), layer);
        // factors of factors
        let Some(ActivationSpec::Scaled { a: 6.0, b: -1.0, .. }) = Activation::scaled(3.0, scaled, 2.0).describe()
        else {
            panic!("{}", kind.name);
        };
    }
    assert!(Activation::scaled(1.0, Activation::custom(Cube), 1.0).describe().is_none());
    for text in ["maxout", "tanh:beta=1", "softplus:beta", "softplus:beta=x", "celu:alpha=0", "power:p=inf"] {
        assert!(text.parse::<ActivationSpec>().is_err(), "{text}");
    }
}

#[test]
fn a_scaled_activation_of_the_users_own() {
    let act = Activation::scaled(0.5, Activation::custom(Cube), -2.0);
    assert_eq!(act.jet(1.5), [-13.5, -27.0, -36.0, -24.0]);
    assert!(matches!(act.taylor(&[0.0; 5]), Err(Error::Order { order: 4, most: 3, .. })));
}

#[test]
fn bad_settings_name_the_activation() {
    for (activation, name) in [
        (Activation::Power { p: f64::NAN }, "power: p"),
        (Activation::Elu { alpha: f64::INFINITY }, "elu: alpha"),
        (Activation::Celu { alpha: 0.0 }, "celu: alpha"),
        (Activation::Celu { alpha: -1.0 }, "celu: alpha"),
        (Activation::Squareplus { b: 0.0 }, "squareplus: b"),
        (Activation::LeakyRelu { slope: f64::NAN }, "leaky_relu: slope"),
        (Activation::scaled(f64::NAN, Activation::Tanh, 1.0), "scaled: a"),
        (Activation::scaled(1.0, Activation::Tanh, f64::INFINITY), "scaled: b"),
        (Activation::scaled(1.0, Activation::Celu { alpha: 0.0 }, 1.0), "celu: alpha"),
    ] {
        let error = activation.evaluate(&array![0.0], 0).expect_err("a bad setting");
        assert!(matches!(error, Error::Setting { .. }) && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn bad_settings_are_errors() {
    let softplus = |beta, threshold| Activation::Softplus { beta, threshold };
    for activation in [
        softplus(0.0, 20.0),
        softplus(-1.0, 20.0),
        softplus(f64::NAN, 20.0),
        softplus(f64::INFINITY, 20.0),
        softplus(1.0, f64::NAN),
        softplus(1.0, -1.0),
    ] {
        let error = activation.evaluate(&array![0.0], 0).expect_err("a bad setting");
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        assert!(error.to_string().contains("softplus"), "{error}");
    }
    let error = Activation::Tanh.evaluate(&array![0.0], 4).expect_err("no fourth derivative");
    assert_eq!(error.to_string(), "order is 4, expected 0, 1, 2 or 3");
}

proptest! {
    /// The textbook formulas, differentiated three times by dual numbers.
    #[test]
    fn dual_numbers_agree(z in -6.0..6.0_f64) {
        let x = Dual3_64::from_re(z).derivative();
        let sigmoid = |y: Dual3_64| ((-y).exp() + 1.0).recip();
        for (activation, dual) in [
            (Activation::AntiTanh, x.cosh().ln()),
            (Activation::Quadratic, x * x / 2.0),
            (Activation::Sigmoid, sigmoid(x)),
            (Activation::Softplus { beta: 0.1, threshold: 20.0 }, (x * 0.1).exp().ln_1p() / 0.1),
            (Activation::softplus(), x.exp().ln_1p()),
            (Activation::Softplus { beta: 3.0, threshold: 20.0 }, (x * 3.0).exp().ln_1p() / 3.0),
            (Activation::Tanh, x.tanh()),
            (Activation::Sin, x.sin()),
            (Activation::Silu, x * sigmoid(x)),
            (Activation::Gaussian, (-(x * x)).exp()),
        ] {
            let expected = [dual.re, dual.v1, dual.v2, dual.v3];
            for (found, expected) in activation.jet(z).into_iter().zip(expected) {
                prop_assert!((found - expected).abs() < 1e-11 * (1.0 + expected.abs()), "{activation:?} {found} {expected}");
            }
        }
    }

    /// GELU's derivatives differentiate each other: third order from the first by dual numbers.
    #[test]
    fn gelu_is_consistent(z in -6.0..6.0_f64) {
        let x = Dual3_64::from_re(z).derivative();
        let density = (-(x * x) / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let second = density * (-(x * x) + 2.0);
        let jet = Activation::Gelu.jet(z);
        prop_assert!((jet[1] - (jet[0] / z + z * density.re)).abs() < 1e-12 / z.abs().min(1.0));
        prop_assert!((jet[2] - second.re).abs() < 1e-12);
        prop_assert!((jet[3] - second.v1).abs() < 1e-12);
    }
}

#[test]
fn settings_that_an_activation_does_not_have_are_refused() {
    for kind in ActivationKind::ALL {
        let settings: String = kind.settings.iter().map(|(name, _)| format!(", {name:?}: 1.5")).collect();
        let read = |more: &str| {
            let name = kind.name;
            serde_json::from_str::<ActivationSpec>(&format!(r#"{{"type": {name:?}{settings}{more}}}"#))
        };
        assert!(read("").is_ok(), "{}: {:?}", kind.name, read(""));
        let error = read(r#", "gamma": 1"#).expect_err(kind.name).to_string();
        assert!(error.contains("unknown field `gamma`"), "{}: {error}", kind.name);
        let within = format!(r#"{{"type": "scaled", "act": {{"type": {:?}{settings}, "gamma": 1}}}}"#, kind.name);
        assert!(serde_json::from_str::<ActivationSpec>(&within).is_err(), "{within}");
    }
}
