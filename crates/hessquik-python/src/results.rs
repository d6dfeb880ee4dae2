//! Results out, and what is lent for them or pulled back, by name.
use crate::array::{self, Float};
use crate::errors;
use crate::lend::{self, Hold, Use};
use crate::wish::named;
use hessquik::{FactoredHessian, Field, Jet, JetMut, JetView};
use ndarray::{ArrayD, ArrayViewD, ArrayViewMut, ArrayViewMutD, Dimension};
use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// `$action!` of the field that `$name` names, which for the factored Hessian is `$factored`.
macro_rules! by_name {
    ($name:expr, $action:ident, factored: $factored:expr) => {
        match $name {
            Field::Value => $action!(value),
            Field::Gradient => $action!(gradient),
            Field::Hessian => $action!(hessian),
            Field::Packed => $action!(packed),
            Field::Diagonal => $action!(diagonal),
            Field::Laplacian => $action!(laplacian),
            Field::Operator => $action!(operator),
            Field::Products => $action!(products),
            Field::Block => $action!(block),
            Field::Partials => $action!(partials),
            Field::Directional => $action!(directional),
            Field::Bilaplacian => $action!(bilaplacian),
            Field::Factored => $factored,
            other => unreachable!("{other} has no place in this module"),
        }
    };
}
pub(crate) use by_name;

/// The jet as a dictionary of arrays in the order of `names`; the factored Hessian is a pair of its outer factor and its
/// core.
pub fn dictionary<'py, F: Float>(py: Python<'py>, names: &[Field], mut jet: Jet<F>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for &name in names {
        macro_rules! hand_out {
            ($field:ident) => {
                jet.$field.take().map(|a| array::out(py, a).into_any())
            };
        }
        let pair = |f: FactoredHessian<F>| (array::out(py, f.outer), array::out(py, f.core)).into_bound_py_any(py);
        let array = by_name!(name, hand_out, factored: jet.factored.take().map(pair).transpose()?);
        dict.set_item(name.name(), array)?;
    }
    Ok(dict)
}

/// Cotangents by name, to be read.
pub struct Cotangents<'py, F: Float>(Vec<(Field, PyReadonlyArrayDyn<'py, F>)>);

impl<'py, F: Float> Cotangents<'py, F> {
    /// From a dictionary; `None` counts as zero.
    pub fn read(dict: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut all = Vec::with_capacity(dict.len());
        for (key, object) in dict {
            let name = named(&key.extract::<String>()?)?;
            if !object.is_none() {
                all.push((name, array::read(&format!("the cotangent of {}", name.name()), &object)?));
            }
        }
        Ok(Self(all))
    }

    /// The names, and views to hand to the engine.
    pub fn view(&self) -> PyResult<JetView<'_, F>> {
        view(self.0.iter().map(|(name, array)| (*name, array.as_array())))
    }

    /// Number of entries of all of them.
    pub fn entries(&self) -> usize {
        self.0.iter().map(|(_, array)| array.len()).sum()
    }

    /// Copies that outlive a call.
    pub fn owned(&self) -> OwnedCotangents<F> {
        OwnedCotangents(self.0.iter().map(|(name, array)| (*name, array.as_array().to_owned())).collect())
    }
}

/// Cotangents by name, as copies.
pub struct OwnedCotangents<F: Float>(Vec<(Field, ArrayD<F>)>);

impl<F: Float> OwnedCotangents<F> {
    /// The names, and views to hand to the engine.
    pub fn view(&self) -> PyResult<JetView<'_, F>> {
        view(self.0.iter().map(|(name, array)| (*name, array.view())))
    }
}

fn view<'a, F: Float>(arrays: impl Iterator<Item = (Field, ArrayViewD<'a, F>)>) -> PyResult<JetView<'a, F>> {
    let mut view = JetView::default();
    for (name, array) in arrays {
        macro_rules! put {
            ($field:ident) => {
                view.$field = Some(array::fixed("a cotangent", array)?)
            };
        }
        by_name!(name, put, factored: put!(factored));
    }
    Ok(view)
}

/// Arrays lent for results by name.
pub struct Lent<'py, F: Float>(Vec<(Field, Bound<'py, PyArrayDyn<F>>)>);

impl<'py, F: Float> Lent<'py, F> {
    /// From a dictionary.
    pub fn read(dict: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut all = Vec::with_capacity(dict.len());
        for (key, object) in dict {
            let name = named(&key.extract::<String>()?)?;
            all.push((name, array::write(&format!("out[{:?}]", name.name()), &object)?));
        }
        Ok(Self(all))
    }

    /// Holds these arrays, and `x`, from which they are apart.
    pub fn hold(&self, py: Python<'py>, x: &Bound<'py, PyUntypedArray>) -> PyResult<Hold> {
        let out = self.0.iter().map(|(name, array)| (format!("out[{:?}]", name.name()), array.as_untyped(), true));
        let uses = std::iter::once(("x".to_string(), x, false)).chain(out);
        let uses: Vec<_> = uses.map(|(what, array, written)| Use { what, array, written }).collect();
        lend::hold(py, &uses)
    }

    /// Views to hand to the engine.
    pub fn view_mut(&mut self, _apart: &Hold) -> PyResult<JetMut<'_, F>> {
        let mut view = JetMut::default();
        for (name, array) in &mut self.0 {
            // SAFETY: writeable, aligned, and apart from everything that this call or others look at, for as long as it is held.
            let array = unsafe { array.as_array_mut() };
            macro_rules! put {
                ($field:ident) => {
                    view.$field = Some(fixed_mut(*name, array)?)
                };
            }
            by_name!(*name, put, factored: put!(factored));
        }
        Ok(view)
    }
}

/// The arrays lent as a dictionary in the order of `names`, that of the request.
pub fn in_order<'py>(py: Python<'py>, names: &[Field], out: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for name in names {
        dict.set_item(name.name(), out.get_item(name.name())?)?;
    }
    Ok(dict)
}

fn fixed_mut<F: Float, D: Dimension>(name: Field, view: ArrayViewMutD<'_, F>) -> PyResult<ArrayViewMut<'_, F, D>> {
    let found = view.shape().to_vec();
    let wanted = format!("{} axes", D::NDIM.unwrap_or(0));
    view.into_dimensionality().map_err(|_| errors::shape(&format!("out[{:?}]", name.name()), &found, &wanted))
}

/// Views of all arrays.
pub fn views<'a, F: Float>(arrays: &'a [PyReadonlyArrayDyn<'_, F>]) -> Vec<ArrayViewD<'a, F>> {
    arrays.iter().map(|a| a.as_array()).collect()
}
