//! Layers: each says only how it maps to the one form.
//!
//! | layer | M | act | S (skip) | W | c |
//! |---|---|---|---|---|---|
//! | [`Single`] | K | any | 0 | I | 0 |
//! | [`Resnet`] | K | any | I | h I | 0 |
//! | [`Icnn`], state `[u, x]` | `[softplus(L); K]` | any | select x | embed | 0 |
//! | [`Quadratic`] | A^T | z^2/2 | v | ones | mu |
//! | [`QuadraticIcnn`], state `[u, x]` | `[0; A^T]` | z^2/2 | `[softplus(w); v]` | ones | mu |
//!
//! Layers defined by a forward pass are each a [`Formula`]:
//!
//! | layer | is |
//! |---|---|
//! | [`Affine`], [`Normalise`] | affine maps of and to data with means and standard deviations |
//! | [`Fourier`], [`Periodic`] | embeddings in waves |
//! | [`ModifiedMlp`], [`PirateNet`] | gated networks of physics-informed learning |
//! | [`LayerNorm`], [`Attention`] | of tokens |
//! | [`FilterNetwork`] | multiplicative filters, Fourier or Gabor |
//! | [`Picnn`] | convex in some of the inputs |
//! | [`DeepONet`], [`Separable`] | sums of products of networks on slices of the input |
//! | [`Boundary`] | a network with hard boundary values |
//! | [`Along`] | a network along directions that are inputs, too |
//! | [`Sum`], [`Product`], [`Skip`] | networks of the same points together |
//!
//! A new layer implements [`Layer`] and gives its forward pass or a [`Form`]; [`SmoothMap`] is the last resort.
mod affine;
mod along;
mod attention;
mod boundary;
mod combine;
mod deep_onet;
mod filters;
mod form;
pub(crate) mod formula;
mod fourier;
mod graph;
mod icnn;
mod init;
mod layer_norm;
mod modified_mlp;
mod picnn;
mod pirate_net;
mod quadratic;
mod quadratic_icnn;
mod resnet;
mod single;
mod smooth;
mod weights;

pub use affine::{Affine, AffineSpec, Normalise, NormaliseSpec};
pub use along::{Along, AlongSpec};
pub use attention::{Attention, AttentionSpec};
pub use boundary::{Boundary, BoundarySpec};
pub use combine::{Product, ProductSpec, Skip, SkipSpec, Sum, SumSpec};
pub use deep_onet::{DeepONet, DeepONetSpec, Separable, SeparableSpec};
pub use filters::{Filter, FilterNetwork, FilterNetworkSpec};
pub use form::{Form, Linear, Piece, Shift};
pub use formula::{Formula, Inside, Recipe};
pub use fourier::{Fourier, FourierSpec, Periodic, PeriodicSpec};
pub use graph::GraphLayer;
pub use icnn::Icnn;
pub use init::Init;
pub use layer_norm::{LayerNorm, LayerNormSpec};
pub use modified_mlp::{ModifiedMlp, ModifiedMlpSpec};
pub use picnn::{Picnn, PicnnSpec};
pub use pirate_net::{PirateNet, PirateNetSpec};
pub use quadratic::Quadratic;
pub use quadratic_icnn::QuadraticIcnn;
pub use resnet::Resnet;
pub use single::Single;
pub use smooth::{LogSumExp, SmoothMap, Softmax};
pub use weights::Weights;

use crate::Real;
use crate::architecture::Architecture;
use crate::engine::Lowered;
use crate::graph::Var;
use ndarray::ArrayD;
use std::fmt::Debug;
use std::sync::Arc;

/// How the engine sees a layer.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // made once per lowering; a box would only burden those who write layers
pub enum Parts<'a, F> {
    /// The one form.
    Form(Form<F>),
    /// A map that does not fit the form.
    Smooth(Arc<dyn SmoothMap<F>>),
    /// Layers one after another.
    Chain(&'a [Box<dyn Layer<F>>]),
    /// Its forward pass, [`Layer::forward_pass`].
    Forward,
}

/// A layer: its dimensions, its weights by name, and how it is computed.
///
/// A user-defined layer needs no derivatives by hand:
///
/// ```
/// use hessquik::{Activation, Form, Layer, Evaluate, Linear, Parts, Request, Weights};
/// use ndarray::{ArrayD, array};
///
/// /// Random Fourier features, `sin(x B + b)`, with a trained matrix of frequencies.
/// #[derive(Clone, Debug)]
/// struct Fourier(Weights<f64>);
///
/// impl Layer<f64> for Fourier {
///     fn name(&self) -> String { "fourier".into() }
///     fn dim_input(&self) -> usize { 2 }
///     fn dim_output(&self) -> usize { 3 }
///     fn weights(&self) -> Vec<(String, &ArrayD<f64>)> { self.0.list() }
///     fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<f64>)> { self.0.list_mut() }
///     fn parts(&self) -> Parts<'_, f64> {
///         Parts::Form(Form::new(2, 3, 3).m(Linear::zero().weight("B", 0, 0)).act(Activation::Sin).w(Linear::identity(3)))
///     }
/// }
///
/// let layer = Fourier(Weights::new().with("B", array![[1.0, 2.0, 3.0], [0.5, 0.0, 1.0]]));
/// let jet = layer.evaluate(&array![[0.1, 0.2]], &Request::new().value().hessian())?;
/// assert_eq!(jet.hessian.unwrap().shape(), [1, 2, 2, 3]);
/// # Ok::<(), hessquik::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer of `{F}`",
    note = "implement `Layer<{F}>` with `forward_pass`, or check that the network and the points have one precision"
)]
pub trait Layer<F: Real>: LayerClone<F> + Debug + Send + Sync {
    /// The kind of layer, for messages: `"single"`.
    fn name(&self) -> String;

    /// Number of input features.
    fn dim_input(&self) -> usize;

    /// Number of output features.
    fn dim_output(&self) -> usize;

    /// The weights by name, in the order of the flat vector of all weights; arrays in standard memory order.
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        Vec::new()
    }

    /// The same weights, mutable; their shapes must not change.
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        Vec::new()
    }

    /// How the layer is computed: by its forward pass, unless it is one of the special cases of [`Parts`].
    fn parts(&self) -> Parts<'_, F> {
        Parts::Forward
    }

    /// The forward pass of the layer on the features of one point; see [`Var`]. Everything else follows from it.
    ///
    /// A layer has this, [`parts`](Self::parts), or both; if both, they must give the same numbers.
    fn forward_pass(&self, u: Var<F>) -> Var<F> {
        u.missing(&self.name())
    }

    /// The description that a model file holds; `None` if the layer cannot be rebuilt from one. A layer that is defined
    /// by its forward pass is described by its graph.
    fn architecture(&self) -> Option<Architecture> {
        crate::graph::described(self)
    }

    /// The layer as the engine runs it, if it is cached between calls.
    #[doc(hidden)]
    fn lowered(&self) -> Option<&Lowered<F>> {
        None
    }

    /// Whether the weights are those of its layers by construction, so that lowering it need not compare them.
    #[doc(hidden)]
    fn is_network(&self) -> bool {
        false
    }

    /// Whether the forward pass is the same whatever the weights are, so that it need not be traced again when these change.
    #[doc(hidden)]
    fn settled(&self) -> bool {
        false
    }
}

/// Cloning of boxed layers; implemented for every layer that is `Clone`.
pub trait LayerClone<F> {
    /// A boxed copy of the layer.
    fn clone_box(&self) -> Box<dyn Layer<F>>;
}

impl<F: Real, L: Layer<F> + Clone + 'static> LayerClone<F> for L {
    fn clone_box(&self) -> Box<dyn Layer<F>> {
        Box::new(self.clone())
    }
}

impl<F: Real> Clone for Box<dyn Layer<F>> {
    fn clone(&self) -> Self {
        (**self).clone_box()
    }
}
