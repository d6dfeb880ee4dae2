//! Results and pullbacks of a small network in every mode, which must agree: of a size that Miri runs.
use hessquik::{Activation, Evaluate, Init, Mode, Network, Real, Request, Single, resnet};

fn modes_agree<F: Real>(tolerance: f64) {
    let init = &mut Init::seed(0);
    let network = Network::<F>::new(vec![
        Box::new(Single::new(2, 5, Activation::AntiTanh, init)),
        Box::new(resnet(5, 2, 0.5, Activation::Tanh, init).unwrap()),
        Box::new(Single::new(5, 2, Activation::Identity, init)),
    ])
    .unwrap();
    // one way for few points, another for more
    for points in [1, 9] {
        let x = Init::seed(1).uniform((points, 2), -1.0, 1.0).mapv(F::of);
        let of = |mode: Mode| {
            let request = Request::<F>::new().value().gradient().hessian().laplacian().mode(mode);
            let jet = network.evaluate(&x, &request).unwrap();
            let bars = network.pullback(&x, &request, &jet).unwrap();
            let results =
                [jet.value.unwrap().into_dyn(), jet.gradient.unwrap().into_dyn(), jet.hessian.unwrap().into_dyn()];
            let gradients = [bars.weights.into_dyn(), bars.input.into_dyn()];
            results.into_iter().chain(gradients).collect::<Vec<_>>()
        };
        let first = of(Mode::Sites);
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward] {
            for (a, b) in first.iter().zip(&of(mode.clone())) {
                let scale = a.iter().fold(F::one(), |scale, a| scale.max(a.abs()));
                let worst = a.iter().zip(b).fold(F::zero(), |worst, (&a, &b)| worst.max((a - b).abs()));
                assert!(worst < scale * F::of(tolerance), "{mode:?} at {points} points in {}: {worst}", F::NAME);
            }
        }
    }
}

#[test]
fn all_modes_agree_in_single_precision() {
    modes_agree::<f32>(1e-5);
}

#[test]
fn all_modes_agree_in_double_precision() {
    modes_agree::<f64>(1e-13);
}
