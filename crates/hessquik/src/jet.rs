//! Results: the jet of a function at points, owned, lent, or as cotangents.
use crate::{Error, Real, Request};
use ndarray::{
    Array1, Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4, ArrayViewMut2, ArrayViewMut3, ArrayViewMut4,
};

/// Value and derivatives at `n_s` points; what was not asked for is `None`.
///
/// With `k` input and `q` output directions (`d` and `m` unless directions were set). In memory the output axis of
/// derivatives stands right after the sample axis, (n_s, q, k, k), and is handed out as a transposed view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Jet<F> {
    /// `f U` (n_s, q).
    pub value: Option<Array2<F>>,
    /// `V f' U` (n_s, k, q): entry `[s, a, r]` is df_r/dx_a.
    pub gradient: Option<Array3<F>>,
    /// `V f'' V^T U` (n_s, k, k, q).
    pub hessian: Option<Array4<F>>,
    /// The upper half of the Hessian row by row (n_s, k (k + 1) / 2, q).
    pub packed: Option<Array3<F>>,
    /// The diagonal of the Hessian (n_s, k, q).
    pub diagonal: Option<Array3<F>>,
    /// The trace of the Hessian (n_s, q).
    pub laplacian: Option<Array2<F>>,
    /// `tr(B H)` (n_s, q).
    pub operator: Option<Array2<F>>,
    /// `V H w^T` (n_s, k, kw, q).
    pub products: Option<Array4<F>>,
    /// `H[rows, cols]` (n_s, rows, cols, q).
    pub block: Option<Array4<F>>,
    /// `H[a, b]` for each pair (n_s, pairs, q).
    pub partials: Option<Array3<F>>,
    /// The Hessian as `M C M^T`.
    pub factored: Option<FactoredHessian<F>>,
}

/// Arrays that the caller lends for results, of any strides; what is `None` is not computed unless something else
/// needs it. Fields as in [`Jet`].
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct JetMut<'a, F> {
    pub value: Option<ArrayViewMut2<'a, F>>,
    pub gradient: Option<ArrayViewMut3<'a, F>>,
    pub hessian: Option<ArrayViewMut4<'a, F>>,
    pub packed: Option<ArrayViewMut3<'a, F>>,
    pub diagonal: Option<ArrayViewMut3<'a, F>>,
    pub laplacian: Option<ArrayViewMut2<'a, F>>,
    pub operator: Option<ArrayViewMut2<'a, F>>,
    pub products: Option<ArrayViewMut4<'a, F>>,
    pub block: Option<ArrayViewMut4<'a, F>>,
    pub partials: Option<ArrayViewMut3<'a, F>>,
    /// The core `C` of the factored Hessian (n_s, p, p, q).
    pub factored: Option<ArrayViewMut4<'a, F>>,
}

/// The Hessian as `M C_s M^T` at every sample `s`: `M` (k, p) is the same for all samples, `C` (n_s, p, p, q).
///
/// With the first layer `u_1 = act(x M_1 + b)` the network depends on `x` through `z = x M_1 + b` alone, so
/// `H = M_1 (D S_1 D + diag C_1) M_1^T` with `S_1` the Hessian after the first layer and `D = diag act'(z)`.
#[derive(Clone, Debug, PartialEq)]
pub struct FactoredHessian<F> {
    /// `V M_1` (k, p).
    pub outer: Array2<F>,
    /// `C` (n_s, p, p, q).
    pub core: Array4<F>,
}
