//! The weights of one layer: arrays by name, in order.
use crate::Real;
use ndarray::{Array, ArrayD, Dimension};

/// Named weights in the order of hessQuik's `state_dict`, in standard (C) memory order.
#[derive(Clone, Debug, Default)]
pub struct Weights<F> {
    entries: Vec<(String, ArrayD<F>)>,
}

impl<F: Real> Weights<F> {
    /// No weights yet.
    pub fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a weight.
    pub fn with<D: Dimension>(mut self, name: &str, array: Array<F, D>) -> Self {
        self.entries.push((name.into(), array.as_standard_layout().into_owned().into_dyn()));
        self
    }

    /// Removes the weight of this name, if it exists.
    pub fn without(mut self, name: &str) -> Self {
        self.entries.retain(|(n, _)| n != name);
        self
    }

    /// Whether a weight of this name exists.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(n, _)| n == name)
    }

    /// All weights with their names, as [`Layer::weights`](crate::Layer::weights) gives them.
    pub fn list(&self) -> Vec<(String, &ArrayD<F>)> {
        self.entries.iter().map(|(n, a)| (n.clone(), a)).collect()
    }

    /// All weights with their names, mutable.
    pub fn list_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        self.entries.iter_mut().map(|(n, a)| (n.clone(), a)).collect()
    }
}
