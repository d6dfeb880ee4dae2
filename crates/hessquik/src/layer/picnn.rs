//! Partially input convex networks: convex in some of the inputs, unrestricted in the others.
use super::Init;
use super::formula::{Formula, Inside, Recipe, dense, dense_shapes};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{ActivationSpec, Error, Real};
use serde::{Deserialize, Serialize};

/// Of points `[x, y]`, convex in `y` (Amos, Xu and Kolter, *Input convex neural networks*, 2017, section 3.2): with `u_0 = x`
/// and no `z_0`, for layers i = 0, 1, ..
///
/// ```text
/// u_{i+1} = tanh(u_i i.u.K + i.u.b)
/// z_{i+1} = act( (z_i softplus(u_i i.zu.K + i.zu.b)) softplus(i.z.K)
///              + (y (u_i i.yu.K + i.yu.b)) i.y.K + u_i i.c.K + i.c.b )
/// ```
///
/// without `act` in the last layer, whose `z` is the output. Amos et al. keep the gate of `z_i` positive by a ReLU and
/// `z.K` by projection; the softplus used here has second derivatives. `act` must be convex and non-decreasing.
///
/// ```
/// use hessquik::layer::{Picnn, PicnnSpec};
/// use hessquik::{Init, Layer};
/// // a function of 3 parameters and 2 states, convex in the states
/// let layer = Picnn::<f64>::new(PicnnSpec::new(3, 2, vec![8, 8, 1], 5), &mut Init::seed(0))?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (5, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Picnn<F> = Formula<PicnnSpec, F>;

/// The settings of [`Picnn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PicnnSpec {
    /// Dimension of `x`, which comes first.
    pub context: usize,
    /// Dimension of `y`, in which the outputs are convex.
    pub convex: usize,
    /// Features of `z` after each layer; the last are the outputs.
    pub widths: Vec<usize>,
    /// Features of `u` after each layer.
    pub context_width: usize,
    /// The activation of `z`.
    #[serde(default = "crate::architecture::softplus", deserialize_with = "crate::architecture::named")]
    pub act: ActivationSpec,
    /// The activation of `u`.
    #[serde(default = "crate::architecture::tanh", deserialize_with = "crate::architecture::named")]
    pub context_act: ActivationSpec,
}

impl PicnnSpec {
    /// Softplus for `z` and tanh for `u`.
    pub fn new(context: usize, convex: usize, widths: Vec<usize>, context_width: usize) -> Self {
        let act = crate::architecture::softplus();
        Self { context, convex, widths, context_width, act, context_act: ActivationSpec::Tanh }
    }

    /// Features of `u` before layer `i`.
    fn context_at(&self, i: usize) -> usize {
        if i == 0 { self.context } else { self.context_width }
    }
}

impl<F: Real> Picnn<F> {
    /// A network with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, no widths, or an activation with an invalid setting.
    pub fn new(settings: PicnnSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

impl Recipe for PicnnSpec {
    fn name(&self) -> &'static str {
        "picnn"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        let narrowest = self.widths.iter().copied().min().unwrap_or(0);
        let widest = self.widths.iter().copied().max().unwrap_or(0);
        let sizes = [("context", self.context), ("convex", self.convex), ("context_width", self.context_width)];
        sizes.into_iter().chain([("widths", narrowest), ("widths", widest)]).collect()
    }
    fn depth(&self) -> usize {
        self.widths.len()
    }
    fn activations(&self) -> Vec<ActivationSpec> {
        vec![self.act, self.context_act]
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        Ok((self.context.saturating_add(self.convex), self.widths.last().copied().unwrap_or(0)))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes = Vec::new();
        for (i, &out) in self.widths.iter().enumerate() {
            let n = self.context_at(i);
            if i + 1 < self.widths.len() {
                shapes.extend(dense_shapes(&format!("{i}.u"), n, self.context_width));
            }
            if i > 0 {
                shapes.extend(dense_shapes(&format!("{i}.zu"), n, self.widths[i - 1]));
                shapes.push((format!("{i}.z.K"), vec![self.widths[i - 1], out]));
            }
            shapes.extend(dense_shapes(&format!("{i}.yu"), n, self.convex));
            shapes.push((format!("{i}.y.K"), vec![self.convex, out]));
            shapes.extend(dense_shapes(&format!("{i}.c"), n, out));
        }
        shapes
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Picnn(self.clone()))
    }
    fn forward<F: Real>(&self, point: Var<F>, _: &Inside<F>) -> Var<F> {
        let positive = |u: Var<F>| u.softplus();
        let mut u = point.slice(0, 0..self.context);
        let y = point.slice(0, self.context..self.context + self.convex);
        let mut z: Option<Var<F>> = None;
        let last = self.widths.len() - 1;
        for i in 0..=last {
            let name = |part: &str| format!("{i}.{part}");
            let mut sum = (&y * dense(&u, &name("yu"))).dot(&name("y.K")) + dense(&u, &name("c"));
            if let Some(z) = &z {
                let gated = z * positive(dense(&u, &name("zu")));
                sum = gated.matmul(&positive(u.weight(&name("z.K")))) + sum;
            }
            if i < last {
                sum = sum.act(self.act.into());
                u = dense(&u, &name("u")).act(self.context_act.into());
            }
            z = Some(sum);
        }
        z.expect("at least one layer")
    }
}
