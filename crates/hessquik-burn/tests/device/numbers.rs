//! Numbers for tests, the same on every machine.

/// Numbers that repeat themselves nowhere in a test.
pub struct Numbers(pub u64);

impl Numbers {
    /// A whole number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// Between -1 and 1, and exact in both precisions.
    pub fn real(&mut self) -> f64 {
        f64::from((self.below(2001) as f64 / 1000.0 - 1.0) as f32)
    }
}
