//! Bells and their integrals, waves, and algebraic curves.
use super::pieces::{FAR_SQUARE, Numbers, bell, bells, horner, level, upper_tail, within};
use hessquik::activation::{ATAN_TAIL, ERF_TAIL};
use std::f64::consts::{FRAC_2_SQRT_PI, FRAC_PI_2, PI, SQRT_2};

/// z Phi(z) with the normal distribution Phi and its density phi, Phi + z phi, and z phi^(j-1) + j phi^(j-2).
pub(super) fn gelu(z: Numbers, order: usize) -> Vec<Numbers> {
    let near = within(z.clone(), FAR_SQUARE);
    let g = bells(&near, 0.5, order.saturating_sub(1));
    let upper = upper_tail(near.clone().abs(), g[0].clone());
    let cdf = (-upper.clone() + 1.0).mask_where(near.clone().lower_scalar(0.0), upper);
    let below = z.clone().lower_scalar(-FAR_SQUARE);
    let mut out = vec![(z * cdf.clone()).mask_fill(below, 0.0)];
    let density: Vec<Numbers> = g.into_iter().map(|g| g / (2.0 * PI).sqrt()).collect();
    out.extend((1..=order).map(|j| {
        let before = if j == 1 { cdf.clone() } else { density[j - 2].clone() * j as f64 };
        near.clone() * density[j - 1].clone() + before
    }));
    out
}

pub(super) fn gaussian(z: Numbers, order: usize) -> Vec<Numbers> {
    bells(&within(z, FAR_SQUARE), 1.0, order)
}

/// erf z, and 2/sqrt(pi) times the bell and its derivatives.
pub(super) fn erf(z: Numbers, order: usize) -> Vec<Numbers> {
    let z = within(z, FAR_SQUARE);
    let (a, square) = (z.clone().abs(), z.clone().square());
    let near = z.clone() * (horner(&square, &ERF_TAIL) * square + FRAC_2_SQRT_PI);
    let far = upper_tail(a.clone() * SQRT_2, bell(z.clone(), 1.0)) * -2.0 + 1.0;
    let negative = z.clone().lower_scalar(0.0);
    let far = far.clone().mask_where(negative, -far);
    let mut out = vec![far.mask_where(a.lower_scalar(1.0), near)];
    if order > 0 {
        out.extend(bells(&z, 1.0, order - 1).into_iter().map(|g| g * FRAC_2_SQRT_PI));
    }
    out
}

/// f and f' of a function with f'' = -f.
pub(super) fn wave(f: Numbers, slope: Numbers, order: usize) -> Vec<Numbers> {
    let turn = |j: usize| match j % 4 {
        0 => f.clone(),
        1 => slope.clone(),
        2 => -f.clone(),
        _ => -slope.clone(),
    };
    (0..=order).map(turn).collect()
}

/// atan z, r = 1/(1 + z^2), and (1 + z^2) f' = 1 differentiated; beyond |z| = 1 all in w = 1/z, so that nothing overflows.
pub(super) fn atan(z: Numbers, order: usize) -> Vec<Numbers> {
    let outer = z.clone().abs().greater_scalar(1.0);
    let w = z.clone().mask_where(outer.clone(), z.clone().recip());
    let square = w.clone().square();
    let near = w.clone() + w.clone() * square.clone() * horner(&square, &ATAN_TAIL);
    let quarter = level(&z, FRAC_PI_2).mask_where(z.lower_scalar(0.0), level(&w, -FRAC_PI_2));
    let mut out = vec![near.clone().mask_where(outer.clone(), quarter - near)];
    let inverse = (square.clone() + 1.0).recip();
    let (r, slope) = (inverse.clone().mask_where(outer, square * inverse.clone()), w * inverse);
    for j in 1..=order {
        let next = match j {
            1 => r.clone(),
            2 => slope.clone() * out[1].clone() * -2.0,
            _ => {
                let (a, b) = (2.0 * (j - 1) as f64, ((j - 1) * (j - 2)) as f64);
                -(slope.clone() * out[j - 1].clone() * a + r.clone() * out[j - 2].clone() * b)
            }
        };
        out.push(next);
    }
    out
}

/// (z + R)/2 with R = sqrt(z^2 + b), f/R, b/(2 R^3), and R^2 (R^-3)' = -3 z R^-3 differentiated.
///
/// All of u = z/sqrt(b), with root = sqrt(u^2 + 1) as |u| sqrt(1 + 1/u^2) where u^2 might overflow.
pub(super) fn squareplus(z: Numbers, order: usize, b: f64) -> Vec<Numbers> {
    let scale = b.sqrt();
    let u = z / scale;
    let (a, negative) = (u.clone().abs(), u.clone().lower_scalar(0.0));
    let outer = a.clone().greater_scalar(1.0);
    let small = a.clone().mask_where(outer.clone(), a.clone().recip());
    let root = (small.square() + 1.0).sqrt();
    let root = root.clone().mask_where(outer, root * a.clone());
    let sum = root.clone() + a;
    let value = (sum.clone() * 0.5).mask_where(negative, sum.recip() * 0.5);
    let inverse = root.recip();
    let mut out = vec![value.clone()];
    if order > 0 {
        // at infinity both are
        let slope = value * inverse.clone();
        let infinite = u.clone().equal_scalar(f64::INFINITY);
        out.push(slope.mask_fill(infinite, 1.0));
    }
    let slope = u.clone().mask_fill(u.is_inf(), 0.0) * inverse.clone() * inverse.clone();
    let square = inverse.clone().square();
    for j in 2..=order {
        let next = match j {
            2 => square.clone() * inverse.clone() * 0.5,
            _ => {
                let (a, b) = ((2 * j - 3) as f64, ((j - 3) * (j - 1)) as f64);
                let first = slope.clone() * out[j - 1].clone() * a;
                -(if j > 3 { first + square.clone() * out[j - 2].clone() * b } else { first })
            }
        };
        out.push(next);
    }
    out.into_iter().enumerate().map(|(j, f)| f * scale.powi(1 - j as i32)).collect()
}
