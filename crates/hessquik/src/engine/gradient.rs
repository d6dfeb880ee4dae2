//! Gradients of the weights, as blocks of the maps of each stage.
use super::gemm::{Mat, gemm};
use super::linear::Lin;
use super::program::{Program, Stage};
use super::reverse_kernels::add_rows;
use super::start::Start;
use crate::Real;

/// Gradients of the weights of one stage: of the blocks of M, S and W, and of b and c.
#[derive(Debug)]
pub(crate) struct StageGradient<F> {
    pub m: Vec<F>,
    pub s: Vec<F>,
    pub w: Vec<F>,
    pub b: Vec<F>,
    pub c: Vec<F>,
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

    /// Adds the gradient of `M` and `S` at `stage` that they stand for.
    pub fn finish(&self, start: &Start<F>, stage: &Stage<F>, gradient: &mut StageGradient<F>) {
        let Stage::Site(site) = stage else { return };
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
        add(&site.m, &self.m, &mut gradient.m);
        add(&site.s, &self.s, &mut gradient.s);
    }
}

/// Gradients of all weights, as blocks.
#[derive(Debug)]
pub(crate) struct WeightGradient<F> {
    pub stages: Vec<StageGradient<F>>,
}

impl<F: Real> WeightGradient<F> {
    pub fn new(program: &Program<F>) -> Self {
        let zeros = |n: usize| vec![F::zero(); n];
        let of = |stage: &Stage<F>| match stage {
            Stage::Smooth(_) => StageGradient { m: vec![], s: vec![], w: vec![], b: vec![], c: vec![] },
            Stage::Site(site) => StageGradient {
                m: zeros(site.m.gradient_len()),
                s: zeros(site.s.gradient_len()),
                w: zeros(site.w.gradient_len()),
                b: zeros(if site.b_theta.is_some() { site.p } else { 0 }),
                c: zeros(if site.c_theta.is_some() { site.n_out } else { 0 }),
            },
        };
        Self { stages: program.stages.iter().map(of).collect() }
    }

    /// The same memory, all zero.
    pub fn zeroed(mut self) -> Self {
        self.stages.iter_mut().flat_map(StageGradient::parts).for_each(|part| part.fill(F::zero()));
        self
    }

    pub fn add(&mut self, other: &Self) {
        for (to, from) in self.stages.iter_mut().zip(&other.stages) {
            let from = [&from.m, &from.s, &from.w, &from.b, &from.c];
            to.parts().into_iter().zip(from).for_each(|(to, from)| add_rows(1, from, to));
        }
    }

    /// Adds them to the flat gradient of all weights.
    pub fn route(&self, program: &Program<F>, theta: &mut [F]) {
        for (stage, g) in program.stages.iter().zip(&self.stages) {
            let Stage::Site(site) = stage else { continue };
            site.m.route(&g.m, theta);
            site.s.route(&g.s, theta);
            site.w.route(&g.w, theta);
            for (from, bar) in [(site.b_theta, &g.b), (site.c_theta, &g.c)] {
                if let Some(from) = from {
                    theta[from..].iter_mut().zip(bar).for_each(|(t, &b)| *t += b);
                }
            }
        }
    }
}
