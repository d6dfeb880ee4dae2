//! Where results go, and as what kind of file.
use super::Tensor;
use super::npy;
use super::owner::{Folder, Lock, Owner};
use super::stream::Stream;
use crate::failure::Failure;
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};

/// The kinds of files that are written.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Format {
    /// Tensors by name, in one file
    Safetensors,
    /// A folder of numpy's files
    Npy,
    /// Arrays of numpy's by name, in one file
    Npz,
    /// Text, one point in each line
    Csv,
}

/// Where results go.
#[derive(Clone, Debug)]
pub struct Target {
    pub place: Place,
    pub owner: Owner,
}

/// A place for results.
#[derive(Clone, Debug)]
pub enum Place {
    /// One file.
    File(PathBuf, Format),
    /// A folder with one `.npy` file for each tensor.
    Folder(Folder),
    /// No file.
    Stream(Stream, Format),
}

const WANTED: &str = "expected a name that ends in .safetensors, .npz or .csv, or a folder for .npy files";

impl Target {
    /// What the name `path` stands for; `asked` goes before its ending.
    pub fn new(path: &Path, asked: Option<Format>, owner: Owner) -> Result<Self, Failure> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        let shown = path.display();
        let named = match ending.as_str() {
            "safetensors" => Some(Format::Safetensors),
            "npz" => Some(Format::Npz),
            "csv" => Some(Format::Csv),
            _ => None,
        };
        if path.as_os_str().is_empty() {
            return Err(Failure::Usage("the output has no name".into()));
        }
        if let Some(stream) = Stream::of(path)? {
            let format = asked.or(named).unwrap_or(Format::Csv);
            if format == Format::Npy {
                return Err(Failure::Usage(format!("output {shown}: .npy files are written to a folder; take npz")));
            }
            return Ok(Self { place: Place::Stream(stream, format), owner });
        }
        let format = asked.or(named);
        let place = match format.filter(|f| *f != Format::Npy) {
            Some(format) => {
                if path.is_dir() {
                    return Err(Failure::Usage(format!("output {shown} is a folder, expected a file name")));
                }
                owner.check_file(path)?;
                Place::File(path.into(), format)
            }
            None => {
                if format.is_none() && ["npy", "tsv", "txt", "json", "h5", "pt", "gz", "zip"].contains(&ending.as_str())
                {
                    return Err(Failure::Usage(format!("output {shown}: {WANTED}")));
                }
                let path = hessquik::follow(path).map_err(Failure::io(path))?;
                if path.exists() && !path.is_dir() {
                    return Err(Failure::Usage(format!("output {shown} exists and is not a folder; {WANTED}")));
                }
                Place::Folder(Folder { path, prefix: String::new() })
            }
        };
        Ok(Self { place, owner })
    }

    /// Whether results go to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stream(Stream::Stdout, _))
    }

    /// Refuses to write over a file that is read, and into a folder that holds one or files of others.
    pub fn protect(&self, tensors: &[Tensor]) -> Result<(), Failure> {
        let names: Vec<_> = tensors.iter().map(|t| npy::file_name(&t.name)).collect();
        let outputs: Vec<_> = match &self.place {
            Place::File(path, _) => vec![path.clone()],
            Place::Folder(folder) => names.iter().map(|name| folder.path.join(name)).collect(),
            Place::Stream(..) => Vec::new(),
        };
        outputs.iter().try_for_each(|output| self.owner.check_unread(output))?;
        for input in &self.owner.inputs {
            let shown = input.display();
            let Ok(input) = fs::canonicalize(input) else { continue };
            let Place::Folder(folder) = &self.place else { continue };
            let within = fs::canonicalize(&folder.path).is_ok_and(|f| input == f || input.parent() == Some(&f));
            if within && !self.owner.force {
                let folder = folder.path.display();
                return Err(Failure::Usage(format!(
                    "output {folder} holds {shown}, which is read; choose another folder, or write there by --force"
                )));
            }
        }
        match &self.place {
            Place::Folder(folder) => {
                let _lock = Lock::take(&folder.path); // not while another process moves files
                self.owner.check_folder(folder, &names)
            }
            _ => Ok(()),
        }
    }
}
