//! Products of matrices.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Element, Value, count, local};
use super::pairs::together;
use super::shapes::permuted;
use super::{Rule, einsum};
use crate::Var;
use crate::graph::broadcast;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "MatMul" => |call| Ok(vec![matmul(call, call.input(0)?, call.input(1)?)?]),
        "Gemm" => gemm,
        "Einsum" => einsum::einsum,
        "Attention" => attention,
        _ => return None,
    })
}

const ACROSS: &str = "multiplies or sums over different points: a network must map each point by itself";

/// The product over the last two axes, as numpy's.
pub(super) fn matmul(call: &Call, a: &Value, b: &Value) -> Result<Value, String> {
    if a.rank() == 0 || b.rank() == 0 {
        return Err("multiplies a number by matrices".into());
    }
    // vectors are matrices of one row or one column, which is left out of the result
    let (row, column) = (a.rank() == 1, b.rank() == 1);
    let a = if row { call.reshaped(a, vec![1, a.shape[0]])? } else { a.clone() };
    let b = if column { call.reshaped(b, vec![b.shape[0], 1])? } else { b.clone() };
    let rank = a.rank().max(b.rank());
    // places of the axes of both, counted in the result
    let place = |v: &Value| v.batch.map(|batch| Batch { axis: batch.axis + rank - v.rank(), ..batch });
    let (in_a, in_b) = (place(&a), place(&b));
    let (mut a, mut b) = (a, b);
    let batch = match (in_a, in_b) {
        (Some(own), _) if own.axis == rank - 1 => return Err(ACROSS.into()),
        (_, Some(own)) if own.axis == rank - 2 => return Err(ACROSS.into()),
        (Some(x), Some(y)) if x != y => return Err(ACROSS.into()),
        (Some(x), Some(_)) if x.axis >= rank - 2 => return Err(ACROSS.into()),
        (x, y) => x.or(y),
    };
    // the other operand may have an array for each of a fixed number of points
    for v in [&mut a, &mut b] {
        if let (Some(batch), None) = (batch.filter(|b| b.axis + 2 < rank), v.batch)
            && let Some(axis) = (batch.axis + v.rank()).checked_sub(rank)
            && v.shape[axis] != 1
        {
            *v = call.of_one(v, axis, batch)?;
        }
    }
    let (la, lb) = (a.local(), b.local());
    let lead = |v: &Value| v.shape[..v.rank() - 2].to_vec();
    let mut shape = broadcast(&lead(&a), &lead(&b)).ok_or("has shapes that do not fit")?;
    shape.extend([a.shape[a.rank() - 2], b.shape[b.rank() - 1]]);
    if la[la.len() - 1] != lb[lb.len() - 2] {
        return Err("has shapes that do not fit".into());
    }
    let inside = local(&shape, batch);
    call.roomy(count(&inside))?;
    let cost = count(&inside).saturating_mul(la[la.len() - 1]);
    if call.folding {
        call.known_room(cost >> 10)?;
    }
    let mut shape: Vec<usize> = shape;
    let mut kept = batch;
    let out = call.var(&a)?.matmul(&call.var(&b)?);
    if row {
        shape.remove(rank - 2);
        kept = kept.map(|k| if k.axis > rank - 2 { Batch { axis: k.axis - 1, ..k } } else { k });
    }
    if column {
        shape.pop();
    }
    call.made(&out, shape, kept)
}

/// `alpha A B + beta C`, with A and B transposed on request.
fn gemm(call: &Call) -> Outcome {
    let (a, b) = (call.input(0)?, call.input(1)?);
    if a.rank() != 2 || b.rank() != 2 {
        return Err("expected two matrices".into());
    }
    let a = if call.integer("transA", 0) == 1 { permuted(call, a, &[1, 0])? } else { a.clone() };
    let transposed = call.integer("transB", 0) == 1;
    let mut product = match transposed && b.batch.is_none() && a.batch.is_none_or(|batch| batch.axis == 0) {
        // a matrix of weights as it is stored
        true if a.shape[1] == b.shape[1] => {
            if call.folding {
                call.known_room(count(&a.local()).saturating_mul(b.shape[0]) >> 10)?;
            }
            let out = call.var(&a)?.matmul_transposed(&call.var(b)?);
            call.made(&out, vec![a.shape[0], b.shape[0]], a.batch)?
        }
        true => return Err("has shapes that do not fit".into()),
        false if transposed => matmul(call, &a, &permuted(call, b, &[1, 0])?)?,
        false => matmul(call, &a, b)?,
    };
    let (alpha, beta) = (call.number("alpha", 1.0), call.number("beta", 1.0));
    if alpha != 1.0 {
        product = call.alike(&product, |v| v * alpha)?.remove(0);
    }
    let Some(c) = call.optional(2).filter(|_| beta != 0.0) else { return Ok(vec![product]) };
    let sum = together(call, &[&product, c])?;
    let vars = sum.vars(call)?;
    let shift = if beta == 1.0 { vars[1].clone() } else { &vars[1] * beta };
    Ok(vec![call.made(&(&vars[0] + shift), sum.shape, sum.batch)?])
}

/// Attention of the queries, keys and values, (batch, heads, tokens, features) or (batch, tokens, heads * features).
fn attention(call: &Call) -> Outcome {
    let [q, k, v] = [call.input(0)?, call.input(1)?, call.input(2)?];
    if call.inputs.iter().skip(4).any(Option::is_some) || call.node.outputs.iter().skip(1).any(|o| !o.is_empty()) {
        return Err("uses a cache of keys and values, or gives more than its first output".into());
    }
    let heads = |v: &Value, name: &str| -> Result<Value, String> {
        match (v.rank(), usize::try_from(call.integer(name, 0)).unwrap_or(0)) {
            (4, _) => Ok(v.clone()),
            (3, n) if n > 0 && v.shape[2].is_multiple_of(n) => {
                let split = call.reshaped(v, vec![v.shape[0], v.shape[1], n, v.shape[2] / n])?;
                permuted(call, &split, &[0, 2, 1, 3])
            }
            _ => Err(format!("expected arrays of 4 axes, or of 3 axes and {name}")),
        }
    };
    let (q4, k4, v4) = (heads(q, "q_num_heads")?, heads(k, "kv_num_heads")?, heads(v, "kv_num_heads")?);
    if q4.shape[1] != k4.shape[1] {
        return Err("has fewer heads of keys than of queries (grouped-query attention)".into());
    }
    let scale = call.number("scale", 1.0 / (q4.shape[3] as f64).sqrt());
    let scores = matmul(call, &q4, &permuted(call, &k4, &[0, 1, 3, 2])?)?;
    let mut scores = call.alike(&scores, |s| s * scale)?.remove(0);
    let (rows, cols) = (scores.shape[2], scores.shape[3]);
    let cap = call.number("softcap", 0.0);
    let capped = |call: &Call, scores: &Value| call.alike(scores, |s| (s * (1.0 / cap)).tanh() * cap);
    if cap > 0.0 {
        scores = capped(call, &scores)?.remove(0);
    }
    let mut masks = Vec::new();
    if let Some(mask) = call.optional(3) {
        let Some(numbers) = mask.numbers() else { return Err("a mask depends on the points".into()) };
        let boolean = mask.element == Element::Bool;
        let number = |&m: &f64| {
            if !boolean {
                m
            } else if m != 0.0 {
                0.0
            } else {
                f64::MIN
            }
        };
        masks.push(Value {
            element: Element::Float,
            ..Value::known_at(&mask.shape, mask.batch, numbers.iter().map(number).collect(), mask.element)
        });
    }
    if call.integer("is_causal", 0) == 1 {
        call.known_room(rows.saturating_mul(cols))?;
        let hidden = |i: usize| if i % cols > i / cols { f64::MIN } else { 0.0 };
        let numbers = (0..rows * cols).map(hidden).collect();
        masks.push(Value::known_at(&[rows, cols], None, numbers, Element::Float));
    }
    for mask in masks {
        let sum = together(call, &[&scores, &mask])?;
        let vars = sum.vars(call)?;
        scores = call.made(&(&vars[0] + &vars[1]), sum.shape, sum.batch)?;
    }
    call.apart(&scores, 3)?;
    let weights = call.alike(&scores, |s: Var<f64>| s.softmax(3))?.remove(0);
    let out = matmul(call, &weights, &v4)?;
    if q.rank() == 4 {
        return Ok(vec![out]);
    }
    let out = permuted(call, &out, &[0, 2, 1, 3])?;
    let (n, tokens, width) = (out.shape[0], out.shape[1], out.shape[2] * out.shape[3]);
    Ok(vec![call.reshaped(&out, vec![n, tokens, width])?])
}
