//! Steps: what a schedule is a list of. Each is one multilinear form, or one derivative of an activation.
//!
//! A buffer holds numbers (n, rows, samples): `n` features of `rows` rows, for every sample of a tile with the samples side
//! by side, or once for all samples where it is *shared*. Values have one row, tangents one for each direction, adjoints
//! one for each output.
//!
//! Every step but [`Op::Act`] and [`Op::Frozen`] is a form that is linear in each of its places, with one of them missing:
//! `out` gets the derivative of the form with respect to that place. So reversing a step gives steps of the same kind: the
//! missing place and another change roles.
//!
//! | kind | form | with respect to |
//! |---|---|---|
//! | [`Op::Move`] | `c sum y[to + j] x[from + j]` | y (its reverse swaps `from` and `to`) |
//! | [`Op::Times`] | `c sum y . a . b` | y |
//! | [`Op::Pick`] | `sum_g y[g] x[i(g)]`, with `i(g)` the largest entry of group g of another buffer | y or x |
//! | [`Op::Product`] | `sum y[g, i, j] a[g, i, l] b[g, l, j]` | y, a or b |
//! | [`Op::Dot`] | `sum d[r, e] g[i, r] t[i, e]` | d, g or t |
//! | [`Op::Gram`] | `c/2 sum h[r, a, b] c[i, r] (s[i, a] t[i, b] + t[i, a] s[i, b])` | h, c or s |
use crate::Activation;
use std::sync::Arc;

/// The place of a buffer in a schedule.
pub type Id = usize;

/// A buffer (n, rows, samples).
#[derive(Clone, Debug)]
pub struct Buffer<F> {
    /// Features.
    pub n: usize,
    /// Rows: 1 for values, one for each direction or output.
    pub rows: usize,
    /// Whether it is the same for all samples: then it has no axis of samples.
    pub shared: bool,
    /// Who fills it.
    pub source: Source<F>,
}

#[allow(clippy::len_without_is_empty)] // none is
impl<F> Buffer<F> {
    /// Entries for each sample, or in all where it is shared.
    pub fn len(&self) -> usize {
        self.n * self.rows
    }
}

/// Where the numbers of a buffer come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source<F> {
    /// The steps that write it.
    Steps,
    /// The points of the tile: `d` features.
    Points,
    /// An array given with the points, one for each sample: the cotangents of a result.
    Given,
    /// The flat vector of weights from this entry on.
    Weight(usize),
    /// Constants, `n * rows` of them.
    Literal(Arc<[F]>),
    /// Row `a` is the unit vector of feature `units[a]`.
    Units(Arc<[usize]>),
}

/// Features `from .. from + len` go to `to .. to + len`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// The first feature of the operand.
    pub from: usize,
    /// The first feature of the result.
    pub to: usize,
    /// How many.
    pub len: usize,
}

/// Row `a` of the first operand and row `b` of the second go to row `y` of the result, with a factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triple<F> {
    /// The row of the result.
    pub y: usize,
    /// The row of the first operand.
    pub a: usize,
    /// The row of the second operand.
    pub b: usize,
    /// The factor.
    pub c: F,
}

/// Which rows of the operands meet.
///
/// `None` in place of a list: all three have as many rows, except that an operand of one row meets every row, and a
/// result of one row sums over them.
pub type Triples<F> = Option<Arc<[Triple<F>]>>;

/// The place of a product `Y = A B` with respect to which its step is the derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `Y += A B`; the operands are A and B.
    Y,
    /// `A += Y B^T`; the operands are Y and B.
    A,
    /// `B += A^T Y`; the operands are A and Y.
    B,
}

/// The place of a [`Op::Dot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotPlace {
    /// `d[r, e] += sum_i g[i, r] t[i, e]`, with `d` of `q * k` features `r * k + e` and one row; the operands are g and t.
    D,
    /// `g[i, r] += sum_e d[r, e] t[i, e]`; the operands are d and t.
    G,
    /// `t[i, e] += sum_r d[r, e] g[i, r]`; the operands are d and g.
    T,
}

/// The place of a [`Op::Gram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GramPlace {
    /// The Hessian, `q * k * k` features `(r * k + a) * k + b` and one row; the operands are c, s and t.
    H,
    /// The coefficients (n, q rows); the operands are h, s and t.
    C,
    /// Either of the tangents (n, k rows); the operands are h, c and the other one.
    S,
}

/// The place of a [`Op::Pick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickPlace {
    /// `y[g] += x[i(g)]`.
    Y,
    /// `x[i(g)] += y[g]`.
    X,
}

/// What a step computes from its operands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op<F> {
    /// `y[to + j, ry] += c x[from + j, rx]` for each block, or for all features in their places; rows by pairs (ry, rx),
    /// or as [`Triples`] says of `None`.
    Move {
        /// The operand.
        x: Id,
        /// The factor.
        c: F,
        /// Which features go where; several may go to the same place, where they add up.
        blocks: Option<Arc<[Block]>>,
        /// Pairs of a row of the result and a row of the operand.
        rows: Option<Arc<[(usize, usize)]>>,
    },
    /// `y += s` at every entry.
    Add {
        /// The number.
        s: F,
    },
    /// `y = act^(order)(z)` entry by entry.
    Act {
        /// The operand.
        z: Id,
        /// The activation.
        act: Activation,
        /// The order of the derivative: 0 for the value.
        order: usize,
    },
    /// One entry of each group: entry `j` of group `g` is `(g / inner) * len * inner + j * inner + g % inner`, of `len`, and
    /// the one picked is where `z`, of one row, is largest (the first such, or where it is no number).
    Pick {
        /// Whether entries are picked, or put where they were picked from.
        place: PickPlace,
        /// The operand.
        x: Id,
        /// What decides, of one row.
        z: Id,
        /// Entries of a group.
        len: usize,
        /// Entries between neighbours of a group.
        inner: usize,
    },
    /// `y += x`, whose derivative is taken to be zero.
    Frozen {
        /// The operand.
        x: Id,
    },
    /// `y += c a . b` entry by entry.
    Times {
        /// The first operand.
        a: Id,
        /// The second operand.
        b: Id,
        /// The factor.
        c: F,
        /// Which rows meet.
        rows: Triples<F>,
    },
    /// Products of `dims[0]` pairs of matrices (dims 1, dims 2) (dims 2, dims 3); features are `(g, i, j)` in C order.
    Product {
        /// Which of the three matrices is computed from the other two.
        place: Place,
        /// The first operand.
        a: Id,
        /// The second operand.
        b: Id,
        /// The number of products, and their sizes.
        dims: [usize; 4],
        /// Which rows meet.
        rows: Triples<F>,
    },
    /// Sums over the features of products of rows, each row of `g` with each of `t`.
    Dot {
        /// Which of the three is computed from the other two.
        place: DotPlace,
        /// The first operand.
        a: Id,
        /// The second operand.
        b: Id,
    },
    /// `h[r, a, b] += c/2 sum_i C[i, r] (s[i, a] t[i, b] + t[i, a] s[i, b])`, a sum over sites.
    Gram {
        /// Which of the four is computed from the other three.
        place: GramPlace,
        /// These three.
        operands: [Id; 3],
        /// The factor.
        c: F,
    },
}

/// One entry of the list: `out` gets, or has added, what `op` computes.
#[derive(Clone, Debug)]
pub struct Step<F> {
    /// What is computed.
    pub op: Op<F>,
    /// The buffer that gets it.
    pub out: Id,
    /// Whether it is added to what is there; else `out` is set, all of it.
    pub onto: bool,
}

impl<F: Copy> Op<F> {
    /// The buffers that are read.
    pub fn operands(&self) -> Vec<Id> {
        match self {
            Op::Add { .. } => vec![],
            Op::Move { x, .. } | Op::Frozen { x } => vec![*x],
            Op::Pick { x, z, .. } => vec![*x, *z],
            Op::Act { z, .. } => vec![*z],
            Op::Times { a, b, .. } | Op::Product { a, b, .. } | Op::Dot { a, b, .. } => vec![*a, *b],
            Op::Gram { operands, .. } => operands.to_vec(),
        }
    }
}

impl<F: std::fmt::Debug> std::fmt::Display for Op<F> {
    /// The step as one line of the formula, with buffers by number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list =
            |rows: &Triples<F>| rows.as_ref().map_or_else(String::new, |r| format!(", {} pairs of rows", r.len()));
        match self {
            Op::Move { x, c, blocks, rows } => {
                let blocks = blocks.as_ref().map_or_else(String::new, |b| format!(", {} blocks", b.len()));
                let rows = rows.as_ref().map_or_else(String::new, |r| format!(", {} pairs of rows", r.len()));
                write!(f, "move {c:?} %{x}{blocks}{rows}")
            }
            Op::Add { s } => write!(f, "add {s:?}"),
            Op::Act { z, act, order } => write!(f, "{}^({order}) %{z}", act.name()),
            Op::Pick { place, x, z, len, .. } => {
                let to = if *place == PickPlace::Y { "" } else { " to its place" };
                write!(f, "pick %{x}{to}, where %{z} is largest of {len}")
            }
            Op::Frozen { x } => write!(f, "%{x} as a constant"),
            Op::Times { a, b, rows, .. } => write!(f, "times %{a} . %{b}{}", list(rows)),
            Op::Product { place, a, b, dims: [g, r, s, t], rows } => {
                let form = match place {
                    Place::Y => "A B",
                    Place::A => "Y B^T",
                    Place::B => "A^T Y",
                };
                write!(f, "product {form} of %{a}, %{b}: {g} x ({r}, {s}) ({s}, {t}){}", list(rows))
            }
            Op::Dot { place, a, b } => write!(f, "dot {place:?} of %{a}, %{b}"),
            Op::Gram { place, operands: [a, b, c], .. } => write!(f, "gram {place:?} of %{a}, %{b}, %{c}"),
        }
    }
}
