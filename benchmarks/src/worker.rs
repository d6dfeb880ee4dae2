//! The worker's side of the protocol: one JSON object per line in, one per line out.
//!
//! | `op` | fields | answer |
//! |---|---|---|
//! | `load` | `file`, `dtype`, `kind` | `modes` |
//! | `result` | `mode`, `out` | `seconds` of the call; results in the safetensors file `out` |
//! | `time` | `mode`, `budget`, `least`, `most` | `seconds` of each repetition |
//! | anything else | | what the case answers |
use crate::OursCase;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

/// What a request is answered by.
pub type Answer = Result<Value, Box<dyn Error>>;

/// What `load` asks for.
pub struct Load<'a> {
    /// The case file.
    pub file: &'a str,
    /// `f32` or `f64`.
    pub dtype: &'a str,
    /// `hessian`, `laplacian` or `training`.
    pub kind: &'a str,
}

/// A case that is loaded: calls in several modes.
pub trait Case {
    /// The modes that this case has.
    fn modes(&self) -> Vec<&'static str>;
    /// One call, whose results are thrown away.
    fn call(&mut self, mode: &str) -> Result<(), Box<dyn Error>>;
    /// One call, whose results go to a safetensors file.
    fn save(&mut self, mode: &str, out: &str) -> Result<(), Box<dyn Error>>;
    /// Any other request.
    fn other(&mut self, op: &str, _: &Value) -> Answer {
        Err(format!("unknown op {op:?}").into())
    }
}

/// Seconds of each of at least `least` calls, until `budget` seconds are spent or `most` calls made.
pub fn times<E>(
    budget: f64,
    least: usize,
    most: usize,
    mut call: impl FnMut() -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    let (start, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < least || (seconds.len() < most && start.elapsed().as_secs_f64() < budget) {
        let before = Instant::now();
        call()?;
        seconds.push(before.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

fn text<'a>(request: &'a Value, key: &str) -> Result<&'a str, String> {
    request[key].as_str().ok_or_else(|| format!("{key:?} is missing"))
}

/// A number of a request.
pub(crate) fn number(request: &Value, key: &str) -> Result<f64, String> {
    request[key].as_f64().ok_or_else(|| format!("{key:?} is missing"))
}

/// Answers requests from standard input until it ends.
pub fn serve(make: impl Fn(&Load) -> Result<Box<dyn Case>, Box<dyn Error>>) {
    let mut case: Option<Box<dyn Case>> = None;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer = serde_json::from_str(&line).map_err(Into::into).and_then(|r| answer(&mut case, &r, &make));
        let answer = answer.unwrap_or_else(|e| json!({ "error": e.to_string() }));
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn answer(
    case: &mut Option<Box<dyn Case>>,
    request: &Value,
    make: &impl Fn(&Load) -> Result<Box<dyn Case>, Box<dyn Error>>,
) -> Answer {
    let op = text(request, "op")?;
    match op {
        "load" => {
            *case = None; // frees its memory first
            let load =
                Load { file: text(request, "file")?, dtype: text(request, "dtype")?, kind: text(request, "kind")? };
            let modes = case.insert(make(&load)?).modes();
            return Ok(json!({ "modes": modes }));
        }
        "peaks" | "writes" => return crate::floor::answer(op, request),
        "stream" => return OursCase::<f32>::stream(),
        _ => {}
    }
    let case = case.as_mut().ok_or("no case is loaded")?;
    match op {
        "result" => {
            let before = Instant::now();
            case.call(text(request, "mode")?)?;
            let seconds = before.elapsed().as_secs_f64();
            case.save(text(request, "mode")?, text(request, "out")?)?;
            Ok(json!({ "seconds": seconds }))
        }
        "time" => {
            let mode = text(request, "mode")?;
            let [budget, least, most] = ["budget", "least", "most"].map(|key| number(request, key));
            Ok(json!({ "seconds": times(budget?, least? as usize, most? as usize, || case.call(mode))? }))
        }
        other => case.other(other, request),
    }
}
