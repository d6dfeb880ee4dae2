//! Outputs that are no files: standard output, FIFOs, character devices.
use crate::failure::Failure;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

/// Where bytes go that stay nowhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Stream {
    /// `-`.
    Stdout,
    /// A FIFO or device, which is written into and never replaced.
    Special(PathBuf),
}

impl Stream {
    /// What this name stands for, if it is no file, no folder, and no new name.
    pub fn of(path: &Path) -> Result<Option<Self>, Failure> {
        if path.as_os_str() == "-" || is_descriptor(path, "1") || path == Path::new("/dev/stdout") {
            return Ok(Some(Self::Stdout));
        }
        let Ok(found) = fs::metadata(path) else { return Ok(None) };
        if is_open(path) {
            return Ok(Some(Self::Special(path.into()))); // a file that a shell has opened for us
        }
        if found.is_file() || found.is_dir() {
            return Ok(None);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            let kind = found.file_type();
            if kind.is_fifo() || kind.is_char_device() {
                return Ok(Some(Self::Special(path.into())));
            }
        }
        let shown = path.display();
        Err(Failure::Usage(format!("output {shown} is a disk or socket, expected a file, folder, FIFO or -")))
    }

    /// Writes all of a file.
    pub fn send(&self, kept: &mut File) -> Result<(), Failure> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                let sent = kept.rewind().and_then(|()| io::copy(kept, &mut out)).and_then(|_| out.flush());
                // a reader that has gone away is no error, as for all that is printed
                let sent = sent.or_else(|e| if e.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(e) });
                sent.map_err(Failure::io(Path::new("standard output")))
            }
            Self::Special(path) => {
                let opened = OpenOptions::new().write(true).open(path);
                let sent = opened.and_then(|mut out| {
                    kept.rewind()?;
                    io::copy(kept, &mut out)
                });
                sent.map(drop).map_err(Failure::io(path))
            }
        }
    }

    /// Writes these bytes.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let kept = tempfile::tempfile().and_then(|mut file| file.write_all(bytes).map(|()| file));
        self.send(&mut kept.map_err(Failure::io(Path::new("a temporary file")))?)
    }
}

/// Whether the name is that of an open file, `/dev/fd/N` or `/proc/self/fd/N`.
fn is_open(path: &Path) -> bool {
    ["/dev/fd", "/proc/self/fd"].iter().any(|folder| path.parent() == Some(Path::new(folder)))
        || path == Path::new("/dev/stderr")
}

fn is_descriptor(path: &Path, number: &str) -> bool {
    is_open(path) && path.file_name().is_some_and(|name| name == number)
}
