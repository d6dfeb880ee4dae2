//! Operators that put entries at places that are known.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Value, count};
use super::Rule;
use super::index::{counted, places_at};
use super::shapes::places_of;
use ndarray::IxDyn;
use std::collections::HashSet;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "ScatterElements" | "Scatter" => elements,
        "ScatterND" => rows,
        _ => return None,
    })
}

/// The array and its updates, where axis `a + depth` of the array is axis `a + lead` of the updates.
fn aligned(call: &Call, depth: usize, lead: usize) -> Result<[Value; 2], String> {
    let (value, updates) = (call.input(0)?.clone(), call.input(2)?.clone());
    const APART: &str = "brings different points together";
    match (value.batch, updates.batch) {
        (None, None) => Ok([value, updates]),
        (Some(own), None) => {
            // the same for all points
            let axis = (own.axis + lead).checked_sub(depth).filter(|&axis| axis < updates.rank()).ok_or(APART)?;
            let updates = call.of_one(&updates, axis, Batch { axis, ..own })?;
            Ok([value, updates])
        }
        (own, Some(theirs)) => {
            let axis = (theirs.axis + depth).checked_sub(lead).filter(|&axis| axis < value.rank()).ok_or(APART)?;
            let batch = Batch { axis, ..theirs };
            match own {
                Some(own) if own != batch => Err(APART.into()),
                Some(_) => Ok([value, updates]),
                None => Ok([call.of_one(&value, batch.axis, batch)?, updates]),
            }
        }
    }
}

/// The array with updates at places: `targets` has the place of each entry of the updates.
fn put(call: &Call, [value, updates]: [Value; 2], targets: &[usize]) -> Outcome {
    let reduction = call.text("reduction", "none");
    let n = count(&value.local());
    call.roomy(n)?;
    call.roomy(targets.len())?;
    if count(&updates.local()) != targets.len() {
        return Err("the updates do not fit the indices".into());
    }
    let mut pairs: Vec<(usize, usize)> = targets.iter().copied().enumerate().collect();
    let kept: Vec<(usize, usize)> = match reduction.as_str() {
        "add" => (0..n).map(|i| (i, i)).collect(),
        "none" => {
            // of several updates of one entry the last one stays
            let mut taken = HashSet::new();
            pairs = pairs.into_iter().rev().filter(|&(_, to)| taken.insert(to)).collect();
            (0..n).filter(|i| !taken.contains(i)).map(|i| (i, i)).collect()
        }
        other => return Err(format!("reduction is {:?}, expected none or add", other.escape_debug().to_string())),
    };
    let mut parts = Vec::new();
    for (source, pairs) in [(&value, kept), (&updates, pairs)] {
        if !pairs.is_empty() {
            parts.push((call.var(source)?, pairs));
        }
    }
    let var = call.desk.point.assembled(value.local(), parts);
    let mut made = call.made(&var, value.shape.clone(), value.batch)?;
    made.element = value.element;
    Ok(vec![made])
}

fn elements(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.integer("axis", 0), value.rank())?;
    call.apart(value, axis)?;
    let [value, updates] = aligned(call, 0, 0)?;
    let mut indices = call.input(1)?.clone();
    if indices.rank() != value.rank() || updates.rank() != value.rank() {
        return Err("indices or updates have another number of axes".into());
    }
    if let (Some(batch), None) = (value.batch, indices.batch) {
        indices = call.of_one(&indices, batch.axis, batch)?;
    }
    counted(call, 1, value.shape[axis])?;
    let Some(numbers) = indices.numbers().filter(|_| indices.batch == value.batch) else {
        return Err("brings different points together".into());
    };
    let (places, len) = (places_of(call, &value)?, value.shape[axis] as f64);
    if numbers.shape() != updates.local()
        || numbers.shape().iter().zip(places.shape()).enumerate().any(|(i, (a, b))| i != axis && a > b)
    {
        return Err("indices do not fit the array and the updates".into());
    }
    let target = |(mut place, index): (IxDyn, &f64)| {
        place[axis] = if *index < 0.0 { *index + len } else { *index } as usize;
        places[place]
    };
    let targets: Vec<usize> = numbers.indexed_iter().map(|(place, index)| target((place, index))).collect();
    put(call, [value, updates], &targets)
}

fn rows(call: &Call) -> Outcome {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let depth = indices.shape.last().copied().unwrap_or(0);
    if depth == 0 || depth > value.rank() || value.batch.is_some_and(|b| b.axis < depth) {
        return Err("puts entries along the axis of the points".into());
    }
    let Some(numbers) = indices.numbers().filter(|_| indices.batch.is_none()) else {
        return Err("indices depend on the points; they must be constant".into());
    };
    let lead = indices.rank() - 1;
    let [value, updates] = aligned(call, depth, lead)?;
    let wanted = [&indices.shape[..lead], &value.shape[depth..]].concat();
    if updates.shape != wanted {
        return Err(format!("updates have shape {}, expected {wanted:?}", call.shown(&updates.shape, updates.batch)));
    }
    let rest = count(&value.local()[depth..]);
    call.roomy((numbers.len() / depth).saturating_mul(rest))?;
    let targets = places_at(numbers, &value.shape[..depth], rest)?;
    put(call, [value, updates], &targets)
}
