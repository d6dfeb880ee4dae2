//! Small helpers on tensors: constants like another tensor, products of one matrix with many rows.
use burn::tensor::{Tensor, TensorData};
use ndarray::Array2;

/// A matrix of numbers, on the device and in the precision of `like`.
pub(crate) fn constant<const D: usize>(matrix: &Array2<f64>, like: &Tensor<D>) -> Tensor<2> {
    let data = TensorData::new(matrix.iter().copied().collect::<Vec<f64>>(), [matrix.nrows(), matrix.ncols()]);
    let dtype = like.dtype();
    Tensor::from_data(data.convert_dtype(dtype), (&like.device(), dtype))
}

/// The identity of `n` features, on the device and in the precision of `like`.
pub(crate) fn identity<const D: usize>(n: usize, like: &Tensor<D>) -> Tensor<2> {
    constant(&Array2::eye(n), like)
}

/// Zeros, on the device and in the precision of `like`.
pub(crate) fn zeros<const N: usize, const D: usize>(shape: [usize; N], like: &Tensor<D>) -> Tensor<N> {
    Tensor::zeros(shape, (&like.device(), like.dtype()))
}

/// `x B` along the last axis of `x`, as one product of a tall matrix.
pub(crate) fn rows_times<const D: usize>(x: Tensor<D>, b: Tensor<2>) -> Tensor<D> {
    let mut dims = x.dims();
    let n = dims[D - 1];
    let rows = dims[..D - 1].iter().product::<usize>();
    dims[D - 1] = b.dims()[1];
    x.reshape([rows, n]).matmul(b).reshape(dims)
}
