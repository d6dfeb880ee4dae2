//! The elementary functions that the activations share, branch-free and generic over `f32` and `f64`, so that a loop
//! over any of them vectorises.
//!
//! Everything leans on fused multiply-add, which every AVX2, AVX-512 and NEON machine has. Elsewhere `mul_add` is a
//! library routine: the numbers are the same to the last bit, and slow.
//!
//! The polynomials come from `tests/activations/fit_polynomials.py`.
use super::table::MAX_ORDER;
use super::wide::{Pair, Wide};
use super::{Pointwise, exp, trigonometric};
use crate::Real;

/// `f32` and `f64` as the kernels see them: constants, polynomials and the exponent bits.
///
/// A supertrait of [`Real`]; being private, it also keeps other types out.
pub trait Elementary: Copy + 'static {
    /// 3/2 times 2 to the number of stored mantissa bits: adding it rounds to an integer and leaves that in the low bits.
    const ROUND: Self;
    /// ln 2 = `LN_2_HIGH` + `LN_2_LOW`; the first has enough trailing zeros for its products with exponents to be exact.
    const LN_2_HIGH: Self;
    /// See [`LN_2_HIGH`](Self::LN_2_HIGH).
    const LN_2_LOW: Self;
    /// [`ROUND`](Self::ROUND) plus the bias of exponents: leaves k + bias in the low bits.
    const ROUND_BIASED: Self;
    /// [`Decay`] keeps a factor apart beyond.
    const FAR: Self;
    /// That factor.
    const FAR_SCALE: Self;
    /// Where [`Decay`] ends: exp(-x) is far below the least positive number.
    const DECAY_END: Self;

    /// Arithmetic with more digits.
    type Wide: Wide;

    /// The number of terms that a polynomial needs: so many in double precision, so many in single.
    fn terms(double: usize, single: usize) -> usize;

    /// A constant known in two parts, in this precision.
    fn two_parts(high: f64, low: f64) -> (Self, Self);

    /// 2^k for `rounded` = k + `ROUND_BIASED`, divided by `FAR_SCALE` if far.
    fn power_of_two(rounded: Self, far: bool) -> Self;

    /// expm1(r) = r + r^2 P(r) for |r| <= ln 2 / 2.
    fn exp_tail(r: Self) -> Self;

    /// exp z.
    fn exponential(z: Self) -> Self;

    /// ln(1 + x) = x + x^2 P(x) for 0 <= x <= 1.
    fn log1p_tail(x: Self) -> Self;

    /// The same for 0 <= x <= exp(-2), where fewer terms do.
    fn log1p_tail_near(x: Self) -> Self;

    /// ln cosh z = w P(w) for w = z^2 <= 1.
    fn ln_cosh_quotient(w: Self) -> Self;

    /// (1 + a) N(a) = 5 N(4) + u P(u) for a >= 0, u = (a - 4)/(a + 4) and N(a) = exp(a^2/2) Phi(-a), where Phi is the
    /// normal distribution.
    fn mills_tail(u: Self) -> Self;

    /// Sine and cosine for |z| <= 2^19.
    fn sin_cos_near(z: Self) -> (Self, Self);

    /// Sine and cosine of any z.
    fn sin_cos_far(z: Self) -> (Self, Self);

    /// The jet of a user's activation in this precision.
    fn pointwise(f: &dyn Pointwise, z: Self) -> [Self; 4];

    /// The derivatives of a user's activation of orders 0 to `out.len() - 1`, at most `MAX_ORDER`.
    fn pointwise_derivatives(f: &dyn Pointwise, z: Self, out: &mut [Self]);
}

/// The polynomial with these coefficients, constant first.
///
/// Loops in kernels go by index: an iterator's adaptors are functions of their own where the compiler does not inline
/// them, and those are not compiled for vectors.
#[inline(always)]
pub(super) fn horner<F: Real, const N: usize>(x: F, coefficients: [F; N]) -> F {
    let mut sum = coefficients[N - 1];
    // by index: the compiler may not see through iterators, and then nothing here is vectorised
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(x, coefficients[i]);
    }
    sum
}

impl Elementary for f32 {
    const ROUND: Self = 12_582_912.0;
    const LN_2_HIGH: Self = 0.693_145_75;
    const LN_2_LOW: Self = 1.428_606_8e-6;
    const ROUND_BIASED: Self = 12_583_039.0;
    const FAR: Self = 64.0;
    /// 2^-60
    const FAR_SCALE: Self = 8.673_617_4e-19;
    const DECAY_END: Self = 128.0;
    type Wide = f64;

    #[inline(always)]
    fn terms(_double: usize, single: usize) -> usize {
        single
    }

    #[inline(always)]
    fn two_parts(high: f64, low: f64) -> (Self, Self) {
        let head = high as f32;
        (head, ((high - f64::from(head)) + low) as f32)
    }

    #[inline(always)]
    fn power_of_two(rounded: Self, far: bool) -> Self {
        let bits = rounded.to_bits() << 23;
        f32::from_bits(if far { bits.wrapping_add(60 << 23) } else { bits })
    }

    #[inline(always)]
    fn exponential(z: Self) -> Self {
        exp::single(z)
    }

    #[inline(always)]
    fn exp_tail(r: Self) -> Self {
        horner(r, [0.5, 0.16666576, 0.041666552, 0.008363233, 0.001392625])
    }

    #[inline(always)]
    fn log1p_tail(x: Self) -> Self {
        horner(
            x,
            [
                -0.49999997,
                0.33332843,
                -0.24986526,
                0.19854106,
                -0.15847565,
                0.11561845,
                -0.06675772,
                0.025224054,
                -0.0044662114,
            ],
        )
    }

    #[inline(always)]
    fn log1p_tail_near(x: Self) -> Self {
        horner(x, [-0.5, 0.3333298, -0.24978817, 0.19549865, -0.12630661])
    }

    #[inline(always)]
    fn ln_cosh_quotient(w: Self) -> Self {
        horner(w, [0.5, -0.08333297, 0.022216355, -0.006709512, 0.0020755783, -0.0005546655, 8.6054104e-05])
    }

    #[inline(always)]
    fn mills_tail(u: Self) -> Self {
        horner(
            u,
            [
                -0.09670347,
                0.013999639,
                0.028600164,
                -0.03219796,
                0.017937718,
                -0.0050013717,
                -0.0002913194,
                0.0006913216,
                -8.4502295e-05,
                -8.1493956e-05,
                1.2549785e-05,
                7.7997365e-06,
            ],
        )
    }

    #[inline(always)]
    fn sin_cos_near(z: Self) -> (Self, Self) {
        trigonometric::single(z)
    }

    fn sin_cos_far(z: Self) -> (Self, Self) {
        let (s, c) = libm::sincos(f64::from(z));
        (s as f32, c as f32)
    }

    fn pointwise(f: &dyn Pointwise, z: Self) -> [Self; 4] {
        f.jet_f32(z)
    }

    fn pointwise_derivatives(f: &dyn Pointwise, z: Self, out: &mut [Self]) {
        if out.len() > 4 {
            let mut double = [0.0; MAX_ORDER + 1];
            f.derivatives(f64::from(z), &mut double[..out.len()]);
            for (out, double) in out.iter_mut().zip(double) {
                *out = double as f32;
            }
        }
        for (out, derivative) in out.iter_mut().zip(f.jet_f32(z)) {
            *out = derivative;
        }
    }
}

impl Elementary for f64 {
    const ROUND: Self = 6_755_399_441_055_744.0;
    const LN_2_HIGH: Self = 0.693_147_180_559_890_3;
    const LN_2_LOW: Self = 5.497_923_018_708_371e-14;
    const ROUND_BIASED: Self = 6_755_399_441_056_767.0;
    const FAR: Self = 400.0;
    /// 2^-500
    const FAR_SCALE: Self = 3.054_936_363_499_605e-151;
    const DECAY_END: Self = 1054.0;
    type Wide = Pair;

    #[inline(always)]
    fn terms(double: usize, _single: usize) -> usize {
        double
    }

    #[inline(always)]
    fn two_parts(high: f64, low: f64) -> (Self, Self) {
        (high, low)
    }

    #[inline(always)]
    fn power_of_two(rounded: Self, far: bool) -> Self {
        let bits = rounded.to_bits() << 52;
        f64::from_bits(if far { bits.wrapping_add(500 << 52) } else { bits })
    }

    #[inline(always)]
    fn exponential(z: Self) -> Self {
        exp::double(z)
    }

    #[inline(always)]
    fn exp_tail(r: Self) -> Self {
        horner(
            r,
            [
                0.5,
                0.1666666666666667,
                0.04166666666666667,
                0.008333333333326084,
                0.0013888888888883711,
                0.0001984126987500228,
                2.480158732567746e-05,
                2.755725517000089e-06,
                2.755727347871858e-07,
                2.5105312729622103e-08,
                2.09147553258932e-09,
            ],
        )
    }

    #[inline(always)]
    fn log1p_tail(x: Self) -> Self {
        horner(
            x,
            [
                -0.5,
                0.33333333333332466,
                -0.2499999999987205,
                0.1999999999247163,
                -0.1666666643097834,
                0.14285709745445543,
                -0.12499941281507687,
                0.11110571142855806,
                -0.09996324347550137,
                0.09071835292534261,
                -0.0825618541627825,
                0.07444817019942226,
                -0.06504010366036855,
                0.053223522460321214,
                -0.03912505115233944,
                0.024682950191684934,
                -0.012732150528247672,
                0.005081090478548994,
                -0.0014569248473329174,
                0.000265295970542531,
                -2.2938856818471438e-05,
            ],
        )
    }

    #[inline(always)]
    fn log1p_tail_near(x: Self) -> Self {
        horner(
            x,
            [
                -0.49999999999999983,
                0.33333333333306536,
                -0.24999999993447874,
                0.19999999376900204,
                -0.16666636470352691,
                0.14284869719672208,
                -0.12485512981685562,
                0.10955355627178423,
                -0.08962548688587088,
                0.05028247540769286,
            ],
        )
    }

    #[inline(always)]
    fn ln_cosh_quotient(w: Self) -> Self {
        horner(
            w,
            [
                0.5,
                -0.08333333333333108,
                0.022222222222053067,
                -0.0067460317410084555,
                0.0021869487752007918,
                -0.0007386022204321077,
                0.0002565759865330968,
                -9.097002146219214e-05,
                3.271939287579791e-05,
                -1.1823332233363504e-05,
                4.187437739149353e-06,
                -1.3729456929291544e-06,
                3.7585381118136593e-07,
                -7.274045244955428e-08,
                7.149426687319922e-09,
            ],
        )
    }

    #[inline(always)]
    fn mills_tail(u: Self) -> Self {
        horner(
            u,
            [
                -0.09670347732652576,
                0.013999634724424297,
                0.02860036405354529,
                -0.032197837428020314,
                0.0179360974798602,
                -0.0050023785925431535,
                -0.000285623100972965,
                0.0006948971222098154,
                -9.443022614940559e-05,
                -8.785330565514983e-05,
                2.1249886647480865e-05,
                1.3627401398305628e-05,
                -3.4315625205131418e-06,
                -2.614424590096395e-06,
                4.027880824736246e-07,
                5.548567498180354e-07,
                4.540567958834085e-09,
                -1.1449213053107154e-07,
                -2.360799665655461e-08,
                2.0273262246505857e-08,
                9.042124481367652e-09,
                -2.623951429487801e-09,
                -1.973476695828824e-09,
                1.7971784387888186e-10,
                2.0753044993672848e-10,
            ],
        )
    }

    #[inline(always)]
    fn sin_cos_near(z: Self) -> (Self, Self) {
        trigonometric::double(z)
    }

    fn sin_cos_far(z: Self) -> (Self, Self) {
        libm::sincos(z)
    }

    fn pointwise(f: &dyn Pointwise, z: Self) -> [Self; 4] {
        f.jet(z)
    }

    fn pointwise_derivatives(f: &dyn Pointwise, z: Self, out: &mut [Self]) {
        if out.len() > 4 {
            f.derivatives(z, out);
        }
        for (out, derivative) in out.iter_mut().zip(f.jet(z)) {
            *out = derivative;
        }
    }
}

/// a + b and its rounding error (Knuth).
#[inline(always)]
pub(super) fn two_sum<F: Real>(a: F, b: F) -> (F, F) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// a + b and its rounding error, if |a| >= |b| or a = 0 (Dekker).
#[inline(always)]
pub(super) fn quick_two_sum<F: Real>(a: F, b: F) -> (F, F) {
    let sum = a + b;
    (sum, (a - sum) + b)
}

/// x/y in two parts, for x and y in two parts and the `reciprocal` of the first part of y: a quotient and its remainder.
#[inline(always)]
pub(super) fn divide<F: Real>(x: [F; 2], y: [F; 2], reciprocal: F) -> (F, F) {
    let quotient = x[0] * reciprocal;
    let remainder = (-quotient).mul_add(y[0], x[0]) + (-quotient).mul_add(y[1], x[1]);
    quick_two_sum(quotient, remainder * reciprocal)
}

/// z^2 and its rounding error.
#[inline(always)]
pub(super) fn square<F: Real>(z: F) -> (F, F) {
    let square = z * z;
    (square, z.mul_add(z, -square))
}

/// The lesser of `a` and `bound`; NaN stays NaN, unlike with `min`.
#[inline(always)]
pub(super) fn at_most<F: Real>(a: F, bound: F) -> F {
    if a > bound { bound } else { a }
}

/// ln(1 + x) for 0 <= x <= 1, where `low` is what the rounding of x adds; and what rounding takes from the logarithm.
#[inline(always)]
pub(super) fn log1p<F: Real>(x: F, low: F) -> (F, F) {
    quick_two_sum(x, (x * x).mul_add(F::log1p_tail(x), low))
}
