//! Sums over sites: `h[r, a, b] += c/2 sum_i C[i, r] (s[i, a] t[i, b] + t[i, a] s[i, b])` and its derivatives.
use super::view::{Lines, LinesMut};
use crate::Real;
use crate::schedule::GramPlace;

/// The step, of lines that all differ from sample to sample.
pub(super) struct Gram<'a, F> {
    pub onto: bool,
    pub place: GramPlace,
    pub y: LinesMut<'a, F>,
    pub operands: [Lines<'a, F>; 3],
    /// Sites.
    pub n: usize,
    pub c: F,
}

impl<F: Real> Gram<'_, F> {
    /// To be called where the vectors of the machine are known.
    #[inline(always)]
    pub fn run(mut self) {
        if !self.onto {
            self.y.data.fill(F::zero());
        }
        let half = self.c * F::of(0.5);
        let [first, second, third] = self.operands;
        let width = self.y.width;
        match self.place {
            GramPlace::H => {
                let (w, s, t) = (first, second, third);
                let k = s.rows;
                for i in 0..self.n {
                    for (r, a, b) in entries(w.rows, k) {
                        let at = self.y.at((r * k + a) * k + b, 0);
                        let (c, sa, sb) = (w.line(i, r), s.line(i, a), s.line(i, b));
                        let (ta, tb, y) = (t.line(i, a), t.line(i, b), &mut self.y.data[at..][..width]);
                        for l in 0..width {
                            y[l] += half * c[l] * (sa[l] * tb[l] + ta[l] * sb[l]);
                        }
                    }
                }
            }
            GramPlace::C => {
                let (h, s, t) = (first, second, third);
                let (k, q) = (s.rows, self.y.rows);
                for i in 0..self.n {
                    for (r, a, b) in entries(q, k) {
                        let (h, sa, sb) = (h.line((r * k + a) * k + b, 0), s.line(i, a), s.line(i, b));
                        let (ta, tb, y) = (t.line(i, a), t.line(i, b), self.y.line(i, r));
                        for l in 0..width {
                            y[l] += half * h[l] * (sa[l] * tb[l] + ta[l] * sb[l]);
                        }
                    }
                }
            }
            GramPlace::S => {
                let (h, w, t) = (first, second, third);
                let k = t.rows;
                for i in 0..self.n {
                    for (r, a, b) in entries(w.rows, k) {
                        let (h, c, tb) = (h.line((r * k + a) * k + b, 0), w.line(i, r), t.line(i, b));
                        let y = self.y.line(i, a);
                        for l in 0..width {
                            y[l] += half * h[l] * c[l] * tb[l];
                        }
                        let (ta, y) = (t.line(i, a), self.y.line(i, b));
                        for l in 0..width {
                            y[l] += half * h[l] * c[l] * ta[l];
                        }
                    }
                }
            }
        }
    }
}

fn entries(q: usize, k: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..q * k * k).map(move |e| (e / (k * k), e / k % k, e % k))
}
