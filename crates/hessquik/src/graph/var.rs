//! Variables, with which forward passes are written.
mod operators;
mod shapes;

use super::trace::{Shared, Untyped};
use super::{Form, Kind, NodeId, Term};
use crate::schedule::Block;
use crate::{Activation, Layer, Real};
use ndarray::{ArrayBase, Data, Dimension};
pub(crate) use shapes::broadcast;
use std::fmt;
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
}
