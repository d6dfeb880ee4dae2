//! Products of matrices whose entries are lines of samples.
//!
//! ```text
//! out[i, j] (+)= c sum_l x[i, l] z[l, j]
//! ```
//!
//! One factor the same for all samples, as weights are: a product of matrices whose columns are samples. The result the
//! same for all samples, as cotangents of weights are: a product along the samples. Else blocks in registers, samples side
//! by side.
use super::block::Block;
use super::entries::{Move, Scratch};
use super::view::{Lines, LinesMut, Meet};
use crate::Real;
use crate::engine::gemm::{Mat, gemm};
use crate::engine::kernels::vectorised;
use crate::engine::tape::fit;
use crate::schedule::{self, DotPlace, Place};
use pulp::Arch;

/// A factor: entry (i, j) is the line at `i * rs + j * cs`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor<'a, F> {
    pub data: &'a [F],
    pub rs: usize,
    pub cs: usize,
    pub shared: bool,
}

/// The result, likewise.
#[derive(Debug)]
pub(super) struct Out<'a, F> {
    pub data: &'a mut [F],
    pub rs: usize,
    pub cs: usize,
    pub shared: bool,
}

impl<'a, F> Factor<'a, F> {
    fn t(self) -> Self {
        Self { rs: self.cs, cs: self.rs, ..self }
    }

    /// The matrix (rows, cols) of numbers that are the same for all samples.
    fn mat(self, rows: usize, cols: usize) -> Mat<'a, F> {
        Mat { data: self.data, rows, cols, rs: self.rs, cs: self.cs }
    }
}

impl<'a, F> Out<'a, F> {
    /// Whether its entries, of one number each, are those of a row-major matrix.
    fn is_row_major(&self, m: usize, n: usize) -> bool {
        self.cs == 1 && (m == 1 || self.rs >= n)
    }

    fn t(self) -> Self {
        Self { rs: self.cs, cs: self.rs, ..self }
    }
}

/// One product (m, k) (k, n).
#[derive(Debug)]
pub(super) struct Form<'a, F> {
    /// m, n and k.
    pub size: (usize, usize, usize),
    pub x: Factor<'a, F>,
    pub z: Factor<'a, F>,
    pub out: Out<'a, F>,
    /// Entries of a line.
    pub width: usize,
    pub c: F,
    pub onto: bool,
}

impl<F: Real> Form<'_, F> {
    fn run(self, scratch: &mut Scratch<F>) {
        match (self.x.shared, self.z.shared, self.out.shared) {
            (true, false, false) => self.left_shared(scratch),
            (false, true, false) => self.t().left_shared(scratch),
            (false, false, true) => self.along_samples(scratch),
            (false, false, false) if self.width == 1 => self.once(scratch),
            (false, false, false) => self.blocks(),
            (true, true, false) => self.spread(scratch),
            (true, true, true) => self.once(scratch),
            (false, true, true) => self.t().sum_first(scratch),
            (true, false, true) => self.sum_first(scratch),
        }
    }

    /// `out^T = z^T x^T`
    fn t(self) -> Self {
        let Self { size: (m, n, k), x, z, out, .. } = self;
        Self { size: (n, m, k), x: z.t(), z: x.t(), out: out.t(), ..self }
    }

    /// `x` the same for all samples: its product with matrices whose columns are samples, for all columns of `z` at once
    /// where they lie side by side.
    fn left_shared(self, scratch: &mut Scratch<F>) {
        let Self { size: (m, n, k), x, z, out, width, c, onto } = self;
        let mut x = x.mat(m, k);
        if c != F::one() {
            let scaled = fit(&mut scratch.small, m * k);
            for (i, to) in scaled.chunks_exact_mut(k.max(1)).enumerate() {
                to.iter_mut().enumerate().for_each(|(l, to)| *to = c * x.data[i * x.rs + l * x.cs]);
            }
            x = Mat::new(scaled, m, k, k);
        }
        let side_by_side = z.cs == width && out.cs == width && (m == 1 || out.rs >= n * width);
        let (times, cols) = if side_by_side { (1, n * width) } else { (n, width) };
        for j in 0..times {
            let right = Mat::new(&z.data[j * z.cs..], k, cols, z.rs);
            gemm(onto, x, right, &mut out.data[j * out.cs..], out.rs.max(cols));
        }
    }

    /// Summed over the samples.
    fn along_samples(self, scratch: &mut Scratch<F>) {
        let Self { size: (m, n, k), x, z, out, width, c, onto } = self;
        let (times, inner) = if x.cs == width && z.rs == width { (1, k * width) } else { (k, width) };
        let direct = out.is_row_major(m, n) && c == F::one();
        let (to, stride) = if direct { (&mut *out.data, out.rs.max(n)) } else { (fit(&mut scratch.small, m * n), n) };
        for l in 0..times {
            let left = Mat::new(&x.data[l * x.cs..], m, inner, x.rs);
            let right = Mat::new(&z.data[l * z.rs..], n, inner, z.cs).t();
            gemm(l > 0 || (direct && onto), left, right, to, stride);
        }
        if !direct {
            each((m, n), |i, j| {
                let to = &mut out.data[i * out.rs + j * out.cs];
                *to = if onto { *to } else { F::zero() } + c * scratch.small[i * n + j];
            });
        }
    }

    /// Numbers instead of lines.
    fn once(self, scratch: &mut Scratch<F>) {
        let Self { size: (m, n, k), x, z, out, c, onto, .. } = self;
        let direct = out.is_row_major(m, n) && c == F::one();
        let (to, stride) = if direct { (&mut *out.data, out.rs.max(n)) } else { (fit(&mut scratch.small, m * n), n) };
        gemm(direct && onto, x.mat(m, k), z.mat(k, n), to, stride);
        if !direct {
            each((m, n), |i, j| {
                let to = &mut out.data[i * out.rs + j * out.cs];
                *to = if onto { *to } else { F::zero() } + c * scratch.small[i * n + j];
            });
        }
    }

    /// Every factor the same for all samples: so is the result.
    fn spread(self, scratch: &mut Scratch<F>) {
        let Self { size: (m, n, k), x, z, out, width, c, onto } = self;
        let one = fit(&mut scratch.small, m * n);
        gemm(false, x.mat(m, k), z.mat(k, n), one, n);
        vectorised(
            #[inline(always)]
            || {
                each((m, n), |i, j| {
                    let number = c * one[i * n + j];
                    for to in &mut out.data[i * out.rs + j * out.cs..][..width] {
                        *to = if onto { *to + number } else { number };
                    }
                });
            },
        );
    }

    /// `x` and the result the same for all samples: `z` is summed over them.
    fn sum_first(self, scratch: &mut Scratch<F>) {
        let Self { size: (m, n, k), x, z, out, width, c, onto } = self;
        let mut sums = std::mem::take(&mut scratch.sums);
        let summed = fit(&mut sums, k * n);
        each((k, n), |l, j| {
            summed[l * n + j] = z.data[l * z.rs + j * z.cs..][..width].iter().copied().fold(F::zero(), |a, b| a + b);
        });
        let z = Factor { data: summed, rs: n, cs: 1, shared: true };
        Form { size: (m, n, k), x, z, out, width: 1, c, onto }.once(scratch);
        scratch.sums = sums;
    }

    /// Samples side by side.
    fn blocks(self) {
        Block(self).run();
    }
}

fn each((m, n): (usize, usize), mut f: impl FnMut(usize, usize)) {
    for i in 0..m {
        for j in 0..n {
            f(i, j);
        }
    }
}

/// The rows of three buffers as if they were samples of one row, where each has as many rows or is the same for all of them.
fn merge<F>(y: &mut LinesMut<F>, a: &mut Lines<F>, b: &mut Lines<F>, count: usize) -> bool {
    // where everything is the same for all samples, what has one row is the same for all rows
    let once = y.width == 1 && a.width == 1 && b.width == 1;
    let fits = |rows: usize, shared: bool| if rows == 1 { shared || once } else { rows == count && !shared };
    let fit = fits(y.rows, y.shared) && fits(a.rows, a.shared) && fits(b.rows, b.shared);
    if fit {
        for (rows, width, shared) in [
            (&mut y.rows, &mut y.width, &mut y.shared),
            (&mut a.rows, &mut a.width, &mut a.shared),
            (&mut b.rows, &mut b.width, &mut b.shared),
        ] {
            *shared = *rows == 1;
            *width *= *rows;
            *rows = 1;
        }
    }
    fit
}

/// The product of matrices of a step, one of its places missing.
pub(super) fn product<F: Real>(
    mut onto: bool,
    place: Place,
    mut y: LinesMut<F>,
    (mut a, mut b): (Lines<F>, Lines<F>),
    [groups, r, s, t]: [usize; 4],
    mut meet: Meet<F>,
    scratch: &mut Scratch<F>,
) {
    if !onto && !meet.covers(y.rows) {
        y.data.fill(F::zero());
        onto = true;
    }
    if let Meet::All(count) = meet
        && count > 1
        && merge(&mut y, &mut a, &mut b, count)
    {
        meet = Meet::All(1);
    }
    let width = y.width.max(a.width).max(b.width);
    // entries of a factor from feature to feature
    let (ys, az, bs) = (y.rows * y.width, a.rows * a.width, b.rows * b.width);
    for g in 0..groups {
        let (gy, ga, gb) = (g * r * t, g * r * s, g * s * t);
        for step in 0..meet.len() {
            let (ry, ra, rb, c) = meet.get(step);
            let onto = onto || meet.repeats(step, y.rows);
            // sizes, first features, and features from row to row and from column to column
            let (size, out, x, z) = match place {
                Place::Y => ((r, t, s), (gy, t, 1), (ga, s, 1), (gb, t, 1)),
                Place::A => ((r, s, t), (ga, s, 1), (gy, t, 1), (gb, 1, t)),
                Place::B => ((s, t, r), (gb, t, 1), (ga, 1, s), (gy, t, 1)),
            };
            Form {
                size,
                x: Factor { data: &a.data[a.at(x.0, ra)..], rs: x.1 * az, cs: x.2 * az, shared: a.shared },
                z: Factor { data: &b.data[b.at(z.0, rb)..], rs: z.1 * bs, cs: z.2 * bs, shared: b.shared },
                out: Out {
                    rs: out.1 * ys,
                    cs: out.2 * ys,
                    shared: y.shared,
                    data: {
                        let at = y.at(out.0, ry);
                        &mut y.data[at..]
                    },
                },
                width,
                c,
                onto,
            }
            .run(scratch);
        }
    }
}

/// `Y += A B` where row `a` of A is the unit vector of feature `units[a]`: rows of B.
pub(super) fn rows_of_units<F: Real>(
    onto: bool,
    mut y: LinesMut<F>,
    units: &[usize],
    b: Lines<F>,
    [_, r, s, t]: [usize; 4],
    meet: Meet<F>,
) {
    if !onto {
        y.data.fill(F::zero());
    }
    let n = y.data.len() / (y.rows * y.width).max(1);
    for step in 0..meet.len() {
        let (ry, ra, rb, c) = meet.get(step);
        let unit = units[if units.len() == 1 { 0 } else { ra }];
        let (group, i, l) = (unit / (r * s), unit / s % r, unit % s);
        let block = [schedule::Block { from: (group * s + l) * t, to: (group * r + i) * t, len: t }];
        let (blocks, rows) = (Some(&block[..]), [(ry, rb)]);
        Arch::new().dispatch(Move { onto: true, y: y.again(), n, x: b, c, blocks, rows: Meet::Pairs(&rows) });
    }
}

/// Sums over features, or over rows, of products of rows: a product whose matrices are features by rows.
pub(super) fn dot<F: Real>(
    onto: bool,
    place: DotPlace,
    y: LinesMut<F>,
    (a, b): (Lines<F>, Lines<F>),
    n: usize,
    scratch: &mut Scratch<F>,
) {
    let width = y.width.max(a.width).max(b.width);
    // rows of g and of t
    let (q, k) = match place {
        DotPlace::D => (a.rows, b.rows),
        DotPlace::G => (y.rows, b.rows),
        DotPlace::T => (b.rows, y.rows),
    };
    // (features, rows) as they are
    let rows = |x: Lines<'_, F>| (x.rows * x.width, x.width);
    let factor = |data, (rs, cs): (usize, usize), shared| Factor { data, rs, cs, shared };
    let (size, x, z, (rs, cs)) = match place {
        DotPlace::D => (
            (q, k, n),
            factor(a.data, rows(a), a.shared).t(),
            factor(b.data, rows(b), b.shared),
            (k * y.width, y.width),
        ),
        DotPlace::G => (
            (n, q, k),
            factor(b.data, rows(b), b.shared),
            factor(a.data, (k * a.width, a.width), a.shared).t(),
            (y.rows * y.width, y.width),
        ),
        DotPlace::T => (
            (n, k, q),
            factor(b.data, rows(b), b.shared),
            factor(a.data, (k * a.width, a.width), a.shared),
            (y.rows * y.width, y.width),
        ),
    };
    let out = Out { data: y.data, rs, cs, shared: y.shared };
    Form { size, x, z, out, width, c: F::one(), onto }.run(scratch);
}
