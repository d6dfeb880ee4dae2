//! Operators that change shapes: entries keep their values.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Data, Element, Value, count, local};
use super::Rule;
use crate::graph::broadcast;
use ndarray::{ArrayD, Axis, IxDyn, Slice};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Shape" => shape,
        "Size" => size,
        "Reshape" => reshape,
        "Flatten" => flatten,
        "Squeeze" => squeeze,
        "Unsqueeze" => unsqueeze,
        "Transpose" => transpose,
        "Expand" => expand,
        "Tile" => tile,
        "Concat" => concat,
        "Split" => split,
        _ => return None,
    })
}

/// The numbers of the entries of an array of this shape, in C order.
pub(super) fn places(shape: &[usize]) -> ArrayD<usize> {
    let numbers = (0..count(shape)).collect();
    ArrayD::from_shape_vec(IxDyn(shape), numbers).expect("as many as the shape holds")
}

/// Places within bounds: an array of the entries' numbers is made before the entries are.
pub(super) fn places_of(call: &Call, value: &Value) -> Result<ArrayD<usize>, String> {
    let shape = value.local();
    if value.varies() {
        call.roomy(count(&shape))?
    } else {
        call.known_room(count(&shape))?
    }
    Ok(places(&shape))
}

fn shape(call: &Call) -> Outcome {
    let shape = &call.input(0)?.shape;
    let clamped = |at: i64| {
        let rank = shape.len() as i64;
        (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize
    };
    let (start, end) = (clamped(call.integer("start", 0)), clamped(call.integer("end", i64::MAX)));
    let part = shape.get(start..end).unwrap_or_default();
    Ok(vec![Value::integers(part.iter().map(|&n| n as f64).collect())])
}

fn size(call: &Call) -> Outcome {
    let n = count(&call.input(0)?.shape) as f64;
    Ok(vec![Value::known_at(&[], None, vec![n], Element::Int)])
}

fn lengths(list: &[i64]) -> Result<Vec<usize>, String> {
    let found: Option<Vec<usize>> = list.iter().map(|&n| usize::try_from(n).ok()).collect();
    found.filter(|f| f.len() <= 32).ok_or_else(|| format!("shape {list:?} is not one"))
}

fn reshape(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let wanted = call.integers(1)?.ok_or("the new shape is missing")?;
    let keep_zero = call.integer("allowzero", 0) == 1;
    let mut new: Vec<i64> = Vec::with_capacity(wanted.len());
    for (i, &n) in wanted.iter().enumerate() {
        new.push(match n {
            0 if !keep_zero => {
                *value.shape.get(i).ok_or("a 0 in the new shape copies an axis that is not there")? as i64
            }
            n => n,
        });
    }
    if let Some(free) = new.iter().position(|&n| n == -1) {
        let others = new.iter().enumerate().filter(|(i, _)| *i != free).map(|(_, &n)| n);
        let rest = others.map(|n| usize::try_from(n).ok()).try_fold(1usize, |p, n| p.checked_mul(n?));
        let total = count(&value.shape);
        new[free] = match rest {
            Some(rest) if rest > 0 && total.is_multiple_of(rest) => (total / rest) as i64,
            _ => return Err(misfit(call, value, &wanted)),
        };
    }
    let new = lengths(&new)?;
    if count(&new) != count(&value.shape) {
        return Err(misfit(call, value, &wanted));
    }
    Ok(vec![call.reshaped(value, new)?])
}

fn misfit(call: &Call, value: &Value, wanted: &[i64]) -> String {
    let shown = call.shown(&value.shape, value.batch);
    let hint = match call.desk.any {
        true => {
            "; if it has the number of points of the export in it, export with a dynamic first axis \
                 (dynamic_shapes or dynamic_axes), or with a single point"
        }
        false => "",
    };
    format!("shape {shown} does not become {wanted:?} for every number of points{hint}")
}

fn flatten(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let rank = value.rank() as i64;
    let axis = call.integer("axis", 1);
    let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
    let Some((before, after)) = usize::try_from(axis).ok().and_then(|a| value.shape.split_at_checked(a)) else {
        return Err(format!("axis {axis} of an array of {rank} axes"));
    };
    Ok(vec![call.reshaped(value, vec![count(before), count(after)])?])
}

fn squeeze(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let gone = match call.listed("axes", 1)? {
        Some(axes) => call.axes(&axes, value.rank())?,
        None => (0..value.rank()).filter(|&i| value.shape[i] == 1).collect(),
    };
    if let Some(&axis) = gone.iter().find(|&&axis| value.shape[axis] != 1) {
        return Err(format!("axis {axis} does not have length 1"));
    }
    let kept = (0..value.rank()).filter(|i| !gone.contains(i));
    Ok(vec![call.reshaped(value, kept.map(|i| value.shape[i]).collect())?])
}

fn unsqueeze(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axes = call.listed("axes", 1)?.ok_or("axes are missing")?;
    let rank = value.rank() + axes.len();
    if rank > 32 {
        return Err(format!("gives an array of {rank} axes"));
    }
    let new = call.axes(&axes, rank)?;
    let mut old = value.shape.iter();
    let shape: Option<Vec<usize>> =
        (0..value.rank() + new.len()).map(|i| if new.contains(&i) { Some(1) } else { old.next().copied() }).collect();
    match shape.filter(|s| count(s) == count(&value.shape) && old.next().is_none()) {
        Some(shape) => Ok(vec![call.reshaped(value, shape)?]),
        None => Err(format!("axes {axes:?} are not those of a new shape")),
    }
}

fn transpose(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let rank = value.rank();
    let order = match call.list("perm") {
        Some(perm) => perm.iter().map(|&a| call.axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![permuted(call, value, &order)?])
}

/// Axes in another order.
pub(super) fn permuted(call: &Call, value: &Value, order: &[usize]) -> Result<Value, String> {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if sorted != (0..value.rank()).collect::<Vec<_>>() {
        return Err(format!("axes {order:?} are not those of an array of {} axes", value.rank()));
    }
    let place = |axis: usize| order.iter().position(|&a| a == axis).expect("each axis once");
    let batch = value.batch.map(|batch| Batch { axis: place(batch.axis), ..batch });
    let shape = order.iter().map(|&a| value.shape[a]).collect();
    let places = places_of(call, value)?.permuted_axes(IxDyn(order));
    call.moved(value, places.iter().copied(), shape, batch)
}

fn expand(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let wanted = lengths(&call.integers(1)?.ok_or("the new shape is missing")?)?;
    Ok(vec![expanded(call, value, &wanted)?])
}

/// The entries repeated to a larger shape, as numpy broadcasts; lengths of 1 in `wanted` change nothing.
fn expanded(call: &Call, value: &Value, wanted: &[usize]) -> Result<Value, String> {
    let misfit = || format!("does not broadcast to {}", call.shown(wanted, None));
    let shape = broadcast(&value.shape, wanted).ok_or_else(misfit)?;
    let missing = shape.len() - value.rank();
    let own = value.batch.map(|batch| Batch { axis: batch.axis + missing, ..batch });
    let batch = placed(call, &shape, own)?;
    if let (Some(own), Some(new)) = (own, batch)
        && own != new
    {
        return Err("brings different points together".into());
    }
    let inside = local(&shape, batch);
    if value.varies() {
        call.roomy(count(&inside))?
    } else {
        call.known_room(count(&inside))?
    }
    let places = places_of(call, value)?;
    let wide = places.broadcast(IxDyn(&inside)).ok_or("does not broadcast")?;
    call.moved(value, wide.iter().copied(), shape, batch)
}

/// Where the points are in a shape that was computed: the given place, or the axis whose length is a multiple of what
/// stands for their number.
pub(super) fn placed(call: &Call, shape: &[usize], given: Option<Batch>) -> Result<Option<Batch>, String> {
    let (Some(points), true) = (call.desk.points, call.desk.any) else { return Ok(given) };
    let mut found = given;
    for (axis, &n) in shape.iter().enumerate() {
        if given.is_some_and(|g| g.axis == axis) || n == 0 || n % points != 0 {
            continue;
        }
        if found.is_some() {
            return Err("gives an array with the number of points along two axes".into());
        }
        found = Some(Batch { axis, before: 1, after: n / points });
    }
    Ok(found)
}

fn tile(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let repeats = lengths(&call.integers(1)?.ok_or("the numbers of repeats are missing")?)?;
    if repeats.len() != value.rank() {
        return Err(format!("{} repeats for {} axes", repeats.len(), value.rank()));
    }
    if let Some(batch) = value.batch.filter(|b| repeats[b.axis] != 1) {
        call.apart(value, batch.axis)?;
    }
    // each axis behind one of its repeats, then both as one
    let pairs: Vec<usize> = repeats.iter().zip(&value.shape).flat_map(|(&r, &n)| [r, n]).collect();
    let apart: Vec<usize> = value.shape.iter().flat_map(|&n| [1, n]).collect();
    let shape: Vec<usize> = repeats.iter().zip(&value.shape).map(|(&r, &n)| r.saturating_mul(n)).collect();
    let wide = expanded(call, &call.reshaped(value, apart)?, &pairs)?;
    Ok(vec![call.reshaped(&wide, shape)?])
}

fn concat(call: &Call) -> Outcome {
    let parts: Vec<&Value> = call.inputs.iter().flatten().filter(|v| count(&v.shape) > 0).collect();
    let Some(&first) = parts.first() else {
        return Ok(vec![call.input(0)?.clone()]);
    };
    let axis = call.axis(call.integer("axis", 0), first.rank())?;
    let batch = parts.iter().find_map(|v| v.batch);
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        let mut part = part.clone();
        if part.rank() != first.rank() {
            return Err("joins arrays with different numbers of axes".into());
        }
        if let (Some(batch), None) = (batch, part.batch) {
            part = call.of_one(&part, batch.axis, batch)?;
        }
        if part.batch != batch {
            return Err("brings different points together".into());
        }
        call.apart(&part, axis)?;
        if (0..part.rank()).any(|i| i != axis && part.shape[i] != first.shape[i]) {
            return Err(format!("joins arrays along axis {axis} whose other lengths differ"));
        }
        values.push(part);
    }
    let mut shape = first.shape.clone();
    shape[axis] = values.iter().map(|v| v.shape[axis]).sum();
    if !call.folding || values.iter().any(Value::varies) {
        call.roomy(count(&local(&shape, batch)))?;
        let vars = values.iter().map(|v| call.var(v)).collect::<Result<Vec<_>, _>>()?;
        let mut made = call.made(&crate::Var::concat(axis, &vars), shape, batch)?;
        made.element = first.element;
        return Ok(vec![made]);
    }
    call.known_room(count(&local(&shape, batch)))?;
    let views: Vec<_> = values.iter().filter_map(|v| Some(v.numbers()?.view())).collect();
    let joined = ndarray::concatenate(Axis(axis), &views).map_err(|e| e.to_string())?;
    let numbers = joined.iter().copied().collect();
    Ok(vec![Value::known_at(&shape, batch, numbers, first.element)])
}

fn split(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.integer("axis", 0), value.rank())?;
    call.apart(value, axis)?;
    let len = value.shape[axis];
    let sizes = match call.listed("split", 1)? {
        Some(sizes) => lengths(&sizes)?,
        None => {
            let count = usize::try_from(call.integer("num_outputs", call.node.outputs.len() as i64)).unwrap_or(0);
            if count == 0 || count > len {
                return Err(format!("splits axis {axis} of length {len} into {count} parts"));
            }
            // the last part may be shorter
            let each = len.div_ceil(count);
            (0..count).map(|i| each.min(len.saturating_sub(i * each))).collect()
        }
    };
    if sizes.iter().try_fold(0usize, |n, &s| n.checked_add(s)) != Some(len) {
        return Err(format!("splits axis {axis} of length {len} into parts of {sizes:?}"));
    }
    let places = places_of(call, value)?;
    let mut start = 0;
    let mut parts = Vec::with_capacity(sizes.len());
    for size in sizes {
        let part = places.slice_axis(Axis(axis), Slice::from(start..start + size));
        let mut shape = value.shape.clone();
        shape[axis] = size;
        start += size;
        // a part without entries can only be left aside
        parts.push(match (size, &value.data) {
            (0, Data::Varies(_)) => Value::known_at(&shape, value.batch, vec![], value.element),
            _ => call.moved(value, part.iter().copied(), shape, value.batch)?,
        });
    }
    Ok(parts)
}
