//! The objectives that training minimises.
use super::Data;
use crate::device::{is_cpu, supported};
use crate::tensors::of_numbers;
use crate::{Error, Evaluate, FlatNetwork};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use hessquik::Request;
use ndarray::{Array2, ArrayViewD, Axis};
use std::ops::Range;

/// A mean over points of weighted terms, `L = 1/N sum_s sum_t w_t l_t(s)`.
pub trait Objective: Clone {
    /// Number of points N.
    fn len(&self) -> usize;

    /// Whether there are no points.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of each term, for tables.
    fn names(&self) -> Vec<&'static str>;

    /// The weight of each term.
    fn weights(&self) -> Vec<f64>;

    /// The same objective with its points in this order.
    #[must_use]
    fn select(&self, order: &[usize]) -> Self;

    /// The sum of each term over some points, a tensor of one entry each.
    ///
    /// # Errors
    /// Those of the evaluation.
    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error>;

    /// The loss of some points of a batch of `n`, and the terms (not weighted, one tensor, without gradients).
    ///
    /// # Errors
    /// Those of the evaluation.
    fn loss(&self, network: &FlatNetwork, points: Range<usize>, n: usize) -> Result<(Tensor<1>, Tensor<1>), Error> {
        Ok(weighted(self.terms(network, points)?, &self.weights(), n))
    }
}

/// The weighted sum of terms over `n`, and the terms in one tensor, without gradients.
fn weighted(terms: Vec<Tensor<1>>, weights: &[f64], n: usize) -> (Tensor<1>, Tensor<1>) {
    let each = terms.iter().zip(weights).map(|(t, w)| t.clone() * (w / n as f64));
    let loss = each.reduce(|a, b| a + b).expect("an objective has a term");
    (loss, Tensor::cat(terms.into_iter().map(Tensor::inner).collect(), 0))
}

/// The mean squared error of values, gradients and Hessians, those that are known,
///
/// ```text
/// L = 1/(2 N) sum_s ( w0 |f - y|^2 + w1 |grad f - grad y|^2 + w2 |hess f - hess y|^2 )
/// ```
///
/// (`train_one_epoch` in the manual of hessQuik; as in the manual, every point counts, unlike in hessQuik's code, which
/// drops a last batch that is not full).
#[derive(Clone, Debug)]
pub struct Fit {
    x: Tensor<2>,
    /// (n, entries of all results), each result in the order of its axes in memory, the output axis first
    y: Tensor<2>,
    targets: Vec<Target>,
    request: Request<f64>,
}

#[derive(Clone, Debug)]
struct Target {
    name: &'static str,
    weight: f64,
    /// its columns
    columns: Range<usize>,
}

impl Fit {
    /// The objective for data, on the device and in the precision of the network to be trained.
    ///
    /// Terms of weight 0 are neither computed nor shown.
    ///
    /// # Errors
    /// Weights that are negative, not finite, or all zero; a device without the precision.
    pub fn new(data: &Data, weights: [f64; 3], device: &Device, dtype: DType) -> Result<Self, Error> {
        supported(device, dtype)?;
        if let Some(w) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(Error::Training(format!("the loss has the weight {w}, expected zero or a positive number")));
        }
        let n = data.len();
        let (mut targets, mut request, mut entries) = (Vec::new(), Request::new(), Vec::new());
        let mut columns = 0;
        let mut add = |name, weight, y: ArrayViewD<f64>| {
            let mut axes: Vec<usize> = (0..y.ndim()).collect();
            // (n, ..., m) to (n, m, ...)
            axes[1..].rotate_right(1);
            let y = y.permuted_axes(axes);
            let width = y.len() / n;
            targets.push(Target { name, weight, columns: columns..columns + width });
            columns += width;
            let rows = y.as_standard_layout().into_owned().into_shape_with_order((n, width));
            entries.push(rows.expect("as many entries as before"));
        };
        if let (Some(y), true) = (&data.value, weights[0] > 0.0) {
            request = request.value();
            add("loss_f", weights[0], y.view().into_dyn());
        }
        if let (Some(y), true) = (&data.gradient, weights[1] > 0.0) {
            request = request.gradient();
            add("loss_df", weights[1], y.view().into_dyn());
        }
        if let (Some(y), true) = (&data.hessian, weights[2] > 0.0) {
            request = request.hessian();
            add("loss_d2f", weights[2], y.view().into_dyn());
        }
        if targets.is_empty() {
            return Err(Error::Training("nothing that is known has a weight above zero".into()));
        }
        let views: Vec<_> = entries.iter().map(|e| e.view()).collect();
        let y = ndarray::concatenate(Axis(1), &views).expect("as many rows each");
        let tensor = |a: &Array2<f64>| of_numbers(a.iter().copied(), [a.nrows(), a.ncols()], device, dtype);
        Ok(Self { x: tensor(&data.x), y: tensor(&y), targets, request })
    }

    fn check(&self, network: &FlatNetwork) -> Result<(), Error> {
        let [d, m] = network.dims();
        let (columns, k) = (&self.targets[0].columns, self.x.dims()[1]);
        let entries = match self.targets[0].name {
            "loss_f" => m,
            "loss_df" => m * d,
            _ => m * d * d,
        };
        if k == d && columns.len() == entries {
            return Ok(());
        }
        let found = columns.len() * m / entries.max(1);
        Err(Error::Training(format!("the data have {k} inputs and {found} outputs, the network {d} and {m}")))
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
        Self { x: select(&self.x, order), y: select(&self.y, order), ..self.clone() }
    }

    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error> {
        self.check(network)?;
        let (start, n) = (points.start, points.len());
        let jets = network.evaluate(self.x.clone().narrow(0, start, n), &self.request)?;
        let y = self.y.clone().narrow(0, start, n);
        let term = |Target { name, columns, .. }: &Target| {
            let width = columns.len();
            let found = match *name {
                "loss_f" => jets.value.clone().expect("asked for"),
                "loss_df" => jets.gradient.clone().expect("asked for").permute([0, 2, 1]).reshape([n, width]),
                _ => jets.hessian.clone().expect("asked for").permute([0, 3, 1, 2]).reshape([n, width]),
            };
            (found - y.clone().narrow(1, columns.start, width)).square().sum() * 0.5
        };
        Ok(self.targets.iter().map(term).collect())
    }

    /// On the CPU in one pass of the engine: value, derivatives, loss and its gradient.
    fn loss(&self, network: &FlatNetwork, points: Range<usize>, n: usize) -> Result<(Tensor<1>, Tensor<1>), Error> {
        if !is_cpu(&self.x.device()) {
            return Ok(weighted(self.terms(network, points)?, &self.weights(), n));
        }
        self.check(network)?;
        let (start, len) = (points.start, points.len());
        let (x, y) = (self.x.clone().narrow(0, start, len), self.y.clone().narrow(0, start, len));
        let weights = self.targets.iter().map(|t| t.weight / n as f64).collect();
        network.misfit(x, y, &self.request, weights)
    }
}

/// Rows of a tensor in this order.
pub(super) fn select(tensor: &Tensor<2>, order: &[usize]) -> Tensor<2> {
    let order: Vec<i64> = order.iter().map(|&i| i as i64).collect();
    let len = order.len();
    tensor.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(order, [len]), &tensor.device()))
}
