//! Steps that are products of matrices.
use crate::product::product;
use crate::tensors::rows_times;
use burn::tensor::Tensor;
use hessquik::schedule::{DotPlace, GramPlace, Place};

/// Matrices (samples, rows, g, m, n) among the features of a buffer.
struct Matrices {
    entries: Tensor<3>,
    /// (g, m, n) as they are stored, and whether they are used the other way round.
    dims: [usize; 3],
    turned: bool,
}

impl Matrices {
    fn new(entries: Tensor<3>, dims: [usize; 3], turned: bool) -> Self {
        Self { entries, dims, turned }
    }

    fn turn(self) -> Self {
        Self { turned: !self.turned, ..self }
    }

    /// Whether all samples and rows have the same.
    fn single(&self) -> bool {
        let [samples, rows, _] = self.entries.dims();
        samples == 1 && rows == 1
    }

    /// As a tensor of matrices as they are used.
    fn tensor(self) -> Tensor<5> {
        let ([samples, rows, _], [g, m, n]) = (self.entries.dims(), self.dims);
        match (self.turned, m == 1 || n == 1) {
            (false, _) => self.entries.reshape([samples, rows, g, m, n]),
            (true, true) => self.entries.reshape([samples, rows, g, n, m]),
            (true, false) => self.entries.reshape([samples, rows, g, m, n]).swap_dims(3, 4),
        }
    }
}

/// The step of a product `Y = A B` for each sample and row, where an operand of one row or sample meets all: features of
/// the missing place.
pub(super) fn matrices(place: Place, a: Tensor<3>, b: Tensor<3>, [g, r, s, t]: [usize; 4]) -> Tensor<3> {
    let (left, right) = match place {
        Place::Y => (Matrices::new(a, [g, r, s], false), Matrices::new(b, [g, s, t], false)),
        Place::A => (Matrices::new(a, [g, r, t], false), Matrices::new(b, [g, s, t], true)),
        Place::B => (Matrices::new(a, [g, r, s], true), Matrices::new(b, [g, r, t], false)),
    };
    let y = match left.single() && !right.single() {
        // Y^T = B^T A^T
        true => {
            let y = times(right.turn(), left.turn());
            let [samples, rows, g, n, m] = y.dims();
            if n == 1 || m == 1 { y.reshape([samples, rows, g, m, n]) } else { y.swap_dims(3, 4) }
        }
        false => times(left, right),
    };
    let [samples, rows, g, m, n] = y.dims();
    y.reshape([samples, rows, g * m * n])
}

fn times(left: Matrices, right: Matrices) -> Tensor<5> {
    let single = right.single();
    let (left, right) = (left.tensor(), right.tensor());
    let ([samples, rows, g, m, k], n) = (left.dims(), right.dims()[4]);
    if single && g == 1 {
        let all = rows_times(left.reshape([samples, rows * m, k]), right.reshape([k, n]));
        return all.reshape([samples, rows, 1, m, n]);
    }
    if single {
        let all = left.permute([2, 0, 1, 3, 4]).reshape([g, samples * rows * m, k]);
        let all = product(all, right.reshape([g, k, n]));
        return all.reshape([g, samples, rows, m, n]).permute([1, 2, 0, 3, 4]);
    }
    if k == 1 {
        return left * right;
    }
    product(left, right)
}

/// `X Y` for each sample, either of which may have one sample for all.
fn each(x: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
    match (x.dims()[0], y.dims()[0]) {
        (_, 1) => rows_times(x, y.squeeze_dim(0)),
        (1, _) => rows_times(y.swap_dims(1, 2), x.squeeze_dim::<2>(0).transpose()).swap_dims(1, 2),
        _ => product(x, y),
    }
}

/// The step of a sum over features, of rows that meet.
pub(super) fn dot(place: DotPlace, a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    match place {
        DotPlace::D => {
            let met = each(a, b.swap_dims(1, 2));
            let [samples, q, k] = met.dims();
            met.reshape([samples, 1, q * k])
        }
        DotPlace::G => each(table(a, b.dims()[1]), b),
        DotPlace::T => {
            let (n, q) = (a.dims()[2], b.dims()[1]);
            each(table(a, n / q).swap_dims(1, 2), b)
        }
    }
}

/// The features of one row as a table with so many columns.
fn table(x: Tensor<3>, columns: usize) -> Tensor<3> {
    let [samples, _, n] = x.dims();
    x.reshape([samples, n / columns, columns])
}

/// The step of a sum over sites; `same` if both tangents are one buffer.
pub(super) fn gram(place: GramPlace, [a, b, t]: [Tensor<3>; 3], c: f64, same: bool) -> Tensor<3> {
    let k = t.dims()[1];
    match place {
        GramPlace::H => {
            let (weights, s) = (a, b);
            let weighted = s.unsqueeze_dim::<4>(1) * weights.unsqueeze_dim::<4>(2);
            let [samples, q, _, n] = weighted.dims();
            let half = each(weighted.reshape([samples, q * k, n]), t.swap_dims(1, 2));
            let samples = half.dims()[0];
            let sum = match same {
                true => half * c,
                false => {
                    let half = half.reshape([samples, q, k, k]) * (0.5 * c);
                    (half.clone() + half.swap_dims(2, 3)).reshape([samples, q * k, k])
                }
            };
            sum.reshape([samples, 1, q * k * k])
        }
        GramPlace::C => {
            let (h, s) = (table(a, k), b);
            // sum_ab h[r, a, b] s[i, a] t[i, b]
            let one = |s: Tensor<3>, t: Tensor<3>| {
                let through = each(h.clone(), t);
                let [samples, all, n] = through.dims();
                let met = through.reshape([samples, all / k, k, n]) * s.unsqueeze_dim::<4>(1);
                let [samples, q, _, n] = met.dims();
                met.sum_dim(2).reshape([samples, q, n])
            };
            match same {
                true => one(s, t) * c,
                false => (one(s.clone(), t.clone()) + one(t, s)) * (0.5 * c),
            }
        }
        GramPlace::S => {
            let (h, weights) = (a, b);
            let [samples, _, all] = h.dims();
            let q = all / (k * k);
            let h = h.reshape([samples, q, k, k]);
            let both = (h.clone() + h.swap_dims(2, 3)).reshape([samples, q * k, k]);
            let through = each(both, t);
            let [samples, _, n] = through.dims();
            let met = through.reshape([samples, q, k, n]) * weights.unsqueeze_dim::<4>(2);
            let samples = met.dims()[0];
            met.sum_dim(1).reshape([samples, k, n]) * (0.5 * c)
        }
    }
}
