//! Layers, activations and smooth maps of the user's own, through both doors: what a user writes gets right
//! derivatives and gradients by every plan, without deriving anything.
use crate::common;
use common::adjoint::Slopes;
use common::memory::nothing_is_carried_over;
use common::random::{self, Cuts};
use common::{Ask, Model, Named, Scalar, compare, differentiate, named, plan, points};
use hessquik::{
    Activation, Error, Evaluate, Form, Init, Layer, Linear, Mode, Network, Parts, Pointwise, Request, Resnet, Shift,
    Single, SmoothMap, Weights,
};
use ndarray::{Array1, Array2, Array3, Array4, ArrayD, ArrayView2, ArrayView3, ArrayView4, array, s};
use num_dual::{Dual64, HyperDual64, HyperHyperDual64};
use proptest::prelude::*;
use std::f64::consts::FRAC_PI_2;
use std::sync::Arc;

mod maps;
use maps::{Normed, Sparse};

// ---------------------------------------------------------------- layers of the one form

/// A layer given by its form.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub name: &'static str,
    pub dims: (usize, usize),
    pub weights: Weights<f64>,
    pub form: Form<f64>,
}

impl Layer<f64> for Own {
    fn name(&self) -> String {
        self.name.into()
    }
    fn dim_input(&self) -> usize {
        self.dims.0
    }
    fn dim_output(&self) -> usize {
        self.dims.1
    }
    fn weights(&self) -> Vec<(String, &ArrayD<f64>)> {
        self.weights.list()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<f64>)> {
        self.weights.list_mut()
    }
    fn parts(&self) -> Parts<'_, f64> {
        Parts::Form(self.form.clone())
    }
}

/// `[cos(x B), sin(x B)]`, the frequencies trained: one weight at two places.
fn fourier(d: usize, p: usize, init: &mut Init) -> Own {
    let shift = Array1::from_shape_fn(2 * p, |i| if i < p { FRAC_PI_2 } else { 0.0 });
    let form = Form::new(d, 2 * p, 2 * p)
        .m(Linear::zero().weight("B", 0, 0).weight("B", 0, p))
        .shift_b(Shift::Constant(shift))
        .act(Activation::Sin)
        .w(Linear::identity(2 * p));
    Own { name: "fourier", dims: (d, 2 * p), weights: Weights::new().with("B", init.uniform((d, p), -0.5, 0.5)), form }
}

/// `x` to `[h, U, V]`, the start of a modified multi-layer perceptron.
fn gates(d: usize, p: usize, init: &mut Init) -> Own {
    let form = Form::new(d, 3 * p, 3 * p)
        .m(Linear::zero().weight("K", 0, 0).weight("U", 0, p).weight("V", 0, 2 * p))
        .b("b")
        .act(Activation::Tanh)
        .w(Linear::identity(3 * p));
    let mut weight = || init.uniform((d, p), -1.0, 1.0);
    let weights = Weights::new().with("K", weight()).with("U", weight()).with("V", weight());
    Own { name: "gates", dims: (d, 3 * p), weights: weights.with("b", init.uniform(3 * p, -1.0, 1.0)), form }
}

/// `[h, U, V]` to `[z, U, V]` with `z = tanh(h K + b)`.
fn hidden(p: usize, init: &mut Init) -> Own {
    let form = Form::new(3 * p, p, 3 * p)
        .m(Linear::zero().weight("K", 0, 0))
        .b("b")
        .act(Activation::Tanh)
        .s(Linear::zero().copy(p, p, 2 * p, 1.0))
        .w(Linear::identity(p));
    let weights = Weights::new().with("K", init.uniform((p, p), -1.0, 1.0)).with("b", init.uniform(p, -1.0, 1.0));
    Own { name: "hidden", dims: (3 * p, 3 * p), weights, form }
}

/// `[z, U, V]` to `[(1 - z) U + z V, U, V]`: the product of z and V - U by squares, ab = ((a+b)^2 - a^2 - b^2)/2.
fn gate(p: usize) -> Own {
    let difference = |at: usize| move |l: Linear<f64>| l.copy(p, at, p, -1.0).copy(2 * p, at, p, 1.0);
    let m = Linear::zero().copy(0, 0, p, 1.0).copy(0, p, p, 1.0);
    let form = Form::new(3 * p, 3 * p, 3 * p)
        .m(difference(2 * p)(difference(0)(m)))
        .act(Activation::Quadratic)
        .s(Linear::zero().copy(p, 0, p, 1.0).copy(p, p, 2 * p, 1.0))
        .w(Linear::zero().copy(0, 0, p, 1.0).copy(p, 0, p, -1.0).copy(2 * p, 0, p, -1.0));
    Own { name: "gate", dims: (3 * p, 3 * p), weights: Weights::new(), form }
}

/// `u S + tanh(u K + b) K^T + c` with `S = softplus(q) r^T + constant`: a weight in both products, transposed; vectors as
/// column and row; positive weights; blocks that overlap.
fn tied(n: usize, p: usize, init: &mut Init) -> Own {
    let constant = Array2::from_shape_fn((n - 1, n), |(i, j)| 0.1 * (i as f64) - 0.2 * (j as f64));
    let form = Form::new(n, p, n)
        .m(Linear::zero().weight("K", 0, 0).nonnegative("P", 0, 1))
        .b("b")
        .act(Activation::softplus())
        .s(Linear::zero().nonnegative("q", 0, 0).transposed("r", n - 1, 0).constant(constant, 1, 0).weight(
            "q",
            0,
            n - 1,
        ))
        .w(Linear::zero().transposed("K", 0, 0))
        .c("c");
    let mut of = |rows: usize, cols: usize| init.uniform::<f64, _, _>((rows, cols), -0.7, 0.7);
    let weights = Weights::new().with("K", of(n, p)).with("P", of(n - 1, p - 1));
    let flat = |a: Array2<f64>| a.flatten().into_owned();
    let weights = weights.with("q", flat(of(n, 1))).with("r", flat(of(n, 1))).with("b", flat(of(p, 1)));
    Own { name: "tied", dims: (n, n), weights: weights.with("c", flat(of(n, 1))), form }
}

fn plus<T: Scalar>(z: T) -> T {
    (z.exp() + 1.0).ln()
}

fn product<T: Scalar>(u: &[T], k: &ArrayD<T>) -> Vec<T> {
    (0..k.shape()[1]).map(|o| (0..u.len()).fold(T::zero(), |sum, i| sum + u[i] * k[[i, o]])).collect()
}

fn dense<T: Scalar>(u: &[T], k: &ArrayD<T>, b: &ArrayD<T>) -> Vec<T> {
    product(u, k).into_iter().zip(b).map(|(z, b)| z + b).collect()
}

fn tanh<T: Scalar>(z: T) -> T {
    ((z * 2.0).exp() - 1.0) / ((z * 2.0).exp() + 1.0)
}

/// The modified multi-layer perceptron of this many gated layers, ended by a single layer.
struct Gated {
    depth: usize,
    p: usize,
}

impl Gated {
    fn network(&self, d: usize, m: usize, init: &mut Init) -> Network<f64> {
        let mut layers: Vec<Box<dyn Layer<f64>>> = vec![Box::new(gates(d, self.p, init))];
        for _ in 0..self.depth {
            let step: Vec<Box<dyn Layer<f64>>> = vec![Box::new(hidden(self.p, init)), Box::new(gate(self.p))];
            layers.push(Box::new(Network::new(step).unwrap()));
        }
        layers.push(Box::new(Single::new(3 * self.p, m, Activation::Identity, init)));
        Network::new(layers).unwrap()
    }
}

impl Model for Gated {
    fn apply<T: Scalar>(&self, w: &Named<T>, x: &[T]) -> Vec<T> {
        let b = w["0.b"].as_slice().unwrap();
        let of = |k: &str, at: usize| -> Vec<T> {
            product(x, &w[k]).into_iter().zip(&b[at * self.p..]).map(|(z, b)| tanh(z + b)).collect()
        };
        let (mut h, u, v) = (of("0.K", 0), of("0.U", 1), of("0.V", 2));
        for i in 1..=self.depth {
            let z = dense(&h, &w[&format!("{i}.0.K")], &w[&format!("{i}.0.b")]).into_iter().map(tanh);
            h = z.zip(u.iter().zip(&v)).map(|(z, (&u, &v))| (-z + 1.0) * u + z * v).collect();
        }
        let i = self.depth + 1;
        dense(&[h, u, v].concat(), &w[&format!("{i}.K")], &w[&format!("{i}.b")])
    }
}

/// Fourier features, a tied layer, and an own activation.
struct Features {
    p: usize,
}

impl Features {
    fn network(&self, d: usize, m: usize, init: &mut Init) -> Network<f64> {
        let p = self.p;
        let layers: Vec<Box<dyn Layer<f64>>> = vec![
            Box::new(fourier(d, p, init)),
            Box::new(tied(2 * p, p + 1, init)),
            Box::new(Single::new(2 * p, m, Activation::Custom(Arc::new(Snake)), init)),
        ];
        Network::new(layers).unwrap()
    }
}

impl Model for Features {
    fn apply<T: Scalar>(&self, w: &Named<T>, x: &[T]) -> Vec<T> {
        let y = product(x, &w["0.B"]);
        let u: Vec<T> = y.iter().map(|y| y.cos()).chain(y.iter().map(|y| y.sin())).collect();
        let n = u.len();
        let k = &w["1.K"];
        let mut z = dense(&u, k, &w["1.b"]);
        for i in 0..n - 1 {
            for j in 1..z.len() {
                z[j] += u[i] * plus(w["1.P"][[i, j - 1]]);
            }
        }
        let act: Vec<T> = z.into_iter().map(plus).collect();
        let mut out: Vec<T> = w["1.c"].iter().copied().collect();
        for o in 0..n {
            for (j, &a) in act.iter().enumerate() {
                out[o] += a * k[[o, j]];
            }
            out[o] += u[n - 1] * w["1.r"][[o]];
            for (i, &u) in u.iter().enumerate().skip(1) {
                out[o] += u * (0.1 * (i as f64 - 1.0) - 0.2 * o as f64);
            }
        }
        for i in 0..n {
            out[0] += u[i] * plus(w["1.q"][[i]]);
            out[n - 1] += u[i] * w["1.q"][[i]];
        }
        dense(&out, &w["2.K"], &w["2.b"]).into_iter().map(|z| z + z.sin() * z.sin()).collect()
    }
}

/// `z + sin(z)^2`, the snake activation.
#[derive(Debug)]
struct Snake;

impl Pointwise for Snake {
    fn name(&self) -> &str {
        "snake"
    }
    fn jet(&self, z: f64) -> [f64; 4] {
        let (s, c) = (2.0 * z).sin_cos();
        [z + z.sin().powi(2), 1.0 + s, 2.0 * c, -4.0 * s]
    }
}

// ---------------------------------------------------------------- the checks

/// Jets and pullbacks in every mode and by any plan, against dual numbers.
fn check<M: Model>(
    model: &M,
    net: &Network<f64>,
    depth: usize,
    cuts: &[Cuts],
    n_s: usize,
    seed: u64,
) -> Result<(), TestCaseError> {
    let x = points::<f64>(seed, n_s, net.dim_input());
    let full = differentiate(model, &named(net), &x);
    let plans = cuts.iter().map(|c| c.of(depth)).map(|(prefix, pivots)| Mode::Plan(plan(prefix, &pivots)));
    for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites].into_iter().chain(plans) {
        let d = net.dim_input();
        for ask in [Ask::jet(), Ask::everything(seed, d, d)].map(|a| a.mode(mode.clone())) {
            let jet = net.evaluate(&x, &ask.request()).unwrap();
            let worst = compare(&jet, &ask.contract(&full), &ask.magnitude(&full));
            worst.record("user layers");
            prop_assert!(worst.error <= 1e-10, "{worst} by {mode:?}");
            let bar = Ask::cotangents(&jet, seed);
            let found = net.pullback(&x, &ask.request(), &bar).unwrap();
            nothing_is_carried_over(net, &x, std::slice::from_ref(&ask));
            let worst = Slopes::new(model, net, &x, &ask, &bar, seed).check(&found);
            worst.record("user pullbacks");
            prop_assert!(worst.error <= 1e-10, "{worst} by {mode:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(random::config(24))]

    #[test]
    fn modified_mlp(
        depth in 1usize..=3, p in 1usize..=5, d in 1usize..=3, m in 1usize..=3,
        cuts in prop::collection::vec(random::cuts(), 2), seed in any::<u32>(),
    ) {
        let model = Gated { depth, p };
        let net = model.network(d, m, &mut Init::seed(seed.into()));
        check(&model, &net, 2 * depth + 2, &cuts, 2, seed.into())?;
    }

    #[test]
    fn fourier_features_tied_weights_and_an_own_activation(
        p in 1usize..=4, d in 1usize..=4, m in 1usize..=3,
        cuts in prop::collection::vec(random::cuts(), 2), seed in any::<u32>(),
    ) {
        let model = Features { p };
        let net = model.network(d, m, &mut Init::seed(seed.into()));
        check(&model, &net, 3, &cuts, 2, seed.into())?;
    }

    #[test]
    fn sparse_forms(which in 0usize..5, cuts in prop::collection::vec(random::cuts(), 3), seed in any::<u32>()) {
        let model = Sparse { which };
        check(&model, &model.network(&mut Init::seed(seed.into())), 4, &cuts, 3, seed.into())?;
    }

    #[test]
    fn smooth_maps(first in any::<bool>(), cuts in prop::collection::vec(random::cuts(), 2), seed in any::<u32>()) {
        let model = Normed { first };
        check(&model, &model.network(&mut Init::seed(seed.into())), 4, &cuts, 3, seed.into())?;
    }
}

/// Layer norm by finite differences alone: nothing but values vouches for gradients and Hessians.
#[test]
fn layer_norm_by_finite_differences() {
    let net = Normed { first: false }.network(&mut Init::seed(1));
    let x = points::<f64>(2, 3, 3);
    let (_, gradient, hessian) = net.hessian(&x).unwrap();
    let value = |da: f64, a: usize, db: f64, b: usize| {
        let mut x = x.clone();
        x.column_mut(a).mapv_inplace(|x| x + da);
        x.column_mut(b).mapv_inplace(|x| x + db);
        net.value(&x).unwrap()
    };
    let h = 2e-4;
    for a in 0..3 {
        let slope = (value(h, a, 0.0, a) - value(-h, a, 0.0, a)) / (2.0 * h);
        let error = (&slope - &gradient.slice(s![.., a, ..])).mapv(f64::abs);
        assert!(error.iter().all(|e| *e < 1e-6), "input {a}: {error}");
        for b in 0..3 {
            let bend =
                (value(h, a, h, b) - value(h, a, -h, b) - value(-h, a, h, b) + value(-h, a, -h, b)) / (4.0 * h * h);
            let error = (&bend - &hessian.slice(s![.., a, b, ..])).mapv(f64::abs);
            assert!(error.iter().all(|e| *e < 1e-5), "inputs {a}, {b}: {error}");
        }
    }
    assert!(hessian.iter().any(|h| h.abs() > 1e-2) && gradient.iter().any(|g| g.abs() > 1e-2));
}

/// An own activation in single precision is its double-precision jet, rounded.
#[test]
fn own_activation_in_single_precision() {
    let init = || Init::seed(3);
    let act = || Activation::Custom(Arc::new(Snake));
    let (single, double) = (Single::<f32>::new(3, 4, act(), &mut init()), Single::<f64>::new(3, 4, act(), &mut init()));
    let x = points::<f64>(4, 20, 3);
    let (found, wanted) = (single.hessian(&x.mapv(|x| x as f32)).unwrap(), double.hessian(&x).unwrap());
    let close = |f: f32, w: f64| assert!((f64::from(f) - w).abs() < 1e-5, "{f} for {w}");
    found.0.iter().zip(&wanted.0).for_each(|(&f, &w)| close(f, w));
    found.1.iter().zip(&wanted.1).for_each(|(&f, &w)| close(f, w));
    found.2.iter().zip(&wanted.2).for_each(|(&f, &w)| close(f, w));
}

/// What cannot be rebuilt from a description says so.
#[test]
fn own_layers_have_no_description() {
    let net = Gated { depth: 1, p: 2 }.network(2, 1, &mut Init::seed(1));
    assert!(net.architecture().is_none());
    assert!(matches!(net.cast::<f32>(), Err(Error::Architecture(_))));
    assert!(Activation::Custom(Arc::new(Snake)).describe().is_none());
    let x = points::<f64>(1, 3, 2);
    let copy = net.clone();
    assert_eq!(
        copy.evaluate(&x, &Request::new().hessian()).unwrap(),
        net.evaluate(&x, &Request::new().hessian()).unwrap()
    );
}
