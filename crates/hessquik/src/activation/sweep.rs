//! The loop over a slice: one kernel, vectorised for the machine at hand.
#![allow(clippy::needless_range_loop)] // the compiler may not see through iterators, and then nothing is vectorised

use crate::Real;
use pulp::{Arch, NullaryFnOnce};

/// An activation at one point. Written without branches, so that the loop below vectorises; of the four results the
/// compiler drops the work of those that nobody reads.
pub(super) trait Kernel<F>: Copy {
    /// Whether `jet` leaves some points to `rare`.
    const HAS_RARE: bool = false;

    /// The value and the first three derivatives.
    fn jet(self, z: F) -> [F; 4];

    /// Whether `jet` is wrong here, for `rare` to repair.
    #[inline(always)]
    fn is_rare(self, _z: F) -> bool {
        false
    }

    /// The slow way that works everywhere.
    fn rare(self, z: F) -> [F; 4] {
        self.jet(z)
    }
}

/// Points that are handled together: a whole number of vectors of every width, and so few that the compiler unrolls the
/// loop over them; with more, results go through memory twice.
pub(super) const BLOCK: usize = 16;

struct Sweep<'a, F, K, const ORDER: usize> {
    kernel: K,
    z: &'a [F],
    out: [&'a mut [F]; 4],
}

impl<F: Real, K: Kernel<F>, const ORDER: usize> NullaryFnOnce for Sweep<'_, F, K, ORDER> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { kernel, z, out } = self;
        let [values, firsts, seconds, thirds] = out;
        let (blocks, rest) = z.as_chunks::<BLOCK>();
        for (i, points) in blocks.iter().enumerate() {
            let at = i * BLOCK..(i + 1) * BLOCK;
            let results = block::<F, K, ORDER>(kernel, *points);
            values[at.clone()].copy_from_slice(&results[0]);
            if ORDER > 0 {
                firsts[at.clone()].copy_from_slice(&results[1]);
            }
            if ORDER > 1 {
                seconds[at.clone()].copy_from_slice(&results[2]);
            }
            if ORDER > 2 {
                thirds[at].copy_from_slice(&results[3]);
            }
        }
        if !rest.is_empty() {
            let at = z.len() - rest.len()..z.len();
            let mut points = [F::zero(); BLOCK];
            points[..rest.len()].copy_from_slice(rest);
            let results = block::<F, K, ORDER>(kernel, points);
            for (out, result) in [values, firsts, seconds, thirds].into_iter().zip(&results).take(ORDER + 1) {
                out[at.clone()].copy_from_slice(&result[..rest.len()]);
            }
        }
    }
}

/// The kernel at a block of points, in arrays of the stack's own: the compiler need not ask whether input and outputs
/// overlap.
#[inline(always)]
fn block<F: Real, K: Kernel<F>, const ORDER: usize>(kernel: K, points: [F; BLOCK]) -> [[F; BLOCK]; 4] {
    // four arrays and no loop over them, or it does not vectorise
    let (mut values, mut firsts) = ([F::zero(); BLOCK], [F::zero(); BLOCK]);
    let (mut seconds, mut thirds) = ([F::zero(); BLOCK], [F::zero(); BLOCK]);
    for i in 0..BLOCK {
        let [value, first, second, third] = kernel.jet(points[i]);
        values[i] = value;
        if ORDER > 0 {
            firsts[i] = first;
        }
        if ORDER > 1 {
            seconds[i] = second;
        }
        if ORDER > 2 {
            thirds[i] = third;
        }
    }
    // no early exit, or it does not vectorise
    let mut any = false;
    for z in points {
        any |= K::HAS_RARE && kernel.is_rare(z);
    }
    if any {
        for i in 0..BLOCK {
            if kernel.is_rare(points[i]) {
                [values[i], firsts[i], seconds[i], thirds[i]] = kernel.rare(points[i]);
            }
        }
    }
    [values, firsts, seconds, thirds]
}

/// Fills `out[0 ..= order]` with the kernel's derivatives at `z`.
pub(super) fn sweep<F: Real, K: Kernel<F>>(kernel: K, order: usize, z: &[F], out: [&mut [F]; 4]) {
    sweep_on(Arch::new(), kernel, order, z, out);
}

fn sweep_on<F: Real, K: Kernel<F>>(arch: Arch, kernel: K, order: usize, z: &[F], out: [&mut [F]; 4]) {
    if one_by_one(arch) {
        return each(order, z, out, |z| once(kernel, z));
    }
    match order {
        0 => arch.dispatch(Sweep::<F, K, 0> { kernel, z, out }),
        1 => arch.dispatch(Sweep::<F, K, 1> { kernel, z, out }),
        2 => arch.dispatch(Sweep::<F, K, 2> { kernel, z, out }),
        _ => arch.dispatch(Sweep::<F, K, 3> { kernel, z, out }),
    }
}

/// Whether blocks are of no use: where the machine does not add and multiply at once, each `mul_add` is a call, and
/// nothing is vectorised.
fn one_by_one(arch: Arch) -> bool {
    cfg!(target_arch = "x86_64") && matches!(arch, Arch::Scalar)
}

/// Fills `out[0 ..= order]` with what `jet` gives at each point.
pub(super) fn each<F: Real>(order: usize, z: &[F], mut out: [&mut [F]; 4], jet: impl Fn(F) -> [F; 4]) {
    for (i, &z) in z.iter().enumerate() {
        for (out, derivative) in out.iter_mut().zip(jet(z)).take(order + 1) {
            out[i] = derivative;
        }
    }
}

/// The kernel at one point; the same numbers as [`sweep`].
#[inline(never)] // there is one copy of it for each kernel
pub(super) fn once<F: Real, K: Kernel<F>>(kernel: K, z: F) -> [F; 4] {
    if K::HAS_RARE && kernel.is_rare(z) { kernel.rare(z) } else { kernel.jet(z) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::{anti_tanh::AntiTanh, gelu::Gelu, silu::Silu, sin::Sin, softplus::Softplus, tanh::Tanh};
    use crate::activation::{atan::Atan, elu::Elu, erf::Erf, mish::Mish, power::Power, squareplus::Squareplus};

    fn same_everywhere<F: Real, K: Kernel<F>>(kernel: K) {
        let z: Vec<F> = (0..1000).map(|i| F::of(1.0171_f64.powi(i - 500) * f64::from(1 - 2 * (i % 2)))).collect();
        let on = |arch| {
            let mut out = [(); 4].map(|()| vec![F::zero(); z.len()]);
            sweep_on(arch, kernel, 3, &z, out.each_mut().map(Vec::as_mut_slice));
            out
        };
        assert_eq!(on(Arch::new()), on(Arch::Scalar));
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        same_everywhere::<f32, _>(AntiTanh);
        same_everywhere::<f64, _>(AntiTanh);
        same_everywhere::<f32, _>(Gelu);
        same_everywhere::<f64, _>(Gelu);
        same_everywhere::<f32, _>(Silu);
        same_everywhere::<f64, _>(Silu);
        same_everywhere::<f32, _>(Sin);
        same_everywhere::<f64, _>(Sin);
        same_everywhere::<f32, _>(Softplus::new(3.0, 20.0));
        same_everywhere::<f64, _>(Softplus::new(3.0, 20.0));
        same_everywhere::<f32, _>(Tanh);
        same_everywhere::<f64, _>(Tanh);
        same_everywhere::<f64, _>(Atan);
        same_everywhere::<f64, _>(Elu::celu(0.3));
        same_everywhere::<f64, _>(Erf);
        same_everywhere::<f64, _>(Mish);
        same_everywhere::<f64, _>(Power::new(3.0));
        same_everywhere::<f64, _>(Squareplus::new(2.0));
    }
}
