//! Results and pullbacks of a small network in every mode, which must agree: of a size that Miri runs.
use crate::common::compare::{absolute, gradients, widened};
use crate::common::{Ask, compare, points};
use hessquik::{Activation, Evaluate, Gradients, Init, Mode, Network, Real, Single, resnet};

fn modes_agree<F: Real>(tolerance: f64) {
    let init = &mut Init::seed(0);
    let network = Network::<F>::new(vec![
        Box::new(Single::new(2, 5, Activation::AntiTanh, init)),
        Box::new(resnet(5, 2, 0.5, Activation::Tanh, init).unwrap()),
        Box::new(Single::new(5, 2, Activation::Identity, init)),
    ])
    .unwrap();
    // one way for few points, another for more
    for n_s in [1, 9] {
        let x = points::<F>(1, n_s, 2);
        let of = |mode: Mode| {
            let request = Ask { laplacian: true, ..Ask::jet() }.mode(mode).request();
            let jet = network.evaluate(&x, &request).unwrap();
            let bars = network.pullback(&x, &request, &jet).unwrap();
            (jet, bars)
        };
        let (jet, bars) = of(Mode::Sites);
        let jet = widened(&jet);
        let bars = Gradients { weights: bars.weights.mapv(|b| b.as_f64()), input: bars.input.mapv(|b| b.as_f64()) };
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward] {
            let what = format!("{mode:?} at {n_s} points in {}", F::NAME);
            let (found, pulled_back) = of(mode);
            compare(&found, &jet, &absolute(&jet)).within(tolerance, &what);
            gradients(&network, &pulled_back, &bars).within(tolerance, &what);
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
