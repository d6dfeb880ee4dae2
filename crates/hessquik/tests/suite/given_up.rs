//! Calls that are given up: soon, also in the middle of a single tile, and without a trace.
use hessquik::{Activation, Evaluate, Init, Jet, Mode, Network, Prepared, Request, fully_connected, resnet};
use ndarray::Array2;
use std::sync::atomic::{AtomicUsize, Ordering};

fn points(n: usize, d: usize) -> Array2<f64> {
    Init::seed(3).uniform((n, d), -1.0, 1.0)
}

fn networks() -> Vec<Network<f64>> {
    let init = &mut Init::seed(1);
    vec![
        fully_connected(&[40, 60, 60, 60, 3], Activation::Tanh, init).expect("valid"),
        fully_connected(&[3, 20, 20, 1], Activation::Tanh, init).expect("valid"),
        resnet(30, 4, 0.5, Activation::softplus(), init).expect("valid"),
    ]
}

#[test]
fn a_single_tile_is_given_up_in_the_middle() {
    for network in networks() {
        let d = network.layers()[0].dim_input();
        for mode in [Mode::Auto, Mode::Sites, Mode::Forward, Mode::Backward] {
            let request = Request::new().value().gradient().hessian().laplacian().mode(mode);
            let prepared = Prepared::new(&network, request.clone()).expect("valid");
            for n in [1, 5, 3 * prepared.tile() + 1] {
                let x = points(n, d);
                let wanted = prepared.evaluate(&x).expect("valid");
                let cotangent = wanted.clone();
                let gradients = prepared.pullback(&x, &cotangent.view()).expect("valid");
                let asked = AtomicUsize::new(0);
                let whole = prepared.evaluate_while(&x, || asked.fetch_add(1, Ordering::Relaxed) < usize::MAX);
                assert_eq!(whole.expect("valid").as_ref(), Some(&wanted));
                let steps = asked.load(Ordering::Relaxed);
                assert!(steps >= 2 * network.layers().len(), "{steps} questions in a call of {n} points");
                for stop in [0, 1, steps / 2, steps - 1] {
                    let asked = AtomicUsize::new(0);
                    let go_on = || asked.fetch_add(1, Ordering::Relaxed) < stop;
                    assert_eq!(prepared.evaluate_while(&x, go_on).expect("valid"), None);
                    // each tile that had begun, or begins, asks once more
                    let tiles = n.div_ceil(prepared.tile());
                    assert!(asked.load(Ordering::Relaxed) <= stop + tiles + 1);
                    let mut lent = network.zeros(n, &request).expect("valid");
                    asked.store(0, Ordering::Relaxed);
                    assert!(!prepared.evaluate_into_while(&x, lent.view_mut(), go_on).expect("valid"));
                    // nothing of it is left
                    assert_eq!(prepared.evaluate(&x).expect("valid"), wanted);
                    assert_eq!(prepared.pullback(&x, &cotangent.view()).expect("valid"), gradients);
                }
                // a pullback has tiles of its own
                let asked = AtomicUsize::new(0);
                let count = || asked.fetch_add(1, Ordering::Relaxed) < usize::MAX;
                let same = prepared.pullback_while(&x, &cotangent.view(), count).expect("valid");
                assert_eq!(same.as_ref(), Some(&gradients));
                let steps = asked.load(Ordering::Relaxed);
                assert!(steps >= 3 * network.layers().len(), "{steps} questions in a pullback of {n} points");
                for stop in [0, 1, steps / 2, steps - 1] {
                    let asked = AtomicUsize::new(0);
                    let go_on = || asked.fetch_add(1, Ordering::Relaxed) < stop;
                    assert_eq!(prepared.pullback_while(&x, &cotangent.view(), go_on).expect("valid"), None);
                    assert_eq!(prepared.pullback(&x, &cotangent.view()).expect("valid"), gradients);
                }
            }
        }
    }
}

#[test]
fn a_panic_of_the_caller_s_own_is_not_taken_for_it() {
    let network = &networks()[1];
    let prepared = Prepared::new(network, Request::new().laplacian()).expect("valid");
    let call = || prepared.evaluate_while(&points(4, 3), || panic!("of the caller's own"));
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).expect_err("a panic");
    assert_eq!(payload.downcast_ref(), Some(&"of the caller's own"));
    assert!(prepared.evaluate(&points(4, 3)).is_ok());
}

#[test]
fn a_call_knows_whether_it_is_long() {
    let [large, small, _] = &networks()[..] else { unreachable!() };
    let seconds = |network: &Network<f64>, points| {
        Prepared::new(network, Request::new().hessian()).expect("valid").seconds(points)
    };
    assert!(seconds(small, 1) < 1e-4 && seconds(large, 1) > seconds(small, 1));
    assert_eq!(seconds(large, 20), 20.0 * seconds(large, 1));
    let first = Prepared::new(large, Request::new().value()).expect("valid");
    assert!(first.seconds(1) > 0.0 && first.seconds(1) < seconds(large, 1));
    let _: Jet<f64> = first.evaluate(&points(1, 40)).expect("valid");
}
