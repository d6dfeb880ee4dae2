//! Operators that depend on the order of entries, or on an index that varies: by masks that are constant near a point.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Element, Value, count};
use super::Rule;
use super::branches::greater;
use super::shapes::permuted;
use crate::Var;
use ndarray::{Array1, Array2};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "TopK" => top,
        "ArgMax" => |call| place(call, true),
        "ArgMin" => |call| place(call, false),
        "OneHot" => one_hot,
        _ => return None,
    })
}

/// The place of each entry of rows (rows, n) in the order of size; of equal ones, the first comes first.
fn ranks(call: &Call, v: &Var<f64>, descending: bool) -> Result<Var<f64>, String> {
    let &[rows, n] = v.shape() else { return Err("expected rows".into()) };
    call.roomy(count(&[rows, n, n]))?;
    let (a, b) = (v.reshape(&[rows, n, 1]), v.reshape(&[rows, 1, n]));
    let (above, below) = (greater(&(&a - &b)), greater(&(&b - &a)));
    let equal = 1.0 - &above - &below;
    let earlier = Array2::from_shape_fn((n, n), |(i, j)| f64::from(u8::from(j < i))).into_dyn();
    let before = if descending { below } else { above };
    Ok((before + equal * call.constant(&earlier)?).sum(2))
}

/// 1 at the entry of a new last axis of length `n` whose number an index (k) is, and 0 elsewhere: (k, n).
fn chosen(call: &Call, index: &Var<f64>, n: usize) -> Result<Var<f64>, String> {
    call.roomy(index.len().saturating_mul(n))?;
    let numbers = call.constant(&Array1::from_iter((0..n).map(|i| i as f64)).into_dyn())?;
    let index = index.reshape(&[index.len(), 1]);
    Ok(greater(&(&index - &numbers + 0.5)) * greater(&(numbers - index + 0.5)))
}

/// The same of an index that may count from the end, by numbers below zero.
pub(super) fn chosen_at(call: &Call, index: &Var<f64>, n: usize) -> Result<Var<f64>, String> {
    chosen(call, &(index + greater(&(-index)) * n as f64), n)
}

/// The first `k` entries along an axis in the order of size, and the places that they come from; the axis is last.
fn ordered(call: &Call, axis: usize, k: usize, descending: bool) -> Result<([Var<f64>; 2], Vec<usize>), String> {
    let value = call.input(0)?;
    call.apart(value, axis)?;
    let n = value.shape[axis];
    if k == 0 || k > n {
        return Err(format!("{k} of the {n} entries of axis {axis}"));
    }
    let order: Vec<usize> = (0..value.rank()).filter(|&i| i != axis).chain([axis]).collect();
    let v = call.var(&permuted(call, value, &order)?)?;
    let rows = v.len() / n;
    let v = v.reshape(&[rows, n]);
    call.roomy(count(&[rows, n, k]))?;
    // (rows, n, k): whether entry i of a row is at place j
    let taken = chosen(call, &ranks(call, &v, descending)?.flatten(), n)?.reshape(&[rows, n, n]).slice(2, 0..k);
    let numbers = call.constant(&Array2::from_shape_fn((n, 1), |(i, _)| i as f64).into_dyn())?;
    Ok(([(&taken * v.reshape(&[rows, n, 1])).sum(1), (taken * numbers).sum(1)], order))
}

/// A result whose axis was moved to the end, with `k` entries along it.
fn back(call: &Call, var: &Var<f64>, order: &[usize], k: usize, element: Element) -> Result<Value, String> {
    let value = call.input(0)?;
    let last = value.rank() - 1;
    let mut shape: Vec<usize> = order[..last].iter().map(|&i| value.shape[i]).collect();
    shape.push(k);
    let place = |axis: usize| order.iter().position(|&i| i == axis).unwrap_or_default();
    let mut made = call.made(var, shape, value.batch.map(|b| Batch { axis: place(b.axis), ..b }))?;
    made.element = element;
    permuted(call, &made, &(0..=last).map(place).collect::<Vec<_>>())
}

fn top(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.integer("axis", -1), value.rank())?;
    let k = call.scalar(1)?.ok_or("the number of entries is missing")? as usize;
    let ([values, places], order) = ordered(call, axis, k, call.integer("largest", 1) == 1)?;
    Ok(vec![back(call, &values, &order, k, value.element)?, back(call, &places, &order, k, Element::Int)?])
}

fn place(call: &Call, largest: bool) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.integer("axis", 0), value.rank())?;
    if call.integer("select_last_index", 0) == 1 {
        return Err("takes the last of equal entries (select_last_index), which is not supported".into());
    }
    let ([_, places], order) = ordered(call, axis, 1, largest)?;
    let found = back(call, &places, &order, 1, Element::Int)?;
    if call.integer("keepdims", 1) == 1 {
        return Ok(vec![found]);
    }
    let mut shape = found.shape.clone();
    shape.remove(axis);
    Ok(vec![call.reshaped(&found, shape)?])
}

fn one_hot(call: &Call) -> Outcome {
    let index = call.input(0)?;
    let n = call.scalar(1)?.ok_or("the number of classes is missing")? as usize;
    let values = call.input(2)?;
    let &[off, on] =
        &values.numbers().ok_or("the values depend on the points")?.iter().copied().collect::<Vec<_>>()[..]
    else {
        return Err("expected two values, off and on".into());
    };
    let axis = call.axis(call.integer("axis", -1), index.rank() + 1)?;
    let made = chosen_at(call, &call.var(index)?.flatten(), n)? * (on - off) + off;
    let shape = [&index.shape[..], &[n]].concat();
    let mut made = call.made(&made, shape, index.batch)?;
    made.element = values.element;
    let last = index.rank();
    let order: Vec<usize> = (0..axis).chain([last]).chain(axis..last).collect();
    Ok(vec![permuted(call, &made, &order)?])
}
