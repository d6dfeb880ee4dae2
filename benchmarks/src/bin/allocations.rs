//! Counts what one small call allocates, and times it: 10 points through the smallest network of the paper's grid.
use hessquik::{Activation, Evaluate, Init, Network, Request, Single, resnet};
use hessquik_benchmarks::times;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counting.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of one call after warming up, and the median of its seconds.
fn measure(mut call: impl FnMut() -> Result<(), hessquik::Error>) -> Result<(usize, f64), hessquik::Error> {
    for _ in 0..100 {
        call()?;
    }
    let before = COUNT.load(Relaxed);
    call()?;
    let count = COUNT.load(Relaxed) - before;
    let mut seconds = times(0.5, 100, 100_000, call)?;
    seconds.sort_by(f64::total_cmp);
    Ok((count, seconds[seconds.len() / 2]))
}

fn main() -> Result<(), hessquik::Error> {
    let init = &mut Init::seed(0);
    let network = Network::<f32>::new(vec![
        Box::new(Single::new(1, 16, Activation::AntiTanh, init)),
        Box::new(resnet(16, 4, 0.5, Activation::Tanh, init)?),
        Box::new(Single::new(16, 1, Activation::Identity, init)),
    ])?;
    let x = init.uniform((10, 1), -1.0, 1.0);
    let request = Request::new().value().gradient().hessian();
    let mut jet = network.zeros(10, &request)?;
    let (fresh, fresh_seconds) = measure(|| network.evaluate(&x, &request).map(|jet| drop(black_box(jet))))?;
    let (lent, lent_seconds) = measure(|| network.evaluate_into(&x, &request, jet.view_mut()))?;
    let answer = json!({
        "outputs": 3, "fresh": fresh, "lent": lent, "fresh_seconds": fresh_seconds, "lent_seconds": lent_seconds,
    });
    println!("{answer}");
    Ok(())
}
