//! What a compiled call computes, as the text that is kept in the program.
use crate::array::Float;
use crate::settings::fit;
use hessquik::{Architecture, Error, Mode, Network, Plan, Prepared, Request};
use hessquik::{Init, Layer};
use ndarray::{Array2, ArrayViewD};
use serde::Deserialize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A network without its weights, and a request.
#[derive(Debug, Deserialize)]
pub struct Spec {
    architecture: Architecture,
    /// Names of results, separated by commas.
    names: String,
    mode: SpecMode,
    directions: Option<Vec<Vec<f64>>>,
    outputs: Option<Vec<Vec<f64>>>,
    operator: Option<Vec<Vec<f64>>>,
    /// Those of the operator, in the place of a matrix.
    terms: Option<Vec<(Vec<usize>, f64)>>,
    products: Option<Vec<Vec<f64>>>,
    block: Option<(Vec<usize>, Vec<usize>)>,
    partials: Option<Vec<Vec<usize>>>,
    directional: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SpecMode {
    Name(String),
    Plan(usize, Vec<usize>),
}

impl Spec {
    fn request<F: Float>(&self) -> Result<Request<F>, Error> {
        let plain = self
            .names
            .split(',')
            .any(|n| !matches!(n, "operator" | "products" | "block" | "partials" | "directional" | ""));
        let mut names = self
            .names
            .split(',')
            .filter(|n| !matches!(*n, "operator" | "products" | "block" | "partials" | "directional"));
        let names = names.by_ref().collect::<Vec<_>>().join(",");
        let mut request = if plain { Request::parse(&names)? } else { Request::new() };
        if let Some(b) = &self.operator {
            request = request.operator(matrix(b));
        }
        if let Some(terms) = &self.terms {
            let terms: Vec<(Vec<usize>, F)> = terms.iter().map(|(axes, c)| (axes.clone(), F::of(*c))).collect();
            request = request.operator_terms(&terms);
        }
        if let Some(w) = &self.products {
            request = request.products(matrix(w));
        }
        if let Some((rows, cols)) = &self.block {
            request = request.block(rows, cols);
        }
        if let Some(pairs) = &self.partials {
            request = request.any_partials(pairs);
        }
        if let Some(order) = self.directional {
            request = request.directional(order);
        }
        if let Some(v) = &self.directions {
            request = request.directions(matrix(v));
        }
        if let Some(u) = &self.outputs {
            request = request.outputs(matrix(u));
        }
        Ok(request.mode(match &self.mode {
            SpecMode::Name(name) => name.parse()?,
            SpecMode::Plan(prefix, pivots) => Mode::Plan(Plan::new(*prefix, pivots.clone())),
        }))
    }
}

fn matrix<F: Float>(rows: &[Vec<f64>]) -> Array2<F> {
    // rows of one length, since they were an array before they were text
    let columns = rows.first().map_or(0, Vec::len);
    Array2::from_shape_fn((rows.len(), columns), |(i, j)| F::of(rows[i][j]))
}

/// A network ready to compute what a spec says, with the weights of its last call.
pub struct Ready<F: Float> {
    network: Network<F>,
    request: Request<F>,
    prepared: Option<Prepared<F>>,
}

impl<F: Float> Ready<F> {
    fn new(text: &str) -> Result<Self, String> {
        let spec: Spec = serde_json::from_str(text).map_err(|e| e.to_string())?;
        fit::<F>(&spec.architecture).map_err(|e| e.to_string())?;
        let network = spec.architecture.build(&mut Init::zeros()).map_err(|e| e.to_string())?;
        let request = spec.request().map_err(|e| e.to_string())?;
        Ok(Self { network, request, prepared: None })
    }

    /// The network with these weights, and the request.
    pub fn with_weights(&mut self, weights: &[ArrayViewD<F>]) -> Result<(&Network<F>, &Request<F>), Error> {
        let same = self.network.weights().iter().zip(weights).all(|((_, old), new)| old == new);
        if !same {
            self.prepared = None;
            self.network.set_weights(weights)?;
        }
        Ok((&self.network, &self.request))
    }

    /// The request resolved against the network with these weights.
    pub fn prepare(&mut self, weights: &[ArrayViewD<F>]) -> Result<&Prepared<F>, Error> {
        self.with_weights(weights)?;
        if self.prepared.is_none() {
            self.prepared = Some(Prepared::new(&self.network, self.request.clone())?);
        }
        Ok(self.prepared.as_ref().expect("made just now"))
    }
}

/// Weights of all networks that are kept ready: beyond that, those that were not used for longest go.
const KEPT_WEIGHTS: usize = 4 << 20;
/// Networks that are kept ready.
const KEPT_NETWORKS: usize = 64;

/// Networks that no call uses now with their specs, the last used one at the end.
pub struct Cache<F: Float>(Mutex<Vec<(String, Ready<F>)>>);

impl<F: Float> Cache<F> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Ready<F>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends the network of this spec to `work`; several threads get one each.
    pub fn with<R>(&self, text: &str, work: impl FnOnce(&mut Ready<F>) -> Result<R, String>) -> Result<R, String> {
        let kept = {
            let mut all = self.lock();
            all.iter().rposition(|(key, _)| key == text).map(|i| all.remove(i))
        };
        let (key, mut ready) = match kept {
            Some(kept) => kept,
            None => (text.into(), Ready::new(text)?),
        };
        let result = work(&mut ready);
        let mut all = self.lock();
        all.push((key, ready));
        let mut weights: usize = all.iter().map(|(_, ready)| ready.network.n_weights()).sum();
        let mut excess = 0;
        while all.len() - excess > 1 && (weights > KEPT_WEIGHTS || all.len() - excess > KEPT_NETWORKS) {
            weights -= all[excess].1.network.n_weights();
            excess += 1;
        }
        let dropped: Vec<_> = all.drain(..excess).collect();
        // large networks are freed without the lock
        drop(all);
        drop(dropped);
        result
    }

    /// Frees the networks of this spec.
    pub fn forget(&self, text: &str) {
        let mut gone = Vec::new();
        let mut all = self.lock();
        while let Some(i) = all.iter().rposition(|(key, _)| key == text) {
            gone.push(all.remove(i));
        }
        // large networks are freed without the lock
        drop(all);
    }
}

/// Each precision has a cache of its own.
pub trait Cached: Float {
    /// The cache.
    fn cache() -> &'static Cache<Self>;
}

impl Cached for f32 {
    fn cache() -> &'static Cache<Self> {
        static CACHE: Cache<f32> = Cache::new();
        &CACHE
    }
}

impl Cached for f64 {
    fn cache() -> &'static Cache<Self> {
        static CACHE: Cache<f64> = Cache::new();
        &CACHE
    }
}
