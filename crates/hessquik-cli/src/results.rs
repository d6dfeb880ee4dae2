//! The results of a tile of points: buffers in C order, lent to the library and written by name.
use crate::element::Element;
use crate::failure::Failure;
use crate::output::{Sink, Tensor};
use hessquik::{Error, Jet, JetMut};
use ndarray::{Array, ArrayBase, Axis, Data, Dimension, RemoveAxis, Slice};
use rayon::prelude::*;

/// Calls `$visit!(name, array)` for each array of a jet.
macro_rules! each {
    ($jet:expr, $visit:ident) => {
        $visit!("value", $jet.value.as_ref());
        $visit!("gradient", $jet.gradient.as_ref());
        $visit!("hessian", $jet.hessian.as_ref());
        $visit!("packed", $jet.packed.as_ref());
        $visit!("diagonal", $jet.diagonal.as_ref());
        $visit!("laplacian", $jet.laplacian.as_ref());
        $visit!("operator", $jet.operator.as_ref());
        $visit!("products", $jet.products.as_ref());
        $visit!("block", $jet.block.as_ref());
        $visit!("partials", $jet.partials.as_ref());
        $visit!("directional", $jet.directional.as_ref());
        $visit!("bilaplacian", $jet.bilaplacian.as_ref());
        $visit!("factored.core", $jet.factored.as_ref().map(|f| &f.core));
        $visit!("factored.outer", $jet.factored.as_ref().map(|f| &f.outer));
    };
}

/// The tensors that results at `n` points fill, from those at one point.
pub fn tensors<F: Element>(one: &Jet<F>, n: usize) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    macro_rules! add {
        ($name:literal, $array:expr) => {
            if let Some(array) = $array {
                let mut tensor = Tensor::new($name, array.shape());
                if $name != "factored.outer" {
                    tensor.shape[0] = n;
                }
                tensors.push(tensor);
            }
        };
    }
    each!(one, add);
    tensors
}

/// Buffers in C order for `n` points, shaped like the results at one.
pub fn buffers<F: Element>(one: &Jet<F>, n: usize) -> Result<Jet<F>, Failure> {
    Ok(Jet {
        value: buffer(&one.value, n)?,
        gradient: buffer(&one.gradient, n)?,
        hessian: buffer(&one.hessian, n)?,
        packed: buffer(&one.packed, n)?,
        diagonal: buffer(&one.diagonal, n)?,
        laplacian: buffer(&one.laplacian, n)?,
        operator: buffer(&one.operator, n)?,
        products: buffer(&one.products, n)?,
        block: buffer(&one.block, n)?,
        partials: buffer(&one.partials, n)?,
        directional: buffer(&one.directional, n)?,
        bilaplacian: buffer(&one.bilaplacian, n)?,
        factored: match &one.factored {
            None => None,
            Some(factored) => {
                let core = zeros(&factored.core, n)?;
                Some(hessquik::FactoredHessian { outer: factored.outer.clone(), core })
            }
        },
    })
}

fn buffer<F: Element, D: Dimension>(one: &Option<Array<F, D>>, n: usize) -> Result<Option<Array<F, D>>, Failure> {
    one.as_ref().map(|one| zeros(one, n)).transpose()
}

fn zeros<F: Element, D: Dimension>(one: &Array<F, D>, n: usize) -> Result<Array<F, D>, Failure> {
    let mut shape = one.raw_dim();
    shape[0] = n;
    let bytes = shape.slice().iter().map(|n| *n as u128).fold(size_of::<F>() as u128, u128::saturating_mul);
    // asks first, since the allocation of zeros would abort
    let room = usize::try_from(bytes).ok().map(|bytes| Vec::<u8>::new().try_reserve_exact(bytes));
    match room {
        Some(Ok(())) => Ok(Array::zeros(shape)),
        _ => Err(Error::OutOfMemory { what: format!("results of shape {:?}", shape.slice()), bytes }.into()),
    }
}

/// Number of output directions.
pub fn outputs<F: Element>(jet: &Jet<F>) -> usize {
    let mut outputs = 1;
    macro_rules! last {
        ($name:literal, $array:expr) => {
            if let Some(array) = $array.filter(|_| $name != "factored.outer") {
                outputs = array.len_of(Axis(array.ndim() - 1));
            }
        };
    }
    each!(jet, last);
    outputs
}

/// The first `n` points of the buffers, for the library to fill.
pub fn lend<F: Element>(jet: &mut Jet<F>, n: usize) -> JetMut<'_, F> {
    macro_rules! head {
        ($array:expr) => {
            $array.as_mut().map(|a| a.slice_axis_mut(Axis(0), Slice::from(..n)))
        };
    }
    JetMut {
        value: head!(jet.value),
        gradient: head!(jet.gradient),
        hessian: head!(jet.hessian),
        packed: head!(jet.packed),
        diagonal: head!(jet.diagonal),
        laplacian: head!(jet.laplacian),
        operator: head!(jet.operator),
        products: head!(jet.products),
        block: head!(jet.block),
        partials: head!(jet.partials),
        directional: head!(jet.directional),
        bilaplacian: head!(jet.bilaplacian),
        factored: jet.factored.as_mut().map(|f| f.core.slice_axis_mut(Axis(0), Slice::from(..n))),
    }
}

/// Copies the first `n` points of results as the library lays them out, with the output axis right after the points, to
/// buffers in C order, where it is last. (The library can write C order itself, point by point and entry by entry.)
pub fn reorder<F: Element>(from: &Jet<F>, to: &mut Jet<F>, n: usize) {
    macro_rules! field {
        ($from:expr, $to:expr) => {
            if let (Some(from), Some(to)) = ($from, $to) {
                reorder_array(from, to, n);
            }
        };
    }
    field!(&from.value, &mut to.value);
    field!(&from.gradient, &mut to.gradient);
    field!(&from.hessian, &mut to.hessian);
    field!(&from.packed, &mut to.packed);
    field!(&from.diagonal, &mut to.diagonal);
    field!(&from.laplacian, &mut to.laplacian);
    field!(&from.operator, &mut to.operator);
    field!(&from.products, &mut to.products);
    field!(&from.block, &mut to.block);
    field!(&from.partials, &mut to.partials);
    field!(&from.directional, &mut to.directional);
    field!(&from.bilaplacian, &mut to.bilaplacian);
    field!(from.factored.as_ref().map(|f| &f.core), to.factored.as_mut().map(|f| &mut f.core));
}

fn reorder_array<F: Element, D: Dimension>(from: &Array<F, D>, to: &mut Array<F, D>, n: usize) {
    /// Entries of an output that are moved together, so that where they go stays in cache.
    const BLOCK: usize = 64;
    let outputs = from.len_of(Axis(from.ndim() - 1)).max(1);
    let one = from.len() / from.len_of(Axis(0)).max(1);
    let entries = one / outputs;
    let mut axes = D::zeros(from.ndim());
    let memory = [0, from.ndim() - 1].into_iter().chain(1..from.ndim() - 1);
    axes.slice_mut().iter_mut().zip(memory).for_each(|(axis, from)| *axis = from);
    let memory = from.view().permuted_axes(axes);
    let (Some(from), Some(to), true) = (memory.as_slice(), to.as_slice_mut(), one > 0) else {
        return to.assign(from); // another layout: slower, and as right
    };
    let pairs = to[..n * one].par_chunks_exact_mut(one).zip(from[..n * one].par_chunks_exact(one));
    pairs.with_min_len(1 + 4096 / one).for_each(|(to, from)| {
        for start in (0..entries).step_by(BLOCK) {
            let end = (start + BLOCK).min(entries);
            for (r, from) in from.chunks_exact(entries).enumerate() {
                let to = to[start * outputs + r..].iter_mut().step_by(outputs);
                to.zip(&from[start..end]).for_each(|(to, from)| *to = *from);
            }
        }
    });
}

/// The results at the first `n` points, one list of numbers for each entry, named as in tables: `gradient_0`.
pub fn columns<F: Element>(jet: &Jet<F>, n: usize) -> Vec<(String, Vec<f64>)> {
    let mut columns = Vec::new();
    macro_rules! split {
        ($name:literal, $array:expr) => {
            if let Some(array) = $array.filter(|_| $name != "factored.outer") {
                let shape = &array.shape()[1..];
                // the number of the output stands at the end where there are several
                let axes = if shape.last() == Some(&1) { shape.len() - 1 } else { shape.len() };
                for index in ndarray::indices(shape) {
                    let index = index.as_array_view().to_vec();
                    let numbers = index[..axes].iter().map(|i| format!("_{i}")).collect::<String>();
                    let mut rows = array.view().into_dyn();
                    index.iter().for_each(|&i| rows = rows.clone().index_axis_move(Axis(1), i));
                    let values = rows.iter().take(n).map(|v| v.to_f64().unwrap_or(f64::NAN)).collect();
                    columns.push((format!("{}{numbers}", $name), values));
                }
            }
        };
    }
    each!(jet, split);
    columns
}

/// How many numbers of each result, of the first `n` points, are NaN or infinite.
pub fn not_finite<F: Element>(jet: &Jet<F>, n: usize) -> Vec<(&'static str, usize)> {
    let mut counts = Vec::new();
    macro_rules! count {
        ($name:literal, $array:expr) => {
            if let Some(array) = $array.filter(|_| $name != "factored.outer") {
                let rows = array.slice_axis(Axis(0), Slice::from(..n));
                let odd = |numbers: &[F]| numbers.iter().filter(|number| !number.is_finite()).count();
                let found = match rows.as_slice() {
                    Some(numbers) => numbers.par_chunks(1 << 14).map(odd).sum(),
                    None => rows.iter().filter(|number| !number.is_finite()).count(),
                };
                counts.push(($name, found));
            }
        };
    }
    each!(jet, count);
    counts
}

/// Writes the first `n` points of the buffers at point `first`.
pub fn write<F: Element>(jet: &Jet<F>, n: usize, first: usize, sink: &mut Sink) -> Result<(), Failure> {
    macro_rules! put {
        ($name:literal, $array:expr) => {
            if let Some(array) = $array {
                let whole = $name == "factored.outer";
                let (n, first) = if whole { (array.len_of(Axis(0)), 0) } else { (n, first) };
                put(sink, $name, array, n, first)?;
            }
        };
    }
    each!(jet, put);
    Ok(())
}

/// Writes the first `n` rows of `array` as rows `first..` of the tensor `name`.
pub fn put<F: Element, S: Data<Elem = F>, D: RemoveAxis>(
    sink: &mut Sink,
    name: &str,
    array: &ArrayBase<S, D>,
    n: usize,
    first: usize,
) -> Result<(), Failure> {
    let rows = array.slice_axis(Axis(0), Slice::from(..n));
    let rows = rows.as_standard_layout();
    sink.write(name, first, rows.as_slice().expect("in standard layout"))
}
