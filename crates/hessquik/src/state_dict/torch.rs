//! State dictionaries in the files of `torch.save`: zip archives of one pickle, and one record for the numbers of each
//! storage.
use super::element::Element;
use super::pickle::{self, Id, SAVE, Tensor as Strided, Value};
use super::{StateDict, Tensor};
use ndarray::ArrayD;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::result::ZipError;

/// The longest pickle: 100 000 tensors take less.
const PICKLE: u64 = 16 << 20;
/// Bytes and numbers that a small file may grow to, where it is compressed or tensors repeat their entries.
const SPARE: u64 = 1 << 24;
/// Keys that checkpoints have their state dictionary under.
const KEYS: [&str; 2] = ["state_dict", "model_state_dict"];

/// The state dictionary of the bytes of an archive.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, String> {
    let mut archive = Archive::open(bytes)?;
    let (values, root) = pickle::read(&archive.record("data.pkl", PICKLE)?)?;
    archive.find_byte_order()?;
    let mut state = StateDict::new();
    let mut numbers = Numbers { archive, storages: HashMap::new(), left: bytes.len() as u64 + SPARE };
    for (key, value) in entries(&values, root)? {
        let Value::Text(name) = &values[*key] else {
            return Err(format!("its state dictionary has a key of type {}, expected names", values[*key].kind()));
        };
        let tensor = match &values[*value] {
            Value::Tensor(tensor) => {
                numbers.tensor(&values, tensor).map_err(|message| format!("tensor {name}: {message}"))?
            }
            other => Tensor::Other { found: other.kind().into() },
        };
        state.put(name.clone(), tensor);
    }
    Ok(state)
}

/// The entries of the state dictionary in the root: of one under a known key, of the root itself, or of the only other
/// dictionary of tensors in it.
fn entries(values: &[Value], root: Id) -> Result<&[(Id, Id)], String> {
    let mut dict = root;
    for key in KEYS {
        if let Value::Dict(pairs) = &values[dict]
            && let Some((_, inner)) = pairs.iter().rfind(|(k, v)| is_text(&values[*k], key) && is_dict(&values[*v]))
        {
            dict = *inner;
        }
    }
    let Value::Dict(pairs) = &values[dict] else {
        return Err(format!("expected a state dictionary, found {}; {SAVE}", values[dict].kind()));
    };
    let has_tensors = |pairs: &[(Id, Id)]| pairs.iter().any(|(_, v)| matches!(values[*v], Value::Tensor(_)));
    if dict != root || has_tensors(pairs) {
        return Ok(pairs);
    }
    let inner = pairs.iter().filter_map(|(key, value)| match &values[*value] {
        Value::Dict(inner) if has_tensors(inner) => Some((key, inner)),
        _ => None,
    });
    let name = |key: &Id| match &values[*key] {
        Value::Text(name) => name.clone(),
        other => format!("of a key of type {}", other.kind()),
    };
    match &inner.collect::<Vec<_>>()[..] {
        [] => Ok(pairs),
        [(_, inner)] => Ok(inner),
        several => {
            let names: Vec<_> = several.iter().map(|(key, _)| name(key)).collect();
            Err(format!(
                "it has several state dictionaries, {}; save one of them alone: torch.save(...)",
                names.join(", ")
            ))
        }
    }
}

fn is_text(value: &Value, wanted: &str) -> bool {
    matches!(value, Value::Text(text) if text == wanted)
}

fn is_dict(value: &Value) -> bool {
    matches!(value, Value::Dict(_))
}

/// An archive whose records are in one folder.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    folder: String,
    big_endian: bool,
    /// Bytes that may still be read.
    left: u64,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| {
            format!("this starts as a zip archive, such as a PyTorch checkpoint, but is truncated or damaged: {e}")
        })?;
        let names: Vec<String> = zip.file_names().flatten().map(|name| name.into_owned()).collect();
        if names.iter().any(|name| name.ends_with("/constants.pkl")) {
            return Err(format!("this is a TorchScript program (torch.jit.save), which is not executed; {SAVE}"));
        }
        if names.iter().any(|name| name.ends_with("archive_format")) {
            return Err(format!("this is a program of torch.export.save, which is not executed; {SAVE}"));
        }
        let folder = names.iter().find_map(|name| {
            let folder = name.strip_suffix("data.pkl")?;
            (folder.is_empty() || folder.find('/') == Some(folder.len() - 1)).then(|| folder.to_string())
        });
        let Some(folder) = folder else {
            return Err(match names.iter().any(|name| name.ends_with(".npy")) {
                true => "this is a .npz archive, which hessquik convert and Python read".into(),
                false => format!("this is a zip archive without data.pkl, so not of torch.save; {SAVE}"),
            });
        };
        Ok(Self { zip, folder, big_endian: false, left: bytes.len() as u64 + SPARE })
    }

    /// The bytes of a record of at most this length.
    fn record(&mut self, name: &str, most: u64) -> Result<Vec<u8>, String> {
        let wrong = |e: &dyn std::fmt::Display| format!("its record {name}: {e}");
        let record = self.zip.by_name(&format!("{}{name}", self.folder)).map_err(|e| wrong(&e))?;
        let (len, checked) = (record.size(), record.crc32() != 0);
        if len > most.min(self.left) {
            return Err(format!("its record {name} has {len} bytes, expected at most {}", most.min(self.left)));
        }
        self.left -= len;
        let mut bytes = Vec::new();
        // an archive without checksums has zeros in their place (torch.serialization.set_crc32_options); they are compared
        // by the read that finds the end
        let mut part = record.take(if checked { len.saturating_add(1) } else { len });
        part.read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
        match bytes.len() as u64 == len {
            true => Ok(bytes),
            false => Err(format!("its record {name} has {} bytes, expected {len}", bytes.len())),
        }
    }

    /// Reads which byte of a number comes first; files of PyTorch before 2.1 do not say it.
    fn find_byte_order(&mut self) -> Result<(), String> {
        let name = format!("{}byteorder", self.folder);
        if let Err(ZipError::FileNotFound) = self.zip.by_name(&name) {
            return Ok(());
        }
        self.big_endian = match &self.record("byteorder", 16)?[..] {
            b"little" => false,
            b"big" => true,
            other => return Err(format!("its byte order is {}, expected little or big", other.escape_ascii())),
        };
        Ok(())
    }
}

/// The numbers of tensors.
struct Numbers<'a> {
    archive: Archive<'a>,
    /// Records by their names: tensors may share them.
    storages: HashMap<&'a str, Vec<u8>>,
    /// Numbers that tensors may still have.
    left: u64,
}

impl<'a> Numbers<'a> {
    fn tensor(&mut self, values: &'a [Value], tensor: &Strided) -> Result<Tensor, String> {
        let element = match tensor.elements {
            "float16" => Element::F16,
            "bfloat16" => Element::BF16,
            "float32" => Element::F32,
            "float64" => Element::F64,
            other => return Ok(Tensor::Typed { elements: other.into() }),
        };
        let Value::Storage { key, elements, len } = &values[tensor.storage] else {
            return Err("has no storage".into());
        };
        let Value::Text(key) = &values[*key] else { return Err("has no storage".into()) };
        let size = element.size() as u64;
        // those without a type have a length in bytes
        let held = match *elements {
            "bytes" => len / size,
            other if other == tensor.elements => *len,
            other => return Err(format!("has elements of type {} in a storage of {other}", tensor.elements)),
        };
        let (shape, strides) = (&tensor.shape, &tensor.strides);
        let count = shape.iter().try_fold(1u64, |n, len| n.checked_mul(*len));
        let count = count.filter(|count| *count <= self.left).ok_or_else(|| {
            format!("has shape {shape:?}, more numbers than this file can hold; save tensor.contiguous()")
        })?;
        self.left -= count;
        let steps = shape.iter().zip(strides).map(|(len, stride)| len.saturating_sub(1).checked_mul(*stride));
        let last = steps.into_iter().try_fold(tensor.offset, |sum, step| sum.checked_add(step?));
        if count > 0 && last.is_none_or(|last| last >= held) {
            let offset = tensor.offset;
            return Err(format!(
                "with shape {shape:?}, strides {strides:?} and offset {offset} does not fit its storage of {held} numbers"
            ));
        }
        if !self.storages.contains_key(key.as_str()) {
            let bytes = self.archive.record(&format!("data/{key}"), u64::MAX)?;
            self.storages.insert(key, bytes);
        }
        let bytes = &self.storages[key.as_str()];
        if (bytes.len() as u64) < held.saturating_mul(size) {
            return Err(format!("its storage has {} bytes, expected {}", bytes.len(), held.saturating_mul(size)));
        }
        let sign = if tensor.negative { -1.0 } else { 1.0 };
        let mut entries = Vec::with_capacity(count as usize);
        let mut index = vec![0; shape.len()];
        for _ in 0..count {
            let place: u64 = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
            let start = (tensor.offset + place) as usize * element.size();
            entries.push(sign * element.read(&bytes[start..], self.archive.big_endian));
            for (i, len) in index.iter_mut().zip(shape).rev() {
                *i += 1;
                if *i < *len {
                    break;
                }
                *i = 0;
            }
        }
        let shape: Vec<usize> = shape.iter().map(|len| *len as usize).collect();
        let array = ArrayD::from_shape_vec(shape, entries).map_err(|e| e.to_string())?;
        Ok(Tensor::Numbers { array, double: element == Element::F64 })
    }
}
