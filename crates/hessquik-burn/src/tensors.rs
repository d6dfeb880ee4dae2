//! Small helpers on tensors: numbers to and from them, constants like another tensor, products of one matrix with many rows.
use crate::Error;
use crate::product::product;
use burn::tensor::{DType, Device, Tensor, TensorData};
use ndarray::Array2;

/// A tensor of these numbers, row by row, on a device and in a precision.
pub(crate) fn of_numbers<const D: usize>(
    numbers: impl IntoIterator<Item = f64>,
    shape: [usize; D],
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    let data = TensorData::new(numbers.into_iter().collect::<Vec<f64>>(), shape);
    Tensor::from_data(data.convert_dtype(dtype), (device, dtype))
}

/// The entries of a tensor.
pub(crate) fn numbers(tensor: Tensor<1>) -> Result<Vec<f64>, Error> {
    let all = tensor.into_data().convert::<f64>().try_into_vec::<f64>();
    all.map_err(|e| Error::Training(format!("numbers cannot be read from the device: {e:?}")))
}

/// A matrix of numbers, on the device and in the precision of `like`.
pub(crate) fn constant<const D: usize>(matrix: &Array2<f64>, like: &Tensor<D>) -> Tensor<2> {
    of_numbers(matrix.iter().copied(), [matrix.nrows(), matrix.ncols()], &like.device(), like.dtype())
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
    product(x.reshape([rows, n]), b).reshape(dims)
}
