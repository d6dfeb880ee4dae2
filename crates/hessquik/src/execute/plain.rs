//! The plain executor: each step as its formula says, entry by entry. It is what the others are tested against, here and in
//! `hessquik-burn`.
use crate::Real;
use crate::schedule::{Buffer, DotPlace, GramPlace, Id, Op, PickPlace, Place, Step};

/// The buffers of a schedule, each (n, rows, ns), or (n, rows) where it is shared.
#[derive(Clone, Debug)]
pub(crate) struct Plain<'a, F> {
    pub specs: &'a [Buffer<F>],
    pub ns: usize,
    pub data: Vec<Vec<F>>,
}

impl<'a, F: Real> Plain<'a, F> {
    /// Buffers of zeros.
    pub fn new(specs: &'a [Buffer<F>], ns: usize) -> Self {
        let data = specs.iter().map(|b| vec![F::zero(); if b.shared { b.len() } else { b.len() * ns }]).collect();
        Self { specs, ns, data }
    }

    fn place(&self, id: Id, i: usize, row: usize, s: usize) -> usize {
        let b = &self.specs[id];
        // an operand of one row, or of one sample, meets all of them
        let row = if b.rows == 1 { 0 } else { row };
        if b.shared { i * b.rows + row } else { (i * b.rows + row) * self.ns + s }
    }

    fn get(&self, id: Id, i: usize, row: usize, s: usize) -> F {
        self.data[id][self.place(id, i, row, s)]
    }

    fn add(&mut self, id: Id, i: usize, row: usize, s: usize, v: F) {
        let place = self.place(id, i, row, s);
        self.data[id][place] += v;
    }

    /// Runs one step.
    pub fn run(&mut self, step: &Step<F>) {
        let y = step.out;
        if !step.onto {
            self.data[y].fill(F::zero());
        }
        let specs = self.specs;
        let reads = step.op.operands();
        // what is the same for all samples is computed once
        let shared = reads.iter().chain([&y]).all(|&id| specs[id].shared);
        for s in 0..if shared { 1 } else { self.ns } {
            self.sample(&step.op, y, s);
        }
    }

    fn sample(&mut self, op: &Op<F>, y: Id, s: usize) {
        let specs = self.specs;
        let rows_of = |ids: &[Id]| ids.iter().map(|&id| specs[id].rows).max().unwrap_or(1);
        match op {
            Op::Move { x, c, blocks, rows } => {
                let pairs: Vec<(usize, usize)> = match rows {
                    Some(list) => list.to_vec(),
                    None => (0..rows_of(&[y, *x])).map(|r| (r, r)).collect(),
                };
                let all = [crate::schedule::Block { from: 0, to: 0, len: specs[y].n }];
                for block in blocks.as_deref().unwrap_or(&all) {
                    for j in 0..block.len {
                        for &(ry, rx) in &pairs {
                            let v = *c * self.get(*x, block.from + j, rx, s);
                            self.add(y, block.to + j, ry, s, v);
                        }
                    }
                }
            }
            Op::Add { s: shift } => self.each(y, |this, i, r| this.add(y, i, r, s, *shift)),
            Op::Act { z, act, order } => {
                self.each(y, |this, i, r| {
                    let z = this.get(*z, i, r, s);
                    let v = act.derivatives(&ndarray::arr0(z), *order).expect("an order that there is")[*order][()];
                    this.add(y, i, r, s, v);
                });
            }
            Op::Pick { place, x, z, len, inner } => {
                for g in 0..specs[*z].n / len {
                    let entry = |j: usize| g / inner * len * inner + j * inner + g % inner;
                    let at = |this: &Self, j: usize| this.get(*z, entry(j), 0, s);
                    let more = |a: F, b: F| a > b || a.is_nan() && !b.is_nan();
                    let first = (0..*len).fold(0, |i, j| if more(at(self, j), at(self, i)) { j } else { i });
                    for r in 0..rows_of(&[y, *x]) {
                        let (to, from) = match place {
                            PickPlace::Y => (g, entry(first)),
                            PickPlace::X => (entry(first), g),
                        };
                        let v = self.get(*x, from, r, s);
                        self.add(y, to, r, s, v);
                    }
                }
            }
            Op::Frozen { x } => {
                for i in 0..specs[y].n {
                    for r in 0..rows_of(&[y, *x]) {
                        let v = self.get(*x, i, r, s);
                        self.add(y, i, r, s, v);
                    }
                }
            }
            Op::Times { a, b, c, rows } => {
                for (ry, ra, rb, ct) in self.triples(rows, &[y, *a, *b]) {
                    for i in 0..specs[y].n {
                        let v = *c * ct * self.get(*a, i, ra, s) * self.get(*b, i, rb, s);
                        self.add(y, i, ry, s, v);
                    }
                }
            }
            Op::Product { place, a, b, dims: [g, r, si, t], rows } => {
                for (ry, ra, rb, c) in self.triples(rows, &[y, *a, *b]) {
                    for g in 0..*g {
                        for i in 0..*r {
                            for l in 0..*si {
                                for j in 0..*t {
                                    let (yy, aa, bb) =
                                        ((g * r + i) * t + j, (g * r + i) * si + l, (g * si + l) * t + j);
                                    let (to, left, right) = match place {
                                        Place::Y => (yy, aa, bb),
                                        Place::A => (aa, yy, bb),
                                        Place::B => (bb, aa, yy),
                                    };
                                    let v = c * self.get(*a, left, ra, s) * self.get(*b, right, rb, s);
                                    self.add(y, to, ry, s, v);
                                }
                            }
                        }
                    }
                }
            }
            Op::Dot { place, a, b } => {
                let (d, g, t) = match place {
                    DotPlace::D => (y, *a, *b),
                    DotPlace::G => (*a, y, *b),
                    DotPlace::T => (*a, *b, y),
                };
                let k = specs[t].rows;
                for i in 0..specs[g].n {
                    for r in 0..specs[g].rows {
                        for e in 0..k {
                            match place {
                                DotPlace::D => {
                                    self.add(d, r * k + e, 0, s, self.get(g, i, r, s) * self.get(t, i, e, s))
                                }
                                DotPlace::G => {
                                    self.add(g, i, r, s, self.get(d, r * k + e, 0, s) * self.get(t, i, e, s))
                                }
                                DotPlace::T => {
                                    self.add(t, i, e, s, self.get(d, r * k + e, 0, s) * self.get(g, i, r, s))
                                }
                            }
                        }
                    }
                }
            }
            Op::Gram { place, operands: [o0, o1, o2], c } => {
                let (h, w, p, q) = match place {
                    GramPlace::H => (y, *o0, *o1, *o2),
                    GramPlace::C => (*o0, y, *o1, *o2),
                    GramPlace::S => (*o0, *o1, y, *o2),
                };
                let (k, half) = (specs[q].rows, F::of(0.5) * *c);
                for i in 0..specs[w].n {
                    for r in 0..specs[w].rows {
                        for a in 0..k {
                            for b in 0..k {
                                let at = (r * k + a) * k + b;
                                match place {
                                    GramPlace::H => {
                                        let pair = self.get(p, i, a, s) * self.get(q, i, b, s)
                                            + self.get(q, i, a, s) * self.get(p, i, b, s);
                                        self.add(y, at, 0, s, half * self.get(w, i, r, s) * pair);
                                    }
                                    GramPlace::C => {
                                        let pair = self.get(p, i, a, s) * self.get(q, i, b, s)
                                            + self.get(q, i, a, s) * self.get(p, i, b, s);
                                        self.add(y, i, r, s, half * self.get(h, at, 0, s) * pair);
                                    }
                                    GramPlace::S => {
                                        let weight = half * self.get(h, at, 0, s) * self.get(w, i, r, s);
                                        let (left, right) = (self.get(q, i, a, s), self.get(q, i, b, s));
                                        self.add(y, i, a, s, weight * right);
                                        self.add(y, i, b, s, weight * left);
                                    }
                                }
                            }
                        }
                    }
                }
            }
            // the tests of other crates run this too, to whom the list of kinds is open
            #[allow(unreachable_patterns)]
            _ => unreachable!("a kind that this executor does not know"),
        }
    }

    fn each(&mut self, y: Id, mut f: impl FnMut(&mut Self, usize, usize)) {
        let (n, rows) = (self.specs[y].n, self.specs[y].rows);
        for i in 0..n {
            for r in 0..rows {
                f(self, i, r);
            }
        }
    }

    fn triples(&self, rows: &crate::schedule::Triples<F>, ids: &[Id]) -> Vec<(usize, usize, usize, F)> {
        match rows {
            Some(list) => list.iter().map(|t| (t.y, t.a, t.b, t.c)).collect(),
            None => {
                let count = ids.iter().map(|&id| self.specs[id].rows).max().unwrap_or(1);
                (0..count).map(|r| (r, r, r, F::one())).collect()
            }
        }
    }
}
