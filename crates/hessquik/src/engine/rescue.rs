//! Where a plan overflows on its way to a result that is a number: the same by another plan.
//!
//! Forward mode holds `A . A . act''`, the square of a tangent, where the sum over sites holds `(C . A) . A`, and a trace sums
//! squares before it multiplies by `C`; adjoints in turn may overflow where tangents do not. So a tile that comes out with
//! something that is no number is computed again, in the other ways, and what is a number then is taken.
use super::call::{Call, Job, Task};
use super::hessian::{Lift, Sites};
use super::kernels::{Rows, vectorised};
use super::program::Program;
use super::tile::Workspace;
use crate::{JetMut, Mode, Real, Request};
use ndarray::{ArrayView2, ArrayView4, Axis, Zip};
use std::sync::{Arc, OnceLock};

/// The other ways to compute a request, made when one is needed: the sum over sites, and forward mode.
#[derive(Debug)]
pub(crate) struct Others<F> {
    request: Option<Request<F>>,
    /// The network that goes these ways, where it is not that of the call: the layers of a graph.
    program: Option<Arc<Program<F>>>,
    calls: [OnceLock<Box<Call<F>>>; 2],
}

/// Whether all are numbers, and finite.
fn finite<F: Real>(x: &[F]) -> bool {
    const LANES: usize = 32;
    vectorised(
        #[inline(always)]
        || {
            // zero times what is not finite is NaN
            let mut sums = [F::zero(); LANES];
            let (chunks, rest) = x.as_chunks::<LANES>();
            for chunk in chunks {
                for l in 0..LANES {
                    sums[l] += chunk[l] * F::zero();
                }
            }
            rest.iter().zip(&mut sums).for_each(|(&x, sum)| *sum += x * F::zero());
            sums.into_iter().all(|sum| sum == F::zero())
        },
    )
}

/// The largest absolute value, infinite where something is no number.
fn largest<F: Real>(x: &[F]) -> f64 {
    const LANES: usize = 32;
    if !finite(x) {
        return f64::INFINITY;
    }
    let most = vectorised(
        #[inline(always)]
        || {
            let mut most = [F::zero(); LANES];
            let mut take = |l: usize, x: F| most[l] = if x.abs() > most[l] { x.abs() } else { most[l] };
            let (chunks, rest) = x.as_chunks::<LANES>();
            for chunk in chunks {
                (0..LANES).for_each(|l| take(l, chunk[l]));
            }
            rest.iter().enumerate().for_each(|(l, &x)| take(l, x));
            most
        },
    );
    most.into_iter().fold(0.0, |most: f64, x| most.max(x.as_f64()))
}

/// The same of `count` rows of `len` entries for each of `ns` samples.
fn largest_of<F: Real>(rows: Rows<F>, (ns, count, len): (usize, usize, usize)) -> f64 {
    // rows of nothing need not be there
    if len == 0 {
        return 0.0;
    }
    // what all samples share counts once
    let ns = if rows.per_sample == 0 { ns.min(1) } else { ns };
    if rows.stride == len && (ns <= 1 || rows.per_sample == count * len) {
        return largest(&rows.data[..ns * count * len]);
    }
    let each = (0..ns).flat_map(|s| (0..count).map(move |a| (s, a)));
    each.fold(0.0, |most: f64, (s, a)| most.max(largest(rows.row(s, a, len))))
}

/// Whether `A diag(C[r]) A^T + T S_r T^T` stays in the range of `F`, as far as the largest entries of its factors tell: they
/// are few where the results are many.
pub(crate) fn in_range<F: Real>(k: usize, (ns, q): (usize, usize), sites: Sites<F>, lift: Lift<F>) -> bool {
    let (used, n) = (sites.used, lift.n);
    let core = largest(&lift.core[..ns * q * n * n]);
    // each with the products on its way to the sum
    let through = |inner: usize, factor: f64, middle: f64| inner as f64 * factor * middle * factor.max(1.0);
    let lifted = through(n * n, largest_of(lift.x, (ns, k, n)), core);
    let summed = through(used, largest_of(sites.a, (ns, k, used)), largest_of(sites.c, (ns, q, used)));
    // a comparison with what is no number is false
    lifted + summed < F::max_value().as_f64() / 2.0
}

impl<F: Real> Others<F> {
    /// For a call of this request; none where there is nothing of second order.
    pub fn new(request: &Request<F>) -> Self {
        let request = request.second_order().then(|| request.clone());
        Self { request, program: None, calls: Default::default() }
    }

    /// The other ways of a schedule that took the place of sweeps over the layers: these sweeps.
    pub fn of_layers(request: &Request<F>, program: Arc<Program<F>>) -> Self {
        Self { program: Some(program), ..Self::new(request) }
    }

    /// No other way.
    pub fn none() -> Self {
        Self { request: None, program: None, calls: Default::default() }
    }
}

impl<F: Real> Call<F> {
    /// The call by another plan that is counted `index`; `None` if it cannot be made.
    pub fn other(&self, index: usize) -> Option<&Call<F>> {
        let request = self.others.request.as_ref()?;
        let kept = &self.others.calls[index];
        if kept.get().is_none() {
            let mode = [Mode::Sites, Mode::Forward][index].clone();
            let request = request.clone().mode(mode);
            let program = self.others.program.as_ref().unwrap_or(&self.program);
            let call = F::resolve(program.clone(), &request, self.reverses, true).ok()?;
            return Some(kept.get_or_init(|| Box::new(call)));
        }
        kept.get().map(|call| &**call)
    }

    /// Whether something that is no number was met on the way to the results of the tile in `ws`, or among its sums.
    pub fn spoiled(&self, ws: &Workspace<F>, out: &[&mut [F]]) -> bool {
        if self.others.request.is_none() {
            return false;
        }
        if self.graph.is_some() {
            return !out.iter().all(|out| finite(out));
        }
        if self.tasks.is_empty() {
            return false;
        }
        let (program, ns, q) = (&*self.program, ws.tape.ns, self.q);
        // what is few numbers, and what was lifted from pivots, unless its factors tell that it is in range
        let looked_at = |(i, task): &(usize, &Task<F>)| {
            let lifted = !task.plan.pivots.is_empty() && !ws.tasks[*i].in_range();
            lifted || task.kind.len() <= program.depth() || self.went_across(ws)
        };
        let sums = self.tasks.iter().enumerate().filter(looked_at);
        if !sums.flat_map(|(_, task)| &task.sinks).all(|&(field, _)| finite(out[field])) {
            return true;
        }
        if self.went_across(ws) {
            return false;
        }
        let lowest = self.lowest;
        if lowest < program.depth() && !finite(&ws.tape.g[lowest][..ns * q * program.width(lowest)]) {
            return true;
        }
        self.tasks.iter().zip(&ws.tasks).any(|(task, tt)| {
            let (prefix, rows) = (task.plan.prefix, task.kind.rows());
            let carried = task.job == Job::Curvature && prefix > 0;
            carried && !finite(&tt.h[prefix][..ns * rows * program.width(prefix)])
        })
    }

    /// Replaces what is no number in the results `out` of the points `x`, sample by sample, by what another plan makes of it.
    #[cold]
    pub fn rescue(&self, ws: &mut Workspace<F>, x: ArrayView2<F>, out: &mut JetMut<'_, F>) {
        for other in (0..2).filter_map(|index| self.other(index)) {
            let results = other.evaluated(ws, x);
            let mut missing = false;
            out.each(|field, mut array| {
                let Some(at) = other.position(field) else { return };
                let theirs = ArrayView4::from_shape(array.raw_dim(), &results[at]).expect("results of that shape");
                Zip::from(array.axis_iter_mut(Axis(0))).and(theirs.axis_iter(Axis(0))).for_each(|mut mine, theirs| {
                    if mine.iter().any(|x| !x.is_finite()) {
                        match theirs.iter().all(|x| x.is_finite()) {
                            true => mine.assign(&theirs),
                            false => missing = true,
                        }
                    }
                });
            });
            if !missing {
                return;
            }
        }
    }

    /// Of the tile of points `x` with results `out`, the other plan that makes numbers of what is none; leaves the state of
    /// that plan, or of this one, in `ws`, with its results.
    #[cold]
    pub fn rescued(&self, ws: &mut Workspace<F>, x: ArrayView2<F>, out: &mut [&mut [F]]) -> Option<usize> {
        let better = |theirs: &[Vec<F>], out: &[&mut [F]]| {
            theirs.iter().zip(out).zip(&self.fields).any(|((theirs, mine), (_, shape))| {
                let len = shape.iter().product::<usize>().max(1);
                let samples = theirs.chunks_exact(len).zip(mine.chunks_exact(len));
                samples.into_iter().any(|(theirs, mine)| !finite(mine) && finite(theirs))
            })
        };
        for index in 0..2 {
            let Some(other) = self.other(index) else { continue };
            let results = other.evaluated(ws, x);
            if better(&results, out) {
                out.iter_mut().zip(&results).for_each(|(out, result)| out.copy_from_slice(result));
                return Some(index);
            }
        }
        ws.load(x);
        F::evaluate_tile(self, ws, out);
        None
    }

    /// The results of the tile of points `x`, one vector per field.
    fn evaluated(&self, ws: &mut Workspace<F>, x: ArrayView2<F>) -> Vec<Vec<F>> {
        let size = |shape: &[usize]| x.nrows() * shape.iter().product::<usize>();
        let mut results: Vec<Vec<F>> = self.fields.iter().map(|(_, shape)| vec![F::zero(); size(shape)]).collect();
        let mut slices: Vec<&mut [F]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        ws.load(x);
        F::evaluate_tile(self, ws, &mut slices);
        results
    }

    fn went_across(&self, ws: &Workspace<F>) -> bool {
        self.across && ws.tape.ns >= super::across::FEWEST
    }
}
