//! Operators entry by entry: arithmetic and activations.
use super::super::call::{Call, Outcome};
use super::super::value::{Element, Value};
use super::Rule;
use super::branches::{clamp, greater};
use super::pairs::together;
use crate::{Activation, Var};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Add" => |call| arithmetic(call, |a, b| a + b),
        "Sub" => |call| arithmetic(call, |a, b| a - b),
        "Mul" => |call| arithmetic(call, |a, b| a * b),
        "Div" => divide,
        "Pow" => power,
        "Mod" => modulo,
        "Sum" => |call| several(call, false),
        "Mean" => |call| several(call, true),
        "Identity" | "Dropout" => identity,
        "Neg" => |call| each(call, |v| -v),
        "Abs" => |call| each(call, |v| v.act(Activation::LeakyRelu { slope: -1.0 })),
        "Reciprocal" => |call| each(call, |v| v.recip()),
        "Sqrt" => |call| each(call, |v| v.sqrt()),
        "Exp" => |call| each(call, |v| v.exp()),
        "Log" => |call| each(call, |v| v.ln()),
        "Erf" => |call| each(call, |v| v.erf()),
        "Sin" => |call| each(call, |v| v.sin()),
        "Cos" => |call| each(call, |v| v.cos()),
        "Tan" => |call| each(call, |v| v.sin() / v.cos()),
        "Atan" => |call| each(call, |v| v.atan()),
        "Asin" => |call| each(call, |v| (&v * (1.0 - v.square()).powf(-0.5)).atan()),
        "Acos" => |call| each(call, |v| std::f64::consts::FRAC_PI_2 - (&v * (1.0 - v.square()).powf(-0.5)).atan()),
        "Sinh" => |call| each(call, |v| v.tanh() * (v.exp() + (-&v).exp()) * 0.5),
        "Cosh" => |call| each(call, |v| (v.exp() + (-&v).exp()) * 0.5),
        "Asinh" => |call| each(call, |v| asinh(&v)),
        "Acosh" => |call| each(call, |v| (&v + (v.square() - 1.0).sqrt()).ln()),
        "Atanh" => |call| each(call, |v| atanh(&v)),
        "Tanh" => |call| each(call, |v| v.tanh()),
        "Sigmoid" => |call| each(call, |v| v.sigmoid()),
        "Softplus" => |call| each(call, |v| v.act(Activation::Softplus { beta: 1.0, threshold: 40.0 })),
        "Softsign" => |call| each(call, |v| &v / (1.0 + v.act(Activation::LeakyRelu { slope: -1.0 }))),
        "Relu" => |call| each(call, |v| v.act(Activation::Relu)),
        "Mish" => |call| each(call, |v| v.act(Activation::Mish)),
        "LeakyRelu" => |call| act(call, Activation::LeakyRelu { slope: call.number("alpha", 0.01) }),
        "Elu" => |call| act(call, Activation::Elu { alpha: call.number("alpha", 1.0) }),
        "Celu" => |call| act(call, Activation::Celu { alpha: call.number("alpha", 1.0) }),
        "Selu" => selu,
        "Gelu" => gelu,
        "Swish" => swish,
        "PRelu" => prelu,
        "HardSigmoid" => hard_sigmoid,
        "HardSwish" => |call| {
            each(call, |v| {
                let gate = clamp(&(&v * (1.0 / 6.0) + 0.5), Some(0.0), Some(1.0));
                v * gate
            })
        },
        "ThresholdedRelu" => thresholded,
        "Shrink" => shrink,
        "Cast" | "CastLike" => cast,
        "Floor" => |call| rounded(call, f64::floor),
        "Ceil" => |call| rounded(call, f64::ceil),
        "Round" => |call| rounded(call, f64::round_ties_even),
        _ => return None,
    })
}

/// A function of one variable, applied to every entry.
fn each(call: &Call, f: fn(Var<f64>) -> Var<f64>) -> Outcome {
    let value = call.input(0)?;
    if value.element != Element::Float {
        // integers of shapes
        if let Some(known) = value.numbers() {
            let f = match call.node.op {
                "Neg" => |v: f64| -v,
                "Abs" => f64::abs,
                _ => return Err("expected floats, found integers or booleans".into()),
            };
            let numbers = known.iter().map(|&v| f(v)).collect();
            return Ok(vec![Value::known_at(&value.shape, value.batch, numbers, value.element)]);
        }
    }
    call.alike(value, f)
}

fn act(call: &Call, act: Activation) -> Outcome {
    act.check().map_err(|e| e.to_string())?;
    call.alike(call.input(0)?, |v| v.act(act))
}

/// A rule of two operands, on variables; numbers that are the same at all entries are factors and shifts.
/// 1 where |v| is below a bound.
fn small(v: &Var<f64>, bound: f64) -> Var<f64> {
    greater(&(bound - v.act(Activation::LeakyRelu { slope: -1.0 })))
}

/// `atanh v` for |v| below 1/4: v + v^3/3 + v^5/5 + ...
fn atanh_series(v: &Var<f64>) -> Var<f64> {
    let square = v.square();
    let mut total = &square * (1.0 / 27.0) + 1.0 / 25.0;
    for k in (0..12).rev() {
        total = total * &square + 1.0 / f64::from(2 * k + 1);
    }
    v * total
}

/// Near zero, where the logarithms cancel, by the series.
fn atanh(v: &Var<f64>) -> Var<f64> {
    let near = small(v, 0.25);
    let far = 1.0 - &near;
    let apart = &far * v + &near * 0.5;
    atanh_series(&(&near * v)) + far * (((1.0 + &apart).ln() - (1.0 - &apart).ln()) * 0.5)
}

/// `2 atanh(v / (1 + sqrt(1 + v^2)))` near zero, else +-log(|v| + sqrt(v^2 + 1)).
fn asinh(v: &Var<f64>) -> Var<f64> {
    let near = small(v, 0.5);
    let far = 1.0 - &near;
    let (inner, sign) = (&near * v, greater(v) * 2.0 - 1.0);
    let series = atanh_series(&(&inner / (1.0 + (inner.square() + 1.0).sqrt()))) * 2.0;
    let size = &far * (&sign * v) + &near;
    series + far * (sign * (&size + (size.square() + 1.0).sqrt()).ln())
}

fn arithmetic(call: &Call, f: fn(f64, f64) -> f64) -> Outcome {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let pair = together(call, &[a, b])?;
    if let Some(known) = pair.known(call, a.element, f) {
        return known;
    }
    let shape = pair.local();
    let var = |i: usize| call.var(&pair.values[i]).map(|v| v.broadcast_to(&shape));
    let out = match (call.node.op, a.single(), b.single()) {
        ("Add", _, Some(c)) => var(0)? + c,
        ("Add", Some(c), _) => var(1)? + c,
        ("Sub", _, Some(c)) => var(0)? - c,
        ("Sub", Some(c), _) => c - var(1)?,
        ("Mul", _, Some(c)) => var(0)? * c,
        ("Mul", Some(c), _) => var(1)? * c,
        (op, ..) => {
            let (left, right) = (var(0)?, var(1)?);
            match op {
                "Add" => left + right,
                "Sub" => left - right,
                _ => left * right,
            }
        }
    };
    let mut made = call.made(&out, pair.shape, pair.batch)?;
    if [a, b].iter().all(|v| v.element == Element::Int) {
        made.element = Element::Int;
    }
    Ok(vec![made])
}

/// A whole number that may depend on how many points there are, and cannot be told.
fn unknown_count(call: &Call, exact: bool, numbers: [f64; 2]) -> bool {
    call.desk.any && !exact && numbers.iter().any(|n| n.abs() >= f64::from(1 << 24))
}

fn divide(call: &Call) -> Outcome {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let pair = together(call, &[a, b])?;
    if a.element == Element::Int {
        if let (Some(x), Some(y)) = (a.numbers(), b.numbers()) {
            if y.iter().any(|&n| n == 0.0) {
                return Err("divides an integer by zero".into());
            }
            let most = |v: &ndarray::ArrayD<f64>| v.iter().fold(0.0f64, |m, n| m.max(n.abs()));
            let exact = x.iter().all(|n| y.iter().all(|d| n % d == 0.0));
            if unknown_count(call, exact, [most(x), most(y)]) {
                return Err("divides the number of points".into());
            }
        }
        let known = pair.known(call, Element::Int, |a, b| (a / b).trunc());
        return known.unwrap_or_else(|| Err("divides integers that depend on the points".into()));
    }
    if let Some(known) = pair.known(call, Element::Float, |a, b| a / b) {
        return known;
    }
    let shape = pair.local();
    let left = call.var(&pair.values[0])?.broadcast_to(&shape);
    let out = match (b.single(), b.numbers()) {
        (Some(c), _) => left * (1.0 / c),
        // constants that are no weights
        (None, Some(numbers)) if b.weight().is_none() => {
            let inverse = call.constant(&numbers.mapv(|n| 1.0 / n))?;
            left * inverse.broadcast_to(&shape)
        }
        _ => left / call.var(&pair.values[1])?.broadcast_to(&shape),
    };
    Ok(vec![call.made(&out, pair.shape, pair.batch)?])
}

fn modulo(call: &Call) -> Outcome {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let pair = together(call, &[a, b])?;
    let fmod = call.integer("fmod", 0) == 1;
    if let (Some(x), Some(y)) = (a.numbers(), b.numbers()) {
        let large = x.iter().chain(y).any(|n| n.abs() >= f64::from(1 << 24));
        if call.desk.any && large || a.element == Element::Int && y.iter().any(|&n| n == 0.0) {
            return Err("takes a remainder of the number of points, or by zero".into());
        }
    }
    let floored = |a: f64, b: f64| a - b * (a / b).floor();
    let known = pair.known(call, a.element, |a, b| if fmod { a % b } else { floored(a, b) });
    known.unwrap_or_else(|| Err("takes a remainder of what depends on the points, which jumps".into()))
}

/// Powers: by one exponent, by several constant ones, or of a positive base.
fn power(call: &Call) -> Outcome {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let pair = together(call, &[a, b])?;
    if let Some(known) = pair.known(call, a.element, f64::powf) {
        return known;
    }
    let shape = pair.local();
    if let (Some(exponents), None) = (b.numbers(), b.weight()) {
        let base = call.var(&pair.values[0])?.broadcast_to(&shape);
        let exponents = exponents.broadcast(shape.clone()).ok_or("has shapes that do not broadcast")?;
        let mut distinct: Vec<f64> = Vec::new();
        for &p in &exponents {
            if !distinct.contains(&p) {
                distinct.push(p);
            }
            if !p.is_finite() || distinct.len() > 64 {
                return Err("exponents are infinite, or more than 64 different ones".into());
            }
        }
        let out = match distinct[..] {
            [p] => base.powf(p),
            _ => {
                let places = |p: f64| {
                    let at = exponents.iter().enumerate().filter(move |(_, q)| **q == p);
                    at.map(|(i, _)| (i, i)).collect::<Vec<_>>()
                };
                base.assembled(shape, distinct.iter().map(|&p| (base.powf(p), places(p))))
            }
        };
        return Ok(vec![call.made(&out, pair.shape, pair.batch)?]);
    }
    let vars = pair.vars(call)?;
    let logarithm = match (a.numbers(), a.weight()) {
        (Some(base), None) if base.iter().all(|&b| b > 0.0) => call.constant(&base.mapv(f64::ln))?.broadcast_to(&shape),
        _ => vars[0].ln(),
    };
    Ok(vec![call.made(&(logarithm * &vars[1]).exp(), pair.shape, pair.batch)?])
}

/// The sum or the mean of all operands.
fn several(call: &Call, mean: bool) -> Outcome {
    let operands: Vec<&Value> = call.inputs.iter().flatten().collect();
    let all = together(call, &operands)?;
    let vars = all.vars(call)?;
    let n = vars.len() as f64;
    let sum = vars.into_iter().reduce(|a, b| a + b).ok_or("has no operands")?;
    let out = if mean { sum * (1.0 / n) } else { sum };
    Ok(vec![call.made(&out, all.shape, all.batch)?])
}

fn identity(call: &Call) -> Outcome {
    if call.node.op == "Dropout" && call.scalar(2)?.is_some_and(|training| training != 0.0) {
        return Err("draws random numbers: export the model for evaluation (model.eval())".into());
    }
    Ok(vec![call.input(0)?.clone()])
}

fn selu(call: &Call) -> Outcome {
    let (alpha, gamma) = (call.number("alpha", 1.673_263_2), call.number("gamma", 1.050_701));
    // the constants of the paper, which ONNX stores in single precision
    if (alpha - 1.673_263_2).abs() < 1e-6 && (gamma - 1.050_701).abs() < 1e-6 {
        return act(call, Activation::Selu);
    }
    act(call, Activation::Scaled { act: Box::new(Activation::Elu { alpha }), a: gamma, b: 1.0 })
}

fn gelu(call: &Call) -> Outcome {
    match call.text("approximate", "none").as_str() {
        "none" => act(call, Activation::Gelu),
        "tanh" => act(call, Activation::TanhGelu),
        other => Err(format!("approximate is {other:?}, expected none or tanh")),
    }
}

pub(super) fn exact_gelu(call: &Call) -> Outcome {
    act(call, Activation::Gelu)
}

fn swish(call: &Call) -> Outcome {
    let alpha = call.number("alpha", 1.0);
    call.alike(call.input(0)?, |v| match alpha {
        1.0 => v.silu(),
        alpha => (&v * alpha).sigmoid() * v,
    })
}

fn prelu(call: &Call) -> Outcome {
    let pair = together(call, &[call.input(0)?, call.input(1)?])?;
    let vars = pair.vars(call)?;
    let out = vars[0].act(Activation::Relu) - &vars[1] * (-&vars[0]).act(Activation::Relu);
    Ok(vec![call.made(&out, pair.shape, pair.batch)?])
}

fn hard_sigmoid(call: &Call) -> Outcome {
    let (alpha, beta) = (call.number("alpha", 0.2), call.number("beta", 0.5));
    call.alike(call.input(0)?, |v| clamp(&(v * alpha + beta), Some(0.0), Some(1.0)))
}

fn thresholded(call: &Call) -> Outcome {
    let alpha = call.number("alpha", 1.0);
    call.alike(call.input(0)?, |v| greater(&(&v - alpha)) * v)
}

fn shrink(call: &Call) -> Outcome {
    let (bias, edge) = (call.number("bias", 0.0), call.number("lambd", 0.5));
    call.alike(call.input(0)?, |v| {
        let (above, below) = (greater(&(&v - edge)), greater(&(-&v - edge)));
        &above * (&v - bias) + &below * (&v + bias)
    })
}

/// Only numbers that are known are rounded: a rounded variable would have no derivatives.
fn rounded(call: &Call, f: fn(f64) -> f64) -> Outcome {
    let value = call.input(0)?;
    let Some(numbers) = value.numbers() else {
        return Err("rounds what depends on the points, which jumps and has no derivatives".into());
    };
    let numbers = numbers.iter().map(|&v| f(v)).collect();
    Ok(vec![Value::known_at(&value.shape, value.batch, numbers, value.element)])
}

fn cast(call: &Call) -> Outcome {
    let value = call.input(0)?;
    let to = match call.node.op {
        "CastLike" => call.input(1)?.element,
        _ => super::super::tensor::element(call.integer("to", 0))?,
    };
    let mut cast = value.clone();
    cast.element = to;
    match (value.element, to) {
        (from, to) if from == to => Ok(vec![cast]),
        (Element::Bool, _) => Ok(vec![cast]),
        (from, to) => {
            let Some(numbers) = value.numbers() else {
                return match to {
                    // other than zero, above or below
                    Element::Bool => {
                        let v = call.var(value)?;
                        let mut made = call.made(&(greater(&v) + greater(&-&v)), value.shape.clone(), value.batch)?;
                        made.element = Element::Bool;
                        Ok(vec![made])
                    }
                    Element::Float => Ok(vec![cast]),
                    Element::Int => {
                        Err("rounds what depends on the points to integers: that has no derivatives".into())
                    }
                };
            };
            if from == Element::Int && call.desk.any && numbers.iter().any(|n| n.abs() >= f64::from(1 << 24)) {
                return Err("computes with the number of points; a network must map each point by itself".into());
            }
            let number = |&v: &f64| match to {
                Element::Bool => f64::from(u8::from(v != 0.0)),
                Element::Int => v.trunc(),
                Element::Float => v,
            };
            let numbers = numbers.iter().map(number).collect();
            Ok(vec![Value::known_at(&value.shape, value.batch, numbers, to)])
        }
    }
}
