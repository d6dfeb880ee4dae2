//! The operation of a layer, and its backward pass.
use super::derivatives::Formula;
use super::kernel::{Kind, NumbersLaunch, Rows, forward, pullback};
use crate::activation::Bend;
use crate::product::{over_rows, product_of, transposed};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Cube, Dispatch, backend_extension};
use burn::tensor::{Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use cubecl::{calculate_cube_count_elemwise, tensor_vectorization};

/// A layer apart from its weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    pub rows: Rows,
    pub formula: Formula,
    /// The numbers of a softplus.
    pub numbers: Bend,
    /// `h` of `X + h Y`; the layer is `Y` without it.
    pub step: Option<f64>,
}

/// `Y` or `X + h Y` (n_s, rows, p), for X (n_s, rows, n), M (n, p) and b (1, p).
pub(super) fn layer(x: Tensor<3>, m: Tensor<2>, b: Tensor<2>, layer: Layer) -> Tensor<3> {
    let out = <Dispatch as Layers>::layer(x.into_dispatch(), m.into_dispatch(), b.into_dispatch(), layer);
    Tensor::from_dispatch(out)
}

/// The operation, for the backend that has it.
#[backend_extension(Cube, Autodiff)]
pub(crate) trait Layers: Backend {
    /// All rows of all samples through a layer.
    fn layer(x: FloatTensor<Self>, m: FloatTensor<Self>, b: FloatTensor<Self>, layer: Layer) -> FloatTensor<Self>;
}

impl Layers for Cube {
    fn layer(x: CubeTensor, m: CubeTensor, b: CubeTensor, layer: Layer) -> CubeTensor {
        let launch = Launch::new(x, m, b);
        let out = launch.out.clone();
        let Launch { x, m, b, lanes, count, dim, address, .. } = launch;
        let client = out.client.clone();
        forward::launch(
            &client,
            count,
            dim,
            address,
            lanes,
            x.clone().into_tensor_arg(),
            x.into_tensor_arg(),
            m.into_tensor_arg(),
            b.into_tensor_arg(),
            out.clone().into_tensor_arg(),
            layer.arguments(&out),
            layer.kind(),
            dtype_to_storage_type(out.dtype),
        );
        out
    }
}

/// The cotangents of the pre-activations.
fn pulled_back(x: CubeTensor, m: CubeTensor, b: CubeTensor, bar: CubeTensor, layer: Layer) -> CubeTensor {
    let launch = Launch::new(x, m, b);
    let out = launch.out.clone();
    let Launch { x, m, b, lanes, count, dim, address, .. } = launch;
    let client = out.client.clone();
    pullback::launch(
        &client,
        count,
        dim,
        address,
        lanes,
        x.into_tensor_arg(),
        m.into_tensor_arg(),
        b.into_tensor_arg(),
        into_contiguous(bar).into_tensor_arg(),
        out.clone().into_tensor_arg(),
        layer.arguments(&out),
        layer.kind(),
        dtype_to_storage_type(out.dtype),
    );
    out
}

impl Layer {
    fn kind(self) -> Kind {
        Kind { rows: self.rows, formula: self.formula, residual: self.step.is_some() }
    }

    fn arguments(self, like: &CubeTensor) -> NumbersLaunch {
        let Bend { beta, head, low, grid, most, cut } = self.numbers;
        let scalar = |number: f64| InputScalar::new(number, dtype_to_storage_type(like.dtype));
        let [beta, head, low, grid, most, cut] = [beta, head, low, grid, most, cut].map(scalar);
        NumbersLaunch::new(beta, head, low, grid, most, cut, scalar(self.step.unwrap_or(1.0)))
    }
}

/// What both kernels are launched with.
struct Launch {
    x: CubeTensor,
    m: CubeTensor,
    b: CubeTensor,
    out: CubeTensor,
    /// Entries of a row that are read at once.
    lanes: usize,
    count: CubeCount,
    dim: CubeDim,
    address: AddressType,
}

impl Launch {
    fn new(x: CubeTensor, m: CubeTensor, b: CubeTensor) -> Self {
        let (x, b) = (into_contiguous(x), into_contiguous(b));
        let [samples, rows] = [x.meta.shape()[0], x.meta.shape()[1]];
        let width = m.meta.shape()[1];
        let shape = Shape::from(vec![samples, rows, width]);
        let out = empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape, x.dtype);
        let sizes: Vec<_> = x.client.io_optimized_vector_sizes(x.dtype.size()).collect();
        let lanes = tensor_vectorization(&sizes, x.meta.shape(), x.meta.strides(), 2);
        let dim = CubeDim::new(&x.client, samples * width);
        let count = calculate_cube_count_elemwise(&x.client, samples * width, dim);
        let address = [&x, &m, &b, &out].map(CubeTensor::required_address_type).into_iter().max().unwrap_or_default();
        Self { x, m, b, out, lanes, count, dim, address }
    }
}

impl<C: CheckpointStrategy> Layers for Autodiff<Cube, C> {
    fn layer(x: FloatTensor<Self>, m: FloatTensor<Self>, b: FloatTensor<Self>, layer: Layer) -> FloatTensor<Self> {
        let nodes = [x.node(), m.node(), b.node()];
        let (x, m, b) = (x.into_primitive(), m.into_primitive(), b.into_primitive());
        let out = Cube::layer(x.clone(), m.clone(), b.clone(), layer);
        match Adjoint.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, m, b, layer), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}

/// The backward pass: with the cotangents `Z` of `X M + b`, `Z M^T`, `X^T Z` summed over all rows, and the sum of the
/// first row of `Z`.
#[derive(Debug)]
struct Adjoint;

impl Backward<Cube, 3> for Adjoint {
    type State = (CubeTensor, CubeTensor, CubeTensor, Layer);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let bar = grads.consume::<Cube>(&ops.node);
        let (x, m, b, layer) = ops.state;
        let [x_node, m_node, b_node] = ops.parents;
        let z_bar = pulled_back(x.clone(), m.clone(), b, bar.clone(), layer);
        let flat = |t: &CubeTensor| {
            let shape = t.meta.shape();
            Cube::float_reshape(t.clone(), Shape::from(vec![shape[0] * shape[1], shape[2]]))
        };
        if let Some(node) = x_node {
            let shape = x.meta.shape().clone();
            let through = Cube::float_reshape(product_of(flat(&z_bar), transposed(m)), shape);
            let x_bar = if layer.step.is_some() { Cube::float_add(bar, through) } else { through };
            grads.register::<Cube>(node.id, x_bar);
        }
        if let Some(node) = m_node {
            grads.register::<Cube>(node.id, over_rows(flat(&x), flat(&z_bar)));
        }
        if let Some(node) = b_node {
            let [samples, width] = [z_bar.meta.shape()[0], z_bar.meta.shape()[2]];
            let values = Cube::float_slice(z_bar, &[(0..samples).into(), (0..1).into(), (0..width).into()]);
            let sum = Cube::float_sum_dim(values, 0);
            grads.register::<Cube>(node.id, Cube::float_reshape(sum, Shape::from(vec![1, width])));
        }
    }
}
