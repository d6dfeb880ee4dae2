//! Results: value and derivatives as tensors, on the device of the points.
use crate::product::product;
use burn::tensor::Tensor;

/// The results of a request, each a tensor on the device and in the precision of the points, with the shapes of
/// [`hessquik::Jet`]; k, q and m are the numbers of directions, output directions and outputs.
///
/// If the weights or the points are on an autodiff device, the results carry gradients to them.
#[derive(Clone, Debug, Default)]
pub struct Jets {
    /// (n_s, q)
    pub value: Option<Tensor<2>>,
    /// (n_s, k, q)
    pub gradient: Option<Tensor<3>>,
    /// (n_s, k, k, q)
    pub hessian: Option<Tensor<4>>,
    /// (n_s, k (k+1)/2, q): the upper half, row by row
    pub packed: Option<Tensor<3>>,
    /// (n_s, k, q)
    pub diagonal: Option<Tensor<3>>,
    /// (n_s, q)
    pub laplacian: Option<Tensor<2>>,
    /// (n_s, q): tr(B H)
    pub operator: Option<Tensor<2>>,
    /// (n_s, k, kw, q)
    pub products: Option<Tensor<4>>,
    /// (n_s, rows, cols, q)
    pub block: Option<Tensor<4>>,
    /// (n_s, p, q)
    pub partials: Option<Tensor<3>>,
    /// (n_s, K, k, q): orders 1 to K along each direction
    pub directional: Option<Tensor<4>>,
    /// (n_s, q)
    pub bilaplacian: Option<Tensor<2>>,
    /// `H = outer core outer^T`
    pub factored: Option<FactoredHessian>,
}

/// A Hessian in factored form, `H[s, :, :, r] = outer core[s, :, :, r] outer^T`.
#[derive(Clone, Debug)]
pub struct FactoredHessian {
    /// (k, p)
    pub outer: Tensor<2>,
    /// (n_s, p, p, q)
    pub core: Tensor<4>,
}

impl FactoredHessian {
    /// The Hessian (n_s, k, k, q).
    pub fn to_dense(&self) -> Tensor<4> {
        let outer = self.outer.clone().unsqueeze::<4>();
        let core = self.core.clone().permute([0, 3, 1, 2]);
        product(product(outer.clone(), core), outer.swap_dims(2, 3)).permute([0, 2, 3, 1])
    }
}
