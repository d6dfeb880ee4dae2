//! What the machine allows, measured: rates of matrix products, of activations, and of writing.
use crate::worker::number;
use crate::{Answer, times};
use hessquik::{Activation, Real};
use ndarray::Array1;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Barrier;

/// Rows and columns of the large product.
const SIZE: usize = 1024;
/// Entries of a block of activations: it and three results fit the first or second level of cache, and the call is lost
/// among them.
const BLOCK: usize = 4096;

/// The requests `peaks` (of a `dtype` on `threads`; of some `activations` with `order` derivatives, or of all) and
/// `writes` (`bytes` in all by `threads`).
pub(crate) fn answer(op: &str, request: &Value) -> Answer {
    let threads = number(request, "threads")? as usize;
    Ok(match (op, request["dtype"].as_str()) {
        ("writes", _) => writes(number(request, "bytes")? as usize, threads),
        (_, Some("f32")) => peaks::<f32>(threads, request),
        _ => peaks::<f64>(threads, request),
    })
}

/// The fastest of many calls.
fn best(budget: f64, mut call: impl FnMut()) -> f64 {
    call();
    let timed = times::<Infallible>(budget, 3, 100_000, || {
        call();
        Ok(())
    });
    let Ok(seconds) = timed;
    seconds.into_iter().fold(f64::INFINITY, f64::min)
}

/// The sum of `rate()` over threads that start together.
fn together(threads: usize, rate: impl Fn() -> f64 + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let run = || {
            barrier.wait();
            rate()
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        handles.into_iter().map(|h| h.join().expect("no panic")).sum()
    })
}

fn peaks<F: Real>(threads: usize, request: &Value) -> Value {
    let mut answer = json!({ "gemm_flops": together(threads, gemm_rate::<F>) });
    let acts = [("tanh", Activation::Tanh), ("anti_tanh", Activation::AntiTanh), ("softplus", Activation::softplus())];
    let wanted = |name: &str| request["activations"].as_array().is_none_or(|list| list.iter().any(|n| n == name));
    for (name, act) in acts.into_iter().filter(|(name, _)| wanted(name)) {
        for order in [2, 3].into_iter().filter(|&o| request["order"].as_u64().is_none_or(|wanted| wanted == o)) {
            answer[format!("{name}_{order}")] = json!(together(threads, || activation_rate::<F>(&act, order as usize)));
        }
    }
    answer
}

/// Flops per second of a large square product.
pub fn gemm_rate<F: Real>() -> f64 {
    let n = SIZE;
    let (a, b, mut c) = (vec![F::one(); n * n], vec![F::of(0.5); n * n], vec![F::zero(); n * n]);
    let (s, one) = (n as isize, F::one());
    let product = || {
        // SAFETY: all three are n by n, dense, in slices of n * n entries; c is borrowed mutably and overlaps neither
        unsafe {
            gemm::gemm(
                n,
                n,
                n,
                c.as_mut_ptr(),
                1,
                s,
                false,
                a.as_ptr(),
                1,
                s,
                b.as_ptr(),
                1,
                s,
                one,
                one,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    2.0 * (n as f64).powi(3) / best(0.25, product)
}

/// Activations per second, each with `order` derivatives. `evaluate` returns fresh arrays of zeros filled: what those
/// take by themselves is no work of the activations.
fn activation_rate<F: Real>(act: &Activation, order: usize) -> f64 {
    let z = Array1::from_shape_fn(BLOCK, |i| F::of(6.0 * (i as f64 / BLOCK as f64) - 3.0));
    let zeros = || (0..=order).map(|_| Array1::<F>::zeros(BLOCK)).collect::<Vec<_>>();
    let with_zeros = best(0.06, || drop(black_box(act.evaluate(black_box(&z), order))));
    BLOCK as f64 / (with_zeros - best(0.02, || drop(black_box(zeros()))))
}

/// Seconds to write so many bytes, into memory that is lent and into a fresh vector each time, whose pages the write
/// itself touches first.
fn writes(bytes: usize, threads: usize) -> Value {
    let len = (bytes / size_of::<f32>() / threads).max(1);
    let lent = || {
        let mut lent = vec![1f32; len];
        1.0 / best(0.1, || black_box(&mut lent).fill(black_box(1.5)))
    };
    let fresh = || {
        let write = || {
            let mut fresh = Vec::with_capacity(len);
            fresh.resize(len, black_box(1.5f32));
            drop(black_box(fresh));
        };
        1.0 / best(0.1, write)
    };
    let seconds = |rate: f64| threads as f64 / rate;
    json!({ "lent": seconds(together(threads, lent)), "fresh": seconds(together(threads, fresh)) })
}
