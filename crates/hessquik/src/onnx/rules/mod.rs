//! What each operator is in nodes of a graph: one rule for each.
mod branches;
mod constants;
mod conv;
mod einsum;
mod entries;
mod index;
mod norms;
mod order;
mod pairs;
mod products;
mod recurrent;
mod scatter;
mod shapes;
mod sums;

use super::call::{Call, Outcome};

/// A rule.
pub(super) type Rule = fn(&Call) -> Outcome;

/// The rule of an operator.
pub(super) fn rule(domain: &str, op: &str) -> Option<Rule> {
    match domain {
        "" => entries::rule(op)
            .or_else(|| branches::rule(op))
            .or_else(|| shapes::rule(op))
            .or_else(|| index::rule(op))
            .or_else(|| scatter::rule(op))
            .or_else(|| order::rule(op))
            .or_else(|| sums::rule(op))
            .or_else(|| products::rule(op))
            .or_else(|| conv::rule(op))
            .or_else(|| norms::rule(op))
            .or_else(|| recurrent::rule(op))
            .or_else(|| constants::rule(op)),
        "ai.onnx.ml" if op == "Scaler" => Some(norms::scaler),
        "com.microsoft" if op == "Gelu" => Some(entries::exact_gelu),
        _ => None,
    }
}
