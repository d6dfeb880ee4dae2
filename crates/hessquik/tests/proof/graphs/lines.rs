//! Random forward passes, written with variables and with numbers of the oracle.
use super::*;

/// One line of a forward pass; operands are earlier lines, counted modulo their number.
#[derive(Clone, Debug)]
pub enum Line {
    /// `u K + b` to this many features.
    Dense(usize, usize),
    /// `u softplus(K)` to this many features: a function of weights.
    Positive(usize, usize),
    Act(usize, ActivationSpec),
    /// Entry by entry, where the lengths differ with the sum of the second.
    Times(usize, usize),
    Minus(usize, usize),
    Concat(usize, usize),
    /// Every other entry.
    Half(usize),
    /// (r, s) (s, t) of entries made by dense maps.
    Matmul(usize, usize, [usize; 3], bool),
    /// Rows of (r, s) weighted by a weight of their own, summed.
    Rows(usize, usize),
    Softmax(usize),
    /// Log-sum-exp, times the entries.
    LogSumExp(usize),
    /// Divided by one plus the mean square: a layer norm of sorts.
    Normed(usize),
}

/// A random forward pass.
#[derive(Clone, Debug)]
pub struct Lines {
    pub d: usize,
    pub m: usize,
    pub lines: Vec<Line>,
}

/// What lines are written with: variables, or numbers of the oracle.
trait Machine {
    type V: Clone;
    fn dense(&self, v: &Self::V, name: &str, out: usize) -> Self::V;
    fn positive(&self, v: &Self::V, name: &str, out: usize) -> Self::V;
    fn act(&self, v: &Self::V, act: &ActivationSpec) -> Self::V;
    fn times(&self, a: &Self::V, b: &Self::V) -> Self::V;
    fn minus(&self, a: &Self::V, b: &Self::V) -> Self::V;
    fn concat(&self, a: &Self::V, b: &Self::V) -> Self::V;
    fn half(&self, v: &Self::V) -> Self::V;
    fn matmul(&self, a: &Self::V, b: &Self::V, dims: [usize; 3], transposed: bool) -> Self::V;
    fn rows(&self, v: &Self::V, name: &str, r: usize) -> Self::V;
    fn softmax(&self, v: &Self::V) -> Self::V;
    fn log_sum_exp(&self, v: &Self::V) -> Self::V;
    fn normed(&self, v: &Self::V) -> Self::V;
}

impl Lines {
    /// Inputs of a forward pass.
    pub fn inputs(&self) -> usize {
        self.d
    }

    fn run<M: Machine>(&self, machine: &M, x: M::V) -> M::V {
        let mut values = vec![x];
        for (i, line) in self.lines.iter().enumerate() {
            let at = |j: &usize| values[values.len() - 1 - j % values.len()].clone();
            let next = match line {
                Line::Dense(u, n) => machine.dense(&at(u), &format!("{i}"), *n),
                Line::Positive(u, n) => machine.positive(&at(u), &format!("{i}"), *n),
                Line::Act(u, act) => machine.act(&at(u), act),
                Line::Times(a, b) => machine.times(&at(a), &at(b)),
                Line::Minus(a, b) => machine.minus(&at(a), &at(b)),
                Line::Concat(a, b) => machine.concat(&at(a), &at(b)),
                Line::Half(u) => machine.half(&at(u)),
                Line::Matmul(a, b, [r, s, t], transposed) => {
                    let left = machine.dense(&at(a), &format!("{i}l"), r * s);
                    let right = machine.dense(&at(b), &format!("{i}r"), s * t);
                    machine.matmul(&left, &right, [*r, *s, *t], *transposed)
                }
                Line::Rows(u, r) => {
                    let wide = machine.dense(&at(u), &format!("{i}w"), r * 3);
                    machine.rows(&wide, &format!("{i}"), *r)
                }
                Line::Softmax(u) => machine.softmax(&at(u)),
                Line::LogSumExp(u) => machine.log_sum_exp(&at(u)),
                Line::Normed(u) => machine.normed(&at(u)),
            };
            values.push(next);
        }
        machine.dense(values.last().expect("the points"), "end", self.m)
    }
}

/// Finds the weights that lines want, with their shapes.
#[derive(Default)]
struct Shapes(std::cell::RefCell<Vec<(String, Vec<usize>)>>);

impl Shapes {
    fn add(&self, name: String, shape: Vec<usize>) {
        self.0.borrow_mut().push((name, shape));
    }
}

impl Machine for Shapes {
    type V = usize;
    fn dense(&self, v: &usize, name: &str, out: usize) -> usize {
        self.add(format!("K{name}"), vec![*v, out]);
        self.add(format!("b{name}"), vec![out]);
        out
    }
    fn positive(&self, v: &usize, name: &str, out: usize) -> usize {
        self.add(format!("K{name}"), vec![*v, out]);
        out
    }
    fn act(&self, v: &usize, _: &ActivationSpec) -> usize {
        *v
    }
    fn times(&self, a: &usize, _: &usize) -> usize {
        *a
    }
    fn minus(&self, a: &usize, _: &usize) -> usize {
        *a
    }
    fn concat(&self, a: &usize, b: &usize) -> usize {
        a + b
    }
    fn half(&self, v: &usize) -> usize {
        v.div_ceil(2)
    }
    fn matmul(&self, _: &usize, _: &usize, [r, _, t]: [usize; 3], _: bool) -> usize {
        r * t
    }
    fn rows(&self, v: &usize, name: &str, r: usize) -> usize {
        self.add(format!("g{name}"), vec![r, 1]);
        v / r
    }
    fn softmax(&self, v: &usize) -> usize {
        *v
    }
    fn log_sum_exp(&self, v: &usize) -> usize {
        *v
    }
    fn normed(&self, v: &usize) -> usize {
        *v
    }
}

/// Variables, at the point.
struct Vars<F>(std::marker::PhantomData<F>);

impl<F: Real> Machine for Vars<F> {
    type V = Var<F>;
    fn dense(&self, v: &Var<F>, name: &str, _: usize) -> Var<F> {
        v.dot(&format!("K{name}")) + format!("b{name}").as_str()
    }
    fn positive(&self, v: &Var<F>, name: &str, _: usize) -> Var<F> {
        v.matmul(&v.weight(&format!("K{name}")).act(Activation::softplus()))
    }
    fn act(&self, v: &Var<F>, act: &ActivationSpec) -> Var<F> {
        v.act(Activation::from(*act))
    }
    fn times(&self, a: &Var<F>, b: &Var<F>) -> Var<F> {
        if a.len() == b.len() { a * b } else { a * b.sum_all() }
    }
    fn minus(&self, a: &Var<F>, b: &Var<F>) -> Var<F> {
        0.5 * (if a.len() == b.len() { a - b } else { a - b.sum_all() })
    }
    fn concat(&self, a: &Var<F>, b: &Var<F>) -> Var<F> {
        Var::concat(0, &[a.clone(), b.clone()])
    }
    fn half(&self, v: &Var<F>) -> Var<F> {
        v.select(0, &(0..v.len()).step_by(2).collect::<Vec<_>>())
    }
    fn matmul(&self, a: &Var<F>, b: &Var<F>, [r, s, t]: [usize; 3], transposed: bool) -> Var<F> {
        let a = a.reshape(&[r, s]);
        let out = if transposed { a.matmul_transposed(&b.reshape(&[t, s])) } else { a.matmul(&b.reshape(&[s, t])) };
        out.flatten()
    }
    fn rows(&self, v: &Var<F>, name: &str, r: usize) -> Var<F> {
        let weighted = v.reshape(&[r, v.len() / r]) * format!("g{name}").as_str();
        weighted.transpose().sum(1).flatten()
    }
    fn softmax(&self, v: &Var<F>) -> Var<F> {
        v.softmax(0)
    }
    fn log_sum_exp(&self, v: &Var<F>) -> Var<F> {
        v * v.log_sum_exp(0)
    }
    fn normed(&self, v: &Var<F>) -> Var<F> {
        v / (1.0 + v.square().mean(0)).sqrt()
    }
}

/// Numbers of the oracle.
struct Numbers<'a, T>(&'a Named<T>, String);

impl<T: Scalar> Numbers<'_, T> {
    fn weight(&self, name: &str) -> &ArrayD<T> {
        &self.0[&format!("{}{name}", self.1)]
    }
}

fn total<T: Scalar>(v: &[T]) -> T {
    v.iter().fold(T::zero(), |sum, &v| sum + v)
}

impl<T: Scalar> Machine for Numbers<'_, T> {
    type V = Vec<T>;
    fn dense(&self, v: &Vec<T>, name: &str, out: usize) -> Vec<T> {
        let (k, b) = (self.weight(&format!("K{name}")), self.weight(&format!("b{name}")));
        (0..out).map(|o| v.iter().enumerate().fold(b[[o]], |sum, (i, &v)| sum + v * k[[i, o]])).collect()
    }
    fn positive(&self, v: &Vec<T>, name: &str, out: usize) -> Vec<T> {
        let k = self.weight(&format!("K{name}"));
        let positive = |k: T| common::oracle::activation(&ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 }, k);
        (0..out).map(|o| v.iter().enumerate().fold(T::zero(), |sum, (i, &v)| sum + v * positive(k[[i, o]]))).collect()
    }
    fn act(&self, v: &Vec<T>, act: &ActivationSpec) -> Vec<T> {
        v.iter().map(|&v| common::oracle::activation(act, v)).collect()
    }
    fn times(&self, a: &Vec<T>, b: &Vec<T>) -> Vec<T> {
        let all = total(b);
        a.iter().enumerate().map(|(i, &x)| x * if a.len() == b.len() { b[i] } else { all }).collect()
    }
    fn minus(&self, a: &Vec<T>, b: &Vec<T>) -> Vec<T> {
        let all = total(b);
        a.iter().enumerate().map(|(i, &x)| (x - if a.len() == b.len() { b[i] } else { all }) * 0.5).collect()
    }
    fn concat(&self, a: &Vec<T>, b: &Vec<T>) -> Vec<T> {
        [&a[..], b].concat()
    }
    fn half(&self, v: &Vec<T>) -> Vec<T> {
        v.iter().step_by(2).copied().collect()
    }
    fn matmul(&self, a: &Vec<T>, b: &Vec<T>, [r, s, t]: [usize; 3], transposed: bool) -> Vec<T> {
        let b = |l: usize, j: usize| if transposed { b[j * s + l] } else { b[l * t + j] };
        (0..r * t).map(|e| (0..s).fold(T::zero(), |sum, l| sum + a[e / t * s + l] * b(l, e % t))).collect()
    }
    fn rows(&self, v: &Vec<T>, name: &str, r: usize) -> Vec<T> {
        let g = self.weight(&format!("g{name}"));
        let n = v.len() / r;
        (0..n).map(|j| (0..r).fold(T::zero(), |sum, i| sum + v[i * n + j] * g[[i, 0]])).collect()
    }
    fn softmax(&self, v: &Vec<T>) -> Vec<T> {
        if v.len() == 1 {
            return vec![T::one()];
        }
        let top = v.iter().fold(f64::NEG_INFINITY, |m, v| m.max(v.re()));
        let e: Vec<T> = v.iter().map(|&v| (v - top).exp()).collect();
        let all = total(&e);
        e.into_iter().map(|e| e / all).collect()
    }
    fn log_sum_exp(&self, v: &Vec<T>) -> Vec<T> {
        let top = v.iter().fold(f64::NEG_INFINITY, |m, v| m.max(v.re()));
        let all = v.iter().fold(T::zero(), |sum, &v| sum + (v - top).exp()).ln() + top;
        v.iter().map(|&v| v * all).collect()
    }
    fn normed(&self, v: &Vec<T>) -> Vec<T> {
        let mean = v.iter().fold(T::zero(), |sum, &v| sum + v * v) / v.len() as f64;
        let size = (mean + 1.0).sqrt();
        v.iter().map(|&v| v / size).collect()
    }
}

/// A layer that is random lines.
#[derive(Clone, Debug)]
pub struct Random<F> {
    lines: Lines,
    weights: Weights<F>,
}

impl<F: Real> Random<F> {
    pub fn new(lines: &Lines, seed: u64) -> Self {
        let shapes = Shapes::default();
        lines.run(&shapes, lines.d);
        let mut init = Init::seed(seed);
        let mut weights = Weights::new();
        for (name, shape) in shapes.0.into_inner() {
            let bound = 1.0 / (shape[0] as f64).sqrt();
            weights = weights.with(&name, init.uniform::<F, _, _>(&shape[..], -bound, bound));
        }
        Self { lines: lines.clone(), weights }
    }
}

impl<F: Real> Layer<F> for Random<F> {
    fn name(&self) -> String {
        "random".into()
    }
    fn dim_input(&self) -> usize {
        self.lines.d
    }
    fn dim_output(&self) -> usize {
        self.lines.m
    }
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        self.weights.list()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        self.weights.list_mut()
    }
    fn forward_pass(&self, u: Var<F>) -> Var<F> {
        self.lines.run(&Vars(std::marker::PhantomData), u)
    }
}

impl Model for Lines {
    fn apply<T: Scalar>(&self, weights: &Named<T>, x: &[T]) -> Vec<T> {
        self.run(&Numbers(weights, String::new()), x.to_vec())
    }
}

/// Random lines.
pub fn lines() -> impl Strategy<Value = Lines> {
    let at = 0usize..4;
    let line = prop_oneof![
        3 => (at.clone(), 1usize..6).prop_map(|(u, n)| Line::Dense(u, n)),
        1 => (at.clone(), 1usize..6).prop_map(|(u, n)| Line::Positive(u, n)),
        4 => (at.clone(), random::activations()).prop_map(|(u, act)| Line::Act(u, act)),
        3 => (at.clone(), at.clone()).prop_map(|(a, b)| Line::Times(a, b)),
        2 => (at.clone(), at.clone()).prop_map(|(a, b)| Line::Minus(a, b)),
        1 => (at.clone(), at.clone()).prop_map(|(a, b)| Line::Concat(a, b)),
        1 => at.clone().prop_map(Line::Half),
        2 => (at.clone(), at.clone(), [1usize..4, 1..4, 1..4], any::<bool>())
            .prop_map(|(a, b, dims, t)| Line::Matmul(a, b, dims, t)),
        1 => (at.clone(), 1usize..4).prop_map(|(u, r)| Line::Rows(u, r)),
        1 => at.clone().prop_map(Line::Softmax),
        1 => at.clone().prop_map(Line::LogSumExp),
        1 => at.prop_map(Line::Normed),
    ];
    (1usize..5, 1usize..4, prop::collection::vec(line, 1..9)).prop_map(|(d, m, lines)| Lines { d, m, lines })
}
