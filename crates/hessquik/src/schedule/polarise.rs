//! Mixed partials of any order as sums of derivatives along a few directions.
//!
//! With `alpha_i` the number of times that axis `i` is among the axes, and K their sum,
//!
//! ```text
//! d^alpha f = 1/(2^K K!) sum_n prod_i (-1)^((alpha_i - n_i)/2) binomial(alpha_i, (alpha_i - n_i)/2) D^K f[sum_i n_i e_i],
//! ```
//!
//! over all `n_i = -alpha_i, -alpha_i + 2, .., alpha_i`: the polarisation of a form of degree K (Griewank, Utke & Walther 2000
//! give it for general interpolation). A direction and its negative are one, and so are multiples, since `D^K f[c v] = c^K D^K
//! f[v]`.
use std::collections::BTreeMap;

/// Directions by integer coefficients of axes, and for each partial the weights of the derivatives of order K along them.
#[derive(Clone, Debug, Default)]
pub(super) struct Polarised {
    /// Each direction: (axis, coefficient), axes in order.
    pub directions: Vec<Vec<(usize, i64)>>,
    /// For each partial: (direction, weight).
    pub weights: Vec<Vec<(usize, f64)>>,
}

/// Directions shared by partials of one order.
pub(super) fn polarise(partials: &[Vec<usize>]) -> Polarised {
    let mut out = Polarised::default();
    let mut known: BTreeMap<Vec<(usize, i64)>, usize> = BTreeMap::new();
    for axes in partials {
        let order = axes.len();
        let mut alpha: BTreeMap<usize, usize> = BTreeMap::new();
        axes.iter().for_each(|&a| *alpha.entry(a).or_default() += 1);
        let alpha: Vec<(usize, usize)> = alpha.into_iter().collect();
        let mut own: BTreeMap<usize, f64> = BTreeMap::new();
        let scale = 1.0 / (2f64.powi(order as i32) * factorial(order));
        let mut left = vec![0usize; alpha.len()];
        loop {
            let (mut weight, mut direction) = (scale, Vec::new());
            for (&(axis, alpha), &j) in alpha.iter().zip(&left) {
                weight *= binomial(alpha, j) * if j % 2 == 0 { 1.0 } else { -1.0 };
                let n = alpha as i64 - 2 * j as i64;
                if n != 0 {
                    direction.push((axis, n));
                }
            }
            if !direction.is_empty() {
                let divisor = direction.iter().fold(0, |g, &(_, n)| gcd(g, n.abs()));
                // the first coefficient is positive
                let sign = direction[0].1.signum();
                direction.iter_mut().for_each(|(_, n)| *n /= divisor * sign);
                weight *= ((divisor * sign) as f64).powi(order as i32);
                let next = known.len();
                let at = *known.entry(direction.clone()).or_insert(next);
                if at == out.directions.len() {
                    out.directions.push(direction);
                }
                *own.entry(at).or_default() += weight;
            }
            // the next n
            let Some(i) = (0..alpha.len()).find(|&i| left[i] < alpha[i].1) else { break };
            left[i] += 1;
            left[..i].fill(0);
        }
        out.weights.push(own.into_iter().filter(|(_, w)| *w != 0.0).collect());
    }
    out
}

/// `sum_ab d4f/dx_a^2 dx_b^2` over `k` axes as a sum of fourth derivatives: directions (r, k), and the weight of each.
///
/// In two and three dimensions the lines through the corners of a regular hexagon and icosahedron, whose fourth powers sum
/// to a multiple of `|x|^4`; else `|x|^4 = (sum_{a<b} (x_a + x_b)^4 + (x_a - x_b)^4)/6 + (4 - k)/3 sum_a x_a^4`.
pub(super) fn bilaplacian(k: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    match k {
        2 => {
            let half = 3f64.sqrt() / 2.0;
            (vec![vec![1.0, 0.0], vec![0.5, half], vec![-0.5, half]], vec![8.0 / 9.0; 3])
        }
        3 => {
            // the golden ratio; corners (0, 1, phi) and so on, of length^2 1 + phi^2
            let phi = (1.0 + 5f64.sqrt()) / 2.0;
            let corners = [
                [0.0, 1.0, phi],
                [0.0, 1.0, -phi],
                [1.0, phi, 0.0],
                [1.0, -phi, 0.0],
                [phi, 0.0, 1.0],
                [-phi, 0.0, 1.0],
            ];
            // sum over the six lines of (v . x)^4 = 6/5 |v|^4 |x|^4 for a spherical design: E = 3/15 |v|^4
            let length = (1.0 + phi * phi).powi(2);
            (corners.iter().map(|c| c.to_vec()).collect(), vec![5.0 / (6.0 * length); 6])
        }
        _ => {
            let (mut directions, mut weights) = (Vec::new(), Vec::new());
            let unit = |a: usize, b: Option<(usize, f64)>| {
                let mut v = vec![0.0; k];
                v[a] = 1.0;
                if let Some((b, s)) = b {
                    v[b] = s;
                }
                v
            };
            for a in 0..k {
                if k != 4 {
                    directions.push(unit(a, None));
                    weights.push((4.0 - k as f64) / 3.0);
                }
                for b in a + 1..k {
                    for s in [1.0, -1.0] {
                        directions.push(unit(a, Some((b, s))));
                        weights.push(1.0 / 6.0);
                    }
                }
            }
            (directions, weights)
        }
    }
}

pub(super) fn factorial(n: usize) -> f64 {
    (1..=n).map(|i| i as f64).product()
}

fn binomial(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fourth derivative of `(v . x)^K / K!` along a direction `w` is `(v . w)^K`: partials of it are products of `v`.
    #[test]
    fn partials_of_powers_are_products() {
        let v = [0.7, -1.3, 0.4];
        for axes in
            [vec![0], vec![0, 1], vec![0, 0, 1], vec![2, 1, 0], vec![0, 0, 1, 1], vec![2, 2, 2, 2, 1], vec![0; 8]]
        {
            let found = polarise(std::slice::from_ref(&axes));
            let along = |d: &Vec<(usize, i64)>| -> f64 { d.iter().map(|&(a, n)| v[a] * n as f64).sum() };
            let sum: f64 =
                found.weights[0].iter().map(|&(d, w)| w * along(&found.directions[d]).powi(axes.len() as i32)).sum();
            let wanted: f64 = axes.iter().map(|&a| v[a]).product();
            assert!(
                (sum - wanted).abs()
                    <= 1e-14 * v.map(f64::abs).iter().fold(0.0, |m, &v: &f64| v.max(m)).powi(8).max(1.0)
            );
        }
        // the issue of few directions: u_xxyy takes four, and shares two of them with u_xxxx and u_yyyy
        assert_eq!(polarise(&[vec![0, 0, 1, 1]]).directions.len(), 4);
        assert_eq!(polarise(&[vec![0; 4], vec![0, 0, 1, 1], vec![1; 4]]).directions.len(), 4);
    }

    #[test]
    fn bilaplacians_are_fourth_powers_of_lengths() {
        for k in 1..7 {
            let (directions, weights) = bilaplacian(k);
            let v: Vec<f64> = (0..k).map(|i| 0.3 + 0.5 * (i as f64 * 2.3).sin()).collect();
            let dot = |d: &Vec<f64>| d.iter().zip(&v).map(|(d, v)| d * v).sum::<f64>();
            let sum: f64 = directions.iter().zip(&weights).map(|(d, w)| w * dot(d).powi(4)).sum();
            let length: f64 = v.iter().map(|v| v * v).sum();
            assert!((sum - length * length).abs() < 1e-13, "{k}: {sum} for {}", length * length);
        }
    }
}
