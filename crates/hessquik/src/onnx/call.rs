//! One operator of a model being read: its settings, its inputs, and how rules make values out of these.
use super::model::{Attribute, Graph, Node};
use super::value::{Batch, Data, Element, Shape, Value, Weight, count, local};
use crate::Var;
use ndarray::{ArrayD, IxDyn};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Numbers that one value may have, at one point where it varies.
pub(super) const LARGEST: usize = 1 << 22;
/// Numbers that the nodes of a graph may have, all together.
const ALL: usize = 1 << 24;

/// What an operator gives, or why it cannot be taken.
pub(super) type Outcome = Result<Vec<Value>, String>;

/// A weight: its name, its numbers, and the variable that stands for it.
pub(super) type Declared = (String, Rc<ArrayD<f64>>, Var<f64>);

/// What is common to all operators of a model.
pub(super) struct Desk {
    /// The point.
    pub point: Var<f64>,
    /// The length that stands for the number of points, unless the model takes a single one.
    pub points: Option<usize>,
    /// Whether that length stands for any number.
    pub any: bool,
    /// The weights so far, in the order of the flat vector, and where each starts.
    pub weights: RefCell<Vec<Declared>>,
    pub theta: Cell<usize>,
    /// Entries that may still be made, of numbers that are known and of nodes.
    pub room: [Cell<usize>; 2],
}

impl Desk {
    pub fn new(d: usize, points: Option<usize>, any: bool, stored: usize) -> Self {
        let (weights, theta) = (RefCell::default(), Cell::new(0));
        let room = [Cell::new(ALL + 4 * stored), Cell::new(ALL)];
        Self { point: Var::point(d), points, any, weights, theta, room }
    }

    /// Takes room for entries; `kind` 0 for known numbers, 1 for nodes.
    fn take(&self, kind: usize, n: usize) -> Result<(), String> {
        let room = &self.room[kind];
        room.set(room.get().checked_sub(n).ok_or("the network needs too many numbers at once for one point")?);
        Ok(())
    }

    /// What stands for numbers that are a weight.
    fn weight(&self, Weight { name, numbers }: &Weight) -> Var<f64> {
        let mut weights = self.weights.borrow_mut();
        if let Some((.., var)) = weights.iter().find(|(_, known, _)| Rc::ptr_eq(known, numbers)) {
            return var.clone();
        }
        let mut name = plain(name);
        while weights.iter().any(|(known, ..)| *known == name) {
            name.push('_');
        }
        let theta = self.theta.get();
        self.theta.set(theta + numbers.len());
        let var = self.point.declared(theta, numbers.shape().to_vec());
        weights.push((name, numbers.clone(), var.clone()));
        var
    }
}

/// A name of a weight that model files keep: they give a meaning to some beginnings.
fn plain(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = ["weights.", "module.", "_orig_mod."].iter().find_map(|p| name.strip_prefix(p)) {
        name = rest;
    }
    if name.is_empty() || name == "__metadata__" { format!("weight{name}") } else { name.into() }
}

/// An operator that is being read.
pub(super) struct Call<'a> {
    pub desk: &'a Desk,
    pub node: &'a Node<'a>,
    pub attributes: &'a [Attribute<'a>],
    pub opset: i64,
    pub inputs: Vec<Option<Value>>,
    /// Whether all inputs are known, so that the result is.
    pub folding: bool,
}

impl<'a> Call<'a> {
    // --- settings ---

    fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|a| a.name == name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|a| a.integer).unwrap_or(default)
    }

    /// A number, which ONNX stores in single precision: the decimal number that was written, `0.01` and not
    /// `0.00999999977648`.
    pub fn number(&self, name: &str, default: f64) -> f64 {
        let float = self.attribute(name).and_then(|a| a.float);
        float.map_or(default, |v| v.to_string().parse().unwrap_or(f64::from(v)))
    }

    pub fn text(&self, name: &str, default: &'static str) -> String {
        let text = self.attribute(name).and_then(|a| a.text);
        text.map_or(default.into(), |t| String::from_utf8_lossy(t).into_owned())
    }

    pub fn list(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|a| a.integers.clone())
    }

    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        let decimal = |v: &f32| v.to_string().parse().unwrap_or(f64::from(*v));
        self.attribute(name).map(|a| a.floats.iter().map(decimal).collect())
    }

    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        let text = |t: &&[u8]| String::from_utf8_lossy(t).into_owned();
        self.attribute(name).map(|a| a.texts.iter().map(text).collect())
    }

    pub fn tensor(&self, name: &str) -> Option<&super::model::Tensor<'a>> {
        self.attribute(name)?.tensor.as_ref()
    }

    pub fn graph(&self, name: &str) -> Option<&Graph<'a>> {
        self.attribute(name)?.graph.as_ref()
    }

    // --- inputs ---

    pub fn optional(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    pub fn input(&self, i: usize) -> Result<&Value, String> {
        self.optional(i).ok_or_else(|| format!("input {i} is missing"))
    }

    /// The integers of an input that must be known.
    pub fn integers(&self, i: usize) -> Result<Option<Vec<i64>>, String> {
        let Some(value) = self.optional(i) else { return Ok(None) };
        match value.numbers() {
            Some(numbers) => Ok(Some(numbers.iter().map(|&v| v as i64).collect())),
            None => Err(format!("input {i} ({}) depends on the points; it must be constant", self.name(i))),
        }
    }

    /// The one number of an input that must be known, as a scalar or an array of one entry.
    pub fn scalar(&self, i: usize) -> Result<Option<f64>, String> {
        let Some(value) = self.optional(i) else { return Ok(None) };
        match value.numbers().map(|numbers| (numbers.len(), numbers.first())) {
            Some((1, Some(&number))) => Ok(Some(number)),
            _ => Err(format!("input {i} ({}) is not one constant number", self.name(i))),
        }
    }

    /// Axes or other integers that are an input in newer versions, and were a setting.
    pub fn listed(&self, name: &str, i: usize) -> Result<Option<Vec<i64>>, String> {
        match self.list(name) {
            Some(list) => Ok(Some(list)),
            None => self.integers(i),
        }
    }

    fn name(&self, i: usize) -> &str {
        self.node.inputs.get(i).copied().unwrap_or_default()
    }

    pub fn shown(&self, shape: &[usize], batch: Option<Batch>) -> String {
        Shape { dims: shape, batch, points: self.desk.any.then_some(self.desk.points).flatten() }.to_string()
    }

    // --- variables ---

    /// A value at one point as a variable.
    pub fn var(&self, value: &Value) -> Result<Var<f64>, String> {
        match &value.data {
            Data::Varies(var) => Ok(var.clone()),
            Data::Known { numbers, weight: Some(weight) } if !self.folding => {
                Ok(self.desk.weight(weight).reshape(numbers.shape()))
            }
            Data::Known { numbers, .. } => self.constant(numbers),
        }
    }

    /// Numbers as a variable. JSON has no infinity: the largest number stands for it, as in masks of attention.
    pub fn constant(&self, numbers: &ArrayD<f64>) -> Result<Var<f64>, String> {
        if numbers.is_empty() {
            return Err("an array without entries".into());
        }
        if numbers.iter().any(|n| n.is_nan()) {
            return Err("a constant is not a number (NaN)".into());
        }
        self.roomy(numbers.len())?;
        if self.folding {
            return Ok(self.desk.point.constant(numbers));
        }
        Ok(self.desk.point.constant(&numbers.mapv(|n| n.clamp(f64::MIN, f64::MAX))))
    }

    /// An error if a value of so many entries would be too large.
    pub fn roomy(&self, n: usize) -> Result<(), String> {
        let largest = if self.folding { ALL } else { LARGEST };
        match n {
            0 => Err("gives an array without entries".into()),
            n if n > largest => Err(format!("gives {n} numbers for each point, more than {largest}")),
            _ => Ok(()),
        }
    }

    /// The value of a variable of this shape; its variable may have another one of as many entries.
    pub fn made(&self, var: &Var<f64>, shape: Vec<usize>, batch: Option<Batch>) -> Result<Value, String> {
        if let Some(fault) = var.fault() {
            return Err(fault);
        }
        let inside = local(&shape, batch);
        if count(&inside) != var.len() {
            return Err(format!("gives {} numbers for shape {}", var.len(), self.shown(&shape, batch)));
        }
        Ok(Value { shape, batch, element: Element::Float, data: Data::Varies(var.reshape(&inside)) })
    }

    /// A value like another one, made by an operation on each entry.
    pub fn alike(&self, value: &Value, act: impl FnOnce(Var<f64>) -> Var<f64>) -> Outcome {
        let var = act(self.var(value)?);
        Ok(vec![self.made(&var, value.shape.clone(), value.batch)?])
    }

    /// The entries of a value at other places, `places` of the entries at one point.
    pub fn moved(
        &self,
        value: &Value,
        places: impl IntoIterator<Item = usize>,
        shape: Vec<usize>,
        batch: Option<Batch>,
    ) -> Result<Value, String> {
        let inside = local(&shape, batch);
        let element = value.element;
        match &value.data {
            Data::Varies(var) => {
                self.roomy(count(&inside))?;
                Ok(Value { shape, batch, element, data: Data::Varies(var.picked(places, inside)) })
            }
            // a weight stays one
            Data::Known { weight: Some(_), .. } if !self.folding => {
                let data = Data::Varies(self.var(value)?.picked(places, inside));
                Ok(Value { shape, batch, element, data })
            }
            Data::Known { numbers, .. } => {
                self.known_room(count(&inside))?;
                let flat: Vec<f64> = numbers.iter().copied().collect();
                let picked: Vec<f64> = places.into_iter().map(|at| flat[at]).collect();
                Ok(Value::known_at(&shape, batch, picked, value.element))
            }
        }
    }

    /// An error if an array of so many numbers would be too large.
    pub fn known_room(&self, n: usize) -> Result<(), String> {
        if n > ALL {
            return Err(format!("gives {n} numbers, more than {ALL}"));
        }
        self.desk.take(0, n)
    }

    /// The same entries in the same order, in another shape.
    pub fn reshaped(&self, value: &Value, shape: Vec<usize>) -> Result<Value, String> {
        let batch = super::value::reshaped(&value.shape, value.batch, &shape, self.desk.points.unwrap_or(1))?;
        let inside = local(&shape, batch);
        let data = match &value.data {
            Data::Varies(var) => Data::Varies(var.reshape(&inside)),
            Data::Known { numbers, weight } if numbers.shape() == inside => {
                Data::Known { numbers: numbers.clone(), weight: weight.clone() }
            }
            Data::Known { numbers, weight } => {
                self.known_room(numbers.len())?;
                let same = numbers.to_shape(IxDyn(&inside)).map_err(|e| e.to_string())?.into_owned();
                // a weight stays one, in its own shape
                Data::Known { numbers: Rc::new(same), weight: weight.clone() }
            }
        };
        Ok(Value { shape, batch, element: value.element, data })
    }

    /// An axis, which may count from the end, of this many.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, String> {
        let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        let found = counted.and_then(|a| usize::try_from(a).ok()).filter(|&a| a < rank);
        found.ok_or_else(|| format!("axis {axis} of an array of {rank} axes"))
    }

    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
        let mut found = axes.iter().map(|&a| self.axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// An error if an operation along this axis would take points together.
    pub fn apart(&self, value: &Value, axis: usize) -> Result<(), String> {
        match value.batch {
            Some(batch) if batch.axis == axis => Err(format!(
                "works along axis {axis}, on which the points are: a network must map each point by itself"
            )),
            _ => Ok(()),
        }
    }

    /// A value that does not depend on the points, of which there are a fixed number along an axis: that of one point.
    pub fn of_one(&self, value: &Value, axis: usize, batch: Batch) -> Result<Value, String> {
        let (Some(points), Some(numbers), None) = (self.desk.points, value.numbers(), value.batch) else {
            return Err("does not fit the number of points".into());
        };
        let shape = &value.shape;
        if shape[axis] != points.saturating_mul(batch.each()) {
            return Err("has shapes that do not broadcast".into());
        }
        let (outer, inner) = (count(&shape[..axis]), batch.after * count(&shape[axis + 1..]));
        let flat: Vec<f64> = numbers.iter().copied().collect();
        let mut one = Vec::with_capacity(flat.len() / points.max(1));
        for o in 0..outer * batch.before {
            for i in 0..inner {
                let at = |p: usize| flat[(o * points + p) * inner + i].to_bits();
                if (1..points).any(|p| at(p) != at(0)) {
                    return Err(format!("a constant differs between the {points} points of the batch"));
                }
                one.push(flat[o * points * inner + i]);
            }
        }
        let mut known = Value::known_at(shape, Some(Batch { axis, ..batch }), one, value.element);
        if let (Data::Known { numbers, weight }, Some(own)) = (&mut known.data, value.weight()) {
            *weight = Some(Weight { name: own.name.clone(), numbers: numbers.clone() });
        }
        Ok(known)
    }

    /// Runs a rule whose inputs are known on constants, and gives its numbers.
    pub fn folded(&self, rule: fn(&Self) -> Outcome) -> Outcome {
        let mark = self.desk.point.mark();
        let outcome = rule(self).and_then(|values| values.into_iter().map(|value| self.fold(value, mark)).collect());
        self.desk.point.rewind(mark);
        outcome
    }

    fn fold(&self, value: Value, mark: usize) -> Result<Value, String> {
        let Data::Varies(var) = &value.data else { return Ok(value) };
        self.known_room(self.desk.point.entries_since(mark))?;
        let numbers = var.folded(mark);
        Ok(Value::known_at(&value.shape, value.batch, numbers, value.element))
    }

    /// Runs a rule on variables, within the room that a network may take.
    pub fn traced(&self, rule: fn(&Self) -> Outcome) -> Outcome {
        let mark = self.desk.point.mark();
        let outcome = rule(self)?;
        self.desk.take(1, self.desk.point.entries_since(mark))?;
        Ok(outcome)
    }
}
