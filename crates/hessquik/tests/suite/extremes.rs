//! Weights and points of any size: no panic in any mode, and finite results wherever the numbers between are.
use hessquik::{Activation, Error, Evaluate, Init, Jet, Mode, Network, Real, Request, fully_connected};
use ndarray::{Array1, Array2};

fn everything<F: Real>(mode: Mode) -> Request<F> {
    Request::new().value().gradient().hessian().packed().diagonal().laplacian().mode(mode)
}

const MODES: [Mode; 4] = [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites];

/// The network with weights of this size and either sign.
fn sized<F: Real>(act: Activation, size: f64) -> Network<F> {
    let mut network = fully_connected::<F>(&[3, 5, 4, 2], act, &mut Init::seed(1)).unwrap();
    let sign = |i: usize| if i % 3 == 1 { -1.0 } else { 1.0 };
    let weights = Array1::from_shape_fn(network.n_weights(), |i| F::of(size * sign(i)));
    network.set_flat_weights(weights.view()).unwrap();
    network
}

fn points<F: Real>() -> Array2<F> {
    Array2::from_shape_fn((70, 3), |(s, a)| F::of(((7 * s + 3 * a) % 11) as f64 / 4.0 - 1.3))
}

/// Bounded activations saturate under weights of 1e30: the values are limits, and all derivatives vanish. In single
/// precision the second-order products overflow on the way, and may be NaN; the values may not.
#[test]
fn huge_weights_saturate() {
    fn check<F: Real>() -> Vec<Jet<F>> {
        let jets = MODES.into_iter().map(|mode| {
            let network = sized::<F>(Activation::Tanh, 1e30);
            let jet = network.evaluate(&points(), &everything(mode.clone())).unwrap();
            assert!(jet.value.as_ref().unwrap().iter().all(|v| v.abs() <= F::one()));
            network.pullback(&points(), &everything(mode), &jet).unwrap();
            jet
        });
        jets.collect()
    }
    check::<f32>();
    for jet in check::<f64>() {
        assert!(jet.gradient.unwrap().iter().all(|g| *g == 0.0));
        assert!(jet.hessian.unwrap().iter().all(|h| *h == 0.0));
        assert!(jet.laplacian.unwrap().iter().all(|l| *l == 0.0));
    }
}

/// Whatever the weights and points, from the least positive number to the greatest, with infinities and NaN among the
/// points: no panic, and as many results as points.
#[test]
fn nothing_panics() {
    fn check<F: Real>() {
        let acts =
            [Activation::Quadratic, Activation::Gelu, Activation::softplus(), Activation::Sin, Activation::Gaussian];
        let specials = [0.0, -0.0, 1.0, 5e-324, 1e-40, f64::MAX, -1e30, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let x = Array2::from_shape_fn((specials.len() * 10, 3), |(s, a)| F::of(specials[(s / (1 + 2 * a)) % 10]));
        for act in acts {
            for size in [0.0, 1e-310, 1e-40, 1.0, 1e30, 1e300] {
                let network = sized::<F>(act.clone(), size);
                for mode in MODES {
                    let jet = network.evaluate(&x, &everything(mode.clone())).unwrap();
                    assert_eq!(jet.hessian.as_ref().unwrap().dim(), (100, 3, 3, 2));
                    network.pullback(&x, &everything(mode), &jet).unwrap();
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

/// Any number of points in a stream, from none to ten million: each comes once, in order.
#[test]
fn streams_of_any_length() {
    let network = fully_connected::<f32>(&[1, 2, 1], Activation::Tanh, &mut Init::seed(1)).unwrap();
    let whole = Array2::from_shape_fn((10_000_000, 1), |(s, _)| (s % 1000) as f32 / 500.0 - 1.0);
    let wanted = network.evaluate(&whole.slice(ndarray::s![..1000, ..]), &Request::new().laplacian()).unwrap();
    let wanted = wanted.laplacian.unwrap();
    for n in [0, 1, 2, 63, 64, 65, 4096, 99_999, 1_000_000, 10_000_000] {
        let x = whole.slice(ndarray::s![..n, ..]);
        let (mut next, mut wrong) = (0, 0);
        let seen = network.stream(&x, &Request::new().laplacian(), |range, jet| {
            assert_eq!(range.start, next);
            next = range.end;
            let found = jet.laplacian.as_ref().expect("asked for");
            wrong += found.iter().zip(range).filter(|(f, s)| **f != wanted[[s % 1000, 0]]).count();
            Ok::<_, Error>(())
        });
        seen.unwrap();
        assert_eq!((next, wrong), (n, 0));
    }
}
