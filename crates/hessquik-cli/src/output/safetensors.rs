//! The header of a `.safetensors` file that is written, from shapes alone.
use super::owner::{KEY, Owner};
use super::{Tensor, too_large};
use crate::element::Element;
use crate::failure::Failure;
use safetensors::tensor::{Metadata, TensorInfo};
use std::path::Path;

/// The first bytes of the file, where each tensor starts, and the length of the file.
pub fn header<F: Element>(path: &Path, tensors: &[Tensor], owner: &Owner) -> Result<(Vec<u8>, Vec<u64>, u64), Failure> {
    let (mut end, mut starts, mut infos) = (0usize, Vec::new(), Vec::new());
    for tensor in tensors {
        let start = end;
        let bytes = tensor.bytes::<F>().and_then(|n| usize::try_from(n).ok());
        end = bytes
            .and_then(|n| n.checked_add(start))
            .filter(|n| *n < usize::MAX / 2)
            .ok_or_else(|| too_large(path, tensor))?;
        let info = TensorInfo { dtype: F::SAFETENSORS, shape: tensor.shape.clone(), data_offsets: (start, end) };
        starts.push(start as u64);
        infos.push((tensor.name.clone(), info));
    }
    let wrong = |e: &dyn std::fmt::Display| Failure::file(path, format!("no valid safetensors header: {e}"));
    let written_by = [(KEY.to_string(), owner.command.clone())].into();
    let metadata = Metadata::new(Some(written_by), infos).map_err(|e| wrong(&e))?;
    let mut text = serde_json::to_vec(&metadata).map_err(|e| wrong(&e))?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let header = [&(text.len() as u64).to_le_bytes()[..], &text].concat();
    let length = header.len() as u64;
    Ok((header, starts.iter().map(|s| s + length).collect(), end as u64 + length))
}
