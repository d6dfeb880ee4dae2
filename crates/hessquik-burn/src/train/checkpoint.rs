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
    /// Settings, network and objective that the numbers hang on.
    run: String,
    steps: Option<usize>,
    progress: Progress,
}

/// What a run hangs on, in words: a checkpoint of another run is not taken.
pub(super) fn run(
    settings: &Settings,
    network: &FlatNetwork,
    names: &[&str],
    weights: &[f64],
    points: [usize; 2],
) -> String {
    let Settings { epochs, batch, optimiser, rate, schedule, clip, lbfgs, patience, seed, .. } = settings;
    format!(
        "{epochs} epochs of batches of {batch} by {optimiser:?} at {rate:e} {schedule:?}, clip {clip:?}, {lbfgs} of L-BFGS, \
         patience {patience:?}, seed {seed}; {names:?} {weights:?} at {points:?} points; {:?} {}",
        network.theta.val().dtype(),
        network.describe().to_json(),
    )
}

fn bytes(tensor: &Tensor<1>) -> Result<(Dtype, Vec<usize>, Vec<u8>), Error> {
    let data = tensor.clone().into_data();
    let dtype = if data.dtype() == DType::F32 { Dtype::F32 } else { Dtype::F64 };
    Ok((dtype, vec![tensor.dims()[0]], data.as_bytes().to_vec()))
}

impl State {
    pub(super) fn save(&self, path: &Path, run: &str) -> Result<(), Error> {
        let mut tensors = vec![("theta", bytes(&self.network.theta.val().inner())?), ("best", bytes(&self.best)?)];
        let state = self.updates.state();
        if let Some((_, first, second)) = &state {
            tensors.push(("moment_1", bytes(first)?));
            tensors.push(("moment_2", bytes(second)?));
        }
        let steps = state.map(|s| s.0);
        let header = Header { version: 1, run: run.into(), steps, progress: self.progress.clone() };
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
    pub(super) fn load(mut self, path: &Path, run: &str) -> Result<Self, Error> {
        let wrong = |message: String| Error::File { path: path.into(), message };
        let all = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            read => read.map_err(|e| wrong(e.to_string()))?,
        };
        let file = SafeTensors::deserialize(&all).map_err(|e| wrong(e.to_string()))?;
        let (_, metadata) = SafeTensors::read_metadata(&all).map_err(|e| wrong(e.to_string()))?;
        let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let json = json.ok_or_else(|| wrong("not a checkpoint: there is no state of a training run in it".into()))?;
        let header: Header = serde_json::from_str(json).map_err(|e| wrong(format!("not a checkpoint: {e}")))?;
        if header.version != 1 {
            return Err(wrong(format!("a checkpoint of version {}, expected 1", header.version)));
        }
        if header.run != run {
            return Err(wrong(format!("a checkpoint of another run ({}); this one is {run}", header.run)));
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
