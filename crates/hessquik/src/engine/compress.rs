//! Fewer directions for a trace: those of the first layer's rows.
use super::gemm::{Mat, gemm};
use crate::Real;

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
    // squares of large entries would overflow, and a column of them would pass for one that depends on the others
    let top = y.iter().fold(F::zero(), |m, x| if x.abs() > m || x.is_nan() { x.abs() } else { m });
    if top > F::zero() && top.is_finite() {
        let scale = F::of(top.as_f64().log2().floor().exp2());
        let scaled: Vec<F> = y.iter().map(|&x| x / scale).collect();
        let (q, r) = scaled_qr(&scaled, k, p);
        return (q, r.into_iter().map(|x| x * scale).collect());
    }
    let spoiled = if top > F::zero() || top.is_nan() { F::nan() } else { F::zero() };
    (vec![spoiled; k * p], vec![spoiled; p * p])
}

/// The same for entries of about 1 at most.
fn scaled_qr<F: Real>(y: &[F], k: usize, p: usize) -> (Vec<F>, Vec<F>) {
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
