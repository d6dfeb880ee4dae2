//! The header of a `.npy` file, versions 1.0 to 3.0.
use super::{Binary, check_length};
use crate::element::{KNOWN, Stored};
use crate::failure::Failure;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const LONGEST_HEADER: u64 = 1 << 20;

/// What the header says of the numbers that follow it.
#[derive(Debug)]
pub struct Header {
    pub shape: Vec<usize>,
    pub stored: Stored,
    pub column_major: bool,
    /// Its length in bytes.
    pub length: u64,
}

/// Reads the header and checks that the file is long enough for its numbers.
pub fn open(path: &Path, file: File) -> Result<Binary, Failure> {
    let Header { shape, stored, column_major, length } = header(path, &mut BufReader::new(&file))?;
    check_length(path, &file, length, &shape, stored.size)?;
    Ok(Binary { file, shape, stored, offset: length, column_major })
}

/// Reads the header.
pub fn header(path: &Path, reader: &mut impl Read) -> Result<Header, Failure> {
    let cut = |_| Failure::file(path, "is not a npy file, or is cut off in its header");
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(cut)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err(Failure::file(path, "is not a npy file: it does not start with \\x93NUMPY"));
    }
    let length_bytes = match start[6] {
        1 => 2,
        2 | 3 => 4,
        version => {
            return Err(Failure::file(path, format!("is npy version {version}.{}, expected 1.0 to 3.0", start[7])));
        }
    };
    let mut length = [0; 4];
    reader.read_exact(&mut length[..length_bytes]).map_err(cut)?;
    let length = u64::from(u32::from_le_bytes(length));
    if length > LONGEST_HEADER {
        return Err(Failure::file(
            path,
            format!("its header is {length} bytes long, expected at most {LONGEST_HEADER}"),
        ));
    }
    let mut header = vec![0; length as usize];
    reader.read_exact(&mut header).map_err(cut)?;
    let header = String::from_utf8_lossy(&header);
    let wrong = |what: &str| Failure::file(path, format!("its npy header has no valid {what}: {}", header.trim()));
    let descr = entry(&header, "descr").ok_or_else(|| wrong("descr"))?;
    let shape = entry(&header, "shape").and_then(numbers).ok_or_else(|| wrong("shape"))?;
    let column_major = match entry(&header, "fortran_order") {
        Some(order) if order.starts_with("True") => true,
        Some(order) if order.starts_with("False") => false,
        _ => return Err(wrong("fortran_order")),
    };
    let stored = quoted(descr).and_then(Stored::from_npy).ok_or_else(|| {
        let found = quoted(descr).unwrap_or("a structured type");
        Failure::file(path, format!("holds numbers of type {found}, expected {KNOWN}"))
    })?;
    Ok(Header { shape, stored, column_major, length: 8 + length_bytes as u64 + length })
}

/// What follows `'key':` in the header, which is a Python dictionary.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let found = ['\'', '"'].iter().find_map(|q| header.split_once(&format!("{q}{key}{q}")))?;
    found.1.trim_start().strip_prefix(':').map(str::trim_start)
}

/// The text between the quotes at the start.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

/// The numbers of a tuple at the start: `(3, 2)`, `(3,)`, `()`.
fn numbers(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    inside.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.trim_end_matches('L').parse().ok()).collect()
}
