//! Floating-point numbers in files.

/// Half precision: a sign, 5 bits of exponent, 10 of fraction.
pub(crate) fn half(bits: u16) -> f64 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 31, f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(e) - 15),
    };
    if sign == 1 { -size } else { size }
}

/// The upper half of a number in single precision.
pub(crate) fn bfloat(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

/// A floating-point type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Element {
    F16,
    BF16,
    F32,
    F64,
}

impl Element {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The number in the first bytes, which there must be enough of.
    pub fn read(self, bytes: &[u8], big_endian: bool) -> f64 {
        let mut padded = [0; 8];
        padded[..self.size()].copy_from_slice(&bytes[..self.size()]);
        if big_endian {
            padded[..self.size()].reverse();
        }
        let bits = u64::from_le_bytes(padded);
        match self {
            Self::F16 => half(bits as u16),
            Self::BF16 => bfloat(bits as u16),
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::F64 => f64::from_bits(bits),
        }
    }
}
