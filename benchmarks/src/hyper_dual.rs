//! The peer in Rust: hyper-dual numbers of `num-dual`, one point and one pair of directions at a time.
use crate::case::Results;
use crate::{Case, Kind, Points};
use hessquik::{ActivationSpec, Architecture, Layer, Real};
use ndarray::{Array2, Array3, Array4};
use num_dual::{DualNum, HyperDual};
use std::error::Error;
use std::hint::black_box;

/// More evaluations of an entry of a weight matrix than this are too many to wait for: some two seconds.
const MOST: f64 = 2.5e8;

/// A real number that there are hyper-dual numbers of.
pub trait Dualisable: Real {
    /// Those.
    type Dual: DualNum<Primitive = Self> + Copy;
    /// A coordinate, and whether it is that of the first and of the second direction.
    fn seed(x: Self, first: bool, second: bool) -> Self::Dual;
    /// Value, first derivative along the first direction, and the mixed second derivative.
    fn read(dual: Self::Dual) -> [Self; 3];
}

macro_rules! dualisable {
    ($real:ty) => {
        impl Dualisable for $real {
            type Dual = HyperDual<$real>;
            fn seed(x: Self, first: bool, second: bool) -> Self::Dual {
                HyperDual::new(x, first.into(), second.into(), 0.0)
            }
            fn read(dual: Self::Dual) -> [Self; 3] {
                [dual.re, dual.eps1, dual.eps1eps2]
            }
        }
    };
}
dualisable!(f32);
dualisable!(f64);

/// One layer of plain vectors: rows of weights for each output.
struct Plain<F> {
    rows: Vec<Vec<F>>,
    bias: Vec<F>,
    act: ActivationSpec,
    /// The step of a residual layer.
    skip: Option<F>,
}

/// A network of single and residual layers at points.
pub struct HyperDualCase<F> {
    layers: Vec<Plain<F>>,
    x: Array2<F>,
    outputs: usize,
    kind: Kind,
}

/// Value (n_s, m), gradient (n_s, m, d), Hessian (n_s, m, d, d) and Laplacian (n_s, m).
struct Jets<F> {
    value: Array2<F>,
    gradient: Array3<F>,
    hessian: Array4<F>,
    laplacian: Array2<F>,
}

fn flatten<F: Real>(
    architecture: &Architecture,
    prefix: &str,
    points: &Points<F>,
    layers: &mut Vec<Plain<F>>,
) -> Result<(), Box<dyn Error>> {
    let (act, skip, inner) = match architecture {
        Architecture::Network { layers: inner } => {
            for (i, layer) in inner.iter().enumerate() {
                flatten(layer, &format!("{prefix}{i}."), points, layers)?;
            }
            return Ok(());
        }
        Architecture::Single { act, bias: true, .. } => (act, None, ""),
        Architecture::Resnet { act, bias: true, h, .. } => (act, Some(F::of(*h)), "layer."),
        _ => return Err("only single and residual layers are written in hyper-dual numbers".into()),
    };
    let k = points.network.weight(&format!("{prefix}{inner}K"))?;
    let b = points.network.weight(&format!("{prefix}{inner}b"))?;
    let rows = (0..k.shape()[1]).map(|o| (0..k.shape()[0]).map(|i| k[[i, o]]).collect()).collect();
    layers.push(Plain { rows, bias: b.iter().copied().collect(), act: *act, skip });
    Ok(())
}

fn activate<T: DualNum<Primitive = F> + Copy, F: Real>(act: &ActivationSpec, z: T) -> Result<T, String> {
    Ok(match act {
        ActivationSpec::Identity => z,
        ActivationSpec::Tanh => z.tanh(),
        ActivationSpec::AntiTanh => z.cosh().ln(),
        other => return Err(format!("{other:?} is not written in hyper-dual numbers")),
    })
}

impl<F: Dualisable> HyperDualCase<F> {
    /// A case of this kind.
    pub fn new(points: Points<F>, kind: Kind) -> Result<Self, Box<dyn Error>> {
        let architecture = points.network.architecture().ok_or("a file's network has an architecture")?;
        let mut layers = Vec::new();
        flatten(&architecture, "", &points, &mut layers)?;
        let (ns, d) = (points.x.nrows() as f64, points.x.ncols() as f64);
        let pairs = if kind == Kind::Laplacian { d } else { d * (d + 1.0) / 2.0 };
        let entries: usize = layers.iter().flat_map(|l: &Plain<F>| &l.rows).map(Vec::len).sum();
        if !matches!(kind, Kind::Hessian | Kind::Laplacian) {
            return Err("hyper-dual numbers have neither gradients of weights nor higher orders".into());
        }
        if ns * pairs * entries as f64 > MOST {
            return Err("takes more than about two seconds a call".into());
        }
        let outputs = points.network.dim_output();
        Ok(Self { layers, x: points.x, outputs, kind })
    }

    /// The network along one pair of directions; `u` and `z` are room to work in.
    fn apply(&self, u: &mut Vec<F::Dual>, z: &mut Vec<F::Dual>) -> Result<(), String> {
        for layer in &self.layers {
            z.clear();
            for (o, (row, &b)) in layer.rows.iter().zip(&layer.bias).enumerate() {
                let sum = row.iter().zip(u.iter()).fold(F::Dual::from(b), |sum, (&k, &u)| sum + u * k);
                let f = activate(&layer.act, sum)?;
                z.push(layer.skip.map_or(f, |h| u[o] + f * h));
            }
            std::mem::swap(u, z);
        }
        Ok(())
    }

    fn jets(&self) -> Result<Jets<F>, String> {
        let ((ns, d), m) = (self.x.dim(), self.outputs);
        let full = self.kind == Kind::Hessian;
        let mut jets = Jets {
            value: Array2::zeros((ns, m)),
            gradient: Array3::zeros((ns, m, d)),
            hessian: if full { Array4::zeros((ns, m, d, d)) } else { Array4::zeros((0, m, d, d)) },
            laplacian: Array2::zeros((ns, m)),
        };
        let (mut u, mut z) = (Vec::new(), Vec::new());
        for s in 0..ns {
            for a in 0..d {
                for b in a..if full { d } else { a + 1 } {
                    u.clear();
                    u.extend(self.x.row(s).iter().enumerate().map(|(i, &x)| F::seed(x, i == a, i == b)));
                    self.apply(&mut u, &mut z)?;
                    for (r, &dual) in u.iter().enumerate() {
                        let [value, first, second] = F::read(dual);
                        jets.value[[s, r]] = value;
                        jets.gradient[[s, r, a]] = first;
                        if full {
                            jets.hessian[[s, r, a, b]] = second;
                            jets.hessian[[s, r, b, a]] = second;
                        } else {
                            jets.laplacian[[s, r]] += second;
                        }
                    }
                }
            }
        }
        Ok(jets)
    }
}

impl<F: Dualisable> Case for HyperDualCase<F> {
    fn modes(&self) -> Vec<&'static str> {
        vec!["hyper-dual"]
    }

    fn call(&mut self, _: &str) -> Result<(), Box<dyn Error>> {
        drop(black_box(self.jets()?));
        Ok(())
    }

    fn save(&mut self, _: &str, out: &str) -> Result<(), Box<dyn Error>> {
        let jets = self.jets()?;
        let mut results = Results::default();
        results.add("value", jets.value.view().into_dyn());
        results.add("gradient", jets.gradient.view().into_dyn());
        match self.kind {
            Kind::Hessian => results.add("hessian", jets.hessian.view().into_dyn()),
            _ => results.add("laplacian", jets.laplacian.view().into_dyn()),
        }
        results.write(out)
    }
}
