//! Operators with a body of others: branches, loops, whose turns are written one after another, and functions.
use super::call::{Call, Outcome};
use super::import::{Reader, Scope, explain, given, main_version};
use super::model::{Attribute, Function, Graph, Node};
use super::value::{Element, Value};
use std::collections::{HashMap, HashSet};

/// Bodies within one another at most.
const DEEPEST: usize = 32;

/// The depth of a body within one of this depth.
fn deeper(depth: usize) -> Result<usize, String> {
    match depth < DEEPEST {
        true => Ok(depth + 1),
        false => Err(format!("branches, loops and functions are nested more than {DEEPEST} deep")),
    }
}

impl<'a> Reader<'_, 'a> {
    /// The branch that a known condition takes.
    pub fn branch(&self, call: &Call<'_>, scope: &Scope) -> Outcome {
        let Ok(Some(condition)) = call.scalar(0) else {
            return Err("the condition depends on the points; use Where, which computes both branches".into());
        };
        let name = if condition != 0.0 { "then_branch" } else { "else_branch" };
        let graph = call.graph(name).ok_or_else(|| format!("{name} is missing"))?;
        let mut inner = Scope { values: HashMap::new(), outside: Some(scope), depth: deeper(scope.depth)? };
        self.body(graph, call.opset, &mut inner)?;
        graph.outputs.iter().map(|port| given(&inner, port.name)).collect()
    }

    /// The operators of a function at its call.
    pub fn function(&self, function: &Function<'a>, call: &Call<'_>, depth: usize) -> Outcome {
        let depth = deeper(depth).map_err(|message| explain(call, &message))?;
        let mut inner = Scope { values: HashMap::new(), outside: None, depth };
        for (name, value) in function.inputs.iter().zip(&call.inputs) {
            if let Some(value) = value {
                inner.values.insert((*name).into(), value.clone());
            }
        }
        let mut settings: Vec<Attribute> = call.attributes.to_vec();
        settings.extend(function.defaults.iter().cloned());
        let opset = main_version(&function.opsets)?;
        self.nodes(&function.nodes, &settings, &function.opsets, opset, &mut inner)?;
        function.outputs.iter().map(|name| given(&inner, name)).collect()
    }

    /// A loop of as many turns as a number says, or while a condition holds, which both must be known.
    pub fn looped(&self, call: &Call<'_>, scope: &Scope) -> Outcome {
        const TURNS: &str =
            "the number of turns depends on the points: a network has the same operators at every point";
        let body = call.graph("body").ok_or("body is missing")?;
        let carried = call.inputs.len().saturating_sub(2);
        if body.inputs.len() != 2 + carried || body.outputs.len() < 1 + carried {
            return Err(SHAPES.into());
        }
        let most = call.scalar(0).map_err(|_| TURNS)?.unwrap_or(f64::INFINITY);
        let mut goes_on = call.scalar(1).map_err(|_| TURNS)?.is_none_or(|c| c != 0.0);
        let mut state = (2..call.inputs.len()).map(|i| call.input(i).cloned()).collect::<Result<Vec<_>, _>>()?;
        let turns = self.turns(body, call.opset, scope)?;
        let mut rows: Vec<Vec<Value>> = vec![Vec::new(); body.outputs.len() - 1 - carried];
        let mut turn = 0.0;
        while goes_on && turn < most {
            let number = |n: f64, element| Value::known_at(&[], None, vec![n], element);
            let given = [number(turn, Element::Int), number(1.0, Element::Bool)].into_iter().chain(state);
            let mut results = self.turn(&turns, given.collect(), call.opset)?.into_iter();
            let condition = results.next().and_then(|v| v.numbers().and_then(|n| n.first().copied()));
            goes_on = condition.ok_or(TURNS)? != 0.0;
            state = results.by_ref().take(carried).collect();
            rows.iter_mut().zip(results).for_each(|(rows, row)| rows.push(row));
            turn += 1.0;
        }
        let stacked = rows.into_iter().map(|rows| self.stacked(call, rows, 0, scope));
        state.into_iter().map(Ok).chain(stacked).collect()
    }

    /// A loop over the entries of an axis.
    pub fn scanned(&self, call: &Call<'_>, scope: &Scope) -> Outcome {
        let body = call.graph("body").ok_or("body is missing")?;
        let over = usize::try_from(call.integer("num_scan_inputs", 0)).unwrap_or(usize::MAX);
        let carried = call.inputs.len().checked_sub(over).ok_or(SHAPES)?;
        if over == 0 || body.inputs.len() != call.inputs.len() || body.outputs.len() < carried {
            return Err(SHAPES.into());
        }
        let given = |i: usize| call.input(i).cloned();
        let mut state = (0..carried).map(given).collect::<Result<Vec<_>, _>>()?;
        let arrays = (carried..call.inputs.len()).map(given).collect::<Result<Vec<_>, _>>()?;
        let setting = |name: &str, n: usize| match call.list(name) {
            Some(list) if list.len() != n => Err(format!("{name} is {list:?}, for {n} arrays")),
            list => Ok(list.unwrap_or_else(|| vec![0; n])),
        };
        let (axes, backwards) = (setting("scan_input_axes", over)?, setting("scan_input_directions", over)?);
        let axes = arrays.iter().zip(axes).map(|(v, a)| call.axis(a, v.rank())).collect::<Result<Vec<_>, _>>()?;
        for (array, &axis) in arrays.iter().zip(&axes) {
            call.apart(array, axis)?;
        }
        let length = arrays[0].shape[axes[0]];
        if arrays.iter().zip(&axes).any(|(v, &a)| v.shape[a] != length) {
            return Err("goes over arrays of different lengths".into());
        }
        let scans = body.outputs.len() - carried;
        let (to, reversed) = (setting("scan_output_axes", scans)?, setting("scan_output_directions", scans)?);
        let turns = self.turns(body, call.opset, scope)?;
        let mut rows: Vec<Vec<Value>> = vec![Vec::new(); scans];
        for t in 0..length {
            let mut given = state;
            for ((array, &axis), &backwards) in arrays.iter().zip(&axes).zip(&backwards) {
                let at = if backwards == 0 { t } else { length - 1 - t };
                given.push(self.entry(call, array, axis, at, scope)?);
            }
            let mut results = self.turn(&turns, given, call.opset)?.into_iter();
            state = results.by_ref().take(carried).collect();
            rows.iter_mut().zip(results).for_each(|(rows, row)| rows.push(row));
        }
        let stacked = rows.into_iter().zip(to).zip(reversed).map(|((mut rows, axis), reversed)| {
            if reversed != 0 {
                rows.reverse();
            }
            self.stacked(call, rows, axis, scope)
        });
        state.into_iter().map(Ok).chain(stacked).collect()
    }

    /// The operators of a body of which there is one turn after another. Those that do not depend on the turn are read
    /// once, so that a weight that they make is the same one in each turn.
    fn turns<'s>(&self, body: &'s Graph<'a>, opset: i64, scope: &'s Scope) -> Result<Turns<'s, 'a>, String> {
        let mut fixed = Scope { values: HashMap::new(), outside: Some(scope), depth: deeper(scope.depth)? };
        self.initialisers(body, &mut fixed)?;
        let mut changing: HashSet<&str> = body.inputs.iter().map(|port| port.name).collect();
        let mut nodes = Vec::new();
        for node in &body.nodes {
            // bodies within this one may read any of its arrays
            let within = node.attributes.iter().any(|a| a.graph.is_some());
            if within || node.inputs.iter().any(|name| changing.contains(name)) {
                changing.extend(node.outputs.iter().copied());
                nodes.push(node);
            } else {
                self.nodes(std::slice::from_ref(node), &[], &self.model.opsets, opset, &mut fixed)?;
            }
        }
        Ok(Turns { body, fixed, nodes })
    }

    /// One turn: what the body gives of its inputs.
    fn turn(&self, turns: &Turns<'_, 'a>, given_to: Vec<Value>, opset: i64) -> Outcome {
        self.count()?;
        let names = turns.body.inputs.iter().map(|port| port.name.to_string());
        let values = names.zip(given_to).collect();
        let mut scope = Scope { values, outside: Some(&turns.fixed), depth: turns.fixed.depth };
        for node in &turns.nodes {
            self.nodes(std::slice::from_ref(node), &[], &self.model.opsets, opset, &mut scope)?;
        }
        turns.body.outputs.iter().map(|port| given(&scope, port.name)).collect()
    }

    /// Entry `at` of an axis, which is gone.
    fn entry(&self, call: &Call, array: &Value, axis: usize, at: usize, scope: &Scope) -> Result<Value, String> {
        let index = Value::known_at(&[], None, vec![at as f64], Element::Int);
        let inputs = vec![Some(array.clone()), Some(index)];
        self.along("Gather", axis, inputs, call, scope)
    }

    /// Arrays side by side along a new axis.
    fn stacked(&self, call: &Call, rows: Vec<Value>, axis: i64, scope: &Scope) -> Result<Value, String> {
        let first = rows.first().ok_or("a loop of no turns gives an array without entries")?;
        let axis = call.axis(axis, first.rank() + 1)?;
        let row = |value: &Value| {
            let mut shape = value.shape.clone();
            shape.insert(axis.min(shape.len()), 1);
            Ok(Some(call.reshaped(value, shape)?))
        };
        let inputs = rows.iter().map(row).collect::<Result<Vec<_>, String>>()?;
        self.along("Concat", axis, inputs, call, scope)
    }

    /// What an operator along an axis gives.
    fn along(
        &self,
        op: &'static str,
        axis: usize,
        inputs: Vec<Option<Value>>,
        call: &Call,
        scope: &Scope,
    ) -> Result<Value, String> {
        let attributes = [Attribute { name: "axis", integer: Some(axis as i64), ..Attribute::default() }];
        let names = vec!["an array of the loop"; inputs.len()];
        let node = Node { op, inputs: names, outputs: vec![op], ..Node::default() };
        let mut found = self.applied(&node, &attributes, call.opset, inputs, scope)?;
        found.pop().ok_or_else(|| format!("{op} gives nothing"))
    }
}

const SHAPES: &str = "has another number of inputs or outputs than its body";

/// The body of a loop.
struct Turns<'s, 'a> {
    body: &'s Graph<'a>,
    /// Its initialisers, and what does not depend on the turn.
    fixed: Scope<'s>,
    /// The other operators.
    nodes: Vec<&'s Node<'a>>,
}
