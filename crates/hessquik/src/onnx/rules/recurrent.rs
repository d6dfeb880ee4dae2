//! Recurrent layers: LSTM, GRU and RNN, one step after another. The points are on the axis of sequences, and each has a
//! sequence of its own, of a length that is known.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Value, count};
use super::Rule;
use super::shapes::permuted;
use crate::{Activation, Var};
use ndarray::{ArrayD, IxDyn};

/// The most steps, which are nodes of their own.
const STEPS: usize = 1 << 12;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "LSTM" => |call| layer(call, 4),
        "GRU" => |call| layer(call, 3),
        "RNN" => |call| layer(call, 1),
        _ => return None,
    })
}

/// A function of a gate.
type Function = fn(&Var<f64>) -> Var<f64>;

fn function(name: &str) -> Result<Function, String> {
    Ok(match name.to_lowercase().as_str() {
        "tanh" => |v| v.tanh(),
        "sigmoid" => |v| v.sigmoid(),
        "relu" => |v| v.act(Activation::Relu),
        "softplus" => |v| v.act(Activation::Softplus { beta: 1.0, threshold: 40.0 }),
        "softsign" => |v| v / (1.0 + v.act(Activation::LeakyRelu { slope: -1.0 })),
        _ => {
            let known = "Tanh, Sigmoid, Relu, Softplus or Softsign, without alpha and beta";
            return Err(format!("has the activation {}, expected {known}", name.escape_debug()));
        }
    })
}

/// The weights of one direction.
struct Direction {
    /// From the inputs (gates * hidden, inputs), and from the state (gates * hidden, hidden).
    input: Var<f64>,
    state: Var<f64>,
    /// Beside each of these (1, gates * hidden).
    biases: Option<[Var<f64>; 2]>,
    /// From the cell to the gates i, o and f (1, hidden), of an LSTM.
    peepholes: Option<[Var<f64>; 3]>,
    /// Of the gates, of what is new, and of the cell.
    functions: Vec<Function>,
    backwards: bool,
    hidden: usize,
}

/// The state, and the cell of an LSTM.
type State = (Var<f64>, Option<Var<f64>>);

fn layer(call: &Call, gates: usize) -> Outcome {
    let sequences_first = call.integer("layout", 0) == 1;
    // steps, sequences, inputs
    let arranged = |value: &Value| if sequences_first { permuted(call, value, &[1, 0, 2]) } else { Ok(value.clone()) };
    if call.input(0)?.rank() != 3 {
        return Err("expected an array of three axes: steps, sequences and inputs".into());
    }
    let x = arranged(call.input(0)?)?;
    let initial =
        |i: usize| call.optional(i).map(|v| if v.rank() == 3 { arranged(v) } else { Err(SHAPES.into()) }).transpose();
    let (state, cell) = (initial(5)?, if gates == 4 { initial(6)? } else { None });
    let batch = [Some(&x), state.as_ref(), cell.as_ref()].into_iter().flatten().find_map(|v| v.batch);
    let x = aligned(call, x, batch)?;
    let [steps, each, inputs] = x.local()[..] else { return Err(SHAPES.into()) };
    let (sequences, directions) = (x.shape[1], directions(call, gates)?);
    let hidden = directions.first().map_or(0, |d: &Direction| d.hidden);
    if steps > STEPS {
        return Err(format!("has {steps} steps, expected at most {STEPS}"));
    }
    lengths(call, steps)?;
    call.roomy(steps.saturating_mul(each).saturating_mul(gates * hidden))?;
    if call.folding {
        let products = (inputs + hidden).saturating_mul(gates * hidden).saturating_mul(steps.saturating_mul(each));
        call.known_room(products >> 10)?;
    }
    let flat = call.var(&x)?.reshape(&[steps * each, inputs]);
    let start = |value: &Option<Value>, d: usize| match value {
        None => call.constant(&ArrayD::zeros(IxDyn(&[each, hidden]))),
        Some(value) => {
            let value = aligned(call, value.clone(), batch)?;
            if value.local() != [directions.len(), each, hidden] {
                return Err(SHAPES.into());
            }
            Ok(call.var(&value)?.slice(0, d..d + 1).reshape(&[each, hidden]))
        }
    };
    let (mut all, mut ends, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (d, direction) in directions.iter().enumerate() {
        if direction.input.shape()[1] != inputs {
            return Err(SHAPES.into());
        }
        let mut known = flat.matmul_transposed(&direction.input);
        if let Some([first, _]) = &direction.biases {
            known = &known + first;
        }
        let cell = if gates == 4 { Some(start(&cell, d)?) } else { None };
        let mut now: State = (start(&state, d)?, cell);
        let mut states: Vec<Option<Var<f64>>> = vec![None; steps];
        for t in 0..steps {
            let t = if direction.backwards { steps - 1 - t } else { t };
            let given = known.slice(0, t * each..(t + 1) * each);
            now = match gates {
                4 => direction.lstm(&given, now),
                3 => direction.gru(&given, now, call.integer("linear_before_reset", 0) != 0),
                _ => direction.rnn(&given, now),
            };
            states[t] = Some(now.0.clone());
        }
        all.push(states);
        ends.push(now.0);
        cells.extend(now.1);
    }
    // steps, directions, sequences, features
    let whole: Vec<Var<f64>> =
        (0..steps).flat_map(|t| all.iter().filter_map(move |states| states[t].clone())).collect();
    let on = |axis: usize| batch.map(|batch| Batch { axis, ..batch });
    let shape = [directions.len(), sequences, hidden];
    let out = call.made(&Var::concat(0, &whole), [&[steps], &shape[..]].concat(), on(2))?;
    let mut outputs = vec![if sequences_first { permuted(call, &out, &[2, 0, 1, 3])? } else { out }];
    for last in [ends, cells].into_iter().filter(|last| !last.is_empty()) {
        outputs.push(arranged(&call.made(&Var::concat(0, &last), shape.to_vec(), on(1))?)?);
    }
    Ok(outputs)
}

const SHAPES: &str = "has shapes that do not fit";

/// A value with the points of the batch on its second axis, or without points if there are none.
fn aligned(call: &Call, value: Value, batch: Option<Batch>) -> Result<Value, String> {
    match (value.batch, batch) {
        (Some(own), _) if own.axis != 1 => Err(format!(
            "works along axis {}, on which the points are: a network must map each point by itself",
            own.axis
        )),
        (own, batch) if own == batch => Ok(value),
        (None, Some(batch)) => call.of_one(&value, 1, batch),
        _ => Err(SHAPES.into()),
    }
}

/// Refuses sequences that end before the others.
fn lengths(call: &Call, steps: usize) -> Result<(), String> {
    let Some(lengths) = call.optional(4) else { return Ok(()) };
    match lengths.numbers() {
        Some(numbers) if numbers.iter().all(|&n| n == steps as f64) => Ok(()),
        _ => Err(format!("has sequences of several lengths (sequence_lens), expected {steps} steps in each")),
    }
}

/// The weights of each direction.
fn directions(call: &Call, gates: usize) -> Result<Vec<Direction>, String> {
    for setting in ["clip", "activation_alpha", "activation_beta"] {
        if call.has(setting) {
            return Err(format!("has the setting {setting}, which is not supported: export without it"));
        }
    }
    if call.integer("input_forget", 0) != 0 {
        return Err("couples the gates of input and forgetting (input_forget), which is not supported".into());
    }
    let backwards = match call.text("direction", "forward").as_str() {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => {
            return Err(format!("direction is {}, expected forward, reverse or bidirectional", other.escape_debug()));
        }
    };
    let each: &[&str] = match gates {
        4 => &["Sigmoid", "Tanh", "Tanh"],
        3 => &["Sigmoid", "Tanh"],
        _ => &["Tanh"],
    };
    let named = call.texts("activations").filter(|names| !names.is_empty());
    let usual = || each.iter().cycle().take(each.len() * backwards.len()).map(|name| name.to_string()).collect();
    let named: Vec<String> = named.unwrap_or_else(usual);
    if named.len() != each.len() * backwards.len() {
        let (found, wanted) = (named.len(), each.len() * backwards.len());
        return Err(format!("has {found} activations, expected {wanted}: {} for each direction", each.len()));
    }
    let (input, state) = (call.input(1)?, call.input(2)?);
    let fits = |value: &Value, wanted: &[usize]| match value.batch.is_none() && value.shape == wanted {
        true => call.var(value),
        false => {
            Err(format!("{SHAPES}: weights of shape {}, expected {wanted:?}", call.shown(&value.shape, value.batch)))
        }
    };
    let ([_, _, inputs], [n, _, hidden]) = (&input.shape[..], &state.shape[..]) else { return Err(SHAPES.into()) };
    let (hidden, rows) = (*hidden, gates.saturating_mul(*hidden));
    if *n != backwards.len() || count(&input.shape) == 0 || call.integer("hidden_size", hidden as i64) != hidden as i64
    {
        return Err(SHAPES.into());
    }
    let (w, r) = (fits(input, &[*n, rows, *inputs])?, fits(state, &[*n, rows, hidden])?);
    let b = call.optional(3).map(|b| fits(b, &[*n, 2 * rows])).transpose()?;
    let p = call.optional(7).filter(|_| gates == 4).map(|p| fits(p, &[*n, 3 * hidden])).transpose()?;
    let one = |(d, backwards): (usize, bool)| {
        let functions = named[d * each.len()..(d + 1) * each.len()].iter().map(|name| function(name));
        let of = |v: &Var<f64>| v.slice(0, d..d + 1);
        Ok(Direction {
            input: of(&w).reshape(&[rows, *inputs]),
            state: of(&r).reshape(&[rows, hidden]),
            biases: b.as_ref().map(|b| [0, 1].map(|i| of(b).slice(1, i * rows..(i + 1) * rows))),
            peepholes: p.as_ref().map(|p| [0, 1, 2].map(|i| of(p).slice(1, i * hidden..(i + 1) * hidden))),
            functions: functions.collect::<Result<_, String>>()?,
            backwards,
            hidden,
        })
    };
    backwards.into_iter().enumerate().map(one).collect()
}

impl Direction {
    /// Gate `i` of all of them.
    fn gate(&self, all: &Var<f64>, i: usize) -> Var<f64> {
        all.slice(1, i * self.hidden..(i + 1) * self.hidden)
    }

    /// What the state gives to the gates `from..to`.
    fn recurrent(&self, state: &Var<f64>, from: usize, to: usize) -> Var<f64> {
        let rows = from * self.hidden..to * self.hidden;
        let product = state.matmul_transposed(&self.state.slice(0, rows.clone()));
        match &self.biases {
            Some([_, bias]) => product + bias.slice(1, rows),
            None => product,
        }
    }

    /// `h' = f(x W + h R + b)`.
    fn rnn(&self, given: &Var<f64>, (state, _): State) -> State {
        (self.functions[0](&(given + self.recurrent(&state, 0, 1))), None)
    }

    /// Gates z and r, and what is new: `h' = (1 - z) g + z h`.
    fn gru(&self, given: &Var<f64>, (state, _): State, linear: bool) -> State {
        let gates = self.functions[0](&(given.slice(1, 0..2 * self.hidden) + self.recurrent(&state, 0, 2)));
        let (z, r) = (self.gate(&gates, 0), self.gate(&gates, 1));
        let reset = match linear {
            true => r * self.recurrent(&state, 2, 3),
            false => self.recurrent(&(r * &state), 2, 3),
        };
        let new = self.functions[1](&(self.gate(given, 2) + reset));
        (&new + z * (state - &new), None)
    }

    /// Gates i, o and f, and what is new: `c' = f c + i g`, `h' = o h(c')`.
    fn lstm(&self, given: &Var<f64>, (state, cell): State) -> State {
        let all = given + self.recurrent(&state, 0, 4);
        let Some(cell) = cell else { return (all, None) };
        let gate = |i: usize, seen: &Var<f64>| match &self.peepholes {
            Some(peepholes) => self.functions[0](&(self.gate(&all, i) + seen * &peepholes[i])),
            None => self.functions[0](&self.gate(&all, i)),
        };
        let (input, forget) = (gate(0, &cell), gate(2, &cell));
        let cell = forget * &cell + input * self.functions[1](&self.gate(&all, 3));
        (gate(1, &cell) * self.functions[2](&cell), Some(cell))
    }
}
