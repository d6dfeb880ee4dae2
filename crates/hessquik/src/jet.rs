//! Results: the jet of a function at points, owned, lent, or as cotangents.
use crate::engine::{Call, Field, prefer_large, unwritten};
use crate::{Error, Real};
use ndarray::{
    Array, Array1, Array2, Array3, Array4, ArrayBase, ArrayD, ArrayView, ArrayView2, ArrayView3, ArrayView4,
    ArrayViewMut, ArrayViewMut2, ArrayViewMut3, ArrayViewMut4, Axis, Data, Dimension, IntoDimension, Ix2, Ix3, Ix4,
    RawData, s,
};
use std::fmt::Debug;

/// Value and derivatives at `n_s` points; results that were not requested are `None`.
///
/// With `k` input and `q` output directions (`d` and `m` unless directions were set). In memory the output axis of
/// derivatives comes right after the sample axis, (n_s, q, k, k); the arrays are transposed views of that.
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
    /// The mixed partial of each tuple of axes (n_s, p, q).
    pub partials: Option<Array3<F>>,
    /// The Hessian as `M C M^T`.
    pub factored: Option<FactoredHessian<F>>,
    /// Derivatives of orders 1 to K along each direction (n_s, K, k, q).
    pub directional: Option<Array4<F>>,
    /// The Laplacian of the Laplacian (n_s, q).
    pub bilaplacian: Option<Array2<F>>,
}

/// Arrays that the caller lends for results, of any strides; a result that is `None` is not computed unless another one
/// needs it. Fields as in [`Jet`].
#[derive(Debug, Default)]
#[allow(missing_docs)] // each is the result of the same name
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
    pub directional: Option<ArrayViewMut4<'a, F>>,
    pub bilaplacian: Option<ArrayViewMut2<'a, F>>,
}

/// A read-only view of a jet, as [`Evaluate::loss_gradients`](crate::Evaluate::loss_gradients) passes it to a loss.
/// Fields as in [`Jet`].
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct JetView<'a, F> {
    pub value: Option<ArrayView2<'a, F>>,
    pub gradient: Option<ArrayView3<'a, F>>,
    pub hessian: Option<ArrayView4<'a, F>>,
    pub packed: Option<ArrayView3<'a, F>>,
    pub diagonal: Option<ArrayView3<'a, F>>,
    pub laplacian: Option<ArrayView2<'a, F>>,
    pub operator: Option<ArrayView2<'a, F>>,
    pub products: Option<ArrayView4<'a, F>>,
    pub block: Option<ArrayView4<'a, F>>,
    pub partials: Option<ArrayView3<'a, F>>,
    /// The core `C` of the factored Hessian (n_s, p, p, q).
    pub factored: Option<ArrayView4<'a, F>>,
    pub directional: Option<ArrayView4<'a, F>>,
    pub bilaplacian: Option<ArrayView2<'a, F>>,
}

/// The Hessian as `M C_s M^T` at every sample `s`: `M` (k, p) is the same for all samples, `C` (n_s, p, p, q).
///
/// With the first layer `u_1 = act(x M_1 + b)` the network depends on `x` only through `z = x M_1 + b`, so
/// `H = M_1 (D S_1 D + diag C_1) M_1^T` with `S_1` the Hessian after the first layer and `D = diag act'(z)`. Products,
/// traces, the diagonal and blocks are computed from it without forming the k^2 entries of the Hessian:
///
/// ```
/// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
/// let network = fully_connected::<f64>(&[50, 4, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let x = ndarray::Array2::ones((3, 50));
/// let jet = network.evaluate(&x, &Request::new().hessian().factored())?;
/// let (hessian, factored) = (jet.hessian.unwrap(), jet.factored.unwrap());
/// assert_eq!(factored.core.shape(), [3, 4, 4, 1]);
/// let error = (factored.to_dense() - &hessian).fold(0.0f64, |m, e| m.max(e.abs()));
/// assert!(error < 1e-15);
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FactoredHessian<F> {
    /// `V M_1` (k, p).
    pub outer: Array2<F>,
    /// `C` (n_s, p, p, q).
    pub core: Array4<F>,
}

impl<F: Real> FactoredHessian<F> {
    /// `f(C_sr)` for the (p, p) core of every sample and output, as the trailing axes of an array (n_s, q, ..).
    fn map<D: Dimension>(&self, f: impl Fn(ArrayView2<F>) -> Array<F, D>) -> Vec<Array<F, D>> {
        let (ns, _, _, q) = self.core.dim();
        let at = |i: usize| self.core.index_axis(Axis(0), i / q).index_axis_move(Axis(2), i % q);
        (0..ns * q).map(|i| f(at(i))).collect()
    }

    fn gather<D: Dimension>(&self, parts: Vec<Array<F, D>>, shape: &[usize]) -> ArrayD<F> {
        let (ns, _, _, q) = self.core.dim();
        let shape: Vec<usize> = [ns, q].iter().chain(shape).copied().collect();
        let flat = parts.into_iter().flat_map(|p| p.into_iter()).collect();
        logical(ArrayD::from_shape_vec(shape, flat).expect("one part per sample and output"))
    }

    /// The given rows and columns of the Hessian (n_s, rows, cols, q).
    ///
    /// # Errors
    /// [`Error::Index`] for an index that is not a direction.
    pub fn block(&self, rows: &[usize], cols: &[usize]) -> Result<Array4<F>, Error> {
        let len = self.outer.nrows();
        if let Some(&index) = rows.iter().chain(cols).find(|&&i| i >= len) {
            return Err(Error::Index { what: "block", index, len });
        }
        let (left, right) = (self.outer.select(Axis(0), rows), self.outer.select(Axis(0), cols));
        let parts = self.map(|c| left.dot(&c).dot(&right.t()));
        Ok(fixed(self.gather(parts, &[rows.len(), cols.len()])))
    }

    /// The Hessian itself (n_s, k, k, q).
    pub fn to_dense(&self) -> Array4<F> {
        let k = self.outer.nrows();
        let parts = self.map(|c| self.outer.dot(&c).dot(&self.outer.t()));
        fixed(self.gather(parts, &[k, k]))
    }

    /// The products (n_s, k, kw, q) with the rows of `w` (kw, k).
    ///
    /// # Errors
    /// [`Error::Shape`] if `w` does not have k columns.
    pub fn products(&self, w: ArrayView2<F>) -> Result<Array4<F>, Error> {
        let k = self.outer.nrows();
        if w.ncols() != k {
            return Err(Error::shape("the vectors of the products", w.shape(), format!("[kw, {k}]")));
        }
        let right = w.dot(&self.outer);
        let parts = self.map(|c| self.outer.dot(&c).dot(&right.t()));
        Ok(fixed(self.gather(parts, &[k, w.nrows()])))
    }

    /// The diagonal (n_s, k, q).
    pub fn diagonal(&self) -> Array3<F> {
        let parts = self.map(|c| (&self.outer.dot(&c) * &self.outer).sum_axis(Axis(1)));
        fixed(self.gather(parts, &[self.outer.nrows()]))
    }

    /// The trace (n_s, q): one (p, p) product per sample, given `M^T M`.
    pub fn laplacian(&self) -> Array2<F> {
        let gram = self.outer.t().dot(&self.outer);
        let parts = self.map(|c| ndarray::arr0((&c * &gram).sum()));
        fixed(self.gather(parts, &[]))
    }
}

/// From memory order (n_s, q, ..) to logical order (n_s, .., q).
fn logical<A>(array: ArrayD<A>) -> ArrayD<A> {
    let n = array.ndim();
    let axes: Vec<usize> = std::iter::once(0).chain(2..n).chain([1]).collect();
    array.permuted_axes(axes)
}

fn fixed<A, D: Dimension>(array: ArrayD<A>) -> Array<A, D> {
    array.into_dimensionality().expect("a field has a fixed number of axes")
}

/// Arrays of two to four axes (n_s, .., q), and the same as four axes in memory order (n_s, q, ..), those that are not
/// there of length one.
trait Axes: Dimension {
    fn to_memory<S: RawData>(array: ArrayBase<S, Self>) -> ArrayBase<S, Ix4>;
    fn from_memory<S: RawData>(array: ArrayBase<S, Ix4>) -> ArrayBase<S, Self>;
}

impl Axes for Ix4 {
    fn to_memory<S: RawData>(array: ArrayBase<S, Self>) -> ArrayBase<S, Ix4> {
        array.permuted_axes([0, 3, 1, 2])
    }
    fn from_memory<S: RawData>(array: ArrayBase<S, Ix4>) -> ArrayBase<S, Self> {
        array.permuted_axes([0, 2, 3, 1])
    }
}

impl Axes for Ix3 {
    fn to_memory<S: RawData>(array: ArrayBase<S, Self>) -> ArrayBase<S, Ix4> {
        array.permuted_axes([0, 2, 1]).insert_axis(Axis(3))
    }
    fn from_memory<S: RawData>(array: ArrayBase<S, Ix4>) -> ArrayBase<S, Self> {
        array.index_axis_move(Axis(3), 0).permuted_axes([0, 2, 1])
    }
}

impl Axes for Ix2 {
    fn to_memory<S: RawData>(array: ArrayBase<S, Self>) -> ArrayBase<S, Ix4> {
        array.insert_axis(Axis(2)).insert_axis(Axis(3))
    }
    fn from_memory<S: RawData>(array: ArrayBase<S, Ix4>) -> ArrayBase<S, Self> {
        array.index_axis_move(Axis(3), 0).index_axis_move(Axis(2), 0)
    }
}

/// `shape` (q, ..) at `ns` samples as four axes.
pub(crate) fn four_axes(ns: usize, shape: &[usize]) -> [usize; 4] {
    let mut axes = [ns, 1, 1, 1];
    axes[1..=shape.len()].copy_from_slice(shape);
    axes
}

/// What new arrays hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contents {
    Zeros,
    /// Anything: all of it is to be written.
    Unwritten,
}

/// An array, or an error that says how much was asked for. Large ones start on a cache line, where the system's allocator
/// puts them just beside one.
pub(crate) fn allocate<F: Real, D: Dimension>(
    what: impl Debug,
    shape: impl IntoDimension<Dim = D>,
    contents: Contents,
) -> Result<Array<F, D>, Error> {
    const LINE: usize = 64;
    // larger ones may be refused
    const SMALL: usize = 1 << 20;
    let shape = shape.into_dimension();
    let wanted = shape.slice().iter().map(|&n| n as u128).product::<u128>() * size_of::<F>() as u128;
    let error = || Error::OutOfMemory { what: format!("{what:?} of shape {:?}", shape.slice()), bytes: wanted };
    if wanted > (isize::MAX as usize - LINE) as u128 {
        return Err(error());
    }
    let len = wanted as usize / size_of::<F>();
    let spare = if wanted < 1 << 16 { 0 } else { LINE / size_of::<F>() };
    let memory = match contents {
        Contents::Unwritten => unwritten(len + spare).map_err(|_| error())?,
        Contents::Zeros => {
            if len > SMALL {
                // asks first, since the zeroed allocation below would abort; it then costs no fill
                Vec::<F>::new().try_reserve_exact(len + spare).map_err(|_| error())?;
            }
            let mut zeros = vec![F::zero(); len + spare];
            prefer_large(&mut zeros);
            zeros
        }
    };
    let start = if spare == 0 { 0 } else { memory.as_ptr().align_offset(LINE).min(spare) };
    let array = Array1::from_vec(memory).slice_move(s![start..start + len]);
    Ok(array.into_shape_with_order(shape).expect("as many entries as the shape has"))
}

impl<F: Real> Jet<F> {
    /// The jet of the identity at points `x` (n_s, d): value `x`, gradient the identity, Hessian zero. It is the
    /// starting point of [`Evaluate::forward`](crate::Evaluate::forward).
    pub fn identity<S: Data<Elem = F>>(x: &ArrayBase<S, Ix2>) -> Self {
        let (ns, d) = x.dim();
        let unit = |(_, a, r): (usize, usize, usize)| if a == r { F::one() } else { F::zero() };
        Self {
            value: Some(x.to_owned()),
            gradient: Some(Array3::from_shape_fn((ns, d, d), unit)),
            hessian: Some(Array4::zeros((ns, d, d, d))),
            ..Self::default()
        }
    }
}

/// What is the same for every field but the factored Hessian, of which only the core is an array.
macro_rules! plain_fields {
    ($($name:ident $member:ident),*) => {
        impl<F: Real> Jet<F> {
            /// Arrays for all results of `call` at `ns` samples.
            pub(crate) fn allocate(call: &Call<F>, ns: usize, contents: Contents) -> Result<Self, Error> {
                let mut jet = Self::default();
                for (field, shape) in &call.fields {
                    let array = allocate(*field, four_axes(ns, shape), contents)?;
                    match field {
                        $(Field::$name => jet.$member = Some(Axes::from_memory(array)),)*
                        Field::Factored => {
                            let outer = call.outer.clone().expect("a factored Hessian has its outer factor");
                            jet.factored = Some(FactoredHessian { outer, core: Axes::from_memory(array) });
                        }
                    }
                }
                Ok(jet)
            }

            /// The arrays of this jet, to lend to [`Evaluate::evaluate_into`](crate::Evaluate::evaluate_into).
            pub fn view_mut(&mut self) -> JetMut<'_, F> {
                JetMut {
                    $($member: self.$member.as_mut().map(|a| a.view_mut()),)*
                    factored: self.factored.as_mut().map(|f| f.core.view_mut()),
                }
            }

            /// The arrays of this jet, to pass to [`Prepared::pullback`](crate::Prepared::pullback) as cotangents.
            pub fn view(&self) -> JetView<'_, F> {
                JetView {
                    $($member: self.$member.as_ref().map(|a| a.view()),)*
                    factored: self.factored.as_ref().map(|f| f.core.view()),
                }
            }
        }

        impl<'a, F: Real> JetMut<'a, F> {
            /// All arrays that are there, in memory order.
            pub(crate) fn each<'b>(&'b mut self, mut f: impl FnMut(Field, ArrayViewMut4<'b, F>)) {
                $(if let Some(array) = &mut self.$member {
                    f(Field::$name, Axes::to_memory(array.view_mut()));
                })*
                if let Some(array) = &mut self.factored {
                    f(Field::Factored, Axes::to_memory(array.view_mut()));
                }
            }

            /// The first `samples` samples, and the rest.
            pub fn split_at(self, samples: usize) -> (Self, Self) {
                $(let $member = self.$member.map(|a| a.split_at(Axis(0), samples)).unzip();)*
                let factored = self.factored.map(|a| a.split_at(Axis(0), samples)).unzip();
                (Self { $($member: $member.0,)* factored: factored.0 }, Self { $($member: $member.1,)* factored: factored.1 })
            }

            /// A jet over one slice per field of `call`, for `ns` samples.
            pub(crate) fn over(call: &Call<F>, ns: usize, slices: impl Iterator<Item = &'a mut [F]>) -> Self {
                let mut jet = Self { $($member: None,)* factored: None };
                for ((field, shape), slice) in call.fields.iter().zip(slices) {
                    let array = ArrayViewMut::from_shape(four_axes(ns, shape), slice).expect("a slice of that size");
                    match field {
                        $(Field::$name => jet.$member = Some(Axes::from_memory(array)),)*
                        Field::Factored => jet.factored = Some(Axes::from_memory(array)),
                    }
                }
                jet
            }
        }

        impl<'a, F: Real> JetView<'a, F> {
            /// All arrays that are there, in memory order.
            pub(crate) fn each(&self, mut f: impl FnMut(Field, ArrayView4<'a, F>)) {
                $(if let Some(array) = &self.$member {
                    f(Field::$name, Axes::to_memory(array.clone()));
                })*
                if let Some(array) = &self.factored {
                    f(Field::Factored, Axes::to_memory(array.clone()));
                }
            }

            /// A jet over one slice per field of `call`, for `ns` samples.
            pub(crate) fn over(call: &Call<F>, ns: usize, slices: &'a [&mut [F]]) -> Self {
                let mut jet = Self { $($member: None,)* factored: None };
                for ((field, shape), slice) in call.fields.iter().zip(slices) {
                    let array = ArrayView::from_shape(four_axes(ns, shape), slice).expect("a slice of that size");
                    match field {
                        $(Field::$name => jet.$member = Some(Axes::from_memory(array)),)*
                        Field::Factored => jet.factored = Some(Axes::from_memory(array)),
                    }
                }
                jet
            }
        }
    };
}
plain_fields!(
    Value value, Gradient gradient, Hessian hessian, Packed packed, Diagonal diagonal, Laplacian laplacian,
    Operator operator, Products products, Block block, Partials partials, Directional directional,
    Bilaplacian bilaplacian
);
