//! The entries of the library: evaluate, stream and pull back, for every layer and network.
use crate::{Error, Explanation, Jet, JetMut, Layer, Plan, Real, Request};
use ndarray::{Array1, Array2, Array3, Array4, ArrayBase, Data, Ix2};
use std::ops::Range;

/// Gradients of a scalar loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<F> {
    /// With respect to all weights, as one flat vector in the order of [`Network::flat_weights`](crate::Network::flat_weights).
    pub weights: Array1<F>,
    /// With respect to the points (n_s, d).
    pub input: Array2<F>,
}

/// Evaluation of a layer or network at points `x` (n_s, d), an array or view of any strides.
pub trait Evaluate<F: Real>: Layer<F> {
    /// What `request` asks for, in fresh arrays.
    fn evaluate<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>, request: &Request<F>) -> Result<Jet<F>, Error> {
        let _ = (x, request);
        todo!()
    }

    /// What `out` has arrays for, written into them.
    fn evaluate_into<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        out: JetMut<'_, F>,
    ) -> Result<(), Error> {
        let _ = (x, request, out);
        todo!()
    }

    /// Evaluates in chunks of points, handing each chunk's range of points and jet to `consume`, in order.
    fn stream<S: Data<Elem = F>, E: From<Error>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        consume: impl FnMut(Range<usize>, &Jet<F>) -> Result<(), E>,
    ) -> Result<(), E> {
        let _ = (x, request, consume);
        todo!()
    }

    /// The value (n_s, m).
    fn value<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Array2<F>, Error> {
        let jet = self.evaluate(x, &Request::new().value())?;
        Ok(jet.value.expect("asked for"))
    }

    /// The value (n_s, m) and the gradient (n_s, d, m).
    fn gradient<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<(Array2<F>, Array3<F>), Error> {
        let jet = self.evaluate(x, &Request::new().value().gradient())?;
        Ok((jet.value.expect("asked for"), jet.gradient.expect("asked for")))
    }

    /// The value (n_s, m), the gradient (n_s, d, m) and the Hessian (n_s, d, d, m).
    #[allow(clippy::type_complexity)]
    fn hessian<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<(Array2<F>, Array3<F>, Array4<F>), Error> {
        let jet = self.evaluate(x, &Request::new().value().gradient().hessian())?;
        Ok((jet.value.expect("asked for"), jet.gradient.expect("asked for"), jet.hessian.expect("asked for")))
    }

    /// The value (n_s, m), the gradient (n_s, d, m) and the Laplacian (n_s, m).
    #[allow(clippy::type_complexity)]
    fn laplacian<S: Data<Elem = F>>(&self, x: &ArrayBase<S, Ix2>) -> Result<(Array2<F>, Array3<F>, Array2<F>), Error> {
        let jet = self.evaluate(x, &Request::new().value().gradient().laplacian())?;
        Ok((jet.value.expect("asked for"), jet.gradient.expect("asked for"), jet.laplacian.expect("asked for")))
    }

    /// The gradients, to all weights and to `x`, of the loss whose derivatives with respect to the results of
    /// `request` are `cotangent` (fields that are `None` count as zero).
    fn pullback<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        cotangent: &Jet<F>,
    ) -> Result<Gradients<F>, Error> {
        let _ = (x, request, cotangent);
        todo!()
    }

    /// A loss that is a sum over points, and its gradients, in one pass: `loss` gets a range of points, their jet, and
    /// a jet of zeros to fill with the derivatives of the loss; it returns the loss of these points.
    fn loss_gradients<S: Data<Elem = F>>(
        &self,
        x: &ArrayBase<S, Ix2>,
        request: &Request<F>,
        loss: impl Fn(Range<usize>, &Jet<F>, &mut Jet<F>) -> F + Sync,
    ) -> Result<(F, Gradients<F>), Error> {
        let _ = (x, request, loss);
        todo!()
    }

    /// Continues a composition: from the jet of `u` with respect to some `x` (value, and if wanted gradient and
    /// Hessian) to the jet of `layer(u)` with respect to the same `x` (the manual's `dudx`, `d2ud2x`).
    fn forward(&self, u: &Jet<F>) -> Result<Jet<F>, Error> {
        let _ = u;
        todo!()
    }

    /// Prepends this layer to a function `g` of its output: from the gradient (and Hessian) of `g` with respect to
    /// `layer(u)` to those with respect to `u` (the manual's `dgdf`, `d2gd2f`).
    fn backward<S: Data<Elem = F>>(&self, u: &ArrayBase<S, Ix2>, g: &Jet<F>) -> Result<Jet<F>, Error> {
        let _ = (u, g);
        todo!()
    }

    /// The plan that [`Mode::Auto`](crate::Mode) takes for this request.
    fn plan(&self, request: &Request<F>) -> Result<Plan, Error> {
        let _ = request;
        todo!()
    }

    /// The plan, its predicted cost for `points` points, and the alternatives.
    fn explain(&self, points: usize, request: &Request<F>) -> Result<Explanation, Error> {
        let _ = (points, request);
        todo!()
    }
}

impl<F: Real, L: Layer<F> + ?Sized> Evaluate<F> for L {}
