//! The settings of training.
use crate::Error;
use std::path::PathBuf;

/// The optimiser of the mini-batch epochs.
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

/// The learning rate over the steps of all mini-batch epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// The first rate throughout.
    Constant,
    /// Half a cosine from the first rate to `last`.
    Cosine {
        /// The rate of the last step.
        last: f64,
    },
    /// Multiplied by `factor` after each epoch.
    Exponential {
        /// Positive, at most 1.
        factor: f64,
    },
    /// Multiplied by `factor` after every `every` epochs.
    Step {
        /// At least 1.
        every: usize,
        /// Positive, at most 1.
        factor: f64,
    },
}

/// The settings of training; the defaults are those of hessQuik's example.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Number of mini-batch epochs.
    pub epochs: usize,
    /// Points per step; with several processes, of all of them together.
    pub batch: usize,
    /// The optimiser of these epochs.
    pub optimiser: Optimiser,
    /// The first learning rate.
    pub rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Largest norm of a gradient: longer gradients are scaled down to it.
    pub clip: Option<f64>,
    /// Epochs after these, of 50 iterations of L-BFGS each on all points (Nocedal and Wright, *Numerical Optimization*,
    /// chapter 7, with a line search for the strong Wolfe conditions).
    pub lbfgs: usize,
    /// Stops training after this many epochs without a lower loss (of the validation points, if any) and returns the
    /// best weights.
    pub patience: Option<usize>,
    /// Seed of the order of points: the order in an epoch depends only on this and the number of the epoch.
    pub seed: u64,
    /// A checkpoint file, written every `every` epochs and when training is interrupted; training resumes from it if it
    /// exists.
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
