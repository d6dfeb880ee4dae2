//! Networks: layers one after another. A network is itself a layer.
use crate::architecture::Architecture;
use crate::engine::{Lowered, Memory, Program, Schedules, flatten};
use crate::layer::{Init, Parts};
use crate::{Activation, Error, Icnn, Layer, Real, Resnet, Single};
use ndarray::{Array1, ArrayD, ArrayView1, ArrayViewD};
use std::sync::{Arc, OnceLock};

/// Layers one after another; itself a layer, so networks nest.
///
/// ```
/// use hessquik::{Activation, Evaluate, Init, Network, Single, resnet};
/// let init = &mut Init::seed(0);
/// let network = Network::<f64>::new(vec![
///     Box::new(Single::new(2, 16, Activation::Tanh, init)),
///     Box::new(resnet(16, 4, 1.0, Activation::Tanh, init)?),
///     Box::new(Single::new(16, 1, Activation::Identity, init)),
/// ])?;
/// let (value, gradient, hessian) = network.hessian(&ndarray::array![[0.1, 0.2], [0.3, 0.4]])?;
/// assert_eq!((value.shape(), gradient.shape(), hessian.shape()), (&[2, 1][..], &[2, 2, 1][..], &[2, 2, 2, 1][..]));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub struct Network<F> {
    layers: Vec<Box<dyn Layer<F>>>,
    /// One layer standing alone: its weights keep their names (`K`, not `0.K`).
    bare: bool,
    /// The layers lowered to the one form, made at the first evaluation and dropped when weights change.
    lowered: OnceLock<Lowered<F>>,
    /// What each of them works in.
    memory: Memory<F>,
    /// The schedules of its graph, whatever the weights are.
    schedules: Schedules<F>,
}

impl<F: Real> Clone for Network<F> {
    fn clone(&self) -> Self {
        let (layers, lowered) = (self.layers.clone(), self.lowered.clone());
        Self { layers, bare: self.bare, lowered, memory: Memory::default(), schedules: self.schedules.clone() }
    }
}

impl<F: Real> Network<F> {
    /// A network of these layers.
    ///
    /// [`Error::EmptyNetwork`]; [`Error::IncompatibleBlocks`], naming both blocks, if widths do not fit;
    /// [`Error::Setting`] and [`Error::Layer`] if a layer is invalid in itself: for example if its form does not use
    /// one of its weights, two weights have the same name, or its form lacks `M` or `W`.
    pub fn new(layers: Vec<Box<dyn Layer<F>>>) -> Result<Self, Error> {
        Self::unchecked(layers, false).checked()
    }

    /// A network of one layer, whose weights keep the names that the layer gave them (`K`, not `0.K`).
    pub fn bare(layer: Box<dyn Layer<F>>) -> Result<Self, Error> {
        Self::unchecked(vec![layer], true).checked()
    }

    fn unchecked(layers: Vec<Box<dyn Layer<F>>>, bare: bool) -> Self {
        let (memory, schedules) = (Memory::default(), Schedules::default());
        Self { layers, bare, lowered: OnceLock::new(), memory, schedules }
    }

    fn checked(mut self) -> Result<Self, Error> {
        let (layers, bare) = (&mut self.layers, self.bare);
        for (i, layer) in layers.iter_mut().enumerate() {
            let shapes = |list: Vec<(String, &ArrayD<F>)>| -> Vec<(String, Vec<usize>)> {
                list.into_iter().map(|(name, w)| (name, w.shape().to_vec())).collect()
            };
            let read = shapes(layer.weights());
            let changed = shapes(layer.weights_mut().into_iter().map(|(name, w)| (name, &*w)).collect());
            if read != changed {
                let message =
                    format!("`weights` lists {read:?}, `weights_mut` lists {changed:?}; they must be the same");
                let name = if bare { layer.name() } else { format!("{i} ({})", layer.name()) };
                return Err(Error::Layer { layer: name, message });
            }
        }
        self.program()?;
        Ok(self)
    }

    /// The layers lowered to the one form.
    pub(crate) fn program(&self) -> Result<Arc<Program<F>>, Error> {
        Ok(self.lower()?.program().clone())
    }

    fn lower(&self) -> Result<&Lowered<F>, Error> {
        if let Some(lowered) = self.lowered.get() {
            return Ok(lowered);
        }
        let program = F::lower(self, self.memory.clone(), self.schedules.clone())?;
        Ok(self.lowered.get_or_init(|| Lowered::new(program)))
    }

    /// The layers.
    pub fn layers(&self) -> &[Box<dyn Layer<F>>] {
        &self.layers
    }

    /// Number of weights of all layers.
    pub fn n_weights(&self) -> usize {
        self.weights().iter().map(|(_, w)| w.len()).sum()
    }

    /// All weights as one flat vector (n_weights), layer by layer in the order of [`Layer::weights`]
    /// (hessQuik's `extract_data`).
    pub fn flat_weights(&self) -> Array1<F> {
        let weights = self.weights();
        let mut flat = vec![F::zero(); weights.iter().map(|(_, w)| w.len()).sum()];
        flatten(&weights, &mut flat);
        flat.into()
    }

    /// Sets all weights from one flat vector (hessQuik's `insert_data`).
    ///
    /// # Errors
    /// [`Error::Shape`] if `theta` does not have `n_weights` entries; the weights are then left unchanged.
    pub fn set_flat_weights(&mut self, theta: ArrayView1<F>) -> Result<(), Error> {
        let weights = self.weights_mut();
        let n: usize = weights.iter().map(|(_, w)| w.len()).sum();
        if theta.len() != n {
            return Err(Error::shape("the flat vector of weights", theta.shape(), format!("[{n}]")));
        }
        let theta = theta.as_standard_layout();
        let mut entries = theta.as_slice().expect("the standard layout");
        for (_, w) in weights {
            let (these, rest) = entries.split_at(w.len());
            match w.as_slice_mut() {
                Some(w) => w.copy_from_slice(these),
                None => w.iter_mut().zip(these).for_each(|(w, &entry)| *w = entry),
            }
            entries = rest;
        }
        Ok(())
    }

    /// Sets all weights from arrays in the order of [`Layer::weights`], of any strides.
    ///
    /// ```
    /// use hessquik::{Activation, Init, Layer, fully_connected};
    /// let trained = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
    /// let mut network = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(1))?;
    /// network.set_weights(&trained.weights().iter().map(|(_, w)| w.view()).collect::<Vec<_>>())?;
    /// assert_eq!(network.flat_weights(), trained.flat_weights());
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of arrays differs from the number of weights, or naming the first weight whose
    /// shape differs; the weights are then left unchanged.
    pub fn set_weights(&mut self, arrays: &[ArrayViewD<F>]) -> Result<(), Error> {
        let weights = self.weights();
        if weights.len() != arrays.len() {
            return Err(Error::shape("the list of weights", &[arrays.len()], format!("[{}]", weights.len())));
        }
        for ((name, w), array) in weights.iter().zip(arrays) {
            if w.shape() != array.shape() {
                return Err(Error::shape(format!("weight {name}"), array.shape(), format!("{:?}", w.shape())));
            }
        }
        self.weights_mut().into_iter().zip(arrays).for_each(|((_, w), array)| w.assign(array));
        Ok(())
    }

    /// The weight of this name, such as `1.2.layer.b`.
    ///
    /// # Errors
    /// [`Error::UnknownWeight`], which lists the names.
    pub fn weight(&self, name: &str) -> Result<ArrayViewD<'_, F>, Error> {
        let weights = self.weights();
        match weights.iter().find(|(n, _)| n == name) {
            Some((_, w)) => Ok(w.view()),
            None => Err(unknown(name, weights.iter().map(|(n, _)| n.as_str()))),
        }
    }

    /// Sets the weight of this name.
    ///
    /// # Errors
    /// [`Error::UnknownWeight`]; [`Error::Shape`] if the shapes differ.
    pub fn set_weight(&mut self, name: &str, array: ArrayViewD<F>) -> Result<(), Error> {
        let mut weights = self.weights_mut();
        let names: Vec<String> = weights.iter().map(|(n, _)| n.clone()).collect();
        match weights.iter_mut().find(|(n, _)| n == name) {
            Some((_, w)) if w.shape() == array.shape() => {
                w.assign(&array);
                Ok(())
            }
            Some((_, w)) => Err(Error::shape(format!("weight {name}"), array.shape(), format!("{:?}", w.shape()))),
            None => Err(unknown(name, names.iter().map(String::as_str))),
        }
    }

    /// A flat vector of n_weights entries, such as a gradient, as arrays of the shapes of the weights by name.
    ///
    /// # Errors
    /// [`Error::Shape`] if `flat` does not have n_weights entries.
    pub fn by_name(&self, flat: ArrayView1<F>) -> Result<Vec<(String, ArrayD<F>)>, Error> {
        let n = self.n_weights();
        if flat.len() != n {
            return Err(Error::shape("the flat vector", flat.shape(), format!("[{n}]")));
        }
        let mut entries = flat.iter();
        let take = |w: &ArrayD<F>| w.map(|_| *entries.next().expect("as many entries as weights"));
        let (names, weights): (Vec<_>, Vec<_>) = self.weights().into_iter().unzip();
        Ok(names.into_iter().zip(weights.into_iter().map(take)).collect())
    }

    /// The same network in the other precision, weights rounded to nearest.
    ///
    /// # Errors
    /// [`Error::Architecture`] if a layer of the network has no [`Layer::architecture`].
    pub fn cast<G: Real>(&self) -> Result<Network<G>, Error> {
        let architecture = self.architecture().ok_or_else(|| {
            Error::Architecture("a user-defined layer or activation cannot be rebuilt in another precision".into())
        })?;
        let mut network = architecture.build::<G>(&mut Init::zeros())?;
        let theta = self.flat_weights().mapv(|w| G::of(w.as_f64()));
        network.set_flat_weights(theta.view())?;
        Ok(network)
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    Error::UnknownWeight { name: name.into(), known: known.collect::<Vec<_>>().join(", ") }
}

impl<F: Real> Layer<F> for Network<F> {
    fn name(&self) -> String {
        "network".into()
    }
    fn dim_input(&self) -> usize {
        self.layers.first().map_or(0, |l| l.dim_input())
    }
    fn dim_output(&self) -> usize {
        self.layers.last().map_or(0, |l| l.dim_output())
    }
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        let prefix = |i: usize, n: String| if self.bare { n } else { format!("{i}.{n}") };
        let layers = self.layers.iter().enumerate();
        layers.flat_map(|(i, l)| l.weights().into_iter().map(move |(n, w)| (prefix(i, n), w))).collect()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        self.lowered = OnceLock::new();
        let bare = self.bare;
        let prefix = move |i: usize, n: String| if bare { n } else { format!("{i}.{n}") };
        let layers = self.layers.iter_mut().enumerate();
        layers.flat_map(|(i, l)| l.weights_mut().into_iter().map(move |(n, w)| (prefix(i, n), w))).collect()
    }
    fn parts(&self) -> Parts<'_, F> {
        Parts::Chain(&self.layers)
    }
    fn lowered(&self) -> Option<&Lowered<F>> {
        self.lower().ok()
    }
    fn is_network(&self) -> bool {
        true
    }
    fn settled(&self) -> bool {
        self.layers.iter().all(|layer| layer.settled())
    }
    fn architecture(&self) -> Option<Architecture> {
        if self.bare {
            return self.layers[0].architecture();
        }
        let layers = self.layers.iter().map(|l| l.architecture()).collect::<Option<_>>()?;
        Some(Architecture::Network { layers })
    }
}

/// A network of single layers with these widths (input, hidden ..., output), all with activation `act`.
///
/// ```
/// use hessquik::{Activation, Init, Layer, fully_connected};
/// let network = fully_connected::<f64>(&[3, 2, 5, 6], Activation::softplus(), &mut Init::seed(0))?;
/// assert_eq!((network.dim_input(), network.dim_output()), (3, 6));
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::EmptyNetwork`] with fewer than two widths; [`Error::Setting`] for a width of zero.
pub fn fully_connected<F: Real>(widths: &[usize], act: Activation, init: &mut Init) -> Result<Network<F>, Error> {
    let mut layers: Vec<Box<dyn Layer<F>>> = Vec::new();
    for w in widths.windows(2) {
        layers.push(Box::new(Single::new(w[0], w[1], act.clone(), init)));
    }
    Network::new(layers)
}

/// A network of `depth` residual layers of one width, with step `h` and activation `act`.
///
/// ```
/// use hessquik::{Activation, Init, Layer, resnet};
/// let network = resnet::<f64>(16, 4, 0.5, Activation::Tanh, &mut Init::seed(0))?;
/// assert_eq!(network.layers().len(), 4);
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::EmptyNetwork`] for depth 0; [`Error::Setting`] for a width of zero or an `h` that is not finite.
pub fn resnet<F: Real>(
    width: usize,
    depth: usize,
    h: f64,
    act: Activation,
    init: &mut Init,
) -> Result<Network<F>, Error> {
    let mut layers: Vec<Box<dyn Layer<F>>> = Vec::new();
    for _ in 0..depth {
        layers.push(Box::new(Resnet::new(width, h, act.clone(), init)));
    }
    Network::new(layers)
}

/// An input convex network: `widths` are the features beside `x` after each layer; inputs have dimension `input_dim`
/// (hessQuik writes the same widths with a leading `None`).
///
/// ```
/// use hessquik::{Activation, Init, Layer, icnn};
/// let network = icnn::<f64>(3, &[4, 5, 2, 7], Activation::softplus(), &mut Init::seed(0))?;
/// assert_eq!((network.dim_input(), network.dim_output()), (3, 10));
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::EmptyNetwork`] without widths; [`Error::Setting`] for a dimension of zero.
pub fn icnn<F: Real>(
    input_dim: usize,
    widths: &[usize],
    act: Activation,
    init: &mut Init,
) -> Result<Network<F>, Error> {
    let mut layers: Vec<Box<dyn Layer<F>>> = Vec::new();
    for (i, &width) in widths.iter().enumerate() {
        let features = i.checked_sub(1).map(|before| widths[before]);
        layers.push(Box::new(Icnn::new(input_dim, features, width, act.clone(), init)));
    }
    Network::new(layers)
}
