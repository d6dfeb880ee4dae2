//! The networks of the timings over hyper-dual numbers: point by point, and a pass for each pair of inputs.
use crate::element::Element;
use hessquik::{ActivationSpec, Architecture, Error, Jet, Layer, Network};
use ndarray::{Array1, Array2, Array3, Array4, ArrayD, ArrayView1, ArrayViewD, Axis, Ix1, Ix2, Zip, concatenate};
use num_dual::{DualNum, DualNumFloat, HyperDual};
use std::collections::HashMap;

/// `f32` or `f64`, under which there are hyper-dual numbers.
pub trait Number: Element + DualNumFloat + DualNum<Primitive = Self> {}
impl Number for f32 {}
impl Number for f64 {}

/// A network as a list of steps, each with `z = u M + b`.
#[derive(Debug)]
pub struct HyperDualNetwork<F> {
    steps: Vec<Step<F>>,
    outputs: usize,
}

#[derive(Debug)]
struct Step<F> {
    m: Array2<F>,
    b: Array1<F>,
    kind: Kind<F>,
}

/// What a step makes of its state `u` and of `z`.
#[derive(Debug)]
enum Kind<F> {
    /// `act(z)`
    Single(Act),
    /// `u + h act(z)`
    Resnet(Act, F),
    /// `[act(z), x]`, where `x` is the last so many features of `u`
    Icnn(Act, usize),
    /// `u s + mu + |z|^2 / 2`
    Quadratic(Array1<F>, F),
}

/// The activations of the timings.
#[derive(Clone, Copy, Debug)]
enum Act {
    Identity,
    Tanh,
    AntiTanh,
}

impl<F: Number> HyperDualNetwork<F> {
    /// The same function as `network`, whose description is `architecture`.
    pub fn new(architecture: &Architecture, network: &Network<F>) -> Result<Self, Error> {
        let mut steps = Vec::new();
        collect(architecture, "", &network.weights().into_iter().collect(), &mut steps)?;
        Ok(Self { steps, outputs: network.dim_output() })
    }

    /// Value, gradient and Hessian at the points `x`.
    pub fn evaluate(&self, x: &Array2<F>) -> Jet<F> {
        let ((n, d), m) = (x.dim(), self.outputs);
        let mut value = Array2::zeros((n, m));
        let mut gradient = Array3::zeros((n, d, m));
        let mut hessian = Array4::zeros((n, d, d, m));
        let points = Zip::from(x.rows()).and(value.rows_mut());
        let points = points.and(gradient.outer_iter_mut()).and(hessian.outer_iter_mut());
        points.par_for_each(|x, mut value, mut gradient, mut hessian| {
            for (a, b) in (0..d).flat_map(|a| (a..d).map(move |b| (a, b))) {
                for (r, f) in self.apply(x, a, b).into_iter().enumerate() {
                    value[r] = f.re;
                    gradient[[a, r]] = f.eps1;
                    hessian[[a, b, r]] = f.eps1eps2;
                    hessian[[b, a, r]] = f.eps1eps2;
                }
            }
        });
        Jet { value: Some(value), gradient: Some(gradient), hessian: Some(hessian), ..Jet::default() }
    }

    /// The outputs at `x`, differentiated along the inputs `a` and `b`.
    fn apply(&self, x: ArrayView1<F>, a: usize, b: usize) -> Vec<HyperDual<F>> {
        let along = |i: usize, a: usize| F::of(if i == a { 1.0 } else { 0.0 });
        let number = |(i, &x): (usize, &F)| HyperDual::new(x, along(i, a), along(i, b), F::of(0.0));
        self.steps.iter().fold(x.iter().enumerate().map(number).collect(), Step::apply)
    }
}

impl<F: Number> Step<F> {
    fn apply(u: Vec<HyperDual<F>>, step: &Self) -> Vec<HyperDual<F>> {
        let mut z: Vec<_> = step.b.iter().map(|&b| HyperDual::from_re(b)).collect();
        for (&u, row) in u.iter().zip(step.m.rows()) {
            z.iter_mut().zip(row).for_each(|(z, &m)| *z += u * m);
        }
        match &step.kind {
            Kind::Single(act) => z.into_iter().map(|z| act.of(z)).collect(),
            Kind::Resnet(act, h) => u.into_iter().zip(z).map(|(u, z)| u + act.of(z) * *h).collect(),
            Kind::Icnn(act, d) => {
                let x = u[u.len() - d..].iter().copied();
                z.into_iter().map(|z| act.of(z)).chain(x).collect()
            }
            Kind::Quadratic(s, mu) => {
                let linear = u.into_iter().zip(s).fold(HyperDual::from_re(*mu), |sum, (u, &s)| sum + u * s);
                vec![z.into_iter().fold(linear, |sum, z| sum + z * z * F::of(0.5))]
            }
        }
    }
}

impl Act {
    fn new(spec: ActivationSpec) -> Result<Self, Error> {
        match spec {
            ActivationSpec::Identity => Ok(Self::Identity),
            ActivationSpec::Tanh => Ok(Self::Tanh),
            ActivationSpec::AntiTanh => Ok(Self::AntiTanh),
            other => Err(unknown(format!("{other:?}"))),
        }
    }

    /// The activation by its definition; what is large is never exponentiated.
    fn of<F: Number>(self, z: HyperDual<F>) -> HyperDual<F> {
        let negative = z.re < F::of(0.0);
        let magnitude = if negative { -z } else { z };
        let e = || (magnitude * F::of(-2.0)).exp();
        match self {
            Self::Identity => z,
            Self::AntiTanh => magnitude + e().ln_1p() - F::of(std::f64::consts::LN_2),
            Self::Tanh => {
                let t = (e() + F::of(1.0)).recip() * F::of(2.0) - F::of(1.0);
                if negative { -t } else { t }
            }
        }
    }
}

/// Adds the steps of a layer whose weights have names that start with `prefix`.
fn collect<F: Number>(
    architecture: &Architecture,
    prefix: &str,
    weights: &HashMap<String, &ArrayD<F>>,
    steps: &mut Vec<Step<F>>,
) -> Result<(), Error> {
    let weight = |name: &str| {
        let name = format!("{prefix}{name}");
        weights.get(&name).map(|w| w.view()).ok_or_else(|| unknown(format!("a network without the weight {name}")))
    };
    let step = match architecture {
        Architecture::Network { layers } => {
            let mut layers = layers.iter().enumerate();
            return layers.try_for_each(|(i, layer)| collect(layer, &format!("{prefix}{i}."), weights, steps));
        }
        Architecture::Single { act, bias: true, .. } => {
            Step { m: matrix(weight("K")?), b: vector(weight("b")?), kind: Kind::Single(Act::new(*act)?) }
        }
        Architecture::Resnet { h, act, bias: true, .. } => {
            let kind = Kind::Resnet(Act::new(*act)?, F::of(*h));
            Step { m: matrix(weight("layer.K")?), b: vector(weight("layer.b")?), kind }
        }
        Architecture::Icnn { input_dim, in_features, act, bias: true, .. } => {
            let k = matrix(weight("K")?);
            let m = if in_features.is_some() { stack(&matrix(weight("L")?).mapv(positive), &k) } else { k };
            Step { m, b: vector(weight("b")?), kind: Kind::Icnn(Act::new(*act)?, *input_dim) }
        }
        Architecture::QuadraticIcnn { in_features: Some(n), rank, .. } => {
            let m = stack(&Array2::zeros((*n, *rank)), &matrix(weight("A")?).reversed_axes());
            let convex = vector(weight("w")?).mapv(positive);
            let s = convex.iter().chain(&vector(weight("v")?)).copied().collect();
            let kind = Kind::Quadratic(s, vector(weight("mu")?)[0]);
            Step { m, b: Array1::zeros(*rank), kind }
        }
        other => return Err(unknown(other.to_json())),
    };
    steps.push(step);
    Ok(())
}

fn unknown(what: String) -> Error {
    Error::Architecture(format!("the timings in hyper-dual numbers do not know {what}"))
}

fn matrix<F: Number>(weight: ArrayViewD<F>) -> Array2<F> {
    weight.into_dimensionality::<Ix2>().expect("a matrix, by the description of the layer").to_owned()
}

fn vector<F: Number>(weight: ArrayViewD<F>) -> Array1<F> {
    weight.into_dimensionality::<Ix1>().expect("a vector, by the description of the layer").to_owned()
}

fn stack<F: Number>(above: &Array2<F>, below: &Array2<F>) -> Array2<F> {
    concatenate(Axis(0), &[above.view(), below.view()]).expect("as many columns, by the description of the layer")
}

/// softplus, which makes weights of convex layers positive.
fn positive<F: Number>(w: F) -> F {
    let w = w.as_f64();
    F::of(w.max(0.0) + (-w.abs()).exp().ln_1p())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_near_zero_and_far_from_it() {
        for z in [0.0, 1e-3, -0.7, 2.5, -20.0, 100.0, -1e30] {
            let at = |act: Act| act.of(HyperDual::<f32>::new(z, 1.0, 1.0, 0.0));
            let (t, sech) = (f64::from(z).tanh(), 1.0 / f64::from(z).cosh());
            let first = sech * sech;
            let magnitude = f64::from(z).abs();
            let anti = magnitude + (-2.0 * magnitude).exp().ln_1p() - std::f64::consts::LN_2;
            for (act, wanted) in [
                (Act::Identity, [f64::from(z), 1.0, 0.0]),
                (Act::Tanh, [t, first, -2.0 * t * first]),
                (Act::AntiTanh, [anti, t, first]),
            ] {
                let f = at(act);
                for (found, wanted) in [f.re, f.eps1, f.eps1eps2].into_iter().zip(wanted) {
                    let scale = wanted.abs().max(1.0);
                    assert!((f64::from(found) - wanted).abs() < 1e-6 * scale, "{act:?} at {z}: {found}, not {wanted}");
                }
            }
        }
    }
}
