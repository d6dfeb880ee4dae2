//! Model files: ONNX, which `onnx/` reads, and our own: safetensors with hessQuik's names of weights, and the
//! architecture as JSON beside them.
//!
//! A model file holds one tensor per weight, named as in hessQuik's `state_dict` (`0.K`, `1.2.layer.b`; a network of
//! one bare layer has `K`, `b`), in `F32` or `F64`, and the [`Architecture`] as JSON under the metadata key
//! `architecture`. To write one from hessQuik:
//!
//! ```python
//! safetensors.torch.save_file(f.state_dict(), "net.safetensors", metadata={"architecture": json})
//! ```
//!
//! If the name of any tensor starts with `weights.`, only those tensors are weights (named without that prefix), and
//! the others, such as points and results stored beside them, are ignored. If all names of weights start with `module.`
//! (PyTorch's `DataParallel` and `DistributedDataParallel`) or `_orig_mod.` (`torch.compile`), that prefix is removed,
//! and [`wrapper`] reports it.
use crate::foreign::{distinct_keys, kind};
use crate::layer::Parts;
use crate::whole::read_whole;
use crate::{Architecture, Error, Init, Layer, Network, Real, Request, onnx, write_whole};
use ndarray::ArrayD;
use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The metadata key of the architecture.
const ARCHITECTURE: &str = "architecture";
/// What the names of weights may start with.
const PREFIX: &str = "weights.";
/// What PyTorch puts before all names of a network that it wraps.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Puts the entries of the metadata in order, so that equal networks are equal files: safetensors takes a hash map. They are
/// written again in the same place, and take as many bytes.
fn sort_metadata(file: &mut [u8]) {
    const START: &[u8] = br#"{"__metadata__":"#;
    let Some(at) = file.get(8..).filter(|header| header.starts_with(START)).map(|_| 8 + START.len()) else { return };
    let mut entries = serde_json::Deserializer::from_slice(&file[at..]).into_iter::<BTreeMap<String, String>>();
    let (Some(Ok(sorted)), len) = (entries.next(), entries.byte_offset()) else { return };
    if let Ok(text) = serde_json::to_vec(&sorted)
        && text.len() == len
    {
        file[at..at + len].copy_from_slice(&text);
    }
}

impl<F: Real> Network<F> {
    /// Reads a network from a model file: safetensors whose metadata key `architecture` holds the [`Architecture`] as
    /// JSON, with one tensor per weight, named as [`Layer::weights`] names them, in `F32` or `F64`. Weights in double
    /// precision are rounded to nearest for a network in single precision.
    ///
    /// An ONNX file is read too, whatever its name: a model of one input (n, d) and one output (n, m), point by point,
    /// with opset 11 or newer. It becomes a network of one [`GraphLayer`](crate::GraphLayer), whose weights are the
    /// initialisers that meet the points, by their names. Inputs and outputs of more axes are flattened in C order.
    /// Weights in a file beside the model (external data) are read from there.
    ///
    /// If the name of any tensor starts with `weights.`, only those tensors are weights (named without that prefix),
    /// and the others are ignored.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Network, fully_connected};
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("net.safetensors");
    /// let network = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// network.save(&path)?;
    /// assert_eq!(Network::<f64>::load(&path)?.flat_weights(), network.flat_weights());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read or is not a regular file; [`Error::File`] if it is another kind of
    /// file, is truncated, has a header that does not match its data or has a duplicate name, if the architecture is
    /// missing or invalid, or if a weight is missing, unexpected, of the wrong shape or element type, or contains NaN,
    /// an infinity, or a number too large for `F`. For an ONNX file the message names the operator that cannot be taken,
    /// its node, and the shapes of its inputs.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = read_whole(path)?;
        // as written: a file beside a symbolic link is looked for beside the link
        decode(&bytes, Some(folder_of(path))).map_err(|message| Error::File { path: path.into(), message })
    }

    /// Reads a network from the bytes of a model file, as [`Network::load`] does.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Network, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let copy = Network::<f64>::from_bytes(&network.to_bytes()?)?;
    /// assert_eq!(copy.flat_weights(), network.flat_weights());
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Network::load`], with `<bytes>` in place of the path; also for an ONNX file whose weights are in
    /// another file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes, None).map_err(|message| Error::File { path: PathBuf::from("<bytes>"), message })
    }

    /// Reads a network from bytes that were read from the model file at `path`: as [`Network::load`], without reading
    /// that file again. An ONNX file may have its weights in files beside it.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Network, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let copy = Network::<f64>::from_bytes_of("models/net.safetensors", &network.to_bytes()?)?;
    /// assert_eq!(copy.flat_weights(), network.flat_weights());
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Network::load`].
    pub fn from_bytes_of(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Self, Error> {
        let path = path.as_ref();
        decode(bytes, Some(folder_of(path))).map_err(|message| Error::File { path: path.into(), message })
    }

    /// Writes the network to a model file, in its own precision. The file is written under a temporary name in the same
    /// folder and then renamed, so that `path` never holds half a file; a symbolic link is followed, and an old file keeps
    /// its permissions.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written, or `path` is something other than a file, such as a device; and
    /// those of [`Network::to_bytes`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path, &self.to_bytes()?)
    }

    /// Writes the network as an ONNX model, for any runtime of ONNX: from `x` (n, d) to `y` (n, m), with opset 20, in the
    /// network's precision, with the weights as initialisers of the same names. The model computes values (derivatives:
    /// [`Network::save_onnx_with`]); where the network stops gradients ([`Var::frozen`](crate::Var::frozen)), it does not
    /// say so.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Network, fully_connected};
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("net.onnx");
    /// let network = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// network.save_onnx(&path)?;
    /// let x = ndarray::array![[0.5, -0.25]];
    /// let again = Network::<f64>::load(&path)?.value(&x)?;
    /// assert!((again - network.value(&x)?)[[0, 0]].abs() < 1e-15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] as [`Network::save`]; [`Error::Architecture`] and [`Error::Layer`] for a user-defined activation or
    /// smooth map, which have no description.
    pub fn save_onnx(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path, &self.to_onnx()?)
    }

    /// The bytes of an ONNX model of this network; see [`Network::save_onnx`].
    ///
    /// # Errors
    /// Those of [`Network::save_onnx`], except those of files.
    pub fn to_onnx(&self) -> Result<Vec<u8>, Error> {
        self.to_onnx_with(&Request::new().value())
    }

    /// Writes an ONNX model that computes derivatives: outputs `y` (n, m), `gradient` (n, d, m), `hessian` (n, d, d, m)
    /// and `laplacian` (n, m), those that are asked for, in this order. Derivatives are written out in ordinary
    /// operators, in forward mode, so that any runtime computes them; where digits cancel in these formulas, errors
    /// are larger than the engine's.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Network, Request, fully_connected};
    /// let folder = tempfile::tempdir()?;
    /// let network = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// network.save_onnx_with(folder.path().join("net.onnx"), &Request::parse("gradient,laplacian")?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Network::save_onnx`]; [`Error::Request`] for other results, for directions and for combinations of
    /// outputs.
    pub fn save_onnx_with(&self, path: impl AsRef<Path>, request: &Request<F>) -> Result<(), Error> {
        write_whole(path, &self.to_onnx_with(request)?)
    }

    /// The bytes of an ONNX model that computes derivatives; see [`Network::save_onnx_with`].
    ///
    /// # Errors
    /// Those of [`Network::save_onnx_with`], except those of files.
    pub fn to_onnx_with(&self, request: &Request<F>) -> Result<Vec<u8>, Error> {
        onnx::exported(self, request)
    }

    /// The bytes of a model file of this network.
    ///
    /// # Errors
    /// [`Error::Architecture`] naming a user-defined layer that has no [`Layer::architecture`], or if networks are
    /// nested too deeply for a file (about 60 levels); [`Error::Setting`] naming a weight with a NaN or an infinity, or
    /// a setting that is not finite: files cannot hold these.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.to_bytes_with(&[])
    }

    /// As [`Network::to_bytes`], with additional metadata in the file, such as who wrote it.
    ///
    /// # Errors
    /// Those of [`Network::to_bytes`].
    pub fn to_bytes_with(&self, metadata: &[(&str, String)]) -> Result<Vec<u8>, Error> {
        let architecture = self.architecture().ok_or_else(|| undescribed(self.layers()))?;
        architecture.check_finite("")?;
        let json = architecture.to_json();
        // what is written can be read: this finds nesting beyond what JSON readers allow
        Architecture::from_json(&json)?;
        let mut tensors = Vec::new();
        for (name, w) in self.weights() {
            if let Some((i, v)) = w.iter().enumerate().find(|(_, v)| !v.is_finite()) {
                return Err(Error::setting(format!("entry {i} of weight {name}"), v, "a finite number"));
            }
            let mut bytes = Vec::with_capacity(w.len() * size_of::<F>());
            match F::NAME {
                "f32" => w.iter().for_each(|v| bytes.extend_from_slice(&(v.as_f64() as f32).to_le_bytes())),
                _ => w.iter().for_each(|v| bytes.extend_from_slice(&v.as_f64().to_le_bytes())),
            }
            tensors.push((name, w.shape().to_vec(), bytes));
        }
        let dtype = if F::NAME == "f32" { Dtype::F32 } else { Dtype::F64 };
        let views =
            tensors.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(dtype, shape.clone(), bytes)?)));
        let further = metadata.iter().map(|(key, value)| (key.to_string(), value.clone()));
        let metadata: HashMap<_, _> = further.chain([(ARCHITECTURE.to_string(), json)]).collect();
        let written = views.collect::<Result<Vec<_>, _>>().and_then(|v| safetensors::serialize(v, Some(metadata)));
        let mut written = written.map_err(|e| Error::Architecture(format!("weights cannot be written: {e}")))?;
        sort_metadata(&mut written);
        Ok(written)
    }

    /// Sets all weights from a file with hessQuik's names of weights. The file needs no architecture, so networks with
    /// user-defined layers can store their weights too. If there is an error, the network is unchanged.
    ///
    /// ```
    /// use hessquik::{Activation, Init, fully_connected};
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("net.safetensors");
    /// let trained = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// trained.save(&path)?;
    /// let mut network = fully_connected::<f32>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(1))?;
    /// network.load_weights(&path)?;
    /// assert_eq!(network.flat_weights(), trained.flat_weights().mapv(|w| w as f32));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Network::load`], except those about the architecture.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let wanted: Vec<_> = self.weights().into_iter().map(|(name, w)| (name, w.shape().to_vec())).collect();
        let arrays = Contents::parse(&read_whole(path)?).and_then(|c| c.weights(&wanted));
        self.replace_weights(arrays.map_err(|message| Error::File { path: path.into(), message })?);
        Ok(())
    }

    /// Puts these arrays, in the order of all weights and of their shapes, in place of the weights.
    fn replace_weights(&mut self, arrays: Vec<ArrayD<F>>) {
        for ((_, w), array) in self.weights_mut().into_iter().zip(arrays) {
            *w = array;
        }
    }
}

/// The element type of the weights in a model file, `"f32"` or `"f64"`, for choosing the precision of
/// [`Network::load`]: `"f64"` if any weight is in double precision, or if there are no weights. For an ONNX file, `"f64"`
/// if its input is of doubles.
///
/// ```
/// use hessquik::{Activation, Init, fully_connected, weights_dtype};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("net.safetensors");
/// fully_connected::<f32>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?.save(&path)?;
/// assert_eq!(weights_dtype(&path)?, "f32");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is not a safetensors file, or naming a weight of any
/// other element type.
pub fn weights_dtype(path: impl AsRef<Path>) -> Result<&'static str, Error> {
    let path = path.as_ref();
    weights_dtype_of_bytes(&read_whole(path)?).map_err(|message| Error::File { path: path.into(), message })
}

/// As [`weights_dtype`], for the bytes of a model file.
///
/// # Errors
/// A sentence: the bytes are not a safetensors file, or a weight has another element type.
pub fn weights_dtype_of_bytes(bytes: &[u8]) -> Result<&'static str, String> {
    if onnx::is_onnx(bytes) {
        return onnx::dtype(bytes);
    }
    Contents::parse(bytes)?.dtype()
}

/// The unexpected prefix of all names of weights in the bytes of a model file, which loading removes: `module.` of
/// PyTorch's parallel wrappers, `_orig_mod.` of `torch.compile`, or several of them. Worth reporting to whoever loads
/// the file.
///
/// ```
/// use hessquik::{Activation, Init, fully_connected, wrapper};
/// let network = fully_connected::<f32>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
/// assert_eq!(wrapper(&network.to_bytes()?), None);
/// # Ok::<(), hessquik::Error>(())
/// ```
pub fn wrapper(bytes: &[u8]) -> Option<String> {
    let contents = Contents::parse(bytes).ok()?;
    Some(contents.unwrapped().0).filter(|prefix| !prefix.is_empty())
}

/// The error that names the first layer without an architecture.
fn undescribed<F: Real>(layers: &[Box<dyn Layer<F>>]) -> Error {
    fn find<F: Real>(layers: &[Box<dyn Layer<F>>]) -> Option<String> {
        let (i, layer) = layers.iter().enumerate().find(|(_, l)| l.architecture().is_none())?;
        if let Parts::Chain(inner) = layer.parts()
            && let Some(rest) = find(inner)
        {
            return Some(format!("{i}.{rest}"));
        }
        Some(format!("{i} ({})", layer.name()))
    }
    let layer = find(layers).unwrap_or_default();
    Error::Architecture(format!(
        "layer {layer} is user-defined or has a user-defined activation, which a file cannot describe"
    ))
}

/// The folder of a file.
fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The network in the bytes of a model file; an ONNX file may have its weights in another one of this folder.
fn decode<F: Real>(bytes: &[u8], folder: Option<&Path>) -> Result<Network<F>, String> {
    if onnx::is_onnx(bytes) {
        return onnx::network(bytes, folder);
    }
    let contents = Contents::parse(bytes)?;
    let json = contents.architecture().ok_or(
        "the metadata has no key \"architecture\", so that only weights can be read from this file; if these are linear \
         layers one after another, name their activations: hessquik convert FILE -o model.safetensors --act tanh, \
         Network::load_state_dict in Rust, or Network.from_state_dict in Python",
    )?;
    let architecture = Architecture::from_json(json).map_err(|e| e.to_string())?;
    // sizes are checked, and found in the file, before anything of these sizes is made
    architecture.check().map_err(|e| e.to_string())?;
    let arrays = contents.weights(&architecture.weight_shapes())?;
    let mut network = architecture.build(&mut Init::zeros()).map_err(|e| e.to_string())?;
    network.replace_weights(arrays);
    Ok(network)
}

/// A safetensors file whose header is true to its data.
pub(crate) struct Contents<'a> {
    pub metadata: Metadata,
    pub data: &'a [u8],
}

impl<'a> Contents<'a> {
    /// The header, checked.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| {
            let hint = kind(bytes).map_or_else(String::new, |kind| format!("; {kind}"));
            format!("not a safetensors file: it has fewer than 8 bytes{hint}")
        })?;
        let size = u64::from_le_bytes(*size);
        let header = usize::try_from(size).ok().and_then(|n| rest.split_at_checked(n));
        let Some((header, data)) = header else {
            let len = rest.len();
            return Err(match kind(bytes) {
                Some(kind) => format!("not a safetensors file: {kind}"),
                None => format!("truncated, or not a safetensors file: a header of {size} bytes in {len} bytes"),
            });
        };
        distinct_keys(header).map_err(|e| format!("header: {e}"))?;
        // the reader checks that offsets follow one another without gaps and fit the shapes and element types
        let metadata: Metadata = serde_json::from_slice(header).map_err(|e| format!("header: {e}"))?;
        if metadata.data_len() != data.len() {
            let (found, wanted) = (data.len(), metadata.data_len());
            return Err(format!(
                "truncated or with bytes left over: {found} bytes of tensors, the header declares {wanted}"
            ));
        }
        Ok(Self { metadata, data })
    }

    /// The description of the network.
    pub fn architecture(&self) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(ARCHITECTURE).map(String::as_str)
    }

    /// The tensors that are weights, by the names of weights.
    fn tensors(&self) -> BTreeMap<String, &TensorInfo> {
        self.unwrapped().1
    }

    /// What PyTorch put before all names of weights, and the tensors that are weights by their names without it.
    fn unwrapped(&self) -> (String, BTreeMap<String, &TensorInfo>) {
        let all = self.metadata.tensors();
        let prefixed = all.keys().any(|name| name.starts_with(PREFIX));
        let stripped = |(name, info): (String, _)| match prefixed {
            true => name.strip_prefix(PREFIX).map(|name| (name.to_string(), info)),
            false => Some((name, info)),
        };
        let mut tensors: BTreeMap<_, _> = all.into_iter().filter_map(stripped).collect();
        let mut prefix = String::new();
        let wraps = |tensors: &BTreeMap<String, _>| {
            let all = |wrapper: &&&str| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(**wrapper));
            WRAPPERS.iter().find(all).copied()
        };
        while let Some(wrapper) = wraps(&tensors) {
            prefix += wrapper;
            tensors = tensors.into_iter().map(|(name, info)| (name[wrapper.len()..].to_string(), info)).collect();
        }
        (prefix, tensors)
    }

    fn dtype(&self) -> Result<&'static str, String> {
        let tensors = self.tensors();
        for (name, info) in &tensors {
            known(name, info.dtype)?;
        }
        let single = !tensors.is_empty() && tensors.values().all(|info| info.dtype == Dtype::F32);
        Ok(if single { "f32" } else { "f64" })
    }

    /// The weights of these names and shapes, in this order; no others may be in the file.
    fn weights<F: Real>(&self, wanted: &[(String, Vec<usize>)]) -> Result<Vec<ArrayD<F>>, String> {
        let mut tensors = self.tensors();
        let mut arrays = Vec::with_capacity(wanted.len());
        for (name, shape) in wanted {
            let Some(info) = tensors.remove(name) else {
                let wanted = wanted.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(format!("weight {name} is missing; the network has {wanted}"));
            };
            if info.shape != *shape {
                return Err(format!("weight {name} has shape {:?}, expected {shape:?}", info.shape));
            }
            arrays.push(self.array(name, info)?);
        }
        match tensors.keys().next() {
            Some(name) => Err(format!("tensor {name} is not a weight of the network")),
            None => Ok(arrays),
        }
    }

    fn array<F: Real>(&self, name: &str, info: &TensorInfo) -> Result<ArrayD<F>, String> {
        known(name, info.dtype)?;
        let bytes = &self.data[info.data_offsets.0..info.data_offsets.1];
        let numbers = |i: usize| match info.dtype {
            Dtype::F32 => f64::from(f32::from_le_bytes(*bytes[4 * i..].first_chunk().expect("within the tensor"))),
            _ => f64::from_le_bytes(*bytes[8 * i..].first_chunk().expect("within the tensor")),
        };
        let len = info.shape.iter().product();
        let entries: Vec<F> = (0..len).map(|i| F::of(numbers(i))).collect();
        if let Some(i) = entries.iter().position(|v| !v.is_finite()) {
            let (found, to) = (numbers(i), F::NAME);
            return Err(match found.is_finite() {
                true => format!("weight {name}: entry {i}, {found:e}, is too large for {to}"),
                false => format!("weight {name}: entry {i} is {found}; weights must be finite"),
            });
        }
        ArrayD::from_shape_vec(info.shape.clone(), entries).map_err(|e| format!("weight {name}: {e}"))
    }
}

fn known(name: &str, dtype: Dtype) -> Result<(), String> {
    match dtype {
        Dtype::F32 | Dtype::F64 => Ok(()),
        other => Err(format!("weight {name} has elements of type {other}, expected F32 or F64")),
    }
}
