//! The class `Watch`: whether dictionaries still hold the very objects that they held, which is asked before every
//! evaluation of a PyTorch module.
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::{Mutex, PoisonError};

/// What is remembered of a dictionary.
#[derive(Debug)]
enum Remembered {
    /// All keys and values, but for some keys.
    Values(Vec<(Py<PyAny>, Py<PyAny>)>),
    /// All keys, and whether the value is `None`.
    Presence(Vec<(Py<PyAny>, bool)>),
}

/// See the page of this file.
#[pyclass(frozen, module = "hessquik_rs._native")]
#[derive(Debug)]
pub struct Watch {
    ignored: Py<PyTuple>,
    /// Emptied by Python's garbage collector alone.
    entries: Mutex<Vec<(Py<PyDict>, Remembered)>>,
}

#[pymethods]
impl Watch {
    /// Watches all values of the dictionaries `values`, but for the keys `ignored`, and in the dictionaries `presence`
    /// which values are `None`.
    #[new]
    fn new(
        values: Vec<Bound<'_, PyDict>>,
        presence: Vec<Bound<'_, PyDict>>,
        ignored: Bound<'_, PyTuple>,
    ) -> PyResult<Self> {
        let mut entries = Vec::with_capacity(values.len() + presence.len());
        for dict in values {
            let mut kept = Vec::with_capacity(dict.len());
            for (key, value) in &dict {
                if !ignored.contains(&key)? {
                    kept.push((key.unbind(), value.unbind()));
                }
            }
            entries.push((dict.unbind(), Remembered::Values(kept)));
        }
        for dict in presence {
            let kept = dict.iter().map(|(key, value)| (key.unbind(), value.is_none())).collect();
            entries.push((dict.unbind(), Remembered::Presence(kept)));
        }
        Ok(Self { ignored: ignored.unbind(), entries: Mutex::new(entries) })
    }

    /// Whether nothing was put in, taken out, replaced or put in another order. Objects that are changed in place are
    /// the same objects.
    fn unchanged(&self, py: Python<'_>) -> PyResult<bool> {
        let ignored = self.ignored.bind(py);
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for (dict, remembered) in &*entries {
            let dict = dict.bind(py);
            match remembered {
                Remembered::Values(kept) => {
                    let mut kept = kept.iter();
                    for (key, value) in dict {
                        if let Some((k, v)) = kept.as_slice().first()
                            && key.is(k)
                            && value.is(v)
                        {
                            kept.next();
                        } else if !ignored.contains(&key)? {
                            return Ok(false);
                        }
                    }
                    if kept.next().is_some() {
                        return Ok(false);
                    }
                }
                Remembered::Presence(kept) => {
                    let mut pairs = dict.iter().zip(kept);
                    if dict.len() != kept.len()
                        || !pairs.all(|((key, value), (k, none))| key.is(k) && value.is_none() == *none)
                    {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.ignored)?;
        // nothing waits here: a thread that has the lock has Python's too
        let Ok(entries) = self.entries.try_lock() else { return Ok(()) };
        for (dict, remembered) in &*entries {
            visit.call(dict)?;
            match remembered {
                Remembered::Values(kept) => kept.iter().try_for_each(|(k, v)| {
                    visit.call(k)?;
                    visit.call(v)
                })?,
                Remembered::Presence(kept) => kept.iter().try_for_each(|(k, _)| visit.call(k))?,
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let entries = std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        drop(entries);
    }
}
