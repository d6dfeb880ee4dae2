//! A Hessian carried forward, in reverse.
use super::gemm::{Mat, gemm};
use super::hessian::add_curvature;
use super::kernels::{Rows, scale_rows, vectorised};
use super::kind::Kind;
use super::program::Stage;
use super::reverse::{Reverse, Shared};
use super::reverse_hessian::{smooth_curvature, smooth_rows};
use super::reverse_kernels::{Gather, ScaledBars};
use super::stop::step;
use super::sweeps::sum_of_two;
use super::tape::{Buffer, copy_from, fit, identities, view2, view3};
use crate::Real;
use ndarray::Array4;
use std::mem::swap;

impl<F: Real> Reverse<'_, F> {
    /// Reverse of `carry` through stage `i`, given the cotangents `bars.h` of `H'` and, if started, `bars.t` of the
    /// tangents after the stage; leaves those of `H` (undefined where `zero` says that `H` is zero) and of the tangents
    /// before it there.
    pub fn carry(
        &mut self,
        kind: &Kind<F>,
        i: usize,
        zero: bool,
        shared: Shared<F>,
        (t, sites, width): (&[F], &[F], usize),
        (h, hm): (&[F], &[F]),
    ) {
        let (program, ns, rows, k) = (self.program, self.tape.ns, kind.rows(), kind.k());
        let bars = &mut *self.bars;
        step();
        match &program.stages[i] {
            Stage::Site(site) => {
                let (n, p, m) = (site.n, site.p, site.n_out);
                let (size, all) = ((ns, rows, p), ns * rows);
                let tape = &mut *self.tape;
                let ([_, slope, curve, _], weighed) = (&tape.sig[i], &mut tape.scratch[0]);
                let [h_bar, scaled] = &mut bars.scratch;
                let (h_bar, scaled) = (fit(h_bar, all * p), fit(scaled, all * p));
                // H' = H S + h W
                let h_out = bars.h.total(all * m);
                site.w.map_t(all, h_out, m, h_bar, p);
                if site.w.trained() {
                    // h = (H M) . act' + sum A_a . A_b . act'', computed again
                    scale_rows(false, size, Rows::new(hm, rows, p), Rows::new(slope, 1, p), F::one(), scaled, p);
                    add_curvature(kind, (ns, p), (sites, width), curve, scaled, weighed);
                    site.w.add_gradient(all, scaled, p, h_out, m, &mut self.gradient.stages[i].w);
                }
                let (curve_bar, a_bar) = (bars.curve[i].total(ns * p), bars.a.gather(ns * k * p).data);
                a_bar.fill(F::zero());
                products_of_sites(kind, (ns, p), (sites, width), (curve, h_bar), (curve_bar, a_bar), weighed);
                // h = (H M) . act' + ..
                let (a, b_bar, slope_bar) =
                    (Rows::new(hm, rows, p), Rows::new(h_bar, rows, p), bars.slope[i].gather(ns * p));
                let a_bar = Gather { data: &mut *scaled, started: false };
                ScaledBars { size, a, b_bar, scale: F::one(), slope, slope_bar, a_bar }.run();
                if !zero {
                    self.gradient.add_to_m(i, &site.m, all, (h, n), (scaled, p));
                    if site.s.trained() {
                        site.s.add_gradient(all, h, n, h_out, m, &mut self.gradient.stages[i].s);
                    }
                    if site.skips() {
                        site.m.apply_t(true, all, scaled, p, h_out, n);
                    } else {
                        let below = bars.spare.gather(all * n).data;
                        let skip = (&site.s, &*h_out, m);
                        sum_of_two(true, site.backward, all, skip, (&site.m, scaled, p), below, n);
                        swap(&mut bars.h, &mut bars.spare);
                    }
                }
                self.tangent_stage(i, shared, k, t, Rows::new(sites, k, width), None);
            }
            Stage::Smooth(map) => {
                let (n, m) = (map.dim_input(), map.dim_output());
                let h_out = &*bars.h.total(ns * rows * m);
                let mut weight = Array4::zeros((ns, k, k, m));
                for s in 0..ns {
                    kind.each(|t| {
                        for o in 0..m {
                            let half = F::of(0.5) * t.coefficient * h_out[(s * rows + t.row) * m + o];
                            weight[[s, t.a, t.b, o]] += half;
                            weight[[s, t.b, t.a, o]] += half;
                        }
                    });
                }
                if !zero {
                    let u = view2(&self.tape.u[i], ns, n);
                    smooth_rows(program, i, self.tape, h, h_out, rows, bars.u[i].total(ns * n));
                    let below = bars.spare.gather(ns * rows * n).data;
                    copy_from(below, map.adjoint(u, view3(h_out, ns, rows, m)).iter());
                    swap(&mut bars.h, &mut bars.spare);
                }
                let unit = identities(ns, m);
                let unit = unit.as_slice().expect("fresh arrays are contiguous");
                let is_shared = shared.is_some();
                self.tangent_stage(i, None, k, t, Rows::new(&[], k, 0), None);
                let bars = &mut *self.bars;
                let (t_bar, u_bar) = (bars.t.total(ns * k * n), bars.u[i].total(ns * n));
                smooth_curvature(program, i, self.tape, (t, k), (unit, m), &weight, t_bar, None, u_bar);
                if is_shared {
                    bars.t.clear();
                }
            }
        }
    }
}

/// Reverse of `add_curvature`: `h = .. + sum A_a . A_b . act''` for every term of the kind.
fn products_of_sites<F: Real>(
    kind: &Kind<F>,
    (ns, p): (usize, usize),
    (sites, width): (&[F], usize),
    (curve, h_bar): (&[F], &[F]),
    (curve_bar, a_bar): (&mut [F], &mut [F]),
    weighed: &mut Buffer<F>,
) {
    let (rows, k) = (kind.rows(), kind.k());
    if let Kind::Form { matrix, .. } = kind {
        // Y = B A: A_bar = 2 Y . act'' . h_bar
        let y = fit(weighed, k * p);
        for s in 0..ns {
            let (curve, curve_bar) = (&curve[s * p..][..p], &mut curve_bar[s * p..][..p]);
            let (a, bar, w) = (&sites[s * k * width..], &mut a_bar[s * k * p..][..k * p], &h_bar[s * p..][..p]);
            gemm(false, Mat::new(matrix, k, k, k), Mat::new(a, k, p, width), y, p);
            vectorised(
                #[inline(always)]
                || {
                    for i in 0..k {
                        let (x, y, bar) = (&a[i * width..][..p], &y[i * p..][..p], &mut bar[i * p..][..p]);
                        for j in 0..p {
                            curve_bar[j] += w[j] * x[j] * y[j];
                            bar[j] += F::of(2.0) * w[j] * y[j] * curve[j];
                        }
                    }
                },
            );
        }
        return;
    }
    vectorised(
        #[inline(always)]
        || {
            for s in 0..ns {
                let (curve, curve_bar) = (&curve[s * p..][..p], &mut curve_bar[s * p..][..p]);
                let (a, bar) = (&sites[s * k * width..], &mut a_bar[s * k * p..][..k * p]);
                kind.each(|t| {
                    let (x, y) = (&a[t.a * width..][..p], &a[t.b * width..][..p]);
                    let w = &h_bar[(s * rows + t.row) * p..][..p];
                    for j in 0..p {
                        let w = t.coefficient * w[j];
                        curve_bar[j] += w * x[j] * y[j];
                        bar[t.a * p + j] += w * y[j] * curve[j];
                        bar[t.b * p + j] += w * x[j] * curve[j];
                    }
                });
            }
        },
    );
}
