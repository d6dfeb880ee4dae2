//! The order of layers where a file does not keep it.
use super::{Linear, StateDictError};
use std::collections::BTreeMap;

/// The most layers whose order is looked for by their shapes.
const MOST: usize = 500;
/// The most partial orders that are looked at.
const TRIES: usize = 200_000;

/// The layers by the numbers in their names, if these differ in nothing else; or else in the only order in which each
/// takes what the one before it gives, and layers whose names differ in numbers alone follow these.
pub(super) fn sorted(mut layers: Vec<Linear<'_>>) -> Result<Vec<Linear<'_>>, StateDictError> {
    layers.sort_by_cached_key(|layer| natural(layer.name));
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, layer) in layers.iter().enumerate() {
        groups.entry(pattern(layer.name)).or_default().push(i);
    }
    if groups.len() == 1 {
        return Ok(layers);
    }
    let names = |order: &[usize]| order.iter().map(|&i| layers[i].name).collect::<Vec<_>>().join(",");
    let mut search = Search { layers: &layers, next: vec![0; groups.len()], groups: groups.into_values().collect() };
    let (mut found, mut tries) = (Vec::new(), if layers.len() > MOST { 0 } else { TRIES });
    search.extend(&mut Vec::new(), &mut found, &mut tries);
    let orders: Vec<String> = found.iter().map(|order| names(order)).collect();
    match &found[..] {
        [one] if tries > 0 => Ok(one.iter().map(|&i| layers[i]).collect()),
        // in no order do they fit: the check of shapes says which two do not
        [] if tries > 0 => Ok(layers),
        _ => Err(StateDictError::UnknownOrder { orders }),
    }
}

/// Orders that keep that of each group.
struct Search<'a> {
    layers: &'a [Linear<'a>],
    groups: Vec<Vec<usize>>,
    /// How many of each group are in the order.
    next: Vec<usize>,
}

impl Search<'_> {
    /// Continues an order in every way that fits, until there are two whole ones.
    fn extend(&mut self, order: &mut Vec<usize>, found: &mut Vec<Vec<usize>>, tries: &mut usize) {
        if order.len() == self.layers.len() {
            return found.push(order.clone());
        }
        for g in 0..self.groups.len() {
            if found.len() > 1 || *tries == 0 {
                return;
            }
            let Some(&i) = self.groups[g].get(self.next[g]) else { continue };
            *tries -= 1;
            let fits = order.last().is_none_or(|&before| self.layers[before].widths().0 == self.layers[i].widths().1);
            if fits {
                self.next[g] += 1;
                order.push(i);
                self.extend(order, found, tries);
                order.pop();
                self.next[g] -= 1;
            }
        }
    }
}

/// A name as texts and numbers, so that 10 comes after 9.
fn natural(name: &str) -> Vec<(bool, String, usize, String)> {
    pieces(name)
        .map(|piece| match piece.as_bytes()[0].is_ascii_digit() {
            true => {
                let digits = piece.trim_start_matches('0');
                (false, String::new(), digits.len(), digits.to_string())
            }
            false => (true, piece.to_string(), 0, String::new()),
        })
        .collect()
}

/// A name without its numbers.
fn pattern(name: &str) -> String {
    pieces(name).map(|piece| if piece.as_bytes()[0].is_ascii_digit() { "#" } else { piece }).collect()
}

/// Runs of digits, and what is between them.
fn pieces(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let digit = rest.as_bytes().first()?.is_ascii_digit();
        let end = rest.bytes().position(|b| b.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayD;

    fn order(layers: &[(&str, usize, usize)]) -> Result<String, StateDictError> {
        let weights: Vec<_> =
            layers.iter().map(|(_, inputs, outputs)| ArrayD::<f64>::zeros(vec![*outputs, *inputs])).collect();
        let linear = layers.iter().zip(&weights).map(|((name, ..), w)| Linear { name, weight: Some(w), bias: None });
        let found = sorted(linear.collect())?;
        Ok(found.iter().map(|layer| layer.name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn by_numbers_and_by_shapes() {
        let numbered = [("l.10", 5, 1), ("l.9", 5, 5), ("l.0", 2, 5)];
        assert_eq!(order(&numbered).unwrap(), "l.0 l.9 l.10");
        assert_eq!(order(&[("a.1.x2", 1, 1), ("a.1.x10", 1, 1), ("a.0.x3", 1, 1)]).unwrap(), "a.0.x3 a.1.x2 a.1.x10");
        let named = [("hidden.0", 9, 9), ("hidden.1", 9, 9), ("input", 2, 9), ("output", 9, 1)];
        assert_eq!(order(&named).unwrap(), "input hidden.0 hidden.1 output");
        // nothing says which of them is first
        let same = order(&[("first", 3, 3), ("second", 3, 3)]).unwrap_err();
        assert!(
            matches!(&same, StateDictError::UnknownOrder { orders } if orders[..] == ["first,second", "second,first"]),
            "{same}"
        );
        let halves = [("enc.0", 2, 8), ("enc.1", 8, 8), ("dec.0", 8, 8), ("dec.1", 8, 1)];
        assert!(matches!(order(&halves), Err(StateDictError::UnknownOrder { .. })));
        // no order at all is left to the check of shapes
        assert_eq!(order(&[("b", 3, 4), ("a", 5, 6)]).unwrap(), "a b");
    }

    #[test]
    fn a_search_ends() {
        let names: Vec<String> = (0..60).map(|i| "x".repeat(i + 1)).collect();
        // one that nothing fits behind, so that all orders of the others would be tried in vain
        let mut layers: Vec<_> = names.iter().map(|name| (name.as_str(), 3, 3)).collect();
        layers.extend([("y", 7, 8), ("z", 9, 9)]);
        assert!(matches!(order(&layers), Err(StateDictError::UnknownOrder { .. })));
        let many: Vec<String> = (0..2000).map(|i| "x".repeat(i + 1)).collect();
        let layers: Vec<_> = many.iter().map(|name| (name.as_str(), 3, 3)).collect();
        assert!(matches!(order(&layers), Err(StateDictError::UnknownOrder { .. })));
    }
}
