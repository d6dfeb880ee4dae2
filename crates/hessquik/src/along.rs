//! Directions that differ from point to point.
use crate::layer::Along;
use crate::{Error, Evaluate, Gradients, Jet, Layer, Network, Real, Request, Tangent};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, concatenate, s};

/// A network with a number k of input directions at each point, V (n_s, k, d): every result of a [`Request`] along
/// them, and pullbacks to weights, points and directions.
///
/// The directions are seeds of the tangents, nothing else: the network is evaluated as [`Along`], as a function of steps
/// along its directions, at steps of zero. What a request says of directions (the axes of partials, blocks and terms, the
/// matrix of an operator) counts the k directions. Where a direction of a point is not finite, all results of that point
/// are NaN.
///
/// ```
/// use hessquik::{Activation, Evaluate, Init, PointDirections, Request, fully_connected};
/// use ndarray::{Array2, Array3};
/// let network = fully_connected::<f64>(&[3, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let x: Array2<f64> = Init::seed(1).uniform((5, 3), -1.0, 1.0);
/// let v: Array3<f64> = Init::seed(2).uniform((5, 2, 3), -1.0, 1.0);
/// let along = PointDirections::new(&network, 2)?;
/// let jet = along.evaluate(&x.view(), &v.view(), &Request::new().directional(4))?;
/// assert_eq!(jet.directional.unwrap().dim(), (5, 4, 2, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PointDirections<F: Real> {
    network: Network<F>,
    k: usize,
    d: usize,
}

/// Gradients of a scalar loss of results along directions that differ from point to point.
#[derive(Clone, Debug, PartialEq)]
pub struct PointGradients<F> {
    /// With respect to all weights, as one flat vector in the order of the network's.
    pub weights: Array1<F>,
    /// With respect to the points (n_s, d).
    pub input: Array2<F>,
    /// With respect to the directions (n_s, k, d).
    pub directions: Array3<F>,
}

impl<F: Real> PointDirections<F> {
    /// A copy of the network, with `k` directions at each point.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are no directions, or so many that their entries cannot be counted.
    pub fn new(network: &Network<F>, k: usize) -> Result<Self, Error> {
        let along = Along::new(Box::new(network.clone()), k)?;
        Ok(Self { network: Network::bare(Box::new(along))?, k, d: network.dim_input() })
    }

    /// The network of steps, points and directions, [`Along`], for whatever else is wanted of it.
    pub fn network(&self) -> &Network<F> {
        &self.network
    }

    /// Sets all weights from one flat vector, in the order of the network's.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is not as long as there are weights.
    pub fn set_flat_weights(&mut self, flat: ArrayView1<F>) -> Result<(), Error> {
        self.network.set_flat_weights(flat)
    }

    /// The points (n_s, k + d + k d) of [`network`](Self::network): steps of zero, points `x` (n_s, d) and directions
    /// `v` (n_s, k, d).
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes.
    pub fn points(&self, x: &ArrayView2<F>, v: &ArrayView3<F>) -> Result<Array2<F>, Error> {
        self.rows(x, Some(v))
    }

    fn rows(&self, x: &ArrayView2<F>, v: Option<&ArrayView3<F>>) -> Result<Array2<F>, Error> {
        let (n, k, d) = (x.nrows(), self.k, self.d);
        if x.ncols() != d {
            return Err(Error::shape("the array of points", x.shape(), format!("[n_s, {d}]")));
        }
        if let Some(v) = v.filter(|v| v.dim() != (n, k, d)) {
            return Err(Error::shape("the directions of the points", v.shape(), format!("[{n}, {k}, {d}]")));
        }
        let directions = match v {
            Some(v) => v.as_standard_layout().into_owned().into_shape_with_order((n, k * d)).expect("row by row"),
            None => Array2::zeros((n, k * d)),
        };
        Ok(concatenate(Axis(1), &[Array2::zeros((n, k)).view(), x.view(), directions.view()]).expect("of n rows"))
    }

    /// The request of [`network`](Self::network) for that of the network along the directions.
    ///
    /// # Errors
    /// [`Error::Request`] if the request has directions of its own, or asks for the factored Hessian;
    /// [`Error::Shape`] for products with vectors of another length than d.
    pub fn request(&self, request: &Request<F>) -> Result<Request<F>, Error> {
        let (k, d, width) = (self.k, self.d, self.network.dim_input());
        if request.directions.is_some() {
            return Err(Error::Request(
                "the request has directions for all points, but each point has its own; give one of them".into(),
            ));
        }
        if request.factored {
            return Err(Error::Request(
                "the factored Hessian has a factor that all points share; with directions of each point, ask for the \
                 Hessian"
                    .into(),
            ));
        }
        let unit = Array2::from_shape_fn((k, width), |(a, i)| if a == i { F::one() } else { F::zero() });
        let products = request.products.as_ref().map(|w| {
            if w.ncols() != d {
                return Err(Error::shape("the vectors of the products", w.shape(), format!("[kw, {d}]")));
            }
            let mut wide = Array2::zeros((w.nrows(), width));
            wide.slice_mut(s![.., k..k + d]).assign(w);
            Ok(wide)
        });
        Ok(Request { products: products.transpose()?, ..request.clone() }.directions(unit))
    }

    /// The results of `request` at points `x` (n_s, d) along their directions `v` (n_s, k, d), in the shapes of
    /// [`Jet`] with k directions.
    ///
    /// # Errors
    /// Those of [`points`](Self::points), [`request`](Self::request) and [`Evaluate::evaluate`].
    pub fn evaluate(&self, x: &ArrayView2<F>, v: &ArrayView3<F>, request: &Request<F>) -> Result<Jet<F>, Error> {
        self.network.evaluate(&self.points(x, v)?, &self.request(request)?)
    }

    /// The gradients of a scalar loss, given its derivatives with respect to the results, as
    /// [`Evaluate::pullback`] takes them.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Jet, PointDirections, Request, fully_connected};
    /// use ndarray::{Array2, Array3};
    /// let network = fully_connected::<f64>(&[3, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let along = PointDirections::new(&network, 2)?;
    /// let (x, v) = (Array2::ones((5, 3)), Array3::ones((5, 2, 3)));
    /// // of the sum of all v^T H v
    /// let one = Jet { laplacian: Some(Array2::ones((5, 1))), ..Jet::default() };
    /// let gradients = along.pullback(&x.view(), &v.view(), &Request::new().laplacian(), &one)?;
    /// assert_eq!((gradients.input.dim(), gradients.directions.dim()), ((5, 3), (5, 2, 3)));
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate) and [`Evaluate::pullback`].
    pub fn pullback(
        &self,
        x: &ArrayView2<F>,
        v: &ArrayView3<F>,
        request: &Request<F>,
        cotangent: &Jet<F>,
    ) -> Result<PointGradients<F>, Error> {
        Ok(self.split(self.network.pullback(&self.points(x, v)?, &self.request(request)?, cotangent)?))
    }

    /// The derivative of the results along a tangent of points and weights, at fixed directions, as
    /// [`Evaluate::pushforward`] takes it.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate) and [`Evaluate::pushforward`].
    pub fn pushforward(
        &self,
        x: &ArrayView2<F>,
        v: &ArrayView3<F>,
        request: &Request<F>,
        tangent: Tangent<'_, F>,
    ) -> Result<Jet<F>, Error> {
        let points = self.points(x, v)?;
        if let Some(rates) = tangent.input.filter(|rates| rates.dim() != x.dim()) {
            return Err(Error::shape("the tangent of the points", rates.shape(), format!("{:?}", x.shape())));
        }
        let input = tangent.input.map(|rates| self.rows(&rates, None)).transpose()?;
        let tangent = Tangent { input: input.as_ref().map(|rates| rates.view()), ..tangent };
        self.network.pushforward(&points, &self.request(request)?, tangent)
    }

    fn split(&self, gradients: Gradients<F>) -> PointGradients<F> {
        let (k, d) = (self.k, self.d);
        let input = gradients.input.slice(s![.., k..k + d]).to_owned();
        let directions = gradients.input.slice(s![.., k + d..]).as_standard_layout().into_owned();
        let directions = directions.into_shape_with_order((input.nrows(), k, d)).expect("row by row");
        PointGradients { weights: gradients.weights, input, directions }
    }
}
