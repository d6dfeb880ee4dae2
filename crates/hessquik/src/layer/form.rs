//! The one layer form: linear - pointwise - linear with a linear skip.
//!
//! ```text
//! z  = u M + b                     u (n_s, n)   M (n, p)    b (p)
//! u' = u S + act(z) W + c          S (n, n')    W (p, n')   c (n')
//! ```
//!
//! A layer says where its weights appear in `M`, `b`, `S`, `W` and `c`. Values, derivatives and the gradients of its
//! weights follow from that; nothing is derived by hand.
use crate::{Activation, Real};
use ndarray::{Array1, Array2};

/// One block of a [`Linear`] map, at a place in its matrix.
#[derive(Clone, Debug)]
pub enum Piece<F> {
    /// A weight, or its transpose, or its softplus (for weights that must not be negative). A vector is a column.
    #[allow(missing_docs)]
    Weight { name: String, row: usize, col: usize, transposed: bool, nonnegative: bool },
    /// A matrix that is not trained.
    #[allow(missing_docs)]
    Constant { matrix: Array2<F>, row: usize, col: usize },
    /// `scale` times an identity: columns `from .. from + len` of the input go to `to .. to + len`.
    #[allow(missing_docs)]
    Copy { from: usize, to: usize, len: usize, scale: F },
}

/// A structured matrix, the sum of blocks: weights, constants and scaled identities.
///
/// ```
/// use hessquik::Linear;
/// // M = [softplus(L); K] of an input convex layer with 5 features and 2 inputs
/// let m = Linear::<f64>::zero().nonnegative("L", 0, 0).weight("K", 5, 0);
/// // h I of a residual layer of width 8
/// let w = Linear::<f64>::scaled_identity(8, 0.5);
/// # let _ = (m, w);
/// ```
#[derive(Clone, Debug)]
pub struct Linear<F> {
    /// The blocks, which may overlap.
    pub pieces: Vec<Piece<F>>,
}

impl<F: Real> Linear<F> {
    /// The zero map.
    pub fn zero() -> Self {
        Self { pieces: Vec::new() }
    }

    /// The identity of `n` features.
    pub fn identity(n: usize) -> Self {
        Self::scaled_identity(n, F::one())
    }

    /// `scale` times the identity of `n` features.
    pub fn scaled_identity(n: usize, scale: F) -> Self {
        Self::zero().copy(0, 0, n, scale)
    }

    /// Adds `scale` times the columns `from .. from + len` of the input to the columns `to .. to + len` of the output.
    pub fn copy(self, from: usize, to: usize, len: usize, scale: F) -> Self {
        self.push(Piece::Copy { from, to, len, scale })
    }

    /// Adds the weight called `name` with its first entry at (`row`, `col`); a vector is placed as a column.
    pub fn weight(self, name: &str, row: usize, col: usize) -> Self {
        self.push_weight(name, row, col, false, false)
    }

    /// Adds the transpose of the weight called `name`; a vector is placed as a row.
    pub fn transposed(self, name: &str, row: usize, col: usize) -> Self {
        self.push_weight(name, row, col, true, false)
    }

    /// Adds softplus (beta = 1) of the weight called `name`: entries that must not be negative.
    pub fn nonnegative(self, name: &str, row: usize, col: usize) -> Self {
        self.push_weight(name, row, col, false, true)
    }

    /// Adds a matrix that is not trained.
    pub fn constant(self, matrix: Array2<F>, row: usize, col: usize) -> Self {
        self.push(Piece::Constant { matrix, row, col })
    }

    fn push_weight(self, name: &str, row: usize, col: usize, transposed: bool, nonnegative: bool) -> Self {
        self.push(Piece::Weight { name: name.into(), row, col, transposed, nonnegative })
    }

    fn push(mut self, piece: Piece<F>) -> Self {
        self.pieces.push(piece);
        self
    }
}

/// An additive vector of a [`Form`]: none, a weight, or a constant.
#[derive(Clone, Debug)]
pub enum Shift<F> {
    /// Nothing is added.
    None,
    /// The weight of this name, with one entry per feature.
    Weight(String),
    /// A vector that is not trained.
    Constant(Array1<F>),
}

/// A layer in the one form, `z = u M + b`, `u' = u S + act(z) W + c` (see the [module](crate::layer)).
///
/// ```
/// use hessquik::{Activation, Form, Linear};
/// // a residual layer, u' = u + h act(u K + b)
/// let (width, h) = (8, 0.5);
/// let form = Form::<f64>::new(width, width, width)
///     .m(Linear::zero().weight("K", 0, 0))
///     .b("b")
///     .act(Activation::Tanh)
///     .s(Linear::identity(width))
///     .w(Linear::scaled_identity(width, h));
/// # let _ = form;
/// ```
#[derive(Clone, Debug)]
pub struct Form<F> {
    /// n, p and n'.
    pub dims: [usize; 3],
    /// `M` (n, p).
    pub m: Linear<F>,
    /// `b` (p).
    pub b: Shift<F>,
    /// The activation.
    pub act: Activation,
    /// The skip `S` (n, n').
    pub s: Linear<F>,
    /// `W` (p, n').
    pub w: Linear<F>,
    /// `c` (n').
    pub c: Shift<F>,
}

impl<F: Real> Form<F> {
    /// A form with `n` input features, `p` hidden ones (of `z`) and `n_out` output features, and everything else zero.
    pub fn new(n: usize, p: usize, n_out: usize) -> Self {
        let (m, s, w) = (Linear::zero(), Linear::zero(), Linear::zero());
        Self { dims: [n, p, n_out], m, b: Shift::None, act: Activation::Identity, s, w, c: Shift::None }
    }

    /// Sets `M` (n, p).
    pub fn m(self, m: Linear<F>) -> Self {
        Self { m, ..self }
    }

    /// Sets `b` (p) to the weight called `name`.
    pub fn b(self, name: &str) -> Self {
        self.shift_b(Shift::Weight(name.into()))
    }

    /// Sets `b` (p) to any [`Shift`].
    pub fn shift_b(self, b: Shift<F>) -> Self {
        Self { b, ..self }
    }

    /// Sets the activation.
    pub fn act(self, act: Activation) -> Self {
        Self { act, ..self }
    }

    /// Sets the skip `S` (n, n').
    pub fn s(self, s: Linear<F>) -> Self {
        Self { s, ..self }
    }

    /// Sets `W` (p, n').
    pub fn w(self, w: Linear<F>) -> Self {
        Self { w, ..self }
    }

    /// Sets `c` (n') to the weight called `name`.
    pub fn c(self, name: &str) -> Self {
        self.shift_c(Shift::Weight(name.into()))
    }

    /// Sets `c` (n') to any [`Shift`].
    pub fn shift_c(self, c: Shift<F>) -> Self {
        Self { c, ..self }
    }
}
