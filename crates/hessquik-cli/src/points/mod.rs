//! Points and matrices from `.npy`, `.npz`, `.csv` and `.safetensors` files and pipes, read some rows at a time.
mod fields;
mod lines;
pub mod npy;
pub mod npz;
pub mod safetensors;
pub mod source;
pub mod table;

use crate::element::{Element, Stored, little_endian};
use crate::failure::Failure;
use ndarray::Array2;
use source::{Format, Opened};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How a file is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// Its kind, if its name does not say it.
    pub format: Option<Format>,
    /// The columns that are read, by name or by number from 0; all of them if there are none.
    pub columns: Option<&'a [String]>,
    /// Whether a point may also be a matrix: an array of three axes counts as one row for each.
    pub matrices: bool,
}

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
    remarks: Vec<String>,
    /// Whether integers were rounded.
    rounded: bool,
    /// The rows of the matrix that each point is, if they are matrices.
    each: Option<usize>,
}

#[derive(Debug)]
enum Source {
    Binary(Binary, Option<Vec<usize>>),
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
        Self::open_as(path, width, Reading::default())
    }

    /// These points, which no file has: kept in a temporary one, as what comes through a pipe.
    pub fn of(x: &Array2<f64>) -> Result<Self, Failure> {
        let path = Path::new("the grid");
        let numbers: Vec<f64> = x.iter().copied().collect();
        let file = source::keep(&mut &*little_endian(&numbers)).map_err(Failure::io(path))?;
        let stored = Stored::from_npy("<f8").expect("a type of numpy's");
        let binary = Binary { file, shape: x.shape().to_vec(), stored, offset: 0, column_major: false };
        Ok(Self::new(path, x.dim(), Source::Binary(binary, None), Vec::new()))
    }

    /// The same, read in this way. Of a folder, the file `x.npy` is read.
    pub fn open_as(path: &Path, width: Option<usize>, reading: Reading) -> Result<Self, Failure> {
        let within = path.join("x.npy");
        let path = if within.is_file() { &within } else { path };
        let Opened { file, format } = source::open(path, reading.format)?;
        let mut remarks = Vec::new();
        let binary = match format {
            Format::Csv => return Self::of_table(path, width, file, reading.columns),
            Format::Npy => npy::open(path, file)?,
            Format::Safetensors => safetensors::open(path, file)?,
            Format::Npz => {
                let (binary, name) = npz::open(path, file)?;
                if name != "x" {
                    remarks.push(format!("{}: {name}, the only array, is taken as the points", path.display()));
                }
                binary
            }
        };
        if binary.stored.is_raw() && format != Format::Safetensors {
            remarks.push(format!("{}: raw numbers of two bytes (V2) are taken as bfloat16", path.display()));
        }
        if let ([n, k, d], true) = (&binary.shape[..], reading.matrices) {
            return Self::of_matrices(path, [*n, *k, *d], width, binary, remarks);
        }
        let picked = reading.columns.map_or(width, |_| None);
        let (rows, cols) = match binary.shape[..] {
            [rows, cols] => (rows, cols),
            [len] if picked == Some(len) && len > 1 => (1, len),
            [len] => (len, 1),
            ref shape => {
                let message = format!("has shape {shape:?}, expected two axes, (points, inputs)");
                return Err(Failure::file(path, message));
            }
        };
        let numbers: Vec<_> = (0..if reading.columns.is_some() { cols } else { 0 }).map(|i| i.to_string()).collect();
        let picks = reading.columns.map(|columns| table::pick(path, &numbers, columns)).transpose()?;
        let chosen = picks.as_ref().map_or(cols, Vec::len);
        check_width(path, (rows, chosen), width, "")?;
        Ok(Self::new(path, (rows, width.unwrap_or(chosen)), Source::Binary(binary, picks), remarks))
    }

    /// Matrices (k, d) for each of n points, as rows of k d numbers.
    fn of_matrices(
        path: &Path,
        [n, k, d]: [usize; 3],
        width: Option<usize>,
        mut binary: Binary,
        remarks: Vec<String>,
    ) -> Result<Self, Failure> {
        if width.is_some_and(|width| width != d) || k == 0 {
            let width = width.map_or("d".into(), |width| width.to_string());
            let message = format!("has shape [{n}, {k}, {d}], expected [points, directions, {width}]");
            return Err(Failure::file(path, message));
        }
        // in column-major order the rows of a matrix stand beside one another
        let picks = binary.column_major.then(|| (0..k * d).map(|at| at / d + k * (at % d)).collect());
        binary.shape = vec![n, k * d];
        let all = Self::new(path, (n, k * d), Source::Binary(binary, picks), remarks);
        Ok(Self { each: Some(k), ..all })
    }

    /// The rows of the matrix that each point is, if they are matrices.
    pub fn each(&self) -> Option<usize> {
        self.each
    }

    fn of_table(path: &Path, width: Option<usize>, file: File, columns: Option<&[String]>) -> Result<Self, Failure> {
        let again = file.try_clone().map_err(Failure::io(path))?;
        let first_of_names = |error: Failure| match (&columns, width) {
            // what the command writes has further columns: the points are x0, x1, ...
            (None, Some(width)) => {
                let columns: Vec<_> = (0..width).map(|i| format!("x{i}")).collect();
                let mut again = again;
                let rewound = again.rewind().map_err(Failure::io(path));
                let table = rewound.and_then(|()| table::Table::open(path, again, Some(&columns)));
                table.ok().filter(|t| t.names.is_some()).ok_or(error)
            }
            _ => Err(error),
        };
        let opened = table::Table::open(path, file, columns).and_then(|table| {
            let names = table.names.as_ref().map_or_else(String::new, |(_, names)| format!(" of {}", names.join(", ")));
            check_width(path, (table.rows, table.cols), width, &format!("; --columns picks some{names}"))?;
            Ok(table)
        });
        let mut table = opened.or_else(first_of_names)?;
        let (shape, remarks) = ((table.rows, width.unwrap_or(table.cols)), std::mem::take(&mut table.remarks));
        Ok(Self::new(path, shape, Source::Table(table), remarks))
    }

    fn new(path: &Path, (rows, cols): (usize, usize), source: Source, remarks: Vec<String>) -> Self {
        Self {
            path: path.into(),
            rows,
            cols,
            first: 0,
            end: rows,
            next: 0,
            source,
            remarks,
            rounded: false,
            each: None,
        }
    }

    /// Reads a whole matrix.
    pub fn matrix<F: Element>(path: &Path, width: Option<usize>) -> Result<(Array2<F>, Vec<String>), Failure> {
        let mut points = Self::open(path, width)?;
        Ok((points.read(points.rows)?, points.remarks()))
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

    /// The line of a text that is taken as names, and these.
    pub fn names(&self) -> Option<&(usize, Vec<String>)> {
        match &self.source {
            Source::Table(table) => table.names.as_ref(),
            Source::Binary(..) => None,
        }
    }

    /// What the user should know of what was read.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = self.remarks.clone();
        if self.rounded {
            remarks.push(format!(
                "{}: integers have more digits than the precision, and were rounded",
                self.path.display()
            ));
        }
        remarks
    }

    /// The next `n` points, or as many as are left.
    pub fn read<F: Element>(&mut self, n: usize) -> Result<Array2<F>, Failure> {
        let n = n.min(self.end - self.next);
        let mut out = Array2::zeros((n, self.cols));
        let fits = match &mut self.source {
            Source::Table(table) => table.read(&self.path, &mut out)?,
            Source::Binary(binary, picks) => {
                let read = binary.read(self.next, self.rows, picks.as_deref(), &mut self.rounded, &mut out);
                read.map_err(Failure::io(&self.path))?
            }
        };
        if !fits {
            let rows = format!("rows {} to {}", self.next, self.next + n);
            return Err(Failure::file(&self.path, format!("{rows}: a number is too large for {}", F::NAME)));
        }
        self.next += n;
        Ok(out)
    }
}

fn check_width(path: &Path, (rows, cols): (usize, usize), width: Option<usize>, hint: &str) -> Result<(), Failure> {
    match width.filter(|w| *w != cols && (rows, cols) != (0, 0)) {
        None => Ok(()),
        Some(width) => {
            let hint = if cols > width { hint } else { "" };
            let message = format!("has shape [{rows}, {cols}], expected {width} columns, one for each input{hint}");
            Err(Failure::file(path, message))
        }
    }
}

impl Binary {
    fn read<F: Element>(
        &mut self,
        first: usize,
        rows: usize,
        picks: Option<&[usize]>,
        rounded: &mut bool,
        out: &mut Array2<F>,
    ) -> std::io::Result<bool> {
        if self.column_major {
            let mut fits = true;
            let mut column = vec![F::zero(); out.nrows()];
            for j in 0..out.ncols() {
                let from = picks.map_or(j, |picks| picks[j]);
                fits &= self.run(from * rows + first, rounded, &mut column)?;
                out.column_mut(j).iter_mut().zip(&column).for_each(|(out, number)| *out = *number);
            }
            return Ok(fits);
        }
        let Some(picks) = picks else {
            let skip = first * out.ncols();
            return self.run(skip, rounded, out.as_slice_mut().expect("a fresh array is contiguous"));
        };
        let (cols, size) = (self.shape.get(1).copied().unwrap_or(1), self.stored.size);
        let bytes = self.bytes(first * cols, out.nrows() * cols)?;
        let mut fits = true;
        for (mut out, row) in out.rows_mut().into_iter().zip(bytes.chunks_exact((cols * size).max(1))) {
            for (out, pick) in out.iter_mut().zip(picks) {
                let number = &row[pick * size..][..size];
                *rounded |= self.stored.rounds::<F>(number);
                fits &= self.stored.decode(number, std::slice::from_mut(out));
            }
        }
        Ok(fits)
    }

    /// The bytes of `n` numbers after the first `skip`.
    fn bytes(&mut self, skip: usize, n: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; n * self.stored.size];
        self.file.seek(SeekFrom::Start(self.offset + (skip * self.stored.size) as u64))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads numbers that stand together, after the first `skip`.
    fn run<F: Element>(&mut self, skip: usize, rounded: &mut bool, out: &mut [F]) -> std::io::Result<bool> {
        let bytes = self.bytes(skip, out.len())?;
        *rounded |= self.stored.rounds::<F>(&bytes);
        Ok(self.stored.decode(&bytes, out))
    }
}

/// The bytes of numbers of this shape, which must be addressable.
pub fn bytes_of(path: &Path, shape: &[usize], size: usize) -> Result<u64, Failure> {
    let product = |n: usize, len: &usize| n.checked_mul(*len).filter(|n| isize::try_from(*n).is_ok());
    // no array may have such axes, even if one of them is empty
    let addressed = shape.iter().filter(|len| **len > 0).try_fold(1, product);
    let numbers = addressed.and_then(|_| shape.iter().try_fold(1, product));
    let bytes = numbers.and_then(|n| n.checked_mul(size));
    let message = || format!("has shape {shape:?}, more numbers than can be addressed");
    bytes.map(|n| n as u64).ok_or_else(|| Failure::file(path, message()))
}

/// Checks that the numbers announced by a header are there: `offset` bytes, then those of `shape`.
fn check_length(path: &Path, file: &File, offset: u64, shape: &[usize], size: usize) -> Result<(), Failure> {
    let end = bytes_of(path, shape, size)?.saturating_add(offset);
    let length = file.metadata().map_err(Failure::io(path))?.len();
    if end <= length {
        return Ok(());
    }
    Err(Failure::file(path, format!("is {length} bytes long, expected {end} for shape {shape:?}")))
}
