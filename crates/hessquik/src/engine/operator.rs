//! The operator tr(B H): along which directions tangents go, and how their products are weighed.
//!
//! `B = R^T P R`, where the rows `R` are the directions and `P` says which products of two of them count. In most cases `R`
//! is the identity and `P` is `B`, so that the result is as exact as the sum of `B H` entry by entry; nothing is factored.
//! Where `B` has few eigenvalues that are not zero, few rows suffice. And where the first layer is without a skip, all that
//! counts of `B` is the small matrix `S = M^T B M`:
//!
//! ```text
//! tr(B H) = tr(B M C M^T) = tr(S C)        with C the Hessian with respect to the z of the first layer
//! ```
use super::call::{Call, Job, Sink};
use super::compress::compress_rows;
use super::gemm::{Mat, gemm};
use super::kind::Kind;
use super::program::Stage;
use super::start::Start;
use crate::{Error, Real, Request};
use ndarray::Array2;

/// `B = R^T P R`.
struct Operator<F> {
    /// `R` (r, k); none for the identity.
    rows: Option<Vec<F>>,
    /// `P`, as what is summed of the products along the rows.
    kind: Kind<F>,
}

/// Up to this many directions are not worth a search for fewer, or a matrix.
const FEW: usize = 4;
/// Most rows of an operator of low rank.
const MOST: usize = 48;

impl<F: Real> Operator<F> {
    fn new(b: &Array2<F>) -> Self {
        let k = b.nrows();
        let half = F::of(0.5);
        let symmetric = Array2::from_shape_fn((k, k), |(i, j)| half * b[[i, j]] + half * b[[j, i]]);
        let used: Vec<usize> = (0..k).filter(|&i| symmetric.row(i).iter().any(|&x| x != F::zero())).collect();
        let r = used.len();
        let unit = |index: &[usize], scale: &dyn Fn(usize) -> F| {
            let mut rows = vec![F::zero(); index.len() * k];
            index.iter().enumerate().for_each(|(e, &i)| rows[e * k + i] = scale(i));
            rows
        };
        if r == 0 {
            // one direction of length zero: the sweeps need a tangent
            return Self { rows: Some(vec![F::zero(); k]), kind: Kind::Trace { signs: vec![F::one()] } };
        }
        if (0..k).all(|i| (0..i).all(|j| symmetric[[i, j]] == F::zero())) {
            let rows = unit(&used, &|i| symmetric[[i, i]].abs().sqrt());
            let signs = used.iter().map(|&i| symmetric[[i, i]].signum()).collect();
            return Self { rows: Some(rows), kind: Kind::Trace { signs } };
        }
        if r > 2 * FEW
            && let Some(few) = low_rank(&symmetric)
        {
            return few;
        }
        let rows = (r < k).then(|| unit(&used, &|_| F::one()));
        let pairs = used.iter().flat_map(|&i| used.iter().map(move |&j| (i, j)));
        Self { rows, kind: form(r, pairs.map(|at| symmetric[at]).collect()) }
    }
}

/// `tr(B H)` for a symmetric matrix (k, k): term by term if these are few.
fn form<F: Real>(k: usize, matrix: Vec<F>) -> Kind<F> {
    let upper = || (0..k).flat_map(|a| (a..k).map(move |b| (a, b))).filter(|(a, b)| matrix[a * k + b] != F::zero());
    let most = (3 * k).max(FEW * (FEW + 1) / 2);
    if upper().take(most + 1).count() > most {
        return Kind::Form { k, matrix };
    }
    let weight = |a: usize, b: usize| if a == b { matrix[a * k + b] } else { F::of(2.0) * matrix[a * k + b] };
    Kind::Sum { k, terms: upper().map(|(a, b)| (a, b, weight(a, b))).collect() }
}

/// What [`low_rank`] has found so far: rows `R` (r, k), `P R`, and the blocks of `P` on its diagonal.
#[derive(Default)]
struct Found {
    rows: Vec<Vec<f64>>,
    weighed: Vec<Vec<f64>>,
    blocks: Vec<Block>,
}

enum Block {
    One(f64),
    Two([f64; 3]),
}

impl Found {
    /// Row `i` of what is left of `B`.
    fn left(&self, b: &Array2<f64>, i: usize) -> Vec<f64> {
        let mut row = b.row(i).to_vec();
        for (r, w) in self.rows.iter().zip(&self.weighed) {
            let factor = r[i];
            row.iter_mut().zip(w).for_each(|(x, &w)| *x -= factor * w);
        }
        row
    }

    /// Takes the part of `B` in one row of what is left, whose entry on the diagonal is `pivot`.
    fn one(&mut self, row: Vec<f64>, pivot: f64) {
        let scale = pivot.abs().sqrt().recip();
        let row: Vec<f64> = row.into_iter().map(|x| x * scale).collect();
        self.weighed.push(row.iter().map(|x| x * pivot.signum()).collect());
        self.rows.push(row);
        self.blocks.push(Block::One(pivot.signum()));
    }

    /// The same for two rows, with the entries `[p, o, r]` of the pivot block.
    fn two(&mut self, x: Vec<f64>, y: Vec<f64>, [p, o, r]: [f64; 3]) {
        let determinant = p * r - o * o;
        let inverse = [r / determinant, -o / determinant, p / determinant];
        let weigh = |a: f64, b: f64| x.iter().zip(&y).map(|(x, y)| a * x + b * y).collect();
        self.weighed.push(weigh(inverse[0], inverse[1]));
        self.weighed.push(weigh(inverse[1], inverse[2]));
        self.rows.extend([x, y]);
        self.blocks.push(Block::Two(inverse));
    }
}

/// `B` by at most [`MOST`] rows, if that is exact up to the rounding of its entries: `L D L^T` with rook pivoting (Bunch and
/// Parlett's blocks of one or two), in double precision, of which only the rows are computed that serve as pivots.
fn low_rank<F: Real>(symmetric: &Array2<F>) -> Option<Operator<F>> {
    let k = symmetric.nrows();
    let b = symmetric.mapv(F::as_f64);
    let most = MOST.min(k / 4);
    let largest = b.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let noise = F::epsilon().as_f64() * largest;
    let alpha = (1.0 + 17f64.sqrt()) / 8.0;
    let mut diagonal: Vec<f64> = b.diag().to_vec();
    let mut found = Found::default();
    let off = |row: &[f64], i: usize| {
        let entries = row.iter().enumerate().filter(|&(j, _)| j != i);
        entries.fold((i, 0.0), |m: (usize, f64), (j, x)| if x.abs() > m.1 { (j, x.abs()) } else { m })
    };
    while found.rows.len() <= most {
        let mut i = (0..k).fold(0, |m, j| if diagonal[j].abs() > diagonal[m].abs() { j } else { m });
        let mut row = found.left(&b, i);
        let (mut j, mut size) = off(&row, i);
        if row[i].abs().max(size) <= (2 + found.rows.len()) as f64 * noise {
            break;
        }
        let before = found.rows.len();
        // rook pivoting goes to larger and larger entries, so it ends; a few steps are the rule
        for _ in 0..k {
            if row[i].abs() >= alpha * size {
                let pivot = row[i];
                found.one(std::mem::take(&mut row), pivot);
                break;
            }
            let other = found.left(&b, j);
            let (next, larger) = off(&other, j);
            if other[j].abs() < alpha * larger && larger <= size {
                let block = [row[i], row[j], other[j]];
                found.two(std::mem::take(&mut row), other, block);
                break;
            }
            (i, row, j, size) = (j, other, next, larger);
        }
        for (row, weighed) in found.rows[before..].iter().zip(&found.weighed[before..]) {
            diagonal.iter_mut().zip(row).zip(weighed).for_each(|((d, r), w)| *d -= r * w);
        }
    }
    if found.rows.len() > most {
        return None;
    }
    found.operator(&b)
}

impl Found {
    /// The rows in the precision of `F`, if `B` is what they make up to the rounding of entries of its size, and they do
    /// not make it as a difference of much larger numbers.
    fn operator<F: Real>(self, b: &Array2<f64>) -> Option<Operator<F>> {
        let (k, r) = (b.nrows(), self.rows.len());
        let rows: Vec<F> = self.rows.concat().into_iter().map(F::of).collect();
        let kind: Kind<F> = self.kind(r);
        let rounded: Vec<f64> = rows.iter().map(|x| x.as_f64()).collect();
        let weigh = |sizes: bool| {
            let mut weighed = vec![0.0; r * k];
            kind.each(|t| {
                // each pair counts twice, the diagonal once
                let share = t.coefficient.as_f64() * if t.a == t.b { 1.0 } else { 0.5 };
                for (to, from) in [(t.a, t.b), (t.b, t.a)].into_iter().take(if t.a == t.b { 1 } else { 2 }) {
                    for j in 0..k {
                        let x = rounded[from * k + j];
                        weighed[to * k + j] += if sizes { (share * x).abs() } else { share * x };
                    }
                }
            });
            weighed
        };
        let (signed, sizes) = (weigh(false), weigh(true));
        let absolute: Vec<f64> = rounded.iter().map(|x| x.abs()).collect();
        let scale: Vec<f64> =
            b.rows().into_iter().map(|row| row.iter().fold(0.0, |m: f64, x| m.max(x.abs()))).collect();
        let largest = scale.iter().fold(0.0_f64, |m, &x| m.max(x));
        let (mut squares, mut entry) = (0.0, [vec![0.0; k], vec![0.0; k]]);
        for i in 0..k {
            let [made, size] = &mut entry;
            for (out, by, of) in [(made, &rounded, &signed), (size, &absolute, &sizes)] {
                out.fill(0.0);
                for e in 0..r {
                    let factor = by[e * k + i];
                    out.iter_mut().zip(&of[e * k..][..k]).for_each(|(o, &x)| *o += factor * x);
                }
            }
            for j in 0..k {
                // the size of an entry that the scales of its row and column let expect
                let expected = scale[i] * scale[j] / largest;
                let error = (entry[0][j] - b[[i, j]]).abs() / F::epsilon().as_f64();
                if error > (4.0 + 2.0 * r as f64) * expected || entry[1][j] > 16.0 * expected {
                    return None;
                }
                squares += if expected > 0.0 { (error / expected).powi(2) } else { 0.0 };
            }
        }
        (squares <= 4.0 * (k * k) as f64).then_some(Operator { rows: Some(rows), kind })
    }

    /// `P`.
    fn kind<F: Real>(&self, r: usize) -> Kind<F> {
        let mut terms = Vec::new();
        let mut at = 0;
        for block in &self.blocks {
            match *block {
                Block::One(sign) => terms.push((at, at, F::of(sign))),
                Block::Two([p, o, r]) => {
                    terms.extend([(at, at, F::of(p)), (at, at + 1, F::of(2.0 * o)), (at + 1, at + 1, F::of(r))]);
                }
            }
            at += if matches!(block, Block::One(_)) { 1 } else { 2 };
        }
        match self.blocks.iter().all(|block| matches!(block, Block::One(_))) {
            true => Kind::Trace { signs: terms.iter().map(|t| t.2).collect() },
            false => Kind::Sum { k: r, terms },
        }
    }
}

/// `P Y` for rows `y` (r, n).
fn weigh<F: Real>(kind: &Kind<F>, y: &[F], n: usize) -> Vec<F> {
    let r = kind.k();
    let mut out = vec![F::zero(); r * n];
    if let Kind::Form { matrix, .. } = kind {
        gemm(false, Mat::new(matrix, r, r, r), Mat::new(y, r, n, n), &mut out, n);
        return out;
    }
    kind.each(|t| {
        let share = if t.a == t.b { t.coefficient } else { F::of(0.5) * t.coefficient };
        for (to, from) in [(t.a, t.b), (t.b, t.a)].into_iter().take(if t.a == t.b { 1 } else { 2 }) {
            (0..n).for_each(|j| out[to * n + j] += share * y[from * n + j]);
        }
    });
    out
}

impl<F: Real> Call<F> {
    /// A trace along the directions, or with `b` the operator `tr(B H)`; where the first layer is without a skip, along no
    /// more than twice its width.
    pub(super) fn add_trace(
        &mut self,
        name: &'static str,
        field: usize,
        b: Option<&Array2<F>>,
        request: &Request<F>,
    ) -> Result<(), Error> {
        let (k, d) = (self.k, self.d);
        let Operator { rows, mut kind } = match b {
            None => Operator { rows: None, kind: Kind::Trace { signs: vec![F::one(); k] } },
            Some(b) => Operator::new(b),
        };
        let r = kind.k();
        let v = match (rows, &self.v) {
            (None, v) => v.clone(),
            (rows, None) => rows,
            (Some(rows), Some(v)) => {
                let mut along = vec![F::zero(); r * d];
                gemm(false, Mat::new(&rows, r, k, k), Mat::new(v, k, d, d), &mut along, d);
                Some(along)
            }
        };
        let mut along_v = b.is_none();
        let mut start = self.start_along(v.as_deref(), r);
        match &self.program.stages[0] {
            // squares of what the first layer makes may overflow
            _ if self.careful => {
                if let Kind::Trace { signs } = &kind {
                    kind = Kind::Sum { k: r, terms: signs.iter().enumerate().map(|(a, &sign)| (a, a, sign)).collect() };
                }
            }
            Stage::Site(site) if site.s.is_zero() && r > site.p => {
                kind = self.compressed(kind, &mut start, site.p);
                along_v = false;
            }
            _ if matches!(kind, Kind::Form { .. }) => {
                let flops: f64 = self.program.stages.iter().map(|s| s.sizes().flops()).sum();
                if (r * self.program.sites()) as f64 > flops {
                    // as many rows again, `P R`, cost less than their products with `P` at every site
                    let rows = v.unwrap_or_else(|| unit_rows(d));
                    let rows = [&rows[..], &weigh(&kind, &rows, d)].concat();
                    start = self.start_along(Some(&rows), 2 * r);
                    kind = Kind::Sum { k: 2 * r, terms: (0..r).map(|a| (a, r + a, F::one())).collect() };
                }
            }
            _ => {}
        }
        self.add_task(name, Job::Curvature, kind, start, along_v, vec![(field, Sink::All)], request)
    }

    /// The same trace along at most twice `p` rows in the place of the `R M` of `start`.
    fn compressed(&self, kind: Kind<F>, start: &mut Start<F>, p: usize) -> Kind<F> {
        let r = start.r;
        start.through_s.clear();
        start.fixed.clear();
        if let Kind::Trace { signs } = kind {
            let (z, signs, o) = compress_rows(&start.through_m, &signs, p);
            (start.r, start.through_m, start.expand) = (signs.len(), z, Some(o));
            return Kind::Trace { signs };
        }
        // S = Y^T P Y with Y = R M
        let y = Mat::new(&start.through_m, r, p, p);
        let weighed = weigh(&kind, &start.through_m, p);
        let mut s = vec![F::zero(); p * p];
        gemm(false, y.t(), Mat::new(&weighed, r, p, p), &mut s, p);
        let half = F::of(0.5);
        let s: Vec<F> = (0..p * p).map(|i| half * s[i] + half * s[i % p * p + i / p]).collect();
        if !self.reverses {
            (start.r, start.through_m) = (p, unit_rows(p));
            return form(p, s);
        }
        // The rows I and S side by side, with products of their pairs: the cotangent of the rows S is C, summed over the
        // samples, and that of Y follows as 2 P Y C.
        let mut o = vec![F::zero(); r * 2 * p];
        for (o, weighed) in o.chunks_exact_mut(2 * p).zip(weighed.chunks_exact(p)) {
            o[p..].iter_mut().zip(weighed).for_each(|(o, &w)| *o = F::of(2.0) * w);
        }
        (start.r, start.through_m, start.expand) = (2 * p, [unit_rows(p), s].concat(), Some(o));
        Kind::Sum { k: 2 * p, terms: (0..p).map(|j| (j, p + j, F::one())).collect() }
    }
}

/// The identity of `n` features.
fn unit_rows<F: Real>(n: usize) -> Vec<F> {
    (0..n * n).map(|i| if i / n == i % n { F::one() } else { F::zero() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Init;

    /// `R^T P R`.
    fn made<F: Real>(operator: &Operator<F>, k: usize) -> Array2<f64> {
        let r = operator.kind.k();
        let rows = operator.rows.clone().unwrap_or_else(|| unit_rows(k));
        let rows = Array2::from_shape_vec((r, k), rows).unwrap().mapv(F::as_f64);
        let mut middle = Array2::zeros((r, r));
        operator.kind.each(|t| {
            middle[[t.a, t.b]] += 0.5 * t.coefficient.as_f64();
            middle[[t.b, t.a]] += 0.5 * t.coefficient.as_f64();
        });
        rows.t().dot(&middle).dot(&rows)
    }

    fn random(rows: usize, cols: usize, seed: u64) -> Array2<f64> {
        Init::seed(seed).kaiming_uniform(rows, cols, 1.0 / (cols as f64).sqrt())
    }

    fn precisions<F: Real>(b: &Array2<f64>, most_rows: usize, exact: bool) {
        let (b, k) = (b.mapv(F::of), b.nrows());
        let operator = Operator::new(&b);
        assert!(operator.kind.k() <= most_rows, "{} rows, expected {most_rows}", operator.kind.k());
        let symmetric = Array2::from_shape_fn((k, k), |(i, j)| 0.5 * (b[[i, j]].as_f64() + b[[j, i]].as_f64()));
        let largest = symmetric.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        for (found, wanted) in made(&operator, k).iter().zip(&symmetric) {
            let bound = F::epsilon().as_f64() * if exact { 2.0 * wanted.abs() } else { 40.0 * largest };
            assert!((found - wanted).abs() <= bound, "{found:e} for {wanted:e} of {k}");
        }
    }

    fn both(b: &Array2<f64>, most_rows: usize, exact: bool) {
        precisions::<f32>(b, most_rows, exact);
        precisions::<f64>(b, most_rows, exact);
    }

    #[test]
    fn operators_are_made_of_few_rows_to_the_last_digits() {
        let matrix = |n: usize, b: &[f64]| Array2::from_shape_vec((n, n), b.to_vec()).unwrap();
        // waves, rank one, a mixed one, zero, one that is not symmetric
        both(&matrix(2, &[0.0, 1.0, 1.0, 0.0]), 2, true);
        both(&matrix(2, &[4.0, -2.0, -2.0, 1.0]), 2, true);
        both(&matrix(3, &[1.0, 2.0, 3.0, 2.0, -5.0, 0.5, 3.0, 0.5, 0.0]), 3, true);
        both(&Array2::zeros((5, 5)), 1, true);
        both(&matrix(2, &[1.0, 3.0, -1.0, 0.0]), 2, true);
        // small entries beside large ones
        both(&matrix(3, &[1e20, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1e-30]), 3, true);
        both(
            &matrix(4, &[0.0, 1e18, 0.0, 0.0, 1e18, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, -1.0, 0.0, 0.0, -1.0, 0.0]),
            4,
            true,
        );
        // few entries of many
        let mut sparse = Array2::zeros((50, 50));
        (sparse[[3, 40]], sparse[[40, 3]], sparse[[7, 7]]) = (2.0, 2.0, -1.0);
        both(&sparse, 3, true);
    }

    #[test]
    #[cfg_attr(miri, ignore = "large operators")]
    fn low_rank_is_found_and_nothing_else_is_taken_for_it() {
        for k in [9, 40, 200] {
            for r in [1, 2, 5, 20] {
                if 4 * r > k {
                    continue;
                }
                let a = random(k, r, k as u64);
                // rows of very different sizes too
                let graded = Array2::from_shape_fn((k, r), |(i, j)| a[[i, j]] * 10f64.powi(i as i32 % 7 - 3));
                for a in [a.clone(), graded] {
                    both(&a.dot(&a.t()), k, false);
                }
                let signs = Array2::from_shape_fn((r, r), |(i, j)| f64::from(i == j) * (0.5 - (i % 2) as f64));
                let rows = if k > 9 && r < 20 { r + 1 } else { k };
                both(&a.dot(&a.t()), rows, false);
                both(&a.dot(&signs).dot(&a.t()), rows, false);
                // a shift that is small, but not noise, is kept to its digits
                let shifted = a.dot(&a.t()) + Array2::<f64>::eye(k) * 1e-9;
                precisions::<f64>(&shifted, k, true);
                assert_eq!(Operator::new(&shifted).kind.k(), k);
            }
            let full = random(k, k, 3);
            both(&(&full + &full.t()), k, true);
            both(&full.dot(&full.t()), k, true);
        }
    }
}
