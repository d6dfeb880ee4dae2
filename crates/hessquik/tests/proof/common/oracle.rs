//! The independent oracle: networks evaluated entry by entry from the manual's formulas, over hyper-dual numbers.
//!
//! Nothing here is a matrix product, a tangent or an adjoint: values are sums over indices, and derivatives are what
//! `num-dual` makes of them. Nested in dual numbers, the same code gives derivatives of whole jets along any direction
//! of weights and points, which pullbacks are checked against to full precision.
use hessquik::{ActivationSpec, Architecture};
use ndarray::{Array, Array2, Array3, Array4, ArrayD, Dimension, Zip};
use num_dual::{Dual64, DualNum, HyperDual};
use std::collections::BTreeMap;
use std::f64::consts::{LN_2, PI, SQRT_2};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A number that the oracle computes with: `f64` or any nesting of dual numbers over it.
pub trait Scalar: DualNum<Primitive = f64> + Copy {}
impl<T: DualNum<Primitive = f64> + Copy> Scalar for T {}

/// Weights by name.
pub type Named<T> = BTreeMap<String, ArrayD<T>>;

/// A function of points and named weights that the oracle can evaluate.
pub trait Model {
    /// The outputs at one point.
    fn apply<T: Scalar>(&self, weights: &Named<T>, x: &[T]) -> Vec<T>;
}

impl Model for Architecture {
    fn apply<T: Scalar>(&self, weights: &Named<T>, x: &[T]) -> Vec<T> {
        layer(self, "", weights, x, &|_, _| 1.0)
    }
}

/// A network whose layers' outputs are each a little off, as rounding puts them: what this changes of the results is
/// how well conditioned they are.
pub struct Jostled<'a> {
    pub architecture: &'a Architecture,
    pub size: f64,
    pub seed: u64,
}

impl Model for Jostled<'_> {
    fn apply<T: Scalar>(&self, weights: &Named<T>, x: &[T]) -> Vec<T> {
        layer(self.architecture, "", weights, x, &|prefix, i| {
            let mut hasher = DefaultHasher::new();
            (self.seed, prefix, i).hash(&mut hasher);
            1.0 + self.size * (hasher.finish() as f64 / u64::MAX as f64 * 2.0 - 1.0)
        })
    }
}

/// One layer by its formula, with factors for its outputs given by position and index.
fn layer<T: Scalar>(
    architecture: &Architecture,
    prefix: &str,
    weights: &Named<T>,
    u: &[T],
    factor: &dyn Fn(&str, usize) -> f64,
) -> Vec<T> {
    if let Architecture::Network { layers } = architecture {
        let layers = layers.iter().enumerate();
        return layers.fold(u.to_vec(), |u, (i, l)| layer(l, &format!("{prefix}{i}."), weights, &u, factor));
    }
    let out = formula(architecture, prefix, weights, u);
    out.into_iter().enumerate().map(|(i, f)| f * factor(prefix, i)).collect()
}

/// One layer, by the formula that the manual has for it.
fn formula<T: Scalar>(architecture: &Architecture, prefix: &str, weights: &Named<T>, u: &[T]) -> Vec<T> {
    let weight = |name: &str| &weights[&format!("{prefix}{name}")];
    let bias = |has: &bool, name: &str, o: usize| if *has { weight(name)[[o]] } else { T::zero() };
    match architecture {
        Architecture::Network { .. } => unreachable!("a network is its layers"),
        Architecture::Graph(_) => unreachable!("random networks have no graphs"),
        Architecture::Single { in_features, out_features, act, bias: b } => {
            let k = weight("K");
            assert_eq!((u.len(), k.shape()), (*in_features, &[*in_features, *out_features][..]));
            let z = |o| bias(b, "b", o) + dot(u, |i| k[[i, o]]);
            (0..*out_features).map(|o| activation(act, z(o))).collect()
        }
        Architecture::Resnet { width, h, act, bias: b } => {
            let k = weight("layer.K");
            assert_eq!(u.len(), *width);
            let z = |o| bias(b, "layer.b", o) + dot(u, |i| k[[i, o]]);
            (0..*width).map(|o| u[o] + activation(act, z(o)) * *h).collect()
        }
        Architecture::Icnn { input_dim, in_features, out_features, act, bias: b } => {
            let (u, x) = u.split_at(in_features.unwrap_or(0));
            assert_eq!(x.len(), *input_dim);
            let k = weight("K");
            let z = |o: usize| {
                let convex = if u.is_empty() { T::zero() } else { dot(u, |i| positive(weight("L")[[i, o]])) };
                bias(b, "b", o) + dot(x, |i| k[[i, o]]) + convex
            };
            (0..*out_features).map(|o| activation(act, z(o))).chain(x.iter().copied()).collect()
        }
        Architecture::Quadratic { in_features, rank } => {
            assert_eq!(u.len(), *in_features);
            vec![quadratic(u, weight("v"), weight("A"), *rank) + weight("mu")[[0]]]
        }
        Architecture::QuadraticIcnn { input_dim, in_features, rank } => {
            let (u, x) = u.split_at(in_features.unwrap_or(0));
            assert_eq!(x.len(), *input_dim);
            let convex = if u.is_empty() { T::zero() } else { dot(u, |i| positive(weight("w")[[i]])) };
            vec![convex + quadratic(x, weight("v"), weight("A"), *rank) + weight("mu")[[0]]]
        }
        Architecture::LogSumExp { in_features } => {
            assert_eq!(u.len(), *in_features);
            let (_, sum, top) = exponentials(u);
            vec![sum.ln() + top]
        }
        Architecture::Softmax { features } => {
            assert_eq!(u.len(), *features);
            let (e, sum, _) = exponentials(u);
            e.into_iter().map(|e| e / sum).collect()
        }
        other => super::formulas::formula(other, prefix, weights, u),
    }
}

/// A layer whose weights have names that start with `prefix`.
pub fn at<T: Scalar>(architecture: &Architecture, prefix: &str, weights: &Named<T>, u: &[T]) -> Vec<T> {
    layer(architecture, prefix, weights, u, &|_, _| 1.0)
}

fn dot<T: Scalar>(u: &[T], w: impl Fn(usize) -> T) -> T {
    u.iter().enumerate().fold(T::zero(), |sum, (i, &u)| sum + u * w(i))
}

/// `x v + |A x|^2 / 2`.
fn quadratic<T: Scalar>(x: &[T], v: &ArrayD<T>, a: &ArrayD<T>, rank: usize) -> T {
    assert_eq!(a.shape(), [rank, x.len()]);
    let squares = (0..rank).fold(T::zero(), |sum, r| {
        let row = dot(x, |i| a[[r, i]]);
        sum + row * row
    });
    dot(x, |i| v[[i]]) + squares * 0.5
}

/// exp(u_i - top) with the largest feature, derivatives and all, their sum, and that feature.
fn exponentials<T: Scalar>(u: &[T]) -> (Vec<T>, T, T) {
    let top = u.iter().copied().reduce(|top, u| if u.re() > top.re() { u } else { top }).expect("a feature");
    let e: Vec<T> = u.iter().map(|&u| (u - top).exp()).collect();
    let sum = e.iter().fold(T::zero(), |sum, &e| sum + e);
    (e, sum, top)
}

/// softplus with beta = 1, which makes weights of convex layers positive.
fn positive<T: Scalar>(w: T) -> T {
    softplus(w, 1.0)
}

/// `ln(1 + exp(beta z)) / beta`, from whichever side the exponential is small.
fn softplus<T: Scalar>(z: T, beta: f64) -> T {
    let y = z * beta;
    if y.re() > 0.0 { z + (-y).exp().ln_1p() / beta } else { y.exp().ln_1p() / beta }
}

fn sigmoid<T: Scalar>(z: T) -> T {
    if z.re() > 0.0 {
        ((-z).exp() + 1.0).recip()
    } else {
        let e = z.exp();
        e * (e + 1.0).recip()
    }
}

/// `f(z)` from the derivatives of `f` at the real part of `z`: exact where no dual number has a nilpotent part of
/// order N.
fn taylor<T: Scalar, const N: usize>(z: T, f: [f64; N]) -> T {
    let h = z - z.re();
    let (mut sum, mut power, mut factorial) = (T::from(f[0]), T::one(), 1.0);
    for (i, f) in f.iter().enumerate().skip(1) {
        power *= h;
        factorial *= i as f64;
        sum += power * (f / factorial);
    }
    sum
}

/// An activation, by its definition.
pub fn activation<T: Scalar>(spec: &ActivationSpec, z: T) -> T {
    let magnitude = if z.re() < 0.0 { -z } else { z };
    match *spec {
        ActivationSpec::Identity => z,
        ActivationSpec::Quadratic => z * z * 0.5,
        ActivationSpec::Sin => z.sin(),
        ActivationSpec::Sigmoid => sigmoid(z),
        ActivationSpec::Silu => z * sigmoid(z),
        ActivationSpec::Gaussian => (-(z * z)).exp(),
        // ln cosh z = ln (1 + 2 sinh^2 (z/2)), which keeps its digits around zero
        ActivationSpec::AntiTanh if magnitude.re() < 1.0 => ((z * 0.5).sinh() * (z * 0.5).sinh() * 2.0).ln_1p(),
        ActivationSpec::AntiTanh => magnitude + (magnitude * -2.0).exp().ln_1p() - LN_2,
        ActivationSpec::Tanh if magnitude.re() < 1.0 => z.sinh() / z.cosh(),
        ActivationSpec::Tanh => {
            let t = ((magnitude * -2.0).exp() + 1.0).recip() * 2.0 - 1.0;
            if z.re() < 0.0 { -t } else { t }
        }
        ActivationSpec::Softplus { beta, threshold } => {
            // the identity past a threshold below 15; a larger one changes nothing
            if threshold < 15.0 && beta * z.re() > threshold { z } else { softplus(z, beta) }
        }
        ActivationSpec::Gelu => {
            // z times the distribution function of the standard normal, whose density is known to every order
            let r = z.re();
            let density = (-r * r / 2.0).exp() / (2.0 * PI).sqrt();
            let distribution = 0.5 * libm::erfc(-r / SQRT_2);
            // derivatives of the density are Hermite polynomials times it
            let hermite = [1.0, -r, r * r - 1.0, -(r * r * r - 3.0 * r), r.powi(4) - 6.0 * r * r + 3.0];
            let [a, b, c, d, e] = hermite.map(|h| h * density);
            z * taylor(z, [distribution, a, b, c, d, e])
        }
        ActivationSpec::Cos => z.cos(),
        ActivationSpec::Exp => z.exp(),
        ActivationSpec::Log => z.ln(),
        ActivationSpec::Sqrt => z.sqrt(),
        ActivationSpec::Reciprocal => z.recip(),
        ActivationSpec::Square => z * z,
        ActivationSpec::Power { p } => z.powf(p),
        ActivationSpec::Atan => z.atan(),
        ActivationSpec::Erf => {
            let r = z.re();
            let slope = 2.0 / PI.sqrt() * (-r * r).exp();
            // Hermite polynomials times the slope
            let hermite =
                [1.0, -2.0 * r, 4.0 * r * r - 2.0, 12.0 * r - 8.0 * r.powi(3), 16.0 * r.powi(4) - 48.0 * r * r + 12.0];
            let [a, b, c, d, e] = hermite.map(|h| h * slope);
            taylor(z, [libm::erf(r), a, b, c, d, e])
        }
        ActivationSpec::TanhGelu => z * sigmoid((z + z * z * z * 0.044715) * (8.0 / PI).sqrt()),
        ActivationSpec::Mish => {
            // tanh(ln(1 + e)) = e (e + 2)/(e (e + 2) + 2), and 1 less of that
            let e = z.exp();
            let n = e * (e + 2.0);
            z * if z.re() < 0.0 { n * (n + 2.0).recip() } else { -(n + 2.0).recip() * 2.0 + 1.0 }
        }
        ActivationSpec::Squareplus { b } => {
            let root = (z * z + b).sqrt();
            if z.re() > 0.0 { (z + root) * 0.5 } else { (root - z).recip() * (0.5 * b) }
        }
        ActivationSpec::Relu if z.re() > 0.0 => z,
        ActivationSpec::Relu => z * 0.0,
        ActivationSpec::Step if z.re() > 0.0 => z * 0.0 + 1.0,
        ActivationSpec::Step => z * 0.0,
        ActivationSpec::LeakyRelu { slope } => z * if z.re() > 0.0 { 1.0 } else { slope },
        ActivationSpec::Elu { .. } | ActivationSpec::Celu { .. } if z.re() > 0.0 => z,
        ActivationSpec::Elu { alpha } => z.exp_m1() * alpha,
        ActivationSpec::Celu { alpha } => (z / alpha).exp_m1() * alpha,
        ActivationSpec::Selu => {
            let (alpha, lambda) = (1.6732632423543772, 1.0507009873554805);
            if z.re() > 0.0 { z * lambda } else { z.exp_m1() * (lambda * alpha) }
        }
        ActivationSpec::Scaled { act, a, b } => activation(&act.into(), z * b) * a,
        ref other => panic!("no formula of {other:?} here"),
    }
}

/// Value (n_s, m), gradient (n_s, d, m) and Hessian (n_s, d, d, m).
#[derive(Clone, Debug)]
pub struct Jets<T = f64> {
    pub value: Array2<T>,
    pub gradient: Array3<T>,
    pub hessian: Array4<T>,
}

impl<T: Clone> Jets<T> {
    fn map<S>(&self, f: impl Fn(&T) -> S) -> Jets<S> {
        Jets { value: self.value.map(&f), gradient: self.gradient.map(&f), hessian: self.hessian.map(&f) }
    }
}

/// All derivatives along the rows of `v` (k, d), each pair of them by one pass in hyper-dual numbers over `T`.
fn sweep<T: Scalar, M: Model + ?Sized>(model: &M, weights: &Named<T>, x: &Array2<T>, v: &Array2<f64>) -> Jets<T>
where
    HyperDual<T>: Scalar,
{
    let weights: Named<HyperDual<T>> = weights.iter().map(|(n, w)| (n.clone(), w.mapv(HyperDual::from_re))).collect();
    let lift = |s: usize, a: usize, b: usize| -> Vec<HyperDual<T>> {
        let along = |a: usize, i: usize| T::from(v[[a, i]]);
        let point = x.row(s).to_vec().into_iter().enumerate();
        point.map(|(i, x)| HyperDual::new(x, along(a, i), along(b, i), T::zero())).collect()
    };
    let (n_s, k) = (x.nrows(), v.nrows());
    let m = if n_s == 0 { 0 } else { model.apply(&weights, &lift(0, 0, 0)).len() };
    let mut jets = Jets {
        value: Array2::zeros((n_s, m)),
        gradient: Array3::zeros((n_s, k, m)),
        hessian: Array4::zeros((n_s, k, k, m)),
    };
    for s in 0..n_s {
        for a in 0..k {
            for b in a..k {
                for (r, f) in model.apply(&weights, &lift(s, a, b)).into_iter().enumerate() {
                    jets.value[[s, r]] = f.re;
                    jets.gradient[[s, a, r]] = f.eps1;
                    jets.hessian[[s, a, b, r]] = f.eps1eps2;
                    jets.hessian[[s, b, a, r]] = f.eps1eps2;
                }
            }
        }
    }
    jets
}

/// Value, gradient and Hessian of `model` at `x` (n_s, d).
pub fn differentiate<M: Model + ?Sized>(model: &M, weights: &Named<f64>, x: &Array2<f64>) -> Jets {
    sweep(model, weights, x, &Array2::eye(x.ncols()))
}

/// The same along the rows of `v` (k, d).
pub fn differentiate_directions<M: Model + ?Sized>(
    model: &M,
    weights: &Named<f64>,
    x: &Array2<f64>,
    v: &Array2<f64>,
) -> Jets {
    sweep(model, weights, x, v)
}

/// What an allowance for rounding adds to the magnitudes that errors are measured against, at this tolerance: a hundred
/// times what rounding of every state, weight and point changes, estimated with larger changes of the same kind.
pub fn slack(architecture: &Architecture, weights: &Named<f64>, x: &Array2<f64>, full: &Jets, tolerance: f64) -> Jets {
    slack_of(architecture, weights, x, tolerance, full, |model: &Jostled, weights: &Named<f64>, x: &Array2<f64>| {
        differentiate(model, weights, x)
    })
}

/// The same for [`differentiate_along`].
pub fn slack_along(
    architecture: &Architecture,
    weights: &Named<f64>,
    x: &Array2<f64>,
    (dw, dx): (&Named<f64>, &Array2<f64>),
    change: &Jets,
    tolerance: f64,
) -> Jets {
    let along = |model: &Jostled, weights: &Named<f64>, x: &Array2<f64>| differentiate_along(model, weights, x, dw, dx);
    slack_of(architecture, weights, x, tolerance, change, along)
}

fn slack_of(
    architecture: &Architecture,
    weights: &Named<f64>,
    x: &Array2<f64>,
    tolerance: f64,
    exact: &Jets,
    jets: impl Fn(&Jostled, &Named<f64>, &Array2<f64>) -> Jets,
) -> Jets {
    const SIZE: f64 = 1e-9;
    let factor = 100.0 * f64::EPSILON / SIZE / tolerance;
    let mut slack = exact.map(|_| 0.0);
    for seed in (0..2).filter(|_| x.nrows() > 0) {
        let weights = weights.iter().map(|(n, w)| (n.clone(), jostle(w, SIZE, seed))).collect();
        let moved = jets(&Jostled { architecture, size: SIZE, seed }, &weights, &jostle(x, SIZE, 7 + seed));
        let widen = |slack: &mut f64, moved: &f64, exact: &f64| *slack = slack.max(factor * (moved - exact).abs());
        Zip::from(&mut slack.value).and(&moved.value).and(&exact.value).for_each(widen);
        Zip::from(&mut slack.gradient).and(&moved.gradient).and(&exact.gradient).for_each(widen);
        Zip::from(&mut slack.hessian).and(&moved.hessian).and(&exact.hessian).for_each(widen);
    }
    slack
}

/// Every entry off by at most this much of itself.
pub fn jostle<D: Dimension>(a: &Array<f64, D>, size: f64, seed: u64) -> Array<f64, D> {
    a * &(super::uniform::<f64, _>(seed, size, a.raw_dim()) + 1.0)
}

/// The derivative of value, gradient and Hessian when weights move along `dw` and points along `dx`.
pub fn differentiate_along<M: Model + ?Sized>(
    model: &M,
    weights: &Named<f64>,
    x: &Array2<f64>,
    dw: &Named<f64>,
    dx: &Array2<f64>,
) -> Jets {
    let weights = weights.iter().map(|(n, w)| (n.clone(), pair(w, &dw[n]))).collect();
    sweep::<Dual64, M>(model, &weights, &pair(x, dx), &Array2::eye(x.ncols())).map(|f| f.eps)
}

fn pair<D: Dimension>(re: &Array<f64, D>, eps: &Array<f64, D>) -> Array<Dual64, D> {
    Zip::from(re).and(eps).map_collect(|&re, &eps| Dual64::new(re, eps))
}
