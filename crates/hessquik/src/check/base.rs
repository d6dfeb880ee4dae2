//! Numbers as they are printed in reports.

/// The pair (c, e) with `a = c base^e` and `1 <= c < base`, as hessQuik prints errors.
///
/// Zero and negative numbers give (-1, 0), as in hessQuik; numbers without such a pair (NaN, infinity, or any `a` for a
/// base that is not finite or not above 1) give (a, 0).
///
/// ```
/// use hessquik::check::convert_to_base;
/// assert_eq!(convert_to_base(0.375, 2.0), (1.5, -2));
/// assert_eq!(convert_to_base(1000.0, 10.0), (1.0, 3));
/// assert_eq!(convert_to_base(0.0, 2.0), (-1.0, 0));
/// ```
pub fn convert_to_base(a: f64, base: f64) -> (f64, i64) {
    if a <= 0.0 {
        return (-1.0, 0);
    }
    if !a.is_finite() || !base.is_finite() || base <= 1.0 {
        return (a, 0);
    }
    let mut e = (a.log2() / base.log2()).floor();
    // the logarithms are rounded: e can be off by one, by more where the base is close to 1
    loop {
        let c = coefficient(a, base, e);
        if c >= base {
            e += 1.0;
            if coefficient(a, base, e) < 1.0 {
                return (1.0, e as i64);
            }
        } else if c < 1.0 {
            if coefficient(a, base, e - 1.0) >= base {
                return (1.0, e as i64);
            }
            e -= 1.0;
        } else {
            return (c, e as i64);
        }
    }
}

/// `a / base^e`.
fn coefficient(a: f64, base: f64, e: f64) -> f64 {
    // by powers above one, which are exact more often; in two factors where the power itself would overflow
    let half = (e.abs() / 2.0).trunc();
    let powers = match base.powf(e.abs()) {
        power if power.is_finite() => [power, 1.0],
        _ => [base.powf(half), base.powf(e.abs() - half)],
    };
    if e < 0.0 { a * powers[0] * powers[1] } else { a / powers[0] / powers[1] }
}

/// `1.62 x 2^(-02)`.
pub(super) fn power(a: f64, base: f64) -> String {
    let (c, e) = convert_to_base(a, base);
    base_exponent(c, base, e)
}

/// The same of a pair.
pub(super) fn base_exponent(c: f64, base: f64, e: i64) -> String {
    format!("{c:.2} x {base}^({}{:02})", if e < 0 { "-" } else { "" }, e.abs())
}

/// `8.1720e-10`, with an exponent of at least two digits as C prints it.
pub(super) fn scientific(a: f64) -> String {
    let short = format!("{a:.4e}");
    match short.split_once('e').map(|(c, e)| (c, e.parse::<i32>())) {
        Some((c, Ok(e))) => format!("{c}e{}{:02}", if e < 0 { "-" } else { "+" }, e.abs()),
        _ => short, // NaN, inf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scientific_as_c_prints_it() {
        let cases = [(8.172e-10, "8.1720e-10"), (1.0, "1.0000e+00"), (0.0, "0.0000e+00"), (1e-5, "1.0000e-05")];
        for (a, wanted) in cases {
            assert_eq!(scientific(a), wanted);
        }
        assert_eq!(scientific(1e100), "1.0000e+100");
        assert_eq!(scientific(f64::NAN), "NaN");
    }

    #[test]
    fn powers_as_the_manual_prints_them() {
        assert_eq!(power(1.62 / 4.0, 2.0), "1.62 x 2^(-02)");
        assert_eq!(power(1.0, 2.0), "1.00 x 2^(00)");
        assert_eq!(power(1.05 * 2.0, 2.0), "1.05 x 2^(01)");
        assert_eq!(power(1.7 * 2f64.powi(-51), 2.0), "1.70 x 2^(-51)");
        assert_eq!(power(2e-3, 10.0), "2.00 x 10^(-03)");
        assert_eq!(power(0.0, 2.0), "-1.00 x 2^(00)");
    }
}
