//! Normalisations.
use super::super::call::{Call, Outcome};
use super::super::value::{Element, Value, count};
use super::Rule;
use super::pairs::together;
use crate::Var;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "BatchNormalization" => batch,
        "LayerNormalization" => layer,
        "RMSNormalization" | "SimplifiedLayerNormalization" => rms,
        "InstanceNormalization" => instance,
        "GroupNormalization" => group,
        _ => return None,
    })
}

/// `value * scale + bias`, where these are there.
fn affine(call: &Call, value: Value, scale: Option<&Value>, bias: Option<&Value>) -> Result<Value, String> {
    let mut value = value;
    if let Some(scale) = scale {
        let pair = together(call, &[&value, scale])?;
        let vars = pair.vars(call)?;
        value = call.made(&(&vars[0] * &vars[1]), pair.shape, pair.batch)?;
    }
    if let Some(bias) = bias {
        let pair = together(call, &[&value, bias])?;
        let vars = pair.vars(call)?;
        value = call.made(&(&vars[0] + &vars[1]), pair.shape, pair.batch)?;
    }
    Ok(value)
}

/// Numbers of channels, the second axis of `rank`.
fn channels(call: &Call, numbers: &Value, rank: usize) -> Result<Value, String> {
    let n = count(&numbers.shape);
    let mut shape = vec![1; rank.max(2) - 1];
    shape[0] = n;
    call.reshaped(numbers, shape)
}

/// With the mean and variance of training.
fn batch(call: &Call) -> Outcome {
    if call.integer("training_mode", 0) == 1 {
        return Err("normalises by the points of the batch: export the model for evaluation (model.eval())".into());
    }
    let value = call.input(0)?;
    let rank = value.rank();
    if rank < 2 {
        return Err("expected an array of at least two axes".into());
    }
    let eps = call.number("epsilon", 1e-5);
    let (Some(mean), Some(variance)) = (call.input(3)?.numbers(), call.input(4)?.numbers()) else {
        return Err("the mean or the variance depends on the points".into());
    };
    let known = |numbers: ndarray::ArrayD<f64>| Value::known(numbers, Element::Float);
    let scale = known(variance.mapv(|v| 1.0 / (v + eps).sqrt()));
    let shift = known(mean.mapv(|m| -m));
    let centred = affine(call, value.clone(), None, Some(&channels(call, &shift, rank)?))?;
    let normal = affine(call, centred, Some(&channels(call, &scale, rank)?), None)?;
    let (weight, bias) = (channels(call, call.input(1)?, rank)?, channels(call, call.input(2)?, rank)?);
    Ok(vec![affine(call, normal, Some(&weight), Some(&bias))?])
}

/// A function of rows along the last axes, from `axis` on, none of which has the points.
fn last(call: &Call, value: &Value, axis: usize, f: impl Fn(Var<f64>, usize) -> Var<f64>) -> Result<Value, String> {
    for i in axis..value.rank() {
        call.apart(value, i)?;
    }
    let n = count(&value.shape[axis..]);
    let var = call.var(value)?;
    let rows = var.len() / n.max(1);
    call.made(&f(var.reshape(&[rows, n]), n), value.shape.clone(), value.batch)
}

fn layer(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.integer("axis", -1), value.rank())?;
    let eps = call.number("epsilon", 1e-5);
    let normal = last(call, value, axis, |v, _| v.normalised(1, eps))?;
    Ok(vec![affine(call, normal, call.optional(1), call.optional(2))?])
}

fn rms(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let axis = call.axis(call.integer("axis", -1), value.rank())?;
    let eps = call.number("epsilon", 1e-5);
    let normal = last(call, value, axis, |v, _| &v * (v.square().mean(1) + eps).powf(-0.5))?;
    Ok(vec![affine(call, normal, call.optional(1), None)?])
}

fn instance(call: &Call) -> Outcome {
    let value = call.input(0)?;
    if value.rank() < 3 {
        return Err("expected an array of at least three axes".into());
    }
    call.apart(value, 1)?;
    let eps = call.number("epsilon", 1e-5);
    let normal = last(call, value, 2, |v, _| v.normalised(1, eps))?;
    let of = |i| channels(call, call.input(i)?, value.rank());
    Ok(vec![affine(call, normal, Some(&of(1)?), Some(&of(2)?))?])
}

fn group(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let groups = usize::try_from(call.integer("num_groups", 0)).unwrap_or(0);
    let channels_in = value.shape.get(1).copied().unwrap_or(0);
    if groups == 0 || channels_in == 0 || channels_in % groups != 0 {
        return Err(format!("{groups} groups of {channels_in} channels"));
    }
    call.apart(value, 1)?;
    let eps = call.number("epsilon", 1e-5);
    let grouped = call.reshaped(value, vec![value.shape[0], groups, count(&value.shape[1..]) / groups])?;
    let normal = last(call, &grouped, 2, |v, _| v.normalised(1, eps))?;
    // before opset 21 a factor for each group, since then one for each channel
    let (scale, bias) = (call.input(1)?, call.input(2)?);
    if count(&scale.shape) == groups && groups != channels_in {
        let of = |v: &Value| call.reshaped(v, vec![groups, 1]);
        let out = affine(call, normal, Some(&of(scale)?), Some(&of(bias)?))?;
        return Ok(vec![call.reshaped(&out, value.shape.clone())?]);
    }
    let normal = call.reshaped(&normal, value.shape.clone())?;
    let of = |v: &Value| channels(call, v, value.rank());
    Ok(vec![affine(call, normal, Some(&of(scale)?), Some(&of(bias)?))?])
}

/// `(x - offset) * scale` of scikit-learn's scalers.
pub(super) fn scaler(call: &Call) -> Outcome {
    let setting = |name: &str| {
        call.numbers(name)
            .filter(|n| !n.is_empty())
            .map(|numbers| Value::known_at(&[numbers.len()], None, numbers, Element::Float))
    };
    let negative = setting("offset").map(|offset| {
        let numbers = offset.numbers().expect("known").mapv(|v| -v);
        Value::known(numbers, Element::Float)
    });
    let centred = affine(call, call.input(0)?.clone(), None, negative.as_ref())?;
    Ok(vec![affine(call, centred, setting("scale").as_ref(), None)?])
}
