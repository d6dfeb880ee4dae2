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

/// What elements can be, for messages.
pub const KNOWN: &str = "float16, bfloat16, float32, float64, integers or booleans";

/// How a file stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stored {
    /// `f`, `i`, `u`, `b`, or `V`: raw bytes, which are bfloat16 if there are two.
    kind: char,
    /// Bytes of one number.
    pub size: usize,
    big_endian: bool,
}

impl Stored {
    /// From an npy `descr` such as `<f8`; `None` if these are not real numbers of a size that is known. numpy has no
    /// bfloat16, and writes the one of other packages as two raw bytes, `V2`.
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
        let known = matches!((kind, size), ('f', 2 | 4 | 8) | ('i' | 'u', 1 | 2 | 4 | 8) | ('b', 1) | ('V', 2));
        known.then_some(Self { kind, size, big_endian })
    }

    /// From the type in a safetensors header.
    pub fn from_safetensors(dtype: Dtype) -> Option<Self> {
        Self::from_npy(match dtype {
            Dtype::F16 => "<f2",
            Dtype::BF16 => "<V2",
            Dtype::F32 => "<f4",
            Dtype::F64 => "<f8",
            Dtype::BOOL => "|b1",
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
                    let number = <$t>::wide(number);
                    *out = F::of(number);
                    fits &= out.is_finite() || !number.is_finite();
                }
            };
        }
        match (self.kind, self.size) {
            ('f', 2) => decode!(half::f16),
            ('V', _) => decode!(half::bf16),
            ('b', _) => {
                out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = if *byte == 0 { F::zero() } else { F::one() });
            }
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

    /// Whether these are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self.kind, 'f' | 'V')
    }

    /// Whether these are raw bytes, which are taken for bfloat16.
    pub fn is_raw(self) -> bool {
        self.kind == 'V'
    }

    /// Whether integers among these numbers are rounded, for they have more digits than `F`.
    pub fn rounds<F: Element>(self, bytes: &[u8]) -> bool {
        if !matches!(self.kind, 'i' | 'u') || self.size < 4 {
            return false;
        }
        bytes.chunks_exact(self.size).any(|bytes| {
            let mut wide = if self.kind == 'i' && self.top(bytes) >= 0x80 { [0xff; 16] } else { [0; 16] };
            let ordered = bytes.iter().enumerate();
            ordered.for_each(|(i, byte)| wide[if self.big_endian { self.size - 1 - i } else { i }] = *byte);
            let exact = i128::from_le_bytes(wide);
            F::of(exact as f64).as_f64() as i128 != exact
        })
    }

    /// The most significant byte of a number.
    fn top(self, bytes: &[u8]) -> u8 {
        if self.big_endian { bytes[0] } else { bytes[self.size - 1] }
    }
}

/// A stored number in double precision.
trait Wide: Sized {
    fn wide(self) -> f64;
}

macro_rules! wide {
    ($($t:ty: $wide:expr),*) => {
        $(impl Wide for $t {
            fn wide(self) -> f64 {
                let wide: fn($t) -> f64 = $wide;
                wide(self)
            }
        })*
    };
}
wide!(f64: |x| x, f32: f64::from, half::f16: f64::from, half::bf16: f64::from, i8: f64::from, i16: f64::from);
wide!(i32: f64::from, i64: |x| x as f64, u8: f64::from, u16: f64::from, u32: f64::from, u64: |x| x as f64);

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
        assert_eq!(read("<f2", &half::f16::from_f32(-1.5).to_le_bytes()), -1.5);
        assert_eq!(read(">f2", &half::f16::from_f32(0.1).to_be_bytes()), f64::from(half::f16::from_f32(0.1)));
        assert_eq!(read("<V2", &half::bf16::from_f32(3.0e38).to_le_bytes()), f64::from(half::bf16::from_f32(3.0e38)));
        assert_eq!((read("|b1", &[1]), read("|b1", &[0])), (1.0, 0.0));
        for unknown in ["<c8", "|O", "<f16", "<U4", "f8", "", "|b2", "|V4"] {
            assert_eq!(Stored::from_npy(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn notices_integers_that_are_rounded() {
        let rounds = |descr: &str, bytes: &[u8]| {
            let stored = Stored::from_npy(descr).unwrap();
            (stored.rounds::<f32>(bytes), stored.rounds::<f64>(bytes))
        };
        assert_eq!(rounds("<i4", &16_777_216i32.to_le_bytes()), (false, false));
        assert_eq!(rounds("<i4", &(-16_777_217i32).to_le_bytes()), (true, false));
        assert_eq!(rounds(">u8", &u64::MAX.to_be_bytes()), (true, true));
        assert_eq!(rounds("<i8", &i64::MIN.to_le_bytes()), (false, false));
        assert_eq!(rounds("<f8", &0.1f64.to_le_bytes()), (false, false));
    }

    #[test]
    fn notices_numbers_too_large_for_f32() {
        let stored = Stored::from_npy("<f8").unwrap();
        assert!(!stored.decode(&1e300f64.to_le_bytes(), &mut [0.0f32]));
        assert!(stored.decode(&f64::INFINITY.to_le_bytes(), &mut [0.0f32]));
        assert!(stored.decode(&f64::NAN.to_le_bytes(), &mut [0.0f32]));
    }
}
