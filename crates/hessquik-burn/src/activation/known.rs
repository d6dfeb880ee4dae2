//! Numbers whose derivative is known: an operation of Burn that gives the numbers, and whose backward pass multiplies by
//! the derivative. No graph of the formula is kept, and nothing is lost where the derivative or the point is infinite.
use super::pieces::Numbers;
#[cfg(feature = "kernels")]
use burn::backend::Cube;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// `value` as a function of `z`, which has the derivative `slope`; both without a graph.
pub(super) fn known(z: &Numbers, value: Numbers, slope: Numbers) -> Numbers {
    let [value, slope] = [value, slope].map(|x| Tensor::from_inner(x).into_dispatch());
    Tensor::from_dispatch(<Dispatch as Known>::known(z.clone().into_dispatch(), value, slope))
}

/// The operation, for each backend that has it.
#[cfg_attr(feature = "kernels", backend_extension(Flex, Cube, Autodiff))]
#[cfg_attr(not(feature = "kernels"), backend_extension(Flex, Autodiff))]
pub(crate) trait Known: Backend {
    /// The value.
    fn known(z: FloatTensor<Self>, value: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self>;
}

macro_rules! known {
    ($backend:ident) => {
        impl Known for $backend {
            fn known(_: FloatTensor<Self>, value: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
                value
            }
        }

        impl<C: CheckpointStrategy> Known for Autodiff<$backend, C> {
            fn known(z: FloatTensor<Self>, value: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self> {
                let (nodes, value, slope) = ([z.node()], value.into_primitive(), slope.into_primitive());
                match Slope.prepare::<C>(nodes).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(slope, value),
                    OpsKind::UnTracked(prep) => prep.finish(value),
                }
            }
        }

        impl Backward<$backend, 1> for Slope {
            type State = FloatTensor<$backend>;

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let bar = grads.consume::<$backend>(&ops.node);
                let [z] = ops.parents;
                if let Some(z) = z {
                    grads.register::<$backend>(z.id, $backend::float_mul(bar, ops.state));
                }
            }
        }
    };
}
known!(Flex);
#[cfg(feature = "kernels")]
known!(Cube);

/// The backward pass.
#[derive(Debug)]
struct Slope;
