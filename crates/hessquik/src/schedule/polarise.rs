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

/// Axes with their coefficients, axes in order.
pub(super) type Direction = Vec<(usize, f64)>;

/// Directions, and for each sum of partials the weights of the derivatives of order K along them.
#[derive(Clone, Debug, Default)]
pub(super) struct Polarised {
    pub directions: Vec<Direction>,
    /// For each sum: (direction, weight).
    pub weights: Vec<Vec<(usize, f64)>>,
}

impl Polarised {
    /// Adds a partial times a factor to the sum that is counted `p`.
    pub fn add(&mut self, axes: &[usize], p: usize, factor: f64) {
        let order = axes.len();
        let mut alpha: BTreeMap<usize, usize> = BTreeMap::new();
        axes.iter().for_each(|&a| *alpha.entry(a).or_default() += 1);
        let alpha: Vec<(usize, usize)> = alpha.into_iter().collect();
        let mut own: BTreeMap<Vec<(usize, i64)>, f64> = BTreeMap::new();
        let scale = factor / (2f64.powi(order as i32) * factorial(order));
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
                *own.entry(direction).or_default() += weight * ((divisor * sign) as f64).powi(order as i32);
            }
            // the next n
            let Some(i) = (0..alpha.len()).find(|&i| left[i] < alpha[i].1) else { break };
            left[i] += 1;
            left[..i].fill(0);
        }
        for (direction, weight) in own.into_iter().filter(|(_, w)| *w != 0.0) {
            let direction: Direction = direction.into_iter().map(|(a, n)| (a, n as f64)).collect();
            self.directions.push(direction);
            self.weights[p].push((self.directions.len() - 1, weight));
        }
    }

    /// Each direction once, and none whose weights cancel.
    fn merged(self) -> Self {
        let bits = |d: &Direction| d.iter().map(|&(a, c)| (a, c.to_bits())).collect::<Vec<_>>();
        let mut known: BTreeMap<Vec<(usize, u64)>, usize> = BTreeMap::new();
        // the sum of the weights, and of their sizes: what is left of these is rounding
        let mut sums: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut directions = Vec::new();
        for (p, list) in self.weights.iter().enumerate() {
            for &(e, w) in list {
                let next = directions.len();
                let at = *known.entry(bits(&self.directions[e])).or_insert(next);
                if at == next {
                    directions.push(self.directions[e].clone());
                    sums.push(vec![(0.0, 0.0); self.weights.len()]);
                }
                sums[at][p] = (sums[at][p].0 + w, sums[at][p].1 + w.abs());
            }
        }
        let mut out = Self { directions: Vec::new(), weights: vec![Vec::new(); self.weights.len()] };
        for (direction, sums) in directions.into_iter().zip(sums) {
            let counts = |&(sum, size): &(f64, f64)| sum.abs() > 1e-14 * size;
            if !sums.iter().any(counts) {
                continue;
            }
            out.directions.push(direction);
            for (p, sum) in sums.iter().enumerate().filter(|(_, sum)| counts(sum)) {
                out.weights[p].push((out.directions.len() - 1, sum.0));
            }
        }
        out
    }
}

/// One sum of partials of one order, each of its axes in order, times factors.
pub(super) fn operator(terms: &[(Vec<usize>, f64)]) -> Polarised {
    if let Some((axes, factor)) = fourth_power_of_length(terms) {
        let (directions, weights) = design(axes.len());
        let named = |v: Vec<f64>| v.into_iter().enumerate().filter(|(_, c)| *c != 0.0).map(|(i, c)| (axes[i], c));
        let directions = directions.into_iter().map(|v| named(v).collect()).collect();
        return Polarised { directions, weights: vec![weights.into_iter().map(|w| factor * w).enumerate().collect()] };
    }
    let mut all = Polarised { directions: Vec::new(), weights: vec![Vec::new()] };
    terms.iter().for_each(|(axes, factor)| all.add(axes, 0, *factor));
    all.merged()
}

/// The axes and the factor, if these terms are a multiple of the bilaplacian in two or three axes.
fn fourth_power_of_length(terms: &[(Vec<usize>, f64)]) -> Option<(Vec<usize>, f64)> {
    let fourth = |axes: &[usize]| axes.len() == 4 && axes[0] == axes[3];
    let axes: Vec<usize> = terms.iter().filter(|(axes, _)| fourth(axes)).map(|(axes, _)| axes[0]).collect();
    let factor = terms.iter().find(|(axes, _)| fourth(axes))?.1;
    let k = axes.len();
    let mixed = |axes: &[usize]| axes.len() == 4 && axes[0] == axes[1] && axes[2] == axes[3];
    let fits = |(a, c): &(Vec<usize>, f64)| {
        mixed(a)
            && axes.contains(&a[0])
            && axes.contains(&a[2])
            && *c == if a[0] == a[2] { factor } else { 2.0 * factor }
    };
    ((2..=3).contains(&k) && terms.len() == k * (k + 1) / 2 && terms.iter().all(fits)).then_some((axes, factor))
}

/// `sum_ab d4f/dx_a^2 dx_b^2` over two or three axes as a sum of fourth derivatives: directions, and the weight of each.
///
/// These are the lines through the corners of a regular hexagon and icosahedron, whose fourth powers sum to a multiple of
/// `|x|^4`. Polarisation needs 4 and 9 directions for the same.
fn design(k: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
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
        k => unreachable!("no design for {k} axes"),
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
            let found = operator(&[(axes.clone(), 1.0)]);
            let along = |d: &Direction| -> f64 { d.iter().map(|&(a, n)| v[a] * n).sum() };
            let sum: f64 =
                found.weights[0].iter().map(|&(d, w)| w * along(&found.directions[d]).powi(axes.len() as i32)).sum();
            let wanted: f64 = axes.iter().map(|&a| v[a]).product();
            assert!(
                (sum - wanted).abs()
                    <= 1e-14 * v.map(f64::abs).iter().fold(0.0, |m, &v: &f64| v.max(m)).powi(8).max(1.0)
            );
        }
        // few directions: u_xxyy takes four, and shares two of them with u_xxxx and u_yyyy
        assert_eq!(operator(&[(vec![0, 0, 1, 1], 1.0)]).directions.len(), 4);
        let all = [(vec![0; 4], 1.0), (vec![0, 0, 1, 1], -3.0), (vec![1; 4], 1.0)];
        assert_eq!(operator(&all).directions.len(), 4);
    }

    /// The bilaplacian over all axes or some of them takes the directions of a design where there is one.
    #[test]
    fn bilaplacians_are_fourth_powers_of_lengths() {
        let terms = |axes: &[usize]| -> Vec<(Vec<usize>, f64)> {
            let pairs = axes.iter().enumerate().flat_map(|(i, &a)| axes[i..].iter().map(move |&b| (a, b)));
            pairs.map(|(a, b)| (vec![a, a, b, b], if a == b { -0.5 } else { -1.0 })).collect()
        };
        let counts = [(&[2][..], 1), (&[1, 3], 3), (&[0, 2, 3], 6), (&[0, 1, 2, 3], 12), (&[0, 1, 2, 3, 4], 25)];
        for (axes, count) in counts {
            let found = operator(&terms(axes));
            assert_eq!(found.directions.len(), count, "{axes:?}");
            let v = [0.3, -0.9, 0.4, 1.1, 0.2];
            let dot = |d: &Direction| d.iter().map(|&(a, c)| c * v[a]).sum::<f64>();
            let sum: f64 = found.weights[0].iter().map(|&(e, w)| w * dot(&found.directions[e]).powi(4)).sum();
            let length: f64 = axes.iter().map(|&a| v[a] * v[a]).sum();
            assert!((sum + 0.5 * length * length).abs() < 1e-14, "{axes:?}: {sum}");
        }
    }
}
