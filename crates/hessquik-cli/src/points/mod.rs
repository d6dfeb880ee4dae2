//! Points and matrices from `.npy`, `.csv` and `.safetensors` files, read some rows at a time.
pub mod npy;
mod safetensors;
mod table;

use crate::element::{Element, Stored};
use crate::failure::Failure;
use ndarray::Array2;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A matrix in a file: its shape is known, its rows are read on demand, first to last.
#[derive(Debug)]
pub struct Points {
    path: PathBuf,
    /// All that the file has.
    rows: usize,
    cols: usize,
    /// The first and the end of those that are read, and the next of them.
    first: usize,
    end: usize,
    next: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Binary(Binary),
    Table(table::Table),
}

/// Numbers that stand one after another in a file.
#[derive(Debug)]
pub struct Binary {
    file: File,
    shape: Vec<usize>,
    stored: Stored,
    offset: u64,
    column_major: bool,
}

impl Points {
    /// Opens the file at `path`, whose ending says what it is. A vector counts as one row if its length is `width`,
    /// else as one column.
    pub fn open(path: &Path, width: Option<usize>) -> Result<Self, Failure> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        let open = || File::open(path).map_err(Failure::io(path));
        let source = match ending.as_str() {
            "npy" => Source::Binary(npy::open(path, open()?)?),
            "safetensors" => Source::Binary(safetensors::open(path, open()?)?),
            "csv" | "tsv" | "txt" => Source::Table(table::Table::open(path, open()?)?),
            _ => return Err(Failure::file(path, "unknown kind of file, expected .npy, .csv or .safetensors")),
        };
        let (rows, cols) = match &source {
            Source::Table(table) => (table.rows, table.cols),
            Source::Binary(binary) => match binary.shape[..] {
                [rows, cols] => (rows, cols),
                [len] if width == Some(len) && len > 1 => (1, len),
                [len] => (len, 1),
                ref shape => {
                    return Err(Failure::file(
                        path,
                        format!("has shape {shape:?}, expected two axes, (points, inputs)"),
                    ));
                }
            },
        };
        if let Some(width) = width.filter(|w| *w != cols && (rows, cols) != (0, 0)) {
            let message = format!("has shape [{rows}, {cols}], expected {width} columns, one for each input");
            return Err(Failure::file(path, message));
        }
        Ok(Self { path: path.into(), rows, cols: width.unwrap_or(cols), first: 0, end: rows, next: 0, source })
    }

    /// Reads a whole matrix.
    pub fn matrix<F: Element>(path: &Path, width: Option<usize>) -> Result<Array2<F>, Failure> {
        let mut points = Self::open(path, width)?;
        points.read(points.rows)
    }

    /// Only the share `part` of `parts`, of neighbouring points.
    pub fn share(mut self, (part, parts): (usize, usize)) -> Result<Self, Failure> {
        let at = |part: usize| (self.rows as u128 * part as u128 / parts as u128) as usize;
        (self.first, self.end) = (at(part), at(part + 1));
        if let Source::Table(table) = &mut self.source {
            // lines are as long as they are: those before are read and forgotten
            for first in (0..self.first).step_by(1 << 14) {
                let mut skipped = Array2::<f64>::zeros(((self.first - first).min(1 << 14), self.cols));
                table.read(&self.path, &mut skipped)?;
            }
        }
        self.next = self.first;
        Ok(self)
    }

    /// Number of points that are read.
    pub fn rows(&self) -> usize {
        self.end - self.first
    }

    /// Number of inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The next `n` points, or as many as are left.
    pub fn read<F: Element>(&mut self, n: usize) -> Result<Array2<F>, Failure> {
        let n = n.min(self.end - self.next);
        let mut out = Array2::zeros((n, self.cols));
        let fits = match &mut self.source {
            Source::Table(table) => table.read(&self.path, &mut out)?,
            Source::Binary(binary) => binary.read(self.next, self.rows, &mut out).map_err(Failure::io(&self.path))?,
        };
        if !fits {
            let rows = format!("rows {} to {}", self.next, self.next + n);
            return Err(Failure::file(&self.path, format!("{rows}: a number is too large for {}", F::NAME)));
        }
        self.next += n;
        Ok(out)
    }
}

impl Binary {
    fn read<F: Element>(&mut self, first: usize, rows: usize, out: &mut Array2<F>) -> std::io::Result<bool> {
        if !self.column_major {
            let skip = first * out.ncols();
            return self.run(skip, out.as_slice_mut().expect("a fresh array is contiguous"));
        }
        let mut fits = true;
        let mut column = vec![F::zero(); out.nrows()];
        for j in 0..out.ncols() {
            fits &= self.run(j * rows + first, &mut column)?;
            out.column_mut(j).iter_mut().zip(&column).for_each(|(out, number)| *out = *number);
        }
        Ok(fits)
    }

    /// Reads numbers that stand together, after the first `skip`.
    fn run<F: Element>(&mut self, skip: usize, out: &mut [F]) -> std::io::Result<bool> {
        let mut bytes = vec![0; out.len() * self.stored.size];
        self.file.seek(SeekFrom::Start(self.offset + (skip * self.stored.size) as u64))?;
        self.file.read_exact(&mut bytes)?;
        Ok(self.stored.decode(&bytes, out))
    }
}

/// Checks that the numbers announced by a header are there: `offset` bytes, then those of `shape`.
fn check_length(path: &Path, file: &File, offset: u64, shape: &[usize], size: usize) -> Result<(), Failure> {
    let product = |n: usize, len: &usize| n.checked_mul(*len).filter(|n| isize::try_from(*n).is_ok());
    // no array may have such axes, even if one of them is empty
    let addressed = shape.iter().filter(|len| **len > 0).try_fold(1, product);
    let numbers = addressed.and_then(|_| shape.iter().try_fold(1, product));
    let end = numbers.and_then(|n| n.checked_mul(size)).and_then(|n| offset.checked_add(n as u64));
    let length = file.metadata().map_err(Failure::io(path))?.len();
    match end {
        Some(end) if end <= length => Ok(()),
        Some(end) => Err(Failure::file(path, format!("is {length} bytes long, expected {end} for shape {shape:?}"))),
        None => Err(Failure::file(path, format!("has shape {shape:?}, more numbers than can be addressed"))),
    }
}
