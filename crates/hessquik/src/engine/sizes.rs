//! The sizes that the plan needs: of the stages of a network, and of the work.
use super::kind::Kind;
use super::program::Stage;
use crate::Real;

/// Sizes of a stage, and multiply-adds x 2 of one row through each of its maps.
pub(crate) struct StageSizes {
    pub n: f64,
    pub p: f64,
    pub n_out: f64,
    pub m: f64,
    pub s: f64,
    pub w: f64,
    pub folds: bool,
    pub smooth: bool,
}

impl StageSizes {
    /// One row through the whole stage.
    pub fn flops(&self) -> f64 {
        self.m + self.s + self.w
    }
}

impl<F: Real> Stage<F> {
    pub(crate) fn sizes(&self) -> StageSizes {
        let (n, p, n_out) = (self.n() as f64, self.p() as f64, self.n_out() as f64);
        match self {
            Self::Site(site) => {
                let (m, s, w) = (site.m.flops(), site.s.flops(), site.w.flops());
                StageSizes { n, p, n_out, m, s, w, folds: site.folds().is_some(), smooth: false }
            }
            Self::Smooth(_) => {
                StageSizes { n, p, n_out, m: 4.0 * n * n_out, s: 0.0, w: 0.0, folds: false, smooth: true }
            }
        }
    }
}

/// What is asked of the sweeps: tangents, terms and rows of a [`Kind`], output directions, and whether the gradient is
/// wanted too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub k: f64,
    pub terms: f64,
    /// Elementwise passes over a site where a Hessian is carried forward, and flops of its products there.
    pub carried: [f64; 2],
    pub rows: f64,
    pub q: f64,
    pub gradient: bool,
    pub outputs: f64,
}

impl Work {
    pub fn new<F: Real>(kind: &Kind<F>, q: usize, gradient: bool) -> Self {
        let outputs = (q * kind.len()) as f64;
        let (k, terms, rows) = (kind.k() as f64, kind.terms() as f64, kind.rows() as f64);
        let (terms, carried) = match kind {
            // a product with half the matrix serves all outputs
            Kind::Form { .. } => (k + k * k / (2.0 * q as f64), [k, k * k]),
            _ => (terms, [terms, 0.0]),
        };
        Self { k, terms, carried, rows, q: q as f64, gradient, outputs }
    }

    /// First derivatives alone.
    pub fn first_order(k: usize, q: usize) -> Self {
        Self {
            k: k as f64,
            terms: 0.0,
            carried: [0.0; 2],
            rows: 0.0,
            q: q as f64,
            gradient: true,
            outputs: (k * q) as f64,
        }
    }
}
