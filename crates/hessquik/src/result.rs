//! What can be asked for: the names of the results.

/// The results of a request, as [`Jet`](crate::Jet) names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Value,
    Gradient,
    Hessian,
    Packed,
    Diagonal,
    Laplacian,
    Operator,
    Products,
    Block,
    Partials,
    Factored,
    Directional,
    Bilaplacian,
}

impl Field {
    /// How many there are.
    pub const COUNT: usize = 13;
}
