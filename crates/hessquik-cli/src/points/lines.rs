//! The lines of a text that hold something, and their fields.
use super::fields;
use crate::failure::Failure;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// No line may be longer: a file without line ends is no text, and must not fill the memory.
const LONGEST: u64 = 1 << 24;

/// The lines of a file that are neither blank nor comments, one at a time.
#[derive(Debug)]
pub struct Lines {
    reader: BufReader<File>,
    text: String,
    number: usize,
    /// Whether there was a row of numbers.
    started: bool,
    /// What separates fields: a semicolon, tab or comma if the first line has one, else spaces.
    separator: Option<char>,
}

impl Lines {
    /// Before the first line.
    pub fn new(file: File) -> Self {
        let reader = BufReader::with_capacity(1 << 16, file);
        Self { reader, text: String::new(), number: 0, started: false, separator: None }
    }

    /// The number of the line, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// A place to go back to: where the next line starts, and the number of this one.
    pub fn position(&mut self, path: &Path) -> Result<(u64, usize), Failure> {
        Ok((self.reader.stream_position().map_err(Failure::io(path))?, self.number))
    }

    /// Goes back to a place.
    pub fn back_to(&mut self, path: &Path, (start, number): (u64, usize)) -> Result<(), Failure> {
        self.reader.seek(SeekFrom::Start(start)).map_err(Failure::io(path))?;
        (self.number, self.started) = (number, false);
        Ok(())
    }

    /// Says that this line is a row of numbers.
    pub fn is_row(&mut self) {
        self.started = true;
    }

    /// Goes to the next line that is neither blank nor a comment; `false` at the end of the file.
    pub fn next(&mut self, path: &Path) -> Result<bool, Failure> {
        loop {
            if !self.read(path)? {
                return Ok(false);
            }
            let line = self.line();
            if line.is_empty() || line.starts_with('#') && self.is_comment(path)? {
                continue;
            }
            if self.separator.is_none() {
                let outside = line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
                self.separator = [';', '\t', ','].into_iter().find(|s| outside.contains(*s)).or(Some(' '));
            }
            return Ok(true);
        }
    }

    /// Reads one line; `false` at the end of the file.
    fn read(&mut self, path: &Path) -> Result<bool, Failure> {
        self.number += 1;
        let number = self.number;
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.clear();
        let mut limited = (&mut self.reader).take(LONGEST + 1);
        limited.read_until(b'\n', &mut bytes).map_err(Failure::io(path))?;
        let wrong = |message: &str| Failure::file(path, format!("line {number} {message}"));
        if bytes.len() as u64 > LONGEST {
            return Err(wrong("is longer than 16 MiB: is this a text with one point in each line?"));
        }
        if number == 1 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
            return Err(wrong("starts as UTF-16 does; save the file as UTF-8"));
        }
        self.text = String::from_utf8(bytes).map_err(|_| wrong("is not valid UTF-8, so the file is not text"))?;
        if self.text.trim_end_matches(['\r', '\n']).contains('\r') {
            return Err(wrong("has a carriage return in its middle; save the file with line ends of Unix or Windows"));
        }
        Ok(!self.text.is_empty())
    }

    /// Whether a line that begins with `#` is a comment: it is before the first row of numbers, and later where a blank or
    /// letter follows and there are no other columns. A row whose first field is `#N/A` is none.
    fn is_comment(&self, path: &Path) -> Result<bool, Failure> {
        let (line, number) = (self.line(), self.number);
        let first = line.split([',', ';', '\t']).next().unwrap_or_default().trim();
        let word = first.split(' ').next().unwrap_or_default();
        // a line of signs is an ornament, but in the middle of a single column a number that did not fit its cell
        let single = self.started && self.separator == Some(' ');
        let only_signs = first == line && line.chars().all(|c| c == '#') && !(single && line.len() > 1);
        if !only_signs && (fields::is_error(first) || fields::is_error(word)) {
            let message =
                format!("line {number}, column 1: {first:?} is a missing value; remove the row, or fill it in");
            return Err(Failure::file(path, message));
        }
        let Some(separator) = self.separator.filter(|_| self.started) else { return Ok(true) };
        let after = line[1..].chars().next();
        let separated = match separator {
            ' ' => after != Some(' ') && line.contains([' ', '\t']),
            other => line.contains(other),
        };
        if !separated && after.is_none_or(|c| c.is_whitespace() || c.is_alphabetic() || c == '#') {
            return Ok(true);
        }
        let message = format!(
            "line {number} begins with # and could be a row of data or a comment; put comments before the first row, or \
             without {separator:?} after \"# \""
        );
        Err(Failure::file(path, message))
    }

    /// The line without a mark of byte order, which some programs put first, and without spaces around it.
    fn line(&self) -> &str {
        self.text.trim_start_matches('\u{feff}').trim_matches([' ', '\r', '\n'])
    }

    /// Whether `0,5` is a half: where commas do not separate columns.
    pub fn takes_decimal_commas(&self) -> bool {
        matches!(self.separator, Some(';' | '\t'))
    }

    /// The fields of the line.
    pub fn texts(&self, path: &Path) -> Result<Vec<String>, Failure> {
        let mut texts = Vec::new();
        self.each(path, &mut |_, field| {
            texts.push(field.to_string());
            Ok(())
        })?;
        Ok(texts)
    }

    /// Calls `visit` with the number and the text of each field, and returns how many there are. Several spaces are one
    /// separator.
    pub fn each(
        &self,
        path: &Path,
        visit: &mut dyn FnMut(usize, &str) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let separator = self.separator.unwrap_or(' ');
        let line = self.line();
        let mut count = 0;
        let mut one = |field: &str| {
            if separator == ' ' && field.is_empty() {
                return Ok(());
            }
            count += 1;
            visit(count - 1, field.trim())
        };
        if !line.contains('"') {
            line.split(separator).try_for_each(&mut one)?;
            return Ok(count);
        }
        let wrong = |message: &str| Failure::file(path, format!("line {}: {message}", self.number));
        let plain = unspaced(line, separator).map_err(wrong)?;
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader.has_headers(false).delimiter(separator as u8).from_reader(plain.as_bytes());
        for record in reader.into_records() {
            let record = record.map_err(|e| wrong(&e.to_string()))?;
            record.iter().try_for_each(&mut one)?;
        }
        Ok(count)
    }
}

/// The line without spaces around its fields, where quotes are to be found by [`csv`]. A quoted field is quoted as a whole.
fn unspaced(line: &str, separator: char) -> Result<String, &'static str> {
    let (mut plain, mut field, mut quoted, mut closed) = (String::new(), String::new(), false, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if quoted {
            field.push(c);
            if c == '"' {
                if chars.peek() == Some(&'"') {
                    field.extend(chars.next());
                } else {
                    (quoted, closed) = (false, true);
                }
            }
        } else if c == separator {
            plain += field.trim();
            plain.push(c);
            field.clear();
            closed = false;
        } else if c == '"' {
            if !field.trim().is_empty() {
                return Err("a quote in the middle of a field");
            }
            field = "\"".into();
            quoted = true;
        } else if closed && !c.is_whitespace() {
            return Err("a quoted field goes on after its closing quote");
        } else {
            field.push(c);
        }
    }
    if quoted {
        return Err("a quote is not closed on this line");
    }
    plain += field.trim();
    Ok(plain)
}
