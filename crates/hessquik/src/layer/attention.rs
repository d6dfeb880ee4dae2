//! Multi-head attention over tokens.
use super::Init;
use super::formula::{Formula, Inside, Recipe};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use serde::{Deserialize, Serialize};

/// Self-attention of `tokens` rows `u` of `features` features (Vaswani et al., *Attention is all you need*, 2017): with
/// `q = u Q + bq`, `k = u K`, `v = u V + bv`, cut into heads of `s = features / heads` columns,
///
/// ```text
/// u' = [softmax(q_1 k_1^T / sqrt(s)) v_1, softmax(q_2 k_2^T / sqrt(s)) v_2, ..] O + bo
/// ```
///
/// `Q`, `K`, `V`, `O` are (features, features), the transposes of those in PyTorch's `MultiheadAttention`. The vector
/// that PyTorch adds to `k` cancels in the softmax, so it is not a weight here. The tokens follow one another in the
/// features of the point.
///
/// ```
/// use hessquik::layer::{Attention, AttentionSpec};
/// use hessquik::{Init, Layer};
/// let layer = Attention::<f64>::new(AttentionSpec::new(4, 16, 2), &mut Init::seed(0))?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (64, 64));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Attention<F> = Formula<AttentionSpec, F>;

/// The settings of [`Attention`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionSpec {
    /// Number of tokens.
    pub tokens: usize,
    /// Number of features of a token.
    pub features: usize,
    /// Number of heads, which divides `features`.
    #[serde(default = "crate::architecture::unit")]
    pub heads: usize,
    /// Whether the layer has additive `bq`, `bv`, `bo`.
    #[serde(default = "crate::architecture::yes")]
    pub bias: bool,
}

impl AttentionSpec {
    /// Attention with additive vectors.
    pub fn new(tokens: usize, features: usize, heads: usize) -> Self {
        Self { tokens, features, heads, bias: true }
    }
}

impl<F: Real> Attention<F> {
    /// A layer with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, or heads that do not divide the features.
    pub fn new(settings: AttentionSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

impl Recipe for AttentionSpec {
    fn name(&self) -> &'static str {
        "attention"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("tokens", self.tokens), ("features", self.features), ("heads", self.heads)]
    }
    fn check(&self) -> Result<(), Error> {
        if !self.features.is_multiple_of(self.heads) {
            let wanted = format!("a number that divides the {} features", self.features);
            return Err(Error::setting("heads", self.heads, wanted));
        }
        Ok(())
    }
    fn width(&self) -> u128 {
        let [tokens, features, heads] = [self.tokens, self.features, self.heads].map(|n| n as u128);
        tokens.saturating_mul(5 * features).saturating_add((tokens * tokens).saturating_mul(3 * heads))
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        let n = self.tokens.saturating_mul(self.features);
        Ok((n, n))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let matrices = ["Q", "K", "V", "O"].into_iter().map(|name| (name.into(), vec![self.features; 2]));
        let vectors = ["bq", "bv", "bo"].into_iter().map(|name| (name.into(), vec![self.features]));
        matrices.chain(vectors.filter(|_| self.bias)).collect()
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Attention(self.clone()))
    }
    fn forward<F: Real>(&self, u: Var<F>, _: &Inside<F>) -> Var<F> {
        let Self { tokens, features, heads, bias } = *self;
        let size = features / heads;
        let dense = |u: &Var<F>, matrix: &str, vector: &str| {
            let z = u.dot(matrix);
            if bias { z + vector } else { z }
        };
        let u = u.reshape(&[tokens, features]);
        let cut = |rows: Var<F>| rows.reshape(&[tokens, heads, size]).permute(&[1, 0, 2]);
        let (q, k, v) = (cut(dense(&u, "Q", "bq")), cut(u.dot("K")), cut(dense(&u, "V", "bv")));
        let scores = q.matmul_transposed(&k) * (size as f64).sqrt().recip();
        let mixed = scores.softmax(2).matmul(&v).permute(&[1, 0, 2]).reshape(&[tokens, features]);
        dense(&mixed, "O", "bo")
    }
}
