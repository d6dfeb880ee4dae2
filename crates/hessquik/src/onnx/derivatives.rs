//! The graph of a network and of its derivatives, node by node in forward mode: tangents along all coordinates, and
//! second derivatives along pairs of them, or summed over the coordinates where the Laplacian alone is wanted.
use super::slopes::slopes;
use crate::graph::{GraphSpec, NodeSpec, TermSpec};
use crate::{ActivationSpec, Error, Real, Request};

/// A result of a model: its name, the node that it is, and its shape at one point.
pub(super) struct Output {
    pub name: &'static str,
    pub node: usize,
    pub shape: Vec<usize>,
}

/// Nodes that are being written, with their sizes.
pub(super) struct Nodes {
    list: Vec<NodeSpec>,
    sizes: Vec<usize>,
}

type Block = [usize; 3];

impl Nodes {
    pub fn push(&mut self, node: NodeSpec, n: usize) -> usize {
        self.list.push(node);
        self.sizes.push(n);
        self.list.len() - 1
    }

    /// The sum of multiples of nodes of one size, and a number.
    pub fn sum(&mut self, terms: &[(usize, f64)], shift: f64) -> usize {
        let n = self.sizes[terms[0].0];
        let terms = terms.iter().map(|&(of, c)| TermSpec { of, c, blocks: None }).collect();
        self.push(NodeSpec::Affine { n, terms, shift }, n)
    }

    pub fn times(&mut self, a: usize, b: usize) -> usize {
        let n = self.sizes[a];
        self.push(NodeSpec::Times { a, b }, n)
    }

    pub fn act(&mut self, act: ActivationSpec, of: usize) -> usize {
        let n = self.sizes[of];
        self.push(NodeSpec::Act { of, act }, n)
    }

    /// A number at every entry, as many as a node has.
    pub fn same(&mut self, like: usize, c: f64) -> usize {
        let n = self.sizes[like];
        self.push(NodeSpec::Constant { values: vec![c; n] }, n)
    }

    fn moved(&mut self, of: usize, blocks: Vec<Block>, n: usize) -> usize {
        let terms = vec![TermSpec { of, c: 1.0, blocks: Some(blocks) }];
        self.push(NodeSpec::Affine { n, terms, shift: 0.0 }, n)
    }

    /// Rows of a node that has several of length `n`; one row may be taken often.
    fn rows(&mut self, of: usize, n: usize, rows: &[usize]) -> usize {
        if rows.iter().copied().eq(0..self.sizes[of] / n) {
            return of;
        }
        let blocks = rows.iter().enumerate().map(|(to, &from)| [from * n, to * n, n]).collect();
        self.moved(of, blocks, rows.len() * n)
    }
}

/// The value of a node, its tangents (d, n) and its second derivatives (rows, n); nothing where these are zero.
#[derive(Clone, Copy)]
struct Jet {
    value: usize,
    first: Option<usize>,
    second: Option<usize>,
}

struct Forward {
    nodes: Nodes,
    d: usize,
    /// For each row of second derivatives, the pairs of coordinates whose derivatives it sums.
    rows: Vec<Vec<[usize; 2]>>,
    done: Vec<Jet>,
}

/// The graph with the results of a request, and these.
pub(super) fn derived<F: Real>(spec: GraphSpec, request: &Request<F>) -> Result<(GraphSpec, Vec<Output>), Error> {
    let Request { value, gradient, hessian, laplacian, mode, .. } = request.clone();
    let expected = Request { value, gradient, hessian, laplacian, mode, ..Request::new() };
    if *request != expected || request.is_empty() {
        let known = "value, gradient, hessian and laplacian";
        return Err(Error::Request(format!("an ONNX model computes {known}; the request has other results, or none")));
    }
    let sizes = spec.sizes()?;
    let (d, q) = (spec.inputs, sizes[spec.output]);
    let rows: Vec<Vec<[usize; 2]>> = match (hessian, laplacian) {
        (true, _) => (0..d).flat_map(|a| (a..d).map(move |b| vec![[a, b]])).collect(),
        (false, true) => vec![(0..d).map(|a| [a, a]).collect()],
        _ => Vec::new(),
    };
    let order = if rows.is_empty() { usize::from(gradient) } else { 2 };
    let nodes = Nodes { list: Vec::new(), sizes: Vec::new() };
    let mut forward = Forward { nodes, d, rows, done: Vec::with_capacity(sizes.len()) };
    for (i, node) in spec.nodes.iter().enumerate().take(spec.output + 1) {
        let of = |id: &usize| forward.done[*id].value;
        let own = match node {
            NodeSpec::Affine { n, terms, shift } => {
                let terms = terms.iter().map(|t| TermSpec { of: of(&t.of), ..t.clone() }).collect();
                NodeSpec::Affine { n: *n, terms, shift: *shift }
            }
            NodeSpec::Largest { of: id, len, inner } => NodeSpec::Largest { of: of(id), len: *len, inner: *inner },
            NodeSpec::Frozen { of: id } => NodeSpec::Frozen { of: of(id) },
            NodeSpec::Act { of: id, act } => NodeSpec::Act { of: of(id), act: *act },
            NodeSpec::Times { a, b } => NodeSpec::Times { a: of(a), b: of(b) },
            NodeSpec::Product { a, b, dims, transposed } => {
                NodeSpec::Product { a: of(a), b: of(b), dims: *dims, transposed: *transposed }
            }
            other => other.clone(),
        };
        let value = forward.nodes.push(own, sizes[i]);
        let (first, second) = if order > 0 { forward.along(node, value, sizes[i]) } else { (None, None) };
        forward.done.push(Jet { value, first, second });
    }
    let mut outputs = Vec::new();
    let jet = forward.done[spec.output];
    if value {
        outputs.push(Output { name: "y", node: jet.value, shape: vec![q] });
    }
    if gradient {
        let node = forward.or_zeros(jet.first, d * q);
        outputs.push(Output { name: "gradient", node, shape: vec![d, q] });
    }
    if hessian {
        let pairs = forward.or_zeros(jet.second, forward.rows.len() * q);
        let place = |a: usize, b: usize| forward.rows.iter().position(|row| row[0] == [a.min(b), a.max(b)]);
        let full: Vec<usize> = (0..d * d).filter_map(|at| place(at / d, at % d)).collect();
        let node = forward.nodes.rows(pairs, q, &full);
        outputs.push(Output { name: "hessian", node, shape: vec![d, d, q] });
    }
    if laplacian {
        let second = forward.or_zeros(jet.second, forward.rows.len() * q);
        let diagonal = forward.rows.iter().enumerate().filter(|(_, row)| row[0][0] == row[0][1]);
        let blocks: Vec<Block> = diagonal.map(|(i, _)| [i * q, 0, q]).collect();
        let node = if hessian { forward.nodes.moved(second, blocks, q) } else { second };
        outputs.push(Output { name: "laplacian", node, shape: vec![q] });
    }
    let output = outputs[0].node;
    Ok((GraphSpec { nodes: forward.nodes.list, output, ..spec }, outputs))
}

impl Forward {
    fn or_zeros(&mut self, node: Option<usize>, n: usize) -> usize {
        node.unwrap_or_else(|| self.nodes.push(NodeSpec::Constant { values: vec![0.0; n] }, n))
    }

    /// The sum of what is not zero.
    fn total(&mut self, parts: &[Option<usize>]) -> Option<usize> {
        let there: Vec<(usize, f64)> = parts.iter().flatten().map(|&id| (id, 1.0)).collect();
        match there.as_slice() {
            [] => None,
            [(only, _)] => Some(*only),
            _ => Some(self.nodes.sum(&there, 0.0)),
        }
    }

    /// A node of `n` entries, repeated for each of `count` rows.
    fn repeated(&mut self, of: usize, n: usize, count: usize) -> usize {
        self.nodes.rows(of, n, &vec![0; count])
    }

    /// The first and second derivatives of a node, given those before it.
    fn along(&mut self, node: &NodeSpec, value: usize, n: usize) -> (Option<usize>, Option<usize>) {
        let (d, k) = (self.d, self.rows.len());
        match node {
            NodeSpec::Input {} => {
                let values = (0..d * d).map(|i| if i / d == i % d { 1.0 } else { 0.0 }).collect();
                (Some(self.nodes.push(NodeSpec::Constant { values }, d * d)), None)
            }
            NodeSpec::Weight { .. } | NodeSpec::Constant { .. } | NodeSpec::Frozen { .. } => (None, None),
            NodeSpec::Affine { terms, .. } => {
                let terms: Vec<(Jet, &TermSpec)> = terms.iter().map(|t| (self.done[t.of], t)).collect();
                let firsts = terms.iter().filter_map(|(jet, t)| Some((jet.first?, self.nodes.sizes[jet.value], *t)));
                let firsts: Vec<_> = firsts.collect();
                let seconds = terms.iter().filter_map(|(jet, t)| Some((jet.second?, self.nodes.sizes[jet.value], *t)));
                let seconds: Vec<_> = seconds.collect();
                (self.affine(&firsts, n, d), self.affine(&seconds, n, k))
            }
            NodeSpec::Largest { of, len, inner } => {
                let jet = self.done[*of];
                if jet.first.is_none() {
                    return (None, None);
                }
                let chosen = self.chosen(jet.value, value, *len, *inner);
                let size = n * len;
                let mut kept = |of: usize, rows: usize| {
                    let mask = self.repeated(chosen, size, rows);
                    let masked = self.nodes.times(mask, of);
                    let groups = rows * n / inner;
                    let blocks = (0..groups * len).map(|i| [i * inner, i / len * inner, *inner]).collect();
                    self.nodes.moved(masked, blocks, rows * n)
                };
                (jet.first.map(|f| kept(f, d)), jet.second.map(|s| kept(s, k)))
            }
            NodeSpec::Act { of, act } => {
                let jet = self.done[*of];
                let Some(first) = jet.first else { return (None, None) };
                let (slope, bend) = slopes(&mut self.nodes, act, jet.value, value);
                let mut scaled = |by: Option<usize>, of: Option<usize>, rows: usize| {
                    let (by, of) = (by?, of?);
                    let by = self.repeated(by, n, rows);
                    Some(self.nodes.times(by, of))
                };
                let out = scaled(slope, Some(first), d);
                let straight = scaled(slope, jet.second, k);
                let squares = match (bend, k) {
                    (Some(_), 1..) => self.cross(n, |this, a, b| this.pairs(first, first, n, n, a, b)),
                    _ => None,
                };
                let curved = bend.zip(squares).map(|(bend, squares)| {
                    let bend = self.repeated(bend, n, k);
                    self.nodes.times(bend, squares)
                });
                (out, self.total(&[straight, curved]))
            }
            NodeSpec::Times { a, b } => {
                let (x, y) = (self.done[*a], self.done[*b]);
                let mut part = |value: usize, of: Option<usize>, rows: usize| {
                    let value = self.repeated(value, n, if of.is_some() { rows } else { 1 });
                    of.map(|of| self.nodes.times(value, of))
                };
                let firsts = [part(y.value, x.first, d), part(x.value, y.first, d)];
                let seconds = [part(y.value, x.second, k), part(x.value, y.second, k)];
                let crossed = self.crossed(x, y, n, |this, f, g, a, b| this.pairs(f, g, n, n, a, b));
                (self.total(&firsts), self.total(&[seconds[0], seconds[1], crossed]))
            }
            NodeSpec::Product { a, b, dims, transposed } => {
                let (x, y) = (self.done[*a], self.done[*b]);
                let how = (*dims, *transposed);
                let mut left = |of: Option<usize>, rows: usize| of.map(|of| self.product_left(of, y.value, how, rows));
                let lefts = [left(x.first, d), left(x.second, k)];
                let mut right = |of: Option<usize>, rows: usize| {
                    of.map(|of| {
                        let size = self.nodes.sizes[x.value];
                        let value = self.repeated(x.value, size, rows);
                        self.products(value, of, how, rows)
                    })
                };
                let rights = [right(y.first, d), right(y.second, k)];
                let (na, nb) = (self.nodes.sizes[x.value], self.nodes.sizes[y.value]);
                let crossed = self.crossed(x, y, n, |this, f, g, a, b| {
                    let (f, g) = (this.nodes.rows(f, na, a), this.nodes.rows(g, nb, b));
                    this.products(f, g, how, a.len())
                });
                (self.total(&[lefts[0], rights[0]]), self.total(&[lefts[1], rights[1], crossed]))
            }
        }
    }

    /// An affine node on `rows` rows.
    fn affine(&mut self, terms: &[(usize, usize, &TermSpec)], n: usize, rows: usize) -> Option<usize> {
        let each = |(of, size, term): &(usize, usize, &TermSpec)| {
            let blocks = term.blocks.as_ref().map(|blocks| {
                (0..rows).flat_map(|r| blocks.iter().map(move |[f, t, len]| [f + r * size, t + r * n, *len])).collect()
            });
            TermSpec { of: *of, c: term.c, blocks }
        };
        let terms: Vec<TermSpec> = terms.iter().map(each).collect();
        let n = rows * n;
        (!terms.is_empty()).then(|| self.nodes.push(NodeSpec::Affine { n, terms, shift: 0.0 }, n))
    }

    /// 1 where an entry is the largest of its group, the first of them, and 0 elsewhere.
    fn chosen(&mut self, of: usize, largest: usize, len: usize, inner: usize) -> usize {
        let n = self.nodes.sizes[of];
        let groups = n / len / inner;
        let members = |g: usize| (0..len).map(move |j| [g * inner, (g * len + j) * inner, inner]);
        let tops = self.nodes.moved(largest, (0..groups).flat_map(members).collect(), n);
        let below = self.nodes.sum(&[(tops, 1.0), (of, -1.0)], 0.0);
        let below = self.nodes.act(ActivationSpec::Step, below);
        let top = self.nodes.sum(&[(below, -1.0)], 1.0);
        let earlier = |g: usize| {
            (0..len).flat_map(move |j| (0..j).map(move |i| [(g * len + i) * inner, (g * len + j) * inner, inner]))
        };
        let before = self.nodes.moved(top, (0..groups).flat_map(earlier).collect(), n);
        let none = self.nodes.sum(&[(before, -1.0)], 0.5);
        let none = self.nodes.act(ActivationSpec::Step, none);
        self.nodes.times(top, none)
    }

    /// Products of rows `a` of one node with rows `b` of another, entry by entry.
    fn pairs(&mut self, f: usize, g: usize, n: usize, m: usize, a: &[usize], b: &[usize]) -> usize {
        let (f, g) = (self.nodes.rows(f, n, a), self.nodes.rows(g, m, b));
        self.nodes.times(f, g)
    }

    /// For each row of second derivatives, the sum over its pairs of what a bilinear form gives.
    fn cross(&mut self, n: usize, form: impl Fn(&mut Self, &[usize], &[usize]) -> usize) -> Option<usize> {
        let pairs: Vec<(usize, [usize; 2])> =
            self.rows.iter().enumerate().flat_map(|(row, pairs)| pairs.iter().map(move |&p| (row, p))).collect();
        let (a, b): (Vec<usize>, Vec<usize>) = pairs.iter().map(|(_, [a, b])| (*a, *b)).unzip();
        let each = form(self, &a, &b);
        if pairs.len() == self.rows.len() {
            return Some(each);
        }
        let blocks = pairs.iter().enumerate().map(|(i, (row, _))| [i * n, row * n, n]).collect();
        let count = self.rows.len();
        Some(self.nodes.moved(each, blocks, count * n))
    }

    /// The terms of the second derivatives of a product in which both factors are differentiated once.
    fn crossed(
        &mut self,
        x: Jet,
        y: Jet,
        n: usize,
        form: impl Fn(&mut Self, usize, usize, &[usize], &[usize]) -> usize,
    ) -> Option<usize> {
        let (f, g) = (x.first?, y.first?);
        if self.rows.is_empty() {
            return None;
        }
        let one = self.cross(n, |this, a, b| form(this, f, g, a, b));
        let other = self.cross(n, |this, a, b| form(this, f, g, b, a));
        self.total(&[one, other])
    }

    /// Products of `rows` left factors, one after another, with one right factor.
    fn product_left(&mut self, of: usize, b: usize, how: ([usize; 4], bool), rows: usize) -> usize {
        let ([g, r, s, t], transposed) = how;
        if g == 1 {
            let n = rows * r * if transposed { s } else { t };
            return self.nodes.push(NodeSpec::Product { a: of, b, dims: [1, rows * r, s, t], transposed }, n);
        }
        let size = self.nodes.sizes[b];
        let b = self.repeated(b, size, rows);
        self.products(of, b, how, rows)
    }

    /// Products of `rows` left and right factors.
    fn products(&mut self, a: usize, b: usize, how: ([usize; 4], bool), rows: usize) -> usize {
        let ([g, r, s, t], transposed) = how;
        let n = rows * g * r * if transposed { s } else { t };
        self.nodes.push(NodeSpec::Product { a, b, dims: [rows * g, r, s, t], transposed }, n)
    }
}
