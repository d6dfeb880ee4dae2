//! Every error of the library as a named Python exception of `hessquik_rs.errors`.
use hessquik::{Error, StateDictError};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use std::any::Any;

/// The exception of this name, with this message.
fn named(name: &str, arguments: impl IntoErrorArguments) -> PyErr {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Python::attach(|py| {
        let module = MODULE.get_or_try_init(py, || PyModule::import(py, "hessquik_rs.errors").map(Bound::unbind));
        let class = module.and_then(|m| Ok(m.bind(py).getattr(name)?.cast_into::<PyType>()?));
        match class {
            Ok(class) => arguments.raise(class),
            Err(error) => error,
        }
    })
}

/// What an exception is made of: a message, or the number of an operating system's error with its message.
trait IntoErrorArguments {
    fn raise(self, class: Bound<'_, PyType>) -> PyErr;
}

impl IntoErrorArguments for String {
    fn raise(self, class: Bound<'_, PyType>) -> PyErr {
        PyErr::from_type(class, (self,))
    }
}

impl IntoErrorArguments for (i32, String, String) {
    fn raise(self, class: Bound<'_, PyType>) -> PyErr {
        PyErr::from_type(class, self)
    }
}

/// An error of the library.
pub fn raise(error: Error) -> PyErr {
    let name = match &error {
        Error::EmptyNetwork | Error::IncompatibleBlocks { .. } => "CompositionError",
        Error::Shape { .. } => "ShapeError",
        Error::Index { .. } => "IndexRangeError",
        Error::Setting { .. } => "SettingError",
        Error::Request(_) | Error::Order { .. } => "RequestError",
        Error::Layer { .. } => "LayerError",
        Error::UnknownWeight { .. } => "UnknownWeightError",
        Error::OutOfMemory { .. } => "OutOfMemoryError",
        Error::File { .. } => "ModelFileError",
        Error::Architecture(_) => "ArchitectureError",
        Error::StateDict(error) => match error {
            StateDictError::Empty | StateDictError::Inputs { .. } | StateDictError::Bias { .. } => "ShapeError",
            StateDictError::Elements { .. } => "DtypeError",
            StateDictError::NotLinear { .. } | StateDictError::NotATensor { .. } | StateDictError::NoWeight { .. } => {
                "OperationError"
            }
            _ => "SettingError",
        },
        Error::Io { path, source } => {
            let (number, path) = (source.raw_os_error().unwrap_or(0), path.display().to_string());
            let missing = source.kind() == std::io::ErrorKind::NotFound;
            let name = if missing { "MissingFileError" } else { "FileAccessError" };
            return named(name, (number, source.to_string(), path));
        }
        _ => "HessquikError",
    };
    named(name, with_hint(error.to_string()))
}

/// The message with the known name that is nearest to one that is not known, if there is one and it does not have it.
fn with_hint(message: String) -> String {
    let hint = Python::attach(|py| -> PyResult<String> {
        let module = PyModule::import(py, "hessquik_rs._names")?;
        module.call_method1("with_hint", (&message,))?.extract()
    });
    hint.unwrap_or(message)
}

/// A setting with a value that makes no sense.
pub fn setting(what: &str, found: impl std::fmt::Display, wanted: &str) -> PyErr {
    raise(Error::Setting { what: what.into(), found: found.to_string(), wanted: wanted.into() })
}

/// An array that is not of the element type that is wanted.
pub fn dtype(what: &str, found: impl std::fmt::Display, wanted: &str) -> PyErr {
    named("DtypeError", format!("{what} has dtype {found}, expected {wanted}"))
}

/// An array that cannot be used as it is.
pub fn array(message: String) -> PyErr {
    named("ArrayError", message)
}

/// An array of the wrong shape.
pub fn shape(what: &str, found: &[usize], wanted: &str) -> PyErr {
    named("ShapeError", format!("{what} has shape {found:?}, expected {wanted}"))
}

/// An argument that is not known.
pub fn argument(message: String) -> PyErr {
    pyo3::exceptions::PyTypeError::new_err(with_hint(message))
}

/// A request that makes no sense.
pub fn request(message: String) -> PyErr {
    named("RequestError", with_hint(message))
}

/// What a panic of the library becomes.
pub fn panicked(payload: &(dyn Any + Send)) -> PyErr {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    let message = format!("the engine failed, which is a bug: {}", text.unwrap_or("no message"));
    let error = named("InternalError", message.clone());
    // even if the module of exceptions cannot be had
    if Python::attach(|py| error.is_instance_of::<PyRuntimeError>(py)) {
        error
    } else {
        PyRuntimeError::new_err(message)
    }
}
