//! Data to train on: arrays by name from `.safetensors`, `.npz`, or a folder of `.npy` files.
use crate::element::Stored;
use crate::failure::Failure;
use crate::points::npy;
use hessquik_burn::train::Data;
use ndarray::{ArrayD, Axis, Dimension, IxDyn, ShapeBuilder};
use safetensors::SafeTensors;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

/// Reads `x` and what is known there.
pub fn read(path: &Path) -> Result<Data, Failure> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    let mut source = match ending.as_str() {
        "safetensors" => Source::Safetensors(fs::read(path).map_err(Failure::io(path))?),
        "npz" => {
            let file = BufReader::new(File::open(path).map_err(Failure::io(path))?);
            Source::Npz(zip::ZipArchive::new(file).map_err(|e| Failure::file(path, format!("is not a npz file: {e}")))?)
        }
        _ if path.is_dir() => Source::Folder,
        _ if !path.exists() => return Err(Failure::io(path)(std::io::ErrorKind::NotFound.into())),
        _ => return Err(Failure::file(path, "unknown kind of data, expected .safetensors, .npz or a folder of .npy")),
    };
    let mut array = |name: &str| source.array(path, name);
    let Some(x) = array("x")? else { return Err(Failure::file(path, "has no array named x")) };
    let (value, gradient, hessian) = (array("value")?, array("gradient")?, array("hessian")?);
    let x = if x.ndim() == 1 { x.insert_axis(Axis(1)) } else { x };
    let data = Data::new(
        axes(path, "x", x)?,
        value.map(|a| axes(path, "value", one_output(a, 2))).transpose()?,
        gradient.map(|a| axes(path, "gradient", one_output(a, 3))).transpose()?,
        hessian.map(|a| axes(path, "hessian", one_output(a, 4))).transpose()?,
    );
    data.map_err(|e| Failure::file(path, e.to_string()))
}

/// The array with an axis for its one output, if that is missing.
fn one_output(array: ArrayD<f64>, axes: usize) -> ArrayD<f64> {
    if array.ndim() + 1 == axes { array.insert_axis(Axis(axes - 1)) } else { array }
}

fn axes<D: Dimension>(path: &Path, name: &str, array: ArrayD<f64>) -> Result<ndarray::Array<f64, D>, Failure> {
    let (shape, wanted) = (array.shape().to_vec(), D::NDIM.unwrap_or(0));
    let wrong = |_| Failure::file(path, format!("{name} has shape {shape:?}, expected {wanted} axes"));
    array.into_dimensionality().map_err(wrong)
}

enum Source {
    Safetensors(Vec<u8>),
    Npz(zip::ZipArchive<BufReader<File>>),
    Folder,
}

impl Source {
    /// The array of this name, if there is one.
    fn array(&mut self, path: &Path, name: &str) -> Result<Option<ArrayD<f64>>, Failure> {
        match self {
            Self::Safetensors(bytes) => {
                let wrong = |e| Failure::file(path, format!("is not a safetensors file: {e}"));
                let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
                let Ok(view) = file.tensor(name) else { return Ok(None) };
                let kind = Stored::from_safetensors(view.dtype()).ok_or_else(|| {
                    let found = view.dtype();
                    Failure::file(
                        path,
                        format!("{name} holds numbers of type {found:?}, expected F32, F64 or integers"),
                    )
                })?;
                decode(path, name, view.data(), kind, view.shape(), false).map(Some)
            }
            Self::Npz(archive) => match archive.by_name(&format!("{name}.npy")) {
                Ok(mut entry) => read_npy(path, name, &mut entry).map(Some),
                Err(zip::result::ZipError::FileNotFound) => Ok(None),
                Err(e) => Err(Failure::file(path, format!("{name}: {e}"))),
            },
            Self::Folder => {
                let path = path.join(format!("{name}.npy"));
                match File::open(&path) {
                    Ok(file) => read_npy(&path, name, &mut BufReader::new(file)).map(Some),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(e) => Err(Failure::io(&path)(e)),
                }
            }
        }
    }
}

fn read_npy(path: &Path, name: &str, reader: &mut impl Read) -> Result<ArrayD<f64>, Failure> {
    let npy::Header { shape, stored, column_major, .. } = npy::header(path, reader)?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|e| Failure::file(path, format!("{name}: {e}")))?;
    decode(path, name, &bytes, stored, &shape, column_major)
}

fn decode(
    path: &Path,
    name: &str,
    bytes: &[u8],
    stored: Stored,
    shape: &[usize],
    column_major: bool,
) -> Result<ArrayD<f64>, Failure> {
    let wanted = shape.iter().try_fold(stored.size, |n, len| n.checked_mul(*len));
    if wanted.is_none_or(|n| n > bytes.len()) {
        return Err(Failure::file(
            path,
            format!("{name} is {} bytes long, too short for shape {shape:?}", bytes.len()),
        ));
    }
    let mut numbers = vec![0.0; shape.iter().product()];
    stored.decode(bytes, &mut numbers);
    let array = ArrayD::from_shape_vec(IxDyn(shape).set_f(column_major), numbers);
    array.map_err(|e| Failure::file(path, format!("{name}: {e}")))
}
