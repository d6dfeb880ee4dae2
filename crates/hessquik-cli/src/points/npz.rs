//! Arrays of a `.npz` file: a zip archive of `.npy` files.
use super::npy::{self, Header};
use super::{Binary, source};
use crate::failure::Failure;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;
use zip::result::ZipError;

/// An archive whose names are known.
pub struct Archive {
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens the archive.
    pub fn open(path: &Path, file: File) -> Result<Self, Failure> {
        let wrong = |e: ZipError| Failure::file(path, format!("is not a npz file: {e}"));
        Ok(Self { zip: ZipArchive::new(BufReader::new(file)).map_err(wrong)? })
    }

    /// The names of the arrays.
    pub fn names(&self) -> Vec<String> {
        self.zip.file_names().flatten().filter_map(|name| Some(name.strip_suffix(".npy")?.to_string())).collect()
    }

    /// The header of an array, and its numbers to be read behind it; `None` if there is none of this name.
    pub fn array<T>(
        &mut self,
        path: &Path,
        name: &str,
        take: impl FnOnce(Header, &mut dyn Read) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let mut entry = match self.zip.by_name(&format!("{name}.npy")) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(e) => return Err(Failure::file(path, format!("{name}: {e}"))),
        };
        let header = npy::header(path, &mut entry)?;
        take(header, &mut entry).map(Some)
    }
}

/// The array `x`, or the only one, kept in a temporary file, with its name.
pub fn open(path: &Path, file: File) -> Result<(Binary, String), Failure> {
    let mut archive = Archive::open(path, file)?;
    let names = archive.names();
    let name = match &names[..] {
        [one] => one.clone(),
        _ => "x".to_string(),
    };
    let found = archive.array(path, &name, |header, numbers| {
        let wanted = super::bytes_of(path, &header.shape, header.stored.size)?;
        let wrong = |e| Failure::file(path, format!("{name}: {e}"));
        let file = source::keep(&mut numbers.take(wanted)).map_err(wrong)?;
        let Header { shape, stored, column_major, .. } = header;
        super::check_length(path, &file, 0, &shape, stored.size)?;
        Ok(Binary { file, shape, stored, offset: 0, column_major })
    })?;
    let missing = || Failure::file(path, format!("has no array named x; it has {}", names.join(", ")));
    Ok((found.ok_or_else(missing)?, name))
}
