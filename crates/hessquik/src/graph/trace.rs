//! Tracing: the forward passes of layers written down as a graph.
use super::{Form, Graph, Kind, Node, NodeId, Term, Var};
use crate::layer::{Linear, Parts, Piece, Shift};
use crate::schedule::Block;
use crate::{Activation, Error, Layer, Real};
use ndarray::ArrayD;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What is written while a forward pass runs.
#[derive(Debug)]
pub(super) struct Tracer<F> {
    pub nodes: Vec<Node<F>>,
    /// The weights of the layer that is running, by name: where they start, and their shapes.
    pub scope: HashMap<String, (usize, Vec<usize>)>,
    /// Nodes of weights, by where they start.
    weights: HashMap<usize, NodeId>,
    /// The first thing that went wrong, and where.
    pub error: Option<String>,
    /// The layer that is running, for messages.
    pub layer: String,
}

/// A tracer that the variables of one graph share.
pub(super) type Shared<F> = Rc<RefCell<Tracer<F>>>;

impl<F: Real> Tracer<F> {
    pub fn new() -> Self {
        let (nodes, scope, weights) = (Vec::new(), HashMap::new(), HashMap::new());
        Self { nodes, scope, weights, error: None, layer: String::new() }
    }

    /// Adds a node of `n` features.
    pub fn push(&mut self, kind: Kind<F>, n: usize) -> NodeId {
        let varies = matches!(kind, Kind::Input) || kind.parents().iter().any(|&p| self.nodes[p].varies);
        self.nodes.push(Node { kind, n, varies });
        self.nodes.len() - 1
    }

    /// Notes an error, unless there is one.
    pub fn fail(&mut self, message: String) {
        let layer = &self.layer;
        self.error.get_or_insert_with(|| if layer.is_empty() { message } else { format!("layer {layer}: {message}") });
    }

    /// The node of the weight of this name, with its shape.
    pub fn weight(&mut self, name: &str) -> Option<(NodeId, Vec<usize>)> {
        let Some((theta, shape)) = self.scope.get(name).cloned() else {
            let mut known: Vec<&str> = self.scope.keys().map(String::as_str).collect();
            known.sort_unstable();
            let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
            self.fail(format!("no weight is named {name:?}; the layer has {known}"));
            return None;
        };
        if let Some(&id) = self.weights.get(&theta) {
            return Some((id, shape));
        }
        let id = self.push(Kind::Weight { theta }, shape.iter().product());
        self.weights.insert(theta, id);
        Some((id, shape))
    }
}

impl<F: Real> Graph<F> {
    /// The graph of a layer or network.
    ///
    /// # Errors
    /// [`Error::Layer`] if its forward pass is invalid, naming the source line; [`Error::IncompatibleBlocks`] and
    /// [`Error::Setting`] as [`Network::new`](crate::Network::new).
    pub fn of<L: Layer<F> + ?Sized>(layer: &L) -> Result<Self, Error> {
        Self::of_untyped(Untyped::new(layer, &|u| layer.forward_pass(u)))
    }

    fn of_untyped(layer: Untyped<F>) -> Result<Self, Error> {
        let shared: Shared<F> = Rc::new(RefCell::new(Tracer::new()));
        let ([d, m], name) = (layer.dims, layer.name.clone());
        let input = shared.borrow_mut().push(Kind::Input, d);
        let mut n_weights = 0;
        let places: Vec<usize> = layer
            .weights
            .iter()
            .map(|(_, w)| {
                n_weights += w.len();
                n_weights - w.len()
            })
            .collect();
        let u = Var::new(shared.clone(), input, vec![d]);
        let out = layer.trace("", u, &places)?;
        let (output, shape) = (out.id(), out.shape().to_vec());
        drop(out);
        let mut tracer = shared.borrow_mut();
        if let Some(message) = tracer.error.take() {
            return Err(Error::Layer { layer: name, message });
        }
        let n: usize = shape.iter().product();
        if n != m || m == 0 {
            let what = format!("the output dimension of layer {name}");
            return Err(Error::setting(what, n, format!("at least 1, and {m} as declared by the layer")));
        }
        let graph = Self { nodes: std::mem::take(&mut tracer.nodes), input, output };
        graph.check()?;
        Ok(graph)
    }
}

/// What tracing needs of a layer, without its type: the code below is compiled once, not for every layer.
pub(super) struct Untyped<'a, F: Real> {
    name: String,
    dims: [usize; 2],
    pub weights: Vec<(String, &'a ArrayD<F>)>,
    parts: Parts<'a, F>,
    forward_pass: &'a dyn Fn(Var<F>) -> Var<F>,
}

impl<'a, F: Real> Untyped<'a, F> {
    pub fn new<L: Layer<F> + ?Sized>(layer: &'a L, forward_pass: &'a dyn Fn(Var<F>) -> Var<F>) -> Self {
        let dims = [layer.dim_input(), layer.dim_output()];
        Self { name: layer.name(), dims, weights: layer.weights(), parts: layer.parts(), forward_pass }
    }

    /// Runs the forward pass of the layer, whose weights start at these places of the flat vector.
    pub fn trace(self, position: &str, u: Var<F>, places: &[usize]) -> Result<Var<F>, Error> {
        let Self { name, dims: [d, m], weights, parts, forward_pass } = self;
        let at = if position.is_empty() { name } else { format!("{position} ({name})") };
        if u.len() != d {
            let what = format!("the input dimension of layer {at}");
            return Err(Error::setting(what, u.len(), format!("{d} as declared by the layer")));
        }
        if let Parts::Chain(layers) = parts {
            let (mut u, mut places) = (u, places);
            for (i, layer) in layers.iter().enumerate() {
                let place = if position.is_empty() { i.to_string() } else { format!("{position}.{i}") };
                let forward_pass = |u| layer.forward_pass(u);
                let layer = Untyped::new(&**layer, &forward_pass);
                let (own, rest) = places.split_at(layer.weights.len());
                u = layer.trace(&place, u, own)?;
                places = rest;
            }
            return Ok(u);
        }
        let shared = u.tracer();
        let weights = weights.into_iter().zip(places);
        let scope: HashMap<_, _> = weights.map(|((name, w), &from)| (name, (from, w.shape().to_vec()))).collect();
        let (scope, outside) = {
            let mut tracer = shared.borrow_mut();
            let outside = std::mem::replace(&mut tracer.layer, at.clone());
            (std::mem::replace(&mut tracer.scope, scope), outside)
        };
        let out = match parts {
            Parts::Form(form) => one_form(&u, &form).map_err(|message| Error::Layer { layer: at.clone(), message })?,
            _ => forward_pass(u),
        };
        let mut tracer = shared.borrow_mut();
        (tracer.scope, tracer.layer) = (scope, outside);
        if let Some(message) = tracer.error.take() {
            return Err(Error::Layer { layer: at, message });
        }
        drop(tracer);
        if out.len() != m {
            let what = format!("the output dimension of layer {at}");
            return Err(Error::setting(what, out.len(), format!("{m} as declared by the layer")));
        }
        Ok(out.flatten())
    }
}

/// `u' = u S + act(u M + b) W + c` as nodes.
pub(super) fn one_form<F: Real>(u: &Var<F>, form: &crate::Form<F>) -> Result<Var<F>, String> {
    let [_, p, n_out] = form.dims;
    let z = affine(p, &[(u, &form.m)], u, &form.b)?;
    let a = if matches!(form.act, Activation::Identity) { z } else { z.act(form.act.clone()) };
    affine(n_out, &[(u, &form.s), (&a, &form.w)], u, &form.c)
}

/// `sum_i u_i L_i + b` with structured maps.
fn affine<F: Real>(n: usize, maps: &[(&Var<F>, &Linear<F>)], any: &Var<F>, shift: &Shift<F>) -> Result<Var<F>, String> {
    let shared = any.tracer();
    let mut terms: Vec<Term<F>> = Vec::new();
    let block = |from: usize, to: usize, len: usize, full: bool| -> Option<Arc<[Block]>> {
        if full { None } else { Some([Block { from, to, len }].into()) }
    };
    for (u, map) in maps {
        for piece in &map.pieces {
            match piece {
                Piece::Copy { from, to, len, scale } => {
                    if from + len > u.len() || to + len > n {
                        return Err(format!(
                            "a copy of {len} features from {from} to {to} does not fit in its matrix ({}, {n})",
                            u.len()
                        ));
                    }
                    let full = *from == 0 && *to == 0 && *len == u.len() && *len == n;
                    terms.push(Term { of: u.id(), c: *scale, blocks: block(*from, *to, *len, full) });
                }
                Piece::Weight { .. } | Piece::Constant { .. } => {
                    let (id, rows, cols, row, col, transposed) = matrix(&shared, piece)?;
                    let (p, q) = if transposed { (cols, rows) } else { (rows, cols) };
                    if row + p > u.len() || col + q > n {
                        return Err(format!(
                            "a block ({p}, {q}) at ({row}, {col}) does not fit in its matrix ({}, {n})",
                            u.len()
                        ));
                    }
                    let mut tracer = shared.borrow_mut();
                    let from = if row == 0 && p == u.len() {
                        u.id()
                    } else {
                        let terms = vec![Term { of: u.id(), c: F::one(), blocks: block(row, 0, p, false) }];
                        tracer.push(Kind::Affine { terms, shift: F::zero() }, p)
                    };
                    let form = match transposed {
                        true => Form { dims: [1, 1, q, p], transposed: true },
                        false => Form::plain([1, 1, p, q]),
                    };
                    let of = tracer.push(Kind::Product { a: from, b: id, form }, q);
                    let full = col == 0 && q == n;
                    terms.push(Term { of, c: F::one(), blocks: block(0, col, q, full) });
                }
            }
        }
    }
    match shift {
        Shift::None => {}
        Shift::Constant(v) if v.len() == n => {
            let of = shared.borrow_mut().push(Kind::Constant(v.iter().copied().collect()), n);
            terms.push(Term { of, c: F::one(), blocks: None });
        }
        Shift::Weight(name) => {
            let (of, shape) = named(&shared, name)?;
            let found: usize = shape.iter().product();
            if found != n {
                return Err(format!("an additive vector has {found} entries, expected {n}"));
            }
            terms.push(Term { of, c: F::one(), blocks: None });
        }
        Shift::Constant(v) => return Err(format!("an additive vector has {} entries, expected {n}", v.len())),
    }
    let id = shared.borrow_mut().push(Kind::Affine { terms, shift: F::zero() }, n);
    Ok(Var::new(shared, id, vec![n]))
}

fn named<F: Real>(shared: &Shared<F>, name: &str) -> Result<(NodeId, Vec<usize>), String> {
    let mut tracer = shared.borrow_mut();
    match tracer.weight(name) {
        Some(found) => Ok(found),
        None => Err(tracer.error.take().unwrap_or_default()),
    }
}

/// The node of a block of weights or constants: its rows and columns as they are stored, its place, and whether its
/// transpose stands there.
#[allow(clippy::type_complexity)]
fn matrix<F: Real>(shared: &Shared<F>, piece: &Piece<F>) -> Result<(NodeId, usize, usize, usize, usize, bool), String> {
    match piece {
        Piece::Weight { name, row, col, transposed, nonnegative } => {
            let (id, shape) = named(shared, name)?;
            let (rows, cols) = match shape[..] {
                [] => (1, 1),
                [n] => (n, 1),
                [rows, cols] => (rows, cols),
                _ => return Err(format!("weight {name} has shape {shape:?}, expected one or two axes")),
            };
            let id = match nonnegative {
                true => {
                    let act = Activation::Softplus { beta: 1.0, threshold: 20.0 };
                    shared.borrow_mut().push(Kind::Pointwise { of: id, act }, rows * cols)
                }
                false => id,
            };
            Ok((id, rows, cols, *row, *col, *transposed))
        }
        Piece::Constant { matrix, row, col } => {
            let (rows, cols) = matrix.dim();
            let id = shared.borrow_mut().push(Kind::Constant(matrix.iter().copied().collect()), rows * cols);
            Ok((id, rows, cols, *row, *col, false))
        }
        Piece::Copy { .. } => unreachable!("copies are moved"),
    }
}

/// The description of a layer that is its forward pass, if it is one.
pub(crate) fn described<F: Real, L: Layer<F> + ?Sized>(layer: &L) -> Option<crate::Architecture> {
    match layer.parts() {
        Parts::Forward => Graph::of(layer).ok()?.describe(layer.weights()).map(crate::Architecture::Graph),
        _ => None,
    }
}
