//! Where the files of a training go.
use crate::failure::Failure;
use crate::output::{Draft, parent};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder, and what the names in it start with.
#[derive(Clone, Debug)]
pub struct Places {
    folder: PathBuf,
    prefix: String,
    /// The trained network.
    pub model: PathBuf,
}

impl Places {
    /// What OUT stands for: a folder, or a model with the other files beside it. The folder is made, and tried.
    pub fn new(output: &Path) -> Result<Self, Failure> {
        let ending = output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        let places = if output.as_os_str().is_empty() {
            return Err(Failure::Usage("the output has no name".into()));
        } else if ending == "safetensors" {
            let stem = output.file_stem().and_then(|s| s.to_str()).unwrap_or("model");
            Self { folder: parent(output).into(), prefix: format!("{stem}-"), model: output.into() }
        } else if output.exists() && !output.is_dir() {
            return Err(Failure::Usage(format!("output {} is there and is not a folder", output.display())));
        } else {
            fs::create_dir_all(output).map_err(Failure::io(output))?;
            Self { folder: output.into(), prefix: String::new(), model: output.join("model.safetensors") }
        };
        drop(Draft::create(&places.model, "safetensors")?);
        Ok(places)
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}{name}", self.prefix))
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
