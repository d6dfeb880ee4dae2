//! Points as text: one per line, separated by commas, semicolons, tabs or spaces, with an optional line of names.
use crate::element::Element;
use crate::failure::Failure;
use ndarray::Array2;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

/// A text file that was checked from its first to its last line, and is now read again.
#[derive(Debug)]
pub struct Table {
    pub rows: usize,
    pub cols: usize,
    lines: Lines,
}

impl Table {
    /// Checks every line and counts them.
    pub fn open(path: &Path, file: File) -> Result<Self, Failure> {
        let mut lines =
            Lines { reader: BufReader::with_capacity(1 << 16, file), text: String::new(), number: 0, separator: None };
        let (mut rows, mut cols, mut start) = (0, None, (0, 0));
        let mut row = Vec::new();
        while lines.next(path)? {
            if cols.is_none() {
                cols = Some(lines.fields().count());
                if lines.fields().all(|f| f.parse::<f64>().is_err()) {
                    start = (lines.reader.stream_position().map_err(Failure::io(path))?, lines.number); // names
                    continue;
                }
            }
            lines.parse(path, cols, &mut row)?;
            rows += 1;
        }
        lines.reader.seek(std::io::SeekFrom::Start(start.0)).map_err(Failure::io(path))?;
        lines.number = start.1;
        Ok(Self { rows, cols: cols.unwrap_or(0), lines })
    }

    /// Fills `out` with the next rows; `false` if a finite number is too large for `F`.
    pub fn read<F: Element>(&mut self, path: &Path, out: &mut Array2<F>) -> Result<bool, Failure> {
        let mut row = Vec::new();
        let mut fits = true;
        for mut out in out.rows_mut() {
            if !self.lines.next(path)? {
                return Err(Failure::file(path, "was changed while it was read"));
            }
            self.lines.parse(path, Some(self.cols), &mut row)?;
            for (out, number) in out.iter_mut().zip(&row) {
                *out = F::of(*number);
                fits &= out.is_finite() || !number.is_finite();
            }
        }
        Ok(fits)
    }
}

/// The lines of a file that hold something, one at a time.
#[derive(Debug)]
struct Lines {
    reader: BufReader<File>,
    text: String,
    number: usize,
    /// What separates fields: a comma, semicolon or tab if the first line has one, else spaces.
    separator: Option<char>,
}

impl Lines {
    /// Goes to the next line that is neither blank nor a comment; `false` at the end of the file.
    fn next(&mut self, path: &Path) -> Result<bool, Failure> {
        loop {
            self.text.clear();
            self.number += 1;
            let wrong = |e| Failure::file(path, format!("line {}: {e}", self.number));
            if self.reader.read_line(&mut self.text).map_err(wrong)? == 0 {
                return Ok(false);
            }
            let line = self.line();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if self.separator.is_none() {
                self.separator = [';', ',', '\t'].into_iter().find(|s| line.contains(*s)).or(Some(' '));
            }
            return Ok(true);
        }
    }

    /// The line without a mark of byte order, which some programs put first, and without spaces around it.
    fn line(&self) -> &str {
        self.text.trim_start_matches('\u{feff}').trim_matches([' ', '\r', '\n'])
    }

    /// The fields of the line; several spaces are one separator.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let separator = self.separator.unwrap_or(' ');
        let fields = self.line().split(separator).filter(move |f| separator != ' ' || !f.is_empty());
        fields.map(|f| f.trim().trim_matches('"'))
    }

    fn parse(&self, path: &Path, cols: Option<usize>, row: &mut Vec<f64>) -> Result<(), Failure> {
        let line = self.number;
        row.clear();
        for (column, field) in self.fields().enumerate() {
            let wrong = |what| Failure::file(path, format!("line {line}, column {}: {field:?} {what}", column + 1));
            let number: f64 = field.parse().map_err(|_| wrong("is not a number"))?;
            if number.is_infinite() && field.contains(|c: char| c.is_ascii_digit()) {
                return Err(wrong("is too large for f64"));
            }
            row.push(number);
        }
        match cols {
            Some(cols) if cols != row.len() => {
                let message = format!("line {line} has {} columns, expected {cols} as in the first line", row.len());
                Err(Failure::file(path, message))
            }
            _ => Ok(()),
        }
    }
}
