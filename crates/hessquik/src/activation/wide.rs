//! Arithmetic with more digits than the results have: double precision for `f32`, pairs of doubles for `f64`.
//!
//! A formula written for [`Wide`] is right to the last place in both, cancelling terms included, without a study of its
//! rounding errors. Branch-free, so that loops over it vectorise.
use super::elementary::{Elementary, horner, quick_two_sum, two_sum};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `f64`, or a pair.
pub trait Wide:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The sum of two doubles, the second no more than the rounding error of the first.
    fn two(high: f64, low: f64) -> Self;

    /// The nearest double.
    fn round(self) -> f64;

    /// The square root of a positive number.
    fn sqrt(self) -> Self;

    /// This one if `condition`, else the other.
    fn select(condition: bool, yes: Self, no: Self) -> Self;

    /// The sum with a double, in fewer operations than with one made wide.
    fn plus(self, x: f64) -> Self;

    /// The product with a double.
    fn times(self, x: f64) -> Self;

    /// A double.
    #[inline(always)]
    fn of(x: f64) -> Self {
        Self::two(x, 0.0)
    }
}

impl Wide for f64 {
    #[inline(always)]
    fn two(high: f64, _low: f64) -> Self {
        high
    }
    #[inline(always)]
    fn round(self) -> f64 {
        self
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn select(condition: bool, yes: Self, no: Self) -> Self {
        if condition { yes } else { no }
    }
    #[inline(always)]
    fn plus(self, x: f64) -> Self {
        self + x
    }
    #[inline(always)]
    fn times(self, x: f64) -> Self {
        self * x
    }
}

/// `high + low`, some 104 bits.
#[derive(Clone, Copy)]
pub struct Pair {
    high: f64,
    low: f64,
}

impl Pair {
    /// The sum, where `low` may be larger than a rounding error.
    #[inline(always)]
    fn of_sum((high, low): (f64, f64)) -> Self {
        Self { high, low }
    }

    /// Both doubles.
    #[inline(always)]
    pub(super) fn parts(self) -> [f64; 2] {
        [self.high, self.low]
    }
}

impl Add for Pair {
    type Output = Self;
    /// Right to 2^-104 of the larger operand.
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (high, low) = two_sum(self.high, other.high);
        Self::of_sum(quick_two_sum(high, low + (self.low + other.low)))
    }
}

impl Neg for Pair {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Sub for Pair {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Pair {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        let low = self.high.mul_add(other.high, -high);
        let low = self.high.mul_add(other.low, self.low.mul_add(other.high, low));
        Self::of_sum(quick_two_sum(high, low))
    }
}

impl Div for Pair {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        let inverse = 1.0 / other.high;
        let first = self.high * inverse;
        // the remainder's first part is exact
        let rest = (-first).mul_add(other.high, self.high) + (-first).mul_add(other.low, self.low);
        let second = rest * inverse;
        // what is left of it is below 2^-105 of the quotient, but for the error of the inverse
        let left = (-second).mul_add(other.high, rest);
        Self::of_sum(quick_two_sum(first, left.mul_add(inverse, second)))
    }
}

impl Wide for Pair {
    #[inline(always)]
    fn two(high: f64, low: f64) -> Self {
        Self { high, low }
    }
    #[inline(always)]
    fn round(self) -> f64 {
        self.high
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.high.sqrt();
        let rest = (-root).mul_add(root, self.high) + self.low;
        Self::of_sum(quick_two_sum(root, rest / (2.0 * root)))
    }
    #[inline(always)]
    fn plus(self, x: f64) -> Self {
        let (high, low) = two_sum(self.high, x);
        Self::of_sum(quick_two_sum(high, low + self.low))
    }
    #[inline(always)]
    fn times(self, x: f64) -> Self {
        let high = self.high * x;
        let low = self.low.mul_add(x, self.high.mul_add(x, -high));
        Self::of_sum(quick_two_sum(high, low))
    }
    #[inline(always)]
    fn select(condition: bool, yes: Self, no: Self) -> Self {
        Self { high: if condition { yes.high } else { no.high }, low: if condition { yes.low } else { no.low } }
    }
}

/// exp(x) = 2^k (1 + `small`), where |`small`| < 0.42; `small` is exact in the sense of relative errors.
#[derive(Clone, Copy)]
pub(super) struct Exponential<W> {
    pub(super) k: f64,
    pub(super) small: W,
}

/// 1/n! in two parts, n = 1 to 6.
const INVERSE_FACTORIAL: [[f64; 2]; 6] = [
    [1.0, 0.0],
    [0.5, 0.0],
    [0.16666666666666666, 9.25185853854297e-18],
    [0.041666666666666664, 2.3129646346357427e-18],
    [0.008333333333333333, 1.1564823173178714e-19],
    [0.001388888888888889, -5.300543954373577e-20],
];

/// 1/n!, n = 7 to 19: with |r| below 0.35, what rounding takes from these terms is below 2^-74 of the sum.
const INVERSE_FACTORIAL_TAIL: [f64; 13] = [
    0.0001984126984126984,
    2.48015873015873e-05,
    2.7557319223985893e-06,
    2.755731922398589e-07,
    2.505210838544172e-08,
    2.08767569878681e-09,
    1.6059043836821613e-10,
    1.1470745597729725e-11,
    7.647163731819816e-13,
    4.779477332387385e-14,
    2.8114572543455206e-15,
    1.5619206968586225e-16,
    8.22063524662433e-18,
];

impl<W: Wide> Exponential<W> {
    /// For any x but NaN and beyond +-1e6, which are moved in.
    #[inline(always)]
    pub(super) fn new(x: W) -> Self {
        let high = x.round();
        let x = W::select(high.abs() > 1e6, W::of(if high > 0.0 { 1e6 } else { -1e6 }), x);
        let rounded = x.round().mul_add(std::f64::consts::LOG2_E, f64::ROUND);
        let k = rounded - f64::ROUND;
        // exact: k has few bits, and the first part of ln 2 has zeros at its end
        let head = x.plus(-k * f64::LN_2_HIGH);
        // what rounding took from the second part is below 2^-97
        let r = head - W::of(k).times(f64::LN_2_LOW);
        let mut sum = W::of(horner(r.round(), INVERSE_FACTORIAL_TAIL));
        let mut n = INVERSE_FACTORIAL.len();
        while n > 0 {
            n -= 1;
            sum = sum * r + W::two(INVERSE_FACTORIAL[n][0], INVERSE_FACTORIAL[n][1]);
        }
        Self { k, small: sum * r }
    }

    /// exp(x)/2^k.
    #[inline(always)]
    pub(super) fn mantissa(self) -> W {
        self.small.plus(1.0)
    }

    /// exp(x), where that is an ordinary number; 0 below 2^-1000.
    #[inline(always)]
    pub(super) fn value(self) -> W {
        let k = if self.k < -1000.0 { -1000.0 } else { self.k };
        let power = if self.k < -1000.0 { 0.0 } else { two_to(if k > 1000.0 { 1000.0 } else { k }) };
        self.mantissa().times(power)
    }

    /// exp(x) - 1 for x <= 0.
    #[inline(always)]
    pub(super) fn minus_one(self) -> W {
        let k = if self.k < -1000.0 { -1000.0 } else { self.k };
        let power = two_to(if k > 1000.0 { 1000.0 } else { k });
        let general = W::of(power).plus(-1.0) + self.small.times(power);
        W::select(self.k == 0.0, self.small, general)
    }
}

/// 2^k for an integer |k| <= 1022.
#[inline(always)]
fn two_to(k: f64) -> f64 {
    f64::from_bits((k + f64::ROUND_BIASED).to_bits() << 52)
}

/// x 2^k, rounded to double precision once.
#[inline(always)]
pub(super) fn scaled<W: Wide>(x: W, k: f64) -> f64 {
    scale(x.round(), k)
}

/// x 2^k for an integer k, rounded once.
#[inline(always)]
pub(super) fn scale(x: f64, k: f64) -> f64 {
    let k = if k > 2040.0 { 2040.0 } else { k };
    let k = if k < -2040.0 { -2040.0 } else { k };
    let half = (k * 0.5 + f64::ROUND) - f64::ROUND;
    x * two_to(half) * two_to(k - half)
}

/// x = 2^e m with 1/sqrt(2) <= m < sqrt(2), for positive finite x.
#[inline(always)]
pub(super) fn split(x: f64) -> (f64, f64) {
    let tiny = x < f64::MIN_POSITIVE;
    let bits = (if tiny { x * 18_014_398_509_481_984.0 } else { x }).to_bits();
    // the exponent as the low bits of 2^52 + exponent
    let biased = f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - 4_503_599_627_370_496.0;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    let upper = m > std::f64::consts::SQRT_2;
    let e = biased - if tiny { 1077.0 } else { 1023.0 } + if upper { 1.0 } else { 0.0 };
    (if upper { 0.5 * m } else { m }, e)
}

/// ln(2^e m) for 1/sqrt(2) <= m < sqrt(2): with s = (m - 1)/(m + 1), ln m = 2 s (1 + s^2/3 + s^4/5 + ...).
#[inline(always)]
pub(super) fn log<W: Wide>(m: f64, e: f64) -> W {
    let s = W::of(m - 1.0) / W::of(m).plus(1.0);
    let w = s * s;
    let tail = horner(
        w.round(),
        [
            1.0 / 9.0,
            1.0 / 11.0,
            1.0 / 13.0,
            1.0 / 15.0,
            1.0 / 17.0,
            1.0 / 19.0,
            1.0 / 21.0,
            1.0 / 23.0,
            1.0 / 25.0,
            1.0 / 27.0,
            1.0 / 29.0,
        ],
    );
    let seventh = W::two(0.14285714285714285, 7.93016446160826e-18) + w.times(tail);
    let fifth = W::two(0.2, -1.1102230246251566e-17) + w * seventh;
    let third = W::two(0.3333333333333333, 1.850371707708594e-17) + w * fifth;
    let log = (s + s) * (w * third).plus(1.0);
    (W::of(e).times(f64::LN_2_LOW) + log).plus(e * f64::LN_2_HIGH)
}

/// The polynomial with these coefficients, constant first.
#[inline(always)]
pub(super) fn polynomial<W: Wide, const N: usize>(x: W, coefficients: [f64; N]) -> W {
    let mut sum = W::of(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = (sum * x).plus(coefficients[i]);
    }
    sum
}
