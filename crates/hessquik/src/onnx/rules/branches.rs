//! Operators with branches, which are constant near a point: comparisons, choices, the larger of two.
use super::super::call::{Call, Outcome};
use super::super::value::{Data, Element, Value, count};
use super::Rule;
use super::pairs::{Together, together};
use crate::{Activation, Var};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Greater" => |call| compared(call, |a, b| a > b, |a, b| greater(&(a - b))),
        "Less" => |call| compared(call, |a, b| a < b, |a, b| greater(&(b - a))),
        "GreaterOrEqual" => |call| compared(call, |a, b| a >= b, |a, b| 1.0 - greater(&(b - a))),
        "LessOrEqual" => |call| compared(call, |a, b| a <= b, |a, b| 1.0 - greater(&(a - b))),
        "Equal" => |call| compared(call, |a, b| a == b, |a, b| 1.0 - greater(&(a - b)) - greater(&(b - a))),
        "And" => |call| compared(call, |a, b| a * b != 0.0, |a, b| a * b),
        "Or" => |call| compared(call, |a, b| a + b != 0.0, |a, b| a + b - a * b),
        "Xor" => |call| compared(call, |a, b| (a != 0.0) != (b != 0.0), |a, b| greater(&(a - b)) + greater(&(b - a))),
        "Not" => not,
        "Sign" => |call| call.alike(call.input(0)?, |v| greater(&v) - greater(&-&v)),
        "Where" => choose,
        "Max" => |call| extreme(call, f64::max, |a, b| greater(&(a - b))),
        "Min" => |call| extreme(call, f64::min, |a, b| greater(&(b - a))),
        "Clip" => clip,
        "IsNaN" => |call| rare(call, |_, v| v.is_nan()),
        "IsInf" => |call| {
            rare(call, |call, v| {
                v.is_infinite() && call.integer(if v > 0.0 { "detect_positive" } else { "detect_negative" }, 1) == 1
            })
        },
        _ => return None,
    })
}

/// 1 above zero, else 0.
pub(super) fn greater(v: &Var<f64>) -> Var<f64> {
    v.act(Activation::Step)
}

/// `a` where the condition is 1, `b` where it is 0: both are computed.
fn where_else(condition: &Var<f64>, a: &Var<f64>, b: &Var<f64>) -> Var<f64> {
    condition * a + (1.0 - condition) * b
}

/// At least `low` and at most `high`.
pub(super) fn clamp(v: &Var<f64>, low: Option<f64>, high: Option<f64>) -> Var<f64> {
    let mut v = v.clone();
    if let Some(low) = low.filter(|l| *l > f64::MIN) {
        let above = greater(&(&v - low));
        v = &above * &v + (1.0 - &above) * low;
    }
    if let Some(high) = high.filter(|h| *h < f64::MAX) {
        let below = greater(&(high - &v));
        v = &below * &v + (1.0 - &below) * high;
    }
    v
}

fn compared(call: &Call, known: fn(f64, f64) -> bool, varies: fn(&Var<f64>, &Var<f64>) -> Var<f64>) -> Outcome {
    let pair = together(call, &[call.input(0)?, call.input(1)?])?;
    if let Some(known) = pair.known(call, Element::Bool, |a, b| f64::from(u8::from(known(a, b)))) {
        return known;
    }
    let vars = pair.vars(call)?;
    let mut made = call.made(&varies(&vars[0], &vars[1]), pair.shape, pair.batch)?;
    made.element = Element::Bool;
    Ok(vec![made])
}

fn not(call: &Call) -> Outcome {
    let value = call.input(0)?;
    if let Some(numbers) = value.numbers() {
        let numbers = numbers.iter().map(|&v| f64::from(u8::from(v == 0.0))).collect();
        return Ok(vec![Value::known_at(&value.shape, value.batch, numbers, Element::Bool)]);
    }
    let mut made = call.alike(value, |v| 1.0 - v)?;
    made[0].element = Element::Bool;
    Ok(made)
}

/// What holds for numbers that are not finite: never where there are derivatives.
fn rare(call: &Call, holds: fn(&Call, f64) -> bool) -> Outcome {
    let value = call.input(0)?;
    let n = count(&value.local());
    call.known_room(n)?;
    let numbers = match value.numbers() {
        Some(numbers) => numbers.iter().map(|&v| f64::from(u8::from(holds(call, v)))).collect(),
        None => vec![0.0; n],
    };
    Ok(vec![Value::known_at(&value.shape, value.batch, numbers, Element::Bool)])
}

fn choose(call: &Call) -> Outcome {
    let all = together(call, &[call.input(0)?, call.input(1)?, call.input(2)?])?;
    let element = call.input(1)?.element;
    let Together { values, shape, batch } = &all;
    let inside = all.local();
    let Some(condition) = values[0].numbers() else {
        let vars = all.vars(call)?;
        let mut made = call.made(&where_else(&vars[0], &vars[1], &vars[2]), shape.clone(), *batch)?;
        made.element = element;
        return Ok(vec![made]);
    };
    let condition = condition.broadcast(inside.clone()).ok_or("has shapes that do not broadcast")?;
    let yes: Vec<bool> = condition.iter().map(|&c| c != 0.0).collect();
    if let (Some(a), Some(b)) = (values[1].numbers(), values[2].numbers()) {
        call.known_room(yes.len())?;
        let wide = |v: &ndarray::ArrayD<f64>| -> Option<Vec<f64>> {
            Some(v.broadcast(inside.clone())?.iter().copied().collect())
        };
        let (a, b) = wide(a).zip(wide(b)).ok_or("has shapes that do not broadcast")?;
        let numbers = yes.iter().enumerate().map(|(i, &yes)| if yes { a[i] } else { b[i] }).collect();
        return Ok(vec![Value::known_at(shape, *batch, numbers, element)]);
    }
    call.roomy(yes.len())?;
    // the entries of each branch in their places, so that what is not taken need not be finite
    let mut parts = Vec::new();
    for (value, taken) in [(&values[1], true), (&values[2], false)] {
        let places: Vec<(usize, usize)> = (0..yes.len()).filter(|&i| yes[i] == taken).map(|i| (i, i)).collect();
        if !places.is_empty() {
            parts.push((call.var(value)?.broadcast_to(&inside), places));
        }
    }
    let var = call.desk.point.assembled(inside, parts);
    let mut made = call.made(&var, shape.clone(), *batch)?;
    made.element = element;
    Ok(vec![made])
}

/// The largest or smallest of all operands, entry by entry.
fn extreme(call: &Call, f: fn(f64, f64) -> f64, first: fn(&Var<f64>, &Var<f64>) -> Var<f64>) -> Outcome {
    let operands: Vec<&Value> = call.inputs.iter().flatten().collect();
    let [start, rest @ ..] = &operands[..] else { return Err("has no operands".into()) };
    let mut best = (*start).clone();
    for other in rest {
        let pair = together(call, &[&best, other])?;
        if let Some(known) = pair.known(call, best.element, f) {
            best = known?.remove(0);
            continue;
        }
        let vars = pair.vars(call)?;
        let out = where_else(&first(&vars[0], &vars[1]), &vars[0], &vars[1]);
        let element = best.element;
        best = call.made(&out, pair.shape, pair.batch)?;
        best.element = element;
    }
    if let (Data::Known { weight, .. }, true) = (&mut best.data, operands.len() > 1) {
        *weight = None;
    }
    Ok(vec![best])
}

fn clip(call: &Call) -> Outcome {
    let bound = |name: &str, i: usize| -> Result<Option<f64>, String> {
        if call.has(name) { Ok(Some(call.number(name, 0.0))) } else { call.scalar(i) }
    };
    let (low, high) = (bound("min", 1)?, bound("max", 2)?);
    let value = call.input(0)?;
    if let Some(numbers) = value.numbers() {
        let clipped = |&v: &f64| v.max(low.unwrap_or(f64::NEG_INFINITY)).min(high.unwrap_or(f64::INFINITY));
        let numbers = numbers.iter().map(clipped).collect();
        return Ok(vec![Value::known_at(&value.shape, value.batch, numbers, value.element)]);
    }
    call.alike(value, |v| clamp(&v, low, high))
}
