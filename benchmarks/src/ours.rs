//! The worker's cases for hessquik itself.
use crate::case::Results;
use crate::{Answer, Case, Points};
use hessquik::{Evaluate, Gradients, Init, Jet, JetMut, JetView, Layer, Network, Real, Request, Single, resnet};
use ndarray::{Array1, Array2, ArrayView, ArrayViewMut, Axis, Dimension, Zip};
use serde_json::{Value, json};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// What a call computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Value, gradient and Hessian.
    Hessian,
    /// Value, gradient and Laplacian.
    Laplacian,
    /// Half the mean squares of value, gradient and Hessian, added up, and their gradients to all weights.
    Training,
    /// `u_xxx` of u(t, x).
    Kdv,
    /// `u_xxxx` of u(t, x).
    Beam,
    /// The bilaplacian.
    Bilaplacian,
    /// Half the mean square of `u_t + u u_x + u_xx + u_xxxx`, of u(t, x), and its gradient to all weights.
    Kuramoto,
    /// The Laplacian alone.
    Trace,
}

impl Kind {
    /// The kind of this name.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name {
            "hessian" => Ok(Self::Hessian),
            "laplacian" => Ok(Self::Laplacian),
            "training" => Ok(Self::Training),
            "kdv" => Ok(Self::Kdv),
            "beam" => Ok(Self::Beam),
            "bilaplacian" => Ok(Self::Bilaplacian),
            "kuramoto" => Ok(Self::Kuramoto),
            "trace" => Ok(Self::Trace),
            other => Err(format!("unknown kind {other:?}")),
        }
    }

    /// What is asked for.
    pub fn request<F: Real>(self) -> Request<F> {
        let request = Request::new();
        match self {
            Self::Laplacian => request.value().gradient().laplacian(),
            Self::Hessian | Self::Training => request.value().gradient().hessian(),
            Self::Kdv => request.any_partials(&[[1, 1, 1]]),
            Self::Beam => request.any_partials(&[[1, 1, 1, 1]]),
            Self::Bilaplacian => request.bilaplacian(),
            Self::Kuramoto => request.value().any_partials(&[&[0][..], &[1], &[1, 1], &[1, 1, 1, 1]]),
            Self::Trace => request.laplacian(),
        }
    }

    /// Whether a call is a training step.
    pub(crate) fn trains(self) -> bool {
        matches!(self, Self::Training | Self::Kuramoto)
    }

    /// Whether results are one array, which goes by the name `result`.
    fn single(self) -> bool {
        matches!(self, Self::Kdv | Self::Beam | Self::Bilaplacian | Self::Trace)
    }
}

/// A network at points.
pub struct OursCase<F> {
    pub(crate) points: Points<F>,
    pub(crate) kind: Kind,
    pub(crate) request: Request<F>,
    lent: Jet<F>,
    /// The weights, which a training step gets anew: those of the next step are others.
    theta: Array1<F>,
}

/// Half the squares of `f`, times `scale`, and their derivatives.
fn half_squares<F: Real, D: Dimension>(
    f: Option<&ArrayView<F, D>>,
    bar: Option<&mut ArrayViewMut<F, D>>,
    scale: F,
) -> F {
    let (Some(f), Some(bar)) = (f, bar) else { return F::zero() };
    let mut sum = F::zero();
    Zip::from(bar).and(f).for_each(|bar, &f| {
        *bar = scale * f;
        sum += f * f;
    });
    F::of(0.5) * scale * sum
}

impl<F: Real> OursCase<F> {
    /// A case of this kind.
    pub fn new(points: Points<F>, kind: Kind) -> Result<Self, Box<dyn Error>> {
        let request = kind.request();
        let rows = if kind.trains() { 0 } else { points.x.nrows() };
        let lent = points.network.zeros(rows, &request)?;
        let theta = points.network.flat_weights();
        Ok(Self { points, kind, request, lent, theta })
    }

    /// A call in fresh arrays.
    pub fn fresh(&self, request: &Request<F>) -> Result<Jet<F>, hessquik::Error> {
        self.points.network.evaluate(&self.points.x, request)
    }

    /// A call into arrays that were lent before.
    pub fn lent(&mut self, request: &Request<F>) -> Result<(), hessquik::Error> {
        self.points.network.evaluate_into(&self.points.x, request, self.lent.view_mut())
    }

    /// A training step's loss and gradients.
    pub fn training(&self, request: &Request<F>) -> Result<(F, Gradients<F>), hessquik::Error> {
        if self.kind == Kind::Kuramoto {
            return self.kuramoto(request);
        }
        let (ns, d, m) = (self.points.x.nrows(), self.points.x.ncols(), self.points.network.dim_output());
        let over = |n: usize| F::one() / F::of((ns * n) as f64);
        let loss = |_: std::ops::Range<usize>, jet: &JetView<F>, bar: &mut JetMut<F>| {
            half_squares(jet.value.as_ref(), bar.value.as_mut(), over(m))
                + half_squares(jet.gradient.as_ref(), bar.gradient.as_mut(), over(d * m))
                + half_squares(jet.hessian.as_ref(), bar.hessian.as_mut(), over(d * d * m))
        };
        self.points.network.loss_gradients(&self.points.x, request, loss)
    }

    /// The loss of the Kuramoto-Sivashinsky equation and its gradients.
    fn kuramoto(&self, request: &Request<F>) -> Result<(F, Gradients<F>), hessquik::Error> {
        let scale = F::one() / F::of(self.points.x.nrows() as f64);
        let loss = |points: std::ops::Range<usize>, jet: &JetView<F>, bar: &mut JetMut<F>| {
            let (Some(u), Some(partials)) = (&jet.value, &jet.partials) else { return F::zero() };
            let (Some(u_bar), Some(bars)) = (&mut bar.value, &mut bar.partials) else { return F::zero() };
            let mut sum = F::zero();
            for s in 0..points.len() {
                let of = |i: usize| partials[[s, i, 0]];
                let residual = of(0) + u[[s, 0]] * of(1) + of(2) + of(3);
                let slope = scale * residual;
                u_bar[[s, 0]] = slope * of(1);
                let each = [slope, slope * u[[s, 0]], slope, slope];
                each.into_iter().enumerate().for_each(|(i, e)| bars[[s, i, 0]] = e);
                sum += residual * residual;
            }
            F::of(0.5) * scale * sum
        };
        self.points.network.loss_gradients(&self.points.x, request, loss)
    }

    /// One call with this request, as the case's kind has it, into lent arrays where there are outputs.
    pub(crate) fn with(&mut self, request: &Request<F>) -> Result<(), hessquik::Error> {
        match self.kind.trains() {
            true => black_box(self.training(request)).map(drop),
            false => self.lent(request),
        }
    }

    /// The plan of the case and what it costs.
    fn explain(&self) -> Answer {
        let points = self.points.x.nrows();
        let explanation = self.points.network.explain(points, &self.request)?;
        let chosen = &explanation.results[0].1[0];
        // the reverse of a product is two products of its size
        let passes = if self.kind.trains() { 3.0 } else { 1.0 };
        Ok(json!({
            "plan": chosen.plan.to_string(),
            "flops": passes * chosen.cost.flops * points as f64,
            "predicted": chosen.seconds,
            "tile": explanation.tile,
        }))
    }
}

impl OursCase<f32> {
    /// A million points streamed: seconds, and the peak memory of this process.
    pub(crate) fn stream() -> Answer {
        let init = &mut Init::seed(0);
        let act = hessquik::Activation::Tanh;
        let network = Network::<f32>::new(vec![
            Box::new(Single::new(2, 20, act.clone(), init)),
            Box::new(resnet(20, 8, 1.0, act, init)?),
            Box::new(Single::new(20, 1, hessquik::Activation::Identity, init)),
        ])?;
        let x: Array2<f32> = init.uniform((1_000_000, 2), -1.0, 1.0);
        let (before, mut largest) = (Instant::now(), 0f32);
        network.stream(&x, &Kind::Hessian.request(), |_, jet| {
            largest = jet.hessian.iter().flatten().fold(largest, |m, h| m.max(h.abs()));
            Ok::<(), hessquik::Error>(())
        })?;
        let seconds = before.elapsed().as_secs_f64();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        Ok(
            json!({ "points": x.nrows(), "seconds": seconds, "peak_mb": kib.map(|k| k * 1024.0 / 1e6), "largest": largest }),
        )
    }
}

impl<F: Real> Case for OursCase<F> {
    fn modes(&self) -> Vec<&'static str> {
        if self.kind.trains() { vec!["fresh"] } else { vec!["fresh", "lent"] }
    }

    fn call(&mut self, mode: &str) -> Result<(), Box<dyn Error>> {
        match (self.kind.trains(), mode) {
            (true, _) => {
                self.points.network.set_flat_weights(self.theta.view())?;
                drop(black_box(self.training(&self.request)?));
            }
            (_, "fresh") => drop(black_box(self.fresh(&self.request)?)),
            _ => self.points.network.evaluate_into(&self.points.x, &self.request, self.lent.view_mut())?,
        }
        Ok(())
    }

    fn save(&mut self, mode: &str, out: &str) -> Result<(), Box<dyn Error>> {
        let mut results = Results::default();
        if self.kind.trains() {
            let (loss, gradients) = self.training(&self.request)?;
            results.add("loss", ndarray::arr0(loss).into_dyn().view());
            for (name, array) in self.points.network.by_name(gradients.weights.view())? {
                results.add(format!("weights.{name}"), array.view());
            }
            return results.write(out);
        }
        self.call(mode)?;
        let fresh;
        let jet = if mode == "fresh" {
            fresh = self.fresh(&self.request)?;
            &fresh
        } else {
            &self.lent
        };
        // in memory order, outputs right after samples
        let axes = |n: usize| [0, n - 1].into_iter().chain(1..n - 1).collect::<Vec<_>>();
        let fields = [
            ("value", jet.value.as_ref().map(|a| a.view().into_dyn())),
            ("gradient", jet.gradient.as_ref().map(|a| a.view().into_dyn())),
            ("hessian", jet.hessian.as_ref().map(|a| a.view().into_dyn())),
            ("laplacian", jet.laplacian.as_ref().map(|a| a.view().into_dyn())),
            ("bilaplacian", jet.bilaplacian.as_ref().map(|a| a.view().into_dyn())),
            // one partial: its axis goes
            ("partials", jet.partials.as_ref().map(|a| a.index_axis(Axis(1), 0).into_dyn())),
        ];
        for (name, array) in fields {
            if let Some(array) = array {
                let n = array.ndim();
                let name = if self.kind.single() { "result" } else { name };
                results.add(name, array.permuted_axes(axes(n)));
            }
        }
        results.write(out)
    }

    fn other(&mut self, op: &str, request: &Value) -> Answer {
        match op {
            "explain" => self.explain(),
            "sweep" => crate::sweep::sweep(self, request),
            other => Err(format!("unknown op {other:?}").into()),
        }
    }
}
