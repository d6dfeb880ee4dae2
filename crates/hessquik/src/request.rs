//! What to compute: which derivatives, along which directions, in which mode.
use crate::{Error, Field, Plan, Real, did_you_mean};
use ndarray::Array2;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// What an empty request is told.
pub(crate) const EMPTY: &str = "the request is empty; ask for at least one result, such as the value or the Hessian";

/// The highest order of derivatives: a pullback needs one more of the activations, of which there are nine.
pub(crate) const HIGHEST: usize = 8;

/// How second derivatives are computed; every mode gives the same numbers.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// The cheapest plan by the cost model (see [`Plan`]).
    #[default]
    Auto,
    /// hessQuik's forward mode: tangents and Hessian carried through every layer.
    Forward,
    /// hessQuik's backward mode: tangents restarted at every layer, the Hessian lifted back through each.
    Backward,
    /// The plain sum over the pointwise sites.
    Sites,
    /// A user-defined plan.
    Plan(Plan),
}

impl std::str::FromStr for Mode {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "auto" => Ok(Self::Auto),
            "forward" => Ok(Self::Forward),
            "backward" => Ok(Self::Backward),
            "sites" => Ok(Self::Sites),
            other => {
                let known = ["auto", "forward", "backward", "sites"];
                let meant = did_you_mean(other, known);
                Err(Error::Request(format!("unknown mode {other:?}; known are {}{meant}", known.join(", "))))
            }
        }
    }
}

/// Which derivatives of a network to compute, along which directions, in which mode.
///
/// With `k` input directions (rows of `V`; the `d` unit vectors by default) and `q` output directions (columns of `U`;
/// the `m` outputs by default) the results are those of `f U` along `V`: see [`Jet`](crate::Jet) for shapes.
///
/// ```
/// use hessquik::Request;
/// let request = Request::<f64>::new().value().gradient().hessian();
/// assert_eq!(request, Request::parse("value,gradient,hessian")?);
/// # Ok::<(), hessquik::Error>(())
/// ```
#[must_use = "a request says what to compute; give it to `evaluate`"]
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // each is what the method of the same name asks for
pub struct Request<F> {
    pub value: bool,
    pub gradient: bool,
    pub hessian: bool,
    pub packed: bool,
    pub diagonal: bool,
    pub laplacian: bool,
    pub factored: bool,
    pub operator: Option<Array2<F>>,
    pub terms: Option<Vec<(Vec<usize>, F)>>,
    pub products: Option<Array2<F>>,
    pub block: Option<(Vec<usize>, Vec<usize>)>,
    pub partials: Option<Vec<Vec<usize>>>,
    pub directional: Option<usize>,
    pub bilaplacian: bool,
    pub directions: Option<Array2<F>>,
    pub outputs: Option<Array2<F>>,
    pub mode: Mode,
}

impl<F: Real> Request<F> {
    /// An empty request; add results with the methods below.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads names separated by commas: `value`, `gradient`, `hessian`, `packed`, `diagonal`, `laplacian`, `factored`,
    /// `bilaplacian`.
    ///
    /// # Errors
    /// [`Error::Request`] for an unknown name or an empty list.
    pub fn parse(names: &str) -> Result<Self, Error> {
        let mut request = Self::new();
        for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let plain = Field::plain().map(Field::name);
            let field = Field::plain().find(|field| field.name() == name).ok_or_else(|| {
                let known = plain.collect::<Vec<_>>();
                let meant = did_you_mean(name, known.iter().copied());
                Error::Request(format!("unknown result {name:?}; known are {}{meant}", known.join(", ")))
            })?;
            request = field.ask(request).expect("one that needs its name alone");
        }
        request.checked()
    }

    pub(crate) fn checked(self) -> Result<Self, Error> {
        if self.is_empty() { Err(Error::Request(EMPTY.into())) } else { Ok(self) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !(self.value || self.gradient || self.second_order())
    }

    /// Whether `other` is this request to the last bit: results tell zeros of different signs apart.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let Self { value, gradient, hessian, packed, diagonal, laplacian, factored, .. } = other;
        let Self { operator, products, block, partials, directions, outputs, mode, .. } = other;
        let Self { directional, bilaplacian, terms, .. } = other;
        let number = |(a, b): (&F, &F)| a.as_f64().to_bits() == b.as_f64().to_bits();
        let matrix = |a: &Option<Array2<F>>, b: &Option<Array2<F>>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => a.dim() == b.dim() && a.iter().zip(b).all(number),
            _ => false,
        };
        let same_terms = match (&self.terms, terms) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|((a, c), (b, e))| a == b && number((c, e)))
            }
            _ => false,
        };
        (self.value, self.gradient, self.hessian, self.packed) == (*value, *gradient, *hessian, *packed)
            && (self.diagonal, self.laplacian, self.factored) == (*diagonal, *laplacian, *factored)
            && (&self.block, &self.partials, &self.mode) == (block, partials, mode)
            && (self.directional, self.bilaplacian) == (*directional, *bilaplacian)
            && same_terms
            && matrix(&self.directions, directions)
            && matrix(&self.outputs, outputs)
            && matrix(&self.operator, operator)
            && matrix(&self.products, products)
    }

    /// Bytes of its matrices and terms.
    pub(crate) fn bytes(&self) -> usize {
        let matrices = [&self.operator, &self.products, &self.directions, &self.outputs];
        let term = |(axes, _): &(Vec<usize>, F)| size_of::<(Vec<usize>, F)>() + size_of_val(&axes[..]);
        let terms: usize = self.terms.iter().flatten().map(term).sum();
        matrices.into_iter().flatten().map(|m| m.len() * size_of::<F>()).sum::<usize>() + terms
    }

    /// The same request with an operator of second order as a matrix (k, k) if it is given by terms: with as many
    /// directions as a matrix has room for, the sweeps for matrices serve such an operator too. There are `d` inputs.
    ///
    /// # Errors
    /// [`Error::Setting`] and [`Error::Request`] for terms that are none.
    pub(crate) fn of_matrix(&self, d: usize) -> Result<Cow<'_, Self>, Error> {
        /// Most directions.
        const MOST: usize = 512;
        let Some(terms) = &self.terms else { return Ok(Cow::Borrowed(self)) };
        let k = self.directions.as_ref().map_or(d, |v| v.nrows());
        if self.operator.is_some() {
            return Err(Error::Request("the operator is given as a matrix and as terms; give one of them".into()));
        }
        if terms.is_empty() {
            return Err(Error::Request("the operator has no terms; give at least one".into()));
        }
        for (axes, c) in terms {
            let term = Term(axes);
            if axes.len() > HIGHEST {
                return Err(Error::setting(format!("the order of {term}"), axes.len(), format!("0 to {HIGHEST}")));
            }
            if let Some(axis) = axes.iter().find(|&&axis| axis >= k) {
                let wanted = format!("less than {k}, the number of {}", self.axes());
                return Err(Error::setting(format!("an axis of {term}"), axis, wanted));
            }
            if !c.is_finite() {
                return Err(Error::setting(format!("the coefficient of {term}"), c, "a finite number"));
            }
        }
        if k > MOST || terms.iter().any(|(axes, _)| axes.len() != 2) {
            return Ok(Cow::Borrowed(self));
        }
        let mut b = Array2::zeros((k, k));
        terms.iter().for_each(|(axes, c)| b[[axes[0], axes[1]]] += *c);
        Ok(Cow::Owned(Self { terms: None, operator: Some(b), ..self.clone() }))
    }

    /// The terms of its operator by order, those of the same axes together, without those that cancel.
    pub(crate) fn terms_by_order(&self) -> BTreeMap<usize, Vec<(Vec<usize>, f64)>> {
        let mut sums: BTreeMap<Vec<usize>, f64> = BTreeMap::new();
        for (axes, c) in self.terms.iter().flatten() {
            let mut axes = axes.clone();
            axes.sort_unstable();
            *sums.entry(axes).or_default() += c.as_f64();
        }
        let mut orders = BTreeMap::<usize, Vec<_>>::new();
        for (axes, c) in sums.into_iter().filter(|(_, c)| *c != 0.0) {
            orders.entry(axes.len()).or_default().push((axes, c));
        }
        orders
    }

    /// What axes count.
    fn axes(&self) -> &'static str {
        if self.directions.is_some() { "directions" } else { "inputs" }
    }

    pub(crate) fn second_order(&self) -> bool {
        self.hessian
            || self.packed
            || self.diagonal
            || self.laplacian
            || self.factored
            || self.operator.is_some()
            || self.terms.is_some()
            || self.products.is_some()
            || self.block.is_some()
            || self.partials.is_some()
            || self.directional.is_some()
            || self.bilaplacian
    }

    /// Whether something of it is beyond pairs of directions: partials of other orders than two, and what is made of them.
    pub(crate) fn higher_order(&self) -> bool {
        self.directional.is_some() || self.bilaplacian || self.terms.is_some() || self.higher_partials()
    }

    /// Whether there are partials of other orders than two.
    pub(crate) fn higher_partials(&self) -> bool {
        self.partials.iter().flatten().any(|axes| axes.len() != 2)
    }

    /// Asks for the value `f U` (n_s, q).
    pub fn value(self) -> Self {
        Self { value: true, ..self }
    }

    /// Asks for the gradient `V f' U` (n_s, k, q).
    #[doc(alias = "jacobian")]
    pub fn gradient(self) -> Self {
        Self { gradient: true, ..self }
    }

    /// Asks for the Hessian `V f'' V^T U` (n_s, k, k, q).
    pub fn hessian(self) -> Self {
        Self { hessian: true, ..self }
    }

    /// Asks for the upper half of the Hessian, row by row: entry (a, b >= a) at `a k - a (a - 1) / 2 + b - a`;
    /// (n_s, k (k + 1) / 2, q), half the memory.
    pub fn packed(self) -> Self {
        Self { packed: true, ..self }
    }

    /// Asks for the diagonal of the Hessian (n_s, k, q).
    pub fn diagonal(self) -> Self {
        Self { diagonal: true, ..self }
    }

    /// Asks for the Laplacian, the trace of the Hessian (n_s, q).
    #[doc(alias = "laplace")]
    #[doc(alias = "trace")]
    pub fn laplacian(self) -> Self {
        Self { laplacian: true, ..self }
    }

    /// Asks for the Hessian in factored form, `H = M C M^T` with `M` (k, p) shared by all samples and `C` (p, p) per
    /// sample and output; the first layer must not have a skip (see [`FactoredHessian`](crate::FactoredHessian)).
    pub fn factored(self) -> Self {
        Self { factored: true, ..self }
    }

    /// Asks for the second-order operator `tr(B H)` (n_s, q); `B` (k, k) need be neither definite nor symmetric.
    pub fn operator(self, b: Array2<F>) -> Self {
        Self { operator: Some(b), ..self }
    }

    /// Asks for an operator of any order up to 8 (n_s, q), the sum of its terms: a coefficient times the partial
    /// derivative along a tuple of axes (or of directions, if they are set); no axes stand for the value. The order of
    /// the axes of a term is immaterial, and terms of the same axes add up. The result is
    /// [`Jet::operator`](crate::Jet::operator), as that of a matrix is.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
    /// // the linear part of the Kuramoto-Sivashinsky equation, u_t + u_xx + u_xxxx, of u(t, x)
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let x = ndarray::Array2::ones((5, 2));
    /// let terms = [(&[0][..], 1.0), (&[1, 1], 1.0), (&[1, 1, 1, 1], 1.0)];
    /// let operator = network.evaluate(&x, &Request::new().operator_terms(&terms))?.operator.unwrap();
    /// let partials = Request::new().any_partials(&terms.map(|(axes, _)| axes));
    /// let partials = network.evaluate(&x, &partials)?.partials.unwrap();
    /// assert!((operator[[2, 0]] - partials.slice(ndarray::s![2, .., 0]).sum()).abs() < 1e-12);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn operator_terms<A: IntoAxes>(self, terms: &[(A, F)]) -> Self {
        Self { terms: Some(terms.iter().map(|(axes, c)| (axes.axes(), *c)).collect()), ..self }
    }

    /// Asks for the Hessian-vector products `V H w^T` (n_s, k, kw, q) with each row of `w` (kw, d).
    #[doc(alias = "hvp")]
    pub fn products(self, w: Array2<F>) -> Self {
        Self { products: Some(w), ..self }
    }

    /// Asks for the sub-block `H[rows, cols]` (n_s, rows, cols, q).
    pub fn block(self, rows: &[usize], cols: &[usize]) -> Self {
        Self { block: Some((rows.to_vec(), cols.to_vec())), ..self }
    }

    /// Asks for single entries `H[a, b]` (n_s, pairs, q), the mixed partials of the pairs (a, b).
    pub fn partials(self, pairs: &[(usize, usize)]) -> Self {
        Self { partials: Some(pairs.iter().map(IntoAxes::axes).collect()), ..self }
    }

    /// Asks for mixed partials of any order up to 8 (n_s, p, q), one for each tuple of axes (or of directions, if they
    /// are set): `(0, 1)` is `d2f/dx_0 dx_1`, `(1, 1, 1)` the third derivative along axis 1. Slices and vectors may
    /// have different lengths. The result is [`Jet::partials`](crate::Jet::partials).
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let x = ndarray::Array2::ones((5, 2));
    /// let request = Request::new().any_partials(&[&[0][..], &[0, 1], &[1, 1, 1, 1]]); // u_t, u_tx, u_xxxx
    /// assert_eq!(network.evaluate(&x, &request)?.partials.unwrap().dim(), (5, 3, 1));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn any_partials<A: IntoAxes>(self, list: &[A]) -> Self {
        Self { partials: Some(list.iter().map(IntoAxes::axes).collect()), ..self }
    }

    /// Asks for the derivatives of orders 1 to `order`, at most 8, along each direction (n_s, order, k, q).
    pub fn directional(self, order: usize) -> Self {
        Self { directional: Some(order), ..self }
    }

    /// Asks for the Laplacian of the Laplacian (n_s, q), `sum_ab d4f/dx_a^2 dx_b^2`.
    #[doc(alias = "biharmonic")]
    pub fn bilaplacian(self) -> Self {
        Self { bilaplacian: true, ..self }
    }

    /// Sets the input directions, the rows of `v` (k, d).
    pub fn directions(self, v: Array2<F>) -> Self {
        Self { directions: Some(v), ..self }
    }

    /// Sets the output directions, the columns of `u` (m, q).
    pub fn outputs(self, u: Array2<F>) -> Self {
        Self { outputs: Some(u), ..self }
    }

    /// Sets the mode.
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }
}

impl<F: Real> std::str::FromStr for Request<F> {
    type Err = Error;

    /// As [`Request::parse`].
    fn from_str(names: &str) -> Result<Self, Error> {
        Self::parse(names)
    }
}

/// How errors name a term of an operator.
pub(crate) struct Term<'a>(pub &'a [usize]);

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes = self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let comma = if self.0.len() == 1 { "," } else { "" };
        write!(f, "the operator's term ({axes}{comma})")
    }
}

/// The axes of a partial derivative: tuples, arrays, slices and vectors of indices.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name the axes of a partial derivative",
    note = "give indices of inputs: `(0, 1)`, `[0, 0, 1]`, `&axes[..]` or a vector"
)]
pub trait IntoAxes {
    /// The indices.
    fn axes(&self) -> Vec<usize>;
}

macro_rules! tuples {
    ($($($axis:ident)+;)*) => {$(
        impl IntoAxes for ($(tuples!(@index $axis),)+) {
            fn axes(&self) -> Vec<usize> {
                let ($($axis,)+) = *self;
                vec![$($axis),+]
            }
        }
    )*};
    (@index $axis:ident) => { usize };
}
tuples! { a; a b; a b c; a b c d; a b c d e; a b c d e f; a b c d e f g; a b c d e f g h; }

impl<const N: usize> IntoAxes for [usize; N] {
    fn axes(&self) -> Vec<usize> {
        self.to_vec()
    }
}
impl IntoAxes for &[usize] {
    fn axes(&self) -> Vec<usize> {
        self.to_vec()
    }
}
impl IntoAxes for Vec<usize> {
    fn axes(&self) -> Vec<usize> {
        self.clone()
    }
}
