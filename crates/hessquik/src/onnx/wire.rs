//! Protocol buffers as they are stored: fields one after another, read in place. Nothing here allocates before the
//! bytes for it were found.

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

/// The fields of a message, in order; the last item is an error if the bytes are not a message.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> Fields<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, broken: false }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for i in 0..10 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            // the tenth byte has room for one bit
            if i == 9 && byte > 1 {
                return None;
            }
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number >= 1 << 29 {
            return None;
        }
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let (eight, rest) = self.rest.split_first_chunk::<8>()?;
                self.rest = rest;
                Wire::Eight(*eight)
            }
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(len)?;
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            5 => {
                let (four, rest) = self.rest.split_first_chunk::<4>()?;
                self.rest = rest;
                Wire::Four(*four)
            }
            // groups, which nobody writes any more
            _ => return None,
        };
        Some((number, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken || self.rest.is_empty() {
            return None;
        }
        let left = self.rest.len();
        let field = self.field();
        self.broken = field.is_none();
        Some(field.ok_or_else(|| format!("truncated or broken: no field of a message {left} bytes before its end")))
    }
}

fn other<T>(what: &str) -> Result<T, String> {
    Err(format!("truncated or broken: a field is not {what}"))
}

impl<'a> Wire<'a> {
    pub fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => other("a text or a message"),
        }
    }

    pub fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).or_else(|_| other("valid UTF-8"))
    }

    pub fn integer(self) -> Result<i64, String> {
        match self {
            // negative numbers have all 64 bits
            Self::Varint(n) => Ok(n as i64),
            _ => other("an integer"),
        }
    }

    pub fn float(self) -> Result<f32, String> {
        match self {
            Self::Four(four) => Ok(f32::from_le_bytes(four)),
            _ => other("a number in single precision"),
        }
    }

    /// Appends the integers of a repeated field, packed or one by one.
    pub fn integers(self, into: &mut Vec<i64>) -> Result<(), String> {
        let Self::Bytes(bytes) = self else {
            into.push(self.integer()?);
            return Ok(());
        };
        let mut packed = Fields::of(bytes);
        while !packed.rest.is_empty() {
            match packed.varint() {
                Some(n) => into.push(n as i64),
                None => return other("a list of integers"),
            }
        }
        Ok(())
    }

    /// Appends the numbers of a repeated field in single precision.
    pub fn floats(self, into: &mut Vec<f32>) -> Result<(), String> {
        match self {
            Self::Bytes(bytes) if bytes.len() % 4 == 0 => {
                into.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
                Ok(())
            }
            Self::Four(four) => {
                into.push(f32::from_le_bytes(four));
                Ok(())
            }
            _ => other("a list of numbers in single precision"),
        }
    }

    /// Appends the numbers of a repeated field in double precision.
    pub fn doubles(self, into: &mut Vec<f64>) -> Result<(), String> {
        match self {
            Self::Bytes(bytes) if bytes.len() % 8 == 0 => {
                into.extend(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)));
                Ok(())
            }
            Self::Eight(eight) => {
                into.push(f64::from_le_bytes(eight));
                Ok(())
            }
            _ => other("a list of numbers in double precision"),
        }
    }
}
