//! What calls allocate once they are warm: nothing with lent results, else the results alone.
use hessquik::{Activation, Error, Evaluate, Init, Jet, Mode, Network, Request, Single, fully_connected, resnet};
use ndarray::{Array2, Array3, Array4, array};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Of this thread alone: other tests run beside this one.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of a call that ran twice before.
fn count(mut call: impl FnMut()) -> usize {
    (0..2).for_each(|_| call());
    let before = ALLOCATIONS.get();
    call();
    ALLOCATIONS.get() - before
}

/// The network of the paper's grid with `d` inputs and `m` outputs.
fn grid(d: usize, m: usize) -> Result<Network<f32>, Error> {
    let init = &mut Init::seed(0);
    Network::new(vec![
        Box::new(Single::new(d, 16, Activation::AntiTanh, init)),
        Box::new(resnet(16, 4, 0.5, Activation::Tanh, init)?),
        Box::new(Single::new(16, m, Activation::Identity, init)),
    ])
}

fn points(n: usize, d: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, d), |(s, i)| ((s * d + i) % 17) as f32 / 8.0 - 1.0)
}

/// Requests of every kind at a network of 3 inputs and 2 outputs.
fn requests() -> Vec<Request<f32>> {
    let all = Request::new().value().gradient();
    vec![
        Request::new().value(),
        all.clone(),
        all.clone().hessian(),
        all.clone().hessian().packed().laplacian().operator(Array2::eye(3)),
        all.clone().laplacian(),
        all.clone().diagonal().block(&[0, 1], &[2]).partials(&[(0, 2)]),
        all.clone().operator(array![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -2.0]]),
        Request::new().products(array![[1.0, 2.0, 3.0]]),
        Request::new().factored(),
        all.hessian().directions(array![[1.0, 0.0, 1.0]]).outputs(array![[1.0], [-1.0]]),
    ]
}

#[test]
fn a_call_with_lent_results_allocates_nothing() -> Result<(), Error> {
    let (small, network, x) = (grid(1, 1)?, grid(3, 2)?, points(10, 3));
    let request = Request::new().value().gradient().hessian();
    let mut jet = small.zeros(10, &request)?;
    let x1 = points(10, 1);
    assert_eq!(count(|| small.evaluate_into(&x1, &request, jet.view_mut()).unwrap()), 0, "the paper's smallest");
    for request in requests() {
        for mode in [Mode::Auto, Mode::Sites, Mode::Backward, Mode::Forward] {
            let request = request.clone().mode(mode);
            let mut jet = network.zeros(10, &request)?;
            assert_eq!(count(|| network.evaluate_into(&x, &request, jet.view_mut()).unwrap()), 0, "{request:?}");
        }
    }
    Ok(())
}

#[test]
fn neither_do_requests_in_turns_nor_results_of_other_strides() -> Result<(), Error> {
    let (network, x, fewer) = (grid(3, 2)?, points(10, 3), points(7, 3));
    let requests = [Request::new().value().gradient().hessian(), Request::new().laplacian()];
    let mut jets = [network.zeros(10, &requests[0])?, network.zeros(7, &requests[1])?];
    let in_turns = count(|| {
        network.evaluate_into(&x, &requests[0], jets[0].view_mut()).unwrap();
        network.evaluate_into(&fewer, &requests[1], jets[1].view_mut()).unwrap();
    });
    assert_eq!(in_turns, 0);
    // C order of the logical shape, where memory order is another
    let mut jet = Jet {
        value: Some(Array2::zeros((10, 2))),
        gradient: Some(Array3::zeros((10, 3, 2))),
        hessian: Some(Array4::zeros((10, 3, 3, 2))),
        ..Jet::default()
    };
    assert_eq!(count(|| network.evaluate_into(&x, &requests[0], jet.view_mut()).unwrap()), 0);
    Ok(())
}

#[test]
fn many_tiles_on_one_thread_allocate_nothing_either() -> Result<(), Error> {
    let network = fully_connected::<f32>(&[40, 64, 3], Activation::Tanh, &mut Init::seed(0))?;
    let (x, request) = (points(3000, 40), Request::new().value().gradient().hessian());
    let mut jet = network.zeros(3000, &request)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let allocations = pool.install(|| count(|| network.evaluate_into(&x, &request, jet.view_mut()).unwrap()));
    assert_eq!(allocations, 0);
    Ok(())
}

#[test]
fn a_call_allocates_its_results() -> Result<(), Error> {
    let (network, x) = (grid(3, 2)?, points(10, 3));
    for (request, results) in requests().into_iter().zip([1, 2, 3, 6, 3, 5, 3, 1, 2, 3]) {
        assert_eq!(count(|| drop(network.evaluate(&x, &request).unwrap())), results, "{request:?}");
    }
    Ok(())
}
