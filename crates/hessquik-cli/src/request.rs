//! What to compute, as the command line says it.
use crate::element::Element;
use crate::failure::Failure;
use crate::points::Points;
use clap::Args;
use hessquik::{Field, Layer, Mode, Network, Request, did_you_mean};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Results by name, as `--request` lists them.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    names: String,
    partials: Vec<Vec<usize>>,
    block: Option<(Vec<usize>, Vec<usize>)>,
    directional: Option<usize>,
}

impl FromStr for Results {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut results = Self { names: String::new(), partials: Vec::new(), block: None, directional: None };
        // those that need nothing but their name
        let plain: Vec<&str> = Field::plain().map(Field::name).collect();
        for name in text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            match name.split_once(':') {
                None if ["operator", "products"].contains(&name) => {
                    return Err(format!("{name:?} wants a file: take the option --{name} FILE"));
                }
                None if !plain.contains(&name) => {
                    let known = Field::ALL.map(Field::name);
                    let meant = did_you_mean(name, known);
                    let all = plain.join(", ");
                    return Err(format!(
                        "unknown result {name:?}; known are {all}, partials:A-B+C-D-D, \
                         block:A+B/C+D, directional:ORDER{meant}"
                    ));
                }
                None => results.names = format!("{}{name},", results.names),
                Some(("partials", pairs)) => results.partials = self::pairs(pairs)?,
                Some(("block", block)) => results.block = Some(self::block(block)?),
                Some(("directional", order)) => {
                    let wanted = || format!("directional {order:?}: expected an order such as directional:3");
                    results.directional = Some(order.trim().parse().map_err(|_| wanted())?);
                }
                Some((other, _)) => {
                    let meant = did_you_mean(other, ["partials", "block", "directional"]);
                    return Err(format!(
                        "unknown result {other:?}; with a colon there are partials, block, directional{meant}"
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

/// `0+1/2+3`: rows 0 and 1, columns 2 and 3.
fn block(text: &str) -> Result<(Vec<usize>, Vec<usize>), String> {
    let list = |list: &str| list.split('+').map(|i| i.trim().parse().ok()).collect::<Option<Vec<usize>>>();
    let block = text.split_once('/').and_then(|(rows, cols)| Some((list(rows)?, list(cols)?)));
    block.ok_or_else(|| format!("block {text:?}: expected rows and columns of inputs such as block:0+1/2+3"))
}

impl Results {
    fn request<F: Element>(&self) -> Result<Request<F>, hessquik::Error> {
        let other = !self.partials.is_empty() || self.block.is_some() || self.directional.is_some();
        let mut request = if self.names.is_empty() && other { Request::new() } else { Request::parse(&self.names)? };
        if !self.partials.is_empty() {
            request = request.any_partials(&self.partials);
        }
        if let Some(order) = self.directional {
            request = request.directional(order);
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
    /// and 1, columns 2 and 3 of the Hessian), factored (H = M C M^T as factored.outer, M, and factored.core, C).
    /// Default: value,gradient,hessian, or just the results of --operator and --products if these are given.
    #[arg(short, long, value_name = "RESULTS")]
    pub request: Option<Results>,
    /// How second derivatives are computed: auto, forward, backward or sites (same numbers, different speed)
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub mode: Mode,
    /// File with input directions, the rows of a matrix (k, d)
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

impl Wish {
    /// The request for `network`, and what the user should know of the files that were read.
    pub fn request<F: Element>(&self, network: &Network<F>) -> Result<(Request<F>, Vec<String>), Failure> {
        let more = self.operator.is_some() || self.products.is_some();
        let mut request = match &self.request {
            Some(results) => results.request()?,
            None if more => Request::new(),
            None => Request::new().value().gradient().hessian(),
        };
        let d = Some(network.dim_input());
        let mut remarks = Vec::new();
        let mut matrix = |path: &Path, width| {
            let (matrix, more) = Points::matrix(path, width)?;
            remarks.extend(more);
            Ok::<_, Failure>(matrix)
        };
        if let Some(path) = &self.directions {
            request = request.directions(matrix(path, d)?);
        }
        if let Some(path) = &self.outputs {
            request = request.outputs(matrix(path, None)?);
        }
        if let Some(path) = &self.operator {
            request = request.operator(matrix(path, None)?);
        }
        if let Some(path) = &self.products {
            request = request.products(matrix(path, d)?);
        }
        Ok((request.mode(self.mode.clone()), remarks))
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
        for wrong in ["", "hesian", "partials:0-", "partials:0-x", "block:0", "values:1", "block:/1", "partials:"] {
            assert!(wrong.parse::<Results>().is_err(), "{wrong}");
        }
    }
}
