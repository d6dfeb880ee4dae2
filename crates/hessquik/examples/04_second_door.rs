//! A layer that is not linear - pointwise - linear: a layer norm, given by the five operations of a smooth map.
//!
//! `y = (u - mean) / s` with `s^2 = variance + eps`. It is the gradient of `phi(u) = n s`, so its Jacobian
//! `J = P / s - y y^T / (n s)` (P takes off the mean) is symmetric; the rest follows by the product rule.
use hessquik::check::{Options, input_derivative_check, network_derivative_check};
use hessquik::{Activation, Error, Init, Layer, LogSumExp, Network, Parts, Single, SmoothMap};
use ndarray::{Array1, Array2, Array3, Array4, ArrayView1, ArrayView2, ArrayView3, ArrayView4, Axis, s};
use std::sync::Arc;

#[derive(Clone, Debug)]
struct LayerNorm {
    features: usize,
    eps: f64,
}

impl LayerNorm {
    /// `y` and `s` at one sample.
    fn normalised(&self, u: ArrayView1<f64>) -> (Array1<f64>, f64) {
        let centred = &u - u.mean().unwrap_or(0.0);
        let scale = (centred.mapv(|c| c * c).mean().unwrap_or(0.0) + self.eps).sqrt();
        (centred / scale, scale)
    }

    /// `J a` at one sample.
    fn jacobian(y: &Array1<f64>, scale: f64, a: ArrayView1<f64>) -> Array1<f64> {
        (&a - a.mean().unwrap_or(0.0) - y * (y.dot(&a) / y.len() as f64)) / scale
    }
}

impl SmoothMap<f64> for LayerNorm {
    fn dim_input(&self) -> usize {
        self.features
    }
    fn dim_output(&self) -> usize {
        self.features
    }
    fn value(&self, u: ArrayView2<f64>) -> Array2<f64> {
        let mut out = Array2::zeros(u.dim());
        out.rows_mut().into_iter().zip(u.rows()).for_each(|(mut o, u)| o.assign(&self.normalised(u).0));
        out
    }
    fn tangent(&self, u: ArrayView2<f64>, t: ArrayView3<f64>) -> Array3<f64> {
        let mut out = Array3::zeros(t.dim());
        for (i, u) in u.rows().into_iter().enumerate() {
            let (y, scale) = self.normalised(u);
            for (mut o, t) in out.slice_mut(s![i, .., ..]).rows_mut().into_iter().zip(t.slice(s![i, .., ..]).rows()) {
                o.assign(&Self::jacobian(&y, scale, t));
            }
        }
        out
    }
    fn adjoint(&self, u: ArrayView2<f64>, g: ArrayView3<f64>) -> Array3<f64> {
        self.tangent(u, g) // J is symmetric
    }
    fn curvature(&self, u: ArrayView2<f64>, a: ArrayView3<f64>, b: ArrayView3<f64>, g: ArrayView3<f64>) -> Array4<f64> {
        // with Ja, Jb, Jg: g . D2y[a, b] = -[(y.a)(g.Jb) + (y.b)(g.Ja) + (y.g)(a.Jb)] / (n s), symmetric in all three
        let mut out = Array4::zeros((u.nrows(), a.dim().1, b.dim().1, g.dim().1));
        for ((i, j, k, r), o) in out.indexed_iter_mut() {
            let (y, scale) = self.normalised(u.row(i));
            let (a, b, g) = (a.slice(s![i, j, ..]), b.slice(s![i, k, ..]), g.slice(s![i, r, ..]));
            let (ja, jb) = (Self::jacobian(&y, scale, a), Self::jacobian(&y, scale, b));
            *o = -(y.dot(&a) * g.dot(&jb) + y.dot(&b) * g.dot(&ja) + y.dot(&g) * a.dot(&jb)) / (y.len() as f64 * scale);
        }
        out
    }
    fn curvature_pullback(
        &self,
        u: ArrayView2<f64>,
        a: ArrayView3<f64>,
        b: ArrayView3<f64>,
        g: ArrayView3<f64>,
        weight: ArrayView4<f64>,
    ) -> Array2<f64> {
        // the derivative of the curvature along each unit vector e, with D(1/s) = -y/(n s^2) and D y = J:
        // D[(y.a)(g.Jb)/s] = (e.Ja)(g.Jb)/s + (y.a)(g.D2y[b, e])/s - (y.a)(g.Jb)(y.e)/(n s^2)
        let mut out = Array2::zeros(u.dim());
        let unit = Array2::<f64>::eye(self.features).insert_axis(Axis(0));
        for ((i, j, k, r), &w) in weight.indexed_iter() {
            let u = u.slice(s![i..i + 1, ..]);
            let (y, scale) = self.normalised(u.row(0));
            let n = y.len() as f64;
            let row = |x: &ArrayView3<f64>, j: usize| x.slice(s![i..i + 1, j..j + 1, ..]).to_owned();
            let triple = [row(&a, j), row(&b, k), row(&g, r)];
            let mut sum = Array1::zeros(self.features);
            for turn in 0..3 {
                let [p, q, z] = [0, 1, 2].map(|x| triple[(x + turn) % 3].view());
                let (pv, qv, zv) = (p.slice(s![0, 0, ..]), q.slice(s![0, 0, ..]), z.slice(s![0, 0, ..]));
                let zjq = Self::jacobian(&y, scale, qv).dot(&zv);
                let third = self.curvature(u, unit.view(), q, z).slice(s![0, .., 0, 0]).to_owned();
                sum = sum + Self::jacobian(&y, scale, pv) * zjq + third * y.dot(&pv)
                    - &y * (y.dot(&pv) * zjq / (n * scale));
            }
            let mut to = out.row_mut(i);
            to.scaled_add(-w / (n * scale), &sum);
        }
        out
    }
}

impl Layer<f64> for LayerNorm {
    fn name(&self) -> String {
        "layer_norm".into()
    }
    fn dim_input(&self) -> usize {
        self.features
    }
    fn dim_output(&self) -> usize {
        self.features
    }
    fn parts(&self) -> Parts<'_, f64> {
        Parts::Smooth(Arc::new(self.clone()))
    }
}

fn main() -> Result<(), Error> {
    let init = &mut Init::seed(0);
    let network = Network::new(vec![
        Box::new(Single::new(3, 8, Activation::Silu, init)),
        Box::new(LayerNorm { features: 8, eps: 1e-3 }),
        Box::new(Single::new(8, 5, Activation::Gelu, init)),
        Box::new(LogSumExp::new(5)),
    ])?;
    let x = Init::seed(1).uniform((10, 3), -1.0, 1.0);
    let inputs = input_derivative_check(&network, &x, &Options { hessian: true, ..Default::default() })?;
    let weights = network_derivative_check(&network, &x, &Options { hessian: true, ..Default::default() })?;
    println!("{inputs}\n{weights}");
    assert!(inputs.gradient && inputs.hessian == Some(true) && weights.gradient);
    Ok(())
}
