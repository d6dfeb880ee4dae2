//! One layer in the one form, for the kernels: `z = u M + b`, `u' = u S + act(z) W + c`, with tensors for its blocks.
use crate::tensors::{constant, rows_times, zeros};
use burn::tensor::Tensor;
use hessquik::layer::Piece;
use hessquik::{Activation, Architecture, Form, Layer, Linear, Network, Parts, Shift};

/// A structured matrix, the sum of its blocks; none is the zero map.
pub(crate) struct Blocks {
    rows: usize,
    cols: usize,
    blocks: Vec<Block>,
}

#[allow(clippy::large_enum_variant)] // a few of them in a call
enum Block {
    /// A matrix with its first entry at (row, col).
    Dense { matrix: Tensor<2>, row: usize, col: usize },
    /// `scale` times the columns `from .. from + len`, to `to .. to + len`.
    Copy { from: usize, to: usize, len: usize, scale: f64 },
}

/// The layer, with the weights of one call.
pub(crate) struct TensorForm {
    pub m: Tensor<2>,
    pub b: Option<Tensor<2>>,
    pub act: Activation,
    pub s: Blocks,
    pub w: Blocks,
    pub c: Option<Tensor<2>>,
}

impl TensorForm {
    /// The forms of a network's layers in order, with weights in the order of the network; none if a layer has another form.
    pub(crate) fn all(network: &Network<f64>, weights: &[Tensor<2>], like: &Tensor<2>) -> Option<Vec<Self>> {
        let names: Vec<String> = network.weights().into_iter().map(|(name, _)| name).collect();
        let find = |name: &str| {
            weights[names.iter().position(|n| n == name).expect("a form names weights of its layer")].clone()
        };
        let mut forms = Vec::new();
        collect(network, "", &find, like, &mut forms).then_some(forms)
    }

    /// The form with weights that `weight` finds by their names, in tensors like `like`.
    fn new(form: &Form<f64>, weight: &dyn Fn(&str) -> Tensor<2>, like: &Tensor<2>) -> Self {
        let [n, p, out] = form.dims;
        let blocks = |linear, rows, cols| Blocks::new(linear, rows, cols, weight, like);
        let shift = |shift: &Shift<f64>| match shift {
            Shift::None => None,
            Shift::Weight(name) => {
                let b = weight(name);
                let len = b.dims().iter().product::<usize>();
                Some(b.reshape([1, len]))
            }
            Shift::Constant(values) => Some(constant(&values.clone().insert_axis(ndarray::Axis(0)), like)),
        };
        Self {
            m: blocks(&form.m, n, p).dense(like),
            b: shift(&form.b),
            act: form.act.clone(),
            s: blocks(&form.s, n, out),
            w: blocks(&form.w, p, out),
            c: shift(&form.c),
        }
    }

    /// Number of features of `u'`.
    pub(crate) fn width(&self) -> usize {
        self.s.cols
    }

    /// What the layer is where it is no more than `act(z)`, added to `u` or not.
    pub(crate) fn step(&self) -> Option<Step> {
        let whole = |blocks: &Blocks| match blocks.blocks[..] {
            [Block::Copy { from: 0, to: 0, len, scale }] if [len, len] == [blocks.rows, blocks.cols] => Some(scale),
            _ => None,
        };
        match (self.s.blocks.is_empty(), whole(&self.s), whole(&self.w), &self.c) {
            (true, _, Some(1.0), None) => Some(Step::Plain),
            (_, Some(1.0), Some(h), None) => Some(Step::Residual(h)),
            _ => None,
        }
    }
}

/// `u' = act(z)`, or `u' = u + h act(z)`.
pub(crate) enum Step {
    Plain,
    Residual(f64),
}

/// The sum of two terms, either of which may be zero.
pub(crate) fn sum<const D: usize>(a: Option<Tensor<D>>, b: Option<Tensor<D>>) -> Option<Tensor<D>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

impl Blocks {
    fn new(
        linear: &Linear<f64>,
        rows: usize,
        cols: usize,
        weight: &dyn Fn(&str) -> Tensor<2>,
        like: &Tensor<2>,
    ) -> Self {
        let block = |piece: &Piece<f64>| match piece {
            Piece::Weight { name, row, col, transposed, nonnegative } => {
                let w = weight(name);
                let w = if *transposed { w.transpose() } else { w };
                Block::Dense { matrix: if *nonnegative { softplus(w) } else { w }, row: *row, col: *col }
            }
            Piece::Constant { matrix, row, col } => {
                Block::Dense { matrix: constant(matrix, like), row: *row, col: *col }
            }
            &Piece::Copy { from, to, len, scale } => Block::Copy { from, to, len, scale },
        };
        Self { rows, cols, blocks: linear.pieces.iter().map(block).collect() }
    }

    /// The whole matrix.
    fn dense(&self, like: &Tensor<2>) -> Tensor<2> {
        let placed = |block: &Block| match block {
            Block::Dense { matrix, row, col } => {
                let wide = place(matrix.clone(), *col, self.cols);
                place(wide.transpose(), *row, self.rows).transpose()
            }
            Block::Copy { from, to, len, scale } => {
                let mut matrix = ndarray::Array2::zeros((self.rows, self.cols));
                (0..*len).for_each(|i| matrix[(from + i, to + i)] = *scale);
                constant(&matrix, like)
            }
        };
        let total = self.blocks.iter().map(placed).reduce(|a, b| a + b);
        total.unwrap_or_else(|| zeros([self.rows, self.cols], like))
    }

    /// `x B` along the last axis, `None` being zero.
    pub(crate) fn times<const D: usize>(&self, x: &Tensor<D>) -> Option<Tensor<D>> {
        let one = |block: &Block| match block {
            Block::Dense { matrix, row, col } => {
                let part = part(x.clone(), *row, matrix.dims()[0]);
                place(rows_times(part, matrix.clone()), *col, self.cols)
            }
            Block::Copy { from, to, len, scale } => place(scaled(part(x.clone(), *from, *len), *scale), *to, self.cols),
        };
        self.blocks.iter().map(one).reduce(|a, b| a + b)
    }
}

/// The forms of a layer and those inside it, in order; whether all have one.
fn collect(
    layer: &dyn Layer<f64>,
    prefix: &str,
    weight: &dyn Fn(&str) -> Tensor<2>,
    like: &Tensor<2>,
    out: &mut Vec<TensorForm>,
) -> bool {
    match layer.parts() {
        Parts::Form(form) => {
            let named = |name: &str| weight(&format!("{prefix}{name}"));
            out.push(TensorForm::new(&form, &named, like));
            true
        }
        Parts::Chain(layers) => {
            // a network of one bare layer has no positions in its names
            let bare = layer.architecture().is_some_and(|a| !matches!(a, Architecture::Network { .. }));
            layers.iter().enumerate().all(|(i, inner)| {
                let inner_prefix = if bare { prefix.to_string() } else { format!("{prefix}{i}.") };
                collect(&**inner, &inner_prefix, weight, like, out)
            })
        }
        Parts::Smooth(_) | Parts::Forward => false,
    }
}

fn scaled<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    if scale == 1.0 { x } else { x * scale }
}

/// The columns `start .. start + len` of the last axis.
fn part<const D: usize>(x: Tensor<D>, start: usize, len: usize) -> Tensor<D> {
    if (start, len) == (0, x.dims()[D - 1]) { x } else { x.narrow(D as i64 - 1, start, len) }
}

/// `x` as the columns from `start` of a tensor that has `width` of them, the others being zero.
fn place<const D: usize>(x: Tensor<D>, start: usize, width: usize) -> Tensor<D> {
    let dims = x.dims();
    let after = width - start - dims[D - 1];
    let edge = |len: usize| {
        let mut dims = dims;
        dims[D - 1] = len;
        (len > 0).then(|| zeros(dims, &x))
    };
    let (before, after) = (edge(start), edge(after));
    if before.is_none() && after.is_none() {
        return x;
    }
    Tensor::cat([before, Some(x), after].into_iter().flatten().collect(), D as i64 - 1)
}

/// softplus of a weight (beta = 1).
fn softplus(w: Tensor<2>) -> Tensor<2> {
    let act = Activation::Softplus { beta: 1.0, threshold: f64::INFINITY };
    crate::activation::jet(&act, w.unsqueeze_dim(0), 0).expect("built in").remove(0).squeeze_dim(0)
}
