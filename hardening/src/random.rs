//! Numbers that look random and are the same in every run: a linear congruential generator (Knuth, *MMIX*).

/// Its state; the upper bits of each number are the good ones.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    /// A number of [-1, 1), in steps that are exact in single precision.
    pub fn coordinate(&mut self) -> f64 {
        (self.next() >> 40) as f64 / f64::from(1 << 23) - 1.0
    }

    /// A whole number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next() >> 16) * n as u128) >> 48) as usize
    }
}
