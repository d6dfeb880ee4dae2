//! Activations and their first three derivatives as tensor operations.
use crate::Error;
use burn::tensor::{Tensor, activation};
use hessquik::{Activation, softplus_cut};
use std::f64::consts::{LN_2, PI, SQRT_2};

/// `act`, `act'` and `act''` at `z`, as many as `order` asks for; `None` stands for a derivative that is 1 (the first of
/// an identity) or 0 (its second).
///
/// Under autodiff each is a value that knows its derivative, the next in the row: exact at every point, also where the
/// formula of the value has a kink (softplus at 0), and no graph of the formula is kept.
pub(crate) fn jet(act: &Activation, z: Tensor<2>, order: usize) -> Result<[Option<Tensor<2>>; 3], Error> {
    if matches!(act, Activation::Identity) {
        return Ok([Some(z), None, None]);
    }
    let tracked = z.is_tracked();
    let z0 = if tracked { z.clone().inner() } else { z.clone() };
    let wanted = order + 1 + usize::from(tracked);
    let mut plain = derivatives(act, z0.clone(), wanted)?.into_iter();
    if !tracked {
        return Ok(std::array::from_fn(|_| plain.next()));
    }
    // f(z0) + f'(z0) (z - z0): the value of f, and its derivative, to the last bit
    let step = z - Tensor::from_inner(z0);
    let rows: Vec<_> = plain.collect();
    Ok(std::array::from_fn(|i| {
        let (f, slope) = (rows.get(i)?, rows.get(i + 1)?);
        Some(Tensor::from_inner(f.clone()) + Tensor::from_inner(slope.clone()) * step.clone())
    }))
}

/// The value and the first derivatives, `wanted` in all, and no operation for others.
///
/// Nothing is taken from a number close to it in the tails: what is left of a saturated activation comes from exp(-|z|)
/// itself. `taylor/derivatives.rs` has the same formulas, line by line, for kernels.
fn derivatives(act: &Activation, z: Tensor<2>, wanted: usize) -> Result<Vec<Tensor<2>>, Error> {
    let mut out = Vec::with_capacity(wanted);
    macro_rules! next {
        ($derivative:expr) => {
            out.push($derivative);
            if out.len() == wanted {
                return Ok(out);
            }
        };
    }
    match act {
        Activation::AntiTanh => {
            let t = z.clone().tanh();
            // ln cosh z = |z| + ln((1 + exp(-2 |z|))/2) = -ln(1 - tanh^2 z)/2, whichever does not cancel
            let a = z.clone().abs();
            let far = a.clone() + log1p((a.clone() * -2.0).exp()) - LN_2;
            let near = log1p(-t.clone().square()) * -0.5;
            next!(far.mask_where(a.lower_scalar(1.0), near));
            next!(t.clone());
            let d = sech_squared(z);
            next!(d.clone());
            next!(t * d * -2.0);
        }
        Activation::Identity => {
            next!(z.clone());
            next!(z.ones_like());
            next!(z.zeros_like());
            next!(z.zeros_like());
        }
        Activation::Quadratic => {
            next!(z.clone().square() * 0.5);
            next!(z.clone());
            next!(z.ones_like());
            next!(z.zeros_like());
        }
        Activation::Sigmoid => {
            let e = (-z.clone().abs()).exp();
            let Logistic { s, p, h } = Logistic::new(z, e);
            next!(s);
            next!(p.clone());
            next!(-(p.clone() * h));
            next!(p.clone() * (p * -6.0 + 1.0));
        }
        Activation::Softplus { beta, threshold } => {
            let bend = Bend::new(*beta, *threshold);
            let y = z.clone() * *beta;
            let e = bend.decay(z.clone());
            let cut = (bend.cut < NEVER).then(|| y.clone().greater_scalar(bend.cut));
            // the identity, where it is cut
            let or = |f: Tensor<2>, identity: &dyn Fn() -> Tensor<2>| match &cut {
                Some(cut) => f.mask_where(cut.clone(), identity()),
                None => f,
            };
            let soft = activation::relu(z.clone()) + log1p(e.clone()) / *beta;
            next!(or(soft, &|| z.clone()));
            let Logistic { s, p, h } = Logistic::new(y, e);
            next!(or(s, &|| z.ones_like()));
            next!(or(p.clone() * *beta, &|| z.zeros_like()));
            next!(or(p * h * -(beta * beta), &|| z.zeros_like()));
        }
        Activation::Tanh => {
            let t = z.clone().tanh();
            next!(t.clone());
            let d = sech_squared(z);
            next!(d.clone());
            next!(t * d.clone() * -2.0);
            // 1 - 3 t^2 = 3 d - 2
            next!(d.clone() * (d * -6.0 + 4.0));
        }
        Activation::Sin => {
            let (s, c) = (z.clone().sin(), z.cos());
            next!(s.clone());
            next!(c.clone());
            next!(-s);
            next!(-c);
        }
        Activation::Silu => {
            let e = (-z.clone().abs()).exp();
            let Logistic { s, p, h } = Logistic::new(z.clone(), e);
            // past the range of exp(-|z|), where z counts no more, infinities would make NaN of zeros
            let z0 = within(z.clone(), FAR);
            next!((z.clone() * s.clone()).mask_where(z.lower_scalar(-FAR), z0.zeros_like()));
            next!(s + z0.clone() * p.clone());
            next!(p.clone() * (-(z0.clone() * h.clone()) + 2.0));
            next!(p.clone() * (z0 * (p * -6.0 + 1.0) - h * 3.0));
        }
        Activation::Gelu => {
            let z0 = within(z.clone(), FAR_SQUARE);
            let bell = bell(z0.clone(), 0.5);
            let upper = upper_tail(z0.clone().abs(), bell.clone());
            let cdf = (-upper.clone() + 1.0).mask_where(z0.clone().lower_scalar(0.0), upper);
            let below = z.clone().lower_scalar(-FAR_SQUARE);
            next!((z * cdf.clone()).mask_where(below, z0.zeros_like()));
            let square = z0.clone().square();
            let pdf = bell / (2.0 * PI).sqrt();
            next!(cdf + z0.clone() * pdf.clone());
            next!((-square.clone() + 2.0) * pdf.clone());
            next!(z0 * (square - 4.0) * pdf);
        }
        Activation::Gaussian => {
            let z = within(z, FAR_SQUARE);
            let square = z.clone().square();
            let f = bell(z.clone(), 1.0);
            next!(f.clone());
            next!(z.clone() * f.clone() * -2.0);
            next!((square.clone() * 4.0 - 2.0) * f.clone());
            next!(z * (-square * 8.0 + 12.0) * f);
        }
        Activation::Cos => {
            let (s, c) = (z.clone().sin(), z.cos());
            next!(c.clone());
            next!(-s.clone());
            next!(-c);
            next!(s);
        }
        Activation::Exp => {
            let f = z.exp();
            (0..wanted).for_each(|_| out.push(f.clone()));
        }
        Activation::Square => {
            next!(z.clone().square());
            next!(z.clone() * 2.0);
            next!(z.ones_like() * 2.0);
            next!(z.zeros_like());
        }
        Activation::Log => {
            next!(z.clone().log());
            let r = z.recip();
            next!(r.clone());
            next!(-r.clone().square());
            next!(r.clone().square() * r * 2.0);
        }
        Activation::Sqrt => {
            let f = z.clone().sqrt();
            next!(f.clone());
            let first = f.recip() * 0.5;
            next!(first.clone());
            let second = first / z.clone() * -0.5;
            next!(second.clone());
            next!(second / z * -1.5);
        }
        Activation::Reciprocal => {
            let r = z.recip();
            next!(r.clone());
            next!(-r.clone().square());
            let third = r.clone().square() * r.clone() * 2.0;
            next!(third.clone());
            next!(third * r * -3.0);
        }
        Activation::Relu | Activation::LeakyRelu { .. } => {
            let slope = if let Activation::LeakyRelu { slope } = act { *slope } else { 0.0 };
            let positive = z.clone().greater_scalar(0.0);
            let slopes = (z.ones_like() * slope).mask_fill(positive, 1.0);
            next!(z.clone() * slopes.clone());
            next!(slopes);
            next!(z.zeros_like());
            next!(z.zeros_like());
        }
        Activation::Step => {
            let positive = z.clone().greater_scalar(0.0);
            next!(z.zeros_like().mask_fill(positive, 1.0));
            for _ in 0..3 {
                next!(z.zeros_like());
            }
        }
        Activation::Scaled { act, a, b } => {
            let mut factor = *a;
            for derivative in derivatives(act, z * *b, wanted)? {
                out.push(derivative * factor);
                factor *= b;
            }
        }
        Activation::Custom(own) => {
            return Err(Error::Unsupported {
                what: format!("the activation {own:?}"),
                message: "its formula is code for the CPU; evaluate on the device cpu".into(),
            });
        }
        // power, erf, atan, ELU and what was added since
        _ => {
            return Err(Error::Unsupported {
                what: format!("the activation {}", act.name()),
                message: "it has no formula for devices yet; evaluate on the device cpu".into(),
            });
        }
    }
    Ok(out)
}

/// A threshold that nothing passes, in any precision.
pub(crate) const NEVER: f64 = f32::MAX as f64;

/// What softplus computes exp(-beta |z|) with: the rounding of beta z would count as a relative error of the result, so
/// beta is a few leading bits and a rest, and so is |z|; the product of the heads is exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bend {
    // the tensor operations take its two parts
    #[cfg_attr(not(feature = "kernels"), expect(dead_code))]
    pub beta: f64,
    /// The ten leading bits of beta, and what they lack.
    pub head: f64,
    pub low: f64,
    /// The head of |z| is a multiple of 1/`grid`, a power of two.
    pub grid: f64,
    /// Where exp(-beta |z|) is zero in double precision.
    pub most: f64,
    /// Past which beta z softplus is the identity; [`NEVER`] if it is not.
    pub cut: f64,
}

impl Bend {
    pub(crate) fn new(beta: f64, threshold: f64) -> Self {
        let unit = beta.log2().floor().exp2() / 512.0;
        let head = (beta / unit).floor() * unit;
        let grid = (beta.log2().floor() + 6.0).min(120.0).exp2();
        Self {
            beta,
            head,
            low: beta - head,
            grid,
            most: (FAR / beta).min(NEVER),
            cut: softplus_cut(threshold).min(NEVER),
        }
    }

    /// exp(-beta |z|).
    fn decay(&self, z: Tensor<2>) -> Tensor<2> {
        let a = within(z.abs(), self.most);
        let head = (a.clone() * self.grid).floor() / self.grid;
        let rest = (a.clone() - head.clone()) * self.head + a * self.low;
        (head * -self.head).exp() * (-rest).exp()
    }
}

/// Where exp(-|z|) is zero in double precision, and exp(-z^2/2).
pub(crate) const FAR: f64 = 750.0;
pub(crate) const FAR_SQUARE: f64 = 40.0;

/// `z`, but for what lies beyond +-`far`, which becomes that; NaN stays NaN.
fn within(z: Tensor<2>, far: f64) -> Tensor<2> {
    let (above, below) = (z.clone().greater_scalar(far), z.clone().lower_scalar(-far));
    z.mask_fill(above, far).mask_fill(below, -far)
}

/// The logistic function s(y), its derivative p = s (1 - s), and h = tanh(y/2), from exp(-|y|): full relative accuracy
/// in both tails. Burn's own logistic is that of single precision on GPUs, whatever the tensor has.
struct Logistic {
    s: Tensor<2>,
    p: Tensor<2>,
    h: Tensor<2>,
}

impl Logistic {
    /// Of `y`, given `e` = exp(-|y|).
    fn new(y: Tensor<2>, e: Tensor<2>) -> Self {
        let larger = (e.clone() + 1.0).recip();
        let smaller = e * larger.clone();
        let negative = y.clone().lower_scalar(0.0);
        Self { s: larger.clone().mask_where(negative, smaller.clone()), p: larger * smaller, h: (y * 0.5).tanh() }
    }
}

/// 1 - tanh^2 z = 4 e/(1 + e)^2 with e = exp(-2 |z|).
fn sech_squared(z: Tensor<2>) -> Tensor<2> {
    let e = (z.abs() * -2.0).exp();
    let larger = (e.clone() + 1.0).recip() * 2.0;
    e * larger.clone() * larger
}

/// ln(1 + x), x > -1, as exact near 0 as elsewhere: GPUs take the logarithm of the rounded sum u, which is ln(1 + x)
/// but for the factor x / (u - 1) (Goldberg, What every computer scientist should know about floating-point arithmetic,
/// theorem 4).
fn log1p(x: Tensor<2>) -> Tensor<2> {
    let u = x.clone() + 1.0;
    let step = u.clone() - 1.0;
    (u.log() * x.clone() / step.clone()).mask_where(step.equal_scalar(0.0), x)
}

/// exp(-`scale` z^2), `scale` a power of two: the rounding of z^2 would count as a relative error of the result, so the
/// square is that of a few leading bits of |z|, which is exact, and a small rest.
fn bell(z: Tensor<2>, scale: f64) -> Tensor<2> {
    let a = z.abs();
    let head = (a.clone() * 16.0).floor() / 16.0;
    let rest = (a.clone() - head.clone()) * (a + head.clone());
    (head.square() * -scale).exp() * (rest * -scale).exp()
}

/// 1 - Phi(a) for a >= 0, where `bell` is exp(-a^2/2): half the complementary error function of x = a/sqrt(2), t exp(-x^2 +
/// P(t)) with t = 2/(2 + x) and P in Chebyshev polynomials, summed by Clenshaw's recurrence (Press et al., Numerical
/// Recipes, 3rd ed., section 6.2.2). The error function of GPUs is good to 1.5e-7, in double precision too.
fn upper_tail(a: Tensor<2>, bell: Tensor<2>) -> Tensor<2> {
    let t = (a.clone() * (0.5 / SQRT_2) + 1.0).recip();
    let y = t.clone() * 4.0 - 2.0;
    let (mut d, mut before) = (a.zeros_like(), a.zeros_like());
    for &coefficient in ERFC[1..].iter().rev() {
        (d, before) = (y.clone() * d.clone() - before + coefficient, d);
    }
    t * 0.5 * ((y * d + ERFC[0]) * 0.5 - before).exp() * bell
}

/// P of [`upper_tail`], in Chebyshev polynomials.
pub(crate) const ERFC: [f64; 28] = [
    -1.3026537197817094,
    6.419_697_923_564_902e-1,
    1.9476473204185836e-2,
    -9.56151478680863e-3,
    -9.46595344482036e-4,
    3.66839497852761e-4,
    4.2523324806907e-5,
    -2.0278578112534e-5,
    -1.624290004647e-6,
    1.303655835580e-6,
    1.5626441722e-8,
    -8.5238095915e-8,
    6.529054439e-9,
    5.059343495e-9,
    -9.91364156e-10,
    -2.27365122e-10,
    9.6467911e-11,
    2.394038e-12,
    -6.886027e-12,
    8.94487e-13,
    3.13092e-13,
    -1.12708e-13,
    3.81e-16,
    7.106e-15,
    -1.523e-15,
    -9.4e-17,
    1.21e-16,
    -2.8e-17,
];

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};
    use ndarray::Array1;

    fn on_device(act: &Activation, z: &[f64], dtype: DType) -> Vec<Vec<f64>> {
        let device = Device::flex();
        let z = Tensor::<2>::from_data(TensorData::new(z.to_vec(), [1, z.len()]), (&device, dtype));
        let all = derivatives(act, z, 4).expect("built in");
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
        let found = on_device(act, &z, dtype);
        let at = |shift: f64| act.evaluate(&Array1::from_iter(z.iter().map(|z| z + shift)), 3).expect("valid");
        let (exact, left, right) = (at(0.0), at(-0.2), at(0.2));
        // what underflows in the precision is lost
        let least = 1e5 * if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
        for order in 0..4 {
            for (i, z) in z.iter().enumerate() {
                let wanted = exact[order][i];
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
        vec![
            A::AntiTanh,
            A::Quadratic,
            A::Sigmoid,
            softplus(1.0, 20.0),
            softplus(0.3, 20.0),
            softplus(7.0, 20.0),
            softplus(1.0, 3.0),
            softplus(2.0, 0.0),
            A::Tanh,
            A::Silu,
            A::Gelu,
            A::Gaussian,
        ]
    }

    #[test]
    fn tails_keep_their_digits() {
        for act in every_activation() {
            tails(&act, DType::F32, f64::from(f32::EPSILON), 16.0);
            tails(&act, DType::F64, f64::EPSILON, 16.0);
        }
    }

    #[test]
    fn infinities_give_limits_and_nan_stays() {
        let bits = |x: f64| if x.is_nan() { u64::MAX } else { (x + 0.0).to_bits() };
        let z = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e30, -1e30];
        for act in every_activation() {
            if matches!(act, Activation::Quadratic) {
                continue;
            }
            for dtype in [DType::F32, DType::F64] {
                let found = on_device(&act, &z, dtype);
                for (i, &z) in z.iter().enumerate() {
                    let wanted = match dtype {
                        DType::F32 => act.jet(z as f32).map(f64::from),
                        _ => act.jet(z),
                    };
                    for order in 0..4 {
                        let constant = z.is_nan() && matches!(act, Activation::Softplus { threshold: 0.0, .. });
                        assert!(
                            constant || bits(found[order][i]) == bits(wanted[order]),
                            "{act:?} {dtype:?} order {order} at {z}: {} for {}",
                            found[order][i],
                            wanted[order]
                        );
                    }
                }
            }
        }
    }
}
