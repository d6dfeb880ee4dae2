//! Arrays of an ONNX file as numbers in double precision.
use super::model::Tensor;
use super::value::Element;
use crate::state_dict::element::{bfloat, half};
use ndarray::{ArrayD, IxDyn};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// The number of an element type, its name, and bytes of an element in `raw_data`.
const KINDS: [(i64, &str, usize, Element); 12] = [
    (1, "float", 4, Element::Float),
    (2, "uint8", 1, Element::Int),
    (3, "int8", 1, Element::Int),
    (4, "uint16", 2, Element::Int),
    (5, "int16", 2, Element::Int),
    (6, "int32", 4, Element::Int),
    (7, "int64", 8, Element::Int),
    (9, "bool", 1, Element::Bool),
    (10, "float16", 2, Element::Float),
    (11, "double", 8, Element::Float),
    (12, "uint32", 4, Element::Int),
    (16, "bfloat16", 2, Element::Float),
];
const UINT64: (i64, &str, usize, Element) = (13, "uint64", 8, Element::Int);

/// What an element type counts as here.
pub(super) fn element(kind: i64) -> Result<Element, String> {
    Ok(described(kind)?.3)
}

fn described(kind: i64) -> Result<(i64, &'static str, usize, Element), String> {
    let found = KINDS.into_iter().chain([UINT64]).find(|k| k.0 == kind);
    found.ok_or_else(|| {
        let name = match kind {
            0 => "undefined",
            8 => "string",
            14 | 15 => "complex",
            17..=20 => "float8",
            _ => "unknown",
        };
        format!("elements are of type {kind} ({name}), expected float, double, float16, bfloat16, bool or integers")
    })
}

/// The numbers of bytes in little-endian order.
fn decoded(kind: i64, bytes: &[u8]) -> Vec<f64> {
    macro_rules! as_numbers {
        ($n:literal, $number:ty) => {
            bytes.as_chunks::<$n>().0.iter().map(|b| <$number>::from_le_bytes(*b) as f64).collect()
        };
    }
    let halves = |number: fn(u16) -> f64| bytes.as_chunks::<2>().0.iter().map(move |b| number(u16::from_le_bytes(*b)));
    match kind {
        1 => as_numbers!(4, f32),
        2 | 9 => as_numbers!(1, u8),
        3 => as_numbers!(1, i8),
        4 => as_numbers!(2, u16),
        5 => as_numbers!(2, i16),
        6 => as_numbers!(4, i32),
        7 => as_numbers!(8, i64),
        10 => halves(half).collect(),
        11 => as_numbers!(8, f64),
        12 => as_numbers!(4, u32),
        16 => halves(bfloat).collect(),
        _ => as_numbers!(8, u64),
    }
}

impl Tensor<'_> {
    /// The shape; lengths of zero are allowed.
    pub fn shape(&self) -> Result<(Vec<usize>, usize), String> {
        let dims: Option<Vec<usize>> = self.dims.iter().map(|&n| usize::try_from(n).ok()).collect();
        let len = dims.as_ref().and_then(|d| d.iter().try_fold(1usize, |n, &len| n.checked_mul(len)));
        match (dims, len) {
            // more axes than any network has would make each small array expensive
            (Some(dims), Some(len)) if dims.len() <= 32 => Ok((dims, len)),
            _ => Err(format!("has shape {:?}", self.dims)),
        }
    }

    /// The numbers and what they count as; those in other files are looked for in `folder`.
    pub fn array(&self, folder: Option<&Path>) -> Result<(ArrayD<f64>, Element), String> {
        let (kind, name, size, element) = described(self.kind)?;
        let (shape, len) = self.shape()?;
        let wanted = len.checked_mul(size).ok_or_else(|| format!("has shape {shape:?}"))?;
        let counts = |found: usize, what: &str| match found == len {
            true => Ok(()),
            false => Err(format!("shape {shape:?} has {len} entries, and {found} numbers of {name} are in {what}")),
        };
        let numbers: Vec<f64> = if self.elsewhere {
            decoded(kind, &self.outside(folder, wanted)?)
        } else if let Some(raw) = self.raw {
            if raw.len() != wanted {
                return Err(format!("shape {shape:?} of {name} takes {wanted} bytes, and raw_data has {}", raw.len()));
            }
            decoded(kind, raw)
        } else {
            match kind {
                1 => {
                    counts(self.floats.len(), "float_data")?;
                    self.floats.iter().map(|&v| f64::from(v)).collect()
                }
                11 => {
                    counts(self.doubles.len(), "double_data")?;
                    self.doubles.clone()
                }
                _ => {
                    counts(self.integers.len(), "int32_data or int64_data")?;
                    let number = |&n: &i64| match kind {
                        10 => half(n as u16),
                        16 => bfloat(n as u16),
                        13 => n as u64 as f64,
                        _ => n as f64,
                    };
                    self.integers.iter().map(number).collect()
                }
            }
        };
        let array = ArrayD::from_shape_vec(IxDyn(&shape), numbers).map_err(|e| e.to_string())?;
        Ok((array, element))
    }

    /// Bytes from a file beside the model.
    fn outside(&self, folder: Option<&Path>, wanted: usize) -> Result<Vec<u8>, String> {
        let value = |key: &str| self.external.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let location = value("location").unwrap_or_default();
        let Some(folder) = folder else {
            return Err(format!(
                "its numbers are in another file, {location:?}, which cannot be found from here: load the model by the \
                 path of its file, or export it with its weights inside (torch.onnx.export(.., external_data=False))"
            ));
        };
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !Path::new(location).components().all(plain) {
            return Err(format!("its numbers are in {location:?}, expected the name of a file beside the model"));
        }
        let number = |key: &str| match value(key) {
            None | Some("") => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("external data: {key} is {text:?}")),
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        if length.is_some_and(|n| n != wanted as u64) {
            return Err(format!("external data: {} bytes, expected {wanted}", length.unwrap_or(0)));
        }
        let path = folder.join(location);
        let of = |e: std::io::Error| format!("its numbers are in {}: {e}", path.display());
        // looked at first: to open a FIFO would wait for its other end
        let there = std::fs::metadata(&path).map_err(of)?;
        if !there.is_file() || offset.checked_add(wanted as u64).is_none_or(|end| end > there.len()) {
            return Err(format!(
                "its numbers are in {}, {wanted} bytes from {offset} on, and the file has {} bytes",
                path.display(),
                there.len()
            ));
        }
        let mut file = File::open(&path).map_err(of)?;
        let mut bytes = vec![0; wanted];
        file.seek(SeekFrom::Start(offset)).map_err(of)?;
        file.read_exact(&mut bytes).map_err(of)?;
        Ok(bytes)
    }
}
