//! The elementary functions that the activations share, branch-free and generic over `f32` and `f64`, so that a loop
//! over any of them vectorises.
//!
//! Everything leans on fused multiply-add, which every AVX2, AVX-512 and NEON machine has. Elsewhere `mul_add` is a
//! library routine: the numbers are the same to the last bit, and slow.
//!
//! The polynomials come from `tests/activations/fit_polynomials.py`.
use super::Pointwise;
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

    /// A constant known in two parts, in this precision.
    fn two_parts(high: f64, low: f64) -> (Self, Self);

    /// 2^k for `rounded` = k + `ROUND_BIASED`, divided by `FAR_SCALE` if far.
    fn power_of_two(rounded: Self, far: bool) -> Self;

    /// expm1(r) = r + r^2 P(r) for |r| <= ln 2 / 2.
    fn exp_tail(r: Self) -> Self;

    /// 2 artanh(s) = 2 s + s w L(w) for w = s^2 <= 1/25.
    fn log_tail(w: Self) -> Self;

    /// (1 + a) N(a) = 5 N(4) + u P(u) for a >= 0, u = (a - 4)/(a + 4) and N(a) = exp(a^2/2) Phi(-a), where Phi is the
    /// normal distribution.
    fn mills_tail(u: Self) -> Self;

    /// Sine and cosine for |z| <= 2^19.
    fn sin_cos_near(z: Self) -> (Self, Self);

    /// Sine and cosine of any z.
    fn sin_cos_far(z: Self) -> (Self, Self);

    /// The jet of a user's activation in this precision.
    fn pointwise(f: &dyn Pointwise, z: Self) -> [Self; 4];
}

/// The polynomial with these coefficients, constant first.
#[inline(always)]
fn horner<F: Real, const N: usize>(x: F, coefficients: [F; N]) -> F {
    let mut sum = coefficients[N - 1];
    for c in coefficients.into_iter().rev().skip(1) {
        sum = sum.mul_add(x, c);
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
    const FAR_SCALE: Self = 8.673_617_379_884_035e-19;
    const DECAY_END: Self = 128.0;

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
    fn exp_tail(r: Self) -> Self {
        horner(r, [0.5, 0.16666667, 0.041666463, 0.0083333105, 0.0013933731, 0.0001989108])
    }

    #[inline(always)]
    fn log_tail(w: Self) -> Self {
        horner(w, [0.6666667, 0.40000314, 0.28532544, 0.23751342])
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

    /// Double precision leaves nothing to repair here, and costs less than a reduction in three single-precision parts.
    #[inline(always)]
    fn sin_cos_near(z: Self) -> (Self, Self) {
        let (s, c) = f64::sin_cos_near(f64::from(z));
        (s as f32, c as f32)
    }

    fn sin_cos_far(z: Self) -> (Self, Self) {
        let (s, c) = libm::sincos(f64::from(z));
        (s as f32, c as f32)
    }

    fn pointwise(f: &dyn Pointwise, z: Self) -> [Self; 4] {
        f.jet_f32(z)
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
    fn log_tail(w: Self) -> Self {
        horner(
            w,
            [
                0.6666666666666666,
                0.4000000000000794,
                0.28571428567275936,
                0.2222222304835159,
                0.18181737626302938,
                0.15388867805613718,
                0.13209708242059462,
                0.13609030262858499,
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

    /// The reduction of Cody and Waite in three parts of pi/2 (33, 53 and 53 bits), its remainder kept in two numbers.
    #[inline(always)]
    fn sin_cos_near(z: Self) -> (Self, Self) {
        const PI_2: [f64; 3] = [1.5707963267341256, 6.077100506506192e-11, 3.5215598651832e-27];
        let rounded = z.mul_add(std::f64::consts::FRAC_2_PI, Self::ROUND);
        let k = rounded - Self::ROUND;
        // exact: k has at most 20 bits
        let head = (-k).mul_add(PI_2[0], z);
        let next = k * PI_2[1];
        let next_low = k.mul_add(PI_2[1], -next);
        let (sum, error) = two_sum(head, -next);
        let low = (-k).mul_add(PI_2[2], error - next_low);
        let (r, low) = two_sum(sum, low);

        let w = r * r;
        let sin_tail = horner(
            w,
            [
                -0.16666666666666666,
                0.008333333333333331,
                -0.0001984126984126504,
                2.755731921932058e-06,
                -2.50521062259944e-08,
                1.6058530596645953e-10,
                -7.586636882825159e-13,
            ],
        );
        let cos_tail = horner(
            w,
            [
                0.041666666666666664,
                -0.0013888888888887389,
                2.48015872987544e-05,
                -2.755731726587808e-07,
                2.087614504941318e-09,
                -1.138254464534925e-11,
            ],
        );
        let half = 0.5 * w;
        // sin(r + low) = sin r + low cos r and cos(r + low) = cos r - low sin r, to first order
        let sin = r + (low * (1.0 - half) + r * w * sin_tail);
        let one = 1.0 - half;
        let cos = one + (((1.0 - one) - half) + (w * w).mul_add(cos_tail, -(r * low)));

        // the quadrant sits in the two lowest bits
        let quadrant = rounded.to_bits();
        let (s, c) = if quadrant & 1 == 0 { (sin, cos) } else { (cos, sin) };
        let s = f64::from_bits(s.to_bits() ^ ((quadrant & 2) << 62));
        let c = f64::from_bits(c.to_bits() ^ ((quadrant.wrapping_add(1) & 2) << 62));
        // the sums above lose the sign of zero
        (if z == 0.0 { z } else { s }, c)
    }

    fn sin_cos_far(z: Self) -> (Self, Self) {
        libm::sincos(z)
    }

    fn pointwise(f: &dyn Pointwise, z: Self) -> [Self; 4] {
        f.jet(z)
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

/// exp(-x) for x >= 0, right to one unit in the last place, and what it takes to know it and exp(-x) - 1 better.
///
/// Up to `FAR` it is `exp`. Beyond, it is `exp * scale`, where `scale` is a power of two: multiplying by that last is
/// what keeps results like 16 exp(-x) accurate where exp(-x) itself has lost bits to underflow. So far out `exp`, though
/// too large, is still nothing beside 1.
pub(super) struct Decay<F> {
    pub(super) exp: F,
    pub(super) scale: F,
    /// -x = k ln 2 + r, 2^k.
    power: F,
    /// expm1(r).
    small: F,
    /// What rounding took from `small`.
    small_low: F,
}

impl<F: Real> Decay<F> {
    /// For x >= 0.
    #[inline(always)]
    pub(super) fn new(x: F) -> Self {
        Self::reduced(x, |k| k * F::LN_2_LOW)
    }

    /// For x + `low`, where `low` is the rounding error of x >= 0.
    #[inline(always)]
    pub(super) fn with_low(x: F, low: F) -> Self {
        Self::reduced(x, |k| k.mul_add(F::LN_2_LOW, low))
    }

    /// With -x = k ln 2 + r, expm1(r) = r + tail: exp = 2^k (1 + r + tail).
    #[inline(always)]
    fn reduced(x: F, minus_rest: impl Fn(F) -> F) -> Self {
        let x = at_most(x, F::DECAY_END);
        let far = x > F::FAR;
        let rounded = (-x).mul_add(F::LOG2_E(), F::ROUND_BIASED);
        let k = rounded - F::ROUND_BIASED;
        // exact
        let head = (-k).mul_add(F::LN_2_HIGH, -x);
        let rest = -minus_rest(k);
        let r = head + rest;
        let tail = (r * r).mul_add(F::exp_tail(r), rest);
        let (small, small_low) = quick_two_sum(head, tail);
        let power = F::power_of_two(rounded, far);
        Self {
            exp: power.mul_add(small, power),
            scale: if far { F::FAR_SCALE } else { F::one() },
            power,
            small,
            small_low,
        }
    }

    /// What the last rounding took from `exp`.
    #[inline(always)]
    pub(super) fn rounding(&self) -> F {
        self.power.mul_add(self.small, self.power - self.exp)
    }

    /// All that rounding took from `exp`.
    #[inline(always)]
    pub(super) fn exp_low(&self) -> F {
        self.power.mul_add(self.small_low, self.rounding())
    }

    /// 1 - exp(-x), and what rounding took from it.
    #[inline(always)]
    pub(super) fn complement(&self) -> (F, F) {
        let rest = F::one() - self.power;
        let complement = (-self.power).mul_add(self.small, rest);
        let low = (-self.power).mul_add(self.small, rest - complement);
        (complement, (-self.power).mul_add(self.small_low, low))
    }
}

/// ln(1 + x) for 0 <= x <= 3/2.
///
/// ln(1 + f) = f - (f^2/2 - s (f^2/2 + w L(w))) with s = f/(2 + f) and w = s^2, as in fdlibm's `log1p`; past x = 1/2 the
/// argument is halved first, so that -1/4 <= f <= 1/2.
#[inline(always)]
pub(super) fn log1p<F: Real>(x: F) -> F {
    let half = F::of(0.5);
    let halved = x > half;
    let f = if halved { (x - F::one()) * half } else { x };
    let s = f / (F::of(2.0) + f);
    let w = s * s;
    let square = half * f * f;
    let tail = s * w.mul_add(F::log_tail(w), square);
    let (high, low) = if halved { (F::LN_2_HIGH, F::LN_2_LOW) } else { (F::zero(), F::zero()) };
    high + (f - (square - (tail + low)))
}
