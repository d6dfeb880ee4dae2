//! Entries of an axis moved to other places of it, where several may meet.
use crate::tensors::zeros;
use burn::tensor::{Int, Tensor, TensorData};
use std::collections::BTreeMap;

/// For pairs (to, from): the sum, at each of `len` places of an axis (1 or 2), of the entries that go there.
///
/// Places that get as many entries as each other are filled together: these entries are selected, then summed. Nothing is
/// scattered, which GPUs do in an order of their own, and nothing is multiplied by zeros, which may meet infinities.
pub(super) fn route(x: Tensor<3>, axis: usize, pairs: &[(usize, usize)], len: usize) -> Tensor<3> {
    let mut sources = vec![Vec::new(); len];
    pairs.iter().for_each(|&(to, from)| sources[to].push(from));
    let mut groups = BTreeMap::<usize, Vec<usize>>::new();
    sources.iter().enumerate().for_each(|(to, from)| groups.entry(from.len()).or_default().push(to));
    let (mut parts, mut place, mut next) = (Vec::new(), vec![0; len], 0);
    for (count, targets) in groups {
        if count == 0 {
            let mut dims = x.dims();
            dims[axis] = 1;
            parts.push(zeros(dims, &x));
            targets.iter().for_each(|&to| place[to] = next);
            next += 1;
            continue;
        }
        let entries: Vec<usize> = targets.iter().flat_map(|&to| sources[to].iter().copied()).collect();
        parts.push(summed(pick(x.clone(), axis, &entries), axis, count));
        targets.iter().enumerate().for_each(|(i, &to)| place[to] = next + i);
        next += targets.len();
    }
    let all = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, axis) };
    pick(all, axis, &place)
}

/// Each `count` neighbours of an axis in one sum.
fn summed(x: Tensor<3>, axis: usize, count: usize) -> Tensor<3> {
    let [samples, rows, n] = x.dims();
    match (count, axis) {
        (1, _) => x,
        (_, 1) => x.reshape([samples, rows / count, count, n]).sum_dim(2).reshape([samples, rows / count, n]),
        _ => x.reshape([samples, rows, n / count, count]).sum_dim(3).reshape([samples, rows, n / count]),
    }
}

/// These entries of an axis.
pub(super) fn pick(x: Tensor<3>, axis: usize, entries: &[usize]) -> Tensor<3> {
    let mut dims = x.dims();
    let first = entries[0];
    if entries.iter().enumerate().all(|(i, &e)| e == first + i) {
        return if entries.len() == dims[axis] { x } else { x.narrow(axis, first, entries.len()) };
    }
    if dims[axis] == 1 {
        dims[axis] = entries.len();
        return x.expand(dims);
    }
    let data = TensorData::new(entries.iter().map(|&e| e as i64).collect::<Vec<_>>(), [entries.len()]);
    x.clone().select(axis, Tensor::<1, Int>::from_data(data, &x.device().inner()))
}
