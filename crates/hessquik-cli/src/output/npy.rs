//! The header of a `.npy` file that is written.
use crate::element::Element;

/// The file that holds the tensor `name`.
pub fn file_name(name: &str) -> String {
    format!("{name}.npy")
}

/// The header, version 1.0, padded so that numbers start at a multiple of 64 bytes.
pub fn header<F: Element>(shape: &[usize]) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", F::NPY, shape.trim_end());
    let padding = (10 + text.len() + 1).next_multiple_of(64) - (10 + text.len() + 1);
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("a handful of axes fits a version 1.0 header");
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], text.as_bytes()].concat()
}
