//! A model as a graph: its operators one after another, each by its rule.
use super::call::{Call, Desk, LARGEST, Outcome};
use super::model::{Attribute, Graph, Length, Model, Node, Port};
use super::rules::rule;
use super::tensor::element;
use super::value::{Batch, Data, Element, Value, Weight, count};
use crate::graph::GraphSpec;
use ndarray::ArrayD;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

/// The length that stands for any number of points: a prime, so large that no other length is a multiple of it.
const ANY: usize = (1 << 31) - 1;
/// The versions of the main operators whose rules are known.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=28;
/// Operators that are read at most, counting those of a function at each of its calls.
const OPERATORS: usize = 1 << 18;

/// Operators that change no entry of one array.
const MOVES: [&str; 9] =
    ["Cast", "CastLike", "Flatten", "Identity", "Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze"];
/// Operators that take some entries, or take them several times: of weights they stay in the graph, so that these remain
/// as they are stored, and entries that are the same remain so in training.
const PARTS: [&str; 8] = ["Concat", "Expand", "Gather", "GatherElements", "GatherND", "Slice", "Split", "Tile"];

/// A graph with the values of its weights.
pub(super) struct Imported {
    pub spec: GraphSpec,
    pub weights: Vec<Rc<ArrayD<f64>>>,
}

/// Arrays by name: those of a graph, and behind them those of the graph around it.
pub(super) struct Scope<'s> {
    pub values: HashMap<String, Value>,
    pub outside: Option<&'s Scope<'s>>,
    pub depth: usize,
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).or_else(|| self.outside?.get(name))
    }
}

/// What all graphs of a model share.
pub(super) struct Reader<'m, 'a> {
    pub model: &'m Model<'a>,
    pub desk: &'m Desk,
    folder: Option<&'m Path>,
    operators: Cell<usize>,
}

/// The graph of a model.
pub(super) fn import(model: &Model, folder: Option<&Path>) -> Result<Imported, String> {
    let graph = model.graph.as_ref().ok_or("a model without a graph")?;
    let opset = main_version(&model.opsets)?;
    let input = input(graph)?;
    let (shape, points, any) = point(input)?;
    let d = count(&shape[usize::from(points.is_some())..]);
    let stored = graph.initialisers.iter().filter_map(|t| t.shape().ok()).fold(0usize, |n, (_, s)| n.saturating_add(s));
    let stored = stored.min(1 << 40);
    let desk = Desk::new(d, points, any, stored);
    let reader = Reader { model, desk: &desk, folder, operators: Cell::new(OPERATORS) };
    let mut scope = Scope { values: HashMap::new(), outside: None, depth: 0 };
    let batch = points.map(|_| Batch { axis: 0, before: 1, after: 1 });
    let mut inside = shape.clone();
    if points.is_some() {
        inside[0] = 1;
    }
    let data = Data::Varies(desk.point.reshape(&inside));
    scope.values.insert(input.name.into(), Value { shape, batch, element: Element::Float, data });
    reader.body(graph, opset, &mut scope)?;
    let output = output(graph, &scope, &desk)?;
    drop(scope);
    finish(desk, &output)
}

/// The version of the main operators.
pub(super) fn main_version(opsets: &[(&str, i64)]) -> Result<i64, String> {
    let found = opsets.iter().find(|(domain, _)| domain.is_empty()).map_or(1, |(_, version)| *version);
    match OPSETS.contains(&found) {
        true => Ok(found),
        false => Err(format!(
            "operators are those of opset {found}, expected {} to {}: export with another opset_version, or convert with \
             onnx.version_converter",
            OPSETS.start(),
            OPSETS.end()
        )),
    }
}

/// Ports for people: `x [n, 2], y [n, 1]`.
fn ports(ports: &[&Port]) -> String {
    let length = |l: &Length| match l {
        Length::Fixed(n) => n.to_string(),
        Length::Any => "?".into(),
    };
    let dims = |p: &Port| p.dims.as_ref().map_or("?".into(), |d| d.iter().map(length).collect::<Vec<_>>().join(", "));
    ports.iter().map(|p| format!("{} [{}]", p.name.escape_debug(), dims(p))).collect::<Vec<_>>().join(", ")
}

/// The one input that is not an initialiser.
pub(super) fn input<'m, 'a>(graph: &'m Graph<'a>) -> Result<&'m Port<'a>, String> {
    let stored = |p: &&Port| graph.initialisers.iter().any(|t| t.name == p.name);
    let free: Vec<&Port> = graph.inputs.iter().filter(|p| !stored(p)).collect();
    match free[..] {
        [one] => Ok(one),
        [] => Err("the model has no input, expected one of points (n, d)".into()),
        _ => Err(format!(
            "the model has {} inputs ({}), expected one of points (n, d): before the export, write a module that takes \
             one array and slices its columns for the others",
            free.len(),
            ports(&free)
        )),
    }
}

/// The shape of the points, the length that stands for their number, and whether that is any number.
fn point(input: &Port) -> Result<(Vec<usize>, Option<usize>, bool), String> {
    let shown = ports(&[input]);
    if element(input.kind).map_err(|e| format!("input {shown}: {e}"))? != Element::Float {
        return Err(format!("input {shown} has integers or booleans, expected points of floats"));
    }
    let wanted = "expected (n, d) with a fixed d, or (d,) for a network of a single point";
    let Some(dims) = &input.dims else {
        return Err(format!("input {} has no shape, {wanted}", input.name.escape_debug()));
    };
    let fixed = |l: &Length| match l {
        Length::Fixed(n) => usize::try_from(*n).ok().filter(|&n| n > 0 && n < 1 << 24),
        Length::Any => None,
    };
    let (first, rest) = match &dims[..] {
        [] => return Err(format!("input {shown} is a single number, {wanted}")),
        [one] => (Length::Fixed(1), std::slice::from_ref(one)),
        [first, rest @ ..] => (*first, rest),
    };
    let rest: Option<Vec<usize>> = rest.iter().map(fixed).collect();
    let Some(rest) = rest.filter(|r| count(r) < 1 << 22) else {
        return Err(format!("input {shown}: {wanted}; export with only the first axis dynamic"));
    };
    if dims.len() == 1 {
        return Ok((rest, None, false));
    }
    let with = |n: usize| [&[n], &rest[..]].concat();
    match (first, fixed(&first)) {
        // of a single point every operation is one on that point
        (Length::Fixed(1), _) => Ok((with(1), None, false)),
        (Length::Any, _) => Ok((with(ANY), Some(ANY), true)),
        (_, Some(n)) => Ok((with(n), Some(n), false)),
        (Length::Fixed(n), None) => Err(format!("input {shown}: {n} points, {wanted}")),
    }
}

/// The one output, a row for each point.
fn output(graph: &Graph, scope: &Scope, desk: &Desk) -> Result<Value, String> {
    let [port] = &graph.outputs[..] else {
        let all: Vec<&Port> = graph.outputs.iter().collect();
        return Err(format!(
            "the model has {} outputs ({}), expected one: keep the one that is wanted, with \
             onnx.utils.extract_model(FILE, NEW_FILE, [INPUT], [OUTPUT])",
            all.len(),
            ports(&all)
        ));
    };
    let Some(value) = scope.get(port.name) else {
        return Err(format!("no operator gives the output {:?}", port.name));
    };
    let shown = value.shown(desk.any.then_some(desk.points).flatten());
    if value.numbers().is_some() || value.batch.is_none() && desk.points.is_some() {
        return Err(format!("the output {:?} {shown} does not depend on the input", port.name));
    }
    if value.element != Element::Float {
        return Err(format!("the output {:?} {shown} has integers or booleans, expected floats", port.name));
    }
    // what follows the point's number in C order is the point's
    if value.batch.is_some_and(|batch| (batch.axis, batch.before) != (0, 1)) {
        return Err(format!("the output {:?} has shape {shown}, expected a row for each of the n points", port.name));
    }
    Ok(value.clone())
}

/// The graph with this output, simplified, and its weights.
fn finish(desk: Desk, output: &Value) -> Result<Imported, String> {
    let Data::Varies(var) = &output.data else { return Err("the output does not depend on the input".into()) };
    let weights = desk.weights.into_inner();
    let lengths: Vec<usize> = weights.iter().map(|(_, numbers, _)| numbers.len()).collect();
    let (graph, used) = var.clone().into_graph().simplified().packed(&lengths);
    let kept: Vec<_> = used.into_iter().map(|i| &weights[i]).collect();
    let named = kept.iter().map(|(name, numbers, _)| (name.clone(), &**numbers)).collect();
    let spec = graph.describe(named).ok_or("an activation without a description")?;
    Ok(Imported { spec, weights: kept.into_iter().map(|(_, numbers, _)| numbers.clone()).collect() })
}

impl<'a> Reader<'_, 'a> {
    /// The initialisers and the operators of a graph.
    pub fn body(&self, graph: &Graph<'a>, opset: i64, scope: &mut Scope) -> Result<(), String> {
        self.initialisers(graph, scope)?;
        self.nodes(&graph.nodes, &[], &self.model.opsets, opset, scope)
    }

    /// The initialisers of a graph.
    pub fn initialisers(&self, graph: &Graph<'a>, scope: &mut Scope) -> Result<(), String> {
        if graph.sparse {
            return Err("an initialiser is stored as a sparse array: store it densely".into());
        }
        for tensor in &graph.initialisers {
            let of = |message| format!("initialiser {:?}: {message}", tensor.name);
            let (numbers, element) = tensor.array(self.folder).map_err(of)?;
            let mut value = Value::known(numbers, element);
            if let (Data::Known { numbers, weight }, Element::Float) = (&mut value.data, element)
                && !numbers.shape().is_empty()
                && trainable(numbers)
            {
                *weight = Some(Weight { name: tensor.name.into(), numbers: numbers.clone() });
            }
            scope.values.insert(tensor.name.into(), value);
        }
        Ok(())
    }

    /// Counts an operator, or a turn of a loop.
    pub fn count(&self) -> Result<(), String> {
        let left = self.operators.get().checked_sub(1);
        self.operators.set(left.ok_or_else(|| format!("more than {OPERATORS} operators"))?);
        Ok(())
    }

    /// Operators one after another.
    pub fn nodes(
        &self,
        nodes: &[Node<'a>],
        settings: &[Attribute<'a>],
        opsets: &[(&str, i64)],
        opset: i64,
        scope: &mut Scope,
    ) -> Result<(), String> {
        for node in nodes {
            self.count()?;
            let version = opsets.iter().find(|(domain, _)| *domain == node.domain).map_or(opset, |(_, v)| *v);
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for name in &node.inputs {
                inputs.push(match (*name, scope.get(name)) {
                    ("", _) => None,
                    (_, Some(value)) => Some(value.clone()),
                    (_, None) => return Err(format!("{}: no operator before it gives {name:?}", title(node, version))),
                });
            }
            let attributes = settled(&node.attributes, settings);
            let outputs = self.applied(node, &attributes, version, inputs, scope)?;
            for (name, value) in node.outputs.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                scope.values.insert((*name).into(), value);
            }
        }
        Ok(())
    }

    /// What an operator gives of these inputs.
    pub fn applied(
        &self,
        node: &Node,
        attributes: &[Attribute],
        opset: i64,
        inputs: Vec<Option<Value>>,
        scope: &Scope,
    ) -> Outcome {
        let known = inputs.iter().flatten().all(|v| !v.varies());
        let weights = inputs.iter().flatten().filter(|v| v.weight().is_some());
        let small = weights.clone().all(|v| count(&v.shape) <= LARGEST) && weights.count() > 0;
        // with a fixed number of points an array may have one for each of them, which must be known to be equal
        let whole = self.desk.points.is_some() && !self.desk.any;
        let folding = known && (whole || !small || !node.domain.is_empty() || !PARTS.contains(&node.op));
        self.operator(&Call { desk: self.desk, node, attributes, opset, inputs, folding }, scope)
    }

    /// What an operator gives, by its rule, its body or its function.
    fn operator(&self, call: &Call<'_>, scope: &Scope) -> Outcome {
        let node = call.node;
        let explained = |message: String| explain(call, &message);
        match (node.op, node.domain) {
            ("If", "") => return self.branch(call, scope).map_err(explained),
            ("Loop", "") => return self.looped(call, scope).map_err(explained),
            ("Scan", "") => return self.scanned(call, scope).map_err(explained),
            _ => {}
        }
        let function = self.model.functions.iter().find(|f| f.name == node.op && f.domain == node.domain);
        if let Some(function) = function {
            return self.function(function, call, scope.depth);
        }
        let Some(rule) = rule(node.domain, node.op) else {
            return Err(explained(
                "hessquik does not have this operator; write that part of the network in other operators, or, for a PyTorch \
                 or JAX model, bring the model itself (hessquik_rs.Network.from_torch, from_jax)"
                    .into(),
            ));
        };
        let outcome = if call.folding { call.folded(rule) } else { call.traced(rule) };
        let mut values = outcome.map_err(explained)?;
        if call.folding {
            // numbers made of weights alone are a weight in their place
            let mut sources = call.inputs.iter().flatten().filter_map(Value::weight);
            if let Some(first) = sources.next() {
                // under its own name where entries only move
                let alone = sources.next().is_none() && values.len() == 1 && MOVES.contains(&node.op);
                for (value, output) in values.iter_mut().zip(&node.outputs) {
                    let name: Rc<str> = if alone { first.name.clone() } else { (*output).into() };
                    if let (Element::Float, Data::Known { numbers, weight }) = (value.element, &mut value.data)
                        && trainable(numbers)
                    {
                        weight.get_or_insert_with(|| Weight { name, numbers: numbers.clone() });
                    }
                }
            }
        }
        Ok(values)
    }
}

/// Settings with those of a function's caller in the place of their names.
fn settled<'n, 'a>(own: &'n [Attribute<'a>], theirs: &[Attribute<'a>]) -> Cow<'n, [Attribute<'a>]> {
    if own.iter().all(|a| a.refers.is_empty()) {
        return Cow::Borrowed(own);
    }
    let settled = |a: &Attribute<'a>| match a.refers {
        "" => Some(a.clone()),
        name => theirs.iter().find(|s| s.name == name).map(|s| Attribute { name: a.name, ..s.clone() }),
    };
    own.iter().filter_map(settled).collect()
}

/// Whether numbers may be a weight: masks of attention, with infinities, are constants.
fn trainable(numbers: &ArrayD<f64>) -> bool {
    !numbers.is_empty() && numbers.iter().all(|n| n.is_finite())
}

pub(super) fn given(scope: &Scope, name: &str) -> Result<Value, String> {
    scope.get(name).cloned().ok_or_else(|| format!("no operator gives {name:?}"))
}

fn title(node: &Node, opset: i64) -> String {
    let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", node.domain.escape_debug()) };
    let op = node.op.escape_debug();
    let output = node.outputs.first().copied().unwrap_or_default();
    match node.name {
        "" => format!("operator {domain}{op} (output {output:?}, opset {opset})"),
        name => format!("operator {domain}{op} (node {name:?}, opset {opset})"),
    }
}

/// A message with the operator and the shapes of its inputs.
pub(super) fn explain(call: &Call, message: &str) -> String {
    let points = call.desk.any.then_some(call.desk.points).flatten();
    let shown = |(name, value): (&&str, &Option<Value>)| {
        value.as_ref().map_or("nothing".into(), |value| format!("{} {}", name.escape_debug(), value.shown(points)))
    };
    let inputs: Vec<String> = call.node.inputs.iter().zip(&call.inputs).map(shown).collect();
    let inputs = if inputs.is_empty() { "nothing".into() } else { inputs.join(", ") };
    format!("{} of {inputs}: {message}", title(call.node, call.opset))
}
