//! The state of a training run in a file, so that it can go on to the same numbers.
//!
//! One safetensors file, written whole or not at all: `theta`, `best`, the moments of the optimiser, and as metadata what
//! was reached, with the settings and the network it belongs to.
use super::{Row, Settings, Updates};
use crate::{Error, FlatNetwork};
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// A run after some epochs.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub network: FlatNetwork,
    pub updates: Updates,
    pub progress: Progress,
    /// The weights of the least loss so far.
    pub best: Tensor<1>,
}

/// What was reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub history: Vec<Row>,
    /// Epochs since the least loss.
    pub waited: usize,
    pub least: Option<f64>,
    /// Whether the run came to its end.
    pub done: bool,
}

const KEY: &str = "hessquik_training";

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// Settings, network and objective that the numbers depend on.
    run: Run,
    steps: Option<usize>,
    progress: Progress,
}

/// The version of a checkpoint, which says how to read the rest.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

const VERSION: u32 = 2;

/// What a run depends on, by name: a checkpoint of another run is not taken.
pub(super) type Run = Vec<(String, String)>;

/// The settings, network and objective of a run.
pub(super) fn run(
    settings: &Settings,
    network: &FlatNetwork,
    names: &[&str],
    weights: &[f64],
    points: [usize; 2],
) -> Run {
    let Settings { epochs, batch, optimiser, rate, schedule, clip, lbfgs, patience, seed, .. } = settings;
    let or_none = |setting: Option<String>| setting.unwrap_or_else(|| "none".into());
    let loss: Vec<_> = names.iter().zip(weights).map(|(name, weight)| format!("{weight} {name}")).collect();
    let entries = [
        ("epochs", epochs.to_string()),
        ("batch", batch.to_string()),
        ("optimizer", format!("{optimiser:?}")),
        ("rate", format!("{rate:e}")),
        ("schedule", format!("{schedule:?}")),
        ("clip", or_none(clip.map(|clip| clip.to_string()))),
        ("lbfgs", lbfgs.to_string()),
        ("patience", or_none(patience.map(|patience| patience.to_string()))),
        ("seed", seed.to_string()),
        ("loss", loss.join(" + ")),
        ("points to train on", points[0].to_string()),
        ("points to validate with", points[1].to_string()),
        ("dtype", format!("{:?}", network.theta.val().dtype())),
        ("network", network.describe().to_json()),
    ];
    entries.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// What differs between the run of a checkpoint and this one.
fn differences(found: &Run, now: &Run) -> Vec<String> {
    let of = |run: &Run, name: &str| run.iter().find(|(n, _)| n == name).map_or("nothing".into(), |(_, v)| v.clone());
    let mut names: Vec<_> = now.iter().chain(found).map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let mut differences = Vec::new();
    for name in names {
        let (checkpoint, now) = (of(found, name), of(now, name));
        let line = format!("{name}: checkpoint {checkpoint}, now {now}");
        if checkpoint != now && !differences.contains(&line) {
            differences.push(line);
        }
    }
    differences
}

fn bytes(tensor: &Tensor<1>) -> Result<(Dtype, Vec<usize>, Vec<u8>), Error> {
    let data = tensor.clone().into_data();
    let dtype = if data.dtype() == DType::F32 { Dtype::F32 } else { Dtype::F64 };
    Ok((dtype, vec![tensor.dims()[0]], data.as_bytes().to_vec()))
}

impl State {
    pub(super) fn save(&self, path: &Path, run: &Run) -> Result<(), Error> {
        let mut tensors = vec![("theta", bytes(&self.network.theta.val().inner())?), ("best", bytes(&self.best)?)];
        let state = self.updates.state();
        if let Some((_, first, second)) = &state {
            tensors.push(("moment_1", bytes(first)?));
            tensors.push(("moment_2", bytes(second)?));
        }
        let steps = state.map(|s| s.0);
        let header = Header { version: VERSION, run: run.clone(), steps, progress: self.progress.clone() };
        let json = serde_json::to_string(&header).expect("plain numbers and words");
        let error = |e: safetensors::SafeTensorError| Error::File { path: path.into(), message: e.to_string() };
        let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(error)?))
        });
        let views = views.collect::<Result<Vec<_>, Error>>()?;
        let all = safetensors::serialize(views, Some(HashMap::from([(KEY.to_string(), json)]))).map_err(error)?;
        Ok(hessquik::write_whole(path, &all)?)
    }

    /// Goes on from a file, if it is there.
    pub(super) fn load(mut self, path: &Path, run: &Run) -> Result<Self, Error> {
        let wrong = |message: String| Error::File { path: path.into(), message };
        let all = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            read => read.map_err(|e| wrong(e.to_string()))?,
        };
        let file = SafeTensors::deserialize(&all).map_err(|e| wrong(e.to_string()))?;
        let (_, metadata) = SafeTensors::read_metadata(&all).map_err(|e| wrong(e.to_string()))?;
        let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let json =
            json.ok_or_else(|| wrong("not a checkpoint: it does not contain the state of a training run".into()))?;
        let unreadable = |e: serde_json::Error| wrong(format!("not a checkpoint: {e}"));
        let Version { version } = serde_json::from_str(json).map_err(unreadable)?;
        if version != VERSION {
            return Err(wrong(format!("a checkpoint of version {version}, expected {VERSION}")));
        }
        let header: Header = serde_json::from_str(json).map_err(unreadable)?;
        if header.run != *run {
            return Err(Error::OtherRun { path: path.into(), differences: differences(&header.run, run) });
        }
        let like = self.network.theta.val().inner();
        let tensor = |name: &str| -> Result<Tensor<1>, Error> {
            let view = file.tensor(name).map_err(|e| wrong(format!("{name}: {e}")))?;
            let dtype = if view.dtype() == Dtype::F32 { DType::F32 } else { DType::F64 };
            if dtype != like.dtype() || view.shape() != like.dims() {
                let (found, wanted) = (view.shape(), like.dims());
                return Err(wrong(format!(
                    "{name} has the shape {found:?}, expected {wanted:?} of {:?}",
                    like.dtype()
                )));
            }
            let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
            Ok(Tensor::from_data(data, (&like.device(), dtype)))
        };
        self.network.set_theta(tensor("theta")?);
        self.best = tensor("best")?;
        if let Some(steps) = header.steps {
            self.updates.restore((steps, tensor("moment_1")?, tensor("moment_2")?));
        }
        self.progress = header.progress;
        Ok(self)
    }
}
