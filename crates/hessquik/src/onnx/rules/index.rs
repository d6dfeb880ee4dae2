//! Operators that take entries at places that are known, or add zeros around them.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Value, count, local};
use super::Rule;
use super::order::chosen_at;
use super::shapes::{permuted, places_of};
use ndarray::{ArrayD, Axis, IxDyn};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Slice" => slice,
        "Gather" => gather,
        "GatherElements" => gather_elements,
        "GatherND" => gather_nd,
        "Pad" => pad,
        "Trilu" => trilu,
        _ => return None,
    })
}

fn slice(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let (starts, ends) = (call.listed("starts", 1)?, call.listed("ends", 2)?);
    let (starts, ends) = starts.zip(ends).ok_or("starts or ends are missing")?;
    let axes = call.listed("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.integers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps have different lengths".into());
    }
    let mut places = places_of(call, value)?;
    let mut shape = value.shape.clone();
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = call.axis(axis, value.rank())?;
        let index = taken(start, end, step, value.shape[axis])?;
        let whole = index.len() == value.shape[axis] && step == 1;
        if whole {
            continue;
        }
        call.apart(value, axis)?;
        let index: Vec<usize> = index.collect();
        shape[axis] = index.len();
        places = places.select(Axis(axis), &index);
    }
    if shape == value.shape && places.iter().enumerate().all(|(i, &p)| i == p) {
        return Ok(vec![value.clone()]);
    }
    Ok(vec![call.moved(value, places.iter().copied(), shape, value.batch)?])
}

/// The entries `start..end` by steps, as numpy takes them; those of an axis with points may be very many.
fn taken(start: i64, end: i64, step: i64, len: usize) -> Result<impl ExactSizeIterator<Item = usize>, String> {
    let n = len as i64;
    let counted = |at: i64, low: i64, high: i64| (if at < 0 { at.saturating_add(n) } else { at }).clamp(low, high);
    let (first, count) = match step {
        0 | i64::MIN => return Err(format!("a step of {step}")),
        s if s > 0 => {
            let (start, end) = (counted(start, 0, n), counted(end, 0, n));
            (start, (end - start).max(0).div_euclid(s) + i64::from((end - start).max(0) % s != 0))
        }
        s => {
            let (start, end) = (counted(start, -1, n - 1), counted(end, -1, n - 1));
            let back = (start - end).max(0);
            (start, back / -s + i64::from(back % -s != 0))
        }
    };
    let count = u32::try_from(count).map_err(|_| "an axis is too long".to_string())?;
    Ok((0..count as usize).map(move |i| (first + i as i64 * step) as usize))
}

/// Indices, which may count from the end, of an axis.
pub(super) fn counted(call: &Call, i: usize, len: usize) -> Result<Vec<usize>, String> {
    let index = call.integers(i)?.ok_or("indices are missing")?;
    let one = |&at: &i64| {
        let at = if at < 0 { at.saturating_add(len as i64) } else { at };
        usize::try_from(at).ok().filter(|&at| at < len).ok_or_else(|| format!("index {at} of an axis of length {len}"))
    };
    index.iter().map(one).collect()
}

fn gather(call: &Call) -> Outcome {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(call.integer("axis", 0), value.rank())?;
    call.apart(value, axis)?;
    let index = if indices.varies() { Vec::new() } else { counted(call, 1, value.shape[axis])? };
    let replaced = |shape: &[usize], by: &[usize]| [&shape[..axis], by, &shape[axis + 1..]].concat();
    let shape = replaced(&value.shape, &indices.shape);
    let moved = |batch: Batch, by: usize| Batch { axis: batch.axis + by, ..batch };
    let batch = match (value.batch, indices.batch) {
        (Some(_), Some(_)) => return Err("brings different points together".into()),
        (Some(own), None) if own.axis > axis => {
            Some(moved(own, indices.rank()).axis - 1).map(|axis| Batch { axis, ..own })
        }
        (own, None) => own,
        (None, Some(theirs)) => Some(moved(theirs, axis)),
    };
    let inside = local(&shape, batch);
    if value.varies() || indices.varies() {
        call.roomy(count(&inside))?
    } else {
        call.known_room(count(&inside))?
    }
    if indices.varies() {
        return gathered(call, axis, shape, batch);
    }
    let places = places_of(call, value)?.select(Axis(axis), &index);
    Ok(vec![call.moved(value, places.iter().copied(), shape, batch)?])
}

/// The entries of an axis at indices that vary, to this shape.
fn gathered(call: &Call, axis: usize, shape: Vec<usize>, batch: Option<Batch>) -> Outcome {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let n = value.shape[axis];
    let order: Vec<usize> = [axis].into_iter().chain((0..value.rank()).filter(|&i| i != axis)).collect();
    let table = call.var(&permuted(call, value, &order)?)?;
    let rest = table.len() / n.max(1);
    let index = call.var(indices)?.flatten();
    let found = chosen_at(call, &index, n)?.matmul(&table.reshape(&[n, rest]));
    let (before, after) = (count(&value.local()[..axis]), count(&value.local()[axis + 1..]));
    let found = found.reshape(&[index.len(), before, after]).permute(&[1, 0, 2]);
    let mut made = call.made(&found, shape, batch)?;
    made.element = value.element;
    Ok(vec![made])
}

fn gather_elements(call: &Call) -> Outcome {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(call.integer("axis", 0), value.rank())?;
    call.apart(value, axis)?;
    let mut indices = indices.clone();
    if indices.rank() != value.rank() {
        return Err("indices have another number of axes".into());
    }
    if let (Some(batch), None) = (value.batch, indices.batch) {
        indices = call.of_one(&indices, batch.axis, batch)?;
    }
    if indices.varies() {
        return gathered_along(call, indices, axis);
    }
    let index = counted(call, 1, value.shape[axis])?;
    let Some(numbers) = indices.numbers().filter(|n| indices.batch == value.batch && n.len() <= index.len()) else {
        return Err("brings different points together".into());
    };
    let places = places_of(call, value)?;
    if numbers.shape().iter().zip(places.shape()).enumerate().any(|(i, (a, b))| i != axis && a > b) {
        return Err("indices reach beyond the array".into());
    }
    let len = value.shape[axis] as i64;
    let at = |(mut place, index): (IxDyn, &f64)| {
        place[axis] = (if *index < 0.0 { *index as i64 + len } else { *index as i64 }) as usize;
        places[place]
    };
    let picked: Vec<usize> = numbers.indexed_iter().map(|(place, index)| at((place, index))).collect();
    Ok(vec![call.moved(value, picked, indices.shape.clone(), value.batch)?])
}

/// The entry of an axis for each entry of an index that varies.
fn gathered_along(call: &Call, indices: Value, axis: usize) -> Outcome {
    let mut value = call.input(0)?.clone();
    if let (Some(batch), None) = (indices.batch, value.batch) {
        value = call.of_one(&value, batch.axis, batch)?;
    }
    if indices.batch != value.batch {
        return Err("brings different points together".into());
    }
    if value.shape.iter().zip(&indices.shape).enumerate().any(|(i, (a, b))| i != axis && a != b) {
        return Err("indices reach over a part of the array only".into());
    }
    let (n, k, last) = (value.shape[axis], indices.shape[axis], value.rank() - 1);
    let mut order: Vec<usize> = (0..=last).collect();
    order.swap(axis, last);
    let v = call.var(&permuted(call, &value, &order)?)?;
    let index = call.var(&permuted(call, &indices, &order)?)?;
    let rows = v.len() / n.max(1);
    let taken = chosen_at(call, &index.flatten(), n)?.reshape(&[rows, k, n]);
    let found = (taken * v.reshape(&[rows, 1, n])).sum(2);
    let shape: Vec<usize> = order.iter().map(|&i| indices.shape[i]).collect();
    let place = |axis: usize| order.iter().position(|&i| i == axis).unwrap_or_default();
    let mut made = call.made(&found, shape, value.batch.map(|b| Batch { axis: place(b.axis), ..b }))?;
    made.element = value.element;
    Ok(vec![permuted(call, &made, &order)?])
}

/// The places of `rest` entries each at indices (.., depth) of the first axes, of these lengths, which may count from the end.
pub(super) fn places_at(indices: &ArrayD<f64>, lengths: &[usize], rest: usize) -> Result<Vec<usize>, String> {
    let flat: Vec<f64> = indices.iter().copied().collect();
    let mut places = Vec::new();
    for index in flat.chunks(lengths.len()) {
        let mut at = 0;
        for (&i, &len) in index.iter().zip(lengths) {
            let i = if i < 0.0 { i + len as f64 } else { i };
            if !(0.0..len as f64).contains(&i) {
                return Err(format!("index {i} of an axis of length {len}"));
            }
            at = at * len + i as usize;
        }
        places.extend(at * rest..(at + 1) * rest);
    }
    Ok(places)
}

fn gather_nd(call: &Call) -> Outcome {
    let (value, indices) = (call.input(0)?, call.input(1)?);
    let skipped = usize::try_from(call.integer("batch_dims", 0)).unwrap_or(usize::MAX);
    let depth = indices.shape.last().copied().unwrap_or(0);
    if skipped != 0 || value.batch.is_some_and(|b| b.axis < depth) || depth > value.rank() || depth == 0 {
        return Err(
            "takes entries along the axis of the points; use Gather or Slice along one of the other axes".into()
        );
    }
    let Some(numbers) = indices.numbers().filter(|_| indices.batch.is_none()) else {
        return Err("indices depend on the points; they must be constant".into());
    };
    let rest = count(&places_of(call, value)?.shape()[depth..]);
    call.roomy((numbers.len() / depth).saturating_mul(rest))?;
    let picked = places_at(numbers, &value.shape[..depth], rest)?;
    let lead = &indices.shape[..indices.rank() - 1];
    let shape = [lead, &value.shape[depth..]].concat();
    let batch = value.batch.map(|b| Batch { axis: b.axis - depth + lead.len(), ..b });
    Ok(vec![call.moved(value, picked, shape, batch)?])
}

fn pad(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let pads = call.listed("pads", 1)?.ok_or("pads are missing")?;
    let rank = value.rank();
    let axes = match call.integers(3)? {
        Some(axes) => axes.iter().map(|&a| call.axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let mode = call.text("mode", "constant");
    let fill = if call.has("value") { call.number("value", 0.0) } else { call.scalar(2)?.unwrap_or(0.0) };
    let mut shape = value.shape.clone();
    let inside = value.local();
    // for each axis, the entry at each place of the result, or none
    let mut from: Vec<Vec<Option<usize>>> = inside.iter().map(|&n| (0..n).map(Some).collect()).collect();
    for (i, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        if (before, after) == (0, 0) {
            continue;
        }
        call.apart(value, axis)?;
        let n = value.shape[axis] as i64;
        let total = n.checked_add(before).and_then(|t| t.checked_add(after)).unwrap_or(-1);
        if !(1..1 << 24).contains(&total) || n == 0 {
            return Err(format!("pads axis {axis} of length {n} by {before} and {after}"));
        }
        let entry = |at: i64| {
            let at = at - before;
            let found = match mode.as_str() {
                "constant" => at,
                "edge" => at.clamp(0, n - 1),
                "wrap" => at.rem_euclid(n),
                _ if n == 1 => 0,
                // there and back
                _ => n - 1 - (at.rem_euclid(2 * n - 2) - (n - 1)).abs(),
            };
            usize::try_from(found).ok().filter(|&f| f < n as usize)
        };
        if !matches!(mode.as_str(), "constant" | "edge" | "wrap" | "reflect") {
            return Err(format!("mode is {mode:?}, expected constant, edge, wrap or reflect"));
        }
        shape[axis] = total as usize;
        from[axis] = (0..total).map(entry).collect();
    }
    let outside = local(&shape, value.batch);
    if value.varies() {
        call.roomy(count(&outside))?
    } else {
        call.known_room(count(&outside))?
    }
    let strides: Vec<usize> = (0..rank).map(|i| count(&inside[i + 1..])).collect();
    let mut places: Vec<Option<usize>> = vec![Some(0)];
    for (axis, entries) in from.iter().enumerate() {
        let stride = strides[axis];
        let step = |at: &Option<usize>| {
            let at = *at;
            entries.iter().map(move |e| Some(at? + (*e)? * stride)).collect::<Vec<_>>()
        };
        places = places.iter().flat_map(step).collect();
    }
    if let Some(numbers) = value.numbers() {
        let flat: Vec<f64> = numbers.iter().copied().collect();
        let padded = places.iter().map(|p| p.map_or(fill, |p| flat[p])).collect();
        return Ok(vec![Value::known_at(&shape, value.batch, padded, value.element)]);
    }
    let pairs = places.iter().enumerate().filter_map(|(to, from)| Some(((*from)?, to)));
    let mut parts = vec![(call.var(value)?, pairs.collect::<Vec<_>>())];
    if fill != 0.0 {
        let around = places.iter().map(|p| if p.is_some() { 0.0 } else { fill }).collect();
        let around = ArrayD::from_shape_vec(IxDyn(&outside), around).map_err(|e| e.to_string())?;
        let n = around.len();
        parts.push((call.constant(&around)?, (0..n).map(|i| (i, i)).collect()));
    }
    let var = call.desk.point.assembled(outside, parts);
    Ok(vec![call.made(&var, shape, value.batch)?])
}

/// The upper or lower triangle of matrices.
fn trilu(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let rank = value.rank();
    if rank < 2 {
        return Err("expected matrices".into());
    }
    call.apart(value, rank - 1)?;
    call.apart(value, rank - 2)?;
    let k = call.scalar(1)?.unwrap_or(0.0);
    let upper = call.integer("upper", 1) == 1;
    let inside = value.local();
    let (rows, cols) = (inside[rank - 2], inside[rank - 1]);
    let kept = |at: usize| {
        let above = (at % cols) as f64 - (at / cols % rows) as f64 - k;
        if upper { above >= 0.0 } else { above <= 0.0 }
    };
    let len = count(&inside);
    if let Some(numbers) = value.numbers() {
        let numbers = numbers.iter().enumerate().map(|(i, &v)| if kept(i) { v } else { 0.0 }).collect();
        return Ok(vec![Value::known_at(&value.shape, value.batch, numbers, value.element)]);
    }
    let places: Vec<(usize, usize)> = (0..len).filter(|&i| kept(i)).map(|i| (i, i)).collect();
    let var = call.desk.point.assembled(inside, [(call.var(value)?, places)]);
    Ok(vec![call.made(&var, value.shape.clone(), value.batch)?])
}
