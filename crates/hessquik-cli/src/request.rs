//! What to compute, as the command line says it.
use crate::element::Element;
use crate::failure::Failure;
use crate::points::{Points, Reading};
use clap::Args;
use hessquik::{Field, Layer, Mode, Network, PointDirections, Request, did_you_mean};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Results by name, as `--request` lists them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    names: String,
    partials: Vec<Vec<usize>>,
    block: Option<(Vec<usize>, Vec<usize>)>,
    directional: Option<usize>,
    terms: Vec<(Vec<usize>, f64)>,
}

impl FromStr for Results {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut results = Self::default();
        // those that need nothing but their name
        let plain: Vec<&str> = Field::plain().map(Field::name).collect();
        for name in text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            match name.split_once(':') {
                None if name == "operator" => {
                    return Err(
                        "\"operator\" needs its terms, such as operator:0=1+1-1-1=-2, or a matrix: take the option \
                         --operator FILE"
                            .into(),
                    );
                }
                None if name == "products" => {
                    return Err(format!("{name:?} wants a file: take the option --{name} FILE"));
                }
                None if !plain.contains(&name) => {
                    let known = Field::ALL.map(Field::name);
                    let meant = did_you_mean(name, known);
                    let all = plain.join(", ");
                    return Err(format!(
                        "unknown result {name:?}; known are {all}, partials:A-B+C-D-D, \
                         block:A+B/C+D, directional:ORDER, operator:A=C+B-B=C{meant}"
                    ));
                }
                None => results.names = format!("{}{name},", results.names),
                Some(("partials", pairs)) => results.partials = self::pairs(pairs)?,
                Some(("block", block)) => results.block = Some(self::block(block)?),
                Some(("directional", order)) => {
                    let wanted = || format!("directional {order:?}: expected an order such as directional:3");
                    results.directional = Some(order.trim().parse().map_err(|_| wanted())?);
                }
                Some(("operator", terms)) => results.terms = self::terms(terms)?,
                Some((other, _)) => {
                    let meant = did_you_mean(other, ["partials", "block", "directional", "operator"]);
                    return Err(format!(
                        "unknown result {other:?}; with a colon there are partials, block, directional, operator{meant}"
                    ));
                }
            }
        }
        match results.request::<f64>() {
            Ok(_) => Ok(results),
            Err(e) => Err(e.to_string()),
        }
    }
}

/// `0-1+2-2-2`: the mixed partials along inputs 0 and 1, and three times along input 2.
fn pairs(text: &str) -> Result<Vec<Vec<usize>>, String> {
    let axes = |axes: &str| axes.split('-').map(|a| a.trim().parse().ok()).collect::<Option<Vec<usize>>>();
    let all: Option<Vec<_>> = text.split('+').map(axes).collect();
    all.ok_or_else(|| format!("partials {text:?}: expected tuples of inputs such as partials:0-1+2-2-2"))
}

/// `0=1+1-1-1=-2+=.5`: once the derivative along input 0, minus twice the third along input 1, and half the value.
fn terms(text: &str) -> Result<Vec<(Vec<usize>, f64)>, String> {
    let wanted =
        "expected inputs and coefficients such as operator:0=1+1-1-1=-2, with `=` alone before that of the value";
    let mut terms: Vec<&str> = Vec::new();
    for (at, _) in text.match_indices('+').chain([(text.len(), "")]) {
        let from = terms.iter().map(|term| term.len() + 1).sum();
        // 1e+5 is one number, and so is +5
        let number = text[..at].trim_end().ends_with(['e', 'E', '=']);
        if !number || at == text.len() {
            terms.push(&text[from..at]);
        }
    }
    let term = |term: &&str| -> Result<(Vec<usize>, f64), String> {
        let error = || format!("operator: the term {term:?} is none; {wanted}");
        let (axes, c) = term.split_once('=').unwrap_or((term, "1"));
        let c = c.trim().parse().map_err(|_| error())?;
        if axes.trim().is_empty() && term.contains('=') {
            return Ok((Vec::new(), c));
        }
        let axes = axes.split('-').map(|a| a.trim().parse()).collect::<Result<_, _>>().map_err(|_| error())?;
        Ok((axes, c))
    };
    terms.iter().map(term).collect()
}

/// `0+1/2+3`: rows 0 and 1, columns 2 and 3.
fn block(text: &str) -> Result<(Vec<usize>, Vec<usize>), String> {
    let list = |list: &str| list.split('+').map(|i| i.trim().parse().ok()).collect::<Option<Vec<usize>>>();
    let block = text.split_once('/').and_then(|(rows, cols)| Some((list(rows)?, list(cols)?)));
    block.ok_or_else(|| format!("block {text:?}: expected rows and columns of inputs such as block:0+1/2+3"))
}

impl Results {
    fn request<F: Element>(&self) -> Result<Request<F>, hessquik::Error> {
        let other = !self.partials.is_empty() || self.block.is_some() || self.directional.is_some();
        let other = other || !self.terms.is_empty();
        let mut request = if self.names.is_empty() && other { Request::new() } else { Request::parse(&self.names)? };
        if !self.partials.is_empty() {
            request = request.any_partials(&self.partials);
        }
        if let Some(order) = self.directional {
            request = request.directional(order);
        }
        if !self.terms.is_empty() {
            let terms: Vec<_> = self.terms.iter().map(|(axes, c)| (axes.clone(), F::of(*c))).collect();
            request = request.operator_terms(&terms);
        }
        if let Some((rows, cols)) = &self.block {
            request = request.block(rows, cols);
        }
        Ok(request)
    }
}

/// What to compute, along which directions, in which mode.
#[derive(Args, Clone, Debug, Default)]
pub struct Wish {
    /// Results, separated by commas: value, gradient, hessian, laplacian, diagonal, ...
    ///
    /// All results: value, gradient, hessian, laplacian, diagonal, packed (the upper half of the Hessian),
    /// partials:0-1+2-2-2 (mixed partials: the entry (0, 1) of the Hessian, and the third derivative along input 2),
    /// directional:K (derivatives of orders 1 to K along each input or direction), bilaplacian, block:0+1/2+3 (rows 0
    /// and 1, columns 2 and 3 of the Hessian), factored (H = M C M^T as factored.outer, M, and factored.core, C),
    /// operator:0=1+1-1-1=-2+=.5 (a sum of partials of any order up to 8 times coefficients: u_t - 2 u_xxx + u/2 of inputs
    /// t and x; a coefficient that is left out is 1). Default: value,gradient,hessian, or just the results of --operator
    /// and --products if these are given.
    #[arg(short, long, value_name = "RESULTS")]
    pub request: Option<Results>,
    /// How second derivatives are computed: auto, forward, backward or sites (same numbers, different speed)
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub mode: Mode,
    /// File with input directions, the rows of a matrix (k, d); or with those of each point, of shape (n, k, d)
    #[arg(long, value_name = "FILE")]
    pub directions: Option<PathBuf>,
    /// File with output directions, the columns of a matrix (m, q)
    #[arg(long, value_name = "FILE")]
    pub outputs: Option<PathBuf>,
    /// File with a matrix B (k, k); adds the result `operator`, tr(B H)
    #[arg(long, value_name = "FILE")]
    pub operator: Option<PathBuf>,
    /// File with vectors, the rows of a matrix (w, d); adds the result `products`, the product of H with each
    #[arg(long, value_name = "FILE")]
    pub products: Option<PathBuf>,
}

/// A request resolved: what is evaluated, along which directions.
#[derive(Debug)]
pub struct Resolved<F: Element> {
    pub request: Request<F>,
    /// The directions of each point, if points have their own.
    pub directions: Option<Points>,
    /// What the user should know of the files that were read.
    pub remarks: Vec<String>,
}

impl<F: Element> Resolved<F> {
    /// The network and the request that are evaluated: for directions of each point, those of steps along them.
    pub fn along(&self, network: Network<F>) -> Result<(Network<F>, Request<F>), Failure> {
        let Some(k) = self.directions.as_ref().and_then(Points::each) else {
            return Ok((network, self.request.clone()));
        };
        let along = PointDirections::new(&network, k)?;
        let request = along.request(&self.request)?;
        Ok((along.network().clone(), request))
    }
}

impl Wish {
    /// The request for `network`, and the directions of each point.
    pub fn request<F: Element>(&self, network: &Network<F>) -> Result<Resolved<F>, Failure> {
        let more = self.operator.is_some() || self.products.is_some();
        let mut request = match &self.request {
            Some(results) => results.request()?,
            None if more => Request::new(),
            None => Request::new().value().gradient().hessian(),
        };
        let d = Some(network.dim_input());
        let mut remarks = Vec::new();
        let mut directions = None;
        if let Some(path) = &self.directions {
            let mut points = Points::open_as(path, d, Reading { matrices: true, ..Reading::default() })?;
            if points.each().is_some() {
                directions = Some(points);
            } else {
                request = request.directions(points.read(points.rows())?);
                remarks.extend(points.remarks());
            }
        }
        let mut matrix = |path: &Path, width| {
            let (matrix, more) = Points::matrix(path, width)?;
            remarks.extend(more);
            Ok::<_, Failure>(matrix)
        };
        if let Some(path) = &self.outputs {
            request = request.outputs(matrix(path, None)?);
        }
        if let Some(path) = &self.operator {
            request = request.operator(matrix(path, None)?);
        }
        if let Some(path) = &self.products {
            request = request.products(matrix(path, d)?);
        }
        Ok(Resolved { request: request.mode(self.mode.clone()), directions, remarks })
    }

    /// The files that are read.
    pub fn files(&self) -> Vec<&PathBuf> {
        [&self.directions, &self.outputs, &self.operator, &self.products].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_pairs_and_blocks() {
        let results: Results = "value, partials:0-1+2-2,block:0+1/2".parse().unwrap();
        assert_eq!(results.names, "value,");
        assert_eq!(results.partials, [[0, 1], [2, 2]]);
        assert_eq!(results.block, Some((vec![0, 1], vec![2])));
        let results: Results = "operator:0=1+1-1-1=-2e+1+=.5+2-2+0 - 1 = +3".parse().unwrap();
        let terms = [(vec![0], 1.0), (vec![1, 1, 1], -20.0), (vec![], 0.5), (vec![2, 2], 1.0), (vec![0, 1], 3.0)];
        assert_eq!(results.terms, terms);
        for wrong in ["operator", "operator:", "operator:0=", "operator:x=1", "operator:0=1++1=2", "operator:0-=1"] {
            assert!(wrong.parse::<Results>().unwrap_err().contains("operator:0=1+1-1-1=-2"), "{wrong}");
        }
        for wrong in ["", "hesian", "partials:0-", "partials:0-x", "block:0", "values:1", "block:/1", "partials:"] {
            assert!(wrong.parse::<Results>().is_err(), "{wrong}");
        }
    }
}
