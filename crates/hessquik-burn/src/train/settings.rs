//! How a network is trained.
use crate::Error;
use std::path::PathBuf;

/// The optimiser of the epochs of mini-batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    /// Kingma and Ba, *Adam*, 2015, with PyTorch's settings.
    Adam,
    /// Loshchilov and Hutter, *Decoupled weight decay regularization*, 2019.
    AdamW {
        /// Zero or positive.
        weight_decay: f64,
    },
}

/// The learning rate over the steps of all epochs of mini-batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// The same throughout.
    Constant,
    /// Half a cosine from the first rate to `last`.
    Cosine {
        /// The rate of the last step.
        last: f64,
    },
    /// Times `factor` after each epoch.
    Exponential {
        /// Positive, at most 1.
        factor: f64,
    },
    /// Times `factor` after every `every` epochs.
    Step {
        /// At least 1.
        every: usize,
        /// Positive, at most 1.
        factor: f64,
    },
}

/// How a network is trained; the default is that of hessQuik's example.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Epochs of mini-batches.
    pub epochs: usize,
    /// Points of a step; over several processes, of all of them together.
    pub batch: usize,
    /// The optimiser of these epochs.
    pub optimiser: Optimiser,
    /// The first learning rate.
    pub rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Largest norm of a gradient: longer ones are shortened to it.
    pub clip: Option<f64>,
    /// Epochs after these, of 20 iterations of L-BFGS each on all points (Nocedal and Wright, *Numerical Optimization*,
    /// chapter 7, with a line search for the strong Wolfe conditions).
    pub lbfgs: usize,
    /// Epochs without a better loss (of the points to validate with, if any) after which training stops; the best weights
    /// are given back then.
    pub patience: Option<usize>,
    /// Of the order of points: an epoch's order depends on this and its number alone.
    pub seed: u64,
    /// A file that is written every so many epochs and when training is interrupted, and from which it goes on if it is
    /// there.
    pub checkpoint: Option<PathBuf>,
    /// Epochs between checkpoints.
    pub every: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epochs: 50,
            batch: 5,
            optimiser: Optimiser::Adam,
            rate: 1e-3,
            schedule: Schedule::Constant,
            clip: None,
            lbfgs: 0,
            patience: None,
            seed: 0,
            checkpoint: None,
            every: 10,
        }
    }
}

impl Settings {
    /// # Errors
    /// The first setting that makes no sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        let setting = |what: &str, found: &dyn std::fmt::Display, wanted: &str| {
            let (what, found, wanted) = (what.into(), found.to_string(), wanted.into());
            Err(Error::Library(hessquik::Error::Setting { what, found, wanted }))
        };
        let factor = |f: f64| f > 0.0 && f <= 1.0;
        match self.schedule {
            Schedule::Cosine { last } if !(last >= 0.0 && last.is_finite()) => {
                return setting("the last rate of the schedule", &last, "zero or a positive number");
            }
            Schedule::Exponential { factor: f } | Schedule::Step { factor: f, .. } if !factor(f) => {
                return setting("the factor of the schedule", &f, "above 0, at most 1");
            }
            Schedule::Step { every: 0, .. } => {
                return setting("the epochs of a step of the schedule", &0, "at least 1");
            }
            _ => (),
        }
        match self {
            Self { batch: 0, .. } => setting("the batch", &0, "at least 1 point"),
            Self { every: 0, .. } => setting("the epochs between checkpoints", &0, "at least 1"),
            Self { patience: Some(0), .. } => setting("the patience", &0, "at least 1 epoch"),
            Self { epochs: 0, lbfgs: 0, .. } => setting("the number of epochs", &0, "at least 1"),
            Self { rate, .. } if !(*rate > 0.0 && rate.is_finite()) => {
                setting("the learning rate", rate, "a positive number")
            }
            Self { clip: Some(c), .. } if c.is_nan() || *c <= 0.0 => {
                setting("the largest norm of a gradient", c, "positive")
            }
            Self { optimiser: Optimiser::AdamW { weight_decay: w }, .. } if !(*w >= 0.0 && w.is_finite()) => {
                setting("the weight decay", w, "zero or a positive number")
            }
            _ => Ok(()),
        }
    }

    /// The learning rate of a step (from 0) of the epochs of mini-batches, of which there are `steps` in each.
    pub(super) fn rate_at(&self, step: usize, steps: usize) -> f64 {
        let epoch = (step / steps) as i32;
        match self.schedule {
            Schedule::Constant => self.rate,
            Schedule::Cosine { last } => {
                let all = (self.epochs * steps).saturating_sub(1).max(1);
                let turn = std::f64::consts::PI * step as f64 / all as f64;
                last + 0.5 * (self.rate - last) * (1.0 + turn.cos())
            }
            Schedule::Exponential { factor } => self.rate * factor.powi(epoch),
            Schedule::Step { every, factor } => self.rate * factor.powi(epoch / every as i32),
        }
    }
}
