//! Powers: z^p, the square root, the reciprocal and the logarithm, whose derivatives are multiples of powers.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, Row, Table, map, rounded};
use super::wide::{Exponential, Wide, log, scaled, split};
use crate::Real;

/// A multiple of a power of |z| as a mantissa and an exponent, and what leads on to the next lower power.
///
/// Kept apart, no power overflows before its factor p (p - 1) ... comes.
#[derive(Clone, Copy)]
struct Powers<W> {
    /// The number over 2^k.
    mantissa: W,
    k: f64,
    /// 1/m, where |z| = 2^e m.
    inverse: W,
    e: f64,
}

impl<W: Wide> Powers<W> {
    /// |z|^p by `start`, which takes m and e.
    #[inline(always)]
    fn new(z: f64, start: impl Fn(f64, f64) -> (W, f64)) -> Self {
        let (m, e) = split(z.abs());
        let (mantissa, k) = start(m, e);
        Self { mantissa, k, inverse: W::of(1.0) / W::of(m), e }
    }

    /// The next lower power, times `factor`.
    #[inline(always)]
    fn lower(self, factor: f64) -> Self {
        Self { mantissa: self.mantissa.times(factor) * self.inverse, k: self.k - self.e, ..self }
    }

    #[inline(always)]
    fn value(self) -> f64 {
        scaled(self.mantissa, self.k)
    }
}

/// The exponent p, and what becomes of zero, infinite and negative z.
#[derive(Clone, Copy)]
struct Exponent {
    p: f64,
    /// Whether p is an integer, so that negative numbers have a power, and whether it is odd.
    integer: bool,
    odd: bool,
    /// p (p - 1) ... (p - j + 1) for j = 0 to 3.
    falling: [f64; 4],
}

/// p (p - 1) ... (p - j + 1).
const fn falling(p: f64, j: usize) -> f64 {
    let (mut product, mut i) = (1.0, 0);
    while i < j {
        product *= p - i as f64;
        i += 1;
    }
    product
}

impl Exponent {
    const fn new(p: f64) -> Self {
        let integer = p % 1.0 == 0.0;
        let falling = [1.0, falling(p, 1), falling(p, 2), falling(p, 3)];
        Self { p, integer, odd: integer && p % 2.0 != 0.0, falling }
    }

    /// c z^(p - j) from c |z|^(p - j), which is `general` for |z| that is neither 0 nor infinite.
    #[inline(always)]
    fn signed(self, z: f64, j: usize, c: f64, general: f64) -> f64 {
        let q = self.p - j as f64;
        // no short circuits: what depends on p alone would become a branch around the rest, which then is not vectorised
        let (zero, infinite) = (z == 0.0, z.abs() == f64::INFINITY);
        let grows = if infinite { q > 0.0 } else { q < 0.0 };
        let extreme = if grows { c * f64::INFINITY } else { 0.0 };
        let extreme = if q == 0.0 { c } else { extreme };
        let magnitude = if zero | infinite { extreme } else { general };
        let magnitude = if c == 0.0 { 0.0 } else { magnitude };
        let odd = self.odd != (j % 2 == 1);
        let signed = if self.integer & odd & z.is_sign_negative() { -magnitude } else { magnitude };
        if (z < 0.0) & !self.integer { f64::NAN } else { signed }
    }

    /// The derivatives of orders 0 to 3 from |z|^p.
    #[inline(always)]
    fn jet<W: Wide>(self, z: f64, powers: Powers<W>) -> [f64; 4] {
        let Self { p, falling, .. } = self;
        let first = powers.lower(p);
        let second = first.lower(p - 1.0);
        let third = second.lower(p - 2.0);
        [
            self.signed(z, 0, falling[0], powers.value()),
            self.signed(z, 1, falling[1], first.value()),
            self.signed(z, 2, falling[2], second.value()),
            self.signed(z, 3, falling[3], third.value()),
        ]
    }

    /// Fills `d[4 ..= order]` with derivatives of order j - `shift` of z^p, which is what `start` gives.
    #[inline(always)]
    fn higher<F: Real>(
        self,
        (order, shift): (usize, usize),
        z: &Row<F>,
        d: &mut Table<F>,
        start: impl Fn(f64) -> Powers<F::Wide>,
    ) {
        let mut powers = [start(1.0); BLOCK];
        for l in 0..BLOCK {
            powers[l] = start(z[l].as_f64());
        }
        let mut c = 1.0;
        for j in 1..=order - shift {
            let factor = self.p - (j - 1) as f64;
            c *= factor;
            for l in 0..BLOCK {
                powers[l] = powers[l].lower(factor);
            }
            if j + shift > 3 {
                for l in 0..BLOCK {
                    let value = F::of(self.signed(z[l].as_f64(), j, c, powers[l].value()));
                    d[j + shift][l] = if z[l].is_nan() { z[l] } else { value };
                }
            }
        }
    }
}

/// z^p, p z^(p - 1), p (p - 1) z^(p - 2), p (p - 1) (p - 2) z^(p - 3). NaN for negative z, if p is not an integer.
#[derive(Clone, Copy)]
pub(super) struct Power {
    exponent: Exponent,
}

impl Power {
    pub(super) fn new(p: f64) -> Self {
        Self { exponent: Exponent::new(p) }
    }

    #[inline(always)]
    fn powers<W: Wide>(self, z: f64) -> Powers<W> {
        let p = W::of(self.exponent.p);
        Powers::new(
            z,
            #[inline(always)]
            |m, e| {
                let exp = Exponential::new(p * log::<W>(m, e));
                (exp.mantissa(), exp.k)
            },
        )
    }
}

impl<F: Real> Kernel<F> for Power {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let x = z.as_f64();
        rounded(z, self.exponent.jet(x, self.powers::<F::Wide>(x)))
    }
}

impl<F: Real> Higher<F> for Power {
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        self.exponent.higher(
            (order, 0),
            z,
            d,
            #[inline(always)]
            |z| self.powers(z),
        );
    }
}

/// The square root. NaN below zero; the derivatives are infinite at 0.
#[derive(Clone, Copy)]
pub(super) struct Sqrt;

const HALF: Exponent = Exponent::new(0.5);

#[inline(always)]
fn root<W: Wide>(z: f64) -> Powers<W> {
    Powers::new(
        z,
        #[inline(always)]
        |m, e| {
            // an even exponent
            let half = (0.5 * e).floor();
            let odd = e != half + half;
            (W::of(if odd { m + m } else { m }).sqrt(), half)
        },
    )
}

impl<F: Real> Kernel<F> for Sqrt {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let x = z.as_f64();
        let [_, first, second, third] = rounded(z, HALF.jet(x, root::<F::Wide>(x)));
        [z.sqrt(), first, second, third]
    }
}

impl<F: Real> Higher<F> for Sqrt {
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        HALF.higher((order, 0), z, d, root);
    }
}

/// 1/z, -1/z^2, 2/z^3, -6/z^4. Infinite at 0.
#[derive(Clone, Copy)]
pub(super) struct Reciprocal;

const MINUS_ONE: Exponent = Exponent::new(-1.0);

#[inline(always)]
fn reciprocal<W: Wide>(z: f64) -> Powers<W> {
    let (m, e) = split(z.abs());
    let inverse = W::of(1.0) / W::of(m);
    Powers { mantissa: inverse, k: -e, inverse, e }
}

impl<F: Real> Kernel<F> for Reciprocal {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let x = z.as_f64();
        let [_, first, second, third] = rounded(z, MINUS_ONE.jet(x, reciprocal::<F::Wide>(x)));
        [F::one() / z, first, second, third]
    }
}

impl<F: Real> Higher<F> for Reciprocal {
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        MINUS_ONE.higher((order, 0), z, d, reciprocal);
    }
}

/// ln z, 1/z, -1/z^2, 2/z^3. NaN below zero, infinite at 0.
#[derive(Clone, Copy)]
pub(super) struct Log;

/// -0 is 0 here, and negative numbers are not numbers.
#[inline(always)]
fn domain<F: Real>(z: F) -> F {
    if z < F::zero() { F::nan() } else { z.abs() }
}

impl<F: Real> Kernel<F> for Log {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let z = domain(z);
        let x = z.as_f64();
        let (m, e) = split(x);
        let value = log::<F::Wide>(m, e).round();
        let value = if x == 0.0 { -f64::INFINITY } else { value };
        let value = if x == f64::INFINITY { x } else { value };
        let [first, second, third, _] = MINUS_ONE.jet(x, reciprocal::<F::Wide>(x));
        rounded(z, [value, first, second, third])
    }
}

impl<F: Real> Higher<F> for Log {
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        MINUS_ONE.higher((order, 1), &map(z, domain), d, reciprocal);
    }
}
