//! Where results go: lent arrays of any strides, chunks, and the order in memory.
use crate::common;
use crate::requests::{LIMITS, mixed};
use common::compare::{arrays, fields};
use common::{Ask, network, points, random};
use hessquik::{Error, Evaluate, Jet, JetMut, Request};
use ndarray::{Array, Array2, Array4, ArrayViewMut, Axis, Dimension, Ix2, Ix3, Ix4, SliceInfoElem};
use proptest::prelude::*;
use std::ops::Range;

proptest! {
    #![proptest_config(random::config(160))]

    /// Lent arrays of any strides get the same numbers, and nothing is written beside them.
    #[test]
    fn lent_arrays(
        drawn in random::networks(LIMITS),
        wish in random::wishes(),
        n_s in 0usize..=5,
        layout in any::<u64>(),
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        let ask = wish.ask(drawn.d, drawn.m);
        let wanted = net.evaluate(&x, &ask.request()).unwrap();
        let mut lent = Lent::like(&wanted, layout);
        net.evaluate_into(&x, &ask.request(), lent.jet()).unwrap();
        lent.check(&wanted);
    }

    /// Chunks come in order, cover all points, and hold what one evaluation gives.
    #[test]
    fn stream_is_evaluate_in_chunks(
        drawn in random::networks(LIMITS),
        wish in random::wishes(),
        n_s in prop_oneof![0usize..=4, 100usize..=3000],
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        let ask = wish.ask(drawn.d, drawn.m);
        let whole = net.evaluate(&x, &ask.request()).unwrap();
        let mut next = 0;
        net.stream(&x, &ask.request(), |range: Range<usize>, jet: &Jet<f64>| -> Result<(), Error> {
            assert_eq!(range.start, next);
            next = range.end;
            for ((name, part), (_, all)) in fields(jet).iter().zip(fields(&whole)) {
                let all = all.slice_axis(Axis(0), range.clone().into()).to_owned();
                arrays(name, part, &all, &all.mapv(|a| a.abs() + 1e-3)).within(1e-10, &"chunk");
            }
            assert_eq!(fields(jet).len(), fields(&whole).len());
            Ok(())
        }).unwrap();
        prop_assert_eq!(next, n_s);
    }
}

/// Several chunks, the last one short: one, two, and two and a third of the chunks that the library chooses.
#[test]
fn streams_of_several_chunks() {
    let (architecture, d, _) = mixed();
    let net = network::<f64>(&architecture, 30);
    for ask in [Ask { value: true, ..Ask::default() }, Ask { laplacian: true, ..Ask::jet() }, Ask::everything(31, d, d)]
    {
        let request = ask.request();
        let one = points::<f64>(32, 1, d);
        let mut chunk = 0;
        let stopped = net.stream(&one.broadcast((1 << 40, d)).unwrap(), &request, |range, _| {
            chunk = range.len();
            Err(Error::Request("enough".into()))
        });
        assert!(stopped.is_err() && (1..100_000).contains(&chunk), "chunks of {chunk}");
        for n_s in [chunk, chunk + 1, 2 * chunk, 2 * chunk + chunk / 3 + 1] {
            let x = points::<f64>(33, n_s, d);
            let whole = net.evaluate(&x, &request).unwrap();
            let mut ranges = Vec::new();
            let consume = |range: Range<usize>, jet: &Jet<f64>| {
                for ((name, part), (_, all)) in fields(jet).iter().zip(fields(&whole)) {
                    let all = all.slice_axis(Axis(0), range.clone().into());
                    assert!(part == all, "{name} of {range:?} among {n_s}");
                }
                ranges.push(range);
                Ok::<_, Error>(())
            };
            net.stream(&x, &request, consume).unwrap();
            assert_eq!(ranges.len(), n_s.div_ceil(chunk));
            assert_eq!(ranges.into_iter().flatten().count(), n_s);
        }
    }
}

/// An array inside a larger one filled with a sentinel: axes permuted, steps of 1 to 3, some of them backwards.
struct Inside<D: Dimension> {
    memory: Array<f64, D>,
    order: Vec<usize>,
    slices: Vec<SliceInfoElem>,
}

const UNTOUCHED: f64 = -7.625e300;

impl<D: Dimension> Inside<D> {
    fn like(wanted: &Array<f64, D>, layout: u64) -> Self {
        let n = wanted.ndim();
        let mut order: Vec<usize> = (0..n).collect();
        order.rotate_left(layout as usize % n);
        if layout & 16 != 0 {
            order.swap(0, n - 1);
        }
        let (mut shape, mut slices) = (wanted.raw_dim(), Vec::new());
        for (axis, &of) in order.iter().enumerate() {
            let bits = (layout >> (8 + 4 * axis)) as usize;
            let (step, margin, len) = (1 + bits % 3, (bits >> 2) & 1, wanted.shape()[of]);
            shape[axis] = len * step + 2 * margin;
            let (start, end) = (margin as isize, (margin + len * step) as isize);
            let step = if bits & 8 != 0 { -(step as isize) } else { step as isize };
            slices.push(SliceInfoElem::Slice { start, end: Some(end), step });
        }
        Self { memory: Array::from_elem(shape, UNTOUCHED), order, slices }
    }

    fn view(&mut self) -> ArrayViewMut<'_, f64, D> {
        let mut view = self.memory.view_mut();
        for (axis, slice) in self.slices.iter().enumerate() {
            let SliceInfoElem::Slice { start, end, step } = *slice else { unreachable!() };
            view.slice_axis_inplace(Axis(axis), ndarray::Slice { start, end, step });
        }
        let mut axes = D::zeros(self.order.len());
        self.order.iter().enumerate().for_each(|(axis, &of)| axes[of] = axis);
        view.permuted_axes(axes)
    }

    fn check(mut self, name: &str, wanted: &Array<f64, D>) {
        let view = self.view();
        assert_eq!(view.shape(), wanted.shape(), "{name}");
        assert!(view == wanted.view(), "{name}: {view} for {wanted}");
        self.view().fill(UNTOUCHED);
        assert!(self.memory.iter().all(|&a| a == UNTOUCHED), "{name}: written beside the lent array");
    }
}

macro_rules! lent {
    ($($field:ident: $dim:ty),*) => {
        /// Lent arrays for all fields of a jet.
        struct Lent { $($field: Option<Inside<$dim>>),* }
        impl Lent {
            fn like(jet: &Jet<f64>, mut layout: u64) -> Self {
                $(
                    layout = layout.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let $field = jet.$field.as_ref().map(|a| Inside::like(a, layout));
                )*
                Self { $($field),* }
            }
            fn jet(&mut self) -> JetMut<'_, f64> {
                JetMut { $($field: self.$field.as_mut().map(|a| a.view()),)* factored: None, ..Default::default() }
            }
            fn check(self, wanted: &Jet<f64>) {
                $(if let (Some(lent), Some(wanted)) = (self.$field, &wanted.$field) {
                    lent.check(stringify!($field), wanted);
                })*
            }
        }
    };
}
lent!(
    value: Ix2, gradient: Ix3, hessian: Ix4, packed: Ix3, diagonal: Ix3, laplacian: Ix2, operator: Ix2, products: Ix4,
    block: Ix4, partials: Ix3
);

/// Lent arrays in standard order are filled like any other, although results stand in another order by themselves.
#[test]
fn lent_arrays_in_standard_order() {
    let (architecture, d, m) = mixed();
    let net = network::<f64>(&architecture, 8);
    let x = points::<f64>(9, 40, d);
    let jet = net.evaluate(&x, &Ask::jet().request()).unwrap();
    let (mut value, mut hessian) = (Array2::zeros((40, m)), Array4::zeros((40, d, d, m)));
    let out = JetMut { value: Some(value.view_mut()), hessian: Some(hessian.view_mut()), ..JetMut::default() };
    net.evaluate_into(&x, &Request::new().value().hessian(), out).unwrap();
    assert_eq!((Some(value), Some(hessian)), (jet.value, jet.hessian));
}

/// In memory the output axis stands right after the sample axis, and each Hessian is one block.
#[test]
fn memory_layout() {
    let (architecture, d, m) = mixed();
    let net = network::<f64>(&architecture, 8);
    let ask = Ask::everything(1, d, d);
    let jet = net.evaluate(&points::<f64>(9, 6, d), &ask.request()).unwrap();
    let (m, d) = (m as isize, d as isize);
    assert_eq!(jet.hessian.unwrap().strides(), [m * d * d, d, 1, d * d]);
    assert_eq!(jet.gradient.unwrap().strides(), [m * d, 1, d]);
    assert_eq!(jet.value.unwrap().strides(), [m, 1]);
    assert_eq!(jet.packed.unwrap().strides(), [m * d * (d + 1) / 2, 1, d * (d + 1) / 2]);
}
