//! Fused elementwise passes, vectorised for the machine at run time.
use crate::Real;

/// Rows of a tile: row `a` of sample `s` starts at `s * sample + a * stride`; `sample` is 0 where all samples share
/// the same rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, F> {
    pub data: &'a [F],
    pub sample: usize,
    pub stride: usize,
}

impl<'a, F> Rows<'a, F> {
    /// `rows` rows per sample, `stride` entries from row to row.
    pub fn new(data: &'a [F], rows: usize, stride: usize) -> Self {
        Self { data, sample: rows * stride, stride }
    }

    /// The same rows for every sample.
    pub fn shared(data: &'a [F], stride: usize) -> Self {
        Self { data, sample: 0, stride }
    }

    #[inline(always)]
    pub fn row(&self, s: usize, a: usize, len: usize) -> &'a [F] {
        let start = s * self.sample + a * self.stride;
        &self.data[start..start + len]
    }

    /// The rows from column `from` on.
    pub fn from(self, from: usize) -> Self {
        Self { data: &self.data[from.min(self.data.len())..], ..self }
    }
}

/// Runs `body` with the widest vector instructions of this machine.
#[inline(always)]
pub(crate) fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// `out[s, a, j] (+)= scale x[s, a, j] d[s, j]` for `rows` rows of `len` entries; `d` has `d_stride` entries per sample.
#[allow(clippy::too_many_arguments)]
pub(crate) fn scale_rows<F: Real>(
    accumulate: bool,
    (ns, rows, len): (usize, usize, usize),
    x: Rows<F>,
    d: Rows<F>,
    scale: F,
    out: &mut [F],
    stride: usize,
) {
    vectorised(
        #[inline(always)]
        || {
            for s in 0..ns {
                let d = d.row(s, 0, len);
                for a in 0..rows {
                    let x = x.row(s, a, len);
                    let out = &mut out[(s * rows + a) * stride..][..len];
                    if accumulate {
                        for j in 0..len {
                            out[j] += scale * x[j] * d[j];
                        }
                    } else {
                        for j in 0..len {
                            out[j] = scale * x[j] * d[j];
                        }
                    }
                }
            }
        },
    );
}

/// `first[s, a, j] = scale x[s, a, j] d[s, j]` and `second[s, a, j] = scale x[s, a, j] e[s, j]`, the latter with
/// `stride` entries from row to row.
pub(crate) fn scale_twice<F: Real>(
    (ns, rows, len): (usize, usize, usize),
    x: Rows<F>,
    (d, e): (Rows<F>, Rows<F>),
    scale: F,
    first: &mut [F],
    (second, stride): (&mut [F], usize),
) {
    vectorised(
        #[inline(always)]
        || {
            for s in 0..ns {
                let (d, e) = (d.row(s, 0, len), e.row(s, 0, len));
                for a in 0..rows {
                    let x = x.row(s, a, len);
                    let first = &mut first[(s * rows + a) * len..][..len];
                    let second = &mut second[(s * rows + a) * stride..][..len];
                    for j in 0..len {
                        let x = scale * x[j];
                        first[j] = x * d[j];
                        second[j] = x * e[j];
                    }
                }
            }
        },
    );
}

/// `out[row, j] (+)= scale x[row, j]`.
pub(crate) fn copy_rows<F: Real>(
    accumulate: bool,
    (rows, len): (usize, usize),
    (x, x_stride): (&[F], usize),
    scale: F,
    out: &mut [F],
    stride: usize,
) {
    vectorised(
        #[inline(always)]
        || {
            for row in 0..rows {
                let x = &x[row * x_stride..][..len];
                let out = &mut out[row * stride..][..len];
                match accumulate {
                    false if scale == F::one() => out.copy_from_slice(x),
                    false => (0..len).for_each(|j| out[j] = scale * x[j]),
                    true => (0..len).for_each(|j| out[j] += scale * x[j]),
                }
            }
        },
    );
}

/// `out[s, j] += sum_a x[s, a, j] y[s, a, j]`.
pub(crate) fn dot_rows<F: Real>(
    (ns, rows, len): (usize, usize, usize),
    x: Rows<F>,
    y: Rows<F>,
    out: &mut [F],
    stride: usize,
) {
    vectorised(
        #[inline(always)]
        || {
            for s in 0..ns {
                let out = &mut out[s * stride..][..len];
                for a in 0..rows {
                    let (x, y) = (x.row(s, a, len), y.row(s, a, len));
                    for j in 0..len {
                        out[j] += x[j] * y[j];
                    }
                }
            }
        },
    );
}

const LANES: usize = 32;

/// `sum_j c[j] x[j] y[j]`, in a fixed order.
#[inline(always)]
pub(crate) fn dot3<F: Real>(c: &[F], x: &[F], y: &[F]) -> F {
    let len = c.len();
    let (x, y) = (&x[..len], &y[..len]);
    let mut lanes = [F::zero(); LANES];
    let body = len - len % LANES;
    for j in (0..body).step_by(LANES) {
        let (c, x, y) = (&c[j..j + LANES], &x[j..j + LANES], &y[j..j + LANES]);
        for l in 0..LANES {
            lanes[l] += c[l] * x[l] * y[l];
        }
    }
    for l in 0..len - body {
        lanes[l] += c[body + l] * x[body + l] * y[body + l];
    }
    tree_sum(lanes)
}

/// `sum_j x[j] y[j]`, in a fixed order.
#[inline(always)]
pub(crate) fn dot<F: Real>(x: &[F], y: &[F]) -> F {
    let len = x.len();
    let y = &y[..len];
    let mut lanes = [F::zero(); LANES];
    let body = len - len % LANES;
    for j in (0..body).step_by(LANES) {
        let (x, y) = (&x[j..j + LANES], &y[j..j + LANES]);
        for l in 0..LANES {
            lanes[l] += x[l] * y[l];
        }
    }
    for l in 0..len - body {
        lanes[l] += x[body + l] * y[body + l];
    }
    tree_sum(lanes)
}

#[inline(always)]
fn tree_sum<F: Real>(mut lanes: [F; LANES]) -> F {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}
