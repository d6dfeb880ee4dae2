//! Points as text: one in each line, separated by commas, semicolons, tabs or spaces, with an optional line of names.
use super::fields;
use super::lines::Lines;
use crate::element::Element;
use crate::failure::Failure;
use hessquik::did_you_mean;
use ndarray::Array2;
use std::fs::File;
use std::path::Path;

/// A text file that was checked from its first to its last line, and is now read again.
#[derive(Debug)]
pub struct Table {
    pub rows: usize,
    /// Columns that are read.
    pub cols: usize,
    /// The line of names, and the names of all columns.
    pub names: Option<(usize, Vec<String>)>,
    /// What the user should know.
    pub remarks: Vec<String>,
    lines: Lines,
    reader: Reader,
}

/// How fields become numbers.
#[derive(Debug, Default)]
struct Reader {
    /// Columns of the file.
    all: Option<usize>,
    /// Those that are read, in this order; all of them if there are none.
    picks: Option<Vec<usize>>,
    /// The sign before fractions, and the line where it was seen first.
    sign: Option<(char, usize)>,
}

impl Table {
    /// Checks every line and counts them. `columns` are the names or numbers of those that are read.
    pub fn open(path: &Path, file: File, columns: Option<&[String]>) -> Result<Self, Failure> {
        let mut lines = Lines::new(file);
        let mut reader = Reader::default();
        let (mut rows, mut start, mut names, mut row) = (0, lines.position(path)?, None, Vec::new());
        let mut counting = None;
        while lines.next(path)? {
            if reader.all.is_none() {
                let first = lines.texts(path)?;
                reader.all = Some(first.len());
                reader.picks = columns.map(|columns| pick(path, &first, columns)).transpose()?;
                if is_names(&first, reader.picks.as_deref(), columns) {
                    start = lines.position(path)?;
                    names = Some((lines.number(), first));
                    continue;
                }
                counting = counts(&first);
            } else if counting.is_some() && rows == 1 && lines.texts(path)?.iter().all(|f| is_whole(f)) {
                counting = counting.filter(|from_zero| *from_zero && reader.all > Some(1));
            }
            reader.parse(path, &lines, &mut row)?;
            lines.is_row();
            rows += 1;
        }
        let remarks = remarks(path, names.as_ref(), counting.is_some() && rows > 1);
        lines.back_to(path, start)?;
        let cols = reader.picks.as_ref().map_or(reader.all.unwrap_or(0), Vec::len);
        Ok(Self { rows, cols, names, remarks, lines, reader })
    }

    /// Fills `out` with the next rows; `false` if a finite number is too large for `F`.
    pub fn read<F: Element>(&mut self, path: &Path, out: &mut Array2<F>) -> Result<bool, Failure> {
        let mut row = Vec::new();
        let mut fits = true;
        for mut out in out.rows_mut() {
            if !self.lines.next(path)? {
                return Err(Failure::file(path, "was changed while it was read"));
            }
            self.reader.parse(path, &self.lines, &mut row)?;
            self.lines.is_row();
            for (out, number) in out.iter_mut().zip(&row) {
                *out = F::of(*number);
                fits &= out.is_finite() || !number.is_finite();
            }
        }
        Ok(fits)
    }
}

impl Reader {
    /// Reads the numbers of a line.
    fn parse(&mut self, path: &Path, lines: &Lines, row: &mut Vec<f64>) -> Result<(), Failure> {
        let line = lines.number();
        let comma = lines.takes_decimal_commas();
        row.clear();
        row.resize(self.picks.as_ref().map_or(0, Vec::len), 0.0);
        let Self { all, picks, sign } = self;
        let found = lines.each(path, &mut |column, field| {
            let wrong =
                |what: &str| Failure::file(path, format!("line {line}, column {}: {field:?} {what}", column + 1));
            let places =
                picks.iter().flatten().enumerate().filter(|(_, pick)| **pick == column).map(|(place, _)| place);
            let mut places = places.peekable();
            if picks.is_some() && places.peek().is_none() {
                return Ok(()); // a column that is not read may hold anything
            }
            let number = fields::number(field, comma).map_err(&wrong)?;
            if comma && let Some(found) = fields::decimal_sign(field) {
                let (first, at) = *sign.get_or_insert((found, line));
                if first != found {
                    let message =
                        format!("has {found:?} before its fraction, line {at} has {first:?}: which one is meant?");
                    return Err(wrong(&message));
                }
            }
            places.for_each(|place| row[place] = number);
            if picks.is_none() {
                row.push(number);
            }
            Ok(())
        })?;
        match *all {
            Some(wanted) if wanted != found => {
                let message = format!("line {line} has {found} columns, expected {wanted} as in the first line");
                Err(Failure::file(path, message))
            }
            _ => Ok(()),
        }
    }
}

/// The names in the first line of a text; none if it has no names.
#[cfg(feature = "train")]
pub fn names(path: &Path, file: File) -> Result<Vec<String>, Failure> {
    let mut lines = Lines::new(file);
    let first = if lines.next(path)? { lines.texts(path)? } else { Vec::new() };
    Ok(if is_names(&first, None, None) { first } else { Vec::new() })
}

/// The columns that are meant, by name or by number from 0.
pub fn pick(path: &Path, first: &[String], columns: &[String]) -> Result<Vec<usize>, Failure> {
    let one = |column: &String| {
        let named: Vec<_> = first.iter().enumerate().filter(|(_, name)| *name == column).map(|(i, _)| i).collect();
        match (&named[..], column.parse::<usize>()) {
            ([_, _, ..], Err(_)) => Err(format!("column {column} appears {} times; use its number", named.len())),
            ([i], Err(_)) => Ok(*i),
            (_, Ok(i)) if i < first.len() => Ok(i),
            (_, Ok(i)) => Err(format!("there is no column {i}; {} columns are counted from 0", first.len())),
            ([], Err(_)) if first.iter().any(|name| fields::is_name(name)) => {
                let meant = did_you_mean(column, first.iter().map(String::as_str));
                Err(format!("there is no column {column}; there are {}{meant}", first.join(", ")))
            }
            ([], Err(_)) => {
                Err(format!("there is no column {column}: the first line has no names; use column numbers, from 0"))
            }
        }
    };
    let picks: Result<Vec<_>, _> = columns.iter().map(one).collect();
    picks.map_err(|message| Failure::file(path, message))
}

/// Whether the first line has names: all fields look like names (some may be empty), or those that are read, or columns were
/// asked for by these names.
fn is_names(first: &[String], picks: Option<&[usize]>, columns: Option<&[String]>) -> bool {
    let by_name = |columns: &[String]| columns.iter().any(|c| c.parse::<usize>().is_err() && first.contains(c));
    if columns.is_some_and(by_name) {
        return true;
    }
    let looks = |fields: &mut dyn Iterator<Item = &String>| {
        let (mut named, mut all) = (false, true);
        fields.for_each(|field| {
            named |= fields::is_name(field);
            all &= field.is_empty() || fields::is_name(field);
        });
        named && all
    };
    match picks {
        Some(picks) => looks(&mut picks.iter().map(|i| &first[*i])),
        None => looks(&mut first.iter()),
    }
}

/// Whether the fields count the columns, from 0 (`Some(true)`) or from 1, as a line of names without names does.
fn counts(first: &[String]) -> Option<bool> {
    let from = |start: usize| first.iter().enumerate().all(|(i, field)| *field == (i + start).to_string());
    if from(0) { Some(true) } else { (first.len() > 1 && from(1)).then_some(false) }
}

fn is_whole(field: &str) -> bool {
    field.parse::<i64>().is_ok()
}

fn remarks(path: &Path, names: Option<&(usize, Vec<String>)>, counting: bool) -> Vec<String> {
    let path = path.display();
    let mut remarks = Vec::new();
    if let Some((line, names)) = names {
        remarks.push(format!("{path}: line {line} is taken as names of columns: {}", names.join(", ")));
    }
    if counting {
        remarks.push(format!(
            "{path}: the first line counts 0, 1, ... as a line of column numbers does, and is taken as a point; remove it if \
             it is none"
        ));
    }
    remarks
}
