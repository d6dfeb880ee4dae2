//! Random networks, requests and plans for property tests, which shrink towards few, narrow, plain layers.
use super::Ask;
use hessquik::activation::PlainActivationSpec;
use hessquik::{ActivationSpec, Architecture, Evaluate, Layer, Network, Parts};
use ndarray::Array2;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The configuration of every property test: reproducible, and `PROPTEST_CASES` and `PROPTEST_RNG_SEED` widen the search.
pub fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(20_230_225);
    }
    config
}

/// Limits of the networks to draw.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub depth: usize,
    pub width: usize,
    pub inputs: usize,
    pub outputs: usize,
}

impl Limits {
    pub const FULL: Self = Self { depth: 6, width: 40, inputs: 20, outputs: 20 };
    pub const SMALL: Self = Self { depth: 4, width: 9, inputs: 5, outputs: 4 };
}

/// A layer whose number of inputs is not known yet.
#[derive(Clone, Debug)]
pub enum Draft {
    Single(usize, ActivationSpec, bool),
    Resnet(f64, ActivationSpec, bool),
    /// An input convex network of these widths, ended by a quadratic layer of this rank.
    Convex(Vec<usize>, ActivationSpec, bool, Option<usize>),
    Quadratic(usize),
    QuadraticIcnn(usize),
    LogSumExp,
    Softmax,
    Nested(Vec<Draft>),
}

impl Draft {
    /// The layers for `n` inputs, and the number of outputs.
    fn layers(&self, n: usize) -> (Vec<Architecture>, usize) {
        match self.clone() {
            Self::Single(out_features, act, bias) => {
                (vec![Architecture::Single { in_features: n, out_features, act, bias }], out_features)
            }
            Self::Resnet(h, act, bias) => (vec![Architecture::Resnet { width: n, h, act, bias }], n),
            Self::Convex(widths, act, bias, end) => {
                let mut layers = Vec::new();
                for (i, &out_features) in widths.iter().enumerate() {
                    let in_features = i.checked_sub(1).map(|i| widths[i]);
                    layers.push(Architecture::Icnn { input_dim: n, in_features, out_features, act, bias });
                }
                let in_features = widths.last().copied();
                match end {
                    Some(rank) => {
                        layers.push(Architecture::QuadraticIcnn { input_dim: n, in_features, rank });
                        (layers, 1)
                    }
                    None => (layers, n + in_features.unwrap_or(0)),
                }
            }
            Self::Quadratic(rank) => (vec![Architecture::Quadratic { in_features: n, rank }], 1),
            Self::QuadraticIcnn(rank) => {
                (vec![Architecture::QuadraticIcnn { input_dim: n, in_features: None, rank }], 1)
            }
            Self::LogSumExp => (vec![Architecture::LogSumExp { in_features: n }], 1),
            Self::Softmax => (vec![Architecture::Softmax { features: n }], n),
            Self::Nested(drafts) => {
                let (layers, out) = chain(&drafts, n);
                (vec![Architecture::Network { layers }], out)
            }
        }
    }
}

fn chain(drafts: &[Draft], mut n: usize) -> (Vec<Architecture>, usize) {
    let mut layers = Vec::new();
    for draft in drafts {
        let (more, out) = draft.layers(n);
        layers.extend(more);
        n = out;
    }
    (layers, n)
}

/// Any activation that model files know.
pub fn activations() -> impl Strategy<Value = ActivationSpec> {
    use ActivationSpec as A;
    prop_oneof![
        Just(A::Tanh),
        Just(A::Identity),
        Just(A::AntiTanh),
        Just(A::Quadratic),
        Just(A::Sigmoid),
        prop_oneof![Just(1.0), 0.5..3.0].prop_map(|beta| A::Softplus { beta, threshold: 20.0 }),
        Just(A::Sin),
        Just(A::Silu),
        Just(A::Gelu),
        Just(A::Gaussian),
        Just(A::Cos),
        Just(A::Erf),
        Just(A::Atan),
        Just(A::TanhGelu),
        Just(A::Mish),
        (0.5..4.0).prop_map(|b| A::Squareplus { b }),
        (0.5..2.0).prop_map(|alpha| A::Celu { alpha }),
        (0.5..1.5, 0.5..1.5).prop_map(|(a, b)| A::Scaled { act: PlainActivationSpec::Silu, a, b }),
    ]
}

fn drafts(limits: Limits, nested: bool) -> BoxedStrategy<Draft> {
    let width = 1..=limits.width;
    let plain = prop_oneof![
        6 => (width.clone(), activations(), any::<bool>()).prop_map(|(w, a, b)| Draft::Single(w, a, b)),
        5 => (-1.0..1.0, activations(), any::<bool>()).prop_map(|(h, a, b)| Draft::Resnet(h, a, b)),
        2 => (prop::collection::vec(1..=limits.width / 2 + 1, 1..=3), activations(), any::<bool>(),
              prop::option::of(width.clone())).prop_map(|(w, a, b, end)| Draft::Convex(w, a, b, end)),
        1 => width.clone().prop_map(Draft::Quadratic),
        1 => width.prop_map(Draft::QuadraticIcnn),
        1 => Just(Draft::LogSumExp),
        1 => Just(Draft::Softmax),
    ];
    if nested {
        let inner = prop::collection::vec(drafts(limits, false), 1..=3);
        prop_oneof![6 => plain, 1 => inner.prop_map(Draft::Nested)].boxed()
    } else {
        plain.boxed()
    }
}

/// A network with its dimensions and the number of its layers after flattening.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub architecture: Architecture,
    pub d: usize,
    pub m: usize,
    pub depth: usize,
    pub seed: u64,
}

/// Random networks within `limits`: all layers mixed and nested, one layer standing alone now and then.
pub fn networks(limits: Limits) -> impl Strategy<Value = Drawn> {
    let layers = prop::collection::vec(drafts(limits, true), 1..=limits.depth);
    let head = (1..=limits.outputs, activations(), any::<bool>());
    let shape = (1..=limits.inputs, layers, head, any::<bool>(), any::<u32>());
    shape.prop_map(move |(d, mut drafts, (m, act, bias), ends_as_it_is, seed)| {
        if drafts.len() == limits.depth && drafts.len() > 1 {
            drafts.pop();
        }
        let alone = drafts.len() == 1 && ends_as_it_is;
        let (mut layers, mut out) = chain(&drafts, d);
        if !ends_as_it_is || out > limits.outputs {
            layers.push(Architecture::Single { in_features: out, out_features: m, act, bias });
            out = m;
        }
        let architecture = if alone && layers.len() == 1 { layers.remove(0) } else { Architecture::Network { layers } };
        let depth = depth(&architecture);
        Drawn { architecture, d, m: out, depth, seed: seed.into() }
    })
}

/// The number of layers after nested networks are flattened.
pub fn depth(architecture: &Architecture) -> usize {
    match architecture {
        Architecture::Network { layers } => layers.iter().map(depth).sum(),
        _ => 1,
    }
}

/// A prefix and pivots for any depth: `plan(depth)` of it is valid for a network of that depth.
#[derive(Clone, Debug)]
pub struct Cuts {
    prefix: f64,
    at: Vec<f64>,
}

impl Cuts {
    pub fn of(&self, depth: usize) -> (usize, Vec<usize>) {
        let prefix = ((self.prefix * (depth + 1) as f64) as usize).min(depth);
        let mut pivots: Vec<usize> = self.at.iter().map(|a| (a * depth as f64) as usize).collect();
        pivots.retain(|&p| p > prefix && p < depth);
        pivots.sort_unstable();
        pivots.dedup();
        (prefix, pivots)
    }
}

/// Whether no state of the network leaves a range in which derivatives mean something: squares of squares soon grow
/// beyond all digits, and nothing can be compared with what is left.
pub fn tame(network: &Network<f64>, x: &Array2<f64>) -> bool {
    fn walk(layer: &dyn Layer<f64>, u: &mut Array2<f64>) -> bool {
        if let Parts::Chain(inner) = layer.parts() {
            return inner.iter().all(|l| walk(l.as_ref(), u));
        }
        *u = layer.value(u).unwrap();
        u.iter().all(|u| u.abs() < 1e4)
    }
    let mut u = x.clone();
    walk(network, &mut u) && network.hessian(x).unwrap().2.iter().all(|h| h.abs() < 1e6)
}

/// Random plans.
pub fn cuts() -> impl Strategy<Value = Cuts> {
    let prefix = prop_oneof![2 => Just(0.0), 3 => 0.0..1.0];
    (prefix, prop::collection::vec(0.0..1.0, 0..=4)).prop_map(|(prefix, at)| Cuts { prefix, at })
}

/// Which results to ask for, with a seed for the arrays of the request.
#[derive(Clone, Debug)]
pub struct Wish {
    flags: [bool; 10],
    directions: Option<usize>,
    outputs: Option<usize>,
    seed: u64,
}

impl Wish {
    /// The request for a network of `d` inputs and `m` outputs.
    pub fn ask(&self, d: usize, m: usize) -> Ask {
        let k = self.directions.unwrap_or(d);
        let all = Ask::everything(self.seed, k, d);
        let [value, gradient, hessian, packed, diagonal, laplacian, operator, products, block, partials] = self.flags;
        Ask {
            value: value || self.flags.iter().all(|f| !f),
            gradient,
            hessian,
            packed,
            diagonal,
            laplacian,
            operator: all.operator.filter(|_| operator),
            products: all.products.filter(|_| products),
            block: all.block.filter(|_| block),
            partials: all.partials.filter(|_| partials),
            directions: self.directions.map(|k| super::uniform(self.seed + 20, 1.0, (k, d))),
            outputs: self.outputs.map(|q| super::uniform(self.seed + 21, 1.0, (m, q))),
            mode: hessquik::Mode::Auto,
        }
    }
}

/// Random requests, from a single result to all of them.
pub fn wishes() -> impl Strategy<Value = Wish> {
    let flags = prop_oneof![
        3 => (0usize..10).prop_map(|i| std::array::from_fn(|j| i == j)),
        3 => any::<[bool; 10]>(),
        1 => Just([true; 10]),
    ];
    (flags, prop::option::weighted(0.4, 1usize..=6), prop::option::weighted(0.4, 1usize..=4), any::<u32>())
        .prop_map(|(flags, directions, outputs, seed)| Wish { flags, directions, outputs, seed: seed.into() })
}
