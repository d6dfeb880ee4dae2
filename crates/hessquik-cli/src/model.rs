//! A model file, read once: from a file, a FIFO or standard input.
use crate::args::Dtype;
use crate::failure::Failure;
use crate::output::owner::{CHECKSUM, KEY, Owner, checksum};
use crate::points::source;
use crate::state;
use hessquik::{Error, Network, Real, StateDict};
use std::path::{Path, PathBuf};

/// The bytes of a model file.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Model {
    /// Reads the file at `path`; `-` is standard input.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let within = path.join("model.safetensors");
        if within.is_file() {
            let message = format!("is a folder, expected a model file, such as {}", within.display());
            return Err(Failure::file(path, message));
        }
        let bytes = source::bytes(path)?;
        let path = if source::is_stdin(path) { Path::new("standard input") } else { path };
        Ok(Self { path: path.into(), bytes })
    }

    /// The precision that was asked for, or that of the weights.
    pub fn precision(&self, asked: Option<Dtype>) -> Result<Dtype, Failure> {
        let of_weights = || match self.dtype()? {
            "f32" => Ok(Dtype::F32),
            _ => Ok(Dtype::F64),
        };
        asked.map_or_else(of_weights, Ok)
    }

    /// Whether this is not a model but a state dictionary.
    pub fn is_state_dict(&self) -> bool {
        hessquik::is_state_dict(&self.bytes)
    }

    /// The state dictionary.
    pub fn state_dict(&self) -> Result<StateDict, Failure> {
        state::read(&self.path, &self.bytes)
    }

    /// How to make a model of a state dictionary of linear layers.
    pub fn advice(&self) -> Option<String> {
        if self.is_state_dict() { state::described(&self.path, &self.bytes) } else { None }
    }

    /// Refuses a state dictionary.
    fn check_model(&self) -> Result<(), Failure> {
        self.advice().map_or(Ok(()), |message| Err(Failure::file(&self.path, message)))
    }

    /// The type of the weights.
    pub fn dtype(&self) -> Result<&'static str, Failure> {
        self.check_model()?;
        hessquik::weights_dtype_of_bytes(&self.bytes).map_err(|message| Failure::file(&self.path, message))
    }

    /// The network.
    pub fn network<F: Real>(&self) -> Result<Network<F>, Failure> {
        self.check_model()?;
        Network::from_bytes_of(&self.path, &self.bytes).map_err(|error| match error {
            Error::File { message, .. } => Failure::file(&self.path, message),
            other => other.into(),
        })
    }

    /// What the user should know of it.
    pub fn remarks(&self) -> Vec<String> {
        let path = self.path.display();
        let one = |prefix| format!("{path}: all names of weights start with {prefix}, which is left out");
        hessquik::wrapper(&self.bytes).map(one).into_iter().collect()
    }
}

/// The bytes of a model file that says who wrote it.
pub fn to_bytes<F: Real>(network: &Network<F>, owner: &Owner) -> Result<Vec<u8>, Failure> {
    let plain = network.to_bytes()?;
    let (length, rest) = plain.split_first_chunk::<8>().expect("a model file has a header");
    let data = &rest[u64::from_le_bytes(*length) as usize..];
    Ok(network.to_bytes_with(&[(KEY, owner.command.clone()), (CHECKSUM, checksum(data))])?)
}

/// The text of a description, which programs write as UTF-8.
pub fn description(path: &Path) -> Result<String, Failure> {
    let bytes = source::bytes(path)?;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Failure::file(path, "starts as UTF-16 does; save the file as UTF-8"));
    }
    if bytes.first_chunk::<8>().is_some_and(|n| u64::from_le_bytes(*n) < bytes.len() as u64) {
        return Err(Failure::file(path, "is not a JSON description; it may be a model, which already has weights"));
    }
    String::from_utf8(bytes).map_err(|_| Failure::file(path, "is not valid UTF-8, expected a description in JSON"))
}
