//! Data in a `.csv` whose columns have the names that the command writes: `x0`, `value`, `gradient_0`, `hessian_0_1`.
use crate::failure::Failure;
use crate::points::table::{self, Table};
use ndarray::{Array2, ArrayD, Axis, IxDyn};
use std::fs::File;
use std::io::Seek;
use std::path::Path;

/// Names of arrays, and the axes that each may have beside that of the points.
const ARRAYS: [(&str, std::ops::RangeInclusive<usize>); 4] =
    [("x", 0..=1), ("value", 0..=1), ("gradient", 1..=2), ("hessian", 2..=3)];

/// The arrays of [`ARRAYS`] that the file has, in that order.
pub type Arrays = [Option<ArrayD<f64>>; 4];

/// Reads the arrays, and what the user should know of them.
pub fn read(path: &Path, mut file: File) -> Result<(Arrays, Vec<String>), Failure> {
    let again = file.try_clone().map_err(Failure::io(path))?;
    let names = table::names(path, again)?;
    let columns: Vec<_> = names.iter().map(|name| place(name)).collect();
    let wanted = "expected columns named x0, x1, ... and value, gradient_0, ..., hessian_0_0, ...; --columns and --values \
                  say which columns of others are points and values";
    if !columns.iter().flatten().any(|(array, _)| *array == 0) {
        let found =
            if names.is_empty() { "no names of columns".into() } else { format!("the columns {}", names.join(", ")) };
        return Err(Failure::file(
            path,
            format!("has {found}, {wanted} (.npz, .safetensors and .npy have arrays by name)"),
        ));
    }
    let picks: Vec<_> = (0..names.len()).filter(|i| columns[*i].is_some()).map(|i| i.to_string()).collect();
    file.rewind().map_err(Failure::io(path))?;
    let mut table = Table::open(path, file, Some(&picks))?;
    let mut numbers = Array2::<f64>::zeros((table.rows, table.cols));
    table.read(path, &mut numbers)?;
    let places: Vec<_> = columns.into_iter().flatten().collect();
    let mut arrays = [None, None, None, None];
    for (which, array) in arrays.iter_mut().enumerate() {
        let of_array =
            |(i, (array, index)): (usize, &(usize, Vec<usize>))| (*array == which).then(|| (i, index.clone()));
        let parts: Vec<_> = places.iter().enumerate().filter_map(of_array).collect();
        if !parts.is_empty() {
            *array = Some(assemble(path, ARRAYS[which].0, &numbers, &parts)?);
        }
    }
    let mut notes = std::mem::take(&mut table.remarks);
    let other: Vec<_> = names.iter().filter(|name| place(name).is_none()).cloned().collect();
    if !other.is_empty() {
        notes.push(format!("{}: the columns {} are not used", path.display(), other.join(", ")));
    }
    Ok((arrays, notes))
}

/// The array and the index in it that the name of a column stands for.
fn place(name: &str) -> Option<(usize, Vec<usize>)> {
    ARRAYS.iter().enumerate().find_map(|(which, (array, axes))| {
        let rest = name.strip_prefix(array)?;
        let index: Option<Vec<usize>> = match rest.strip_prefix('_').unwrap_or(rest) {
            "" if rest.is_empty() => Some(Vec::new()),
            numbers => numbers.split('_').map(|n| n.parse().ok()).collect(),
        };
        index.filter(|index| axes.contains(&index.len())).map(|index| (which, index))
    })
}

/// The array of columns at these indices, which must be all of its indices.
fn assemble(
    path: &Path,
    name: &str,
    numbers: &Array2<f64>,
    parts: &[(usize, Vec<usize>)],
) -> Result<ArrayD<f64>, Failure> {
    let axes = parts[0].1.len();
    let lengths: Vec<_> = (0..axes)
        .map(|axis| {
            parts.iter().map(|(_, index)| index.get(axis).map_or(0, |i| i.saturating_add(1))).max().unwrap_or(0)
        })
        .collect();
    let entries = lengths.iter().try_fold(1usize, |n, len| n.checked_mul(*len));
    let same = parts.iter().all(|(_, index)| index.len() == axes);
    let mut indices: Vec<_> = parts.iter().map(|(_, index)| index).collect();
    indices.sort();
    indices.dedup();
    if !same || entries != Some(parts.len()) || indices.len() != parts.len() {
        let shown: Vec<_> = lengths.iter().map(usize::to_string).collect();
        let message = format!(
            "{} columns of {name}, expected one for each entry of shape ({}), once",
            parts.len(),
            shown.join(", ")
        );
        return Err(Failure::file(path, message));
    }
    let shape: Vec<_> = [numbers.nrows()].into_iter().chain(lengths).collect();
    let mut array = ArrayD::zeros(IxDyn(&shape));
    for (column, index) in parts {
        let mut entry = array.view_mut();
        for i in index {
            entry = entry.index_axis_move(Axis(1), *i);
        }
        entry.assign(&numbers.column(*column).into_dyn());
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn names_are_places() {
        assert_eq!(place("x0"), Some((0, vec![0])));
        assert_eq!(place("x_1"), Some((0, vec![1])));
        assert_eq!(place("x"), Some((0, vec![])));
        assert_eq!(place("value"), Some((1, vec![])));
        assert_eq!(place("gradient_1_0"), Some((2, vec![1, 0])));
        assert_eq!(place("hessian_1_0"), Some((3, vec![1, 0])));
        for other in ["y", "xs", "x0_1", "gradient", "hessian_1", "value_", "laplacian"] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
