//! The two element types of files and networks, and how numbers of other types become them.
use hessquik::Real;
use safetensors::Dtype;

/// `f32` or `f64` with its names in files.
pub trait Element: Real + bytemuck::Pod {
    /// The type in a safetensors header.
    const SAFETENSORS: Dtype;
    /// The type in an npy header.
    const NPY: &'static str;
}

impl Element for f32 {
    const SAFETENSORS: Dtype = Dtype::F32;
    const NPY: &'static str = "<f4";
}

impl Element for f64 {
    const SAFETENSORS: Dtype = Dtype::F64;
    const NPY: &'static str = "<f8";
}

/// The numbers as little-endian bytes, whatever the machine.
pub fn little_endian<F: Element>(numbers: &[F]) -> std::borrow::Cow<'_, [u8]> {
    let bytes = bytemuck::cast_slice(numbers);
    if cfg!(target_endian = "little") {
        return bytes.into();
    }
    let mut swapped = bytes.to_vec();
    swapped.chunks_exact_mut(size_of::<F>()).for_each(<[u8]>::reverse);
    swapped.into()
}

/// How a file stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stored {
    /// `f`, `i` or `u`.
    kind: char,
    /// Bytes of one number.
    pub size: usize,
    big_endian: bool,
}

impl Stored {
    /// From an npy `descr` such as `<f8`; `None` if these are not real numbers of a size that is known.
    pub fn from_npy(descr: &str) -> Option<Self> {
        let mut chars = descr.chars();
        let (order, kind) = (chars.next()?, chars.next()?);
        let size = chars.as_str().parse().ok()?;
        let big_endian = match order {
            '<' | '|' => false,
            '>' => true,
            '=' => cfg!(target_endian = "big"),
            _ => return None,
        };
        let known = matches!((kind, size), ('f', 4 | 8) | ('i' | 'u', 1 | 2 | 4 | 8));
        known.then_some(Self { kind, size, big_endian })
    }

    /// From the type in a safetensors header.
    pub fn from_safetensors(dtype: Dtype) -> Option<Self> {
        Self::from_npy(match dtype {
            Dtype::F32 => "<f4",
            Dtype::F64 => "<f8",
            Dtype::I8 => "|i1",
            Dtype::I16 => "<i2",
            Dtype::I32 => "<i4",
            Dtype::I64 => "<i8",
            Dtype::U8 => "|u1",
            Dtype::U16 => "<u2",
            Dtype::U32 => "<u4",
            Dtype::U64 => "<u8",
            _ => return None,
        })
    }

    /// Reads `out.len()` numbers, rounded to nearest; `false` if a finite one is too large for `F`.
    pub fn decode<F: Element>(self, bytes: &[u8], out: &mut [F]) -> bool {
        let mut fits = true;
        macro_rules! decode {
            ($t:ty) => {
                for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(size_of::<$t>())) {
                    let bytes = bytes.try_into().expect("chunks are exact");
                    let number = if self.big_endian { <$t>::from_be_bytes(bytes) } else { <$t>::from_le_bytes(bytes) };
                    *out = F::of(number as f64);
                    fits &= out.is_finite() || !(number as f64).is_finite();
                }
            };
        }
        match (self.kind, self.size) {
            ('f', 4) => decode!(f32),
            ('f', _) => decode!(f64),
            ('i', 1) => decode!(i8),
            ('i', 2) => decode!(i16),
            ('i', 4) => decode!(i32),
            ('i', _) => decode!(i64),
            (_, 1) => decode!(u8),
            (_, 2) => decode!(u16),
            (_, 4) => decode!(u32),
            _ => decode!(u64),
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_every_kind() {
        let read = |descr: &str, bytes: &[u8]| {
            let mut out = [0.0f64];
            assert!(Stored::from_npy(descr).unwrap().decode(bytes, &mut out));
            out[0]
        };
        assert_eq!(read("<f4", &1.5f32.to_le_bytes()), 1.5);
        assert_eq!(read(">f8", &(-0.1f64).to_be_bytes()), -0.1);
        assert_eq!(read("|i1", &[0xfe]), -2.0);
        assert_eq!(read(">i8", &(-7i64).to_be_bytes()), -7.0);
        assert_eq!(read("<u2", &[1, 1]), 257.0);
        for unknown in ["<c8", "|O", "<f2", "<U4", "f8", "", "|b1"] {
            assert_eq!(Stored::from_npy(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn notices_numbers_too_large_for_f32() {
        let stored = Stored::from_npy("<f8").unwrap();
        assert!(!stored.decode(&1e300f64.to_le_bytes(), &mut [0.0f32]));
        assert!(stored.decode(&f64::INFINITY.to_le_bytes(), &mut [0.0f32]));
        assert!(stored.decode(&f64::NAN.to_le_bytes(), &mut [0.0f32]));
    }
}
