//! What is known of an array on its way through the model: its shape, where the points are in it, and its numbers, or
//! the variable that stands for them at one point.
use crate::Var;
use ndarray::{ArrayD, IxDyn};
use std::fmt;
use std::rc::Rc;

/// What entries are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Element {
    Float,
    Int,
    /// 0 or 1.
    Bool,
}

/// Where the points are: along `axis`, whose length is `before` times their number times `after`, in C order. Shapes of
/// a batch of `n` points in which an axis of `heads * n` or `n * tokens` entries appears have such axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Batch {
    pub axis: usize,
    pub before: usize,
    pub after: usize,
}

impl Batch {
    /// Entries along the axis for one point.
    pub fn each(&self) -> usize {
        self.before * self.after
    }
}

/// A weight: its name, and its numbers in its own shape, which are those of the value in their order.
#[derive(Clone)]
pub(super) struct Weight {
    pub name: Rc<str>,
    pub numbers: Rc<ArrayD<f64>>,
}

/// Numbers, or a variable; at one point where there is a batch.
#[derive(Clone)]
pub(super) enum Data {
    Known {
        numbers: Rc<ArrayD<f64>>,
        /// The weight that they are, if they come from initialisers.
        weight: Option<Weight>,
    },
    Varies(Var<f64>),
}

/// An array of the model.
#[derive(Clone)]
pub(super) struct Value {
    /// As ONNX has it, with all points.
    pub shape: Vec<usize>,
    pub batch: Option<Batch>,
    pub element: Element,
    pub data: Data,
}

/// The product of lengths, saturating.
pub(super) fn count(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n, &len| n.saturating_mul(len))
}

/// The shape at one point.
pub(super) fn local(shape: &[usize], batch: Option<Batch>) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if let Some(batch) = batch {
        shape[batch.axis] = batch.each();
    }
    shape
}

impl Value {
    pub fn known(numbers: ArrayD<f64>, element: Element) -> Self {
        let shape = numbers.shape().to_vec();
        Self { shape, batch: None, element, data: Data::Known { numbers: Rc::new(numbers), weight: None } }
    }

    /// Known numbers of one point.
    pub fn known_at(shape: &[usize], batch: Option<Batch>, numbers: Vec<f64>, element: Element) -> Self {
        let numbers = ArrayD::from_shape_vec(IxDyn(&local(shape, batch)), numbers).expect("as many as the shape holds");
        Self { shape: shape.to_vec(), batch, element, data: Data::Known { numbers: Rc::new(numbers), weight: None } }
    }

    pub fn integers(numbers: Vec<f64>) -> Self {
        Self::known_at(&[numbers.len()], None, numbers, Element::Int)
    }

    /// The shape at one point.
    pub fn local(&self) -> Vec<usize> {
        local(&self.shape, self.batch)
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The numbers at one point, if they do not vary.
    pub fn numbers(&self) -> Option<&ArrayD<f64>> {
        match &self.data {
            Data::Known { numbers, .. } => Some(numbers),
            Data::Varies(_) => None,
        }
    }

    pub fn varies(&self) -> bool {
        matches!(self.data, Data::Varies(_))
    }

    /// The weight that it is.
    pub fn weight(&self) -> Option<&Weight> {
        match &self.data {
            Data::Known { weight, .. } => weight.as_ref(),
            Data::Varies(_) => None,
        }
    }

    /// The number that all entries are, unless it is a weight or varies.
    pub fn single(&self) -> Option<f64> {
        let numbers = self.numbers().filter(|_| self.weight().is_none())?;
        let first = *numbers.first()?;
        numbers.iter().all(|n| n.to_bits() == first.to_bits()).then_some(first)
    }

    /// The shape for people, in which `n` is the number of points.
    pub fn shown(&self, points: Option<usize>) -> String {
        Shape { dims: &self.shape, batch: self.batch, points }.to_string()
    }
}

/// A shape for people.
pub(super) struct Shape<'a> {
    pub dims: &'a [usize],
    pub batch: Option<Batch>,
    /// The length that stands for any number of points.
    pub points: Option<usize>,
}

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |(i, &n): (usize, &usize)| match (self.batch, self.points) {
            (Some(batch), Some(_)) if batch.axis == i && batch.each() == 1 => "n".to_string(),
            (Some(batch), Some(_)) if batch.axis == i => format!("{}n", batch.each()),
            (_, Some(points)) if n > 0 && n % points == 0 => match n / points {
                1 => "n".to_string(),
                k => format!("{k}n"),
            },
            _ => n.to_string(),
        };
        let lengths: Vec<String> = self.dims.iter().enumerate().map(length).collect();
        write!(f, "[{}]", lengths.join(", "))
    }
}

/// The place of the points in `new`, a shape of the same entries in the same order as `old`; an error if they are not
/// in one axis of it.
pub(super) fn reshaped(
    old: &[usize],
    batch: Option<Batch>,
    new: &[usize],
    points: usize,
) -> Result<Option<Batch>, String> {
    let Some(batch) = batch else { return Ok(None) };
    let inner = batch.after * count(&old[batch.axis + 1..]);
    for (axis, &n) in new.iter().enumerate() {
        let stride = count(&new[axis + 1..]);
        if stride > 0
            && inner.is_multiple_of(stride)
            && n.saturating_mul(stride).is_multiple_of(inner.saturating_mul(points).max(1))
        {
            let after = inner / stride;
            let before = n / (after * points).max(1);
            return Ok(Some(Batch { axis, before, after }));
        }
    }
    Err("mixes the points of a batch with one another".into())
}
