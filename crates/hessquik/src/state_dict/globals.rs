//! The names that a pickle of PyTorch's may have: the list of what is known, and nothing else is.
use super::pickle::SAVE;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// A type of dictionary.
    Dict,
    /// A function that builds tensors.
    Build(Rebuild),
    /// A type of elements, or of storages of these.
    Elements(&'static str),
    /// What checkpoints have beside weights; nothing of it is kept.
    Aside,
}

/// How a tensor is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rebuild {
    /// Of a storage.
    Tensor {
        /// Whether the type of the elements is given beside the storage.
        typed: bool,
    },
    /// Of another tensor.
    Parameter,
    /// By one of the others.
    OfType,
}

const STORAGES: [(&str, &str); 13] = [
    ("FloatStorage", "float32"),
    ("DoubleStorage", "float64"),
    ("HalfStorage", "float16"),
    ("BFloat16Storage", "bfloat16"),
    ("LongStorage", "int64"),
    ("IntStorage", "int32"),
    ("ShortStorage", "int16"),
    ("CharStorage", "int8"),
    ("ByteStorage", "uint8"),
    ("BoolStorage", "bool"),
    ("ComplexFloatStorage", "complex64"),
    ("ComplexDoubleStorage", "complex128"),
    ("UntypedStorage", "bytes"),
];

/// Types of elements by their names in PyTorch.
const ELEMENTS: [&str; 21] = [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "complex32",
    "complex64",
    "complex128",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
];

const ASIDE: [(&str, &str); 27] = [
    ("torch", "Size"),
    ("torch", "device"),
    ("torch", "Tensor"),
    ("torch._tensor", "Tensor"),
    ("torch.nn.parameter", "Parameter"),
    ("torch.nn.parameter", "Buffer"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "bytearray"),
    ("builtins", "complex"),
    ("__builtin__", "set"),
    ("__builtin__", "frozenset"),
    ("__builtin__", "bytearray"),
    ("__builtin__", "complex"),
    ("_codecs", "encode"),
    ("collections", "Counter"),
    ("collections", "deque"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
];

/// What a name stands for, or that it is not known.
pub(super) fn global(module: &str, name: &str) -> Result<Global, String> {
    let found = match (module, name) {
        ("collections", "OrderedDict") => Some(Global::Dict),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
            Some(Global::Build(Rebuild::Tensor { typed: false }))
        }
        ("torch._utils", "_rebuild_tensor_v3") => Some(Global::Build(Rebuild::Tensor { typed: true })),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Some(Global::Build(Rebuild::Parameter))
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Some(Global::Build(Rebuild::OfType)),
        ("torch" | "torch.storage", name) => {
            let storage = STORAGES.iter().find(|(storage, _)| *storage == name).map(|(_, elements)| *elements);
            let elements = ELEMENTS.into_iter().find(|elements| *elements == name);
            storage.or(elements).map(Global::Elements)
        }
        _ => None,
    };
    found.or_else(|| ASIDE.contains(&(module, name)).then_some(Global::Aside)).ok_or_else(|| {
        let kind = match module.starts_with("__torch__") {
            true => "; it is a TorchScript program",
            false => "",
        };
        format!(
            "its pickle names {module}.{name}, which is not a part of a state dictionary{kind}, and nothing in a file is \
             executed; {SAVE}"
        )
    })
}
