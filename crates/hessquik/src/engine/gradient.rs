//! Gradients of the weights, as blocks of the maps of each stage.
use super::gemm::{Mat, gemm};
use super::linear::Lin;
use super::memory::prefer_large;
use super::program::{Program, Stage};
use super::reverse_kernels::add_rows;
use super::start::Start;
use crate::Real;
use std::ops::Range;

/// Gradients of the weights of one stage: of the blocks of M, S and W, and of b and c.
#[derive(Debug, Default)]
pub(crate) struct StageGradient<F> {
    m: Vec<F>,
    pub s: Vec<F>,
    pub w: Vec<F>,
    pub b: Vec<F>,
    pub c: Vec<F>,
    /// Where the gradient of M is summed among those of all weights, if it is one large matrix of them: it need not be
    /// moved there. Until something is added to it, it is not defined.
    direct: Option<Range<usize>>,
    started: bool,
}

impl<F> StageGradient<F> {
    fn parts(&mut self) -> [&mut Vec<F>; 5] {
        [&mut self.m, &mut self.s, &mut self.w, &mut self.b, &mut self.c]
    }
}

/// Cotangents of the shared rows `R M` and `R S` that tangents start with, summed over samples.
#[derive(Debug)]
pub(crate) struct StartBar<F> {
    pub m: Vec<F>,
    pub s: Vec<F>,
}

impl<F: Real> StartBar<F> {
    pub fn new(start: &Start<F>) -> Self {
        Self { m: vec![F::zero(); start.through_m.len()], s: vec![F::zero(); start.through_s.len()] }
    }

    pub fn add(&mut self, other: &Self) {
        add_rows(1, &other.m, &mut self.m);
        add_rows(1, &other.s, &mut self.s);
    }

    /// Adds the gradient of `M` and `S` at the stage counted `at` that they stand for.
    pub fn finish(&self, start: &Start<F>, program: &Program<F>, at: usize, gradient: &mut WeightGradient<F>) {
        let Stage::Site(site) = &program.stages[at] else { return };
        let add = |lin: &Lin<F>, bar: &[F], gradient: &mut [F]| {
            if !lin.trained() || bar.is_empty() {
                return;
            }
            let expanded = start.expand.as_ref().map(|o| {
                let mut full = vec![F::zero(); start.full_rows * lin.cols];
                let (k, r) = (start.full_rows, start.r);
                gemm(false, Mat::new(o, k, r, r), Mat::new(bar, r, lin.cols, lin.cols), &mut full, lin.cols);
                full
            });
            let bar = expanded.as_deref().unwrap_or(bar);
            match start.identity {
                true => lin.add_gradient_identity(bar, gradient),
                false => lin.add_gradient(start.full_rows, &start.rows, lin.rows, bar, lin.cols, gradient),
            }
        };
        add(&site.m, &self.m, gradient.m(at));
        add(&site.s, &self.s, &mut gradient.stages[at].s);
    }
}

/// Gradients of all weights, as blocks.
#[derive(Debug)]
pub(crate) struct WeightGradient<F> {
    pub stages: Vec<StageGradient<F>>,
    /// Those that are summed where they belong, among those of all weights, which else are zero; empty if there are none.
    flat: Vec<F>,
}

/// Zeros that were not touched yet.
fn untouched<F: Real>(len: usize) -> Vec<F> {
    let mut zeros = vec![F::zero(); len];
    prefer_large(&mut zeros);
    zeros
}

impl<F: Real> WeightGradient<F> {
    /// All zero, in the memory of earlier ones that nobody wants any more.
    pub fn new(program: &Program<F>, spare: Option<Self>) -> Self {
        let mut new = spare.map_or_else(|| Self::stages(program), Self::zeroed);
        if new.flat.is_empty() && new.stages.iter().any(|stage| stage.direct.is_some()) {
            new.flat = untouched(program.n_weights);
        }
        new
    }

    fn stages(program: &Program<F>) -> Self {
        let zeros = |n: usize| vec![F::zero(); n];
        let of = |stage: &Stage<F>| {
            let mut of = StageGradient::default();
            if let Stage::Site(site) = stage {
                of.direct = site.m.direct();
                of.m = zeros(if of.direct.is_some() { 0 } else { site.m.gradient_len() });
                of.s = zeros(site.s.gradient_len());
                of.w = zeros(site.w.gradient_len());
                of.b = zeros(if site.b_theta.is_some() { site.p } else { 0 });
                of.c = zeros(if site.c_theta.is_some() { site.n_out } else { 0 });
            }
            of
        };
        Self { stages: program.stages.iter().map(of).collect(), flat: vec![] }
    }

    fn zeroed(mut self) -> Self {
        for stage in &mut self.stages {
            stage.started = false;
            stage.parts().into_iter().for_each(|part| part.fill(F::zero()));
        }
        self
    }

    /// Adds `x^T y_bar` (of `n` rows, with so many entries from row to row) to the gradient of M at the stage counted `i`.
    pub fn add_to_m(&mut self, i: usize, m: &Lin<F>, n: usize, (x, xs): (&[F], usize), (y_bar, ys): (&[F], usize)) {
        let stage = &mut self.stages[i];
        match &stage.direct {
            Some(range) => {
                let to = &mut self.flat[range.clone()];
                let (x, y_bar) = (Mat::new(x, n, xs, xs), Mat::new(y_bar, n, ys, ys));
                let (x, y_bar) = (x.columns(0, m.rows), y_bar.columns(0, m.cols));
                gemm(std::mem::replace(&mut stage.started, true), x.t(), y_bar, to, m.cols);
            }
            None => m.add_gradient(n, x, xs, y_bar, ys, &mut stage.m),
        }
    }

    /// The gradient of M at the stage counted `i`.
    fn m(&mut self, i: usize) -> &mut [F] {
        let stage = &mut self.stages[i];
        let Some(range) = &stage.direct else { return &mut stage.m };
        let m = &mut self.flat[range.clone()];
        if !std::mem::replace(&mut stage.started, true) {
            m.fill(F::zero());
        }
        m
    }

    pub fn add(&mut self, other: &Self) {
        for (to, from) in self.stages.iter_mut().zip(&other.stages) {
            if let (Some(range), true) = (&to.direct, from.started) {
                let (sum, more) = (&mut self.flat[range.clone()], &other.flat[range.clone()]);
                match std::mem::replace(&mut to.started, true) {
                    true => add_rows(1, more, sum),
                    false => sum.copy_from_slice(more),
                }
            }
            let from = [&from.m, &from.s, &from.w, &from.b, &from.c];
            to.parts().into_iter().zip(from).for_each(|(to, from)| add_rows(1, from, to));
        }
    }

    /// The flat gradient of all weights, whose memory is given away.
    pub fn take(&mut self, program: &Program<F>) -> Vec<F> {
        for i in 0..self.stages.len() {
            self.m(i);
        }
        let mut theta = std::mem::take(&mut self.flat);
        if theta.is_empty() {
            theta = untouched(program.n_weights);
        }
        for (stage, g) in program.stages.iter().zip(&self.stages) {
            let Stage::Site(site) = stage else { continue };
            if g.direct.is_none() {
                site.m.route(&g.m, &mut theta);
            }
            site.s.route(&g.s, &mut theta);
            site.w.route(&g.w, &mut theta);
            for (from, bar) in [(site.b_theta, &g.b), (site.c_theta, &g.c)] {
                if let Some(from) = from {
                    theta[from..].iter_mut().zip(bar).for_each(|(t, &b)| *t += b);
                }
            }
        }
        theta
    }
}
