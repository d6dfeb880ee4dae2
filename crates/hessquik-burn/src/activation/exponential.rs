//! What comes from exp(-|z|): the logistic family, its smooth ramps, and exponential units.
use super::pieces::{Bend, FAR, Logistic, NEVER, Numbers, double, leibniz, level, log1p, sech_squared, within};
use burn::tensor::activation;
use std::f64::consts::LN_2;

/// ln cosh z, tanh z and its derivatives.
pub(super) fn anti_tanh(z: Numbers, order: usize) -> Vec<Numbers> {
    let t = z.clone().tanh();
    // ln cosh z = |z| + ln((1 + exp(-2 |z|))/2) = -ln(1 - tanh^2 z)/2, whichever does not cancel
    let a = z.clone().abs();
    let far = a.clone() + log1p((a.clone() * -2.0).exp()) - LN_2;
    let near = log1p(-t.clone().square()) * -0.5;
    let mut out = vec![far.mask_where(a.lower_scalar(1.0), near)];
    if order > 0 {
        out.extend(tanhs(z, t, order - 1));
    }
    out
}

pub(super) fn tanh(z: Numbers, order: usize) -> Vec<Numbers> {
    let t = z.clone().tanh();
    tanhs(z, t, order)
}

/// t = tanh z and its derivatives, from t'' = -2 t t', where t' stands for 1 - t^2.
fn tanhs(z: Numbers, t: Numbers, order: usize) -> Vec<Numbers> {
    let mut out = vec![t];
    if order > 0 {
        out.push(sech_squared(z));
    }
    for j in 2..=order {
        out.push(leibniz(j - 2, &out, &out[1..]) * -2.0);
    }
    out
}

pub(super) fn sigmoid(z: Numbers, order: usize) -> Vec<Numbers> {
    let logistic = Logistic::of(z);
    let mut out = vec![logistic.s.clone()];
    if order > 0 {
        out.extend(logistic.bumps(order - 1));
    }
    out
}

/// ln(1 + exp y)/beta with y = beta z, s(y), and beta^(j-1) s^(j-1)(y); the identity past the threshold, if there is one.
pub(super) fn softplus(z: Numbers, order: usize, bend: Bend) -> Vec<Numbers> {
    let beta = bend.beta;
    let y = z.clone() * beta;
    let e = bend.decay(z.clone());
    let mut out = vec![activation::relu(z.clone()) + log1p(e.clone()) / beta];
    if order > 0 {
        let logistic = Logistic::new(y.clone(), e);
        out.push(logistic.s.clone());
        let mut power = 1.0;
        let bumps = if order > 1 { logistic.bumps(order - 2) } else { Vec::new() };
        out.extend(bumps.into_iter().map(|p| {
            power *= beta;
            p * power
        }));
    }
    if bend.cut >= NEVER {
        return out;
    }
    let cut = y.greater_scalar(bend.cut);
    let past = |j: usize, f: Numbers| match j {
        0 => f.mask_where(cut.clone(), z.clone()),
        1 => f.mask_fill(cut.clone(), 1.0),
        _ => f.mask_fill(cut.clone(), 0.0),
    };
    out.into_iter().enumerate().map(|(j, f)| past(j, f)).collect()
}

/// z s(z), s + z p, and z s^(j) + j s^(j-1).
pub(super) fn silu(z: Numbers, order: usize) -> Vec<Numbers> {
    let Logistic { s, p, h } = Logistic::of(z.clone());
    let mut slopes = vec![s.clone()];
    if order > 0 {
        slopes.extend(Logistic { s, p, h }.bumps(order - 1));
    }
    times_point(z, &slopes)
}

/// z f(z) and its derivatives z f^(j) + j f^(j-1), for a function that vanishes with its derivatives towards minus
/// infinity; past the range of exp(-|z|), where z counts no more, infinities would make NaN of zeros.
fn times_point(z: Numbers, f: &[Numbers]) -> Vec<Numbers> {
    let near = within(z.clone(), FAR);
    let below = z.clone().lower_scalar(-FAR);
    let mut out = vec![(z * f[0].clone()).mask_fill(below, 0.0)];
    out.extend((1..f.len()).map(|j| {
        let before = if j == 1 { f[0].clone() } else { f[j - 1].clone() * j as f64 };
        near.clone() * f[j].clone() + before
    }));
    out
}

/// z t with t = tanh(ln(1 + E)), E = exp z: t' = m s with m = 1 - t^2 and s = s(z), and m' = -2 t t'.
pub(super) fn mish(z: Numbers, order: usize) -> Vec<Numbers> {
    let negative = z.clone().lower_scalar(0.0);
    let x = (-z.clone().abs()).exp();
    // t = (E^2 + 2 E)/D and m = 4 (1 + E)^2/D^2 with D = E^2 + 2 E + 2, over E^2 for positive z: all in x = exp(-|z|)
    let pick = |below: Numbers, above: Numbers| above.mask_where(negative.clone(), below);
    let denominator = pick((x.clone() + 2.0) * x.clone() + 2.0, (x.clone() * 2.0 + 2.0) * x.clone() + 1.0);
    let lead = pick((x.clone() + 2.0) * x.clone(), x.clone() * 2.0 + 1.0);
    let mut t = vec![lead / denominator.clone()];
    if order > 0 {
        let logistic = Logistic::of(z.clone());
        let root = (x.clone() + 1.0) * 2.0 / denominator;
        let mut m = vec![root.square() * pick(x.ones_like(), x.square())];
        let s = [vec![logistic.s.clone()], logistic.bumps(order)].concat();
        for n in 1..=order {
            t.push(leibniz(n - 1, &m, &s));
            m.push(leibniz(n - 1, &t, &t[1..]) * -2.0);
        }
    }
    times_point(z, &t)
}

/// z s(u) with u = 2 sqrt(2/pi) (z + 0.044715 z^3).
///
/// With P = p(u(z)), H = tanh(u/2) and v = u': S' = v P, H' = 2 S', P' = -H v P.
pub(super) fn tanh_gelu(z: Numbers, order: usize) -> Vec<Numbers> {
    let near = within(z.clone(), END);
    let square = near.clone().square() * CUBIC;
    let u = near.clone() * (square.clone() + 1.0) * RATE;
    let Logistic { s, p, h } = Logistic::new(u, cubic_decay(near.clone()));
    let third = 6.0 * RATE * CUBIC;
    let v = [(square * 3.0 + 1.0) * RATE, near * third, z.zeros_like() + third];
    let (mut s, mut p, mut h, mut hv) = (vec![s], vec![p], vec![h], Vec::new());
    for n in 1..=order {
        s.push(leibniz(n - 1, &p, &v));
        hv.push(leibniz(n - 1, &h, &v));
        h.push(s[n].clone() * 2.0);
        p.push(-leibniz(n - 1, &p, &hv));
    }
    times_point(z, &s)
}

/// 2 sqrt(2/pi), and what the number in double precision lacks of it.
const RATE: f64 = 1.5957691216057308;
const RATE_LOW: f64 = -9.96930880911092e-17;
/// 0.044715, in the same way.
const CUBIC: f64 = 0.044715;
const CUBIC_LOW: f64 = 2.1960211427085595e-18;
/// Beyond, exp(-|u|) is zero in double precision.
const END: f64 = 30.0;

/// exp(-|u|) with u = `RATE` (z + `CUBIC` z^3): the rounding of u would count as a relative error of the result, so the
/// terms are those of a few leading bits of |z| and of the coefficients, which are exact, and a small rest.
fn cubic_decay(z: Numbers) -> Numbers {
    // the bits of |z| times those of the coefficient, and of its cube times those of the other, fit in the precision
    let (grid, most) = if double(&z) { (64.0, 18) } else { (8.0, 4) };
    let bits = |x: f64, bits: i32| {
        let unit = (x.log2().floor() - f64::from(bits - 1)).exp2();
        (x / unit).floor() * unit
    };
    let product = RATE * CUBIC;
    let product_low = RATE.mul_add(CUBIC, -product) + RATE * CUBIC_LOW + RATE_LOW * CUBIC;
    let (linear, cubic) = (bits(RATE, 10), bits(product, most));
    let (linear_rest, cubic_rest) = (RATE - linear + RATE_LOW, product - cubic + product_low);
    let a = z.abs();
    let head = (a.clone() * grid).floor() / grid;
    let cube = head.clone() * head.clone() * head.clone();
    let between = (a.clone() * (a.clone() + head.clone()) + head.clone().square()) * CUBIC + 1.0;
    let rest = (a - head.clone()) * between * RATE + head.clone() * linear_rest + cube.clone() * cubic_rest;
    (head * -linear).exp() * (cube * -cubic).exp() * (-rest).exp()
}

/// `slope` z for z > 0, else `size` (exp(z/`width`) - 1).
#[derive(Clone, Copy)]
pub(super) struct Elu {
    pub slope: f64,
    pub size: f64,
    pub width: f64,
}

/// The numbers of self-normalising networks (Klambauer et al. 2017).
pub(super) const SELU: Elu = Elu { slope: 1.0507009873554805, size: 1.7580993408473768, width: 1.0 };

/// The derivatives at 0 are those of the left side.
pub(super) fn elu(z: Numbers, order: usize, Elu { slope, size, width }: Elu) -> Vec<Numbers> {
    // widths that single precision lacks are next to nothing, or next to everything
    let width = if double(&z) { width } else { width.clamp(1e-36, 1e36) };
    let positive = z.clone().greater_scalar(0.0);
    let below = z.clone().mask_fill(positive.clone(), 0.0);
    // exp(x) - 1 = 2 t/(1 - t) with t = tanh(x/2), which does not cancel for negative x
    let t = (below.clone() * (0.5 / width)).tanh();
    let minus_one = t.clone() * 2.0 / (-t + 1.0);
    let mut out = vec![(minus_one * size).mask_where(positive.clone(), z.clone() * slope)];
    if order > 0 {
        let mut next = Bend::new(1.0 / width, f64::INFINITY).decay(below) * (size / width);
        out.push(next.clone().mask_where(positive.clone(), level(&z, slope)));
        for _ in 2..=order {
            next = next / width;
            out.push(next.clone().mask_fill(positive.clone(), 0.0));
        }
    }
    out
}
