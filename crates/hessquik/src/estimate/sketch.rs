//! Traces of which a part is exact: Hutch++ (Meyer, Musco, Musco, Woodruff, *Hutch++: Optimal stochastic trace
//! estimation*, 2021), at each point and for each output.
//!
//! Products of the Hessian with random directions span what is large of it, with an orthonormal basis Q. Then
//! `tr H = tr(Q H Q^T) + tr((1 - P) H (1 - P))` with `P = Q^T Q`: the first trace is exact, and the second is estimated
//! from random directions of which P is taken away.
use super::{BLOCK, Estimate, Moments, Run, draw};
use crate::{Error, Init, Layer, Network, PointDirections, Prepared, Real, Request};
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, Slice, s};

impl<F: Real, L: Layer<F> + ?Sized> Run<'_, F, L> {
    /// The Laplacian, with bases of `options.sketch` directions.
    pub(super) fn sketched(&self) -> Result<Option<Estimate<F>>, Error> {
        let (n, d) = self.x.dim();
        let (count, rank) = (self.options.directions, self.options.sketch.min(d));
        let network = Network::new(vec![self.layer.clone_box()])?;
        let outputs = match &self.options.outputs {
            Some(u) => u.clone(),
            None => Array2::eye(network.dim_output()),
        };
        let mut init = Init::seed(self.options.seed);
        let products = draw::<F>(&mut init, self.options.kind, rank, d);
        let basis = PointDirections::new(&network, rank)?;
        let together = (BLOCK / (d * rank)).clamp(1, count);
        let rests = PointDirections::new(&network, together)?;
        let mut found = Estimate { mean: Array2::zeros((n, outputs.ncols())), standard_error: Array2::zeros((0, 0)) };
        found.standard_error = found.mean.clone();
        for (r, u) in outputs.axis_iter(Axis(1)).enumerate() {
            let u = u.to_owned().insert_axis(Axis(1));
            let request = Request::new().outputs(u.clone()).products(products.clone());
            let spans = Prepared::new(&network, request)?;
            let (trace, squares) =
                (Request::new().outputs(u.clone()).laplacian(), Request::new().outputs(u).diagonal());
            let block = (BLOCK / (d * rank.max(together))).max(1);
            // shared directions are the same for every block of points
            let mut shared = init.clone();
            for from in (0..n).step_by(block) {
                if !(self.go_on)() {
                    return Ok(None);
                }
                let rows = Slice::from(from..(from + block).min(n));
                let x = self.x.slice_axis(Axis(0), rows);
                let spans = spans.evaluate(&x)?.products.expect("asked for");
                let mut q = Array3::zeros((x.nrows(), rank, d));
                q.assign(&spans.index_axis(Axis(3), 0).permuted_axes([0, 2, 1]));
                q.outer_iter_mut().for_each(orthonormalise);
                let exact = basis.evaluate(&x, &q.view(), &trace)?.laplacian.expect("asked for");
                let mut own = shared.clone();
                let mut moments = Moments::default();
                for first in (0..count).step_by(together) {
                    let more = together.min(count - first);
                    // of fewer directions than `together`, the rest are zeros that nobody reads
                    let mut v = Array3::zeros((x.nrows(), together, d));
                    let common = (!self.options.per_point).then(|| draw::<F>(&mut own, self.options.kind, more, d));
                    for (mut v, q) in v.outer_iter_mut().zip(q.outer_iter()) {
                        let mut v = v.slice_mut(s![..more, ..]);
                        match &common {
                            Some(common) => v.assign(common),
                            None => v.assign(&draw(&mut own, self.options.kind, more, d)),
                        }
                        take_away(v, q);
                    }
                    let found = rests.evaluate(&x, &v.view(), &squares)?.diagonal.expect("asked for");
                    found.axis_iter(Axis(1)).take(more).for_each(|sample| moments.add(sample, 1.0));
                }
                if self.options.per_point {
                    shared = own;
                }
                let rest: Estimate<F> = moments.estimate();
                let put = |to: &mut Array2<F>, what: ArrayView2<F>| {
                    to.slice_mut(s![from..from + x.nrows(), r..r + 1]).assign(&what);
                };
                put(&mut found.mean, (&rest.mean + &exact).view());
                put(&mut found.standard_error, rest.standard_error.view());
            }
        }
        Ok(Some(found))
    }
}

/// An orthonormal basis of what the rows span, by Gram and Schmidt, twice; zeros in place of rows that add nothing to it.
fn orthonormalise<F: Real>(mut rows: ArrayViewMut2<F>) {
    for i in 0..rows.nrows() {
        let (before, mut from_here) = rows.view_mut().split_at(Axis(0), i);
        let mut row = from_here.slice_mut(s![0..1, ..]);
        let norm = |row: &ArrayViewMut2<F>| row.iter().map(|v| *v * *v).fold(F::zero(), |a, b| a + b).sqrt();
        let largest = row.iter().fold(F::zero(), |most, v| most.max(v.abs()));
        if largest > F::zero() && largest.is_finite() {
            // squares neither overflow nor vanish
            row.mapv_inplace(|v| v / largest);
        }
        let whole = norm(&row);
        take_away(row.view_mut(), before.view());
        take_away(row.view_mut(), before.view());
        let left = norm(&row);
        // what is left of a dependent row is rounding
        let scale = if left > whole * F::epsilon() * F::of(64.0) { left.recip() } else { F::zero() };
        row.mapv_inplace(|v| if scale == F::zero() { F::zero() } else { v * scale });
    }
}

/// The rows without their parts along orthonormal ones.
fn take_away<F: Real>(mut rows: ArrayViewMut2<F>, basis: ArrayView2<F>) {
    if basis.nrows() > 0 {
        let parts = rows.dot(&basis.t()).dot(&basis);
        rows -= &parts;
    }
}
