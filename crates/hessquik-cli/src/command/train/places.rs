//! Where the files of a training go.
use crate::failure::Failure;
use crate::output::owner::Folder;
use crate::output::{Owner, Stream, folder_of, parent};
use hessquik::{WholeFile, follow};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::{Builder, TempDir};

/// What training writes beside the model.
const OTHERS: [&str; 5] = ["history.csv", "fit.png", "fit.svg", "convergence.png", "convergence.svg"];
/// What is there while training goes on.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// A folder, and what the names in it start with.
#[derive(Clone, Debug)]
pub struct Places {
    owner: Owner,
    folder: Folder,
    /// The trained network.
    pub model: PathBuf,
}

impl Places {
    /// What OUT stands for: a folder, or a model with the other files beside it. The folder is made, tried, and marked as the
    /// owner's; one with files of others is refused.
    pub fn new(output: &Path, owner: Owner) -> Result<Self, Failure> {
        let shown = output.display();
        if output.as_os_str().is_empty() {
            return Err(Failure::Usage("the output has no name".into()));
        }
        if Stream::of(output)?.is_some() {
            let message =
                format!("output {shown}: training writes several files, to a folder or beside a .safetensors file");
            return Err(Failure::Usage(message));
        }
        let place = follow(output).map_err(Failure::io(output))?;
        let ending = place.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        let (path, prefix, model) = if ending == "safetensors" {
            if place.is_dir() {
                return Err(Failure::Usage(format!("output {shown} is a folder, expected a file name")));
            }
            let stem = place.file_stem().and_then(|s| s.to_str()).unwrap_or("model");
            (parent(&place).to_path_buf(), format!("{stem}-"), place)
        } else if place.exists() && !place.is_dir() {
            return Err(Failure::Usage(format!("output {shown} exists and is not a folder")));
        } else {
            fs::create_dir_all(&place).map_err(Failure::io(&place))?;
            let model = place.join("model.safetensors");
            (place, String::new(), model)
        };
        let places = Self { owner, folder: Folder { path, prefix }, model };
        let names: Vec<_> = OTHERS.iter().map(|name| places.name(name)).chain([places.model_name()]).collect();
        places.owner.check_folder(&places.folder, &names)?;
        drop(WholeFile::create(&places.model)?);
        places.folder.claim(&places.owner, &[&places.name(CHECKPOINT)])?;
        Ok(places)
    }

    /// The name of a file in the folder.
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.folder.prefix)
    }

    fn model_name(&self) -> String {
        self.model.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path.join(self.name(name))
    }

    /// Who writes.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// An empty folder for files on their way.
    pub fn stage(&self) -> Result<Staged<'_>, Failure> {
        let folder = Builder::new().prefix(".hessquik-").tempdir_in(&self.folder.path);
        Ok(Staged { places: self, folder: folder.map_err(Failure::io(&self.folder.path))?, names: Vec::new() })
    }

    /// Refuses to write the model over a file that is read.
    pub fn protect(&self, input: &Path) -> Result<(), Failure> {
        match (fs::canonicalize(input), fs::canonicalize(&self.model)) {
            (Ok(a), Ok(b)) if a == b => {
                Err(Failure::Usage(format!("the output would replace {}, which is read", input.display())))
            }
            _ => Ok(()),
        }
    }
}

/// Files on their way to their places, which they reach together or not at all.
#[derive(Debug)]
pub struct Staged<'a> {
    places: &'a Places,
    folder: TempDir,
    names: Vec<String>,
}

impl Staged<'_> {
    /// Where to write the model now.
    pub fn model(&mut self) -> PathBuf {
        self.add(self.places.model_name())
    }

    /// Where to write the file of this name now.
    pub fn file(&mut self, name: &str) -> PathBuf {
        self.add(self.places.name(name))
    }

    fn add(&mut self, name: String) -> PathBuf {
        let path = self.folder.path().join(&name);
        self.names.push(name);
        path
    }

    /// Brings all files to their places, and says where these are.
    pub fn finish(self) -> Result<Vec<PathBuf>, Failure> {
        let Self { places, folder, names } = self;
        folder_of(&places.owner, &places.folder, folder.path(), &names, &[&places.name(CHECKPOINT)])?;
        Ok(names.iter().map(|name| places.folder.path.join(name)).collect())
    }
}
