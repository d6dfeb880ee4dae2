//! Sine and cosine for |z| <= 2^19.
use super::elementary::{Elementary, horner, two_sum};

/// In double precision, which leaves nothing to repair; only the quadrants are found in single precision.
#[inline(always)]
pub(super) fn single(z: f32) -> (f32, f32) {
    // pi/2 in two parts
    const HIGH: f64 = std::f64::consts::FRAC_PI_2;
    const LOW: f64 = 6.123233995736766e-17;
    let rounded = z.mul_add(std::f32::consts::FRAC_2_PI, f32::ROUND);
    let k = -f64::from(rounded - f32::ROUND);
    let r = k.mul_add(LOW, k.mul_add(HIGH, f64::from(z)));
    let w = r * r;
    let sin_tail =
        horner(w, [-0.16666666662821586, 0.008333331488881502, -0.00019839886577859055, 2.7224989741765247e-06]);
    let cos_tail = horner(
        w,
        [
            -0.49999999999946587,
            0.041666666626635304,
            -0.0013888884087007844,
            2.479957036032085e-05,
            -2.721116919997963e-07,
        ],
    );
    let (sin, cos) = ((r * sin_tail.mul_add(w, 1.0)) as f32, cos_tail.mul_add(w, 1.0) as f32);

    // the quadrant sits in the two lowest bits
    let quadrant = rounded.to_bits();
    let (s, c) = if quadrant & 1 == 0 { (sin, cos) } else { (cos, sin) };
    let s = f32::from_bits(s.to_bits() ^ ((quadrant & 2) << 30));
    (s, f32::from_bits(c.to_bits() ^ ((quadrant.wrapping_add(1) & 2) << 30)))
}

/// The reduction of Cody and Waite in three parts of pi/2 (33, 53 and 53 bits), its remainder kept in two numbers.
#[inline(always)]
pub(super) fn double(z: f64) -> (f64, f64) {
    const PI_2: [f64; 3] = [1.5707963267341256, 6.077100506506192e-11, 3.5215598651832e-27];
    let rounded = z.mul_add(std::f64::consts::FRAC_2_PI, f64::ROUND);
    let k = rounded - f64::ROUND;
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
