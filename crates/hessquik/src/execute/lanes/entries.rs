//! Steps that go entry by entry: sums and products of lines, activations, and the largest of groups.
use super::view::{Lines, LinesMut, Meet};
use crate::engine::kernels::along;
use crate::engine::tape::Buffer;
use crate::schedule::{Block, PickPlace};
use crate::{Activation, Real};
use pulp::{Simd, WithSimd};

/// Working memory of the steps, kept from one tile to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch<F> {
    /// Operands and results of a step, made to differ from sample to sample.
    pub(super) wide: Buffer<F>,
    /// Orders of an activation that nobody asked for, and a result that is added elsewhere.
    pub(super) spare: Buffer<F>,
    /// Matrices of weights that were scaled, or that are yet to be added.
    pub(super) small: Buffer<F>,
    /// Factors summed over the samples.
    pub(super) sums: Buffer<F>,
}

/// `y (+)= c x`.
#[inline(always)]
fn scaled<S: Simd, F: Real>(simd: S, onto: bool, c: F, x: &[F], y: &mut [F]) {
    let (factor, zero, len) = (F::splat(simd, c), F::splat(simd, F::zero()), y.len());
    assert!(x.len() == len);
    along(
        simd,
        len,
        #[inline(always)]
        |span| {
            // SAFETY: both are rows of `len` entries.
            unsafe {
                let start = if onto { span.load(y) } else { zero };
                span.store(y, F::fused(simd, factor, span.load(x), start));
            }
        },
    );
}

/// `y (+)= c a . b`.
#[inline(always)]
fn multiplied<S: Simd, F: Real>(simd: S, onto: bool, c: F, (a, b): (&[F], &[F]), y: &mut [F]) {
    let (factor, zero, len) = (F::splat(simd, c), F::splat(simd, F::zero()), y.len());
    assert!(a.len() == len && b.len() == len);
    along(
        simd,
        len,
        #[inline(always)]
        |span| {
            // SAFETY: all three are rows of `len` entries.
            unsafe {
                let start = if onto { span.load(y) } else { zero };
                let first = F::fused(simd, factor, span.load(a), zero);
                span.store(y, F::fused(simd, first, span.load(b), start));
            }
        },
    );
}

/// `y (+)= s`.
#[inline(always)]
fn shifted<S: Simd, F: Real>(simd: S, onto: bool, s: F, y: &mut [F]) {
    let (one, shift, len) = (F::splat(simd, F::one()), F::splat(simd, s), y.len());
    along(
        simd,
        len,
        #[inline(always)]
        |span| {
            // SAFETY: the span is one of `y`.
            unsafe {
                let sum = if onto { F::fused(simd, one, span.load(y), shift) } else { shift };
                span.store(y, sum);
            }
        },
    );
}

/// The sum of all entries: vectors first, then the entries of the last one.
#[inline(always)]
fn sum<S: Simd, F: Real>(simd: S, x: &[F]) -> F {
    let (one, mut total) = (F::splat(simd, F::one()), F::splat(simd, F::zero()));
    along(
        simd,
        x.len(),
        #[inline(always)]
        |span| {
            // SAFETY: the span is one of `x`.
            total = F::fused(simd, one, unsafe { span.load(x) }, total);
        },
    );
    F::total(simd, total)
}

/// The sum of the products of entries, in the same order.
#[inline(always)]
fn dot<S: Simd, F: Real>(simd: S, a: &[F], b: &[F]) -> F {
    let mut total = F::splat(simd, F::zero());
    assert!(a.len() == b.len());
    along(
        simd,
        a.len(),
        #[inline(always)]
        |span| {
            // SAFETY: both are rows of as many entries.
            total = unsafe { F::fused(simd, span.load(a), span.load(b), total) };
        },
    );
    F::total(simd, total)
}

/// `y[to + j, ry] (+)= c x[from + j, rx]`.
pub(super) struct Move<'a, F> {
    pub onto: bool,
    pub y: LinesMut<'a, F>,
    /// Features of `y`.
    pub n: usize,
    pub x: Lines<'a, F>,
    pub c: F,
    pub blocks: Option<&'a [Block]>,
    pub rows: Meet<'a, F>,
}

impl<F: Real> WithSimd for Move<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { mut onto, mut y, n, x, c, blocks, rows } = self;
        let all = [Block { from: 0, to: 0, len: n }];
        let blocks = blocks.unwrap_or(&all);
        let mut next = 0;
        for block in blocks {
            next = if block.to == next { next + block.len } else { usize::MAX };
        }
        let covered = next == n && rows.covers(y.rows);
        if !(onto || covered) {
            y.data.fill(F::zero());
            onto = true;
        }
        let aligned = matches!(rows, Meet::All(_)) && y.rows == x.rows && !y.shared && !x.shared;
        for block in blocks {
            if aligned {
                let len = block.len * y.rows * y.width;
                let (from, to) = (x.at(block.from, 0), y.at(block.to, 0));
                scaled(simd, onto, c, &x.data[from..][..len], &mut y.data[to..][..len]);
                continue;
            }
            for j in 0..block.len {
                if matches!(rows, Meet::All(_)) && y.shared && !x.shared && y.rows == 1 {
                    // the rows and samples of a feature lie side by side
                    let total = c * sum(simd, &x.data[x.at(block.from + j, 0)..][..x.rows * x.width]);
                    let to = &mut y.data[block.to + j];
                    *to = if onto { *to + total } else { total };
                    continue;
                }
                for t in 0..rows.len() {
                    let (ry, rx, ..) = rows.get(t);
                    let onto = onto || rows.repeats(t, y.rows);
                    let (x_line, x_shared) = (x.line(block.from + j, rx), x.shared);
                    let shared = y.shared;
                    let to = y.line(block.to + j, ry);
                    match (x_shared, shared) {
                        (true, _) => shifted(simd, onto, c * x_line[0], to),
                        (false, true) => shifted(simd, onto, c * sum(simd, x_line), to),
                        (false, false) => scaled(simd, onto, c, x_line, to),
                    }
                }
            }
        }
    }
}

/// `y (+)= s`.
pub(super) struct Add<'a, F> {
    pub onto: bool,
    pub y: &'a mut [F],
    pub s: F,
}

impl<F: Real> WithSimd for Add<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        shifted(simd, self.onto, self.s, self.y);
    }
}

/// `y[i, ry] (+)= c a[i, ra] . b[i, rb]`.
pub(super) struct Times<'a, F> {
    pub onto: bool,
    pub y: LinesMut<'a, F>,
    /// Features.
    pub n: usize,
    pub a: Lines<'a, F>,
    pub b: Lines<'a, F>,
    pub c: F,
    pub rows: Meet<'a, F>,
}

impl<F: Real> WithSimd for Times<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { mut onto, mut y, n, a, b, c, rows } = self;
        if !onto && !rows.covers(y.rows) {
            y.data.fill(F::zero());
            onto = true;
        }
        let one_row_each = matches!(rows, Meet::All(_)) && y.rows == a.rows && y.rows == b.rows;
        if one_row_each && !y.shared && !a.shared && !b.shared {
            return multiplied(simd, onto, c, (a.data, b.data), y.data);
        }
        // a shared factor comes second, and so does one of one row
        let fewer = matches!(rows, Meet::All(_)) && a.rows < b.rows && !b.shared;
        let swapped = a.shared || fewer;
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        let lanes = F::lanes::<S>();
        if let Meet::All(count) = rows
            && (y.rows, a.rows, b.rows) == (count, count, 1)
            && !y.shared
            && !a.shared
            && !b.shared
            && y.width.is_multiple_of(lanes)
        {
            let (width, zero, c) = (y.width, F::splat(simd, F::zero()), F::splat(simd, c));
            let len = n * count * width;
            assert!(y.data.len() >= len && a.data.len() >= len && b.data.len() >= n * width);
            for i in 0..n {
                for s in (0..width).step_by(lanes) {
                    // SAFETY: line `i` of `b`, and the lines of that feature of the others, lie within their data by the
                    // assert, and are whole vectors.
                    unsafe {
                        let factor = F::fused(simd, c, F::load(simd, b.data.as_ptr().add(i * width + s)), zero);
                        for row in i * count..(i + 1) * count {
                            let to = y.data.as_mut_ptr().add(row * width + s);
                            let start = if onto { F::load(simd, to) } else { zero };
                            let x = F::load(simd, a.data.as_ptr().add(row * width + s));
                            F::store(simd, to, F::fused(simd, factor, x, start));
                        }
                    }
                }
            }
            return;
        }
        for i in 0..n {
            for t in 0..rows.len() {
                let (ry, mut ra, mut rb, factor) = rows.get(t);
                if swapped {
                    (ra, rb) = (rb, ra);
                }
                let onto = onto || rows.repeats(t, y.rows);
                let (c, a_line, b_line) = (c * factor, a.line(i, ra), b.line(i, rb));
                let shared = y.shared;
                let to = y.line(i, ry);
                match (a.shared, b.shared, shared) {
                    (false, false, false) => multiplied(simd, onto, c, (a_line, b_line), to),
                    (false, true, false) => scaled(simd, onto, c * b_line[0], a_line, to),
                    (false, false, true) => shifted(simd, onto, c * dot(simd, a_line, b_line), to),
                    (false, true, true) => shifted(simd, onto, c * b_line[0] * sum(simd, a_line), to),
                    (true, ..) => shifted(simd, onto, c * a_line[0] * b_line[0], to),
                }
            }
        }
    }
}

/// Entries of which an activation is computed at a time, so that orders nobody asked for stay in the nearest cache.
const PIECE: usize = 512;
/// The most derivatives that one pass over an activation gives.
pub(super) const ORDERS: usize = crate::activation::MAX_ORDER + 1;
/// The most that one pass of vectors gives.
const FILLED: usize = 4;

/// Sets `outs[order]`, where there is one, to the derivatives of these orders at every entry of `z`.
pub(super) fn activate<F: Real>(act: &Activation, z: &[F], mut outs: [Option<&mut [F]>; ORDERS], spare: &mut [F]) {
    let Some(order) = outs.iter().rposition(Option::is_some) else { return };
    for (piece, z) in z.chunks(PIECE).enumerate() {
        let (mut spare, mut at) = (spare.chunks_mut(PIECE), 0);
        let slices: [&mut [F]; ORDERS] = outs.each_mut().map(|out| {
            at += 1;
            match out {
                Some(out) => &mut out[piece * PIECE..][..z.len()],
                None if at <= order => &mut spare.next().expect("a piece for each order")[..z.len()],
                None => &mut [][..],
            }
        });
        if order < FILLED {
            let mut slices = slices.into_iter();
            act.fill(order, z, std::array::from_fn(|_| slices.next().expect("orders")));
        } else {
            let mut slices = slices;
            act.derivatives_into(z, &mut slices[..=order]);
        }
    }
}

/// Entries that [`activate`] wants to spare.
pub(super) const SPARE: usize = (ORDERS - 1) * PIECE;

/// Sets `out` to the derivative of this order, which plans have checked to exist, at every entry of `z`.
pub(super) fn derivative<F: Real>(act: &Activation, order: usize, z: &[F], out: &mut [F], spare: &mut [F]) {
    let mut out = Some(out);
    activate(act, z, std::array::from_fn(|j| if j == order { out.take() } else { None }), spare);
}

/// Samples that [`Pick`] takes at once.
const CHUNK: usize = 16;

/// One entry of each group, at the place where `z` is largest.
pub(super) struct Pick<'a, F> {
    pub onto: bool,
    pub place: PickPlace,
    pub y: LinesMut<'a, F>,
    pub x: Lines<'a, F>,
    pub z: Lines<'a, F>,
    pub groups: usize,
    pub len: usize,
    pub inner: usize,
}

impl<F: Real> Pick<'_, F> {
    /// To be called where the vectors of the machine are known.
    #[inline(always)]
    pub fn run(mut self) {
        if !self.onto {
            self.y.data.fill(F::zero());
        }
        for group in 0..self.groups {
            let mut s = 0;
            while s < self.z.width {
                if s + CHUNK <= self.z.width {
                    self.chunk::<CHUNK>(group, s);
                    s += CHUNK;
                } else {
                    self.chunk::<1>(group, s);
                    s += 1;
                }
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // the compiler may not see through iterators, and then nothing is vectorised
    fn chunk<const N: usize>(&mut self, group: usize, s: usize) {
        let first = group / self.inner * self.len * self.inner + group % self.inner;
        let entry = |j: usize| first + j * self.inner;
        // the largest entry and its number, which is exact in any precision: groups are of fewer than 2^24 entries
        let (mut top, mut which) = ([F::neg_infinity(); N], [F::zero(); N]);
        for j in 0..self.len {
            let z = &self.z.data[self.z.at(entry(j), 0) + s..][..N];
            for l in 0..N {
                let more = z[l] > top[l] || (z[l].is_nan() && !top[l].is_nan());
                top[l] = if more { z[l] } else { top[l] };
                which[l] = if more { F::of(j as f64) } else { which[l] };
            }
        }
        for row in 0..self.x.rows.max(self.y.rows) {
            for j in 0..self.len {
                let (to, from) = match self.place {
                    PickPlace::Y => (group, entry(j)),
                    PickPlace::X => (entry(j), group),
                };
                let x = &self.x.data[self.x.at(from, row) + s..][..N];
                let at = self.y.at(to, row) + s;
                let y = &mut self.y.data[at..][..N];
                for l in 0..N {
                    y[l] += if which[l] == F::of(j as f64) { x[l] } else { F::zero() };
                }
            }
        }
    }
}
