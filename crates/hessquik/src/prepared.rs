//! A request resolved against a network once, to be evaluated and pulled back again and again.
use crate::engine::Call;
use crate::evaluate::{call, check_lent, check_points, chunk, fill_from, loss_gradients, reverse};
use crate::jet::Contents;
use crate::{Error, Gradients, Jet, JetMut, JetView, Layer, Real, Request};
use ndarray::{ArrayBase, Axis, Data, Ix2, Slice};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

/// A request resolved against a layer or network with its present weights: plans are found once, not at every call.
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
#[derive(Debug)]
pub struct Prepared<F: Real> {
    request: Request<F>,
    forward: Arc<Call<F>>,
    reverse: OnceLock<Call<F>>,
    /// Predicted seconds of a point.
    seconds: OnceLock<f64>,
}

/// Tiles between two questions whether to go on, for each thread, at most: seldom enough to cost nothing.
const TILES_PER_THREAD: usize = 64;
/// Predicted seconds between two questions, at most, but for a tile that takes longer.
const SECONDS: f64 = 0.05;

impl<F: Real> Prepared<F> {
    /// Resolves `request` against `layer`.
    ///
    /// # Errors
    /// As [`Evaluate::evaluate`](crate::Evaluate::evaluate), but for those of the points.
    pub fn new<L: Layer<F> + ?Sized>(layer: &L, request: Request<F>) -> Result<Self, Error> {
        let forward = call(layer, None, &request, false)?;
        Ok(Self { request, forward, reverse: OnceLock::new(), seconds: OnceLock::new() })
    }

    /// The request.
    pub fn request(&self) -> &Request<F> {
        &self.request
    }

    /// Number of points that go through all sweeps at once; no other threads are asked for if there are no more.
    pub fn tile(&self) -> usize {
        self.forward.tile
    }

    /// The same for a pullback.
    ///
    /// # Errors
    /// [`Error::Request`] for the factored Hessian, which has no pullback.
    pub fn pullback_tile(&self) -> Result<usize, Error> {
        Ok(self.reversed()?.tile)
    }

    /// Predicted seconds of an evaluation of this many points on one thread, as [`Explanation`](crate::Explanation) has
    /// them: good to decide what is worth a thread. A pullback takes some four times as long.
    pub fn seconds(&self, points: usize) -> f64 {
        points as f64 * *self.seconds.get_or_init(|| self.forward.seconds())
    }

    /// A number of points, whole tiles of them, whose results take about 16 MiB: good chunks of a stream.
    pub fn chunk(&self) -> usize {
        chunk(&self.forward)
    }

    /// As [`Evaluate::evaluate`](crate::Evaluate::evaluate).
    pub fn evaluate<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Jet<F>, Error> {
        check_points(&self.forward.program, &x.view())?;
        let mut jet = Jet::allocate(&self.forward, x.nrows(), Contents::Unwritten)?;
        F::run(&self.forward, x.view(), jet.view_mut(), false);
        Ok(jet)
    }

    /// As [`Evaluate::evaluate_into`](crate::Evaluate::evaluate_into).
    pub fn evaluate_into<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>, mut out: JetMut<'_, F>) -> Result<(), Error> {
        check_points(&self.forward.program, &x.view())?;
        check_lent(&self.forward, x.nrows(), &mut out)?;
        F::run(&self.forward, x.view(), out, true);
        Ok(())
    }

    /// As [`Evaluate::zeros`](crate::Evaluate::zeros).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the results do not fit.
    pub fn zeros(&self, points: usize) -> Result<Jet<F>, Error> {
        Jet::allocate(&self.forward, points, Contents::Zeros)
    }

    /// That `out` has what [`evaluate_into`](Self::evaluate_into) wants for these points, and nothing else.
    pub fn check_lent<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>, out: &mut JetMut<'_, F>) -> Result<(), Error> {
        check_points(&self.forward.program, &x.view())?;
        check_lent(&self.forward, x.nrows(), out)
    }

    /// As [`evaluate`](Self::evaluate), but asks `go_on` now and then, and gives up with `None` once it says no. The
    /// results are the same, to the last bit.
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
        go_on: impl Fn() -> bool,
    ) -> Result<Option<Jet<F>>, Error> {
        check_points(&self.forward.program, &x.view())?;
        let mut jet = Jet::allocate(&self.forward, x.nrows(), Contents::Unwritten)?;
        Ok(self.run_while(x, jet.view_mut(), false, go_on).then_some(jet))
    }

    /// As [`evaluate_into`](Self::evaluate_into), but asks `go_on` now and then, and gives up with `false` once it says
    /// no; then some results are written and others are not.
    pub fn evaluate_into_while<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        mut out: JetMut<'_, F>,
        go_on: impl Fn() -> bool,
    ) -> Result<bool, Error> {
        check_points(&self.forward.program, &x.view())?;
        check_lent(&self.forward, x.nrows(), &mut out)?;
        Ok(self.run_while(x, out, true, go_on))
    }

    fn run_while<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        mut out: JetMut<'_, F>,
        lent: bool,
        go_on: impl Fn() -> bool,
    ) -> bool {
        let tiles = (SECONDS / self.seconds(self.forward.tile)).clamp(1.0, TILES_PER_THREAD as f64) as usize;
        let (n, chunk) = (x.nrows(), self.forward.tile * tiles * rayon::current_num_threads());
        let mut start = 0;
        while n - start > chunk {
            let (now, later) = out.split_at(chunk);
            F::run(&self.forward, x.slice_axis(Axis(0), Slice::from(start..start + chunk)), now, lent);
            (out, start) = (later, start + chunk);
            if !go_on() {
                return false;
            }
        }
        F::run(&self.forward, x.slice_axis(Axis(0), Slice::from(start..n)), out, lent);
        true
    }

    /// As [`Evaluate::pullback`](crate::Evaluate::pullback), of cotangents that are looked at.
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
        let call = self.reversed()?;
        Ok(reverse(call, x.view(), fill_from(call, x.nrows(), cotangent)?)?.1)
    }

    /// As [`pullback`](Self::pullback), but asks `go_on` at every tile, from several threads, and gives up with `None`
    /// once it says no.
    pub fn pullback_while<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        cotangent: &JetView<'_, F>,
        go_on: impl Fn() -> bool + Sync,
    ) -> Result<Option<Gradients<F>>, Error> {
        struct Stopped;
        check_points(&self.forward.program, &x.view())?;
        let call = self.reversed()?;
        let fill = fill_from(call, x.nrows(), cotangent)?;
        // An unwinding is how a tile leaves a parallel loop for good; no panic hook sees it.
        let run = || {
            reverse(call, x.view(), |range, out, bars| {
                if !go_on() {
                    resume_unwind(Box::new(Stopped));
                }
                fill(range, out, bars)
            })
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => Ok(Some(result?.1)),
            Err(payload) if payload.is::<Stopped>() => Ok(None),
            Err(payload) => resume_unwind(payload),
        }
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
        loss_gradients(self.reversed()?, x.view(), loss)
    }

    fn reversed(&self) -> Result<&Call<F>, Error> {
        if self.reverse.get().is_none() {
            let call = F::resolve(self.forward.program.clone(), &self.request, true)?;
            return Ok(self.reverse.get_or_init(|| call));
        }
        Ok(self.reverse.get().expect("looked at above"))
    }
}
