//! What one field of a text is: a number, a missing value, a name.

/// Words for a value that is missing, as programs write them, in small letters.
const MISSING: [&str; 14] =
    ["", "na", "n/a", "n.a.", "nan", "+nan", "-nan", "null", "none", "nil", "nat", "<na>", "missing", "nd"];
/// Other words that are data and no names.
const DATA: [&str; 12] =
    ["true", "false", "yes", "no", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "on", "off"];

/// Whether the field says that there is no value: empty, `NA`, `nan`, or an error of a spreadsheet such as `#N/A`.
pub fn is_missing(field: &str) -> bool {
    // sodium is no missing value
    field != "Na" && MISSING.contains(&field.to_lowercase().as_str()) || is_error(field)
}

/// Whether the field is an error of a spreadsheet, in any language: `#N/A`, `#DIV/0!`, `#WERT!`, `#NAME?`, `####`.
pub fn is_error(field: &str) -> bool {
    let Some(rest) = field.strip_prefix('#') else { return false };
    let capitals = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_uppercase() || c.is_ascii_digit() || matches!(c, '/' | '_' | ' '))
    };
    let marked = rest.strip_suffix(['!', '?']).is_some_and(capitals);
    marked
        || matches!(rest, "N/A" | "NA" | "NV" | "N/D" | "N/V" | "N/A N/A")
        || rest.len() > 1 && rest.chars().all(|c| c == '#')
}

/// Whether the field looks like the name of a column: a letter or a sign of mathematics first, and no number or missing value.
pub fn is_name(field: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || "_$<(|[∂∇Δ".contains(c);
    let plain = field.to_lowercase();
    field.starts_with(starts)
        && field.contains(char::is_alphabetic)
        && !is_missing(field)
        && !DATA.contains(&plain.as_str())
}

/// The sign before the fraction of a field: `.`, `,`, or none.
pub fn decimal_sign(field: &str) -> Option<char> {
    field.chars().find(|c| matches!(c, '.' | ','))
}

/// The number that the field holds, with exponents by E or, as Fortran writes them, by D. With `comma`, a comma stands before
/// the fraction.
///
/// # Errors
/// What the field is instead.
pub fn number(field: &str, comma: bool) -> Result<f64, &'static str> {
    if is_missing(field) {
        return Err("is a missing value; remove the row, or fill it in");
    }
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',');
    let fortran = field.starts_with(plain) && field.bytes().filter(|b| matches!(b, b'd' | b'D')).count() == 1;
    let parsed = if fortran && field.chars().all(|c| plain(c) || matches!(c, 'd' | 'D')) {
        parse(&field.replace(['d', 'D'], "e"), comma)
    } else {
        parse(field, comma)
    };
    let number = parsed.ok_or_else(|| match field.contains(',') {
        true if !comma => "is not a number (a decimal comma is read where ; or a tab separates columns)",
        _ => "is not a number",
    })?;
    if number.is_nan() {
        return Err("is not a number");
    }
    if number.is_infinite() && field.contains(|c: char| c.is_ascii_digit()) {
        return Err("is too large for f64");
    }
    Ok(number)
}

fn parse(text: &str, comma: bool) -> Option<f64> {
    if !text.contains(',') {
        return text.parse().ok();
    }
    // 1,234,567 and 1.234,5 have signs between thousands: what they mean depends on the country
    let once = comma && text.matches(',').count() == 1 && !text.contains('.');
    if once { text.replace(',', ".").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, wanted) in [
            ("1", 1.0),
            ("-.5", -0.5),
            ("+2.", 2.0),
            ("1e-3", 1e-3),
            ("1D-2", 0.01),
            ("2d0", 2.0),
            ("-1.5D+03", -1500.0),
            ("inf", f64::INFINITY),
        ] {
            assert_eq!(number(field, false), Ok(wanted), "{field}");
            assert_eq!(number(field, true), Ok(wanted), "{field}");
        }
        assert_eq!((number("0,5", true), number("-1,5D2", true)), (Ok(0.5), Ok(-150.0)));
        for wrong in
            ["0,5", "1,234.5", "1.0.0", "3..4", "1D", "D1", "1D2D3", "x", "1 2", "0x10", "1_0", "--1", "1e", "e", "."]
        {
            assert!(number(wrong, false).is_err(), "{wrong}");
        }
        for wrong in ["1,234.5", "1.234,5", "1,234,567"] {
            assert!(number(wrong, true).is_err(), "{wrong}");
        }
        for missing in ["", "NA", "nan", "NaN", "-nan", "#N/A", "#DIV/0!", "#WERT!", "#NAME?", "####", "null", "None"] {
            assert!(number(missing, false).unwrap_err().contains("missing"), "{missing}");
        }
        assert!(number("1e999", false).unwrap_err().contains("too large"));
    }

    #[test]
    fn names() {
        for name in ["x", "x0", "_a", "dx/dt", "u(x)", "T (°C)", "θ", "∂u", "Na", "e5", "x [m]", "$x$"] {
            assert!(is_name(name), "{name}");
        }
        for other in
            ["NA", "nan", "1D-2", "0,5", "1.0.0", "3..4", "#N/A", "true", "inf", "", "2theta", "-", "(1)", "−1", "1e5"]
        {
            assert!(!is_name(other), "{other}");
        }
    }
}
