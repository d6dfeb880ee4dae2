//! Smooth maps, and networks of layers with sparse forms.
use super::*;

/// A function of features that is anything but linear - pointwise - linear.
pub(super) trait Map: Clone + std::fmt::Debug + Send + Sync + 'static {
    fn dims(&self) -> (usize, usize);
    fn apply<T: Scalar>(&self, u: &[T]) -> Vec<T>;
}

/// The five operations of the second door for any map, by dual numbers.
#[derive(Clone, Debug)]
pub(super) struct Smooth<M>(M);

impl<M: Map> Smooth<M> {
    fn at<T: Scalar>(&self, u: ArrayView2<f64>, s: usize, lift: impl Fn(usize, f64) -> T) -> Vec<T> {
        self.0.apply(&u.row(s).iter().enumerate().map(|(i, &u)| lift(i, u)).collect::<Vec<_>>())
    }
}

impl<M: Map> SmoothMap<f64> for Smooth<M> {
    fn dim_input(&self) -> usize {
        self.0.dims().0
    }
    fn dim_output(&self) -> usize {
        self.0.dims().1
    }
    fn value(&self, u: ArrayView2<f64>) -> Array2<f64> {
        let mut out = Array2::zeros((u.nrows(), self.0.dims().1));
        for (s, mut row) in out.outer_iter_mut().enumerate() {
            row.assign(&Array1::from(self.at(u, s, |_, u| u)));
        }
        out
    }
    fn tangent(&self, u: ArrayView2<f64>, t: ArrayView3<f64>) -> Array3<f64> {
        let mut out = Array3::zeros((u.nrows(), t.dim().1, self.0.dims().1));
        for ((s, a), t) in ndarray::indices((u.nrows(), t.dim().1)).into_iter().zip(t.rows()) {
            let f = self.at(u, s, |i, u| Dual64::new(u, t[i]));
            out.slice_mut(s![s, a, ..]).assign(&f.into_iter().map(|f| f.eps).collect::<Array1<f64>>());
        }
        out
    }
    fn adjoint(&self, u: ArrayView2<f64>, g: ArrayView3<f64>) -> Array3<f64> {
        let mut out = Array3::zeros((u.nrows(), g.dim().1, u.ncols()));
        for (s, i) in ndarray::indices(u.dim()) {
            let f = self.at(u, s, |j, u| Dual64::new(u, f64::from(u8::from(i == j))));
            let column: Array1<f64> = f.into_iter().map(|f| f.eps).collect();
            out.slice_mut(s![s, .., i]).assign(&g.slice(s![s, .., ..]).dot(&column));
        }
        out
    }
    fn curvature(
        &self,
        u: ArrayView2<f64>,
        t1: ArrayView3<f64>,
        t2: ArrayView3<f64>,
        g: ArrayView3<f64>,
    ) -> Array4<f64> {
        let mut out = Array4::zeros((u.nrows(), t1.dim().1, t2.dim().1, g.dim().1));
        for (s, a, b) in ndarray::indices((u.nrows(), t1.dim().1, t2.dim().1)) {
            let f = self.at(u, s, |i, u| HyperDual64::new(u, t1[[s, a, i]], t2[[s, b, i]], 0.0));
            let second: Array1<f64> = f.into_iter().map(|f| f.eps1eps2).collect();
            out.slice_mut(s![s, a, b, ..]).assign(&g.slice(s![s, .., ..]).dot(&second));
        }
        out
    }
    fn curvature_pullback(
        &self,
        u: ArrayView2<f64>,
        t1: ArrayView3<f64>,
        t2: ArrayView3<f64>,
        g: ArrayView3<f64>,
        weight: ArrayView4<f64>,
    ) -> Array2<f64> {
        let mut out = Array2::zeros(u.dim());
        for (s, a, b) in ndarray::indices((u.nrows(), t1.dim().1, t2.dim().1)) {
            let by_output = weight.slice(s![s, a, b, ..]).dot(&g.slice(s![s, .., ..]));
            for j in 0..u.ncols() {
                let f = self.at(u, s, |i, u| {
                    let unit = f64::from(u8::from(i == j));
                    HyperHyperDual64::new(u, t1[[s, a, i]], t2[[s, b, i]], unit, 0.0, 0.0, 0.0, 0.0)
                });
                out[[s, j]] += f.into_iter().zip(&by_output).map(|(f, w)| f.eps1eps2eps3 * w).sum::<f64>();
            }
        }
        out
    }
}

impl<M: Map> Layer<f64> for Smooth<M> {
    fn name(&self) -> String {
        "smooth".into()
    }
    fn dim_input(&self) -> usize {
        self.0.dims().0
    }
    fn dim_output(&self) -> usize {
        self.0.dims().1
    }
    fn parts(&self) -> Parts<'_, f64> {
        Parts::Smooth(Arc::new(self.clone()))
    }
}

/// `(u - mean(u)) / sqrt(variance(u) + 0.1)`: layer norm without scale and shift.
#[derive(Clone, Debug)]
pub(super) struct LayerNorm(usize);

impl Map for LayerNorm {
    fn dims(&self) -> (usize, usize) {
        (self.0, self.0)
    }
    fn apply<T: Scalar>(&self, u: &[T]) -> Vec<T> {
        let n = self.0 as f64;
        let mean = u.iter().fold(T::zero(), |sum, &u| sum + u) / n;
        let variance = u.iter().fold(T::zero(), |sum, &u| sum + (u - mean) * (u - mean)) / n;
        u.iter().map(|&u| (u - mean) / (variance + 0.1).sqrt()).collect()
    }
}

/// Products and quotients of three features, two outputs: a Jacobian that is not square and knows its transpose.
#[derive(Clone, Debug)]
pub(super) struct Ratio;

impl Map for Ratio {
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn apply<T: Scalar>(&self, u: &[T]) -> Vec<T> {
        vec![u[0] * u[1].exp() * u[2], u[2].sin() * u[0] / (u[1] * u[1] + 1.0)]
    }
}

/// `ratio(layer norm(u + tanh(u K + b) / 2))`, with a smooth map first, in between and last.
pub(super) struct Normed {
    pub first: bool,
}

impl Normed {
    pub fn network(&self, init: &mut Init) -> Network<f64> {
        let resnet = Resnet::new(3, 0.5, Activation::Tanh, init);
        let mut layers: Vec<Box<dyn Layer<f64>>> =
            vec![Box::new(resnet), Box::new(Smooth(LayerNorm(3))), Box::new(Smooth(Ratio))];
        if self.first {
            layers.insert(0, Box::new(Smooth(LayerNorm(3))));
        } else {
            layers.push(Box::new(Single::new(2, 4, Activation::Sigmoid, init)));
        }
        Network::new(layers).unwrap()
    }
}

impl Model for Normed {
    fn apply<T: Scalar>(&self, w: &Named<T>, x: &[T]) -> Vec<T> {
        let (u, at) = if self.first { (LayerNorm(3).apply(x), 1) } else { (x.to_vec(), 0) };
        let z = dense(&u, &w[&format!("{at}.layer.K")], &w[&format!("{at}.layer.b")]);
        let u: Vec<T> = u.iter().zip(z).map(|(&u, z)| u + tanh(z) * 0.5).collect();
        let f = Ratio.apply(&LayerNorm(3).apply(&u));
        if self.first {
            return f;
        }
        dense(&f, &w["3.K"], &w["3.b"]).into_iter().map(|z| ((-z).exp() + 1.0).recip()).collect()
    }
}

/// Forms with most of their parts left out: a constant, a site that sees nothing, a bare skip that drops features and
/// repeats others, and one whose output nobody writes in part.
pub(super) struct Sparse {
    pub which: usize,
}

impl Sparse {
    pub fn network(&self, init: &mut Init) -> Network<f64> {
        let matrix = array![[0.3, -0.7, 0.2], [1.1, 0.4, -0.5]];
        let none = || Form::new(3, 2, 3).act(Activation::Sin);
        // said to be zero: what is not said at all is an error
        let zero = || Linear::zero().copy(0, 0, 2, 0.0);
        let form = match self.which {
            0 => none().m(zero()).w(zero()).c("c"),
            1 => none().m(zero()).b("b").w(Linear::zero().constant(matrix, 0, 0)).c("c"),
            2 => none().s(Linear::zero().copy(1, 0, 2, 2.0).copy(1, 1, 1, -0.5).copy(0, 0, 0, 1.0)),
            3 => none().m(Linear::zero().transposed("c", 0, 0)).w(Linear::zero().copy(1, 2, 1, 3.0)).b("b"),
            _ => none().m(Linear::zero().copy(2, 1, 1, 1.5)).w(Linear::zero().constant(matrix, 0, 0)),
        };
        let (b, c) = (|| Weights::new().with("b", array![0.4, -0.9]), array![0.3, 0.8, -0.2]);
        let weights = match self.which {
            0 => Weights::new().with("c", c),
            1 => b().with("c", c),
            3 => b().with("c", array![[0.3], [0.8]]),
            _ => Weights::new(),
        };
        let own = Own { name: "sparse", dims: (3, 3), weights, form };
        let layers: Vec<Box<dyn Layer<f64>>> = vec![
            Box::new(own.clone()),
            Box::new(Resnet::new(3, 0.5, Activation::Tanh, init)),
            Box::new(own),
            Box::new(Single::new(3, 2, Activation::Sigmoid, init)),
        ];
        Network::new(layers).unwrap()
    }

    fn sparse<T: Scalar>(&self, w: &Named<T>, at: usize, u: &[T]) -> Vec<T> {
        let weight = |name: &str| &w[&format!("{at}.{name}")];
        let matrix = |z: [T; 2]| {
            let [s, t] = z.map(|z| z.sin());
            [s * 0.3 + t * 1.1, s * -0.7 + t * 0.4, s * 0.2 + t * -0.5]
        };
        let zero = T::zero();
        match self.which {
            0 => (0..3).map(|i| weight("c")[[i]]).collect(),
            1 => {
                let (b, c) = (weight("b"), weight("c"));
                matrix([b[[0]], b[[1]]]).into_iter().enumerate().map(|(i, f)| f + c[[i]]).collect()
            }
            2 => vec![u[1] * 2.0, u[2] * 2.0 - u[1] * 0.5, zero],
            3 => vec![zero, zero, (u[0] * weight("c")[[1, 0]] + weight("b")[[1]]).sin() * 3.0],
            _ => matrix([zero, u[2] * 1.5]).to_vec(),
        }
    }
}

impl Model for Sparse {
    fn apply<T: Scalar>(&self, w: &Named<T>, x: &[T]) -> Vec<T> {
        let u = self.sparse(w, 0, x);
        let z = dense(&u, &w["1.layer.K"], &w["1.layer.b"]);
        let u: Vec<T> = u.iter().zip(z).map(|(&u, z)| u + tanh(z) * 0.5).collect();
        let u = self.sparse(w, 2, &u);
        dense(&u, &w["3.K"], &w["3.b"]).into_iter().map(|z| ((-z).exp() + 1.0).recip()).collect()
    }
}
