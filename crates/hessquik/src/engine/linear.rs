//! Structured linear maps as the engine runs them: dense blocks by GEMM, scaled identities as copies.
use super::gemm::{Mat, gemm};
use super::kernels::copy_rows;
use super::packed::Packed;
use super::product::{Onto, Product, Right};
use super::tape::{Buffer, Spares};
use crate::Real;
use crate::layer::{Linear, Piece};
use ndarray::{ArrayD, ArrayView2, Axis};
use std::ops::Range;
use std::sync::OnceLock;

/// The few weights of one layer: name, where each stands in the flat vector of all weights, and its array; and memory for
/// what is made of them.
#[derive(Debug)]
pub(crate) struct Known<'a, F> {
    pub list: Vec<(&'a str, usize, &'a ArrayD<F>)>,
    pub spares: &'a Spares<F>,
}

impl<'a, F> Known<'a, F> {
    /// Where the weight of this name stands, and its array.
    pub fn find(&self, wanted: &str) -> Result<(usize, &'a ArrayD<F>), String> {
        let found = self.list.iter().find(|(name, ..)| *name == wanted);
        found.map(|&(_, theta, array)| (theta, array)).ok_or_else(|| format!("no weight is named {wanted:?}"))
    }
}

/// Where a part of a dense block comes from.
#[derive(Debug)]
pub(crate) struct Source<F> {
    /// First entry in the flat vector of all weights.
    theta: usize,
    /// Place in the block: first row and shape.
    row: usize,
    rows: usize,
    cols: usize,
    transposed: bool,
    /// d softplus(w) / dw where the block holds softplus(w).
    slope: Option<Vec<F>>,
}

/// A dense block at (`row`, `col`), row-major.
#[derive(Debug)]
pub(crate) struct Block<F> {
    row: usize,
    col: usize,
    rows: usize,
    cols: usize,
    data: Buffer<F>,
    /// The block and its transpose, as products want them, made when they first do.
    packed: [OnceLock<Packed<F>>; 2],
    /// Whether products do without dot products, whose sums are in another order.
    in_order: bool,
    sources: Vec<Source<F>>,
}

impl<F: Real> Block<F> {
    fn new((row, col): (usize, usize), (rows, cols): (usize, usize), data: Buffer<F>, sources: Vec<Source<F>>) -> Self {
        Self { row, col, rows, cols, data, packed: Default::default(), in_order: false, sources }
    }

    fn matrix(&self) -> Mat<'_, F> {
        Mat::new(&self.data, self.rows, self.cols, self.cols)
    }

    /// `c = onto + x A`, or `onto + x A^T`; by the first rows of `A` alone where `x` has no more columns.
    fn product(&self, transposed: bool, x: Mat<F>, onto: Onto<F>, c: &mut [F], stride: usize) {
        let packed = self.packed[usize::from(transposed)].get_or_init(|| {
            let matrix = if transposed { self.matrix().t() } else { self.matrix() };
            let mut packed = Packed::new(matrix, self.data.home());
            if self.in_order {
                packed.sum_in_order();
            }
            packed
        });
        let cols = if transposed { self.rows } else { self.cols };
        Product { a: x, b: Right::Packed(packed, 0), cols, onto, c, stride }.run();
    }
}

#[derive(Debug)]
pub(crate) struct Copy<F> {
    pub from: usize,
    pub to: usize,
    pub len: usize,
    pub scale: F,
}

/// A linear map of `rows` to `cols` features.
#[derive(Debug)]
pub(crate) struct Lin<F> {
    pub rows: usize,
    pub cols: usize,
    pub blocks: Vec<Block<F>>,
    pub copies: Vec<Copy<F>>,
    /// Whether each column, and each row, is written exactly once.
    covered: [bool; 2],
    /// The columns that the map writes, as (first, number).
    written: Vec<(usize, usize)>,
}

/// How often each row and column of a map is written: decides who may assign and who must add.
fn coverage<F>(lin: &Lin<F>, of_rows: bool) -> Vec<u8> {
    let mut count = vec![0u8; if of_rows { lin.rows } else { lin.cols }];
    let mut add = |from: usize, len: usize| count[from..from + len].iter_mut().for_each(|c| *c = c.saturating_add(1));
    lin.blocks.iter().for_each(|b| if of_rows { add(b.row, b.rows) } else { add(b.col, b.cols) });
    lin.copies.iter().for_each(|c| add(if of_rows { c.from } else { c.to }, c.len));
    count
}

/// Who writes first into `out = x A + y B`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cover {
    /// A alone writes every column once: A assigns, B adds.
    First,
    /// B alone does: B assigns, A adds.
    Second,
    /// Together they write every column exactly once: both assign.
    Once,
    /// Neither: zero first, both add.
    Fill,
}

pub(crate) fn cover<F>(a: &Lin<F>, b: &Lin<F>, of_rows: bool) -> Cover {
    let (a, b) = (coverage(a, of_rows), coverage(b, of_rows));
    if a.iter().zip(&b).all(|(a, b)| a + b == 1) {
        Cover::Once
    } else if a.iter().all(|&c| c == 1) {
        Cover::First
    } else if b.iter().all(|&c| c == 1) {
        Cover::Second
    } else {
        Cover::Fill
    }
}

impl<F: Real> Lin<F> {
    /// Puts the weights into the blocks; `message` errors where a piece does not fit.
    pub fn lower(linear: &Linear<F>, rows: usize, cols: usize, known: &Known<F>) -> Result<Self, String> {
        let mut blocks: Vec<Block<F>> = Vec::new();
        let mut copies = Vec::new();
        for piece in &linear.pieces {
            match piece {
                &Piece::Copy { from, to, len, scale } => {
                    if beyond(from, len, rows) || beyond(to, len, cols) {
                        return Err(format!(
                            "a copy of {len} features from {from} to {to} leaves a ({rows}, {cols}) map"
                        ));
                    }
                    if !scale.is_finite() {
                        return Err(format!("a copy is scaled by {scale}, expected a finite number"));
                    }
                    copies.push(Copy { from, to, len, scale });
                }
                Piece::Constant { matrix, row, col } => {
                    let data = entries(matrix.view(), known.spares);
                    blocks.push(Block::new((*row, *col), matrix.dim(), data, vec![]));
                }
                Piece::Weight { name, row, col, transposed, nonnegative } => {
                    let (theta, array) = known.find(name)?;
                    let matrix =
                        as_matrix(array).ok_or_else(|| format!("weight {name:?} is not a vector or matrix"))?;
                    let slope = nonnegative.then(|| matrix.iter().map(|&w| positive(w)[1]).collect());
                    let matrix = if *transposed { matrix.reversed_axes() } else { matrix };
                    let (rows, cols) = matrix.dim();
                    let mut data = entries(matrix, known.spares);
                    if *nonnegative {
                        data.iter_mut().for_each(|w| *w = positive(*w)[0]);
                    }
                    let source = Source { theta, row: 0, rows, cols, transposed: *transposed, slope };
                    blocks.push(Block::new((*row, *col), (rows, cols), data, vec![source]));
                }
            }
        }
        for b in &blocks {
            if beyond(b.row, b.rows, rows) || beyond(b.col, b.cols, cols) {
                let (r, c) = (b.rows, b.cols);
                return Err(format!("a ({r}, {c}) block at ({}, {}) leaves a ({rows}, {cols}) map", b.row, b.col));
            }
        }
        let blocks = stack(blocks, known.spares);
        let mut lin = Self { rows, cols, blocks, copies, covered: [false; 2], written: vec![] };
        lin.covered = [false, true].map(|of_rows| coverage(&lin, of_rows).iter().all(|&count| count == 1));
        let mut col = 0;
        for run in coverage(&lin, false).chunk_by(|a, b| (*a > 0) == (*b > 0)) {
            if run[0] > 0 {
                lin.written.push((col, run.len()));
            }
            col += run.len();
        }
        Ok(lin)
    }

    /// Whether the map is zero.
    pub fn is_zero(&self) -> bool {
        self.blocks.is_empty() && self.copies.is_empty()
    }

    /// Leaves products of few columns to the kernels that sum row by row.
    pub fn sum_in_order(&mut self) {
        self.blocks.iter_mut().for_each(|block| block.in_order = true);
    }

    /// The matrix (rows, cols) if the map is one dense block.
    pub fn as_dense(&self) -> Option<Mat<'_, F>> {
        match (&self.blocks[..], &self.copies[..]) {
            ([block], []) if (block.rows, block.cols) == (self.rows, self.cols) => Some(block.matrix()),
            _ => None,
        }
    }

    /// The scale if the map is a scaled identity.
    pub fn as_identity(&self) -> Option<F> {
        match (&self.blocks[..], &self.copies[..]) {
            ([], [c]) if self.rows == self.cols && c.len == self.rows => Some(c.scale),
            _ => None,
        }
    }

    /// Multiply-adds x 2 of one row through the dense blocks.
    pub fn flops(&self) -> f64 {
        self.flops_from(0)
    }

    /// Of them those from the row `first` on.
    pub fn flops_from(&self, first: usize) -> f64 {
        let rows = |b: &Block<F>| (b.row + b.rows).saturating_sub(first.max(b.row));
        self.blocks.iter().map(|b| 2.0 * (rows(b) * b.cols) as f64).sum()
    }

    /// The end of the columns that the first `rows` rows reach.
    pub fn reach(&self, rows: usize) -> usize {
        let blocks = self.blocks.iter().filter(|b| b.row < rows).map(|b| b.col + b.cols);
        let copies = self.copies.iter().filter(|c| c.from < rows).map(|c| c.to + c.len.min(rows - c.from));
        blocks.chain(copies).max().unwrap_or(0)
    }

    /// The whole matrix.
    pub fn to_dense(&self) -> Vec<F> {
        let mut out = vec![F::zero(); self.rows * self.cols];
        for b in &self.blocks {
            let to = &mut out[b.row * self.cols + b.col..];
            copy_rows(true, (b.rows, b.cols), (&b.data, b.cols), F::one(), to, self.cols);
        }
        for c in &self.copies {
            (0..c.len).for_each(|i| out[(c.from + i) * self.cols + c.to + i] += c.scale);
        }
        out
    }

    /// `y (+)= x A` for `n` rows; where `accumulate` is false every column must be covered once (see [`Cover`]).
    pub fn apply(&self, accumulate: bool, n: usize, x: &[F], xs: usize, y: &mut [F], ys: usize) {
        if n == 0 {
            return;
        }
        self.apply_blocks(accumulate, n, x, xs, y, ys);
        for c in &self.copies {
            copy_rows(accumulate, (n, c.len), (&x[c.from..], xs), c.scale, &mut y[c.to..], ys);
        }
    }

    /// The part of [`Self::apply`] that the dense blocks do.
    pub fn apply_blocks(&self, accumulate: bool, n: usize, x: &[F], xs: usize, y: &mut [F], ys: usize) {
        for b in &self.blocks {
            let x = Mat::new(x, n, xs, xs).columns(b.row, b.rows);
            b.product(false, x, Onto::new(accumulate), &mut y[b.col..], ys);
        }
    }

    /// `y += x A` by the first `rows` rows of `A` alone.
    pub fn apply_first(&self, rows: usize, n: usize, x: &[F], xs: usize, y: &mut [F], ys: usize) {
        for b in self.blocks.iter().filter(|b| b.row < rows) {
            let x = Mat::new(x, n, xs, xs).columns(b.row, b.rows.min(rows - b.row));
            b.product(false, x, Onto::Itself, &mut y[b.col..], ys);
        }
        for c in self.copies.iter().filter(|c| c.from < rows) {
            let len = c.len.min(rows - c.from);
            copy_rows(true, (n, len), (&x[c.from..], xs), c.scale, &mut y[c.to..], ys);
        }
    }

    /// `y (+)= R A` for every sample, given `R A` (r, cols), touching only the columns that the map writes.
    pub fn spread(&self, accumulate: bool, ns: usize, r: usize, mapped: &[F], y: &mut [F]) {
        let n = self.cols;
        for &(col, len) in &self.written {
            for s in 0..ns {
                let to = &mut y[s * r * n + col..];
                copy_rows(accumulate, (r, len), (&mapped[col..], n), F::one(), to, n);
            }
        }
    }

    /// `x (+)= y A^T` for `n` rows, likewise.
    pub fn apply_t(&self, accumulate: bool, n: usize, y: &[F], ys: usize, x: &mut [F], xs: usize) {
        if n == 0 {
            return;
        }
        for b in &self.blocks {
            let y = Mat::new(y, n, ys, ys).columns(b.col, b.cols);
            b.product(true, y, Onto::new(accumulate), &mut x[b.row..], xs);
        }
        for c in &self.copies {
            copy_rows(accumulate, (n, c.len), (&y[c.to..], ys), c.scale, &mut x[c.from..], xs);
        }
    }

    /// `y = x A` whatever the coverage.
    pub fn map(&self, n: usize, x: &[F], xs: usize, y: &mut [F], ys: usize) {
        let covered = self.covered[0];
        if !covered {
            y.chunks_mut(ys).take(n).for_each(|row| row[..self.cols].fill(F::zero()));
        }
        self.apply(!covered, n, x, xs, y, ys);
    }

    /// `y = b + x A` with the same row `b` for all.
    pub fn map_onto(&self, b: &[F], n: usize, x: &[F], xs: usize, y: &mut [F], ys: usize) {
        if let ([block], []) = (&self.blocks[..], &self.copies[..])
            && block.cols == self.cols
        {
            let x = Mat::new(x, n, xs, xs).columns(block.row, block.rows);
            return block.product(false, x, Onto::Row(b), y, ys);
        }
        y.chunks_exact_mut(ys).take(n).for_each(|y| y[..self.cols].copy_from_slice(b));
        self.apply(true, n, x, xs, y, ys);
    }

    /// `x = y A^T` whatever the coverage.
    pub fn map_t(&self, n: usize, y: &[F], ys: usize, x: &mut [F], xs: usize) {
        let covered = self.covered[1];
        if !covered {
            x.chunks_mut(xs).take(n).for_each(|row| row[..self.rows].fill(F::zero()));
        }
        self.apply_t(!covered, n, y, ys, x, xs);
    }

    /// Whether any block holds weights.
    pub fn trained(&self) -> bool {
        self.blocks.iter().any(|b| !b.sources.is_empty())
    }

    /// Number of entries of the blocks' gradients.
    pub fn gradient_len(&self) -> usize {
        self.blocks.iter().map(|b| b.data.len()).sum()
    }

    /// Where the gradient stands among those of all weights, if the map is one large matrix of weights as they lie there.
    pub fn direct(&self) -> Option<Range<usize>> {
        const LARGE: usize = 1 << 15;
        let ([block], []) = (&self.blocks[..], &self.copies[..]) else { return None };
        let [source] = &block.sources[..] else { return None };
        let as_it_lies = !source.transposed && source.slope.is_none();
        let (size, len) = ((self.rows, self.cols), block.data.len());
        let whole = (block.rows, block.cols) == size && (source.rows, source.cols) == size;
        (whole && as_it_lies && len >= LARGE).then(|| source.theta..source.theta + len)
    }

    /// Entries of the largest block.
    pub fn largest(&self) -> usize {
        self.blocks.iter().map(|b| b.data.len()).max().unwrap_or(0)
    }

    /// Adds `x^T y_bar` (of `n` rows) to the gradients of the blocks.
    pub fn add_gradient(&self, n: usize, x: &[F], xs: usize, y_bar: &[F], ys: usize, gradient: &mut [F]) {
        let mut at = 0;
        for b in &self.blocks {
            if !b.sources.is_empty() {
                let x = Mat::new(x, n, xs, xs).columns(b.row, b.rows);
                let y = Mat::new(y_bar, n, ys, ys).columns(b.col, b.cols);
                gemm(true, x.t(), y, &mut gradient[at..at + b.data.len()], b.cols);
            }
            at += b.data.len();
        }
    }

    /// Adds `y_bar` (rows, cols) itself, the gradient where `x` is the identity.
    pub fn add_gradient_identity(&self, y_bar: &[F], gradient: &mut [F]) {
        let mut at = 0;
        for b in &self.blocks {
            let from = &y_bar[b.row * self.cols + b.col..];
            copy_rows(true, (b.rows, b.cols), (from, self.cols), F::one(), &mut gradient[at..], b.cols);
            at += b.data.len();
        }
    }

    /// Adds the gradients of the blocks to the flat gradient of all weights.
    pub fn route(&self, gradient: &[F], theta: &mut [F]) {
        let mut at = 0;
        for b in &self.blocks {
            for s in &b.sources {
                for i in 0..s.rows {
                    for j in 0..s.cols {
                        let entry = if s.transposed { j * s.rows + i } else { i * s.cols + j };
                        let slope = s.slope.as_ref().map_or(F::one(), |slope| slope[entry]);
                        theta[s.theta + entry] += slope * gradient[at + (s.row + i) * b.cols + j];
                    }
                }
            }
            at += b.data.len();
        }
    }
}

/// Whether `len` entries from `start` on leave a range of `end`, however large the numbers.
fn beyond(start: usize, len: usize, end: usize) -> bool {
    start.checked_add(len).is_none_or(|last| last > end)
}

/// softplus(w) and its slope, for weights that must not be negative.
fn positive<F: Real>(w: F) -> [F; 2] {
    let jet = crate::Activation::softplus().jet(w);
    [jet[0], jet[1]]
}

fn as_matrix<F: Real>(array: &ArrayD<F>) -> Option<ArrayView2<'_, F>> {
    match array.ndim() {
        1 => Some(array.view().insert_axis(Axis(1)).into_dimensionality().expect("two axes")),
        _ => array.view().into_dimensionality().ok(),
    }
}

/// All entries, row by row; in one piece where they lie so.
fn entries<F: Real>(matrix: ArrayView2<F>, spares: &Spares<F>) -> Buffer<F> {
    let mut data = spares.buffer(matrix.len());
    data.copy_from_slice(matrix.as_standard_layout().as_slice().expect("the standard layout"));
    data
}

/// Joins blocks that stand on top of each other into one, so that one product serves both.
fn stack<F: Real>(mut blocks: Vec<Block<F>>, spares: &Spares<F>) -> Vec<Block<F>> {
    blocks.sort_by_key(|b| (b.col, b.cols, b.row));
    let mut out: Vec<Block<F>> = Vec::new();
    for b in blocks {
        match out.last_mut() {
            Some(top) if (top.col, top.cols) == (b.col, b.cols) && top.row + top.rows == b.row => {
                let below = top.rows;
                top.sources.extend(b.sources.into_iter().map(|s| Source { row: s.row + below, ..s }));
                let mut data = spares.buffer(top.data.len() + b.data.len());
                let (first, second) = data.split_at_mut(top.data.len());
                first.copy_from_slice(&top.data);
                second.copy_from_slice(&b.data);
                top.data = data;
                top.rows += b.rows;
            }
            _ => out.push(b),
        }
    }
    out
}
