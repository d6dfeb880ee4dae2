//! Initial weights: hessQuik's distributions (PyTorch's, with the second axis of `K` as fan-in), from a seed.
use hessquik::{Activation, Icnn, Init, Layer, Quadratic, QuadraticIcnn, Resnet, Single};

/// The entries of a weight lie in `low .. high`, fill it, and are centred in it.
fn uniform(layer: &dyn Layer<f64>, name: &str, low: f64, high: f64) {
    let weights = layer.weights();
    let (_, w) = weights.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name} of {layer:?}"));
    let (least, most) = w.iter().fold((f64::MAX, f64::MIN), |(a, b), &w| (a.min(w), b.max(w)));
    assert!(least >= low && most < high, "{name}: {least} .. {most} in {low} .. {high}");
    if w.len() > 200 {
        let width = high - low;
        assert!(least < low + 0.05 * width && most > high - 0.05 * width, "{name}: {least} .. {most}");
        // five standard deviations of the mean of uniform numbers
        let slack = 5.0 * width / (12.0 * w.len() as f64).sqrt();
        let mean = w.mean().unwrap();
        assert!((mean - 0.5 * (low + high)).abs() < slack, "{name}: mean {mean}");
    }
}

#[test]
fn weights_are_distributed_as_in_hessquik() {
    let init = &mut Init::seed(3);
    let act = Activation::Tanh;
    let both = |b: f64| (-b, b);
    let check = |layer: &dyn Layer<f64>, name: &str, (low, high): (f64, f64)| uniform(layer, name, low, high);

    let single = Single::new(30, 50, act.clone(), init);
    check(&single, "K", both(1.0 / 50f64.sqrt()));
    check(&single, "b", both(1.0 / 50f64.sqrt()));
    let resnet = Resnet::new(40, 1.0, act.clone(), init);
    check(&resnet, "layer.K", both(1.0 / 40f64.sqrt()));
    check(&resnet, "layer.b", both(1.0 / 40f64.sqrt()));
    // kaiming_uniform_(a = sqrt(fan)): sqrt(6 / ((1 + fan) out))
    let icnn = Icnn::new(20, Some(30), 60, act.clone(), init);
    check(&icnn, "K", both((6.0f64 / (21.0 * 60.0)).sqrt()));
    check(&icnn, "L", both((6.0f64 / (31.0 * 60.0)).sqrt()));
    check(&icnn, "b", both(1.0 / 60f64.sqrt()));
    let quadratic = Quadratic::new(300, 4, init);
    check(&quadratic, "v", both(1.0 / 300f64.sqrt()));
    check(&quadratic, "A", both(1.0 / 300f64.sqrt()));
    check(&quadratic, "mu", (0.0, 1.0));
    let last = QuadraticIcnn::new(60, Some(250), 5, init);
    check(&last, "w", both(1.0 / 250f64.sqrt()));
    check(&last, "v", both(1.0 / 250f64.sqrt()));
    check(&last, "A", both(1.0 / 60f64.sqrt()));
    check(&last, "mu", (0.0, 1.0));
    check(&QuadraticIcnn::new(300, None, 5, init), "v", both(1.0 / 300f64.sqrt()));
}

#[test]
fn seeds_reproduce_in_both_precisions() {
    let layer = |seed| Single::<f64>::new(3, 4, Activation::Tanh, &mut Init::seed(seed));
    assert_eq!(layer(1).weights(), layer(1).weights());
    assert_ne!(layer(1).weights(), layer(2).weights());
    let single = Single::<f32>::new(3, 4, Activation::Tanh, &mut Init::seed(1));
    for ((_, a), (_, b)) in single.weights().iter().zip(layer(1).weights()) {
        assert_eq!(a.mapv(f64::from), b.mapv(|w| f64::from(w as f32)));
    }
}
