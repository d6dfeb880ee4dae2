//! Results on their way to a `.safetensors` file or a folder of `.npy` files: written in place, seen only when complete.
mod draft;
mod npy;
mod safetensors;

pub use draft::Draft;

use crate::element::{Element, little_endian};
use crate::failure::Failure;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile, TempDir};

/// A tensor in C order: its name and shape, which are known before its numbers are.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Tensor {
    /// What it is called in the file.
    pub name: String,
    /// Its shape; the first axis runs over points.
    pub shape: Vec<usize>,
}

impl Tensor {
    /// A tensor of this name and shape.
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.into() }
    }

    /// Number of bytes.
    fn bytes<F: Element>(&self) -> Option<u64> {
        let numbers = self.shape.iter().try_fold(1u64, |n, len| n.checked_mul(*len as u64))?;
        numbers.checked_mul(size_of::<F>() as u64)
    }
}

/// Where results go.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One `.safetensors` file.
    File(PathBuf),
    /// A folder with one `.npy` file for each tensor.
    Folder(PathBuf),
}

impl Target {
    /// What the name `path` stands for.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        let shown = path.display();
        if path.as_os_str().is_empty() {
            return Err(Failure::Usage("the output has no name".into()));
        }
        if ending == "safetensors" {
            if path.is_dir() {
                return Err(Failure::Usage(format!("output {shown} is a folder, expected a file name")));
            }
            return Ok(Self::File(fs::canonicalize(path).unwrap_or_else(|_| path.into())));
        }
        if ["npy", "npz", "csv", "tsv", "txt", "json", "h5", "pt"].contains(&ending.as_str()) {
            let wanted = "expected a name that ends in .safetensors, or a folder for .npy files";
            return Err(Failure::Usage(format!("output {shown}: {wanted}")));
        }
        if path.exists() && !path.is_dir() {
            return Err(Failure::Usage(format!("output {shown} is there and is not a folder")));
        }
        Ok(Self::Folder(path.into()))
    }

    /// Refuses to write over a file that is read.
    pub fn protect(&self, tensors: &[Tensor], inputs: &[&Path]) -> Result<(), Failure> {
        let outputs = match self {
            Self::File(path) => vec![path.clone()],
            Self::Folder(folder) => tensors.iter().map(|t| folder.join(npy::file_name(&t.name))).collect(),
        };
        for input in inputs {
            let same = |output: &PathBuf| matches!((fs::canonicalize(input), fs::canonicalize(output)), (Ok(a), Ok(b)) if a == b);
            if outputs.iter().any(same) {
                return Err(Failure::Usage(format!("the output would replace {}, which is read", input.display())));
            }
        }
        Ok(())
    }
}

/// Tensors of one element type being written; dropped before [`Sink::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Sink {
    place: Place,
    slots: Vec<Slot>,
}

#[derive(Debug)]
enum Place {
    File { file: NamedTempFile, path: PathBuf },
    Folder { temporary: TempDir, files: Vec<File>, path: PathBuf },
}

/// Where in which file a tensor starts.
#[derive(Debug)]
struct Slot {
    tensor: Tensor,
    file: usize,
    start: u64,
}

impl Sink {
    /// Makes temporary files beside `target`, of full length, and writes their headers.
    pub fn create<F: Element>(target: &Target, tensors: Vec<Tensor>) -> Result<Self, Failure> {
        match target {
            Target::File(path) => Self::file::<F>(path, tensors),
            Target::Folder(path) => Self::folder::<F>(path, tensors),
        }
    }

    fn file<F: Element>(path: &Path, tensors: Vec<Tensor>) -> Result<Self, Failure> {
        let (header, starts, length) = safetensors::header::<F>(path, &tensors)?;
        let mut file = temporary(parent(path)).map_err(Failure::io(path))?;
        file.as_file().set_len(length).map_err(Failure::io(path))?;
        file.write_all(&header).map_err(Failure::io(path))?;
        let slots = tensors.into_iter().zip(starts).map(|(tensor, start)| Slot { tensor, file: 0, start }).collect();
        Ok(Self { place: Place::File { file, path: path.into() }, slots })
    }

    fn folder<F: Element>(path: &Path, tensors: Vec<Tensor>) -> Result<Self, Failure> {
        let beside = if path.is_dir() { path } else { parent(path) };
        let temporary = Builder::new().prefix(".hessquik-").tempdir_in(beside).map_err(Failure::io(path))?;
        let (mut files, mut slots) = (Vec::new(), Vec::new());
        for (i, tensor) in tensors.into_iter().enumerate() {
            let name = temporary.path().join(npy::file_name(&tensor.name));
            let header = npy::header::<F>(&tensor.shape);
            let length = tensor.bytes::<F>().and_then(|n| n.checked_add(header.len() as u64));
            let length = length.ok_or_else(|| too_large(&name, &tensor))?;
            let mut file = File::create(&name).map_err(Failure::io(&name))?;
            file.set_len(length).and_then(|()| file.write_all(&header)).map_err(Failure::io(&name))?;
            files.push(file);
            slots.push(Slot { tensor, file: i, start: header.len() as u64 });
        }
        Ok(Self { place: Place::Folder { temporary, files, path: path.into() }, slots })
    }

    /// Writes numbers of the tensor `name` from index `first` of its first axis on.
    pub fn write<F: Element>(&mut self, name: &str, first: usize, numbers: &[F]) -> Result<(), Failure> {
        let slot = self.slots.iter().find(|s| s.tensor.name == name).expect("only announced tensors are written");
        let row: usize = slot.tensor.shape[1..].iter().product();
        let start = slot.start + (first * row * size_of::<F>()) as u64;
        let (file, path) = match &mut self.place {
            Place::File { file, path } => (file.as_file_mut(), &*path),
            Place::Folder { files, path, .. } => (&mut files[slot.file], &*path),
        };
        let written = file.seek(SeekFrom::Start(start)).and_then(|_| file.write_all(&little_endian(numbers)));
        written.map_err(Failure::io(path))
    }

    /// Moves what was written to its place, over what was there: a file or a new folder in one step. From a folder that
    /// is there, files with the names `others`, left by an earlier run, are removed before the first of these comes, so
    /// that whatever happens meanwhile, results of two runs are never side by side.
    pub fn finish(self, others: &[&str]) -> Result<Vec<Tensor>, Failure> {
        match self.place {
            Place::File { file, path } => {
                file.persist(&path).map_err(|e| Failure::io(&path)(e.error))?;
            }
            Place::Folder { temporary, files, path } => {
                drop(files);
                if !path.is_dir() {
                    fs::rename(temporary.path(), &path).map_err(Failure::io(&path))?;
                } else {
                    for other in others {
                        let _ = fs::remove_file(path.join(npy::file_name(other)));
                    }
                    for name in self.slots.iter().map(|s| npy::file_name(&s.tensor.name)) {
                        let place = path.join(&name);
                        fs::rename(temporary.path().join(&name), &place).map_err(Failure::io(&place))?;
                    }
                }
            }
        }
        Ok(self.slots.into_iter().map(|s| s.tensor).collect())
    }
}

/// The folder that holds `path`.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file with the permissions of an ordinary new file.
fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".hessquik-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn too_large(path: &Path, tensor: &Tensor) -> Failure {
    Failure::file(path, format!("{} of shape {:?} has more bytes than can be addressed", tensor.name, tensor.shape))
}
