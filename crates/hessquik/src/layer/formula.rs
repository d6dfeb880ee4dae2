//! Layers given by settings and a forward pass, and the code that all of them share.
use super::{Init, Layer, Weights};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Activation, ActivationSpec, Error, Real};
use ndarray::{ArrayD, Ix1, Ix2, IxDyn};
use std::fmt::Debug;

/// Layers inside a layer, each with the prefix of its weights' names.
pub type Inside<F> = [(String, Box<dyn Layer<F>>)];

/// Layers of one kind at most in one description: beyond it a file is broken, or meant to be.
const MOST: usize = 1 << 12;

/// The settings of a layer that is defined by its forward pass: its entry in model files, and all else that makes it a
/// layer.
///
/// A [`Formula`] is the layer of a recipe. Model files store a user-defined recipe as its graph.
///
/// ```
/// use hessquik::layer::{Formula, Inside, Recipe};
/// use hessquik::{Error, Evaluate, Init, Network, Real, Var};
///
/// /// `u' = (1 - z) u + z tanh(u)` with `z = sigmoid(u K)`.
/// #[derive(Clone, Debug)]
/// struct Gate { width: usize }
///
/// impl Recipe for Gate {
///     fn name(&self) -> &'static str { "gate" }
///     fn counts(&self) -> Vec<(&'static str, usize)> { vec![("width", self.width)] }
///     fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> { Ok((self.width, self.width)) }
///     fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> { vec![("K".into(), vec![self.width; 2])] }
///     fn forward<F: Real>(&self, u: Var<F>, _: &Inside<F>) -> Var<F> {
///         let z = u.dot("K").sigmoid();
///         (1.0 - &z) * &u + z * u.tanh()
///     }
/// }
///
/// let gate = Formula::<_, f64>::of(Gate { width: 3 }, vec![], &mut Init::seed(0))?;
/// let network = Network::bare(Box::new(gate))?;
/// let again = Network::<f64>::from_bytes(&network.to_bytes()?)?;
/// let x = ndarray::array![[0.1, 0.2, 0.3]];
/// assert_eq!(again.hessian(&x)?, network.hessian(&x)?);
/// # Ok::<(), Error>(())
/// ```
pub trait Recipe: Debug + Send + Sync {
    /// The type in model files: `"layer_norm"`.
    fn name(&self) -> &'static str;

    /// The settings that are counts, all at least 1.
    fn counts(&self) -> Vec<(&'static str, usize)> {
        Vec::new()
    }

    /// The number of layers of weights, at most a few thousand.
    fn depth(&self) -> usize {
        1
    }

    /// The settings that are real numbers: finite in the precision of the layer, and not so small that they become
    /// zero.
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The activations, for a layer with a choice of activation.
    fn activations(&self) -> Vec<ActivationSpec> {
        Vec::new()
    }

    /// Further conditions on the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the setting.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Approximate number of entries that one sample needs at once; it decides whether a description is too large for
    /// the machine.
    fn width(&self) -> u128 {
        self.counts().iter().map(|(_, n)| *n as u128).sum()
    }

    /// Number of input and output features, given those of the inner layers.
    ///
    /// # Errors
    /// [`Error::Setting`] if the inner layers do not fit.
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error>;

    /// Names and shapes of the layer's own weights.
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        Vec::new()
    }

    /// Random initial values of one of these weights: matrices as in Glorot and Bengio (2010), vectors zero.
    fn draw<F: Real>(&self, _name: &str, shape: &[usize], init: &mut Init) -> ArrayD<F>
    where
        Self: Sized,
    {
        match *shape {
            [rows, cols] => {
                let bound = (6.0 / (rows as f64 + cols as f64)).sqrt();
                init.uniform((rows, cols), -bound, bound).into_dyn()
            }
            _ => ArrayD::zeros(IxDyn(shape)),
        }
    }

    /// The descriptions of the inner layers, each with the prefix of its weights' names.
    fn inside(&self) -> Vec<(String, &Architecture)> {
        Vec::new()
    }

    /// The description, given those of the inner layers; if it is `None`, model files store the layer's graph.
    fn describe(&self, _inside: Vec<Architecture>) -> Option<Architecture> {
        None
    }

    /// The forward pass.
    fn forward<F: Real>(&self, u: Var<F>, inside: &Inside<F>) -> Var<F>
    where
        Self: Sized;
}

/// The conditions on the settings of a recipe, which hold in either precision.
pub(crate) fn check(recipe: &dyn Recipe) -> Result<(), Error> {
    if let Some((what, _)) = recipe.counts().iter().find(|(_, n)| *n == 0) {
        return Err(Error::setting(*what, 0, "at least 1"));
    }
    if recipe.depth() > MOST {
        return Err(Error::setting("depth", recipe.depth(), format!("at most {MOST}")));
    }
    if let Some((what, number)) = recipe.numbers().into_iter().find(|(_, number)| !number.is_finite()) {
        return Err(Error::setting(what, number, "a finite number"));
    }
    recipe.activations().into_iter().try_for_each(|act| Activation::from(act).check())?;
    recipe.check()
}

/// A layer made of a [`Recipe`]: [`Affine`](super::Affine), [`LayerNorm`](super::LayerNorm), [`Attention`](super::Attention)
/// and others.
#[derive(Clone, Debug)]
pub struct Formula<S, F: Real> {
    recipe: S,
    dims: (usize, usize),
    weights: Weights<F>,
    inside: Vec<(String, Box<dyn Layer<F>>)>,
}

impl<S: Recipe, F: Real> Formula<S, F> {
    /// The layer of a recipe, with these inner layers and weights from `init`.
    ///
    /// # Errors
    /// [`Error::Setting`] naming a setting that is invalid or not representable in `F`, or inner layers that do not
    /// fit.
    pub fn of(recipe: S, inside: Vec<(String, Box<dyn Layer<F>>)>, init: &mut Init) -> Result<Self, Error> {
        check(&recipe)?;
        for (what, number) in recipe.numbers() {
            let held = F::of(number);
            if !held.is_finite() || (held == F::zero()) != (number == 0.0) {
                return Err(Error::setting(what, number, format!("a number that {} holds", F::NAME)));
            }
        }
        let names = |names: Vec<&String>| format!("{names:?}");
        let found = names(inside.iter().map(|(name, _)| name).collect());
        let wanted = names(recipe.inside().iter().map(|(name, _)| name).collect());
        if found != wanted {
            return Err(Error::setting(format!("the list of layers inside {}", recipe.name()), found, wanted));
        }
        let sizes: Vec<_> = inside.iter().map(|(_, layer)| (layer.dim_input(), layer.dim_output())).collect();
        let dims = recipe.dims(&sizes)?;
        let mut weights = Weights::new();
        for (name, shape) in recipe.weight_shapes() {
            weights = weights.with(&name, recipe.draw::<F>(&name, &shape, init));
        }
        Ok(Self { recipe, dims, weights, inside })
    }

    /// The settings.
    pub fn settings(&self) -> &S {
        &self.recipe
    }

    /// The inner layers.
    pub fn inside(&self) -> impl Iterator<Item = &dyn Layer<F>> {
        self.inside.iter().map(|(_, layer)| &**layer)
    }
}

impl<S: Recipe + Clone + 'static, F: Real> Layer<F> for Formula<S, F> {
    fn name(&self) -> String {
        self.recipe.name().into()
    }
    fn dim_input(&self) -> usize {
        self.dims.0
    }
    fn dim_output(&self) -> usize {
        self.dims.1
    }
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        let inside = self.inside.iter().flat_map(|(prefix, layer)| {
            layer.weights().into_iter().map(move |(name, w)| (format!("{prefix}.{name}"), w))
        });
        inside.chain(self.weights.list()).collect()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        let inside = self.inside.iter_mut().flat_map(|(prefix, layer)| {
            let prefix = &*prefix;
            layer.weights_mut().into_iter().map(move |(name, w)| (format!("{prefix}.{name}"), w))
        });
        inside.chain(self.weights.list_mut()).collect()
    }
    fn settled(&self) -> bool {
        self.inside.iter().all(|(_, layer)| layer.settled())
    }
    fn forward_pass(&self, u: Var<F>) -> Var<F> {
        self.recipe.forward(u, &self.inside)
    }
    fn architecture(&self) -> Option<Architecture> {
        let inside = self.inside.iter().map(|(_, layer)| layer.architecture()).collect::<Option<_>>();
        inside.and_then(|inside| self.recipe.describe(inside)).or_else(|| crate::graph::described(self))
    }
}

/// `u K + b` with the weights `prefix.K` and `prefix.b`.
pub(crate) fn dense<F: Real>(u: &Var<F>, prefix: &str) -> Var<F> {
    u.dot(&format!("{prefix}.K")) + format!("{prefix}.b").as_str()
}

/// Names and shapes of the weights of [`dense`].
pub(crate) fn dense_shapes(prefix: &str, rows: usize, cols: usize) -> [(String, Vec<usize>); 2] {
    [(format!("{prefix}.K"), vec![rows, cols]), (format!("{prefix}.b"), vec![cols])]
}

/// Numbers as a constant row.
pub(crate) fn row<F: Real>(u: &Var<F>, numbers: impl IntoIterator<Item = f64>) -> Var<F> {
    u.constant(&numbers.into_iter().map(F::of).collect::<ndarray::Array<F, Ix1>>())
}

/// A constant matrix of this many rows.
pub(crate) fn matrix<F: Real>(u: &Var<F>, rows: usize, numbers: Vec<f64>) -> Var<F> {
    let cols = numbers.len() / rows.max(1);
    let entries = numbers.into_iter().map(F::of).collect();
    u.constant(&ndarray::Array::<F, Ix2>::from_shape_vec((rows, cols), entries).expect("whole rows"))
}

/// What stands for the layers inside in the recipe of a layer that holds them itself.
pub(crate) fn nobody() -> Architecture {
    Architecture::Network { layers: Vec::new() }
}

/// Layers inside, numbered from 0.
pub(crate) fn numbered<L>(layers: impl IntoIterator<Item = L>) -> Vec<(String, L)> {
    layers.into_iter().enumerate().map(|(i, layer)| (i.to_string(), layer)).collect()
}
