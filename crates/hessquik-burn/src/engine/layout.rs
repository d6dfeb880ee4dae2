//! Where each result stands in the one flat tensor of a call.
use crate::jets::Jets;
use burn::tensor::Tensor;
use hessquik::{Field, Jet, JetMut, JetView, Real};
use ndarray::{ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Dimension};

/// Where each result stands in the flat tensor: shapes without the sample axis, with the output axis first.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(super) fields: Vec<(Field, Vec<usize>)>,
}

/// Calls a macro with each result of a jet: its field, its member.
macro_rules! each_field {
    ($call:ident) => {
        $call!(Value value, Gradient gradient, Hessian hessian, Packed packed, Diagonal diagonal, Laplacian laplacian,
            Operator operator, Products products, Block block, Partials partials, Directional directional,
            Bilaplacian bilaplacian)
    };
}

impl Layout {
    /// From the results for no points.
    pub(crate) fn new<F: Real>(empty: &Jet<F>) -> Self {
        let mut fields = Vec::new();
        macro_rules! push {
            ($($field:ident $member:ident),*) => {$(
                if let Some(array) = &empty.$member {
                    // logical axes (n_s, ..., q) to those in memory (n_s, q, ...)
                    let shape = array.shape();
                    let q = shape[shape.len() - 1];
                    fields.push((Field::$field, [&[q], &shape[1..shape.len() - 1]].concat()));
                }
            )*};
        }
        each_field!(push);
        Self { fields }
    }

    /// Entries for one sample.
    pub(super) fn width(&self) -> usize {
        self.fields.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Results to be written in a flat slice.
    pub(super) fn split<'a, F: Real>(&self, samples: usize, flat: &'a mut [F]) -> JetMut<'a, F> {
        let (mut out, mut rest) = (JetMut::default(), flat);
        for (field, shape) in &self.fields {
            let (now, later) = rest.split_at_mut(samples * shape.iter().product::<usize>());
            rest = later;
            macro_rules! set {
                ($($name:ident $member:ident),*) => {
                    match field {
                        $(Field::$name => out.$member = Some(logical_mut(now, samples, shape)),)*
                        _ => unreachable!("no layout has others"),
                    }
                };
            }
            each_field!(set);
        }
        out
    }

    /// Cotangents that stand in a flat slice.
    pub(super) fn view<'a, F: Real>(&self, samples: usize, flat: &'a [F]) -> JetView<'a, F> {
        let (mut out, mut rest) = (JetView::default(), flat);
        for (field, shape) in &self.fields {
            let (now, later) = rest.split_at(samples * shape.iter().product::<usize>());
            rest = later;
            macro_rules! set {
                ($($name:ident $member:ident),*) => {
                    match field {
                        $(Field::$name => out.$member = Some(logical(now, samples, shape)),)*
                        _ => unreachable!("no layout has others"),
                    }
                };
            }
            each_field!(set);
        }
        out
    }

    /// The entries of a result in the order of their axes in memory, and of its cotangent if there is one.
    pub(super) fn entries<'a, F: Real>(
        &self,
        field: usize,
        jet: &'a JetView<'_, F>,
        bar: &'a mut JetMut<'_, F>,
    ) -> (ArrayViewD<'a, F>, Option<ArrayViewMutD<'a, F>>) {
        // axes (n_s, ..., q) to (n_s, q, ...)
        let axes = |rank: usize| std::iter::once(0).chain([rank - 1]).chain(1..rank - 1).collect::<Vec<_>>();
        macro_rules! find {
            ($($name:ident $member:ident),*) => {
                match self.fields[field].0 { $(Field::$name => {
                    let found = jet.$member.as_ref().expect("a result of the request").view().into_dyn();
                    let bar = bar.$member.as_mut().map(|b| b.view_mut().into_dyn());
                    (found.permuted_axes(axes(self.fields[field].1.len() + 1)),
                        bar.map(|b| b.permuted_axes(axes(self.fields[field].1.len() + 1))))
                })* _ => unreachable!("no layout has others") }
            };
        }
        each_field!(find)
    }

    /// Whether there are no results.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The results as tensors, views of the flat one.
    pub(crate) fn jets(&self, samples: usize, flat: Tensor<1>) -> Jets {
        let mut start = 0;
        self.gathered(samples, |_, len| {
            start += len;
            if len == 0 { flat.clone() } else { flat.clone().narrow(0, start - len, len) }
        })
    }

    /// The results from the entries of each, so many in the order of their axes in memory.
    pub(crate) fn gathered<const D: usize>(
        &self,
        samples: usize,
        mut entries: impl FnMut(Field, usize) -> Tensor<D>,
    ) -> Jets {
        let mut jets = Jets::default();
        for (field, shape) in &self.fields {
            let now = entries(*field, samples * shape.iter().product::<usize>());
            let two = || now.clone().reshape([samples, shape[0]]);
            let three = || now.clone().reshape([samples, shape[0], shape[1]]).permute([0, 2, 1]);
            let four = || now.clone().reshape([samples, shape[0], shape[1], shape[2]]).permute([0, 2, 3, 1]);
            match field {
                Field::Value => jets.value = Some(two()),
                Field::Laplacian => jets.laplacian = Some(two()),
                Field::Operator => jets.operator = Some(two()),
                Field::Bilaplacian => jets.bilaplacian = Some(two()),
                Field::Gradient => jets.gradient = Some(three()),
                Field::Packed => jets.packed = Some(three()),
                Field::Diagonal => jets.diagonal = Some(three()),
                Field::Partials => jets.partials = Some(three()),
                Field::Hessian => jets.hessian = Some(four()),
                Field::Products => jets.products = Some(four()),
                Field::Block => jets.block = Some(four()),
                Field::Directional => jets.directional = Some(four()),
                _ => unreachable!("no layout has others"),
            }
        }
        jets
    }
}

/// Axes (n_s, q, ...) in memory, (n_s, ..., q) in the view.
fn axes(rank: usize) -> Vec<usize> {
    std::iter::once(0).chain(2..rank).chain(std::iter::once(1)).take(rank).collect()
}

fn logical_mut<'a, F, D: Dimension>(flat: &'a mut [F], samples: usize, shape: &[usize]) -> ArrayViewMut<'a, F, D> {
    let shape = [&[samples], shape].concat();
    let array = ArrayViewMut::from_shape(shape.clone(), flat).expect("as many entries as the shape has");
    array.permuted_axes(axes(shape.len())).into_dimensionality().expect("the rank of the field")
}

fn logical<'a, F, D: Dimension>(flat: &'a [F], samples: usize, shape: &[usize]) -> ArrayView<'a, F, D> {
    let shape = [&[samples], shape].concat();
    let array = ArrayView::from_shape(shape.clone(), flat).expect("as many entries as the shape has");
    array.permuted_axes(axes(shape.len())).into_dimensionality().expect("the rank of the field")
}
