//! Views of buffers while a step runs.
use crate::schedule::Triple;

/// The numbers of an operand: those of a feature and row are a line of `width` samples, or one number for all samples
/// where it is `shared`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a, F> {
    pub data: &'a [F],
    pub rows: usize,
    /// Entries of a line.
    pub width: usize,
    pub shared: bool,
}

/// The numbers of the result, likewise.
#[derive(Debug)]
pub(super) struct LinesMut<'a, F> {
    pub data: &'a mut [F],
    pub rows: usize,
    pub width: usize,
    pub shared: bool,
}

impl<'a, F> Lines<'a, F> {
    /// Where the line of a feature and row starts. The one row of a buffer meets every row.
    #[inline(always)]
    pub fn at(&self, i: usize, row: usize) -> usize {
        at(self.rows, self.width, i, row)
    }

    /// The line of a feature and row.
    #[inline(always)]
    pub fn line(&self, i: usize, row: usize) -> &'a [F] {
        &self.data[self.at(i, row)..][..self.width]
    }
}

impl<F> LinesMut<'_, F> {
    /// Where the line of a feature and row starts.
    #[inline(always)]
    pub fn at(&self, i: usize, row: usize) -> usize {
        at(self.rows, self.width, i, row)
    }

    /// The line of a feature and row.
    #[inline(always)]
    pub fn line(&mut self, i: usize, row: usize) -> &mut [F] {
        let at = self.at(i, row);
        &mut self.data[at..][..self.width]
    }

    /// The same lines, for a while.
    pub fn again(&mut self) -> LinesMut<'_, F> {
        LinesMut { data: self.data, ..*self }
    }
}

#[inline(always)]
fn at(rows: usize, width: usize, i: usize, row: usize) -> usize {
    (i * rows + if rows == 1 { 0 } else { row }) * width
}

/// Which rows meet: the triples of a list, or as many as there are rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meet<'a, F> {
    All(usize),
    Pairs(&'a [(usize, usize)]),
    Triples(&'a [Triple<F>]),
}

impl<F: num_traits::Float> Meet<'_, F> {
    #[inline(always)]
    pub fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Pairs(list) => list.len(),
            Self::Triples(list) => list.len(),
        }
    }

    /// The rows of the result and of both operands, and a factor.
    #[inline(always)]
    pub fn get(&self, t: usize) -> (usize, usize, usize, F) {
        match self {
            Self::All(_) => (t, t, t, F::one()),
            Self::Pairs(list) => (list[t].0, list[t].1, list[t].1, F::one()),
            Self::Triples(list) => (list[t].y, list[t].a, list[t].b, list[t].c),
        }
    }

    /// Whether the row of the result at `t` is that at `t - 1`, for a result of so many rows.
    #[inline(always)]
    pub fn repeats(&self, t: usize, rows: usize) -> bool {
        t > 0 && (rows == 1 || self.get(t).0 == self.get(t - 1).0)
    }

    /// Whether every row of the result is met, and all that meets one follows another, so that the first of them can set
    /// it and the others be added.
    pub fn covers(&self, rows: usize) -> bool {
        if rows == 1 {
            return self.len() > 0;
        }
        match self {
            Self::All(count) => *count == rows,
            _ => {
                let mut next = 0;
                for t in 0..self.len() {
                    let (y, ..) = self.get(t);
                    if y == next {
                        next += 1;
                    } else if y + 1 != next {
                        return false;
                    }
                }
                next == rows
            }
        }
    }
}
