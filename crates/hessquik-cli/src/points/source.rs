//! Where numbers come from: files, standard input, FIFOs; and what kind of file they are.
use crate::failure::Failure;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// One array of numpy's.
    Npy,
    /// Arrays of numpy's by name.
    Npz,
    /// Text, one point in each line.
    Csv,
    /// Tensors by name.
    Safetensors,
}

/// What is wanted of a file of points, for messages.
pub const WANTED: &str = "expected .npy, .csv or .safetensors (.npz, .tsv and .txt are read, too)";

/// A file that can be read from any place, and its kind.
#[derive(Debug)]
pub struct Opened {
    /// The file itself, or a temporary one with what came through a pipe.
    pub file: File,
    /// As the user, the name or the first bytes say.
    pub format: Format,
}

/// Opens the file at `path`; `-` is standard input. What comes through a pipe or FIFO is kept in a temporary file, for its
/// kind and its length are needed first. `asked` goes before the ending of the name.
pub fn open(path: &Path, asked: Option<Format>) -> Result<Opened, Failure> {
    let name = path.to_string_lossy().to_lowercase();
    let compressed = ["gz", "bz2", "xz", "zst"].into_iter().find(|end| name.ends_with(&format!(".{end}")));
    if let Some(end) = compressed {
        return Err(packed(path, &format!("its name ends in .{end}")));
    }
    let (mut file, piped) = take(path)?;
    let mut start = Vec::new();
    (&mut file).take(8).read_to_end(&mut start).map_err(Failure::io(path))?;
    file.rewind().map_err(Failure::io(path))?;
    if start.starts_with(b"\x1f\x8b") {
        return Err(packed(path, "it is compressed by gzip"));
    }
    let format = asked.or_else(|| of_ending(path)).or_else(|| piped.then(|| of_start(&start)));
    let unknown = || Failure::file(path, format!("unknown kind of file, {WANTED}; --input-format says which it is"));
    Ok(Opened { file, format: format.ok_or_else(unknown)? })
}

fn packed(path: &Path, why: &str) -> Failure {
    let message = "compressed files are not read: decompress it first, for example with gunzip, or pipe it: gunzip -c FILE | \
                   hessquik eval MODEL -i -";
    Failure::file(path, format!("{why}; {message}"))
}

/// All bytes of the file at `path`, or of standard input if that is `-`.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.is_dir() {
        return Err(Failure::file(path, "is a folder, expected a file"));
    }
    let mut bytes = Vec::new();
    if is_stdin(path) {
        stdin()?.read_to_end(&mut bytes).map_err(Failure::io(Path::new("standard input")))?;
    } else {
        bytes = fs::read(path).map_err(Failure::io(path))?;
    }
    Ok(bytes)
}

/// Whether this name stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Refuses standard input under two names.
pub fn once(paths: &[&Path]) -> Result<(), Failure> {
    match paths.iter().filter(|path| is_stdin(path)).count() {
        0 | 1 => Ok(()),
        n => Err(Failure::Usage(format!("standard input (-) can be read once, and is named {n} times"))),
    }
}

fn stdin() -> Result<io::StdinLock<'static>, Failure> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(Failure::Usage("standard input (-) can be read once, and is named twice".into()));
    }
    Ok(io::stdin().lock())
}

/// The file, and whether it came through a pipe.
fn take(path: &Path) -> Result<(File, bool), Failure> {
    if is_stdin(path) {
        let kept = keep(&mut stdin()?);
        return kept.map(|file| (file, true)).map_err(Failure::io(Path::new("standard input")));
    }
    let mut file = File::open(path).map_err(Failure::io(path))?;
    let found = file.metadata().map_err(Failure::io(path))?;
    if found.is_dir() {
        return Err(Failure::file(path, format!("is a folder, {WANTED}")));
    }
    if found.is_file() {
        return Ok((file, false));
    }
    keep(&mut file).map(|file| (file, true)).map_err(Failure::io(path))
}

/// A temporary file, which no name leads to, with all that comes.
pub fn keep(from: &mut impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(from, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// The kind that the ending of a name says.
fn of_ending(path: &Path) -> Option<Format> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    Some(match ending.as_str() {
        "npy" => Format::Npy,
        "npz" => Format::Npz,
        "csv" | "tsv" | "txt" => Format::Csv,
        "safetensors" => Format::Safetensors,
        _ => return None,
    })
}

/// The kind that the first bytes say, where there is no name.
fn of_start(start: &[u8]) -> Format {
    match start {
        _ if start.starts_with(b"\x93NUMPY") => Format::Npy,
        _ if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") => Format::Npz,
        // the length of a header, which is below 2^27
        [_, _, _, 0..8, 0, 0, 0, 0] => Format::Safetensors,
        _ => Format::Csv,
    }
}
