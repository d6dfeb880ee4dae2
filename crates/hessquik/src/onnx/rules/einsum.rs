//! Products along named axes.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Value, count, local};
use crate::Var;

/// An operand at one point, with a letter for each axis.
struct Term {
    var: Var<f64>,
    letters: Vec<char>,
}

impl Term {
    fn length(&self, letter: char) -> Option<usize> {
        self.letters.iter().position(|&c| c == letter).map(|i| self.var.shape()[i])
    }

    /// Its axes in the order of these letters, each of which it has.
    fn ordered(&self, letters: &[char]) -> Var<f64> {
        let place = |c: &char| self.letters.iter().position(|own| own == c).expect("one of its letters");
        let axes: Vec<usize> = letters.iter().map(place).collect();
        if axes.is_sorted() { self.var.clone() } else { self.var.permute(&axes) }
    }

    /// Without the letters that nothing wants.
    fn summed(self, wanted: impl Fn(char) -> bool) -> Self {
        let Self { mut var, letters } = self;
        for (axis, _) in letters.iter().enumerate().filter(|(_, c)| !wanted(**c)) {
            var = var.sum(axis);
        }
        let kept: Vec<char> = letters.iter().copied().filter(|&c| wanted(c)).collect();
        let shape: Vec<usize> = letters.iter().zip(var.shape()).filter(|(c, _)| wanted(**c)).map(|(_, &n)| n).collect();
        let var = if shape.is_empty() { var.flatten() } else { var.reshape(&shape) };
        Self { var, letters: kept }
    }
}

/// Letters for the axes of each operand and of the result, with letters in the place of `...`.
fn parsed(equation: &str, ranks: &[usize]) -> Option<(Vec<Vec<char>>, Vec<char>)> {
    let plain: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = plain.split_once("->").map_or((plain.as_str(), None), |(l, r)| (l, Some(r)));
    let inputs: Vec<&str> = left.split(',').collect();
    if inputs.len() != ranks.len() {
        return None;
    }
    // private letters, of which no equation has one
    let spare = |i: usize| char::from_u32(0xE000 + i as u32);
    let named = |text: &str, missing: usize, most: usize| -> Option<Vec<char>> {
        let (head, tail) = text.split_once("...").map_or((text, None), |(h, t)| (h, Some(t)));
        let mut letters: Vec<char> = head.chars().collect();
        if let Some(tail) = tail {
            letters.extend((most - missing..most).map(spare).collect::<Option<Vec<_>>>()?);
            letters.extend(tail.chars());
        } else if missing > 0 {
            return None;
        }
        let known = |c: &char| c.is_ascii_alphabetic() || ('\u{E000}'..'\u{E100}').contains(c);
        letters.iter().all(known).then_some(letters)
    };
    let own = |text: &str| text.replace("...", "").chars().count();
    let missing: Option<Vec<usize>> = inputs.iter().zip(ranks).map(|(text, &r)| r.checked_sub(own(text))).collect();
    let missing = missing?;
    let most = missing.iter().copied().max().unwrap_or(0).min(64);
    let letters: Option<Vec<Vec<char>>> =
        inputs.iter().zip(&missing).map(|(text, &missing)| named(text, missing, most)).collect();
    let letters = letters?;
    let out = match right {
        Some(text) => named(text, if text.contains("...") { most } else { 0 }, most)?,
        None => {
            let all: Vec<char> = letters.iter().flatten().copied().collect();
            let mut once: Vec<char> =
                all.iter().copied().filter(|c| all.iter().filter(|d| *d == c).count() == 1).collect();
            once.retain(|c| *c < '\u{E000}');
            once.sort_unstable();
            let dots = (0..most).map(spare).collect::<Option<Vec<_>>>()?;
            [dots, once].concat()
        }
    };
    Some((letters, out))
}

pub(super) fn einsum(call: &Call) -> Outcome {
    let equation = call.text("equation", "");
    let operands: Vec<Value> = call.inputs.iter().flatten().cloned().collect();
    let ranks: Vec<usize> = operands.iter().map(Value::rank).collect();
    let wrong = || format!("equation {equation:?} is not one for these operands");
    let (letters, out) = parsed(&equation, &ranks).ok_or_else(wrong)?;
    // the letter of the points
    let mut points: Option<(char, Batch)> = None;
    for (value, letters) in operands.iter().zip(&letters) {
        if let Some(batch) = value.batch {
            let found = (letters[batch.axis], Batch { axis: 0, ..batch });
            if points.is_some_and(|p| p != found) || letters.iter().filter(|c| **c == found.0).count() != 1 {
                return Err("brings different points together".into());
            }
            points = Some(found);
        }
    }
    let batch = match points {
        None => None,
        Some((letter, batch)) => match out.iter().position(|&c| c == letter) {
            Some(axis) => Some(Batch { axis, ..batch }),
            None => return Err("sums over the points: a network must map each point by itself".into()),
        },
    };
    let mut terms = Vec::with_capacity(operands.len());
    let mut shape: Vec<Option<usize>> = vec![None; out.len()];
    for (value, letters) in operands.iter().zip(&letters) {
        let mut value = value.clone();
        if let (Some((letter, batch)), None) = (points, value.batch)
            && let Some(axis) = letters.iter().position(|&c| c == letter)
            && value.shape[axis] != 1
        {
            value = call.of_one(&value, axis, batch)?;
        }
        for (letter, &n) in letters.iter().zip(&value.shape) {
            if let Some(i) = out.iter().position(|c| c == letter) {
                shape[i] = Some(shape[i].unwrap_or(1).max(n));
            }
        }
        terms.push(diagonal(call, &value, letters).ok_or_else(wrong)??);
    }
    let shape: Vec<usize> = shape.into_iter().collect::<Option<_>>().ok_or_else(wrong)?;
    let inside = local(&shape, batch);
    call.roomy(count(&inside))?;
    broadcast(&mut terms).ok_or_else(wrong)?;
    let var = contracted(call, terms, &out)?;
    if out.iter().enumerate().any(|(i, c)| out[..i].contains(c)) || var.shape() != inside {
        return Err(wrong());
    }
    Ok(vec![call.made(&var, shape, batch)?])
}

/// An operand in which each letter stands once: one that stands twice is a diagonal.
fn diagonal(call: &Call, value: &Value, letters: &[char]) -> Option<Result<Term, String>> {
    let var = match call.var(value) {
        Ok(var) => var,
        Err(message) => return Some(Err(message)),
    };
    let mut single: Vec<char> = Vec::new();
    letters.iter().for_each(|&c| {
        if !single.contains(&c) {
            single.push(c)
        }
    });
    if single.len() == letters.len() {
        return Some(Ok(Term { var, letters: single }));
    }
    let shape = var.shape().to_vec();
    let mut lengths = Vec::new();
    let mut steps = Vec::new();
    for c in &single {
        let at: Vec<usize> = (0..letters.len()).filter(|&i| letters[i] == *c).collect();
        if at.iter().any(|&i| shape[i] != shape[at[0]]) {
            return None;
        }
        lengths.push(shape[at[0]]);
        steps.push(at.iter().map(|&i| count(&shape[i + 1..])).sum::<usize>());
    }
    let mut places = vec![0];
    for (&n, &step) in lengths.iter().zip(&steps) {
        places = places.iter().flat_map(|&at| (0..n).map(move |i| at + i * step)).collect();
    }
    Some(Ok(Term { var: var.picked(places, lengths), letters: single }))
}

/// Lengths of 1 become those that other operands have; `None` if lengths do not fit.
fn broadcast(terms: &mut [Term]) -> Option<()> {
    let longest = |terms: &[Term], c: char| terms.iter().filter_map(|t| t.length(c)).max();
    for i in 0..terms.len() {
        let mut shape = Vec::new();
        for (&c, &n) in terms[i].letters.iter().zip(terms[i].var.shape()) {
            let long = longest(terms, c)?;
            if n != long && n != 1 {
                return None;
            }
            shape.push(long);
        }
        terms[i].var = terms[i].var.broadcast_to(&shape);
    }
    Some(())
}

/// The product of all terms, two after two from the left, with the axes of `out`.
fn contracted(call: &Call, terms: Vec<Term>, out: &[char]) -> Result<Var<f64>, String> {
    let mut terms = terms.into_iter();
    let mut left = terms.next().ok_or("has no operands")?;
    let rest: Vec<Term> = terms.collect();
    let mut rest = std::collections::VecDeque::from(rest);
    while let Some(right) = rest.pop_front() {
        let wanted = |c: char| out.contains(&c) || rest.iter().any(|t| t.letters.contains(&c));
        let theirs = right.letters.clone();
        let a = left.summed(|c| wanted(c) || theirs.contains(&c));
        let own = a.letters.clone();
        let b = right.summed(|c| wanted(c) || own.contains(&c));
        let both: Vec<char> = a.letters.iter().copied().filter(|c| b.letters.contains(c) && wanted(*c)).collect();
        let gone: Vec<char> = a.letters.iter().copied().filter(|c| b.letters.contains(c) && !wanted(*c)).collect();
        let only = |t: &Term, other: &Term| -> Vec<char> {
            t.letters.iter().copied().filter(|c| !other.letters.contains(c)).collect()
        };
        let (free_a, free_b) = (only(&a, &b), only(&b, &a));
        let size = |t: &Term, letters: &[char]| count(&letters.iter().filter_map(|&c| t.length(c)).collect::<Vec<_>>());
        let dims = [size(&a, &both), size(&a, &free_a), size(&a, &gone), size(&b, &free_b)];
        call.roomy(count(&[dims[0], dims[1], dims[3]]))?;
        let x = a.ordered(&[&both[..], &free_a, &gone].concat()).reshape(&[dims[0], dims[1], dims[2]]);
        // the second factor as it is stored, if that is one of two ways
        let stored = [&both[..], &free_b, &gone].concat();
        let var = if b.letters == stored && dims[3] > 1 {
            x.matmul_transposed(&b.var.reshape(&[dims[0], dims[3], dims[2]]))
        } else {
            x.matmul(&b.ordered(&[&both[..], &gone, &free_b].concat()).reshape(&[dims[0], dims[2], dims[3]]))
        };
        let letters = [&both[..], &free_a, &free_b].concat();
        let lengths: Vec<usize> = letters.iter().filter_map(|&c| a.length(c).or(b.length(c))).collect();
        left = Term { var: var.reshape(&lengths), letters };
    }
    let left = left.summed(|c| out.contains(&c));
    if left.letters.len() != out.len() {
        return Err("names an axis of the result that no operand has".into());
    }
    let var = left.ordered(out);
    Ok(if out.is_empty() { var.reshape(&[]) } else { var })
}
