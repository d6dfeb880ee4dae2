//! Steps of Burn's optimisers on the single vector of weights, and their state for checkpoints.
use super::{Optimiser, Settings};
use crate::FlatNetwork;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::Tensor;

/// An optimiser and its state.
///
/// With all weights in one vector, a step need not walk through modules: it is the plain optimiser's.
#[derive(Clone)]
pub struct Updates {
    rule: Rule,
    clip: Option<f64>,
    momentum: Option<AdaptiveMomentumState<1>>,
}

#[derive(Clone)]
enum Rule {
    Adam(Adam),
    AdamW(AdamW),
}

impl std::fmt::Debug for Updates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Updates after {} steps", self.momentum.as_ref().map_or(0, |m| m.time))
    }
}

impl Updates {
    /// The optimiser for these settings, before its first step.
    pub fn new(settings: &Settings) -> Self {
        // PyTorch's epsilon, with which hessQuik's examples were run
        let rule = match settings.optimiser {
            Optimiser::Adam => Rule::Adam(AdamConfig::new().with_epsilon(1e-8).build()),
            Optimiser::AdamW { weight_decay } => {
                Rule::AdamW(AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(weight_decay as f32).build())
            }
        };
        Self { rule, clip: settings.clip, momentum: None }
    }

    /// The network after one step.
    pub fn step(&mut self, rate: f64, mut network: FlatNetwork, gradient: Tensor<1>) -> FlatNetwork {
        let gradient = match self.clip {
            Some(c) => GradientClippingConfig::Norm(c as f32).init().clip_gradient(gradient),
            None => gradient,
        };
        let theta = network.theta.val().inner();
        let before = self.momentum.take();
        let theta = match &self.rule {
            Rule::Adam(adam) => {
                let (theta, state) = adam.step(rate, theta, gradient, before.map(|momentum| AdamState { momentum }));
                self.momentum = state.map(|s| s.momentum);
                theta
            }
            Rule::AdamW(adam) => {
                let (theta, state) = adam.step(rate, theta, gradient, before.map(|momentum| AdamWState { momentum }));
                self.momentum = state.map(|s| s.momentum);
                theta
            }
        };
        network.set_theta(theta);
        network
    }

    /// Number of steps made, and both moments; `None` before the first step.
    pub(super) fn state(&self) -> Option<(usize, Tensor<1>, Tensor<1>)> {
        self.momentum.as_ref().map(|m| (m.time, m.moment_1.clone(), m.moment_2.clone()))
    }

    /// Goes on from such a state.
    pub(super) fn restore(&mut self, (time, moment_1, moment_2): (usize, Tensor<1>, Tensor<1>)) {
        self.momentum = Some(AdaptiveMomentumState::new(time, moment_1, moment_2));
    }
}
