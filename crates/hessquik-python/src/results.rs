//! Results out, and what is lent for them or pulled back, by name.
use crate::array::{self, Float};
use crate::errors;
use crate::memory;
use crate::wish::Name;
use hessquik::{FactoredHessian, Jet, JetMut, JetView};
use ndarray::{ArrayViewD, ArrayViewMut, ArrayViewMutD, Dimension};
use numpy::{BorrowError, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// `$action!` of the field that `$name` names, which for the factored Hessian is `$factored`.
macro_rules! by_name {
    ($name:expr, $action:ident, factored: $factored:expr) => {
        match $name {
            Name::Value => $action!(value),
            Name::Gradient => $action!(gradient),
            Name::Hessian => $action!(hessian),
            Name::Packed => $action!(packed),
            Name::Diagonal => $action!(diagonal),
            Name::Laplacian => $action!(laplacian),
            Name::Operator => $action!(operator),
            Name::Products => $action!(products),
            Name::Block => $action!(block),
            Name::Partials => $action!(partials),
            Name::Factored => $factored,
        }
    };
}
pub(crate) use by_name;

/// The jet as a dictionary of arrays in the order of `names`; the factored Hessian is a pair of its outer factor and its
/// core.
pub fn dictionary<'py, F: Float>(py: Python<'py>, names: &[Name], mut jet: Jet<F>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for &name in names {
        macro_rules! hand_out {
            ($field:ident) => {
                jet.$field.take().map(|a| array::out(py, a).into_any())
            };
        }
        let pair = |f: FactoredHessian<F>| (array::out(py, f.outer), array::out(py, f.core)).into_bound_py_any(py);
        let array = by_name!(name, hand_out, factored: jet.factored.take().map(pair).transpose()?);
        dict.set_item(name.as_str(), array)?;
    }
    Ok(dict)
}

/// Cotangents by name, to be read.
pub struct Cotangents<'py, F: Float>(Vec<(Name, PyReadonlyArrayDyn<'py, F>)>);

impl<'py, F: Float> Cotangents<'py, F> {
    /// From a dictionary; `None` counts as zero.
    pub fn read(dict: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut all = Vec::with_capacity(dict.len());
        for (key, object) in dict {
            let name = Name::parse(&key.extract::<String>()?)?;
            if !object.is_none() {
                all.push((name, array::read(&format!("the cotangent of {}", name.as_str()), &object)?));
            }
        }
        Ok(Self(all))
    }

    /// The names, and views to hand to the engine.
    pub fn view(&self) -> PyResult<JetView<'_, F>> {
        let mut view = JetView::default();
        for (name, array) in &self.0 {
            macro_rules! put {
                ($field:ident) => {
                    view.$field = Some(array::fixed("a cotangent", array.as_array())?)
                };
            }
            by_name!(name, put, factored: put!(factored));
        }
        Ok(view)
    }
}

/// Arrays lent for results by name.
pub struct Lent<'py, F: Float> {
    arrays: Vec<(Name, PyReadwriteArrayDyn<'py, F>)>,
    /// Arrays that interleave with others in use: results are written beside them, and copied in the end.
    later: Vec<[Bound<'py, PyArrayDyn<F>>; 2]>,
}

impl<'py, F: Float> Lent<'py, F> {
    /// From a dictionary, given the points that are read meanwhile.
    pub fn read(dict: &Bound<'py, PyDict>, x: &PyReadonlyArrayDyn<'py, F>) -> PyResult<Self> {
        let mut lent = Self { arrays: Vec::with_capacity(dict.len()), later: Vec::new() };
        let mut seen: Vec<(Name, Bound<'py, PyArrayDyn<F>>)> = Vec::with_capacity(dict.len());
        for (key, object) in dict {
            let name = Name::parse(&key.extract::<String>()?)?;
            let what = format!("out[{:?}]", name.as_str());
            if let Ok(array) = object.cast::<PyArrayDyn<F>>() {
                memory::no_entry_twice(&what, array)?;
                memory::apart(&what, array, "x", x)?;
                for (other, before) in &seen {
                    memory::apart(&what, array, &format!("out[{:?}]", other.as_str()), before)?;
                }
                seen.push((name, array.clone()));
                // arrays that are apart in memory, and between one another, are one to numpy's flags
                if matches!(array.try_readwrite(), Err(BorrowError::AlreadyBorrowed)) {
                    let beside = PyArrayDyn::<F>::zeros(dict.py(), array.shape(), false);
                    lent.arrays.push((name, beside.readwrite()));
                    lent.later.push([array.clone(), beside]);
                    continue;
                }
            }
            lent.arrays.push((name, array::write(&what, &object)?));
        }
        Ok(lent)
    }

    /// Puts what was written beside the arrays into them.
    pub fn finish(self) -> PyResult<()> {
        drop(self.arrays);
        for [array, beside] in self.later {
            PyModule::import(array.py(), "numpy")?.call_method1("copyto", (array, beside))?;
        }
        Ok(())
    }

    /// Views to hand to the engine.
    pub fn view_mut(&mut self) -> PyResult<JetMut<'_, F>> {
        let mut view = JetMut::default();
        for (name, array) in &mut self.arrays {
            macro_rules! put {
                ($field:ident) => {
                    view.$field = Some(fixed_mut(*name, array.as_array_mut())?)
                };
            }
            by_name!(name, put, factored: put!(factored));
        }
        Ok(view)
    }
}

fn fixed_mut<F: Float, D: Dimension>(name: Name, view: ArrayViewMutD<'_, F>) -> PyResult<ArrayViewMut<'_, F, D>> {
    let found = view.shape().to_vec();
    let wanted = format!("{} axes", D::NDIM.unwrap_or(0));
    view.into_dimensionality().map_err(|_| errors::shape(&format!("out[{:?}]", name.as_str()), &found, &wanted))
}

/// Views of all arrays.
pub fn views<'a, F: Float>(arrays: &'a [PyReadonlyArrayDyn<'_, F>]) -> Vec<ArrayViewD<'a, F>> {
    arrays.iter().map(|a| a.as_array()).collect()
}
