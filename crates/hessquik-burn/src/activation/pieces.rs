//! What formulas of activations are made of: exponentials with all their digits, and sums of products.
use burn::tensor::{DType, Tensor};
use hessquik::softplus_cut;
use std::f64::consts::SQRT_2;

/// The points, and what is computed of each.
pub(crate) type Numbers = Tensor<3>;

/// The same number everywhere, but NaN where `z` is.
pub(super) fn level(z: &Numbers, c: f64) -> Numbers {
    (z.zeros_like() + c).mask_where(z.clone().is_nan(), z.clone())
}

/// `n` over `i`.
fn binomial(n: usize, i: usize) -> f64 {
    (0..i).fold(1.0, |product, k| product * (n - k) as f64 / (k + 1) as f64).round()
}

/// The n-th derivative of the product of two functions, `a` and `b` holding their derivatives of orders 0 to n: the sum
/// over i of (n over i) a^(i) b^(n - i). Rows that `b` lacks are zero.
pub(super) fn leibniz(n: usize, a: &[Numbers], b: &[Numbers]) -> Numbers {
    let term = |i: usize| {
        let product = a[i].clone() * b[n - i].clone();
        if i == 0 || i == n { product } else { product * binomial(n, i) }
    };
    (0..=n).filter(|i| n - i < b.len()).map(term).reduce(|a, b| a + b).expect("b has at least a row")
}

/// A threshold that nothing passes, in any precision.
pub(super) const NEVER: f64 = f32::MAX as f64;

/// What softplus computes exp(-beta |z|) with: the rounding of beta z would count as a relative error of the result, so
/// beta is a few leading bits and a rest, and so is |z|; the product of the heads is exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bend {
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
    pub(super) fn decay(&self, z: Numbers) -> Numbers {
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
pub(super) fn within(z: Numbers, far: f64) -> Numbers {
    let (above, below) = (z.clone().greater_scalar(far), z.clone().lower_scalar(-far));
    z.mask_fill(above, far).mask_fill(below, -far)
}

/// The logistic function s(y), its derivative p = s (1 - s), and h = tanh(y/2), from exp(-|y|): full relative accuracy
/// in both tails. Burn's own logistic is that of single precision on GPUs, whatever the tensor has.
pub(super) struct Logistic {
    pub s: Numbers,
    pub p: Numbers,
    pub h: Numbers,
}

impl Logistic {
    /// Of `y`, given `e` = exp(-|y|).
    pub fn new(y: Numbers, e: Numbers) -> Self {
        let larger = (e.clone() + 1.0).recip();
        let smaller = e * larger.clone();
        let negative = y.clone().lower_scalar(0.0);
        Self { s: larger.clone().mask_where(negative, smaller.clone()), p: larger * smaller, h: (y * 0.5).tanh() }
    }

    /// Of `y`.
    pub fn of(y: Numbers) -> Self {
        let e = (-y.clone().abs()).exp();
        Self::new(y, e)
    }

    /// p and its derivatives up to `order`, from p' = -h p, where h' = 2 p.
    pub fn bumps(&self, order: usize) -> Vec<Numbers> {
        let (mut p, mut h) = (vec![self.p.clone()], vec![self.h.clone()]);
        for n in 1..=order {
            let next = -leibniz(n - 1, &h, &p);
            h.push(p[n - 1].clone() * 2.0);
            p.push(next);
        }
        p
    }
}

/// 1 - tanh^2 z = 4 e/(1 + e)^2 with e = exp(-2 |z|).
pub(super) fn sech_squared(z: Numbers) -> Numbers {
    let e = (z.abs() * -2.0).exp();
    let larger = (e.clone() + 1.0).recip() * 2.0;
    e * larger.clone() * larger
}

/// ln(1 + x), x > -1, as exact near 0 as elsewhere: GPUs take the logarithm of the rounded sum u, which is ln(1 + x)
/// but for the factor x / (u - 1) (Goldberg, What every computer scientist should know about floating-point arithmetic,
/// theorem 4).
pub(super) fn log1p(x: Numbers) -> Numbers {
    let u = x.clone() + 1.0;
    let step = u.clone() - 1.0;
    (u.log() * x.clone() / step.clone()).mask_where(step.equal_scalar(0.0), x)
}

/// exp(-`scale` z^2), `scale` a power of two: the rounding of z^2 would count as a relative error of the result, so the
/// square is that of a few leading bits of |z|, which is exact, and a small rest.
pub(super) fn bell(z: Numbers, scale: f64) -> Numbers {
    let a = z.abs();
    let head = (a.clone() * 16.0).floor() / 16.0;
    let rest = (a.clone() - head.clone()) * (a + head.clone());
    (head.square() * -scale).exp() * (rest * -scale).exp()
}

/// exp(-c z^2) and its derivatives up to `order`: g^(j) = -2 c (z g^(j-1) + (j - 1) g^(j-2)), Hermite polynomials times
/// the bell. `z` is within +-[`FAR_SQUARE`].
pub(super) fn bells(z: &Numbers, c: f64, order: usize) -> Vec<Numbers> {
    let mut g = vec![bell(z.clone(), c)];
    for j in 1..=order {
        let first = z.clone() * g[j - 1].clone();
        let sum = if j > 1 { first + g[j - 2].clone() * (j - 1) as f64 } else { first };
        g.push(sum * (-2.0 * c));
    }
    g
}

/// The polynomial with these coefficients, constant first.
pub(super) fn horner(x: &Numbers, coefficients: &[f64]) -> Numbers {
    let (last, rest) = coefficients.split_last().expect("coefficients");
    rest.iter().rev().fold(x.zeros_like() + *last, |sum, &c| sum * x.clone() + c)
}

/// Whether numbers are in double precision.
pub(super) fn double(z: &Numbers) -> bool {
    z.dtype() == DType::F64
}

/// 1 - Phi(a) for a >= 0, where `bell` is exp(-a^2/2): half the complementary error function of x = a/sqrt(2), t exp(-x^2 +
/// P(t)) with t = 2/(2 + x) and P in Chebyshev polynomials, summed by Clenshaw's recurrence (Press et al., Numerical
/// Recipes, 3rd ed., section 6.2.2). The error function of GPUs is good to 1.5e-7, in double precision too.
pub(super) fn upper_tail(a: Numbers, bell: Numbers) -> Numbers {
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
