//! State dictionaries: weights of linear layers by name, which become a model when their activations are named.
use crate::element::Element;
use crate::failure::Failure;
use crate::points::{npz, source};
use clap::Args;
use hessquik::{Activation, ActivationSpec, Activations, LinearLayer, Network, Real, StateDict};
use ndarray::{ArrayD, ShapeBuilder};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that the arrays of a compressed archive may have beyond those of the file.
const SPARE: u64 = 1 << 30;

/// What a state dictionary does not say.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "State dictionaries")]
pub struct Chain {
    /// The activation between the layers, or one for each layer but the last
    #[arg(long, value_name = "NAME[:SETTING=X],...", value_parser = activations)]
    pub act: Option<Named>,
    /// The activation after the last layer [default: identity]
    #[arg(long, value_name = "NAME[:SETTING=X]", value_parser = activation)]
    pub last: Option<Named>,
    /// The layers in the order of the computation, by the names of their weights without .weight
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub layers: Vec<String>,
}

/// Activations, and what the user calls them.
#[derive(Clone, Debug, PartialEq)]
pub struct Named(Vec<(String, ActivationSpec)>);

impl Named {
    fn acts(&self) -> Vec<Activation> {
        self.0.iter().map(|(_, spec)| (*spec).into()).collect()
    }
}

impl Chain {
    /// Whether the user named anything.
    pub fn is_given(&self) -> bool {
        self.act.is_some() || self.last.is_some() || !self.layers.is_empty()
    }

    /// The layers of a state dictionary, in the order that the user named.
    pub fn ordered(&self, state: StateDict) -> Result<StateDict, Failure> {
        if self.layers.is_empty() { Ok(state) } else { Ok(state.in_order(&self.layers)?) }
    }

    /// The network of these layers.
    pub fn network<F: Real>(&self, state: &StateDict) -> Result<Network<F>, Failure> {
        let last = self.last.as_ref().map_or(Activation::Identity, |last| last.acts().remove(0));
        let acts = match &self.act {
            Some(Named(acts)) if acts.len() == 1 => Activations::All(acts[0].1.into()),
            Some(acts) => Activations::Each(acts.acts()),
            None => Activations::Each(Vec::new()),
        };
        Ok(Network::from_state_dict(state, acts, last)?)
    }

    /// The layers as they were taken: `0 (2 -> 8), tanh, 2 (8 -> 1)`.
    pub fn note(&self, layers: &[LinearLayer]) -> String {
        let one = |(i, layer): (usize, &LinearLayer)| {
            let act = match (&self.act, &self.last) {
                (_, Some(Named(last))) if i + 1 == layers.len() => last.first(),
                (Some(Named(acts)), _) if i + 1 < layers.len() => acts.get(i).or(acts.first()),
                _ => None,
            };
            let act = act.map_or_else(String::new, |(name, _)| format!(", {name}"));
            format!("{} ({} -> {}){act}", name(layer), layer.inputs, layer.outputs)
        };
        format!("layers: {}", layers.iter().enumerate().map(one).collect::<Vec<_>>().join(", "))
    }
}

/// The name of a layer, which may be empty.
fn name(layer: &LinearLayer) -> &str {
    if layer.name.is_empty() { "the layer" } else { &layer.name }
}

/// Activations separated by commas, which may also be within their settings: `softplus:beta=2,threshold=20,tanh`.
fn activations(text: &str) -> Result<Named, hessquik::Error> {
    let mut texts: Vec<String> = Vec::new();
    for piece in text.split(',') {
        match texts.last_mut() {
            Some(before) if piece.contains('=') && !piece.contains(':') => *before += &format!(",{piece}"),
            _ => texts.push(piece.trim().into()),
        }
    }
    let one = |text: String| Ok((text.clone(), spec(&text)?));
    texts.into_iter().map(one).collect::<Result<_, _>>().map(Named)
}

fn activation(text: &str) -> Result<Named, hessquik::Error> {
    Ok(Named(vec![(text.into(), spec(text)?)]))
}

/// An activation of the library by name, `antitanh` by hessQuik's, too.
pub fn spec(text: &str) -> Result<ActivationSpec, hessquik::Error> {
    if text == "antitanh" { Ok(ActivationSpec::AntiTanh) } else { text.parse() }
}

/// The state dictionary in the bytes of a file: safetensors, an archive of PyTorch's, or .npz.
pub fn read(path: &Path, bytes: &[u8]) -> Result<StateDict, Failure> {
    if bytes.starts_with(b"PK\x03\x04") {
        let file = source::keep(&mut &*bytes).map_err(Failure::io(path))?;
        if let Ok(archive) = npz::Archive::open(path, file)
            && !archive.names().is_empty()
        {
            return arrays(path, archive, bytes.len() as u64 + SPARE);
        }
    }
    StateDict::from_bytes(bytes).map_err(|error| match error {
        hessquik::Error::File { message, .. } => Failure::file(path, message),
        other => other.into(),
    })
}

/// The arrays of an archive of numpy's, in its order.
fn arrays(path: &Path, mut archive: npz::Archive, mut left: u64) -> Result<StateDict, Failure> {
    let mut state = StateDict::new();
    for name in archive.names() {
        archive.array(path, &name, |header, from| {
            let wrong = |message: String| Failure::file(path, format!("array {name} {message}"));
            let (shape, stored) = (header.shape, header.stored);
            if !stored.is_float() {
                return Err(wrong("holds integers or booleans, expected floating-point numbers".into()));
            }
            let wanted = crate::points::bytes_of(path, &shape, stored.size)?;
            left = left.checked_sub(wanted).ok_or_else(|| {
                wrong("makes this more than 1 GiB larger than the file; save it without compression: np.savez".into())
            })?;
            let mut bytes = Vec::new();
            // the read that finds the end compares the checksum
            from.take(wanted.saturating_add(1))
                .read_to_end(&mut bytes)
                .map_err(|e| wrong(format!("cannot be read: {e}")))?;
            if bytes.len() as u64 != wanted {
                return Err(wrong(format!("is cut off: {} bytes, expected {wanted}", bytes.len())));
            }
            let shape = ndarray::IxDyn(&shape).set_f(header.column_major);
            let fits = "has another number of entries than its shape says";
            match stored.size {
                8 => {
                    let array = ArrayD::from_shape_vec(shape, numbers::<f64>(stored, &bytes));
                    state.insert(name.clone(), array.map_err(|_| wrong(fits.into()))?);
                }
                _ => {
                    let array = ArrayD::from_shape_vec(shape, numbers::<f32>(stored, &bytes));
                    state.insert(name.clone(), array.map_err(|_| wrong(fits.into()))?);
                }
            }
            Ok(())
        })?;
    }
    Ok(state)
}

fn numbers<F: Element>(stored: crate::element::Stored, bytes: &[u8]) -> Vec<F> {
    let mut numbers = vec![F::zero(); bytes.len() / stored.size];
    // a type of at most as many bytes holds all of them
    stored.decode(bytes, &mut numbers);
    numbers
}

/// That a file is a state dictionary, and how to make a model of it; `None` if it is not one of linear layers, and may be
/// another kind of file.
pub fn described(path: &Path, bytes: &[u8]) -> Option<String> {
    let zip_or_pickle = !hessquik::is_state_dict(bytes) || bytes.starts_with(b"PK") || bytes.starts_with(b"\x80");
    let state = match read(path, bytes) {
        Ok(state) => state,
        Err(Failure::Library(hessquik::Error::File { message, .. })) => return zip_or_pickle.then_some(message),
        Err(_) => return None,
    };
    let convert = |options: &str| {
        let model = if path == Path::new("model.safetensors") { "network.safetensors" } else { "model.safetensors" };
        let from = if path == Path::new("standard input") { PathBuf::from("-") } else { path.into() };
        format!("hessquik convert {} -o {model} --act tanh{options}", from.display())
    };
    match state.layers() {
        Ok(layers) => {
            let first = layers.first().map_or(0, |layer| layer.inputs);
            let widths: Vec<_> =
                [first].into_iter().chain(layers.iter().map(|layer| layer.outputs)).map(|n| n.to_string()).collect();
            Some(format!(
                "is a state dictionary: the weights of linear layers {}, without the activations between them; name them to \
                 make a model: {}",
                widths.join(" -> "),
                convert("")
            ))
        }
        Err(error @ hessquik::Error::StateDict(hessquik::StateDictError::UnknownOrder { .. })) => Some(format!(
            "is a state dictionary: weights by name, without activations; {error}: {}",
            convert(" --layers NAME,...")
        )),
        Err(error) if zip_or_pickle => Some(format!("is no model, and as a state dictionary is refused: {error}")),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_and_their_settings() {
        let read = |text: &str| activations(text).unwrap().0.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(read("tanh"), ["tanh"]);
        assert_eq!(read("sin,softplus:beta=2,threshold=20, tanh"), ["sin", "softplus:beta=2,threshold=20", "tanh"]);
        assert!(activations("tahn").unwrap_err().to_string().contains("tahn"));
        assert!(activations("sin,").is_err());
    }
}
