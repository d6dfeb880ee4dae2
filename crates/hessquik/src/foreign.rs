//! Words for files that are not what was expected, and for names that are nearly right.
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// What makes a model file of a network that PyTorch holds.
#[cfg(feature = "files")]
const FROM_TORCH: &str = "in Python, safetensors.torch.save_file(f.state_dict(), \"model.safetensors\", \
                          metadata={\"architecture\": json}) writes a model file";

/// What makes a model file of weights of linear layers.
#[cfg(feature = "files")]
const CONVERT: &str = "hessquik convert FILE -o model.safetensors --act tanh (Network::load_state_dict in Rust, \
                       Network.from_state_dict in Python) makes a network of a state dictionary of linear layers";

/// What a file is that should be a model file, and how to make a model file of it; `None` if nothing is known of it.
#[cfg(feature = "files")]
pub(crate) fn kind(bytes: &[u8]) -> Option<String> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let found = if bytes.is_empty() {
        "the file is empty".into()
    } else if starts(b"PK\x03\x04") {
        format!(
            "this is a zip archive, such as a PyTorch state dictionary or checkpoint (.pt, .pth) or .npz; {CONVERT}; of \
             hessQuik's networks, {FROM_TORCH}"
        )
    } else if matches!(bytes, [0x80, 2..=5, ..]) {
        format!(
            "this is a Python pickle, such as a checkpoint (.pt, .pth) of PyTorch before version 1.6; save it again with a \
             newer PyTorch: torch.save(torch.load(\"weights.pt\", weights_only=True), \"new.pt\"); of hessQuik's \
             networks, {FROM_TORCH}"
        )
    } else if starts(b"\x93NUMPY") {
        "this is a .npy array".into()
    } else if starts(b"\x1f\x8b") {
        "this is compressed by gzip; decompress it first (gunzip)".into()
    } else if crate::onnx::is_onnx(bytes) {
        "this is an ONNX model, which is read as a whole network (Network::load), and not for its weights alone".into()
    } else if starts(b"\x89HDF") {
        format!("this is an HDF5 file; {FROM_TORCH}")
    } else if starts(b"{") || starts(b"\xef\xbb\xbf{") {
        "this is JSON; `hessquik new FILE.json -o model.safetensors` makes a model with random weights of a description"
            .into()
    } else if is_text(&bytes[..bytes.len().min(256)]) {
        "this is text, such as a .csv of points; a model file is safetensors".into()
    } else {
        return None;
    };
    Some(found)
}

/// Whether the start of a file reads as text.
#[cfg(feature = "files")]
fn is_text(start: &[u8]) -> bool {
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&start[..e.valid_up_to()]).unwrap_or_default(),
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// `; did you mean X?` if one of the `known` names is close to `found`, else nothing.
///
/// ```
/// assert_eq!(hessquik::did_you_mean("hesian", ["value", "hessian"]), "; did you mean hessian?");
/// assert_eq!(hessquik::did_you_mean("colour", ["value", "hessian"]), "");
/// ```
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
    let found = plain(found);
    let near = |name: &&str| {
        let name = plain(name);
        let distance = strsim::damerau_levenshtein(&found, &name);
        // a beginning is near, too: lap, sig
        let begins = found.len() >= 3 && (name.starts_with(&found) || found.starts_with(&name));
        (distance <= 1 + name.len() / 5 && distance < name.len().min(found.len()).max(1) || begins).then_some(distance)
    };
    let nearest = known.into_iter().filter_map(|name| Some((near(&name)?, name))).min_by_key(|(distance, _)| *distance);
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

/// What to add to an error of serde's: the name that was meant, and what JSON does not have.
pub(crate) fn hint(error: &str, json: &str) -> String {
    let mut words = error.split('`').skip(1).step_by(2);
    let unknown = error.contains("unknown variant") || error.contains("unknown field");
    let meant = match words.next() {
        Some(found) if unknown => did_you_mean(found, words),
        _ => String::new(),
    };
    if !meant.is_empty() {
        return meant;
    }
    let outside_strings = json.split('"').step_by(2);
    let not_json = |text: &str| text.contains("Infinity") || text.contains("NaN");
    let too_large = error.contains("out of range");
    let no_number = error.contains("expected value") || error.contains("invalid number");
    if too_large || no_number && outside_strings.clone().any(not_json) {
        return "; settings are finite numbers: JSON has no NaN or infinity".into();
    }
    String::new()
}

/// Checks that no object of a JSON text has the same key twice: readers would silently keep only one of the values.
///
/// ```
/// assert!(hessquik::distinct_keys(br#"{"0.K": 1, "0.b": 2}"#).is_ok());
/// assert!(hessquik::distinct_keys(br#"{"0.K": 1, "0.K": 2}"#).unwrap_err().contains("0.K"));
/// ```
///
/// # Errors
/// A sentence that names the key, or says why the JSON is invalid.
pub fn distinct_keys(json: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<Distinct>(json).map(drop).map_err(|e| e.to_string())
}

/// Any JSON whose objects have each key once; nothing of it is kept.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Distinct)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, Self)) = map.next_entry::<String, Self>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("{key} appears twice")));
            }
            keys.insert(key);
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self, A::Error> {
        while sequence.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right() {
        let known =
            ["value", "gradient", "hessian", "packed", "diagonal", "laplacian", "factored", "sin", "silu", "tanh"];
        for (found, wanted) in [
            ("hesian", "hessian"),
            ("Hessian", "hessian"),
            ("gradeint", "gradient"),
            ("grad", "gradient"),
            ("lap", "laplacian"),
            ("values", "value"),
            ("sinn", "sin"),
            ("tahn", "tanh"),
        ] {
            assert_eq!(did_you_mean(found, known), format!("; did you mean {wanted}?"));
        }
        for far in ["", "x", "jacobian-vector", "relu"] {
            assert_eq!(did_you_mean(far, known), "", "{far}");
        }
    }

    #[test]
    fn keys_at_any_depth() {
        assert!(distinct_keys(br#"{"a": {"b": [1, -1.5, null, true, "x"]}, "b": {}}"#).is_ok());
        for twice in [r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"x": {"a": 1, "a": 1}}"#, r#"[{"a": 1, "\u0061": 1}]"#] {
            assert!(distinct_keys(twice.as_bytes()).unwrap_err().contains("a appears twice"), "{twice}");
        }
        assert!(distinct_keys(b"{").is_err());
    }
}
