//! Products of matrices in the precision of their entries.
//!
//! Burn multiplies matrices of f32 by whatever units of a GPU are fastest, on CUDA by tensor cores, which round every factor
//! to ten bits (TF32): jets come out 1e-3 off. On GPUs, therefore, products are launched with kernels that multiply f32 as
//! f32, those of the backward pass too, and sums over many rows are taken in parts.
use burn::tensor::Tensor;

/// `a b`, over the last two axes; the others are those of samples, of length 1 where all have the same.
pub(crate) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "kernels")]
    if on_gpu(&a) {
        return kernels::product(a, b);
    }
    a.matmul(b)
}

#[cfg(feature = "kernels")]
pub(crate) use kernels::{on_gpu, over_rows, product_of, transposed};

#[cfg(feature = "kernels")]
mod kernels {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::cubecl::dtype_to_storage_type;
    use burn::backend::ops::FloatTensorOps;
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, Backend, Cube, Dispatch, DispatchDevice, backend_extension};
    use burn::tensor::{Shape, Tensor};
    use burn_cubecl::kernel::matmul::init_matmul_output;
    use burn_cubecl::tensor::CubeTensor;
    use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
    use cubek::matmul::launch::launch_ref;
    use cubek::matmul::multi_level::Strategy;
    use cubek::std::InputBinding;

    /// Whether a tensor is where our kernels run.
    pub(crate) fn on_gpu<const D: usize>(a: &Tensor<D>) -> bool {
        matches!(a.device().inner().as_dispatch(), DispatchDevice::Cube(_))
    }

    pub(super) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        let (mut wide_a, mut wide_b) = (a.dims(), b.dims());
        for axis in 0..D - 2 {
            let samples = wide_a[axis].max(wide_b[axis]);
            (wide_a[axis], wide_b[axis]) = (samples, samples);
        }
        let (a, b) = (a.expand(wide_a), b.expand(wide_b));
        Tensor::from_dispatch(<Dispatch as Products>::product(a.into_dispatch(), b.into_dispatch()))
    }

    /// The operation, for the backend that has it.
    #[backend_extension(Cube, Autodiff)]
    pub(crate) trait Products: Backend {
        /// `a b` for matrices with the same leading axes.
        fn product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    impl Products for Cube {
        fn product(a: CubeTensor, b: CubeTensor) -> CubeTensor {
            let (out, entries) = (init_matmul_output(&a, &b, a.dtype), dtype_to_storage_type(a.dtype));
            let globals = MatmulGlobalElems { lhs: entries, rhs: entries, out: entries };
            let [a, b] = [a, b].map(|factor| InputBinding::new(factor.binding(), entries));
            let strategy = Strategy::SimpleUnit(Default::default()).into();
            let mut elements = MatmulElems::from_globals(&globals);
            launch_ref(&strategy, &out.client, a, b, out.clone().binding(), &mut elements)
                .expect("a kernel that asks nothing of the device, for factors of any size");
            out
        }
    }

    impl<C: CheckpointStrategy> Products for Autodiff<Cube, C> {
        fn product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
            let nodes = [a.node(), b.node()];
            let (a, b) = (a.into_primitive(), b.into_primitive());
            let out = Cube::product(a.clone(), b.clone());
            match Adjoint.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((a, b), out),
                OpsKind::UnTracked(prep) => prep.finish(out),
            }
        }
    }

    /// The backward pass: `G B^T` and `A^T G`.
    #[derive(Debug)]
    struct Adjoint;

    impl Backward<Cube, 2> for Adjoint {
        type State = (CubeTensor, CubeTensor);

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let bar = grads.consume::<Cube>(&ops.node);
            let (a, b) = ops.state;
            let [a_node, b_node] = ops.parents;
            if let Some(node) = a_node {
                grads.register::<Cube>(node.id, Cube::product(bar.clone(), transposed(b)));
            }
            if let Some(node) = b_node {
                grads.register::<Cube>(node.id, over_rows(a, bar));
            }
        }
    }

    /// `a b` for matrices with the same leading axes.
    pub(crate) fn product_of(a: CubeTensor, b: CubeTensor) -> CubeTensor {
        Cube::product(a, b)
    }

    pub(crate) fn transposed(a: CubeTensor) -> CubeTensor {
        let rank = a.meta.shape().num_dims();
        Cube::float_swap_dims(a, rank - 2, rank - 1)
    }

    /// Rows whose sum one product of [`over_rows`] takes, at least.
    const ROWS: usize = 256;
    /// Products that it takes at most.
    const PARTS: usize = 256;

    /// `A^T G`, a small matrix that is a sum over many rows: in parts that are taken at once and then added up, since each
    /// part of a product is one core's.
    pub(crate) fn over_rows(a: CubeTensor, g: CubeTensor) -> CubeTensor {
        let [rows, n, p] = match (&a.meta.shape()[..], &g.meta.shape()[..]) {
            (&[rows, n], &[_, p]) if rows >= 2 * ROWS => [rows, n, p],
            _ => return Cube::product(transposed(a), g),
        };
        let parts = (rows / ROWS).min(PARTS);
        let (len, rest) = (rows / parts, rows % parts);
        let some = |x: &CubeTensor, start: usize, end: usize| {
            Cube::float_slice(x.clone(), &[(start..end).into(), (0..x.meta.shape()[1]).into()])
        };
        let split = |x: &CubeTensor, cols: usize| {
            Cube::float_reshape(some(x, 0, rows - rest), Shape::from(vec![parts, len, cols]))
        };
        let products = Cube::product(transposed(split(&a, n)), split(&g, p));
        let sum = Cube::float_reshape(Cube::float_sum_dim(products, 0), Shape::from(vec![n, p]));
        match rest {
            0 => sum,
            _ => Cube::float_add(
                sum,
                Cube::product(transposed(some(&a, rows - rest, rows)), some(&g, rows - rest, rows)),
            ),
        }
    }
}
