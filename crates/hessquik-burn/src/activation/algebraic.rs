//! Polynomials, powers and ramps.
use super::pieces::{Numbers, level};

/// The rows that are given, then zeros.
pub(super) fn polynomial(z: &Numbers, mut rows: Vec<Numbers>, order: usize) -> Vec<Numbers> {
    rows.truncate(order + 1);
    let zero = level(z, 0.0);
    rows.resize(order + 1, zero);
    rows
}

/// z for z > 0, else `slope` z; at 0 the slope is that of the left side.
pub(super) fn ramp(z: Numbers, order: usize, slope: f64) -> Vec<Numbers> {
    let positive = z.clone().greater_scalar(0.0);
    // zero times an infinite z is zero here
    let below = if slope == 0.0 { level(&z, 0.0) } else { z.clone() * slope };
    let first = level(&z, slope).mask_fill(positive.clone(), 1.0);
    polynomial(&z, vec![below.mask_where(positive, z.clone()), first], order)
}

/// 1 for z > 0, else 0.
pub(super) fn step(z: Numbers, order: usize) -> Vec<Numbers> {
    let positive = z.clone().greater_scalar(0.0);
    polynomial(&z, vec![level(&z, 0.0).mask_fill(positive, 1.0)], order)
}

/// |z|, and no number for negative z.
fn domain(z: &Numbers) -> Numbers {
    z.clone().abs().mask_fill(z.clone().lower_scalar(0.0), f64::NAN)
}

/// ln z, 1/z, and each derivative from the one before.
pub(super) fn log(z: Numbers, order: usize) -> Vec<Numbers> {
    let z = domain(&z);
    let mut out = vec![z.clone().log()];
    if order > 0 {
        out.extend(reciprocal(z, order - 1));
    }
    out
}

/// 1/z, -1/z^2, ...
pub(super) fn reciprocal(z: Numbers, order: usize) -> Vec<Numbers> {
    let r = z.recip();
    let mut out = vec![r.clone()];
    for j in 1..=order {
        out.push(out[j - 1].clone() * r.clone() * -(j as f64));
    }
    out
}

/// f = sqrt z, 1/(2 f), -1/(4 z f), ...
pub(super) fn sqrt(z: Numbers, order: usize) -> Vec<Numbers> {
    let mut out = vec![z.clone().sqrt()];
    let z = domain(&z);
    for j in 1..=order {
        out.push(match j {
            1 => z.clone().sqrt().recip() * 0.5,
            _ => out[j - 1].clone() / z.clone() * (1.5 - j as f64),
        });
    }
    out
}

/// p (p - 1) ... (p - j + 1) z^(p - j).
pub(super) fn power(z: &Numbers, order: usize, p: f64) -> Vec<Numbers> {
    let mut factor = 1.0;
    let mut out = Vec::new();
    for j in 0..=order {
        out.push(if factor == 0.0 { level(z, 0.0) } else { monomial(z, p - j as f64) * factor });
        factor *= p - j as f64;
    }
    out
}

/// Powers up to this one are products.
const PRODUCTS: f64 = 64.0;

/// z^q; no number for negative z, if q is not an integer.
fn monomial(z: &Numbers, q: f64) -> Numbers {
    if q < 0.0 {
        return monomial(z, -q).recip();
    }
    let (whole, part) = (q.floor(), q.fract());
    if q > PRODUCTS || part != 0.0 && part != 0.5 {
        let size = z.clone().abs().powf_scalar(q);
        let negative = z.clone().lower_scalar(0.0);
        return match (part == 0.0, whole % 2.0 == 0.0) {
            (true, true) => size,
            (true, false) => size.clone().mask_where(negative, -size),
            (false, _) => size.mask_fill(negative, f64::NAN),
        };
    }
    let product = product(z, whole as u32);
    match (product, part == 0.0) {
        (None, true) => level(z, 1.0),
        (None, false) => z.clone().sqrt(),
        (Some(product), true) => product,
        (Some(product), false) => product * z.clone().sqrt(),
    }
}

/// z^n by squaring; none of no factors.
fn product(z: &Numbers, n: u32) -> Option<Numbers> {
    match n {
        0 => None,
        1 => Some(z.clone()),
        _ => {
            let square = product(z, n / 2).expect("a factor").square();
            Some(if n.is_multiple_of(2) { square } else { square * z.clone() })
        }
    }
}
