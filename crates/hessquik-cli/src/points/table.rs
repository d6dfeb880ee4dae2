//! Points as text: one per line, separated by commas, semicolons, tabs or spaces, with an optional line of names.
use crate::element::Element;
use crate::failure::Failure;
use csv::{Reader, ReaderBuilder, StringRecord, Trim};
use ndarray::Array2;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

/// A text file that was checked from its first to its last line, and is now read again.
pub struct Table {
    pub rows: usize,
    pub cols: usize,
    spaces: bool,
    reader: Reader<File>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} x {})", self.rows, self.cols)
    }
}

impl Table {
    /// Checks every line and counts them.
    pub fn open(path: &Path, mut file: File) -> Result<Self, Failure> {
        let delimiter = delimiter(&file).map_err(Failure::io(path))?;
        let spaces = delimiter == b' ';
        file.rewind().map_err(Failure::io(path))?;
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter).comment(Some(b'#')).trim(Trim::All).flexible(true).has_headers(false);
        let mut reader = builder.from_reader(file);
        let (mut rows, mut cols, mut start) = (0, 0, reader.position().clone());
        let mut record = StringRecord::new();
        let mut row = Vec::new();
        while next(path, &mut reader, &mut record)? {
            if rows == 0 && cols == 0 {
                cols = fields(&record, spaces).count();
                if fields(&record, spaces).all(|f| f.parse::<f64>().is_err()) {
                    start = reader.position().clone(); // a line of names
                    continue;
                }
            }
            parse(path, &record, spaces, cols, &mut row)?;
            rows += 1;
        }
        reader.seek(start).map_err(|e| broken(path, &e))?;
        Ok(Self { rows, cols, spaces, reader })
    }

    /// Fills `out` with the next rows; `false` if a finite number is too large for `F`.
    pub fn read<F: Element>(&mut self, path: &Path, out: &mut Array2<F>) -> Result<bool, Failure> {
        let mut record = StringRecord::new();
        let mut row = Vec::new();
        let mut fits = true;
        for mut out in out.rows_mut() {
            if !next(path, &mut self.reader, &mut record)? {
                return Err(Failure::file(path, "was changed while it was read"));
            }
            parse(path, &record, self.spaces, self.cols, &mut row)?;
            for (out, number) in out.iter_mut().zip(&row) {
                *out = F::of(*number);
                fits &= out.is_finite() || !number.is_finite();
            }
        }
        Ok(fits)
    }
}

/// The separator that the first line of the file uses.
fn delimiter(file: &File) -> std::io::Result<u8> {
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        return Ok(*b";,\t".iter().find(|d| line.contains(d)).unwrap_or(&b' '));
    }
    Ok(b',')
}

fn broken(path: &Path, error: &csv::Error) -> Failure {
    Failure::file(path, format!("cannot be read as text: {error}"))
}

/// Reads the next line that is not blank; `false` at the end of the file.
fn next(path: &Path, reader: &mut Reader<File>, record: &mut StringRecord) -> Result<bool, Failure> {
    while reader.read_record(record).map_err(|e| broken(path, &e))? {
        if record.len() > 1 || record.iter().any(|f| !f.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The fields of a line; several spaces are one separator.
fn fields(record: &StringRecord, spaces: bool) -> impl Iterator<Item = &str> {
    record.iter().filter(move |f| !spaces || !f.is_empty())
}

fn parse(path: &Path, record: &StringRecord, spaces: bool, cols: usize, row: &mut Vec<f64>) -> Result<(), Failure> {
    let line = record.position().map_or(0, csv::Position::line);
    row.clear();
    for (column, field) in fields(record, spaces).enumerate() {
        row.push(field.parse().map_err(|_| {
            Failure::file(path, format!("line {line}, column {}: {field:?} is not a number", column + 1))
        })?);
    }
    if row.len() != cols {
        let message = format!("line {line} has {} columns, expected {cols} as in the first line", row.len());
        return Err(Failure::file(path, message));
    }
    Ok(())
}
