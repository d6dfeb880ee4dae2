//! The first and second derivatives of each activation, in nodes of a graph.
use super::derivatives::Nodes;
use super::export::SELU;
use crate::ActivationSpec::{self as A, *};
use crate::softplus_cut;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

/// The derivatives of an activation at node `z`, where its value is node `y`; nothing where they are zero.
pub(super) fn slopes(nodes: &mut Nodes, act: &A, z: usize, y: usize) -> (Option<usize>, Option<usize>) {
    let (first, second) = match *act {
        Identity => return (Some(nodes.same(z, 1.0)), None),
        Step => return (None, None),
        Relu => return (Some(nodes.act(Step, z)), None),
        LeakyRelu { slope } => {
            let above = nodes.act(Step, z);
            return (Some(nodes.sum(&[(above, 1.0 - slope)], slope)), None);
        }
        Tanh => {
            let first = sech2(nodes, z);
            let product = nodes.times(y, first);
            (first, nodes.sum(&[(product, -2.0)], 0.0))
        }
        AntiTanh => (nodes.act(Tanh, z), sech2(nodes, z)),
        Sin => {
            let first = nodes.act(Cos, z);
            (first, nodes.sum(&[(y, -1.0)], 0.0))
        }
        Cos => {
            let sine = nodes.act(Sin, z);
            (nodes.sum(&[(sine, -1.0)], 0.0), nodes.sum(&[(y, -1.0)], 0.0))
        }
        Exp => (y, y),
        Log => {
            let first = nodes.act(Reciprocal, z);
            let square = nodes.act(Square, first);
            (first, nodes.sum(&[(square, -1.0)], 0.0))
        }
        Sqrt => powers(nodes, z, 0.5),
        Reciprocal => {
            let square = nodes.act(Square, y);
            let cube = nodes.times(square, y);
            (nodes.sum(&[(square, -1.0)], 0.0), nodes.sum(&[(cube, 2.0)], 0.0))
        }
        Power { p } if p * (p - 1.0) == 0.0 => return (Some(nodes.same(z, p)), None),
        Power { p } => powers(nodes, z, p),
        Square => (nodes.sum(&[(z, 2.0)], 0.0), nodes.same(z, 2.0)),
        Quadratic => (z, nodes.same(z, 1.0)),
        Erf => {
            let bell = nodes.act(Gaussian, z);
            let product = nodes.times(z, bell);
            (nodes.sum(&[(bell, FRAC_2_SQRT_PI)], 0.0), nodes.sum(&[(product, -2.0 * FRAC_2_SQRT_PI)], 0.0))
        }
        Gaussian => {
            let product = nodes.times(z, y);
            let square = nodes.act(Square, z);
            let factor = nodes.sum(&[(square, 4.0)], -2.0);
            (nodes.sum(&[(product, -2.0)], 0.0), nodes.times(factor, y))
        }
        Atan => {
            let square = nodes.act(Square, z);
            let sum = nodes.sum(&[(square, 1.0)], 1.0);
            let first = nodes.act(Reciprocal, sum);
            let twice = nodes.act(Square, first);
            let product = nodes.times(z, twice);
            (first, nodes.sum(&[(product, -2.0)], 0.0))
        }
        Sigmoid => sigmoid(nodes, z),
        Silu => {
            let gate = nodes.act(Sigmoid, z);
            let (slope, bend) = sigmoid(nodes, z);
            gated(nodes, z, gate, slope, bend)
        }
        Gelu => {
            let scaled = nodes.sum(&[(z, FRAC_1_SQRT_2)], 0.0);
            let erf = nodes.act(Erf, scaled);
            let gate = nodes.sum(&[(erf, 0.5)], 0.5);
            let bell = nodes.act(Gaussian, scaled);
            let slope = nodes.sum(&[(bell, 1.0 / (2.0 * PI).sqrt())], 0.0);
            let product = nodes.times(z, slope);
            let bend = nodes.sum(&[(product, -1.0)], 0.0);
            gated(nodes, z, gate, slope, bend)
        }
        TanhGelu => tanh_gelu(nodes, z),
        Mish => mish(nodes, z),
        Softplus { beta, threshold } => {
            let scaled = nodes.sum(&[(z, beta)], 0.0);
            let first = nodes.act(Sigmoid, scaled);
            let (slope, _) = sigmoid(nodes, scaled);
            let second = nodes.sum(&[(slope, beta)], 0.0);
            match softplus_cut(threshold) {
                cut if cut.is_finite() => {
                    let distance = nodes.sum(&[(scaled, 1.0)], -cut);
                    let past = nodes.act(Step, distance);
                    let before = nodes.sum(&[(past, -1.0)], 1.0);
                    let kept = nodes.times(before, first);
                    (nodes.sum(&[(past, 1.0), (kept, 1.0)], 0.0), nodes.times(before, second))
                }
                _ => (first, second),
            }
        }
        Squareplus { b } => {
            let square = nodes.act(Square, z);
            let under = nodes.sum(&[(square, 1.0)], b);
            let inverse = nodes.act(Power { p: -0.5 }, under);
            let product = nodes.times(z, inverse);
            let cube = nodes.act(Power { p: -1.5 }, under);
            (nodes.sum(&[(product, 0.5)], 0.5), nodes.sum(&[(cube, 0.5 * b)], 0.0))
        }
        Elu { alpha } => elu(nodes, z, [1.0, alpha, alpha], 1.0),
        Celu { alpha } => elu(nodes, z, [1.0, 1.0, 1.0 / alpha], alpha),
        Selu => {
            let (lambda, ratio) = SELU;
            elu(nodes, z, [lambda, lambda * ratio, lambda * ratio], 1.0)
        }
        Scaled { act, a, b } => {
            let inner: A = act.into();
            let at = nodes.sum(&[(z, b)], 0.0);
            let value = nodes.act(inner, at);
            let (first, second) = slopes(nodes, &inner, at, value);
            let first = first.map(|id| nodes.sum(&[(id, a * b)], 0.0));
            return (first, second.map(|id| nodes.sum(&[(id, a * b * b)], 0.0)));
        }
    };
    (Some(first), Some(second))
}

/// `sech^2 z = 4 s(2z) s(-2z)` with the sigmoid `s`: unlike `1 - tanh^2 z`, it keeps its digits in the tails.
fn sech2(nodes: &mut Nodes, z: usize) -> usize {
    let twice = nodes.sum(&[(z, 2.0)], 0.0);
    let (product, _) = sigmoid(nodes, twice);
    nodes.sum(&[(product, 4.0)], 0.0)
}

/// Of `z^p`.
fn powers(nodes: &mut Nodes, z: usize, p: f64) -> (usize, usize) {
    let mut scaled = |p: f64, c: f64| {
        let power = nodes.act(Power { p }, z);
        nodes.sum(&[(power, c)], 0.0)
    };
    (scaled(p - 1.0, p), scaled(p - 2.0, p * (p - 1.0)))
}

/// Of the sigmoid `s`: `s(z) s(-z)`, and that times `s(-z) - s(z)`.
fn sigmoid(nodes: &mut Nodes, z: usize) -> (usize, usize) {
    let up = nodes.act(Sigmoid, z);
    let turned = nodes.sum(&[(z, -1.0)], 0.0);
    let down = nodes.act(Sigmoid, turned);
    let first = nodes.times(up, down);
    let difference = nodes.sum(&[(down, 1.0), (up, -1.0)], 0.0);
    (first, nodes.times(first, difference))
}

/// Of `z g(z)`: `g + z g'` and `2 g' + z g''`.
fn gated(nodes: &mut Nodes, z: usize, gate: usize, slope: usize, bend: usize) -> (usize, usize) {
    let (first, second) = (nodes.times(z, slope), nodes.times(z, bend));
    (nodes.sum(&[(gate, 1.0), (first, 1.0)], 0.0), nodes.sum(&[(slope, 2.0), (second, 1.0)], 0.0))
}

/// Of `z (1 + tanh u) / 2` with `u = k (z + c z^3)`.
fn tanh_gelu(nodes: &mut Nodes, z: usize) -> (usize, usize) {
    let (k, c) = ((2.0 / PI).sqrt(), 0.044_715);
    let square = nodes.act(Square, z);
    let cube = nodes.times(square, z);
    let u = nodes.sum(&[(z, k), (cube, k * c)], 0.0);
    let t = nodes.act(Tanh, u);
    let gate = nodes.sum(&[(t, 0.5)], 0.5);
    let rest = sech2(nodes, u);
    let p = nodes.sum(&[(rest, 0.5)], 0.0);
    let du = nodes.sum(&[(square, 3.0 * k * c)], k);
    let slope = nodes.times(p, du);
    // (p u'' - 2 t p u'^2): p is half of 1 - t^2
    let ddu = nodes.sum(&[(z, 6.0 * k * c)], 0.0);
    let one = nodes.times(p, ddu);
    let along = nodes.times(slope, du);
    let other = nodes.times(t, along);
    let bend = nodes.sum(&[(one, 1.0), (other, -2.0)], 0.0);
    gated(nodes, z, gate, slope, bend)
}

/// Of `z w` with `w = tanh(softplus z)`: `w' = sech^2(softplus z) s`, `w'' = w' (1 - s - 2 w s)`.
fn mish(nodes: &mut Nodes, z: usize) -> (usize, usize) {
    let soft = nodes.act(Softplus { beta: 1.0, threshold: 40.0 }, z);
    let w = nodes.act(Tanh, soft);
    let s = nodes.act(Sigmoid, z);
    let rest = sech2(nodes, soft);
    let slope = nodes.times(rest, s);
    let product = nodes.times(w, s);
    let factor = nodes.sum(&[(s, -1.0), (product, -2.0)], 1.0);
    let bend = nodes.times(slope, factor);
    gated(nodes, z, w, slope, bend)
}

/// Above zero the first factor; below it the others times `exp(z / scale)`, which never sees what is above.
fn elu(nodes: &mut Nodes, z: usize, [above, first, second]: [f64; 3], scale: f64) -> (usize, usize) {
    let step = nodes.act(Step, z);
    let turned = nodes.sum(&[(z, -1.0)], 0.0);
    let low = nodes.act(Relu, turned);
    let low = nodes.sum(&[(low, -1.0 / scale)], 0.0);
    let e = nodes.act(Exp, low);
    let rest = nodes.sum(&[(step, -1.0)], 1.0);
    let below = nodes.times(rest, e);
    (nodes.sum(&[(step, above), (below, first)], 0.0), nodes.sum(&[(below, second)], 0.0))
}
