//! A small file on its way: written beside its place, seen only when complete.
use super::owner::Owner;
use super::stream::Stream;
use crate::failure::Failure;
use crate::interrupt;
use hessquik::WholeFile;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that is not in its place yet; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(WholeFile),
    Stream(Stream, Vec<u8>),
}

impl Draft {
    /// An empty draft of the file at `path`, whose name must end in one of `endings`, if there are any; `-`, FIFOs and
    /// devices are written into.
    pub fn create(path: &Path, endings: &[&str], owner: &Owner) -> Result<Self, Failure> {
        let place = match Stream::of(path)? {
            Some(stream) => Place::Stream(stream, Vec::new()),
            None => {
                let shown = path.display();
                let ends = |ending: &&str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
                if !endings.is_empty() && !endings.iter().any(ends) {
                    let wanted = endings.join(" or .");
                    return Err(Failure::Usage(format!("output {shown}: expected a name that ends in .{wanted}")));
                }
                if path.is_dir() {
                    return Err(Failure::Usage(format!("output {shown} is a folder, expected a file name")));
                }
                owner.check_file(path)?;
                let file = WholeFile::create(path)?;
                interrupt::temporary(file.temporary());
                Place::File(file)
            }
        };
        Ok(Self { path: path.into(), place })
    }

    /// Whether it goes to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(&self.place, Place::Stream(Stream::Stdout, _))
    }

    /// Writes the whole content.
    pub fn fill(&mut self, content: impl AsRef<[u8]>) -> Result<(), Failure> {
        match &mut self.place {
            Place::File(file) => file.as_file().write_all(content.as_ref()).map_err(Failure::io(&self.path)),
            Place::Stream(_, bytes) => {
                bytes.extend_from_slice(content.as_ref());
                Ok(())
            }
        }
    }

    /// Moves the file to its place, over what was there.
    pub fn finish(self) -> Result<(), Failure> {
        match self.place {
            Place::File(file) => Ok(file.finish()?),
            Place::Stream(stream, bytes) => stream.send_bytes(&bytes),
        }
    }
}
