//! Comparison of jets: the worst entry relative to its sample, in words.
use hessquik::{Gradients, Jet, Layer, Network, Real};
use ndarray::{Array, ArrayD, Axis, Dimension};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// A jet with the same fields, each array `$a` of it replaced by `$body`.
macro_rules! map_fields {
    ($jet:expr, |$a:ident| $body:expr) => {
        ::hessquik::Jet {
            value: $jet.value.as_ref().map(|$a| $body),
            gradient: $jet.gradient.as_ref().map(|$a| $body),
            hessian: $jet.hessian.as_ref().map(|$a| $body),
            packed: $jet.packed.as_ref().map(|$a| $body),
            diagonal: $jet.diagonal.as_ref().map(|$a| $body),
            laplacian: $jet.laplacian.as_ref().map(|$a| $body),
            operator: $jet.operator.as_ref().map(|$a| $body),
            products: $jet.products.as_ref().map(|$a| $body),
            block: $jet.block.as_ref().map(|$a| $body),
            partials: $jet.partials.as_ref().map(|$a| $body),
            factored: None,
            ..Default::default()
        }
    };
}
pub(crate) use map_fields;

/// The arrays of a jet that are there, without their dimensions (the factored Hessian aside).
pub fn fields<F: Real>(jet: &Jet<F>) -> Vec<(&'static str, ArrayD<F>)> {
    fn dynamic<F: Real, D: Dimension>(a: &Option<Array<F, D>>) -> Option<ArrayD<F>> {
        a.as_ref().map(|a| a.clone().into_dyn())
    }
    let all = [
        ("value", dynamic(&jet.value)),
        ("gradient", dynamic(&jet.gradient)),
        ("hessian", dynamic(&jet.hessian)),
        ("packed", dynamic(&jet.packed)),
        ("diagonal", dynamic(&jet.diagonal)),
        ("laplacian", dynamic(&jet.laplacian)),
        ("operator", dynamic(&jet.operator)),
        ("products", dynamic(&jet.products)),
        ("block", dynamic(&jet.block)),
        ("partials", dynamic(&jet.partials)),
    ];
    all.into_iter().filter_map(|(name, a)| a.map(|a| (name, a))).collect()
}

/// The worst relative error of a comparison, and where it is.
#[derive(Clone, Debug, Default)]
pub struct Worst {
    pub error: f64,
    pub place: String,
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1e} at {}", self.error, self.place)
    }
}

impl Worst {
    /// Takes over the worse of the two.
    pub fn join(&mut self, other: Self) {
        if other.error >= self.error || other.error.is_nan() {
            *self = other;
        }
    }

    /// Prints the worst error of a property test whenever there is a new one (shown with `--nocapture`).
    pub fn record(&self, test: &'static str) {
        static WORST: Mutex<BTreeMap<&str, f64>> = Mutex::new(BTreeMap::new());
        let mut worst = WORST.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let known = worst.entry(test).or_default();
        if self.error > *known {
            *known = self.error;
            println!("worst of {test}: {self}");
        }
    }

    /// Fails if the error is above `tolerance`, or no number.
    pub fn within(self, tolerance: f64, what: &dyn fmt::Display) -> Self {
        assert!(self.error <= tolerance, "{what}: relative error {self}, allowed {tolerance:.0e}");
        self
    }
}

/// `a` as f64, without its dimension.
pub fn as_f64<F: Real, D: Dimension>(a: &Array<F, D>) -> ArrayD<f64> {
    a.mapv(|a| a.as_f64()).into_dyn()
}

/// The worst entry of `found - wanted`, relative to the largest entry of `scale` of the same sample (first axis).
pub fn arrays(name: &str, found: &ArrayD<f64>, wanted: &ArrayD<f64>, scale: &ArrayD<f64>) -> Worst {
    assert_eq!(found.shape(), wanted.shape(), "shape of {name}");
    let mut worst = Worst { error: 0.0, place: format!("{name} (all entries equal)") };
    for (s, ((found, wanted), scale)) in
        found.axis_iter(Axis(0)).zip(wanted.axis_iter(Axis(0))).zip(scale.axis_iter(Axis(0))).enumerate()
    {
        let size = scale.iter().fold(1e-280, |m: f64, &a| m.max(a.abs())); // below are no digits left
        for ((at, &f), &w) in found.indexed_iter().zip(wanted.iter()) {
            let difference = (f - w).abs();
            // zero for zero is right; anything for zero, or no number at all, is infinitely wrong
            let error = if difference == 0.0 { 0.0 } else { difference / size };
            let error = if error.is_nan() { f64::INFINITY } else { error };
            if error > worst.error {
                let at = at.slice();
                worst = Worst { error, place: format!("{name}, point {s}, entry {at:?}: {f:e} for {w:e}") };
            }
        }
    }
    worst
}

/// The worst entry of all fields; both jets must have the same ones.
pub fn compare<F: Real>(found: &Jet<F>, wanted: &Jet<f64>, magnitude: &Jet<f64>) -> Worst {
    let names = |jet: &[(&'static str, ArrayD<f64>)]| jet.iter().map(|(n, _)| *n).collect::<Vec<_>>();
    let (found, wanted, magnitude) = (fields(&widened(found)), fields(wanted), fields(magnitude));
    assert_eq!(names(&found), names(&wanted), "results that are there");
    assert_eq!(names(&found), names(&magnitude));
    let mut worst = Worst { error: 0.0, place: "nothing".into() };
    for (((name, found), (_, wanted)), (_, magnitude)) in found.iter().zip(&wanted).zip(&magnitude) {
        worst.join(arrays(name, found, wanted, magnitude));
    }
    worst
}

/// `jet` in f64.
pub fn widened<F: Real>(jet: &Jet<F>) -> Jet<f64> {
    map_fields!(jet, |a| a.mapv(|a| a.as_f64()))
}

/// `jet` rounded to another precision.
pub fn narrowed<F: Real>(jet: &Jet<f64>) -> Jet<F> {
    map_fields!(jet, |a| a.mapv(F::of))
}

/// `jet` with the magnitude of every entry.
pub fn absolute(jet: &Jet<f64>) -> Jet<f64> {
    map_fields!(jet, |a| a.mapv(f64::abs))
}

/// The sum of products of all entries of two jets with the same fields.
pub fn inner(a: &Jet<f64>, b: &Jet<f64>) -> f64 {
    let (a, b) = (fields(a), fields(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|((_, a), (_, b))| (a * b).sum()).sum()
}

/// What a change in the sixth digit of everything is multiplied by, at a tolerance of 1e-4, to allow for thirty times the
/// rounding of single precision.
const SINGLE: f64 = 30.0 * f32::EPSILON as f64 / 1e-6 / 1e-4;

/// What single precision is to be measured against: `magnitude`, and where the network is badly conditioned what
/// rounding changes (`wanted` to each of `moved`, see [`jostled`](super::jostled)), and what underflows.
pub fn single_scale(magnitude: &Jet<f64>, wanted: &Jet<f64>, moved: &[Jet<f64>]) -> Jet<f64> {
    fn add<D: Dimension>(a: &mut Array<f64, D>, change: ArrayD<f64>) {
        *a += &change.into_dimensionality::<D>().unwrap();
    }
    let mut out = magnitude.clone();
    for moved in moved {
        let (from, to, mut at) = (fields(wanted), fields(moved), 0);
        macro_rules! widen {
            ($($field:ident),*) => {$(
                if let Some(a) = &mut out.$field {
                    add(a, (&from[at].1 - &to[at].1).mapv(|c| SINGLE * c.abs() + 1e-30));
                    at += 1;
                }
            )*};
        }
        widen!(value, gradient, hessian, packed, diagonal, laplacian, operator, products, block, partials);
        assert_eq!(at, from.len());
    }
    out
}

/// The worst entry of two gradients, relative to the largest of the same weight (or a thousandth of the largest of
/// all), and to the largest of the same point.
pub fn gradients<F: Real>(network: &Network<F>, found: &Gradients<F>, wanted: &Gradients<f64>) -> Worst {
    gradients_within(network, found, wanted, &[])
}

/// The same in single precision, with allowances as in [`single_scale`].
pub fn gradients_within<F: Real>(
    network: &Network<F>,
    found: &Gradients<F>,
    wanted: &Gradients<f64>,
    moved: &[Gradients<f64>],
) -> Worst {
    let change = |of: fn(&Gradients<f64>) -> ArrayD<f64>| {
        let each = moved.iter().map(|moved| (of(moved) - of(wanted)).mapv(|c| SINGLE * c.abs() + 1e-30));
        each.fold(of(wanted) * 0.0, |sum, change| sum + change)
    };
    assert_eq!((found.weights.len(), found.input.dim()), (wanted.weights.len(), wanted.input.dim()));
    let floor = 1e-3 * wanted.weights.iter().chain(&wanted.input).fold(0.0, |m: f64, a| m.max(a.abs()));
    let block = |a: ndarray::ArrayView1<f64>| a.insert_axis(Axis(0)).into_dyn().into_owned();
    let mut worst = arrays(
        "gradient of x",
        &as_f64(&found.input),
        &wanted.input.clone().into_dyn(),
        &(wanted.input.mapv(|a| a.abs() + floor) + change(|g| g.input.clone().into_dyn())),
    );
    let change = change(|g| g.weights.clone().into_dyn()).into_dimensionality().unwrap();
    let mut start = 0;
    for (name, w) in network.weights() {
        let range = start..start + w.len();
        let of = |a: &ndarray::Array1<f64>| block(a.slice(ndarray::s![range.clone()]));
        let wanted = of(&wanted.weights);
        let scale = wanted.mapv(|a| a.abs() + floor) + of(&change);
        worst.join(arrays(&format!("gradient of {name}"), &of(&found.weights.mapv(|a| a.as_f64())), &wanted, &scale));
        start = range.end;
    }
    assert_eq!(start, found.weights.len());
    worst
}
