//! Softmax and log-sum-exp where one entry is far above the others: all digits stay, in single precision too.
use hessquik::{Activation, Evaluate, Init, Jet, Layer, LogSumExp, Mode, Network, Real, Request, Single, Softmax};
use ndarray::{Array, Array2, Dimension, array};

/// The largest difference of two arrays, in units of the largest entry.
fn off<D: Dimension>(found: &Array<f32, D>, wanted: &Array<f64, D>) -> f64 {
    let size = wanted.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    found.iter().zip(wanted).fold(0.0, |m: f64, (a, b)| m.max((f64::from(*a) - b).abs())) / size
}

fn errors(found: &Jet<f32>, wanted: &Jet<f64>) -> [f64; 3] {
    let all = "asked for";
    [
        off(found.value.as_ref().expect(all), wanted.value.as_ref().expect(all)),
        off(found.gradient.as_ref().expect(all), wanted.gradient.as_ref().expect(all)),
        off(found.hessian.as_ref().expect(all), wanted.hessian.as_ref().expect(all)),
    ]
}

fn request<F: Real>(mode: Mode) -> Request<F> {
    Request::new().value().gradient().hessian().mode(mode)
}

/// An affine layer whose first output is `margin` above the others, and what follows.
fn network(last: Box<dyn Layer<f32>>, width: usize, margin: f32) -> Network<f32> {
    let init = &mut Init::seed(3);
    let hidden = Single::new(3, 8, Activation::Tanh, init);
    let mut network =
        Network::new(vec![Box::new(hidden), Box::new(Single::new(8, width, Activation::Identity, init)), last])
            .expect("valid");
    let mut b = network.weight("1.b").expect("there").to_owned();
    b[[0]] += margin;
    network.set_weight("1.b", b.view()).expect("of this shape");
    network
}

#[test]
fn saturated_ones_keep_their_digits() {
    let x: Array2<f32> = Init::seed(4).uniform((20, 3), -1.0, 1.0).mapv(|x: f64| x as f32);
    for width in [2, 3, 17] {
        for margin in [0.0, 3.0, 6.0, 12.0] {
            for (name, last) in [
                ("softmax", Box::new(Softmax::new(width)) as Box<dyn Layer<f32>>),
                ("log-sum-exp", Box::new(LogSumExp::new(width)) as Box<dyn Layer<f32>>),
            ] {
                let single = network(last, width, margin);
                let double: Network<f64> = single.cast().expect("built in");
                let wanted = double.evaluate(&x.mapv(f64::from), &request(Mode::Sites)).expect("valid");
                for mode in [Mode::Auto, Mode::Sites, Mode::Forward, Mode::Backward] {
                    let found = single.evaluate(&x, &request(mode.clone())).expect("valid");
                    let found = errors(&found, &wanted);
                    assert!(found.iter().all(|e| *e < 3e-6), "{name} of {width}, {margin} above, {mode:?}: {found:?}");
                }
            }
        }
    }
}

#[test]
fn entries_far_below_do_not_count() {
    let x = array![[-1e8_f32, 1.0], [1.0, -1e8], [-3e30, 2.0], [2.0, f32::NEG_INFINITY]];
    for mode in [Mode::Auto, Mode::Sites] {
        let jet = LogSumExp::new(2).evaluate(&x, &request(mode.clone())).expect("valid");
        assert_eq!(jet.value.expect("asked for").into_raw_vec_and_offset().0, [1.0, 1.0, 2.0, 2.0], "{mode:?}");
        let wanted = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        assert_eq!(jet.gradient.expect("asked for").into_raw_vec_and_offset().0, wanted, "{mode:?}");
        let jet = Softmax::new(2).evaluate(&x, &request(mode.clone())).expect("valid");
        assert_eq!(jet.value.expect("asked for").into_raw_vec_and_offset().0, wanted, "{mode:?}");
    }
}
