//! Which second derivatives along `k` directions are summed, and where each is kept.
use crate::Real;

/// What is kept of the Hessian along `k` directions, for one sample and output.
#[derive(Clone, Debug)]
pub(crate) enum Kind<F> {
    /// All of it (k, k), upper half first, mirrored at the end.
    Full { k: usize },
    /// The entries of these pairs.
    Pairs { k: usize, pairs: Vec<(usize, usize)> },
    /// The trace with a sign for each direction.
    Trace { signs: Vec<F> },
    /// The sum of `w H[a, b]` over these terms (a, b, w).
    Sum { k: usize, terms: Vec<(usize, usize, F)> },
    /// `tr(B H)` with this symmetric matrix (k, k), most of whose entries are not zero.
    Form { k: usize, matrix: Vec<F> },
}

/// One term of a kind: `coefficient * H[a, b]` is added to `slot`, and to `row` of a Hessian carried forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term<F> {
    pub a: usize,
    pub b: usize,
    pub slot: usize,
    pub row: usize,
    pub coefficient: F,
}

impl<F: Real> Kind<F> {
    /// Number of directions.
    pub fn k(&self) -> usize {
        match self {
            Self::Full { k } | Self::Pairs { k, .. } | Self::Sum { k, .. } | Self::Form { k, .. } => *k,
            Self::Trace { signs } => signs.len(),
        }
    }

    /// Number of slots.
    pub fn len(&self) -> usize {
        match self {
            Self::Full { k } => k * k,
            Self::Pairs { pairs, .. } => pairs.len(),
            _ => 1,
        }
    }

    /// Whether all terms are summed into one slot.
    pub fn is_sum(&self) -> bool {
        matches!(self, Self::Trace { .. } | Self::Sum { .. } | Self::Form { .. })
    }

    /// Number of rows of a Hessian carried forward.
    pub fn rows(&self) -> usize {
        match self {
            Self::Full { k } => k * (k + 1) / 2,
            _ => self.len(),
        }
    }

    /// Number of terms, each one product of two tangents.
    pub fn terms(&self) -> usize {
        match self {
            Self::Trace { signs } => signs.len(),
            Self::Sum { terms, .. } => terms.len(),
            Self::Form { k, .. } => k * (k + 1) / 2,
            _ => self.rows(),
        }
    }

    /// Goes through all terms, row by row of the upper half.
    #[inline(always)]
    pub fn each(&self, mut f: impl FnMut(Term<F>)) {
        match self {
            Self::Full { k } => {
                let mut row = 0;
                for a in 0..*k {
                    for b in a..*k {
                        f(Term { a, b, slot: a * k + b, row, coefficient: F::one() });
                        row += 1;
                    }
                }
            }
            Self::Pairs { pairs, .. } => {
                for (row, &(a, b)) in pairs.iter().enumerate() {
                    f(Term { a, b, slot: row, row, coefficient: F::one() });
                }
            }
            Self::Trace { signs } => {
                for (a, &coefficient) in signs.iter().enumerate() {
                    f(Term { a, b: a, slot: 0, row: 0, coefficient });
                }
            }
            Self::Sum { terms, .. } => {
                for &(a, b, coefficient) in terms {
                    f(Term { a, b, slot: 0, row: 0, coefficient });
                }
            }
            Self::Form { k, matrix } => {
                for a in 0..*k {
                    f(Term { a, b: a, slot: 0, row: 0, coefficient: matrix[a * k + a] });
                    for b in a + 1..*k {
                        f(Term { a, b, slot: 0, row: 0, coefficient: F::of(2.0) * matrix[a * k + b] });
                    }
                }
            }
        }
    }

    /// The cotangents `h` of the slots as a symmetric (k, k) matrix `B` such that the loss is tr(B H).
    pub fn weight_matrix(&self, h: &[F], out: &mut [F]) {
        let k = self.k();
        out.fill(F::zero());
        if let Self::Full { .. } = self {
            for a in 0..k {
                for b in 0..k {
                    out[a * k + b] = F::of(0.5) * (h[a * k + b] + h[b * k + a]);
                }
            }
            return;
        }
        if let Self::Form { matrix, .. } = self {
            return out.iter_mut().zip(matrix).for_each(|(out, &b)| *out = b * h[0]);
        }
        // ANCHOR: weight_matrix
        self.each(|t| {
            let half = F::of(0.5) * t.coefficient * h[t.slot];
            out[t.a * k + t.b] += half;
            out[t.b * k + t.a] += half;
        });
        // ANCHOR_END: weight_matrix
    }
}
