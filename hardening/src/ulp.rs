//! Errors of the single-precision kernels in units in the last place, over all 2^32 bit patterns.
//!
//! The reference is the double-precision kernel: `crates/hessquik/tests/activations.rs` holds it to 3.5 ulp of its own
//! against 60-digit tables, which is less than 1e-8 ulp of single precision.
use crate::builtin::{bounds, builtin, of_positive_points};
use hessquik::Activation;
use ndarray::Array1;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The arguments of `ulp`.
#[derive(clap::Args)]
pub struct Args {
    /// Only activations whose names start so.
    #[arg(long, default_value = "")]
    only: String,
    /// Every how many bit patterns; 1 takes all.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    stride: u32,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// Bit patterns at a time: their arrays stay in cache, and in the heap.
const CHUNK: usize = 1 << 10;

/// Prints the largest error for each activation and order, and where; false if one is above the bound.
pub fn run(args: &Args) -> bool {
    let mut ok = true;
    println!("{:18}{:>22}{:>22}{:>22}{:>22}", "ulp (at)", "f", "f'", "f''", "f'''");
    for (name, activation) in activations().into_iter().filter(|(name, _)| name.starts_with(&args.only)) {
        let started = Instant::now();
        let worst = over_the_line(&activation, args.stride, args.threads.max(1));
        let cells: Vec<_> = worst.0.iter().map(|(e, z)| format!("{e:6.3} {:>14}", format!("({z:e})"))).collect();
        println!("{name:18} {}  {:.0} s", cells.join(" "), started.elapsed().as_secs_f64());
        for (order, ((error, z), bound)) in worst.0.iter().zip(bounds(name).1).enumerate() {
            if *error > bound {
                println!("{name}, order {order}: {error} ulp at {z:e}, promised {bound}");
                ok = false;
            }
        }
    }
    ok
}

/// Those of the tests, and softplus once as hessQuik has it, with a threshold.
fn activations() -> Vec<(&'static str, Activation)> {
    builtin().into_iter().chain(of_positive_points()).chain([("softplus_default", Activation::softplus())]).collect()
}

/// The largest error at each order, and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worst(pub [(f64, f32); 4]);

impl Worst {
    fn merge(&mut self, other: &Self) {
        for (worst, other) in self.0.iter_mut().zip(other.0) {
            if other.0 > worst.0 {
                *worst = other;
            }
        }
    }
}

/// The largest errors over every `stride`-th bit pattern.
pub fn over_the_line(activation: &Activation, stride: u32, threads: usize) -> Worst {
    let patterns = (1u64 << 32).div_ceil(u64::from(stride));
    let chunks = patterns.div_ceil(CHUNK as u64) as u32;
    let next = AtomicU32::new(0);
    let work = || {
        let mut worst = Worst::default();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return worst;
            }
            let first = u64::from(chunk) * CHUNK as u64;
            let last = (first + CHUNK as u64).min(patterns);
            let points = (first..last).map(|i| f32::from_bits((i * u64::from(stride)) as u32)).collect();
            at(activation, &points, &mut worst);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut worst = Worst::default();
        workers.into_iter().for_each(|w| worst.merge(&w.join().expect("no panic")));
        worst
    })
}

/// Notes errors at these points.
fn at(activation: &Activation, points: &Array1<f32>, worst: &mut Worst) {
    let found = activation.evaluate(points, 3).expect("valid");
    let references = activation.evaluate(&points.mapv(f64::from), 3).expect("valid");
    for ((worst, found), reference) in worst.0.iter_mut().zip(&found).zip(&references) {
        let (found, reference) = (found.as_slice().expect("dense"), reference.as_slice().expect("dense"));
        // one pass in vectors; the place is looked for only if it matters
        let largest = pulp::Arch::new().dispatch(Largest { found, reference });
        if largest > worst.0 {
            let i = found.iter().zip(reference).position(|(f, r)| error(*f, *r) == largest).expect("it is there");
            *worst = (largest, points[i]);
        }
    }
    // NaN gives NaN at every order
    for (i, z) in points.iter().enumerate().filter(|(_, z)| z.is_nan()) {
        for (worst, found) in worst.0.iter_mut().zip(&found) {
            if !found[i].is_nan() {
                *worst = (f64::INFINITY, *z);
            }
        }
    }
}

/// The largest error in a pair of slices.
struct Largest<'a> {
    found: &'a [f32],
    reference: &'a [f64],
}

impl pulp::NullaryFnOnce for Largest<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut largest = [0.0; 16];
        let (found, rest) = self.found.as_chunks::<16>();
        let (reference, others) = self.reference.as_chunks::<16>();
        for (found, reference) in found.iter().zip(reference) {
            for i in 0..16 {
                let error = error(found[i], reference[i]);
                largest[i] = if error > largest[i] { error } else { largest[i] };
            }
        }
        let rest = rest.iter().zip(others).map(|(f, r)| error(*f, *r));
        rest.chain(largest).fold(0.0, f64::max)
    }
}

/// The distance of `found` from `reference` in units of the last place of a single-precision number as large as the
/// latter: 2^(e - 23) for 2^e <= |reference| < 2^(e + 1), and 2^-149 below 2^-126. Infinite if one of them alone is NaN.
#[inline(always)]
fn error(found: f32, reference: f64) -> f64 {
    let size = reference.abs().max(f64::from(f32::MIN_POSITIVE)).min(f64::from(f32::MAX));
    let one_over_ulp = f64::from_bits(((2 * 1023 + 23) << 52) - (size.to_bits() & (0x7ff << 52)));
    let error = (f64::from(found) - reference).abs() * one_over_ulp;
    // an overflow is right where the reference rounds to infinity
    let same = (found.is_infinite() && found == reference as f32) || (found.is_nan() && reference.is_nan());
    if same {
        0.0
    } else if error >= 0.0 {
        error
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_in_ulp_of_the_reference() {
        assert_eq!(error(1.0, 1.0), 0.0);
        assert_eq!(error(1.0f32.next_up(), 1.0), 1.0);
        assert_eq!(error(1.0f32.next_down(), 1.0), 0.5);
        assert_eq!(error(-3.0f32, f64::from(-3.0f32.next_up().next_up())), 2.0);
        assert_eq!(error(0.0, f64::from(f32::from_bits(5))), 5.0);
        assert_eq!(error(0.0, 2f64.powi(-150)), 0.5);
        assert_eq!(error(f32::INFINITY, 1e39), 0.0);
        assert_eq!(error(f32::INFINITY, f64::from(f32::MAX)), f64::INFINITY);
        assert_eq!(error(f32::NEG_INFINITY, 1e39), f64::INFINITY);
        assert_eq!(error(f32::NAN, 1.0), f64::INFINITY);
        assert_eq!(error(1.0, f64::NAN), f64::INFINITY);
        assert_eq!(error(f32::NAN, f64::NAN), 0.0);
    }

    #[test]
    fn a_sample_of_the_line() {
        for (name, activation) in activations() {
            let worst = over_the_line(&activation, 40_009, 1);
            for ((error, z), bound) in worst.0.iter().zip(bounds(name).1) {
                assert!(*error <= bound, "{name}: {error} ulp at {z:e}");
            }
        }
    }
}
