//! The tensor `x` of a `.safetensors` file, found by its header.
use super::{Binary, check_length};
use crate::element::Stored;
use crate::failure::Failure;
use safetensors::tensor::Metadata;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const LONGEST_HEADER: u64 = 100_000_000;

/// Reads the header and checks that the file is long enough for `x`.
pub fn open(path: &Path, mut file: File) -> Result<Binary, Failure> {
    let length = file.metadata().map_err(Failure::io(path))?.len();
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(|_| Failure::file(path, "is too short for a safetensors file"))?;
    let header_len = u64::from_le_bytes(start);
    if header_len > LONGEST_HEADER.min(length.saturating_sub(8)) {
        let message = format!("is not a safetensors file: a header of {header_len} bytes in a file of {length}");
        return Err(Failure::file(path, message));
    }
    let mut header = vec![0; header_len as usize];
    file.read_exact(&mut header).map_err(Failure::io(path))?;
    let wrong = |e: String| Failure::file(path, format!("its safetensors header is not valid: {e}"));
    hessquik::distinct_keys(&header).map_err(wrong)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| wrong(e.to_string()))?;
    let Some(x) = metadata.info("x") else {
        let names = metadata.offset_keys().join(", ");
        return Err(Failure::file(path, format!("has no tensor named x; it has {names}")));
    };
    let stored = Stored::from_safetensors(x.dtype).ok_or_else(|| {
        Failure::file(path, format!("x holds numbers of type {:?}, expected F16, BF16, F32, F64 or integers", x.dtype))
    })?;
    let offset = 8 + header_len + x.data_offsets.0 as u64;
    check_length(path, &file, offset, &x.shape, stored.size)?;
    Ok(Binary { file, shape: x.shape.clone(), stored, offset, column_major: false })
}
