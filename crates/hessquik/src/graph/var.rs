//! Variables, with which forward passes are written.
use super::pieces::runs;
use super::trace::{Shared, Untyped};
use super::{Form, Kind, NodeId, Term};
use crate::schedule::Block;
use crate::{Activation, Layer, Real};
use ndarray::{ArrayBase, Data, Dimension};
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Range, Sub};
use std::panic::Location;
use std::sync::Arc;

/// The features of one point on their way through a network, as an array with a shape:
/// [`Layer::forward_pass`](crate::Layer::forward_pass) computes with these. Nothing is computed yet; operations on
/// variables build a [`Graph`](super::Graph), from which values, derivatives and gradients follow.
///
/// `Network::new` reports a mistake (shapes that do not fit, a weight that does not exist) with the line of the forward
/// pass where it was made.
///
/// ```
/// use hessquik::{Evaluate, Layer, Request, Var, Weights};
/// use ndarray::{ArrayD, array};
///
/// /// A gate: `u' = (1 - z) u + z tanh(u)` with `z = sigmoid(u K)`.
/// #[derive(Clone, Debug)]
/// struct Gate(Weights<f64>);
///
/// impl Layer<f64> for Gate {
///     fn name(&self) -> String { "gate".into() }
///     fn dim_input(&self) -> usize { 2 }
///     fn dim_output(&self) -> usize { 2 }
///     fn weights(&self) -> Vec<(String, &ArrayD<f64>)> { self.0.list() }
///     fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<f64>)> { self.0.list_mut() }
///     fn forward_pass(&self, u: Var<f64>) -> Var<f64> {
///         let z = u.dot("K").sigmoid();
///         (1.0 - &z) * &u + &z * u.tanh()
///     }
/// }
///
/// let gate = Gate(Weights::new().with("K", array![[1.0, 0.5], [-0.5, 1.0]]));
/// let jet = gate.evaluate(&array![[0.1, 0.2]], &Request::new().value().hessian())?;
/// assert_eq!(jet.hessian.unwrap().shape(), [1, 2, 2, 2]);
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone)]
pub struct Var<F> {
    tracer: Shared<F>,
    id: NodeId,
    shape: Vec<usize>,
}

impl<F> fmt::Debug for Var<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Var {} {:?}", self.id, self.shape)
    }
}

/// The shape that two shapes broadcast to, as numpy's do.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let n = a.len().max(b.len());
    let axis = |s: &[usize], i: usize| if i + s.len() < n { 1 } else { s[i + s.len() - n] };
    (0..n)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// For each entry of `shape` in C order, the entry of the array that broadcasts to it.
fn sources(from: &[usize], shape: &[usize]) -> Vec<usize> {
    let missing = shape.len() - from.len();
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for i in (0..from.len()).rev() {
        strides[missing + i] = if from[i] == 1 { 0 } else { stride };
        stride *= from[i];
    }
    indices(shape, &strides)
}

/// The entry at each place of `shape`, with these strides.
fn indices(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut all = vec![0];
    for (&len, &stride) in shape.iter().zip(strides) {
        all = all.iter().flat_map(|&at| (0..len).map(move |i| at + i * stride)).collect();
    }
    all
}

/// C-order strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

impl<F: Real> Var<F> {
    pub(super) fn new(tracer: Shared<F>, id: NodeId, shape: Vec<usize>) -> Self {
        Self { tracer, id, shape }
    }

    pub(super) fn tracer(&self) -> Shared<F> {
        self.tracer.clone()
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    /// The shape: `[d]` for the points.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of entries.
    #[allow(clippy::len_without_is_empty)] // there are no variables without entries
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub(super) fn push(&self, kind: Kind<F>, shape: Vec<usize>) -> Self {
        let id = self.tracer.borrow_mut().push(kind, shape.iter().product());
        Self { tracer: self.tracer.clone(), id, shape }
    }

    fn fail(&self, at: &Location<'_>, message: String) {
        self.tracer.borrow_mut().fail(format!("{message} (at {}:{})", at.file(), at.line()));
    }

    /// In place of a forward pass that nobody wrote.
    pub(crate) fn missing(&self, layer: &str) -> Self {
        self.tracer
            .borrow_mut()
            .fail(format!("{layer} has no `forward_pass`, which this request (or the other layers) need"));
        self.clone()
    }

    /// The nodes of a checked graph, at `u`.
    pub(crate) fn replay(&self, spec: &super::GraphSpec, sizes: &[usize]) -> Self {
        let id = super::spec::replay(spec, sizes, &mut self.tracer.borrow_mut(), self.id);
        Self { tracer: self.tracer.clone(), id, shape: vec![sizes[spec.output]] }
    }

    /// Zeros in place of a result that makes no sense.
    fn zeros(&self, shape: &[usize]) -> Self {
        self.push(Kind::Affine { terms: vec![], shift: F::zero() }, shape.to_vec())
    }

    fn affine(&self, c: F, shift: F) -> Self {
        self.push(Kind::Affine { terms: vec![Term { of: self.id, c, blocks: None }], shift }, self.shape.clone())
    }

    pub(super) fn moved(&self, blocks: Arc<[Block]>, shape: Vec<usize>) -> Self {
        let term = Term { of: self.id, c: F::one(), blocks: Some(blocks) };
        self.push(Kind::Affine { terms: vec![term], shift: F::zero() }, shape)
    }

    /// The layer's weight of this name, as a variable that does not depend on the points.
    #[track_caller]
    pub fn weight(&self, name: &str) -> Self {
        let at = Location::caller();
        let found = self.tracer.borrow_mut().weight(name);
        match found {
            Some((id, shape)) => Self { tracer: self.tracer.clone(), id, shape },
            None => {
                let mut tracer = self.tracer.borrow_mut();
                if let Some(error) = tracer.error.as_mut().filter(|e| !e.contains(" (at ")) {
                    error.push_str(&format!(" (at {}:{})", at.file(), at.line()));
                }
                drop(tracer);
                self.zeros(&[1])
            }
        }
    }

    /// A constant array, not trained, as a variable.
    pub fn constant<S: Data<Elem = F>, D: Dimension>(&self, array: &ArrayBase<S, D>) -> Self {
        let numbers: Vec<F> = array.iter().copied().collect();
        self.push(Kind::Constant(numbers.into()), array.shape().to_vec())
    }

    /// `u K` with the weight of this name, of shape (n, n') for `n` the last axis: a linear map of each row.
    #[track_caller]
    pub fn dot(&self, name: &str) -> Self {
        self.matmul(&self.weight(name))
    }

    /// `u K^T` with the weight of this name, of shape (n', n).
    #[track_caller]
    pub fn dot_transposed(&self, name: &str) -> Self {
        self.matmul_transposed(&self.weight(name))
    }

    /// The matrix product over the last two axes, (.., r, s) and (.., s, t); a variable with one axis is one row. If
    /// the second operand is a single matrix, it multiplies every row of the first.
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        self.product(other, false, Location::caller())
    }

    /// The product with the transpose, (.., r, t) and (.., s, t) to (.., r, s).
    #[track_caller]
    pub fn matmul_transposed(&self, other: &Self) -> Self {
        self.product(other, true, Location::caller())
    }

    fn product(&self, other: &Self, transposed: bool, at: &Location<'_>) -> Self {
        let (a, b) = (&self.shape, &other.shape);
        let wrong = |this: &Self| {
            let name = if transposed { "matmul_transposed" } else { "matmul" };
            this.fail(at, format!("{name}: shapes {a:?} and {b:?} do not fit"));
            this.zeros(&[1])
        };
        if a.is_empty() || b.len() < 2 {
            return wrong(self);
        }
        let inner = a[a.len() - 1];
        let (rows_b, cols_b) = (b[b.len() - 2], b[b.len() - 1]);
        let (wanted, last) = if transposed { (cols_b, rows_b) } else { (rows_b, cols_b) };
        if inner != wanted {
            return wrong(self);
        }
        let mut shape = a.clone();
        *shape.last_mut().expect("an axis") = last;
        let (groups, rows) = if b[..b.len() - 2].iter().all(|&n| n == 1) {
            (1, a[..a.len() - 1].iter().product())
        } else if a.len() == b.len() && a[..a.len() - 2] == b[..b.len() - 2] {
            (a[..a.len() - 2].iter().product(), a[a.len() - 2])
        } else {
            // broadcast the leading axes
            let Some(lead) = broadcast(a.get(..a.len().saturating_sub(2)).unwrap_or(&[]), &b[..b.len() - 2]) else {
                return wrong(self);
            };
            let rows = if a.len() < 2 { 1 } else { a[a.len() - 2] };
            let left = self.reshape_to(&[&a[..a.len().saturating_sub(2)], &[rows, inner]].concat());
            let left = left.broadcast_to(&[&lead[..], &[rows, inner]].concat());
            let right = other.broadcast_to(&[&lead[..], &[rows_b, cols_b]].concat());
            return left.product(&right, transposed, at);
        };
        let form = match transposed {
            true => Form { dims: [groups, rows, last, inner], transposed },
            false => Form::plain([groups, rows, inner, last]),
        };
        self.push(Kind::Product { a: self.id, b: other.id, form }, shape)
    }

    fn reshape_to(&self, shape: &[usize]) -> Self {
        Self { tracer: self.tracer.clone(), id: self.id, shape: shape.to_vec() }
    }

    /// The same entries in C order with another shape.
    #[track_caller]
    pub fn reshape(&self, shape: &[usize]) -> Self {
        if shape.iter().product::<usize>() != self.len() {
            self.fail(Location::caller(), format!("reshape: shape {:?} does not hold {shape:?}", self.shape));
            return self.zeros(shape);
        }
        self.reshape_to(shape)
    }

    /// The same entries along a single axis.
    pub fn flatten(&self) -> Self {
        self.reshape_to(&[self.len()])
    }

    /// Axes in another order: axis `i` of the result is axis `axes[i]`.
    #[track_caller]
    pub fn permute(&self, axes: &[usize]) -> Self {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted != (0..self.shape.len()).collect::<Vec<_>>() {
            self.fail(Location::caller(), format!("permute: axes {axes:?} are not those of shape {:?}", self.shape));
            return self.zeros(&self.shape);
        }
        let old = strides(&self.shape);
        let shape: Vec<usize> = axes.iter().map(|&a| self.shape[a]).collect();
        let own: Vec<usize> = axes.iter().map(|&a| old[a]).collect();
        let blocks = runs(indices(&shape, &own).into_iter().enumerate().map(|(to, from)| (from, to)));
        self.moved(blocks, shape)
    }

    /// The last two axes swapped.
    #[track_caller]
    pub fn transpose(&self) -> Self {
        let n = self.shape.len();
        if n < 2 {
            self.fail(Location::caller(), format!("transpose: shape {:?} has fewer than two axes", self.shape));
            return self.zeros(&self.shape);
        }
        let mut axes: Vec<usize> = (0..n).collect();
        axes.swap(n - 1, n - 2);
        self.permute(&axes)
    }

    /// The entries `range` along an axis.
    #[track_caller]
    pub fn slice(&self, axis: usize, range: Range<usize>) -> Self {
        if axis >= self.shape.len() || range.end > self.shape[axis] || range.start >= range.end {
            let message = format!("slice: {range:?} of axis {axis} is not in shape {:?}", self.shape);
            self.fail(Location::caller(), message);
            return self.zeros(&self.shape);
        }
        let index: Vec<usize> = range.collect();
        self.select(axis, &index)
    }

    /// The entries along an axis at these indices, in this order.
    #[track_caller]
    pub fn select(&self, axis: usize, index: &[usize]) -> Self {
        if axis >= self.shape.len() || index.is_empty() || index.iter().any(|&i| i >= self.shape[axis]) {
            let message = format!("select: {index:?} of axis {axis} are not in shape {:?}", self.shape);
            self.fail(Location::caller(), message);
            return self.zeros(&self.shape);
        }
        let (outer, inner) = self.around(axis);
        let len = self.shape[axis];
        let from = (0..outer)
            .flat_map(|o| index.iter().flat_map(move |&i| (0..inner).map(move |j| (o * len + i) * inner + j)));
        let mut shape = self.shape.clone();
        shape[axis] = index.len();
        self.moved(runs(from.enumerate().map(|(to, from)| (from, to))), shape)
    }

    /// Products of the lengths of the axes before and after one.
    fn around(&self, axis: usize) -> (usize, usize) {
        (self.shape[..axis].iter().product(), self.shape[axis + 1..].iter().product())
    }

    /// Variables concatenated along an axis.
    #[track_caller]
    pub fn concat(axis: usize, parts: &[Self]) -> Self {
        let at = Location::caller();
        let first = parts.first().expect("at least one variable to concatenate");
        let fits = |v: &Self| {
            v.shape.len() == first.shape.len()
                && axis < v.shape.len()
                && (0..v.shape.len()).all(|i| i == axis || v.shape[i] == first.shape[i])
        };
        if let Some(wrong) = parts.iter().find(|v| !fits(v)) {
            let message =
                format!("concat along axis {axis}: shapes {:?} and {:?} do not fit", first.shape, wrong.shape);
            first.fail(at, message);
            return first.zeros(&first.shape);
        }
        let (outer, inner) = first.around(axis);
        let total: usize = parts.iter().map(|v| v.shape[axis]).sum();
        let (mut terms, mut start) = (Vec::new(), 0);
        for part in parts {
            let len = part.shape[axis];
            let pairs = (0..outer)
                .flat_map(|o| (0..len * inner).map(move |j| (o * len * inner + j, (o * total + start) * inner + j)));
            terms.push(Term { of: part.id, c: F::one(), blocks: Some(runs(pairs)) });
            start += len;
        }
        let mut shape = first.shape.clone();
        shape[axis] = total;
        first.push(Kind::Affine { terms, shift: F::zero() }, shape)
    }

    /// The same entries repeated to a larger shape, as numpy broadcasts.
    #[track_caller]
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        if broadcast(&self.shape, shape).as_deref() != Some(shape) {
            let message = format!("broadcast_to: shape {:?} does not broadcast to {shape:?}", self.shape);
            self.fail(Location::caller(), message);
            return self.zeros(shape);
        }
        if self.shape == shape {
            return self.clone();
        }
        if self.len() == shape.iter().product::<usize>() {
            return self.reshape_to(shape);
        }
        let from = sources(&self.shape, shape);
        self.moved(runs(from.into_iter().enumerate().map(|(to, from)| (from, to))), shape.to_vec())
    }

    /// The sum over an axis, which is kept with length 1.
    #[track_caller]
    pub fn sum(&self, axis: usize) -> Self {
        if axis >= self.shape.len() {
            self.fail(Location::caller(), format!("sum: axis {axis} is not in shape {:?}", self.shape));
            return self.zeros(&self.shape);
        }
        let (outer, inner) = self.around(axis);
        let len = self.shape[axis];
        // blocks of whole rows: `inner` entries of each of `len`
        let blocks = (0..outer)
            .flat_map(|o| (0..len).map(move |i| Block { from: (o * len + i) * inner, to: o * inner, len: inner }));
        let mut shape = self.shape.clone();
        shape[axis] = 1;
        self.moved(blocks.collect(), shape)
    }

    /// The mean over an axis, which is kept with length 1.
    #[track_caller]
    pub fn mean(&self, axis: usize) -> Self {
        let len = self.shape.get(axis).copied().unwrap_or(1);
        self.sum(axis).affine(F::of(1.0 / len as f64), F::zero())
    }

    /// The largest entry along an axis, which is kept with length 1; the first such entry if there are several. Its
    /// derivatives are those of this entry.
    #[track_caller]
    pub fn max(&self, axis: usize) -> Self {
        if axis >= self.shape.len() {
            self.fail(Location::caller(), format!("max: axis {axis} is not in shape {:?}", self.shape));
            return self.zeros(&self.shape);
        }
        let (_, inner) = self.around(axis);
        let len = self.shape[axis];
        let mut shape = self.shape.clone();
        shape[axis] = 1;
        self.push(Kind::Largest { of: self.id, len, inner }, shape)
    }

    /// The entries as constants: with zero derivatives, both to the points and to the weights.
    pub fn frozen(&self) -> Self {
        self.push(Kind::Frozen { of: self.id }, self.shape.clone())
    }

    /// The sum of all entries, shape `[1]`.
    pub fn sum_all(&self) -> Self {
        self.flatten().sum(0)
    }

    /// An activation applied to every entry.
    pub fn act(&self, act: Activation) -> Self {
        self.push(Kind::Pointwise { of: self.id, act }, self.shape.clone())
    }

    /// A layer or network applied to `u`; its weights are this layer's weights named `prefix.name`.
    #[track_caller]
    pub fn apply<L: Layer<F> + ?Sized>(&self, prefix: &str, layer: &L) -> Self {
        let at = Location::caller();
        let forward_pass = |u| layer.forward_pass(u);
        let untyped = Untyped::new(layer, &forward_pass);
        let mut places = Vec::new();
        for (name, _) in &untyped.weights {
            let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let found = self.tracer.borrow().scope.get(&name).map(|(theta, _)| *theta);
            match found {
                Some(theta) => places.push(theta),
                None => {
                    self.fail(at, format!("apply: the layer does not list the weight {name:?}"));
                    return self.zeros(&[layer.dim_output()]);
                }
            }
        }
        match untyped.trace(prefix, self.flatten(), &places) {
            Ok(out) => out,
            Err(error) => {
                self.fail(at, format!("apply: {error}"));
                self.zeros(&[layer.dim_output()])
            }
        }
    }

    /// `c u`.
    pub fn scale(&self, c: F) -> Self {
        self.affine(c, F::zero())
    }

    /// Every entry to the power `p`; an integer power of at least 2 is computed by products, which are correct for
    /// either sign.
    pub fn powf(&self, p: f64) -> Self {
        match p {
            _ if p == 0.0 => self.affine(F::zero(), F::one()),
            _ if p == 1.0 => self.clone(),
            _ if p == 2.0 => self.square(),
            _ if p == -1.0 => self.recip(),
            _ if p == 0.5 => self.sqrt(),
            _ => self.act(Activation::Power { p }),
        }
    }

    /// One number at every entry, whatever the points are.
    fn constantly(&self, c: f64) -> Self {
        self.push(Kind::Affine { terms: vec![], shift: F::of(c) }, self.shape.clone())
    }

    /// `exp(u_i) / sum_j exp(u_j)` along an axis.
    ///
    /// The largest entry is subtracted first, so that nothing overflows; this does not change the result.
    #[track_caller]
    pub fn softmax(&self, axis: usize) -> Self {
        if axis >= self.shape.len() {
            self.fail(Location::caller(), format!("softmax: axis {axis} is not in shape {:?}", self.shape));
            return self.clone();
        }
        if self.shape[axis] == 1 {
            return self.constantly(1.0);
        }
        // without the largest, of which nothing depends but rounding: that of a probability near 1 is then small
        let e = (self - self.max(axis)).exp();
        let total = e.sum(axis);
        e * total.recip()
    }

    /// `u_i - ln sum_j exp(u_j)` along an axis.
    #[track_caller]
    pub fn log_softmax(&self, axis: usize) -> Self {
        if axis >= self.shape.len() {
            self.fail(Location::caller(), format!("log_softmax: axis {axis} is not in shape {:?}", self.shape));
            return self.clone();
        }
        if self.shape[axis] == 1 {
            return self.constantly(0.0);
        }
        let lowered = self - self.max(axis);
        let total = lowered.exp().sum(axis).ln();
        lowered - total
    }

    /// `ln sum_i exp(u_i)` along an axis, which is kept with length 1.
    #[track_caller]
    pub fn log_sum_exp(&self, axis: usize) -> Self {
        if axis >= self.shape.len() {
            self.fail(Location::caller(), format!("log_sum_exp: axis {axis} is not in shape {:?}", self.shape));
            return self.clone();
        }
        if self.shape[axis] == 1 {
            return self.clone();
        }
        let largest = self.max(axis);
        (self - &largest).exp().sum(axis).ln() + largest
    }

    /// `(u - mean u) / sqrt(var u + eps)` along an axis: layer norm without its weights.
    #[track_caller]
    pub fn normalised(&self, axis: usize, eps: f64) -> Self {
        let centred = self - self.mean(axis);
        let variance = centred.square().mean(axis);
        centred * (variance + eps).powf(-0.5)
    }

    fn times(&self, other: &Self, at: &Location<'_>) -> Self {
        match self.paired(other, "*", at) {
            Some((a, b)) => {
                let shape = a.shape.clone();
                a.push(Kind::Times { a: a.id, b: b.id }, shape)
            }
            None => self.zeros(&self.shape),
        }
    }

    fn plus(&self, other: &Self, c: F, sign: &str, at: &Location<'_>) -> Self {
        match self.paired(other, sign, at) {
            Some((a, b)) => {
                let shape = a.shape.clone();
                let term = |of, c| Term { of, c, blocks: None };
                a.push(Kind::Affine { terms: vec![term(a.id, F::one()), term(b.id, c)], shift: F::zero() }, shape)
            }
            None => self.zeros(&self.shape),
        }
    }

    fn paired(&self, other: &Self, sign: &str, at: &Location<'_>) -> Option<(Self, Self)> {
        match broadcast(&self.shape, &other.shape) {
            Some(shape) => Some((self.broadcast_to(&shape), other.broadcast_to(&shape))),
            None => {
                self.fail(at, format!("{sign}: shapes {:?} and {:?} do not fit", self.shape, other.shape));
                None
            }
        }
    }
}

/// Operators of variables by value and by reference.
macro_rules! binary {
    ($trait:ident $method:ident, |$a:ident, $b:ident, $at:ident| $body:expr) => {
        binary!(@one $trait $method, Var<F>, Var<F>, |$a, $b, $at| $body);
        binary!(@one $trait $method, Var<F>, &Var<F>, |$a, $b, $at| $body);
        binary!(@one $trait $method, &Var<F>, Var<F>, |$a, $b, $at| $body);
        binary!(@one $trait $method, &Var<F>, &Var<F>, |$a, $b, $at| $body);
    };
    (@one $trait:ident $method:ident, $left:ty, $right:ty, |$a:ident, $b:ident, $at:ident| $body:expr) => {
        impl<F: Real> $trait<$right> for $left {
            type Output = Var<F>;
            #[track_caller]
            fn $method(self, other: $right) -> Var<F> {
                let ($a, $b, $at): (&Var<F>, &Var<F>, _) = (&self, &other, Location::caller());
                $body
            }
        }
    };
}
binary!(Add add, |a, b, at| a.plus(b, F::one(), "+", at));
binary!(Sub sub, |a, b, at| a.plus(b, -F::one(), "-", at));
binary!(Mul mul, |a, b, at| a.times(b, at));

/// Operators of variables with numbers and with weights by name.
macro_rules! mixed {
    ($($var:ty),*) => {$(
        impl<F: Real> Add<f64> for $var {
            type Output = Var<F>;
            fn add(self, c: f64) -> Var<F> {
                self.affine(F::one(), F::of(c))
            }
        }
        impl<F: Real> Sub<f64> for $var {
            type Output = Var<F>;
            fn sub(self, c: f64) -> Var<F> {
                self.affine(F::one(), F::of(-c))
            }
        }
        impl<F: Real> Mul<f64> for $var {
            type Output = Var<F>;
            fn mul(self, c: f64) -> Var<F> {
                self.affine(F::of(c), F::zero())
            }
        }
        impl<F: Real> Div<f64> for $var {
            type Output = Var<F>;
            fn div(self, c: f64) -> Var<F> {
                self.affine(F::one() / F::of(c), F::zero())
            }
        }
        impl<F: Real> Add<$var> for f64 {
            type Output = Var<F>;
            fn add(self, v: $var) -> Var<F> {
                v.affine(F::one(), F::of(self))
            }
        }
        impl<F: Real> Sub<$var> for f64 {
            type Output = Var<F>;
            fn sub(self, v: $var) -> Var<F> {
                v.affine(-F::one(), F::of(self))
            }
        }
        impl<F: Real> Mul<$var> for f64 {
            type Output = Var<F>;
            fn mul(self, v: $var) -> Var<F> {
                v.affine(F::of(self), F::zero())
            }
        }
        impl<F: Real> Neg for $var {
            type Output = Var<F>;
            fn neg(self) -> Var<F> {
                self.affine(-F::one(), F::zero())
            }
        }
        impl<F: Real> Add<&str> for $var {
            type Output = Var<F>;
            #[track_caller]
            fn add(self, name: &str) -> Var<F> {
                let weight = self.weight(name);
                self.plus(&weight, F::one(), "+", Location::caller())
            }
        }
        impl<F: Real> Mul<&str> for $var {
            type Output = Var<F>;
            #[track_caller]
            fn mul(self, name: &str) -> Var<F> {
                let weight = self.weight(name);
                self.times(&weight, Location::caller())
            }
        }
    )*};
}
mixed!(Var<F>, &Var<F>);
binary!(Div div, |a, b, at| a.times(&b.recip(), at));

/// Activations under their own names.
macro_rules! pointwise {
    ($($(#[doc = $doc:literal])* $name:ident => $act:expr;)*) => {
        impl<F: Real> Var<F> {
            $(
                $(#[doc = $doc])*
                pub fn $name(&self) -> Self {
                    self.act($act)
                }
            )*
        }
    };
}
pointwise! {
    /// tanh of every entry.
    tanh => Activation::Tanh;
    /// sin of every entry.
    sin => Activation::Sin;
    /// cos of every entry.
    cos => Activation::Cos;
    /// `1/(1 + exp(-u))` of every entry.
    sigmoid => Activation::Sigmoid;
    /// `u/(1 + exp(-u))` of every entry.
    silu => Activation::Silu;
    /// `ln(1 + exp(u))` of every entry.
    softplus => Activation::softplus();
    /// exp of every entry.
    exp => Activation::Exp;
    /// The natural logarithm of every entry; NaN below zero.
    ln => Activation::Log;
    /// The square root of every entry; NaN below zero.
    sqrt => Activation::Sqrt;
    /// `1/u` of every entry.
    recip => Activation::Reciprocal;
    /// `u^2` of every entry.
    square => Activation::Square;
    /// The error function of every entry.
    erf => Activation::Erf;
    /// The inverse tangent of every entry.
    atan => Activation::Atan;
}
