//! Data to train on: arrays by name from `.safetensors`, `.npz`, `.csv`, or a folder of `.npy` files; columns of a table.
use super::columns;
use crate::element::{KNOWN, Stored};
use crate::failure::Failure;
use crate::points::source::{self, Format};
use crate::points::{Points, Reading, npy, npz};
use hessquik_burn::train::Data;
use ndarray::{Array2, ArrayD, Axis, Dimension, IxDyn, ShapeBuilder, s};
use safetensors::SafeTensors;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The names of the arrays.
const NAMES: [&str; 4] = ["x", "value", "gradient", "hessian"];

/// Reads `x` and what is known there, with what the user should know of it.
pub fn read(path: &Path, reading: Reading, values: Option<&[String]>) -> Result<(Data, Vec<String>), Failure> {
    if let Some(columns) = reading.columns {
        return of_columns(path, reading, columns, values);
    }
    let mut source = if path.is_dir() {
        Source::Folder
    } else {
        let opened = source::open(path, reading.format)?;
        match opened.format {
            Format::Safetensors => {
                let (mut file, mut bytes) = (opened.file, Vec::new());
                file.read_to_end(&mut bytes).map_err(Failure::io(path))?;
                Source::safetensors(path, bytes)?
            }
            Format::Npz => Source::Npz(npz::Archive::open(path, opened.file)?),
            Format::Csv => {
                return columns::read(path, opened.file).and_then(|(arrays, notes)| Ok((data(path, arrays)?, notes)));
            }
            Format::Npy => {
                let message = "is one array: --columns and --values say which columns are points and values; .npz, \
                               .safetensors and a folder of .npy have more arrays";
                return Err(Failure::file(path, message));
            }
        }
    };
    let mut arrays = [None, None, None, None];
    for (array, name) in arrays.iter_mut().zip(NAMES) {
        *array = source.array(path, name)?;
    }
    Ok((data(path, arrays)?, Vec::new()))
}

/// Points and values from columns that the user names.
fn of_columns(
    path: &Path,
    reading: Reading,
    inputs: &[String],
    values: Option<&[String]>,
) -> Result<(Data, Vec<String>), Failure> {
    let Some(values) = values else {
        return Err(Failure::Usage("--columns are those of the points; --values are wanted, too".into()));
    };
    let all: Vec<_> = inputs.iter().chain(values).cloned().collect();
    let mut points = Points::open_as(path, None, Reading { columns: Some(&all), ..reading })?;
    let numbers: Array2<f64> = points.read(points.rows())?;
    let part = |columns: std::ops::Range<usize>| Some(numbers.slice(s![.., columns]).to_owned().into_dyn());
    let arrays = [part(0..inputs.len()), part(inputs.len()..all.len()), None, None];
    Ok((data(path, arrays)?, points.remarks()))
}

/// The data of these arrays, in the order of [`NAMES`].
fn data(path: &Path, [x, value, gradient, hessian]: columns::Arrays) -> Result<Data, Failure> {
    let Some(x) = x else { return Err(Failure::file(path, "has no array named x")) };
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
    Npz(npz::Archive),
    Folder,
}

impl Source {
    /// The bytes of a file that has each name once.
    fn safetensors(path: &Path, bytes: Vec<u8>) -> Result<Self, Failure> {
        let header = bytes.split_first_chunk::<8>().and_then(|(length, rest)| {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            rest.get(..length)
        });
        let wrong = |e: String| Failure::file(path, format!("is not a safetensors file: {e}"));
        let header = header.ok_or_else(|| wrong("it is cut off in its header".into()))?;
        hessquik::distinct_keys(header).map_err(wrong)?;
        Ok(Self::Safetensors(bytes))
    }

    /// The array of this name, if there is one.
    fn array(&mut self, path: &Path, name: &str) -> Result<Option<ArrayD<f64>>, Failure> {
        match self {
            Self::Safetensors(bytes) => {
                let wrong = |e| Failure::file(path, format!("is not a safetensors file: {e}"));
                let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
                let Ok(view) = file.tensor(name) else { return Ok(None) };
                let kind = Stored::from_safetensors(view.dtype()).ok_or_else(|| {
                    let found = view.dtype();
                    Failure::file(path, format!("{name} holds numbers of type {found:?}, expected {KNOWN}"))
                })?;
                decode(path, name, view.data(), kind, view.shape(), false).map(Some)
            }
            Self::Npz(archive) => archive.array(path, name, |header, numbers| of_npy(path, name, header, numbers)),
            Self::Folder => {
                let path = path.join(format!("{name}.npy"));
                match File::open(&path) {
                    Ok(file) => {
                        let mut reader = BufReader::new(file);
                        let header = npy::header(&path, &mut reader)?;
                        of_npy(&path, name, header, &mut reader).map(Some)
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(e) => Err(Failure::io(&path)(e)),
                }
            }
        }
    }
}

fn of_npy(path: &Path, name: &str, header: npy::Header, numbers: &mut dyn Read) -> Result<ArrayD<f64>, Failure> {
    let npy::Header { shape, stored, column_major, .. } = header;
    let mut bytes = Vec::new();
    numbers.read_to_end(&mut bytes).map_err(|e| Failure::file(path, format!("{name}: {e}")))?;
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
