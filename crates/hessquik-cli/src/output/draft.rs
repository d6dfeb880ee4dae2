//! A file on its way: written beside its place, seen only when complete.
use super::{parent, temporary};
use crate::failure::Failure;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is not in its place yet; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// An empty draft of the file at `path`, whose name must end in `ending`.
    pub fn create(path: &Path, ending: &str) -> Result<Self, Failure> {
        let shown = path.display();
        if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending)) {
            return Err(Failure::Usage(format!("output {shown}: expected a name that ends in .{ending}")));
        }
        if path.is_dir() {
            return Err(Failure::Usage(format!("output {shown} is a folder, expected a file name")));
        }
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.into()); // a link stays, and what it names is new
        let file = temporary(parent(&path)).map_err(Failure::io(&path))?;
        Ok(Self { file, path })
    }

    /// Writes the whole content.
    pub fn fill(&mut self, content: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.file.write_all(content.as_ref()).map_err(Failure::io(&self.path))
    }

    /// Moves the file to its place, over what was there.
    pub fn finish(self) -> Result<(), Failure> {
        self.file.persist(&self.path).map(|_| ()).map_err(|e| Failure::io(&self.path)(e.error))
    }
}
