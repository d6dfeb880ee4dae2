//! A request resolved once against a network, to be evaluated and pulled back repeatedly.
use crate::engine::{Call, MANY, Program, Stopped};
use crate::jet::Contents;
use crate::resolve::{
    call, check_lent, check_points, chunk, fill_from, graph_of_many, loss_gradients, reverse, scheduled,
};
use crate::{Error, Gradients, Jet, JetMut, JetView, Layer, Real, Request};
use ndarray::{ArrayBase, Data, Ix2};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

/// Bytes that a thread reads or writes in a second.
const MEMORY: f64 = 5e9;

/// A request resolved against a layer or network with its current weights: plans are found once, not at every call.
///
/// ```
/// use hessquik::{Activation, Init, Prepared, Request, fully_connected};
/// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let prepared = Prepared::new(&network, Request::new().value().hessian())?;
/// for scale in [1.0, 2.0] {
///     let jet = prepared.evaluate(&(ndarray::Array2::ones((5, 2)) * scale))?;
///     assert_eq!(jet.hessian.unwrap().dim(), (5, 2, 2, 1));
/// }
/// # Ok::<(), hessquik::Error>(())
/// ```
pub struct Prepared<F: Real> {
    request: Request<F>,
    forward: Arc<Call<F>>,
    reverse: OnceLock<Call<F>>,
    /// The network as a graph, and its pullback at many points, where that is faster.
    graph: Option<Arc<Program<F>>>,
    scheduled: OnceLock<Call<F>>,
    /// Predicted for a point.
    seconds: f64,
}

impl<F: Real> fmt::Debug for Prepared<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.forward.plan().map(ToString::to_string);
        f.debug_struct("Prepared").field("request", &self.request).field("plan", &plan).finish_non_exhaustive()
    }
}

/// What `work` gives, or `None` if it was given up.
fn unless_stopped<R>(work: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<Stopped>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

impl<F: Real> Prepared<F> {
    /// Resolves `request` against `layer`.
    ///
    /// # Errors
    /// As [`Evaluate::evaluate`](crate::Evaluate::evaluate), except for those about the points.
    pub fn new<L: Layer<F> + ?Sized>(layer: &L, request: Request<F>) -> Result<Self, Error> {
        let forward = call(layer, None, &request, false)?;
        // points and results pass through memory, whatever is computed of them
        let entries: usize = forward.fields.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let moved = (forward.d + entries) as f64 * size_of::<F>() as f64 / MEMORY;
        let seconds = forward.seconds().max(moved);
        let graph = graph_of_many(layer, &forward, &request);
        let (reverse, scheduled) = Default::default();
        Ok(Self { request, forward, reverse, graph, scheduled, seconds })
    }

    /// The request.
    pub fn request(&self) -> &Request<F> {
        &self.request
    }

    /// Predicted seconds to evaluate this many points on one thread, as in [`explain`](crate::Evaluate::explain); a
    /// pullback takes about three times as long. Accurate enough to tell calls of microseconds from calls of minutes.
    pub fn seconds(&self, points: usize) -> f64 {
        self.seconds * points as f64
    }

    /// Number of points that go through all sweeps at once; a call with no more points uses no other threads.
    pub fn tile(&self) -> usize {
        self.forward.tile
    }

    /// As [`tile`](Self::tile), for a pullback.
    ///
    /// # Errors
    /// [`Error::Request`] for the factored Hessian, which has no pullback.
    pub fn pullback_tile(&self) -> Result<usize, Error> {
        Ok(self.reversed()?.tile)
    }

    /// A number of points, in whole tiles, whose results take about 16 MiB: a good chunk size for streams.
    pub fn chunk(&self) -> usize {
        chunk(&self.forward)
    }

    /// As [`Evaluate::evaluate`](crate::Evaluate::evaluate).
    pub fn evaluate<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Jet<F>, Error> {
        check_points(&self.forward.program, &x.view())?;
        let mut jet = Jet::allocate(&self.forward, x.nrows(), Contents::Unwritten)?;
        F::run(&self.forward, x.view(), jet.view_mut(), false, None);
        Ok(jet)
    }

    /// As [`Evaluate::evaluate_into`](crate::Evaluate::evaluate_into).
    pub fn evaluate_into<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>, mut out: JetMut<'_, F>) -> Result<(), Error> {
        check_points(&self.forward.program, &x.view())?;
        check_lent(&self.forward, x.nrows(), &mut out)?;
        F::run(&self.forward, x.view(), out, true, None);
        Ok(())
    }

    /// As [`Evaluate::zeros`](crate::Evaluate::zeros).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the results do not fit.
    pub fn zeros(&self, points: usize) -> Result<Jet<F>, Error> {
        Jet::allocate(&self.forward, points, Contents::Zeros)
    }

    /// Checks that `out` has exactly the arrays that [`evaluate_into`](Self::evaluate_into) needs for these points.
    pub fn check_lent<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>, out: &mut JetMut<'_, F>) -> Result<(), Error> {
        check_points(&self.forward.program, &x.view())?;
        check_lent(&self.forward, x.nrows(), out)
    }

    /// As [`evaluate`](Self::evaluate), but the worker threads call `go_on` at every step of every tile, and the call
    /// gives up with `None` soon after it returns false: within milliseconds, even if one tile takes minutes. The
    /// results are bitwise the same.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Prepared, Request, fully_connected};
    /// use std::time::{Duration, Instant};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let prepared = Prepared::new(&network, Request::new().hessian())?;
    /// let start = Instant::now();
    /// let jet = prepared.evaluate_while(&ndarray::Array2::ones((5, 2)), || start.elapsed() < Duration::from_secs(9))?;
    /// assert!(jet.is_some());
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn evaluate_while<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        go_on: impl Fn() -> bool + Sync,
    ) -> Result<Option<Jet<F>>, Error> {
        check_points(&self.forward.program, &x.view())?;
        let mut jet = Jet::allocate(&self.forward, x.nrows(), Contents::Unwritten)?;
        Ok(self.run_while(x, jet.view_mut(), false, go_on).then_some(jet))
    }

    /// As [`evaluate_into`](Self::evaluate_into), but calls `go_on` as [`evaluate_while`](Self::evaluate_while) does,
    /// and gives up with `false` once it returns false; the results are then only partly written.
    pub fn evaluate_into_while<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        mut out: JetMut<'_, F>,
        go_on: impl Fn() -> bool + Sync,
    ) -> Result<bool, Error> {
        check_points(&self.forward.program, &x.view())?;
        check_lent(&self.forward, x.nrows(), &mut out)?;
        Ok(self.run_while(x, out, true, go_on))
    }

    fn run_while<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        out: JetMut<'_, F>,
        lent: bool,
        go_on: impl Fn() -> bool + Sync,
    ) -> bool {
        unless_stopped(|| F::run(&self.forward, x.view(), out, lent, Some(&go_on))).is_some()
    }

    /// As [`Evaluate::pullback`](crate::Evaluate::pullback), with borrowed cotangents.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Jet, Prepared, Request, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let prepared = Prepared::new(&network, Request::new().laplacian())?;
    /// let x = ndarray::Array2::ones((5, 2));
    /// let cotangent = Jet { laplacian: Some(ndarray::Array2::ones((5, 1))), ..Jet::default() };
    /// let gradients = prepared.pullback(&x, &cotangent.view())?;
    /// assert_eq!(gradients.input.dim(), (5, 2));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn pullback<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        cotangent: &JetView<'_, F>,
    ) -> Result<Gradients<F>, Error> {
        check_points(&self.forward.program, &x.view())?;
        let call = self.reversed_at(x.nrows())?;
        Ok(reverse(call, x.view(), fill_from(call, x.nrows(), cotangent)?, None)?.1)
    }

    /// As [`pullback`](Self::pullback), but calls `go_on` as [`evaluate_while`](Self::evaluate_while) does, and gives
    /// up with `None` once it returns false.
    pub fn pullback_while<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        cotangent: &JetView<'_, F>,
        go_on: impl Fn() -> bool + Sync,
    ) -> Result<Option<Gradients<F>>, Error> {
        check_points(&self.forward.program, &x.view())?;
        let call = self.reversed_at(x.nrows())?;
        let fill = fill_from(call, x.nrows(), cotangent)?;
        unless_stopped(|| reverse(call, x.view(), fill, Some(&go_on)))
            .transpose()
            .map(|g| g.map(|(_, gradients)| gradients))
    }

    /// The gradients of a loss of the results, in one pass over the points (see [`Evaluate::loss_gradients`]).
    ///
    /// # Errors
    /// As for [`Evaluate::loss_gradients`].
    ///
    /// [`Evaluate::loss_gradients`]: crate::Evaluate::loss_gradients
    pub fn loss_gradients<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        loss: impl Fn(Range<usize>, &JetView<'_, F>, &mut JetMut<'_, F>) -> F + Sync,
    ) -> Result<(F, Gradients<F>), Error> {
        check_points(&self.forward.program, &x.view())?;
        loss_gradients(self.reversed_at(x.nrows())?, x.view(), loss)
    }

    /// The pullback at this many points.
    fn reversed_at(&self, points: usize) -> Result<&Call<F>, Error> {
        let Some(graph) = self.graph.as_ref().filter(|_| points >= MANY) else { return self.reversed() };
        if self.scheduled.get().is_none() {
            return match scheduled(graph.clone(), self.forward.program.clone(), &self.request) {
                Ok(call) => Ok(self.scheduled.get_or_init(|| call)),
                Err(_) => self.reversed(), // as for too many directions
            };
        }
        Ok(self.scheduled.get().expect("looked at above"))
    }

    fn reversed(&self) -> Result<&Call<F>, Error> {
        if self.reverse.get().is_none() {
            let call = F::resolve(self.forward.program.clone(), &self.request, true, false)?;
            return Ok(self.reverse.get_or_init(|| call));
        }
        Ok(self.reverse.get().expect("looked at above"))
    }
}
