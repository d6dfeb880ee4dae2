//! State dictionaries out of files.
use super::element::Element;
use super::{Activations, StateDict, Tensor};
use crate::file::Contents;
use crate::whole::read_whole;
use crate::{Activation, Error, Network, Real, onnx};
use ndarray::ArrayD;
use safetensors::tensor::Dtype;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

impl StateDict {
    /// Reads a state dictionary: a safetensors file or, with the cargo feature `torch`, what
    /// `torch.save(model.state_dict(), "weights.pt")` writes, also within `{"state_dict": ...}` or a dictionary with one
    /// state dictionary. Nothing that a file holds is executed. Numbers in half precision are read exactly.
    ///
    /// ```
    /// use hessquik::{Activation, Network, StateDict};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("weights.safetensors");
    /// # let numbers = 1.5f32.to_le_bytes();
    /// # let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1, 1], &numbers)?;
    /// # std::fs::write(&path, safetensors::serialize([("0.weight", view)], None)?)?;
    /// let state = StateDict::load(&path)?;
    /// assert_eq!(state.names().collect::<Vec<_>>(), ["0.weight"]);
    /// let network = Network::<f32>::from_state_dict(&state, Activation::Tanh, Activation::Identity)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read or is not a regular file; [`Error::File`] if it is another kind of file
    /// or truncated, or its pickle names anything that state dictionaries do not need.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        decode(&read_whole(path)?).map_err(|message| Error::File { path: path.into(), message })
    }

    /// Reads a state dictionary from the bytes of a file, as [`StateDict::load`] does.
    ///
    /// # Errors
    /// Those of [`StateDict::load`], with `<bytes>` in place of the path.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes).map_err(|message| Error::File { path: PathBuf::from("<bytes>"), message })
    }
}

impl<F: Real> Network<F> {
    /// The network of linear layers whose weights are in a file: [`StateDict::load`], then [`Network::from_state_dict`].
    ///
    /// ```
    /// use hessquik::{Activation, Error, Network};
    /// let missing = Network::<f64>::load_state_dict("weights.safetensors", Activation::Tanh, Activation::Identity);
    /// assert!(matches!(missing, Err(Error::Io { .. })));
    /// ```
    ///
    /// # Errors
    /// Those of both.
    pub fn load_state_dict(
        path: impl AsRef<Path>,
        act: impl Into<Activations>,
        last: Activation,
    ) -> Result<Self, Error> {
        Self::from_state_dict(&StateDict::load(path)?, act, last)
    }
}

/// Whether bytes look like those of a file with a state dictionary, and not of a model: arrays by name, without a
/// description of a network.
///
/// ```
/// use hessquik::{Activation, Init, fully_connected, is_state_dict};
/// let network = fully_connected::<f32>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
/// assert!(!is_state_dict(&network.to_bytes()?));
/// assert!(is_state_dict(b"PK\x03\x04"));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub fn is_state_dict(bytes: &[u8]) -> bool {
    if is_zip(bytes) || is_pickle(bytes) {
        return true;
    }
    !onnx::is_onnx(bytes) && Contents::parse(bytes).is_ok_and(|contents| contents.architecture().is_none())
}

fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..])
}

fn decode(bytes: &[u8]) -> Result<StateDict, String> {
    if is_pickle(bytes) {
        return Err(
            "this is a pickle without an archive around it, such as PyTorch wrote before version 1.6, or with \
                    _use_new_zipfile_serialization=False; save it again with a newer PyTorch: \
                    torch.save(torch.load(\"weights.pt\", weights_only=True), \"new.pt\")"
                .into(),
        );
    }
    if is_zip(bytes) {
        return archive(bytes);
    }
    if onnx::is_onnx(bytes) {
        return Err("this is an ONNX model, which is a network with its activations: Network::load".into());
    }
    let contents = Contents::parse(bytes)?;
    if contents.architecture().is_some() {
        return Err("this is a model file, which is a network with its activations: Network::load".into());
    }
    let mut state = StateDict { unordered: true, ..StateDict::default() };
    for (name, info) in contents.metadata.tensors().into_iter().collect::<BTreeMap<_, _>>() {
        let element = match info.dtype {
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::BF16,
            Dtype::F32 => Element::F32,
            Dtype::F64 => Element::F64,
            other => {
                state.put(name, Tensor::Typed { elements: other.to_string() });
                continue;
            }
        };
        let numbers = &contents.data[info.data_offsets.0..info.data_offsets.1];
        let entries = numbers.chunks_exact(element.size()).map(|bytes| element.read(bytes, false)).collect();
        let array = ArrayD::from_shape_vec(info.shape.clone(), entries).map_err(|e| format!("tensor {name}: {e}"))?;
        state.put(name, Tensor::Numbers { array, double: element == Element::F64 });
    }
    Ok(state)
}

#[cfg(feature = "torch")]
fn archive(bytes: &[u8]) -> Result<StateDict, String> {
    super::torch::read(bytes)
}

#[cfg(not(feature = "torch"))]
fn archive(_: &[u8]) -> Result<StateDict, String> {
    Err("this is a zip archive, such as a PyTorch checkpoint (.pt, .pth); hessquik is built without its cargo feature \
         torch, which reads these; or save the weights as safetensors: \
         safetensors.torch.save_file(model.state_dict(), \"weights.safetensors\")"
        .into())
}
