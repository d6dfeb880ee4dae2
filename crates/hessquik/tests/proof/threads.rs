//! Any number of threads and any number of calls before: the same bits.
use crate::common;
use crate::hostile::{everything_network, modes};
use common::random::{self, Limits};
use common::{Ask, network, plan, points};
use hessquik::{Error, Evaluate, Jet, Mode, Real};
use proptest::prelude::*;

/// One thread or many, the same bits: results, gradients of points and gradients of weights.
#[test]
fn any_number_of_threads() {
    fn check<F: Real>() {
        let net = everything_network::<F>(1);
        let ask = Ask::everything(3, 3, 3);
        let tile = net.explain(1, &ask.request()).unwrap().tile;
        let x = points::<F>(2, 6 * tile + 5, 3); // enough tiles to go wrong, the last one short
        for mode in modes() {
            let request = ask.clone().mode(mode.clone()).request::<F>();
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let jet = net.evaluate(&x, &request).unwrap();
                    let gradients = net.pullback(&x, &request, &jet).unwrap();
                    let loss = net.loss_gradients(&x, &request, |_, jet, bar| {
                        let (f, b) = (jet.laplacian.as_ref().unwrap(), bar.laplacian.as_mut().unwrap());
                        b.assign(f);
                        f.iter().map(|&f| f * f).sum::<F>() * F::of(0.5)
                    });
                    let mut streamed = Vec::new();
                    let stream = |_, jet: &Jet<F>| {
                        streamed.extend(jet.laplacian.as_ref().unwrap().iter().copied());
                        Ok::<_, Error>(())
                    };
                    net.stream(&x, &request, stream).unwrap();
                    (jet, gradients, loss.unwrap(), streamed)
                })
            };
            let one = run(1);
            assert!(one.1.weights.iter().all(|g| g.is_finite()));
            for threads in [2, 5] {
                let many = run(threads);
                assert!(one.0 == many.0, "results by {mode:?} on {threads} threads in {}", F::NAME);
                assert!(one.1 == many.1, "pullback by {mode:?} on {threads} threads in {}", F::NAME);
                assert!(one.2 == many.2, "loss by {mode:?} on {threads} threads in {}", F::NAME);
                assert!(one.3 == many.3, "stream by {mode:?} on {threads} threads in {}", F::NAME);
            }
        }
    }
    check::<f64>();
    check::<f32>();
}

proptest! {
    #![proptest_config(random::config(48))]

    /// Working memory is used again from call to call; nothing of the calls before is seen.
    #[test]
    fn nothing_is_carried_over(
        drawn in random::networks(Limits { width: 12, inputs: 6, ..Limits::SMALL }),
        wish in random::wishes(),
        cuts in random::cuts(),
        n_s in 1usize..=9,
    ) {
        let net = network::<f64>(&drawn.architecture, drawn.seed);
        let x = points(drawn.seed, n_s, drawn.d);
        let (prefix, pivots) = cuts.of(drawn.depth);
        let modes = [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites, Mode::Plan(plan(prefix, &pivots))];
        let asks = modes.map(|mode| wish.ask(drawn.d, drawn.m).mode(mode));
        common::memory::nothing_is_carried_over(&net, &x, &asks);
    }
}

/// Several threads may evaluate one network at once, from its first evaluation on.
#[test]
fn one_network_from_many_threads() {
    let net = everything_network::<f64>(1);
    let x = points::<f64>(2, 30, 3);
    let wanted = everything_network::<f64>(1).hessian(&x).unwrap();
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(|| net.hessian(&x).unwrap())).collect();
        handles.into_iter().for_each(|h| assert_eq!(h.join().unwrap(), wanted));
    });
}
