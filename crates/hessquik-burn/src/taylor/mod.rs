//! Forward mode on GPUs: value, tangents and second derivatives of a sample as rows of one tensor, one kernel for a layer.
//!
//! ```text
//! [z; A; B] = X M (+ b on the first row)            X = [x; V; 0] (n_s, rows, d) at first
//! Y = [act(z); act'(z) A; act'(z) B + act''(z) A A]
//! X' = X S + Y W (+ c on the first row)
//! ```
//!
//! Schedules (`steps/`) take fewer operations on numbers, but hundreds of operations of Burn, each launched by the host:
//! for small networks, that is all the time there is. Results are the rows of the last X.
mod derivatives;
mod kernel;
mod layer;

use crate::form::{Step, TensorForm};
use crate::jets::Jets;
use crate::product::on_gpu;
use crate::tensors::{constant, of_numbers, rows_times, zeros};
use burn::tensor::{Int, Tensor, TensorData};
use derivatives::Formula;
use hessquik::{Mode, Request};
use kernel::{Rows, Second};
use layer::{Layer, layer};
use ndarray::{Array2, s};

/// Rows of a sample at most: a thread keeps them in registers.
const ROWS: usize = 45;

/// The rows of a request; none if it is not for this way.
fn rows(request: &Request<f64>, d: usize) -> Option<Rows> {
    let forward = matches!(request.mode, Mode::Auto | Mode::Forward) && !request.factored;
    let other = request.partials.iter().flatten().any(|axes| axes.len() != 2);
    if other || request.directional.is_some() || request.bilaplacian || request.terms.is_some() {
        return None;
    }
    // vectors beside directions would be tangents of their own
    let vectors = request.products.as_ref().is_none_or(|v| request.directions.is_none() && v.nrows() > 0);
    let blocks = request.block.as_ref().is_none_or(|(left, right)| !left.is_empty() && !right.is_empty());
    let partials = request.partials.as_ref().is_none_or(|pairs| !pairs.is_empty());
    if !(forward && vectors && blocks && partials) {
        return None;
    }
    let pairs = request.hessian
        || request.packed
        || request.operator.is_some()
        || request.products.is_some()
        || request.block.is_some()
        || request.partials.is_some();
    let second = match (pairs, request.diagonal, request.laplacian) {
        (true, ..) => Second::Pairs,
        (_, true, _) => Second::Diagonal,
        (.., true) => Second::Trace,
        _ => Second::None,
    };
    let k = request.directions.as_ref().map_or(d, |v| v.nrows());
    if k == 0 || request.outputs.as_ref().is_some_and(|u| u.ncols() == 0) {
        return None;
    }
    let tangents = if request.gradient || second != Second::None { k } else { 0 };
    let rows = Rows { tangents, second };
    (rows.len() <= ROWS).then_some(rows)
}

/// What `request` asks for at points `x` (n_s, d); none where this way does not lead: on the CPU, in other modes, for other
/// orders, with more rows than a thread keeps, with layers or activations that the kernels do not have.
pub(crate) fn jets(
    forms: impl FnOnce() -> Option<Vec<TensorForm>>,
    x: &Tensor<2>,
    request: &Request<f64>,
) -> Option<Jets> {
    let [_, d] = x.dims();
    if !on_gpu(x) {
        return None;
    }
    let rows = rows(request, d)?;
    let forms = forms()?;
    let formulas = forms.iter().map(|f| Formula::of(&f.act)).collect::<Option<Vec<_>>>()?;
    let mut all = start(x, rows, request.directions.as_ref());
    for (form, (formula, numbers)) in forms.iter().zip(formulas) {
        all = through(form, Layer { rows, formula, numbers, step: None }, all);
    }
    if let Some(outputs) = &request.outputs {
        all = rows_times(all.clone(), constant(outputs, &all));
    }
    Some(results(all, rows, request))
}

/// `[x; V; 0]` (n_s, rows, d)
fn start(x: &Tensor<2>, rows: Rows, directions: Option<&Array2<f64>>) -> Tensor<3> {
    let [samples, d] = x.dims();
    let values = x.clone().unsqueeze_dim(1);
    if rows.len() == 1 {
        return values;
    }
    let mut others = Array2::zeros((rows.len() - 1, d));
    let mut tangents = others.slice_mut(s![..rows.tangents, ..]);
    match directions {
        Some(v) => tangents.assign(v),
        None => tangents.assign(&Array2::eye(d)),
    }
    let others = constant(&others, x).unsqueeze_dim::<3>(0).expand([samples, rows.len() - 1, d]);
    Tensor::cat(vec![values, others], 1)
}

/// All rows through one layer.
fn through(form: &TensorForm, of: Layer, x: Tensor<3>) -> Tensor<3> {
    let [samples, rows, _] = x.dims();
    let b = form.b.clone().unwrap_or_else(|| zeros([1, form.m.dims()[1]], &form.m));
    let [step, skip] = match form.step() {
        Some(Step::Plain) => return layer(x, form.m.clone(), b, of),
        Some(Step::Residual(h)) => return layer(x, form.m.clone(), b, Layer { step: Some(h), ..of }),
        None => [form.w.times(&layer(x.clone(), form.m.clone(), b, of)), form.s.times(&x)],
    };
    let next = crate::form::sum(step, skip).unwrap_or_else(|| zeros([samples, rows, form.width()], &x));
    match &form.c {
        Some(c) => {
            let first =
                of_numbers((0..rows).map(|r| if r == 0 { 1.0 } else { 0.0 }), [1, rows, 1], &x.device(), x.dtype());
            next + first * c.clone().unsqueeze_dim::<3>(1)
        }
        None => next,
    }
}

/// The results of a request from all rows (n_s, rows, q).
fn results(all: Tensor<3>, rows: Rows, request: &Request<f64>) -> Jets {
    let [samples, _, q] = all.dims();
    let k = rows.tangents;
    let row = |a: usize, b: usize| rows.pair(a.min(b), a.max(b)).expect("the rows are those of the request");
    let pick = |entries: Vec<usize>| {
        let len = entries.len();
        let data = TensorData::new(entries.into_iter().map(|r| r as i64).collect::<Vec<_>>(), [len]);
        all.clone().select(1, Tensor::<1, Int>::from_data(data, &all.device().inner()))
    };
    let table = |left: &[usize], right: &[usize]| {
        let entries = left.iter().flat_map(|&a| right.iter().map(move |&b| row(a, b))).collect();
        pick(entries).reshape([samples, left.len(), right.len(), q])
    };
    let every: Vec<usize> = (0..k).collect();
    let hessian = (request.hessian || request.products.is_some()).then(|| table(&every, &every));
    let diagonal = match rows.second {
        Second::Diagonal => Some(all.clone().narrow(1, 1 + k, k)),
        Second::Pairs if request.diagonal || request.laplacian => Some(pick((0..k).map(|a| row(a, a)).collect())),
        _ => None,
    };
    let laplacian = request.laplacian.then(|| match &diagonal {
        Some(diagonal) => diagonal.clone().sum_dim(1),
        None => all.clone().narrow(1, 1 + k, 1),
    });
    let operator = request.operator.as_ref().map(|b| {
        // tr(B H) over the upper half
        let weights = (0..k).flat_map(|i| (i..k).map(move |j| if i == j { b[[i, i]] } else { b[[i, j]] + b[[j, i]] }));
        let pairs = all.clone().narrow(1, 1 + k, rows.len() - 1 - k);
        let weights = of_numbers(weights, [1, rows.len() - 1 - k, 1], &all.device(), all.dtype());
        (pairs * weights).sum_dim(1).reshape([samples, q])
    });
    let products = request.products.as_ref().map(|vectors| {
        let hessian = hessian.clone().expect("set above").swap_dims(2, 3);
        rows_times(hessian, constant(vectors, &all).transpose()).swap_dims(2, 3)
    });
    Jets {
        value: request.value.then(|| all.clone().narrow(1, 0, 1).reshape([samples, q])),
        gradient: request.gradient.then(|| all.clone().narrow(1, 1, k)),
        packed: request.packed.then(|| all.clone().narrow(1, 1 + k, rows.len() - 1 - k)),
        hessian: if request.hessian { hessian } else { None },
        diagonal: if request.diagonal { diagonal } else { None },
        laplacian: laplacian.map(|l| l.reshape([samples, q])),
        operator,
        products,
        block: request.block.as_ref().map(|(left, right)| table(left, right)),
        partials: request.partials.as_ref().map(|pairs| pick(pairs.iter().map(|axes| row(axes[0], axes[1])).collect())),
        directional: None,
        bilaplacian: None,
        factored: None,
    }
}
