//! Hessians too large for the caches, which are computed row by row: against forward mode, which shares none of that.
use hessquik::{Activation, Evaluate, Init, Mode, Plan, Request, Resnet, Single};
use ndarray::{Array2, Axis};

#[test]
fn large_hessians_agree_with_forward_mode() {
    let init = &mut Init::seed(3);
    let (d, w, n) = (601, 5, 13);
    let network = hessquik::Network::<f64>::new(vec![
        Box::new(Single::new(d, w, Activation::Tanh, init)),
        Box::new(Resnet::new(w, 0.5, Activation::Tanh, init)),
        Box::new(Single::new(w, 1, Activation::Sin, init)),
    ])
    .unwrap();
    let x = Array2::from_shape_fn((n, d), |(i, j)| ((7 * i + 3 * j) as f64).sin());
    let request = Request::new().hessian();
    let of = |mode, x: &Array2<f64>| network.evaluate(x, &request.clone().mode(mode)).unwrap().hessian.unwrap();
    let one = x.slice(ndarray::s![..1, ..]).to_owned();
    let wanted = of(Mode::Forward, &one);
    let scale = wanted.iter().fold(0.0, |m: f64, h| m.max(h.abs()));
    // folded, sites alone, and sites beside a lift
    for plan in [Plan::new(0, [1]), Plan::sites(), Plan::new(0, [2])] {
        let found = of(Mode::Plan(plan.clone()), &one);
        let error = (&found - &wanted).iter().fold(0.0, |m: f64, e| m.max(e.abs()));
        assert!(error < 1e-12 * scale, "{plan}: {error} of {scale}");
        let h = found.index_axis(Axis(0), 0);
        let h = h.index_axis(Axis(2), 0);
        assert_eq!(h, h.t(), "{plan}: symmetric to the last bit");
    }
    // lent memory past the caches; fresh memory past them (8 points), and not (13)
    for n in [8, n] {
        let x = x.slice(ndarray::s![..n, ..]).to_owned();
        let mut jet = network.zeros(n, &request).unwrap();
        network.evaluate_into(&x, &request, jet.view_mut()).unwrap();
        assert_eq!(jet.hessian.unwrap(), of(Mode::Auto, &x));
    }
}
