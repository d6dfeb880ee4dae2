//! What is minimised.
use super::Data;
use crate::{Error, Evaluate, FlatNetwork};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use hessquik::Request;
use std::ops::Range;

/// A mean over points of weighted terms, `L = 1/N sum_s sum_t w_t l_t(s)`.
pub trait Objective: Clone {
    /// Number of points N.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A name for each term, for tables.
    fn names(&self) -> Vec<&'static str>;

    /// The weight of each term.
    fn weights(&self) -> Vec<f64>;

    /// The same with its points in another order.
    #[must_use]
    fn select(&self, order: &[usize]) -> Self;

    /// Each term summed over some points, a tensor of one entry each.
    ///
    /// # Errors
    /// Those of the evaluation.
    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error>;
}

/// The mean squared error of values, gradients and Hessians, as far as they are known,
///
/// ```text
/// L = 1/(2 N) sum_s ( w0 |f - y|^2 + w1 |grad f - grad y|^2 + w2 |hess f - hess y|^2 )
/// ```
///
/// (`train_one_epoch` in the manual of hessQuik; every point counts there too, unlike in its code, which leaves out a
/// last batch that is not full).
#[derive(Clone, Debug)]
pub struct Fit {
    x: Tensor<2>,
    targets: Vec<Target>,
    request: Request<f64>,
}

#[derive(Clone, Debug)]
struct Target {
    name: &'static str,
    weight: f64,
    /// (n, entries), entries in the order of the result in memory, its output axis first
    entries: Tensor<2>,
}

impl Fit {
    /// The fit of data, on the device and in the precision of the network that is to be trained.
    ///
    /// Terms of weight 0 are neither computed nor shown.
    ///
    /// # Errors
    /// Weights that are negative or not finite, or all zero; a device without the precision.
    pub fn new(data: &Data, weights: [f64; 3], device: &Device, dtype: DType) -> Result<Self, Error> {
        if let Some(w) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(Error::Training(format!("the loss has the weight {w}, expected zero or a positive number")));
        }
        let tensor = |rows: usize, entries: Vec<f64>| -> Tensor<2> {
            let columns = entries.len() / rows;
            Tensor::from_data(TensorData::new(entries, [rows, columns]).convert_dtype(dtype), (device, dtype))
        };
        let n = data.len();
        let (mut targets, mut request) = (Vec::new(), Request::new());
        if let (Some(y), true) = (&data.value, weights[0] > 0.0) {
            request = request.value();
            targets.push(Target {
                name: "loss_f",
                weight: weights[0],
                entries: tensor(n, y.iter().copied().collect()),
            });
        }
        if let (Some(y), true) = (&data.gradient, weights[1] > 0.0) {
            request = request.gradient();
            let y = y.view().permuted_axes([0, 2, 1]);
            targets.push(Target {
                name: "loss_df",
                weight: weights[1],
                entries: tensor(n, y.iter().copied().collect()),
            });
        }
        if let (Some(y), true) = (&data.hessian, weights[2] > 0.0) {
            request = request.hessian();
            let y = y.view().permuted_axes([0, 3, 1, 2]);
            targets.push(Target {
                name: "loss_d2f",
                weight: weights[2],
                entries: tensor(n, y.iter().copied().collect()),
            });
        }
        if targets.is_empty() {
            return Err(Error::Training("nothing that is known has a weight above zero".into()));
        }
        Ok(Self { x: tensor(n, data.x.iter().copied().collect()), targets, request })
    }
}

impl Objective for Fit {
    fn len(&self) -> usize {
        self.x.dims()[0]
    }

    fn names(&self) -> Vec<&'static str> {
        self.targets.iter().map(|t| t.name).collect()
    }

    fn weights(&self) -> Vec<f64> {
        self.targets.iter().map(|t| t.weight).collect()
    }

    fn select(&self, order: &[usize]) -> Self {
        let targets = self.targets.iter().map(|t| Target { entries: select(&t.entries, order), ..t.clone() });
        Self { x: select(&self.x, order), targets: targets.collect(), request: self.request.clone() }
    }

    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error> {
        let (start, n) = (points.start, points.len());
        let jets = network.evaluate(self.x.clone().narrow(0, start, n), &self.request)?;
        let term = |target: &Target| {
            let wanted = target.entries.clone().narrow(0, start, n);
            let columns = wanted.dims()[1];
            // axes as in memory: no copy
            let found = match target.name {
                "loss_f" => jets.value.clone().expect("asked for"),
                "loss_df" => jets.gradient.clone().expect("asked for").permute([0, 2, 1]).reshape([n, columns]),
                _ => jets.hessian.clone().expect("asked for").permute([0, 3, 1, 2]).reshape([n, columns]),
            };
            if found.dims()[1] != columns {
                return Err(Error::Training(format!(
                    "the network has {} outputs, the data {columns}",
                    found.dims()[1]
                )));
            }
            Ok((found - wanted).square().sum() * 0.5)
        };
        self.targets.iter().map(term).collect()
    }
}

/// Rows of a tensor in this order.
pub(super) fn select(tensor: &Tensor<2>, order: &[usize]) -> Tensor<2> {
    let order: Vec<i64> = order.iter().map(|&i| i as i64).collect();
    let len = order.len();
    tensor.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(order, [len]), &tensor.device()))
}
