//! The layers that are their forward pass, entry by entry from the formulas of the papers: no variables, no graphs.
use super::oracle::{self, Named, Scalar, activation};
use hessquik::layer::Filter;
use hessquik::{ActivationSpec, Architecture};
use ndarray::ArrayD;
use std::f64::consts::TAU;

/// The weights of one layer.
struct Own<'a, T> {
    weights: &'a Named<T>,
    prefix: &'a str,
}

impl<T: Scalar> Own<'_, T> {
    fn get(&self, name: &str) -> &ArrayD<T> {
        &self.weights[&format!("{}{name}", self.prefix)]
    }

    /// `sum_i u_i K[i, o]`.
    fn map(&self, u: &[T], name: &str) -> Vec<T> {
        let k = self.get(name);
        assert_eq!(k.shape()[0], u.len(), "{name}");
        let out = |o| (0..u.len()).fold(T::zero(), |sum, i| sum + u[i] * k[[i, o]]);
        (0..k.shape()[1]).map(out).collect()
    }

    fn plus(&self, u: Vec<T>, name: &str) -> Vec<T> {
        u.into_iter().zip(self.get(name)).map(|(u, &b)| u + b).collect()
    }

    fn dense(&self, u: &[T], name: &str) -> Vec<T> {
        self.plus(self.map(u, &format!("{name}.K")), &format!("{name}.b"))
    }

    fn layer(&self, u: &[T], name: &str, act: &ActivationSpec) -> Vec<T> {
        self.dense(u, name).into_iter().map(|z| activation(act, z)).collect()
    }

    fn net(&self, architecture: &Architecture, name: &str, u: &[T]) -> Vec<T> {
        oracle::at(architecture, &format!("{}{name}.", self.prefix), self.weights, u)
    }
}

/// `z a + (1 - z) b`.
fn gate<T: Scalar>(z: &[T], a: &[T], b: &[T]) -> Vec<T> {
    (0..z.len()).map(|i| z[i] * a[i] + (-z[i] + 1.0) * b[i]).collect()
}

fn times<T: Scalar>(a: &[T], b: &[T]) -> Vec<T> {
    let at = |v: &[T], i: usize| if v.len() == 1 { v[0] } else { v[i] };
    (0..a.len().max(b.len())).map(|i| at(a, i) * at(b, i)).collect()
}

fn softplus<T: Scalar>(z: T) -> T {
    activation(&ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 }, z)
}

/// The sums of products of networks on slices of the point.
fn sums<T: Scalar>(own: &Own<T>, nets: &[(String, &Architecture)], u: &[T], outputs: usize) -> Vec<T> {
    let (mut product, mut rest) = (vec![T::one()], u);
    for (name, net) in nets {
        let (slice, after) = rest.split_at(inputs(net));
        product = times(&product, &own.net(net, name, slice));
        rest = after;
    }
    product.chunks(product.len() / outputs).map(|k| k.iter().fold(T::zero(), |sum, &p| sum + p)).collect()
}

fn inputs(architecture: &Architecture) -> usize {
    use hessquik::Layer;
    architecture.build::<f64>(&mut hessquik::Init::zeros()).expect("valid").dim_input()
}

/// One layer, by the formula that its paper has for it.
pub fn formula<T: Scalar>(architecture: &Architecture, prefix: &str, weights: &Named<T>, u: &[T]) -> Vec<T> {
    let own = Own { weights, prefix };
    match architecture {
        Architecture::Affine(s) => {
            let list = |list: &Option<Vec<f64>>, i: usize, none: f64| list.as_ref().map_or(none, |l| l[i]);
            let x: Vec<T> =
                (0..u.len()).map(|i| (u[i] - list(&s.input_mean, i, 0.0)) / list(&s.input_std, i, 1.0)).collect();
            let z = own.map(&x, "K");
            let z = if s.bias { own.plus(z, "b") } else { z };
            let restored = |(i, z): (usize, T)| z * list(&s.output_std, i, 1.0) + list(&s.output_mean, i, 0.0);
            z.into_iter().enumerate().map(restored).collect()
        }
        Architecture::Normalise(s) => (0..u.len())
            .map(|i| if s.inverse { u[i] * s.std[i] + s.mean[i] } else { (u[i] - s.mean[i]) / s.std[i] })
            .collect(),
        Architecture::Fourier(s) => {
            let y = match &s.matrix {
                Some(rows) => {
                    (0..s.frequencies).map(|o| (0..u.len()).fold(T::zero(), |sum, i| sum + u[i] * rows[i][o])).collect()
                }
                None => own.map(u, "B"),
            };
            y.iter().map(|&y| (y * TAU).cos()).chain(y.iter().map(|&y| (y * TAU).sin())).collect()
        }
        Architecture::Periodic(s) => {
            let mut out: Vec<T> = (0..u.len()).filter(|&i| s.periods[i].is_none()).map(|i| u[i]).collect();
            for wave in [T::cos as fn(&T) -> T, T::sin] {
                for (i, period) in s.periods.iter().enumerate() {
                    for k in 1..=s.harmonics {
                        out.extend(period.map(|p| wave(&(u[i] * (TAU * k as f64 / p)))));
                    }
                }
            }
            out
        }
        Architecture::ModifiedMlp(s) => {
            let (a, b) = (own.layer(u, "V", &s.act), own.layer(u, "U", &s.act));
            (0..s.depth).fold(own.layer(u, "in", &s.act), |h, i| gate(&own.layer(&h, &i.to_string(), &s.act), &a, &b))
        }
        Architecture::PirateNet(s) => {
            let (a, b) = (own.layer(u, "U", &s.act), own.layer(u, "V", &s.act));
            (0..s.depth).fold(u.to_vec(), |x, i| {
                let z = gate(&own.layer(&x, &format!("{i}.f"), &s.act), &a, &b);
                let z = gate(&own.layer(&z, &format!("{i}.g"), &s.act), &a, &b);
                let h = own.layer(&z, &format!("{i}.h"), &s.act);
                let alpha = vec![own.get(&format!("{i}.alpha"))[[0]]; x.len()];
                gate(&alpha, &h, &x)
            })
        }
        Architecture::LayerNorm(s) => u
            .chunks(s.features)
            .flat_map(|u| {
                let n = u.len() as f64;
                let mean = u.iter().fold(T::zero(), |sum, &u| sum + u) / n;
                let variance = u.iter().fold(T::zero(), |sum, &u| sum + (u - mean) * (u - mean)) / n;
                let size = (variance + s.eps).sqrt();
                let normed = |(i, &u): (usize, &T)| {
                    let z = (u - mean) / size;
                    if s.affine { z * own.get("g")[[i]] + own.get("b")[[i]] } else { z }
                };
                u.iter().enumerate().map(normed).collect::<Vec<_>>()
            })
            .collect(),
        Architecture::Attention(s) => {
            let dense = |u: &[T], matrix: &str, vector: &str| {
                let z = own.map(u, matrix);
                if s.bias { own.plus(z, vector) } else { z }
            };
            let rows = |matrix: &str, vector: &str| -> Vec<Vec<T>> {
                u.chunks(s.features).map(|u| dense(u, matrix, vector)).collect()
            };
            let k: Vec<Vec<T>> = u.chunks(s.features).map(|u| own.map(u, "K")).collect();
            let (q, v) = (rows("Q", "bq"), rows("V", "bv"));
            let size = s.features / s.heads;
            let mut out = Vec::new();
            for q in &q {
                let mut mixed = vec![T::zero(); s.features];
                for head in 0..s.heads {
                    let cols = head * size..(head + 1) * size;
                    let score = |j: usize| cols.clone().fold(T::zero(), |sum, c| sum + q[c] * k[j][c]);
                    // a single token has weight 1, without rounding
                    let e: Vec<T> = match s.tokens {
                        1 => vec![T::one()],
                        n => (0..n).map(|j| (score(j) / (size as f64).sqrt()).exp()).collect(),
                    };
                    let total = e.iter().fold(T::zero(), |sum, &e| sum + e);
                    for c in cols.clone() {
                        mixed[c] = (0..s.tokens).fold(T::zero(), |sum, j| sum + e[j] / total * v[j][c]);
                    }
                }
                out.extend(dense(&mixed, "O", "bo"));
            }
            out
        }
        Architecture::Mfn(s) => {
            let filter = |i: usize| {
                let phase = own.plus(own.map(u, &format!("{i}.omega")), &format!("{i}.phi"));
                let bell = |j: usize| match s.filter {
                    Filter::Fourier => T::one(),
                    Filter::Gabor => {
                        let mu = own.get(&format!("{i}.mu"));
                        let d = (0..u.len()).fold(T::zero(), |sum, c| sum + (u[c] - mu[[j, c]]) * (u[c] - mu[[j, c]]));
                        (own.get(&format!("{i}.gamma"))[[j]] * d * -0.5).exp()
                    }
                    other => panic!("no formula of {other:?} here"),
                };
                phase.iter().enumerate().map(|(j, z)| z.sin() * bell(j)).collect::<Vec<T>>()
            };
            (1..s.depth).fold(filter(0), |z, i| times(&own.dense(&z, &i.to_string()), &filter(i)))
        }
        Architecture::Picnn(s) => {
            let (x, y) = u.split_at(s.context);
            let (mut u, mut z) = (x.to_vec(), Vec::new());
            for i in 0..s.widths.len() {
                let name = |part: &str| format!("{i}.{part}");
                let convex = own.map(&times(y, &own.dense(&u, &name("yu"))), &name("y.K"));
                let mut sum: Vec<T> = own.dense(&u, &name("c")).iter().zip(convex).map(|(&a, b)| a + b).collect();
                if i > 0 {
                    let gate: Vec<T> = own.dense(&u, &name("zu")).into_iter().map(softplus).collect();
                    let k = own.get(&name("z.K"));
                    for (o, sum) in sum.iter_mut().enumerate() {
                        *sum += (0..z.len()).fold(T::zero(), |all, j| all + z[j] * gate[j] * softplus(k[[j, o]]));
                    }
                }
                if i + 1 < s.widths.len() {
                    sum = sum.into_iter().map(|z| activation(&s.act, z)).collect();
                    u = own.layer(&u, &name("u"), &s.context_act);
                }
                z = sum;
            }
            z
        }
        Architecture::DeepONet(s) => {
            let nets = [("branch".into(), &*s.branch), ("trunk".into(), &*s.trunk)];
            own.plus(sums(&own, &nets, u, s.outputs), "b")
        }
        Architecture::Separable(s) => {
            let nets: Vec<_> = s.factors.iter().enumerate().map(|(i, f)| (i.to_string(), f)).collect();
            sums(&own, &nets, u, s.outputs)
        }
        Architecture::Boundary(s) => {
            let mut factor = T::one();
            for (i, &x) in u.iter().enumerate() {
                factor *= match (s.lower[i], s.upper[i]) {
                    (Some(a), Some(b)) => (x - a) * (-x + b) * (4.0 / (b - a).powi(2)),
                    (Some(a), None) => x - a,
                    (None, Some(b)) => -x + b,
                    (None, None) => T::one(),
                };
            }
            let inner = times(&own.net(&s.net, "net", u), &[factor]);
            match &s.shift {
                Some(shift) => inner.into_iter().zip(own.net(shift, "shift", u)).map(|(a, b)| a + b).collect(),
                None => inner,
            }
        }
        Architecture::Along(s) => {
            // k + d + k d inputs
            let (k, d) = (s.directions, (u.len() - s.directions) / (s.directions + 1));
            let x = |i: usize| (0..k).fold(u[k + i], |sum, a| sum + u[a] * u[k + d + a * d + i]);
            own.net(&s.net, "net", &(0..d).map(x).collect::<Vec<T>>())
        }
        Architecture::Sum(s) => {
            let terms: Vec<Vec<T>> =
                s.terms.iter().enumerate().map(|(i, net)| own.net(net, &i.to_string(), u)).collect();
            let c = |i: usize| s.coefficients.as_ref().map_or(1.0, |c| c[i]);
            let at = |v: &[T], o: usize| if v.len() == 1 { v[0] } else { v[o] };
            let m = terms.iter().map(Vec::len).max().expect("a term");
            (0..m)
                .map(|o| terms.iter().enumerate().fold(T::zero(), |sum, (i, term)| sum + at(term, o) * c(i)))
                .collect()
        }
        Architecture::Product(s) => {
            let factors = s.factors.iter().enumerate().map(|(i, net)| own.net(net, &i.to_string(), u));
            factors.reduce(|a, b| times(&a, &b)).expect("a factor")
        }
        Architecture::Skip(s) => [own.net(&s.net, "net", u), u.to_vec()].concat(),
        other => unreachable!("{other:?} has its formula elsewhere"),
    }
}
