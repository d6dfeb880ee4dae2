//! What tangents start with, and what stays of it from layer to layer.
//!
//! Input convex networks carry their input along: their state is `(u, x)`. The tangents of `x` are the rows that they
//! started with, for every sample and at every layer, and so is what the layer makes of them:
//!
//! ```text
//! A_i = T_{i-1} M_i = T_u L_i + R K_i          with R K_i computed once for all samples
//! ```
use super::kernels::copy_rows;
use super::program::{Site, Stage};
use crate::Real;

/// Columns of tangents that are the same for all samples: those from `varying` on, up to the last.
#[derive(Clone, Debug)]
pub(crate) struct Fixed<F> {
    pub varying: usize,
    /// What `M` makes of them (r, p); empty where they are too few to care.
    pub through_m: Vec<F>,
}

impl<F: Real> Fixed<F> {
    /// `A = T M` at `site` for `r` tangents of each sample, rows of `a` with `width` entries from row to row.
    pub fn tangents(&self, site: &Site<F>, (ns, r): (usize, usize), t: &[F], a: &mut [F], width: usize) {
        // ANCHOR: fixed
        for_every_sample(&self.through_m, (ns, r, site.p), a, width);
        site.m.apply_first(self.varying, ns * r, t, site.n, a, width);
        // ANCHOR_END: fixed
    }
}

/// Copies `rows` (r, p) to each of `ns` samples, with `width` entries from row to row.
pub(crate) fn for_every_sample<F: Real>(rows: &[F], (ns, r, p): (usize, usize, usize), to: &mut [F], width: usize) {
    (0..ns).for_each(|s| copy_rows(false, (r, p), (rows, p), F::one(), &mut to[s * r * width..], width));
}

/// So many fixed columns make up for the pass that adds their part.
const FEWEST: usize = 8;

/// How many columns of tangents vary at each stage after the first of `stages`, where none did: as long as not all do.
fn varying<F: Real>(stages: &[Stage<F>]) -> Vec<usize> {
    let mut columns = Vec::new();
    let mut before = 0;
    for stage in &stages[..stages.len() - 1] {
        let Stage::Site(site) = stage else { break };
        before = site.w.reach(site.p).max(site.s.reach(before));
        if before == site.n_out {
            break;
        }
        columns.push(before);
    }
    columns
}

/// Multiply-adds x 2 that a row of tangents is spared at a site where columns are fixed from `varying` on.
fn spared_at<F: Real>(site: &Site<F>, varying: usize) -> f64 {
    if site.n < varying + FEWEST { 0.0 } else { site.m.flops_from(varying) }
}

/// What a row is spared (flops) that starts before the first of `stages`: at the next one, at the two that follow, and so
/// on, as long as any columns are fixed.
pub(crate) fn spared<F: Real>(stages: &[Stage<F>]) -> Vec<f64> {
    let mut sum = 0.0;
    let so_far = stages[1..].iter().zip(varying(stages)).map(|(stage, varying)| {
        sum += if let Stage::Site(site) = stage { spared_at(site, varying) } else { 0.0 };
        sum
    });
    so_far.collect()
}

/// The fixed columns of `r` tangents at the stages after the first, through whose `S` they are `rows` (r, n_1).
fn fixed<F: Real>(stages: &[Stage<F>], r: usize, rows: &[F]) -> Vec<Fixed<F>> {
    let (columns, mut rows) = (varying(stages), rows.to_vec());
    let mut all = Vec::new();
    for (stage, varying) in stages[1..].iter().zip(columns) {
        let Stage::Site(site) = stage else { break };
        let (n, p, n_out) = (site.n, site.p, site.n_out);
        rows.chunks_exact_mut(n).for_each(|row| row[..varying].fill(F::zero()));
        let mut through_m = vec![];
        if spared_at(site, varying) > 0.0 {
            through_m.resize(r * p, F::zero());
            site.m.map(r, &rows, n, &mut through_m, p);
        }
        all.push(Fixed { varying, through_m });
        let mut through_s = vec![F::zero(); r * n_out];
        site.s.map(r, &rows, n, &mut through_s, n_out);
        rows = through_s;
    }
    all
}

/// Rows that all samples share, with which tangents start at a stage: `R`, `R M` and `R S`.
#[derive(Clone, Debug)]
pub(crate) struct Start<F> {
    pub r: usize,
    /// `R` (full_rows, n); empty for the identity.
    pub rows: Vec<F>,
    pub identity: bool,
    /// `R M` (r, p), empty if the stage is a smooth map.
    pub through_m: Vec<F>,
    /// `R S` (r, n').
    pub through_s: Vec<F>,
    /// Number of rows of `R`, which differs from `r` only where `r` other rows took the place of `R M`.
    pub full_rows: usize,
    /// `O` (full_rows, r) in that case: with the cotangent of `through_m` it makes that of `R M`. None if there are no
    /// gradients to come.
    pub expand: Option<Vec<F>>,
    /// What stays fixed of the tangents at the stages after the first, as far as anything does.
    pub fixed: Vec<Fixed<F>>,
}

impl<F: Real> Start<F> {
    /// The identity at the state before the first of `stages`.
    pub fn identity(stages: &[Stage<F>]) -> Self {
        let (m, s) = match &stages[0] {
            Stage::Site(site) => (site.m.to_dense(), site.s.to_dense()),
            Stage::Smooth(_) => (vec![], vec![]),
        };
        let r = stages[0].n();
        let fixed = fixed(stages, r, &s);
        Self { r, rows: vec![], identity: true, through_m: m, through_s: s, full_rows: r, expand: None, fixed }
    }

    /// The rows of `v` (r, n), at the state before the first of `stages`.
    pub fn rows(stages: &[Stage<F>], v: &[F], r: usize) -> Self {
        let (mut m, mut s) = (vec![], vec![]);
        if let Stage::Site(site) = &stages[0] {
            m.resize(r * site.p, F::zero());
            s.resize(r * site.n_out, F::zero());
            site.m.map(r, v, site.n, &mut m, site.p);
            site.s.map(r, v, site.n, &mut s, site.n_out);
        }
        let fixed = fixed(stages, r, &s);
        Self { r, rows: v.to_vec(), identity: false, through_m: m, through_s: s, full_rows: r, expand: None, fixed }
    }

    /// Row `a`, entry `j` of `R`.
    pub fn entry(&self, a: usize, j: usize, n: usize) -> F {
        match self.identity {
            true if a == j => F::one(),
            true => F::zero(),
            false => self.rows[a * n + j],
        }
    }

    /// Writes `R` for every sample.
    pub fn expand(&self, ns: usize, n: usize, out: &mut [F]) {
        for (row, out) in out.chunks_exact_mut(n).take(ns * self.r).enumerate() {
            (0..n).for_each(|j| out[j] = self.entry(row % self.r, j, n));
        }
    }

    /// What is fixed at the `j`-th stage of those that the tangents pass, where that saves enough.
    pub fn fixed_at(&self, j: usize) -> Option<&Fixed<F>> {
        self.fixed.get(j.checked_sub(1)?).filter(|fixed| !fixed.through_m.is_empty())
    }
}
