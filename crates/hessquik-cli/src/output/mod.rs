//! Results on their way to a file, a folder of `.npy` files, or a pipe: written in place, seen only when complete.
mod csv;
mod draft;
mod npy;
mod npz;
pub mod owner;
mod safetensors;
pub mod stream;
mod target;

pub use draft::Draft;
pub use owner::Owner;
#[cfg(feature = "train")]
pub use stream::Stream;
pub use target::{Format, Place, Target};

use crate::element::{Element, little_endian};
use crate::failure::Failure;
use crate::interrupt;
use csv::Csv;
use hessquik::WholeFile;
use owner::{Folder, Manifest};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, TempDir};

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

/// Tensors of one element type being written; dropped before [`Sink::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Sink {
    target: Target,
    /// For messages.
    path: PathBuf,
    content: Content,
    /// What will take the place of the file; none for folders and streams.
    file: Option<WholeFile>,
    slots: Vec<Slot>,
}

/// What is being filled.
#[derive(Debug)]
enum Content {
    Safetensors(File),
    Csv(Csv),
    /// One `.npy` file for each tensor, in a temporary folder.
    Arrays(TempDir, Vec<File>),
}

/// Where in which file a tensor starts.
#[derive(Debug)]
struct Slot {
    tensor: Tensor,
    file: usize,
    start: u64,
}

impl Sink {
    /// Makes temporary files, beside the place of a file or folder, of full length, and writes their headers.
    pub fn create<F: Element>(target: &Target, tensors: Vec<Tensor>) -> Result<Self, Failure> {
        let (path, format) = match &target.place {
            Place::File(path, format) => (path.clone(), *format),
            Place::Folder(folder) => (folder.path.clone(), Format::Npy),
            Place::Stream(_, format) => (PathBuf::from("the output"), *format),
        };
        let file = match &target.place {
            Place::File(path, _) => Some(WholeFile::create(path)?),
            _ => None,
        };
        file.iter().for_each(|file| interrupt::temporary(file.temporary()));
        // of a file that is on its way, a second handle
        let bytes = || match &file {
            Some(file) => file.as_file().try_clone(),
            None => tempfile::tempfile(),
        };
        let (content, slots) = match format {
            Format::Safetensors => {
                let (header, starts, length) = safetensors::header::<F>(&path, &tensors, &target.owner)?;
                let mut file = bytes().map_err(Failure::io(&path))?;
                file.set_len(length).and_then(|()| file.write_all(&header)).map_err(Failure::io(&path))?;
                let slot = |(tensor, start)| Slot { tensor, file: 0, start };
                (Content::Safetensors(file), tensors.into_iter().zip(starts).map(slot).collect())
            }
            Format::Csv => {
                let csv = Csv::create(&path, bytes().map_err(Failure::io(&path))?, &tensors)?;
                let slot = |(file, tensor)| Slot { tensor, file, start: 0 };
                (Content::Csv(csv), tensors.into_iter().enumerate().map(slot).collect())
            }
            Format::Npy | Format::Npz => {
                let beside = match &target.place {
                    Place::Stream(..) => std::env::temp_dir(),
                    Place::Folder(folder) if folder.path.is_dir() => folder.path.clone(),
                    _ => parent(&path).into(),
                };
                arrays::<F>(&path, &beside, tensors)?
            }
        };
        Ok(Self { target: target.clone(), path, content, file, slots })
    }

    /// Writes numbers of the tensor `name` from index `first` of its first axis on.
    pub fn write<F: Element>(&mut self, name: &str, first: usize, numbers: &[F]) -> Result<(), Failure> {
        let slot = self.slots.iter().find(|s| s.tensor.name == name).expect("only announced tensors are written");
        let row: usize = slot.tensor.shape[1..].iter().product();
        let file = match &mut self.content {
            Content::Safetensors(file) => file,
            Content::Arrays(_, files) => &mut files[slot.file],
            Content::Csv(csv) => {
                let points = numbers.len() / row.max(1);
                return csv.write(slot.file, numbers, points).map_err(Failure::io(&self.path));
            }
        };
        let start = slot.start + (first * row * size_of::<F>()) as u64;
        let written = file.seek(SeekFrom::Start(start)).and_then(|_| file.write_all(&little_endian(numbers)));
        written.map_err(Failure::io(&self.path))
    }

    /// Moves what was written to its place, over what this command wrote there before: a file or a new folder in one step,
    /// files into a folder that exists all or none. There, files of an earlier run are removed before the first of these
    /// comes, so that whatever happens meanwhile, results of two runs are never side by side.
    pub fn finish(self) -> Result<Vec<Tensor>, Failure> {
        match self.target.place {
            // a reader may take long, and nothing is lost if it never comes
            Place::Stream(..) => self.place(),
            _ => interrupt::uncut(|| self.place()),
        }
    }

    fn place(self) -> Result<Vec<Tensor>, Failure> {
        let Self { target, path, content, file, slots } = self;
        let tensors: Vec<_> = slots.into_iter().map(|s| s.tensor).collect();
        let written = match content {
            Content::Safetensors(written) => written,
            Content::Csv(csv) => csv.finish().map_err(Failure::io(&path))?,
            Content::Arrays(temporary, files) => {
                drop(files);
                let names: Vec<_> = tensors.iter().map(|t| npy::file_name(&t.name)).collect();
                if let Place::Folder(folder) = &target.place {
                    folder_of(&target.owner, folder, temporary.path(), &names, &[])?;
                    return Ok(tensors);
                }
                let archive = match &file {
                    Some(file) => file.as_file().try_clone(),
                    None => tempfile::tempfile(),
                };
                let archive = archive.map_err(Failure::io(&path))?;
                npz::pack(archive, temporary.path(), &names, &target.owner).map_err(Failure::io(&path))?
            }
        };
        match (&target.place, file) {
            (Place::Stream(stream, _), _) => stream.send(&mut { written })?,
            (Place::File(path, _), Some(file)) => {
                drop(written);
                target.owner.check_file(path)?; // what came meanwhile stays
                file.finish()?;
            }
            _ => unreachable!("a file is on its way exactly where one is wanted"),
        }
        Ok(tensors)
    }
}

/// A temporary folder with one `.npy` file for each tensor.
fn arrays<F: Element>(path: &Path, beside: &Path, tensors: Vec<Tensor>) -> Result<(Content, Vec<Slot>), Failure> {
    let missing = |e| hessquik::missing_folder(beside, e);
    let made = Builder::new().prefix(".hessquik-").tempdir_in(beside).map_err(missing);
    let temporary = made.map_err(Failure::io(path))?;
    interrupt::temporary(temporary.path());
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
    Ok((Content::Arrays(temporary, files), slots))
}

/// Brings files with these names, which are complete in the folder `staged`, to their folder, which may also hold files
/// that are written time and again.
pub fn folder_of(
    owner: &Owner,
    folder: &Folder,
    staged: &Path,
    names: &[String],
    changing: &[&str],
) -> Result<(), Failure> {
    let mut manifest = Manifest::new(owner);
    changing.iter().for_each(|name| manifest.add_changing(name));
    let listed = names.iter().try_for_each(|name| manifest.add(name, &staged.join(name)));
    let written = listed.and_then(|()| fs::write(staged.join(folder.manifest_name()), manifest.to_json()));
    written.map_err(Failure::io(&folder.path))?;
    // a new folder comes in one step; where another process was faster, into its one
    if !folder.path.is_dir() && folder.prefix.is_empty() {
        match fs::rename(staged, &folder.path) {
            Ok(()) => return Ok(()),
            Err(e) if !folder.path.is_dir() => return Err(Failure::io(&folder.path)(e)),
            Err(_) => {}
        }
    }
    owner::commit(owner, folder, staged, names)
}

/// The folder that holds `path`.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn too_large(path: &Path, tensor: &Tensor) -> Failure {
    Failure::file(path, format!("{} of shape {:?} has more bytes than can be addressed", tensor.name, tensor.shape))
}
