//! Fewer directions for a trace: factors of a symmetric operator, and of the first layer's rows.
use super::gemm::{Mat, gemm};
use crate::Real;

/// `B = V^T D V` with `D = +-1` for a symmetric `B` (n, n), indefinite and of any rank: the rows of `V` (r, n) and their
/// signs. Complete pivoting with blocks of one or two (Bunch and Parlett, 1971); exact zeros cost nothing.
pub(crate) fn signed_factor<F: Real>(mut b: Vec<F>, n: usize) -> (Vec<F>, Vec<F>) {
    let (mut rows, mut signs) = (Vec::new(), Vec::new());
    // what rounding may have left of each entry: entries that nothing was taken from stay, however small they are
    let mut noise = vec![F::zero(); n * n];
    let unit = F::epsilon() * F::of(4.0 * n as f64);
    // (1 + sqrt 17) / 8 bounds the growth of what is left
    let alpha = F::of((1.0 + 17f64.sqrt()) / 8.0);
    for _ in 0..n {
        let (mut diagonal, mut off) = ((F::zero(), 0), (F::zero(), 0, 0));
        for i in 0..n {
            for j in i..n {
                let x = b[i * n + j].abs();
                if i == j && x > diagonal.0 {
                    diagonal = (x, i);
                } else if i != j && x > off.0 {
                    off = (x, i, j);
                }
            }
        }
        if diagonal.0.max(off.0) == F::zero() {
            break;
        }
        let mut take = |b: &mut [F], row: Vec<F>, sign: F| {
            for i in 0..n {
                for j in 0..n {
                    let part = sign * row[i] * row[j];
                    b[i * n + j] -= part;
                    noise[i * n + j] += unit * part.abs();
                }
            }
            rows.extend_from_slice(&row);
            signs.push(sign);
        };
        if diagonal.0 >= alpha * off.0 {
            let i = diagonal.1;
            let (sign, root) = (b[i * n + i].signum(), b[i * n + i].abs().sqrt());
            let row = b[i * n..][..n].iter().map(|&x| x / root).collect();
            take(&mut b, row, sign);
        } else {
            // P^-1 = sum_e q_e q_e^T / lambda_e for the 2 x 2 block P of i and j
            let (i, j) = (off.1, off.2);
            let (p, o, r) = (b[i * n + i], b[i * n + j], b[j * n + j]);
            let (half, mean) = ((p - r) / F::of(2.0), (p + r) / F::of(2.0));
            let radius = half.hypot(o);
            let columns: Vec<(F, F)> = (0..n).map(|l| (b[i * n + l], b[j * n + l])).collect();
            for (lambda, side) in [(mean + radius, F::one()), (mean - radius, -F::one())] {
                // eigenvector of P, from the row that does not cancel
                let (x, y) =
                    if half * side >= F::zero() { (half + side * radius, o) } else { (o, side * radius - half) };
                let scale = F::one() / (x.hypot(y) * lambda.abs().sqrt());
                let row = columns.iter().map(|&(a, c)| (x * a + y * c) * scale).collect();
                take(&mut b, row, lambda.signum());
            }
        }
        b.iter_mut().zip(&noise).filter(|(b, noise)| b.abs() <= **noise).for_each(|(b, _)| *b = F::zero());
    }
    (rows, signs)
}

/// The rows of `y` (k, p) replaced by at most `p` rows of each sign with the same `Y^T D Y`: `Y = O Z`, by a QR
/// factorisation where a sign has more than `p` rows. Returns `Z` (r, p), its signs, and `O` (k, r).
pub(crate) fn compress_rows<F: Real>(y: &[F], signs: &[F], p: usize) -> (Vec<F>, Vec<F>, Vec<F>) {
    let k = signs.len();
    let (mut z, mut z_signs, mut columns): (Vec<F>, Vec<F>, Vec<Vec<F>>) = Default::default();
    for sign in [F::one(), -F::one()] {
        let group: Vec<usize> = (0..k).filter(|&a| signs[a] == sign).collect();
        let rows: Vec<F> = group.iter().flat_map(|&a| y[a * p..][..p].iter().copied()).collect();
        let (q, r) = if group.len() > p { qr(&rows, group.len(), p) } else { (identity(group.len()), rows) };
        let rank = if group.len() > p { p } else { group.len() };
        for e in 0..rank {
            let mut column = vec![F::zero(); k];
            group.iter().enumerate().for_each(|(i, &a)| column[a] = q[i * rank + e]);
            columns.push(column);
        }
        z.extend(r);
        z_signs.extend(vec![sign; rank]);
    }
    let r = columns.len();
    let mut o = vec![F::zero(); k * r];
    columns.iter().enumerate().for_each(|(e, column)| (0..k).for_each(|a| o[a * r + e] = column[a]));
    (z, z_signs, o)
}

fn identity<F: Real>(n: usize) -> Vec<F> {
    (0..n * n).map(|i| if i / n == i % n { F::one() } else { F::zero() }).collect()
}

/// `Y = Q R` with `Q` (k, p) orthonormal, by Gram-Schmidt done twice; where a column depends on those before it, its
/// column of `Q` and row of `R` are zero.
fn qr<F: Real>(y: &[F], k: usize, p: usize) -> (Vec<F>, Vec<F>) {
    let mut q = vec![F::zero(); k * p];
    let mut r = vec![F::zero(); p * p];
    let mut column = vec![F::zero(); k];
    for j in 0..p {
        (0..k).for_each(|i| column[i] = y[i * p + j]);
        let norm = |c: &[F]| c.iter().map(|&x| x * x).sum::<F>().sqrt();
        let before = norm(&column);
        for _ in 0..2 {
            let mut along = vec![F::zero(); j];
            gemm(false, Mat::new(&column, 1, k, k), Mat::new(&q, k, j, p), &mut along, j.max(1));
            for (e, &a) in along.iter().enumerate() {
                r[e * p + j] += a;
            }
            for i in 0..k {
                column[i] -= along.iter().zip(&q[i * p..]).map(|(&a, &q)| a * q).sum::<F>();
            }
        }
        let left = norm(&column);
        if left > before * F::epsilon() * F::of(8.0) {
            r[j * p + j] = left;
            (0..k).for_each(|i| q[i * p + j] = column[i] / left);
        }
    }
    (q, r)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(rows: &[f64], signs: &[f64], n: usize) -> Vec<f64> {
        let mut b = vec![0.0; n * n];
        for (row, sign) in rows.chunks(n).zip(signs) {
            for i in 0..n {
                for j in 0..n {
                    b[i * n + j] += sign * row[i] * row[j];
                }
            }
        }
        b
    }

    #[test]
    fn an_indefinite_operator_is_factored() {
        // zero diagonal (a wave operator), rank one, and a mixed one
        let cases: [(&[f64], usize); 4] = [
            (&[0.0, 1.0, 1.0, 0.0], 2),
            (&[4.0, -2.0, -2.0, 1.0], 1),
            (&[1.0, 2.0, 3.0, 2.0, -5.0, 0.5, 3.0, 0.5, 0.0], 3),
            (&[0.0; 9], 0),
        ];
        for (b, rank) in cases {
            let n = (b.len() as f64).sqrt() as usize;
            let (rows, signs) = signed_factor(b.to_vec(), n);
            assert_eq!(signs.len(), rank, "{b:?}");
            let error = product(&rows, &signs, n).iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            assert!(error < 1e-14, "{b:?}: {error}");
        }
    }

    #[test]
    fn small_entries_beside_large_ones_stay() {
        // each entry to its own digits: diagonal, and blocks of very different sizes
        let diagonal: Vec<f64> = [1e20, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1e-30].to_vec();
        let blocks: Vec<f64> =
            [0.0, 1e18, 0.0, 0.0, 1e18, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, -1.0, 0.0, 0.0, -1.0, 0.0].to_vec();
        for b in [diagonal, blocks] {
            let n = (b.len() as f64).sqrt() as usize;
            let (rows, signs) = signed_factor(b.clone(), n);
            for (found, wanted) in product(&rows, &signs, n).iter().zip(&b) {
                assert!((found - wanted).abs() <= 1e-14 * wanted.abs(), "{found} for {wanted}");
            }
        }
    }

    #[test]
    fn compressed_rows_keep_the_trace() {
        let (k, p) = (7, 2);
        let y: Vec<f64> = (0..k * p).map(|i| ((i * i) as f64).sin()).collect();
        let signs: Vec<f64> = (0..k).map(|a| if a % 3 == 0 { -1.0 } else { 1.0 }).collect();
        let (z, z_signs, o) = compress_rows(&y, &signs, p);
        assert_eq!(z_signs, [1.0, 1.0, -1.0, -1.0]);
        let (a, b) = (product(&y, &signs, p), product(&z, &z_signs, p));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-14));
        let r = z_signs.len();
        for a in 0..k {
            for j in 0..p {
                let back: f64 = (0..r).map(|e| o[a * r + e] * z[e * p + j]).sum();
                assert!((back - y[a * p + j]).abs() < 1e-14);
            }
        }
    }
}
