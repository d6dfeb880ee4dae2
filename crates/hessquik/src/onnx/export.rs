//! Networks written as ONNX models: the nodes of a graph, each as a few operators on rows (points, features).
use super::derivatives::derived;
use super::write::{Message, array, integer, integers, port, tensor, text};
use crate::graph::{GraphSpec, NodeSpec, TermSpec};
use crate::{ActivationSpec, Error, Layer, Network, Real, Request, softplus_cut};
use std::f64::consts::LN_2;

/// The version of the operators that are written.
const OPSET: i64 = 20;

/// The lambda and alpha of SELU.
pub(super) const SELU: (f64, f64) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);

/// A node of the graph as it was written: rows of `n` numbers, one for each point or a single one.
#[derive(Clone)]
struct Written {
    name: String,
    n: usize,
    varies: bool,
    /// The weight that it is, with its shape.
    weight: Option<(String, Vec<usize>)>,
}

/// A model that is being written.
struct Writer<F> {
    nodes: Message,
    prefix: String,
    count: usize,
    element: std::marker::PhantomData<F>,
}

/// The bytes of an ONNX model of a network.
pub(crate) fn model<F: Real>(network: &Network<F>, request: &Request<F>) -> Result<Vec<u8>, Error> {
    let (spec, outputs) = derived(GraphSpec::of(network)?, request)?;
    let sizes = spec.sizes()?;
    let mut prefix = "/".to_string();
    while spec.weights.iter().any(|w| w.name.starts_with(&prefix)) {
        prefix.push('/');
    }
    let free = |name: &str| match spec.weights.iter().any(|w| w.name == name) {
        true => format!("{prefix}{name}"),
        false => name.to_string(),
    };
    let x = free("x");
    let mut writer =
        Writer::<F> { nodes: Message::default(), prefix: prefix.clone(), count: 0, element: std::marker::PhantomData };
    let mut written: Vec<Written> = Vec::with_capacity(spec.nodes.len());
    for (node, &n) in spec.nodes.iter().zip(&sizes) {
        let node = writer.node(node, n, &written, &spec, &x);
        written.push(node);
    }
    let kind = writer.kind();
    let mut ports = Vec::with_capacity(outputs.len());
    for output in &outputs {
        let rows = writer.for_all(&written[output.node], &x);
        let name = free(output.name);
        match output.shape.as_slice() {
            [_] => writer.put("Identity", &[&rows], &name, &[]),
            shape => {
                let shape: Vec<i64> = std::iter::once(-1).chain(shape.iter().map(|&n| n as i64)).collect();
                let shape = writer.ints(&shape);
                writer.put("Reshape", &[&rows, &shape], &name, &[]);
            }
        }
        ports.push(port(&name, kind, &output.shape));
    }
    let mut graph = Message { bytes: writer.nodes.bytes }.part(2, "hessquik");
    for (name, w) in network.weights() {
        let raw = bytes(w.iter().copied());
        graph = graph.part(5, tensor(&name, kind, w.shape(), &raw));
    }
    graph = graph.part(11, port(&x, kind, &[spec.inputs]));
    graph = ports.iter().fold(graph, |graph, port| graph.part(12, port));
    let opset = Message::default().part(1, "").integer(2, OPSET).bytes;
    let model = Message::default().integer(1, 9).part(2, "hessquik").part(3, env!("CARGO_PKG_VERSION"));
    Ok(model.part(7, graph.bytes).part(8, opset).bytes)
}

/// Numbers as they are stored.
fn bytes<F: Real>(numbers: impl Iterator<Item = F>) -> Vec<u8> {
    match F::NAME {
        "f32" => numbers.flat_map(|v| (v.as_f64() as f32).to_le_bytes()).collect(),
        _ => numbers.flat_map(|v| v.as_f64().to_le_bytes()).collect(),
    }
}

impl<F: Real> Writer<F> {
    fn kind(&self) -> i64 {
        if F::NAME == "f32" { 1 } else { 11 }
    }

    fn put(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) {
        let node = inputs.iter().fold(Message::default(), |m, i| m.part(1, i)).part(2, output).part(4, op);
        let node = attributes.iter().fold(node, |m, a| m.part(5, a));
        self.nodes = std::mem::take(&mut self.nodes).part(1, node.bytes);
    }

    /// An operator; the name of what it gives.
    fn with(&mut self, op: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> String {
        self.count += 1;
        let name = format!("{}{}", self.prefix, self.count);
        self.put(op, inputs, &name, attributes);
        name
    }

    fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.with(op, inputs, &[])
    }

    fn ints(&mut self, numbers: &[i64]) -> String {
        let raw: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.with("Constant", &[], &[array("value", &tensor("", 7, &[numbers.len()], &raw))])
    }

    fn floats(&mut self, shape: &[usize], numbers: impl Iterator<Item = f64>) -> String {
        let raw = bytes(numbers.map(F::of));
        self.with("Constant", &[], &[array("value", &tensor("", self.kind(), shape, &raw))])
    }

    fn number(&mut self, c: f64) -> String {
        self.floats(&[], std::iter::once(c))
    }

    fn reshape(&mut self, of: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.op("Reshape", &[of, &shape])
    }

    fn scaled(&mut self, of: &str, c: f64) -> String {
        if c == 1.0 {
            return of.into();
        }
        let c = self.number(c);
        self.op("Mul", &[of, &c])
    }

    fn shifted(&mut self, of: &str, c: f64) -> String {
        if c == 0.0 {
            return of.into();
        }
        let c = self.number(c);
        self.op("Add", &[of, &c])
    }

    /// A node as rows.
    fn rows(&mut self, node: &Written) -> String {
        match &node.weight {
            Some((name, shape)) if *shape != [1, node.n] => self.reshape(&name.clone(), &[1, -1]),
            _ => node.name.clone(),
        }
    }

    /// A node as rows, or a weight of one axis, beside rows of points.
    fn beside(&mut self, node: &Written, varies: bool) -> String {
        match &node.weight {
            Some((name, shape)) if varies && *shape == [node.n] => name.clone(),
            _ => self.rows(node),
        }
    }

    /// A node with a row for each point.
    fn for_all(&mut self, node: &Written, x: &str) -> String {
        let rows = self.rows(node);
        if node.varies {
            return rows;
        }
        let shape = self.with("Shape", &[x], &[integer("end", 1)]);
        let cols = self.ints(&[node.n as i64]);
        let shape = self.with("Concat", &[&shape, &cols], &[integer("axis", 0)]);
        self.op("Expand", &[&rows, &shape])
    }

    /// A node as matrices, or a weight as it is stored.
    fn matrices(&mut self, node: &Written, shape: &[usize], lead: bool) -> String {
        let lengths = shape.iter().map(|&n| n as i64);
        match &node.weight {
            Some((name, stored)) if !lead && stored == shape => name.clone(),
            Some((name, _)) if !lead => self.reshape(&name.clone(), &lengths.collect::<Vec<_>>()),
            _ => {
                let rows = self.rows(node);
                let lead = if lead { Some(-1) } else { None };
                self.reshape(&rows, &lead.into_iter().chain(lengths).collect::<Vec<_>>())
            }
        }
    }

    fn node(&mut self, node: &NodeSpec, n: usize, done: &[Written], spec: &GraphSpec, x: &str) -> Written {
        let (name, varies) = match node {
            NodeSpec::Input {} => (x.to_string(), true),
            NodeSpec::Weight { weight } => {
                let weight = &spec.weights[*weight];
                let stored = Some((weight.name.clone(), weight.shape.clone()));
                return Written { name: weight.name.clone(), n, varies: false, weight: stored };
            }
            NodeSpec::Constant { values } => (self.floats(&[1, n], values.iter().copied()), false),
            NodeSpec::Affine { terms, shift, .. } => self.affine(terms, *shift, n, done),
            NodeSpec::Largest { of, len, inner } => {
                let rows = self.rows(&done[*of]);
                let groups = self.reshape(&rows, &[-1, (n / inner) as i64, *len as i64, *inner as i64]);
                let axis = self.ints(&[2]);
                let largest = self.with("ReduceMax", &[&groups, &axis], &[integer("keepdims", 0)]);
                (self.reshape(&largest, &[-1, n as i64]), done[*of].varies)
            }
            NodeSpec::Frozen { of } => (self.rows(&done[*of]), done[*of].varies),
            NodeSpec::Act { of, act } => {
                let rows = self.rows(&done[*of]);
                (self.act(act, &rows), done[*of].varies)
            }
            NodeSpec::Times { a, b } => {
                let varies = done[*a].varies || done[*b].varies;
                let (left, right) = (self.beside(&done[*a], varies), self.beside(&done[*b], varies));
                (self.op("Mul", &[&left, &right]), varies)
            }
            NodeSpec::Product { a, b, dims, transposed } => {
                (self.product(&done[*a], &done[*b], *dims, *transposed), done[*a].varies || done[*b].varies)
            }
        };
        Written { name, n, varies, weight: None }
    }

    fn affine(&mut self, terms: &[TermSpec], shift: f64, n: usize, done: &[Written]) -> (String, bool) {
        let mut sum: Option<String> = None;
        // terms that move something
        let terms: Vec<&TermSpec> =
            terms.iter().filter(|t| t.blocks.as_ref().is_none_or(|b| b.iter().any(|b| b[2] > 0))).collect();
        let varies = terms.iter().any(|t| done[t.of].varies);
        for term in terms {
            let moved = match &term.blocks {
                None => Some(self.beside(&done[term.of], varies)),
                Some(blocks) => {
                    let rows = self.rows(&done[term.of]);
                    self.moved(&rows, done[term.of].n, blocks, n)
                }
            };
            let Some(moved) = moved else { continue };
            let part = self.scaled(&moved, term.c);
            sum = Some(match sum {
                None => part,
                Some(sum) => self.op("Add", &[&sum, &part]),
            });
        }
        match sum {
            Some(sum) => (self.shifted(&sum, shift), varies),
            None => (self.floats(&[1, n], (0..n).map(|_| shift)), false),
        }
    }

    /// Rows of `n` sums of entries of rows of `from`; `None` if these are zeros.
    fn moved(&mut self, rows: &str, from: usize, blocks: &[[usize; 3]], n: usize) -> Option<String> {
        let mut sources: Vec<Vec<usize>> = vec![Vec::new(); n];
        for &[f, t, len] in blocks {
            (0..len).for_each(|i| sources[t + i].push(f + i));
        }
        let most = sources.iter().map(Vec::len).max().unwrap_or(0);
        if most == 0 {
            return None;
        }
        let zeros = sources.iter().any(|s| s.len() < most);
        // an entry of zero behind the others
        let padded = match zeros {
            true => {
                let pads = self.ints(&[0, 0, 0, 1]);
                self.op("Pad", &[rows, &pads])
            }
            false => rows.to_string(),
        };
        let index: Vec<i64> =
            (0..most).flat_map(|k| sources.iter().map(move |s| s.get(k).copied().unwrap_or(from) as i64)).collect();
        let index = self.ints(&index);
        let picked = self.with("Gather", &[&padded, &index], &[integer("axis", 1)]);
        if most == 1 {
            return Some(picked);
        }
        let parts = self.reshape(&picked, &[-1, most as i64, n as i64]);
        let axis = self.ints(&[1]);
        Some(self.with("ReduceSum", &[&parts, &axis], &[integer("keepdims", 0)]))
    }

    /// Products of matrices, as rows.
    fn product(&mut self, a: &Written, b: &Written, dims: [usize; 4], transposed: bool) -> String {
        let [g, r, s, t] = dims;
        let (inner, cols) = if transposed { (t, s) } else { (s, t) };
        if g == 1 && !b.varies {
            let right = self.matrices(b, &[s, t], false);
            if r == 1 {
                let left = self.rows(a);
                return match transposed {
                    true => self.with("Gemm", &[&left, &right], &[integer("transB", 1)]),
                    false => self.op("MatMul", &[&left, &right]),
                };
            }
            let right = match transposed {
                true => self.with("Transpose", &[&right], &[integers("perm", &[1, 0])]),
                false => right,
            };
            let left = self.matrices(a, &[r, inner], true);
            let out = self.op("MatMul", &[&left, &right]);
            return self.reshape(&out, &[-1, (r * cols) as i64]);
        }
        let left = self.matrices(a, &[g, r, inner], true);
        let right = self.matrices(b, &[g, s, t], true);
        let right = match transposed {
            true => self.with("Transpose", &[&right], &[integers("perm", &[0, 1, 3, 2])]),
            false => right,
        };
        let out = self.op("MatMul", &[&left, &right]);
        self.reshape(&out, &[-1, (g * r * cols) as i64])
    }

    /// Where `z` is above zero, one thing, and elsewhere another.
    fn branches(&mut self, z: &str, above: &str, below: &str) -> String {
        let zero = self.number(0.0);
        let positive = self.op("Greater", &[z, &zero]);
        self.op("Where", &[&positive, above, below])
    }

    /// `alpha (exp(z / scale) - 1)` below zero; the exponential never sees what is above.
    fn elu(&mut self, z: &str, alpha: f64, scale: f64) -> String {
        let zero = self.number(0.0);
        let low = self.op("Min", &[z, &zero]);
        let low = self.scaled(&low, 1.0 / scale);
        let e = self.op("Exp", &[&low]);
        let e = self.shifted(&e, -1.0);
        let below = self.scaled(&e, alpha);
        self.branches(z, z, &below)
    }

    fn act(&mut self, act: &ActivationSpec, z: &str) -> String {
        use ActivationSpec as A;
        let named = match act {
            A::Tanh => "Tanh",
            A::Sin => "Sin",
            A::Cos => "Cos",
            A::Exp => "Exp",
            A::Log => "Log",
            A::Sqrt => "Sqrt",
            A::Reciprocal => "Reciprocal",
            A::Erf => "Erf",
            A::Atan => "Atan",
            A::Sigmoid => "Sigmoid",
            A::Relu => "Relu",
            A::Mish => "Mish",
            A::Gelu => "Gelu",
            A::Identity => return z.into(),
            _ => "",
        };
        if !named.is_empty() {
            return self.op(named, &[z]);
        }
        match *act {
            A::TanhGelu => self.with("Gelu", &[z], &[text("approximate", "tanh")]),
            A::Silu => {
                let gate = self.op("Sigmoid", &[z]);
                self.op("Mul", &[z, &gate])
            }
            A::Square => self.op("Mul", &[z, z]),
            A::Quadratic => {
                let square = self.op("Mul", &[z, z]);
                self.scaled(&square, 0.5)
            }
            A::Gaussian => {
                let square = self.op("Mul", &[z, z]);
                let negative = self.op("Neg", &[&square]);
                self.op("Exp", &[&negative])
            }
            // |z| + ln(1 + exp(-2 |z|)) - ln 2
            A::AntiTanh => {
                let size = self.op("Abs", &[z]);
                let low = self.scaled(&size, -2.0);
                let soft = self.op("Softplus", &[&low]);
                let sum = self.op("Add", &[&size, &soft]);
                self.shifted(&sum, -LN_2)
            }
            A::Softplus { beta, threshold } => {
                let wide = self.scaled(z, beta);
                let soft = self.op("Softplus", &[&wide]);
                let soft = self.scaled(&soft, 1.0 / beta);
                match softplus_cut(threshold) {
                    cut if cut.is_finite() => {
                        let past = self.shifted(&wide, -cut);
                        self.branches(&past, z, &soft)
                    }
                    _ => soft,
                }
            }
            A::Power { p } => {
                let p = self.number(p);
                self.op("Pow", &[z, &p])
            }
            A::Squareplus { b } => {
                let square = self.op("Mul", &[z, z]);
                let under = self.shifted(&square, b);
                let root = self.op("Sqrt", &[&under]);
                let sum = self.op("Add", &[z, &root]);
                self.scaled(&sum, 0.5)
            }
            A::LeakyRelu { slope } => {
                let below = self.scaled(z, slope);
                self.branches(z, z, &below)
            }
            A::Step => {
                let (one, zero) = (self.number(1.0), self.number(0.0));
                self.branches(z, &one, &zero)
            }
            A::Elu { alpha } => self.elu(z, alpha, 1.0),
            A::Celu { alpha } => self.elu(z, alpha, alpha),
            A::Selu => {
                let (lambda, ratio) = SELU;
                let elu = self.elu(z, ratio, 1.0);
                self.scaled(&elu, lambda)
            }
            A::Scaled { act, a, b } => {
                let z = self.scaled(z, b);
                let value = self.act(&act.into(), &z);
                self.scaled(&value, a)
            }
            _ => unreachable!("named above"),
        }
    }
}
