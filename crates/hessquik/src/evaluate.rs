//! The entry points of the library: evaluate, stream and pull back, for every layer and network.
use crate::jet::Contents;
use crate::resolve::{
    call, check_lent, check_points, chunk, fill_from, loss_gradients, program, pushed, reverse, reversed,
};
use crate::{Error, Explanation, Jet, JetMut, JetView, Layer, Plan, Real, Request};
use ndarray::{Array1, Array2, Array3, Array4, ArrayBase, ArrayView1, ArrayView2, Axis, Data, Ix2, Slice};
use std::ops::Range;

/// Gradients of a scalar loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<F> {
    /// With respect to all weights, as one flat vector in the order of
    /// [`Network::flat_weights`](crate::Network::flat_weights); by name through
    /// [`Network::by_name`](crate::Network::by_name).
    pub weights: Array1<F>,
    /// With respect to the points (n_s, d).
    pub input: Array2<F>,
}

/// Rates at which points and weights change; `None` means no change.
#[derive(Clone, Copy, Debug)]
pub struct Tangent<'a, F> {
    /// Rates of the points (n_s, d).
    pub input: Option<ArrayView2<'a, F>>,
    /// Rates of all weights, as one flat vector.
    pub weights: Option<ArrayView1<'a, F>>,
}

/// Evaluation of a layer or network at points `x` (n_s, d), an array or view of any strides.
///
/// Tiles of points are evaluated in parallel on the current rayon thread pool. The results are bitwise the same for any
/// number of threads.
pub trait Evaluate<F: Real>: Layer<F> {
    /// Computes the results of `request` in newly allocated arrays.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 3], Activation::Tanh, &mut Init::seed(0))?;
    /// let x = ndarray::Array2::zeros((5, 2));
    /// let jet = network.evaluate(&x, &Request::new().value().laplacian())?;
    /// assert_eq!(jet.value.unwrap().dim(), (5, 3));
    /// assert_eq!(jet.laplacian.unwrap().dim(), (5, 3));
    /// assert!(jet.hessian.is_none());
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` does not have d columns or a part of the request does not fit; [`Error::Index`],
    /// [`Error::Request`] and [`Error::Setting`] for invalid requests; [`Error::OutOfMemory`] if a result cannot be
    /// allocated.
    fn evaluate<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>, request: &Request<F>) -> Result<Jet<F>, Error> {
        let call = call(self, Some(x.view()), request, false)?;
        let mut jet = Jet::allocate(&call, x.nrows(), Contents::Unwritten)?;
        F::run(&call, x.view(), jet.view_mut(), false, None);
        Ok(jet)
    }

    /// The results of `request` at one point of d coordinates: a jet whose arrays have one sample.
    ///
    /// For many points, [`evaluate`](Self::evaluate) with all of them in one array is much faster; see
    /// [`points`](crate::points()).
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let jet = network.evaluate_one(&[0.1, 0.2], &Request::new().gradient())?;
    /// assert_eq!(jet.gradient.unwrap().dim(), (1, 2, 1));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn evaluate_one(&self, x: &[F], request: &Request<F>) -> Result<Jet<F>, Error> {
        let x = ArrayView2::from_shape((1, x.len()), x).expect("one row");
        self.evaluate(&x, request)
    }

    /// A jet of zeros with the shapes of the results of `request` at `points` points, to be passed repeatedly to
    /// [`evaluate_into`](Self::evaluate_into).
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn zeros(&self, points: usize, request: &Request<F>) -> Result<Jet<F>, Error> {
        Jet::allocate(&*call(self, None, request, false)?, points, Contents::Zeros)
    }

    /// Writes the results of `request` into arrays that the caller lends, of any strides.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, JetMut, Request, fully_connected};
    /// use ndarray::{Array2, Array4};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let mut hessian = Array4::zeros((5, 2, 2, 1));
    /// let out = JetMut { hessian: Some(hessian.view_mut()), ..Default::default() };
    /// network.evaluate_into(&Array2::ones((5, 2)), &Request::new().hessian(), out)?;
    /// assert!(hessian[[0, 0, 1, 0]] != 0.0);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`Error::Request`] if the arrays lent are not those of the request, and
    /// [`Error::Shape`] if one has the wrong shape. Nothing is written in that case.
    fn evaluate_into<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        mut out: JetMut<'_, F>,
    ) -> Result<(), Error> {
        let call = call(self, Some(x.view()), request, false)?;
        check_lent(&call, x.nrows(), &mut out)?;
        F::run(&call, x.view(), out, true, None);
        Ok(())
    }

    /// Evaluates in chunks of points, handing each chunk's range of points and jet to `consume`, in order: working
    /// memory is bounded, however many points there are.
    ///
    /// ```
    /// use hessquik::{Activation, Error, Evaluate, Init, Request, fully_connected};
    /// let network = fully_connected::<f32>(&[3, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let x = ndarray::Array2::ones((100_000, 3));
    /// let mut largest = 0f32;
    /// network.stream(&x, &Request::new().hessian(), |_points, jet| {
    ///     largest = jet.hessian.iter().flatten().fold(largest, |m, h| m.max(h.abs()));
    ///     Ok::<(), Error>(())
    /// })?;
    /// assert!(largest > 0.0);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and any error that `consume` returns, which ends the stream.
    fn stream<S: Data<Elem = F>, E: From<Error>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        mut consume: impl FnMut(Range<usize>, &Jet<F>) -> Result<(), E>,
    ) -> Result<(), E> {
        let call = call(self, Some(x.view()), request, false)?;
        let chunk = chunk(&call);
        let mut jet = Jet::allocate(&call, chunk.min(x.nrows()), Contents::Unwritten)?;
        for start in (0..x.nrows()).step_by(chunk) {
            let range = start..(start + chunk).min(x.nrows());
            if range.len() < chunk && start > 0 {
                jet = Jet::allocate(&call, range.len(), Contents::Unwritten)?;
            }
            let points = x.slice_axis(Axis(0), Slice::from(range.clone()));
            F::run(&call, points, jet.view_mut(), false, None);
            consume(range, &jet)?;
        }
        Ok(())
    }

    /// The value (n_s, m). Errors as [`evaluate`](Self::evaluate).
    fn value<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Array2<F>, Error> {
        let jet = self.evaluate(x, &Request::new().value())?;
        Ok(jet.value.expect("asked for"))
    }

    /// The value (n_s, m) and the gradient (n_s, d, m). Errors as [`evaluate`](Self::evaluate).
    fn gradient<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<(Array2<F>, Array3<F>), Error> {
        let jet = self.evaluate(x, &Request::new().value().gradient())?;
        Ok((jet.value.expect("asked for"), jet.gradient.expect("asked for")))
    }

    /// The value (n_s, m), the gradient (n_s, d, m) and the Hessian (n_s, d, d, m). Errors as
    /// [`evaluate`](Self::evaluate).
    #[allow(clippy::type_complexity)]
    fn hessian<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<(Array2<F>, Array3<F>, Array4<F>), Error> {
        let jet = self.evaluate(x, &Request::new().value().gradient().hessian())?;
        Ok((jet.value.expect("asked for"), jet.gradient.expect("asked for"), jet.hessian.expect("asked for")))
    }

    /// The value (n_s, m), the gradient (n_s, d, m) and the Laplacian (n_s, m). Errors as [`evaluate`](Self::evaluate).
    #[allow(clippy::type_complexity)]
    fn laplacian<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<(Array2<F>, Array3<F>, Array2<F>), Error> {
        let jet = self.evaluate(x, &Request::new().value().gradient().laplacian())?;
        Ok((jet.value.expect("asked for"), jet.gradient.expect("asked for"), jet.laplacian.expect("asked for")))
    }

    /// The gradients of a scalar loss with respect to all weights and to `x`, given the derivatives of the loss with
    /// respect to the results of `request`: `cotangent` has the shapes of the jet, and a `None` in it counts as zero.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let (x, request) = (ndarray::Array2::ones((5, 2)), Request::new().value().laplacian());
    /// // the loss sum (f + laplacian)^2 / 2
    /// let mut jet = network.evaluate(&x, &request)?;
    /// let residual = jet.value.take().unwrap() + jet.laplacian.take().unwrap();
    /// (jet.value, jet.laplacian) = (Some(residual.clone()), Some(residual));
    /// let gradients = network.pullback(&x, &request, &jet)?;
    /// assert_eq!((gradients.weights.len(), gradients.input.dim()), (network.n_weights(), (5, 2)));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`Error::Request`] for cotangents of results that are not in the request, and
    /// for the factored Hessian, which has no pullback.
    #[doc(alias = "vjp")]
    fn pullback<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        cotangent: &Jet<F>,
    ) -> Result<Gradients<F>, Error> {
        let call = reversed(self, x.view(), request)?;
        Ok(reverse(&call, x.view(), fill_from(&call, x.nrows(), &cotangent.view())?, None)?.1)
    }

    /// The derivative of the results along a tangent: how they change when the points and the weights change at the
    /// rates `tangent`. It has the shapes of the jet. Every request is computed through the network's graph.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, Tangent, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let x = ndarray::array![[0.3, -0.2]];
    /// // along the first input: the first column of the gradient
    /// let along = ndarray::array![[1.0, 0.0]];
    /// let tangent = Tangent { input: Some(along.view()), weights: None };
    /// let change = network.pushforward(&x, &Request::new().value(), tangent)?.value.unwrap();
    /// let gradient = network.gradient(&x)?.1;
    /// assert!((change[[0, 0]] - gradient[[0, 0, 0]]).abs() < 1e-14);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`Error::Shape`] if the tangent of the points does not have their shape, or
    /// that of the weights is not as long as the flat vector; [`Error::Request`] for the factored Hessian; and
    /// [`Error::Layer`] for a user-defined smooth map, which has no graph.
    #[doc(alias = "jvp")]
    fn pushforward<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        tangent: Tangent<'_, F>,
    ) -> Result<Jet<F>, Error> {
        let (call, x) = pushed(self, x.view(), request, tangent, false)?;
        let mut jet = Jet::allocate(&call, x.nrows(), Contents::Unwritten)?;
        F::run(&call, x.view(), jet.view_mut(), false, None);
        Ok(jet)
    }

    /// The derivative of a [`pullback`](Self::pullback) along a tangent of points and weights, with the cotangent held
    /// fixed. Added to the pullback of the change in the cotangent, it is the Hessian-vector product of a loss, as
    /// Newton's method and natural gradients need it.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Jet, Request, Tangent, fully_connected};
    /// use ndarray::Array2;
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let (x, request) = (Array2::ones((5, 2)), Request::new().laplacian());
    /// // of the sum of all Laplacians, whose cotangent is 1
    /// let one = Jet { laplacian: Some(Array2::ones((5, 1))), ..Jet::default() };
    /// let along = Array2::ones((5, 2));
    /// let tangent = Tangent { input: Some(along.view()), weights: None };
    /// let change = network.pullback_pushforward(&x, &request, &one.view(), tangent)?;
    /// assert_eq!((change.input.dim(), change.weights.len()), ((5, 2), network.n_weights()));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`pushforward`](Self::pushforward) and [`pullback`](Self::pullback).
    fn pullback_pushforward<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        cotangent: &JetView<'_, F>,
        tangent: Tangent<'_, F>,
    ) -> Result<Gradients<F>, Error> {
        // the pushforward is linear in the tangent, and its gradient to what it was taken at is what is asked for
        let (d, n_weights) = (x.ncols(), self.weights().iter().map(|(_, w)| w.len()).sum::<usize>());
        let (call, x) = pushed(self, x.view(), request, tangent, true)?;
        let both = reverse(&call, x.view(), fill_from(&call, x.nrows(), cotangent)?, None)?.1;
        let input = both.input.slice_axis(Axis(1), Slice::from(..d)).to_owned();
        let weights = both.weights.slice_axis(Axis(0), Slice::from(..n_weights)).to_owned();
        Ok(Gradients { weights, input })
    }

    /// A loss that is a sum over points, and its gradients, in one pass. `loss` receives a range of points, their jet,
    /// and zeros to overwrite with the derivatives of the loss with respect to that jet; it returns the loss of these
    /// points. It is called from several threads.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
    /// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let x = ndarray::Array2::ones((5, 2));
    /// let (loss, gradients) = network.loss_gradients(&x, &Request::new().laplacian(), |_points, jet, bar| {
    ///     let laplacian = jet.laplacian.as_ref().unwrap();
    ///     bar.laplacian.as_mut().unwrap().assign(laplacian);
    ///     0.5 * laplacian.iter().map(|l| l * l).sum::<f64>()
    /// })?;
    /// assert!(loss > 0.0 && gradients.weights.len() == network.n_weights());
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`pullback`](Self::pullback).
    fn loss_gradients<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        loss: impl Fn(Range<usize>, &JetView<'_, F>, &mut JetMut<'_, F>) -> F + Sync,
    ) -> Result<(F, Gradients<F>), Error> {
        let call = reversed(self, x.view(), request)?;
        loss_gradients(&call, x.view(), loss)
    }

    /// Continues a composition: from the jet of some `u(x)` (value, optionally gradient and Hessian with respect to
    /// `x`) to the jet of `layer(u(x))` with respect to the same `x` (hessQuik's `dudx` and `d2ud2x`).
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Jet, Single};
    /// let init = &mut Init::seed(0);
    /// let (f, g) = (Single::<f64>::new(2, 5, Activation::Tanh, init), Single::new(5, 1, Activation::Sin, init));
    /// let x = ndarray::Array2::ones((3, 2));
    /// let jet = g.forward(&f.forward(&Jet::identity(&x))?)?; // of g(f(x))
    /// assert_eq!(jet.hessian.unwrap().dim(), (3, 2, 2, 1));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Request`] without a value or with a Hessian but no gradient; [`Error::Shape`] for shapes that do not fit.
    fn forward(&self, u: &Jet<F>) -> Result<Jet<F>, Error> {
        let program = program(self)?;
        F::forward(&program, u)
    }

    /// Prepends this layer to a function `g` of its output: from the gradient (n_s, n', m) and optionally the Hessian
    /// (n_s, n', n', m) of `g` with respect to `layer(u)` to those with respect to `u` (hessQuik's `dgdf` and
    /// `d2gd2f`). The value of `g` is passed through.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, Single};
    /// let init = &mut Init::seed(0);
    /// let (f, g) = (Single::<f64>::new(2, 5, Activation::Tanh, init), Single::new(5, 1, Activation::Sin, init));
    /// let x = ndarray::Array2::ones((3, 2));
    /// let outer = g.evaluate(&f.value(&x)?, &Request::new().gradient().hessian())?;
    /// let jet = f.backward(&x, &outer)?; // of g(f(x))
    /// assert_eq!(jet.hessian.unwrap().dim(), (3, 2, 2, 1));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Request`] without a gradient; [`Error::Shape`] for shapes that do not fit.
    fn backward<S: Data<Elem = F>>(&self, u: &ArrayBase<S, Ix2>, g: &Jet<F>) -> Result<Jet<F>, Error> {
        let program = program(self)?;
        check_points(&program, &u.view())?;
        F::backward(&program, u.view(), g)
    }

    /// The plan of this request's first second-order result, or of its first derivatives if it has none.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn plan(&self, request: &Request<F>) -> Result<Plan, Error> {
        Ok(call(self, None, request, false)?.plan().cloned().unwrap_or_default())
    }

    /// The plan of a request, its predicted cost for `points` points, and the alternatives.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
    /// let network = fully_connected::<f32>(&[784, 64, 64, 10], Activation::Tanh, &mut Init::seed(0))?;
    /// println!("{}", network.explain(1000, &Request::new().hessian())?);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn explain(&self, points: usize, request: &Request<F>) -> Result<Explanation, Error> {
        Ok(call(self, None, request, false)?.explain(points, request))
    }
}

impl<F: Real, L: Layer<F> + ?Sized> Evaluate<F> for L {}
