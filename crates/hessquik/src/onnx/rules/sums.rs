//! Operators along axes: sums and the like, softmax.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Element, Value, count};
use super::Rule;
use super::branches::greater;
use super::shapes::{permuted, places_of};
use crate::Var;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "ReduceSum" => |call| reduced(call, |v| v.sum(1)),
        "ReduceMean" => |call| reduced(call, |v| v.mean(1)),
        "ReduceMax" => |call| reduced(call, |v| v.max(1)),
        "ReduceMin" => |call| reduced(call, |v| -(-v).max(1)),
        "ReduceProd" => |call| reduced(call, product),
        "ReduceSumSquare" => |call| reduced(call, |v| v.square().sum(1)),
        "ReduceL1" => |call| reduced(call, |v| (v * (greater(v) - greater(&-v))).sum(1)),
        "ReduceL2" => |call| reduced(call, |v| v.square().sum(1).sqrt()),
        "ReduceLogSum" => |call| reduced(call, |v| v.sum(1).ln()),
        "ReduceLogSumExp" => |call| reduced(call, |v| v.log_sum_exp(1)),
        "Softmax" => |call| along(call, |v| v.softmax(1)),
        "LogSoftmax" => |call| along(call, |v| v.log_softmax(1)),
        "LpNormalization" => lp,
        "CumSum" => cumsum,
        _ => return None,
    })
}

/// The product of rows, (outer, n) to (outer, 1), by halves.
fn product(v: &Var<f64>) -> Var<f64> {
    let mut v = v.clone();
    while v.shape()[1] > 1 {
        let (n, half) = (v.shape()[1], v.shape()[1] / 2);
        let pairs = v.slice(1, 0..half) * v.slice(1, half..2 * half);
        v = if n % 2 == 1 { Var::concat(1, &[pairs, v.slice(1, 2 * half..n)]) } else { pairs };
    }
    v
}

/// A value with some axes last, as rows at one point.
pub(super) fn rows(call: &Call, value: &Value, axes: &[usize]) -> Result<Var<f64>, String> {
    for &axis in axes {
        call.apart(value, axis)?;
    }
    let kept = (0..value.rank()).filter(|i| !axes.contains(i));
    let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    let last = if order.is_sorted() { value.clone() } else { permuted(call, value, &order)? };
    let n: usize = axes.iter().map(|&a| value.shape[a]).product();
    let v = call.var(&last)?;
    let outer = v.len() / n.max(1);
    Ok(v.reshape(&[outer, n]))
}

fn reduced(call: &Call, f: fn(&Var<f64>) -> Var<f64>) -> Outcome {
    let value = call.input(0)?;
    let given = call.listed("axes", 1)?.filter(|axes| !axes.is_empty());
    let axes = match given {
        Some(axes) => call.axes(&axes, value.rank())?,
        None if call.integer("noop_with_empty_axes", 0) == 1 => return Ok(vec![value.clone()]),
        None => (0..value.rank()).collect(),
    };
    let keep = call.integer("keepdims", 1) == 1;
    let kept = (0..value.rank()).filter(|i| keep || !axes.contains(i));
    let shape: Vec<usize> = kept.clone().map(|i| if axes.contains(&i) { 1 } else { value.shape[i] }).collect();
    let batch = value.batch.and_then(|b| {
        let axis = kept.clone().position(|i| i == b.axis)?;
        Some(Batch { axis, ..b })
    });
    if count(&value.shape) == 0 {
        return Err("reduces an array without entries".into());
    }
    let v = rows(call, value, &axes)?;
    let mut made = call.made(&f(&v), shape, batch)?;
    made.element = if value.element == Element::Int { Element::Int } else { Element::Float };
    Ok(vec![made])
}

/// A function along one axis; before opset 13, along all axes from that one on.
fn along(call: &Call, f: fn(&Var<f64>) -> Var<f64>) -> Outcome {
    let value = call.input(0)?;
    let rank = value.rank();
    let axis = call.axis(call.integer("axis", if call.opset < 13 { 1 } else { -1 }), rank)?;
    if call.opset < 13 && axis + 1 < rank {
        let axes: Vec<usize> = (axis..rank).collect();
        let v = rows(call, value, &axes)?;
        return Ok(vec![call.made(&f(&v), value.shape.clone(), value.batch)?]);
    }
    back(call, value, axis, f)
}

/// A function of rows along one axis, which gives as many entries.
fn back(call: &Call, value: &Value, axis: usize, f: impl Fn(&Var<f64>) -> Var<f64>) -> Outcome {
    let v = f(&rows(call, value, &[axis])?);
    let rank = value.rank();
    let order: Vec<usize> = (0..rank).filter(|&i| i != axis).chain([axis]).collect();
    let shape = order.iter().map(|&i| value.shape[i]).collect();
    let place = |i: usize| order.iter().position(|&o| o == i).expect("each axis once");
    let batch = value.batch.map(|b| Batch { axis: place(b.axis), ..b });
    let last = call.made(&v, shape, batch)?;
    let inverse: Vec<usize> = (0..rank).map(place).collect();
    Ok(vec![if inverse.is_sorted() { last } else { permuted(call, &last, &inverse)? }])
}

fn lp(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.integer("axis", -1), value.rank())?;
    match call.integer("p", 2) {
        1 => back(call, value, axis, |v| v / (v * (greater(v) - greater(&-v))).sum(1)),
        2 => back(call, value, axis, |v| v * v.square().sum(1).powf(-0.5)),
        p => Err(format!("p is {p}, expected 1 or 2")),
    }
}

fn cumsum(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.scalar(1)?.unwrap_or(0.0) as i64, value.rank())?;
    call.apart(value, axis)?;
    let (exclusive, reverse) = (call.integer("exclusive", 0) == 1, call.integer("reverse", 0) == 1);
    let n = value.shape[axis];
    call.roomy(count(&value.local()).saturating_mul(n))?;
    let places = places_of(call, value)?;
    let (outer, inner) = (count(&places.shape()[..axis]), count(&places.shape()[axis + 1..]));
    let mut pairs = Vec::new();
    for o in 0..outer {
        for to in 0..n {
            let counts = |from: usize| if reverse { from > to } else { from < to } || from == to && !exclusive;
            for from in (0..n).filter(|&from| counts(from)) {
                pairs.extend((0..inner).map(|i| ((o * n + from) * inner + i, (o * n + to) * inner + i)));
            }
        }
    }
    let var = call.desk.point.assembled(value.local(), [(call.var(value)?, pairs)]);
    Ok(vec![call.made(&var, value.shape.clone(), value.batch)?])
}
