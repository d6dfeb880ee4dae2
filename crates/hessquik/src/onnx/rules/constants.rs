//! Operators that give arrays of constants.
use super::super::call::{Call, Outcome};
use super::super::value::{Element, Value, count, local};
use super::Rule;
use super::shapes::placed;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Constant" => constant,
        "ConstantOfShape" => filled,
        "Range" => range,
        "EyeLike" => eye,
        "NonZero" => non_zero,
        _ => return None,
    })
}

fn constant(call: &Call) -> Outcome {
    if let Some(tensor) = call.tensor("value") {
        let (numbers, element) = tensor.array(None)?;
        return Ok(vec![Value::known(numbers, element)]);
    }
    let (value, element) = if call.has("value_float") {
        (vec![call.number("value_float", 0.0)], Element::Float)
    } else if call.has("value_int") {
        (vec![call.integer("value_int", 0) as f64], Element::Int)
    } else if let Some(numbers) = call.numbers("value_floats").filter(|_| call.has("value_floats")) {
        return Ok(vec![Value::known_at(&[numbers.len()], None, numbers, Element::Float)]);
    } else if let Some(numbers) = call.list("value_ints") {
        return Ok(vec![Value::integers(numbers.iter().map(|&n| n as f64).collect())]);
    } else {
        return Err("a constant of texts, or a sparse one; expected numbers".into());
    };
    Ok(vec![Value::known_at(&[], None, value, element)])
}

fn filled(call: &Call) -> Outcome {
    let lengths = call.integers(0)?.ok_or("the shape is missing")?;
    let shape: Option<Vec<usize>> = lengths.iter().map(|&n| usize::try_from(n).ok()).collect();
    let shape = shape.filter(|s| s.len() <= 32).ok_or_else(|| format!("shape {lengths:?} is not one"))?;
    let (value, element) = match call.tensor("value") {
        Some(tensor) => {
            let (numbers, element) = tensor.array(None)?;
            (numbers.first().copied().unwrap_or(0.0), element)
        }
        None => (0.0, Element::Float),
    };
    let batch = placed(call, &shape, None)?;
    let n = count(&local(&shape, batch));
    call.known_room(n)?;
    Ok(vec![Value::known_at(&shape, batch, vec![value; n], element)])
}

fn range(call: &Call) -> Outcome {
    let missing = || "an end of the range is missing".to_string();
    let part = |i| call.scalar(i)?.ok_or_else(missing);
    let (start, end, step): (f64, f64, f64) = (part(0)?, part(1)?, part(2)?);
    let n = ((end - start) / step).ceil().max(0.0);
    if !n.is_finite() {
        return Err(format!("a range from {start} to {end} by {step}"));
    }
    if call.desk.any && n >= f64::from(1 << 24) {
        return Err("counts the points of the batch: a network must map each point by itself".into());
    }
    call.known_room(n as usize)?;
    let numbers: Vec<f64> = (0..n as usize).map(|i| start + i as f64 * step).collect();
    Ok(vec![Value::known_at(&[numbers.len()], None, numbers, call.input(0)?.element)])
}

/// The places of what is not zero, by axis.
fn non_zero(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let numbers = value.numbers().filter(|_| value.batch.is_none());
    let numbers = numbers.ok_or("the places of what is not zero depend on the points; use Where")?;
    let found: Vec<_> = numbers.indexed_iter().filter(|(_, v)| **v != 0.0).map(|(place, _)| place).collect();
    call.known_room(found.len().saturating_mul(value.rank()))?;
    let places = (0..value.rank()).flat_map(|axis| found.iter().map(move |place| place[axis] as f64)).collect();
    Ok(vec![Value::known_at(&[value.rank(), found.len()], None, places, Element::Int)])
}

fn eye(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let (&[rows, cols], None) = (&value.shape[..], value.batch) else {
        return Err("expected a matrix without the points".into());
    };
    call.known_room(rows.saturating_mul(cols))?;
    let k = call.integer("k", 0);
    let one = |i: usize| f64::from(u8::from((i % cols) as i64 == (i / cols) as i64 + k));
    Ok(vec![Value::known_at(&[rows, cols], None, (0..rows * cols).map(one).collect(), Element::Float)])
}
