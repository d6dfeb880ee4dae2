//! Against what hessQuik itself computed: every golden file, in every mode, in both precisions.
use crate::common;
use common::golden::{self, Golden};
use common::random::depth;
use common::{Ask, Jets, Worst, compare, plan};
use hessquik::{Evaluate, Layer, Mode, Real, Request};
use ndarray::Array4;

/// Every named mode and a few plans of our own.
fn modes(golden: &Golden) -> Vec<Mode> {
    let depth = depth(&golden.architecture);
    let mut modes = vec![Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites];
    for (prefix, pivot) in [(0, 1), (1, 2), (2, 3), (depth / 2, depth - 1), (0, depth - 1)] {
        let pivots = if prefix < pivot && pivot < depth { vec![pivot] } else { vec![] };
        modes.push(Mode::Plan(plan(prefix.min(depth), &pivots)));
    }
    modes
}

fn full(golden: &Golden) -> Jets {
    let jet = golden.jet.clone();
    Jets { value: jet.value.unwrap(), gradient: jet.gradient.unwrap(), hessian: jet.hessian.unwrap() }
}

fn jets<F: Real>(tolerance: f64) {
    let mut worst = Worst::default();
    for golden in golden::all() {
        let network = golden.network::<F>();
        let x = golden.x.mapv(F::of);
        let ask = Ask { laplacian: true, ..Ask::jet() };
        let magnitude = ask.magnitude(&full(&golden));
        for mode in modes(&golden) {
            let what = format!("{} {mode:?} {}", golden.name, F::NAME);
            let found = network.evaluate(&x, &ask.clone().mode(mode).request()).unwrap();
            worst.join(compare(&found, &golden.jet, &magnitude).within(tolerance, &what));
        }
    }
    println!("worst of all jets in {}: {worst}", F::NAME);
}

#[test]
fn jets_f64() {
    jets::<f64>(1e-11);
}

#[test]
fn jets_f32() {
    jets::<f32>(1e-4);
}

/// The short names of common requests give the same arrays.
#[test]
fn short_names() {
    for golden in golden::all() {
        let (network, x) = (golden.network::<f64>(), &golden.x);
        let jet = network.evaluate(x, &Request::new().value().gradient().hessian().laplacian()).unwrap();
        let close = |a: ndarray::ArrayViewD<f64>, b: ndarray::ArrayViewD<f64>| {
            common::compare::arrays(&golden.name, &a.to_owned(), &b.to_owned(), &b.to_owned()).within(1e-11, &"short");
        };
        let (value, gradient, hessian) = (jet.value.unwrap(), jet.gradient.unwrap(), jet.hessian.unwrap());
        close(network.value(x).unwrap().view().into_dyn(), value.view().into_dyn());
        let (v, g) = network.gradient(x).unwrap();
        close(v.view().into_dyn(), value.view().into_dyn());
        close(g.view().into_dyn(), gradient.view().into_dyn());
        let (v, g, h) = network.hessian(x).unwrap();
        close(v.view().into_dyn(), value.view().into_dyn());
        close(g.view().into_dyn(), gradient.view().into_dyn());
        close(h.view().into_dyn(), hessian.view().into_dyn());
        let (v, g, l) = network.laplacian(x).unwrap();
        close(v.view().into_dyn(), value.view().into_dyn());
        close(g.view().into_dyn(), gradient.view().into_dyn());
        // a Laplacian may cancel: it is measured against the Hessian it is the trace of
        let laplacian = jet.laplacian.unwrap();
        let scale = hessian.mapv(f64::abs).into_dyn();
        let l = common::compare::arrays("laplacian", &l.into_dyn(), &laplacian.into_dyn(), &scale);
        l.within(1e-11, &golden.name);
    }
}

/// Hessians are symmetric to the last bit: one half is computed, the other mirrored.
#[test]
fn hessians_are_symmetric() {
    fn check<F: Real>(golden: &Golden) {
        for mode in modes(golden) {
            let request = Request::new().hessian().mode(mode.clone());
            let h: Array4<F> =
                golden.network::<F>().evaluate(&golden.x.mapv(F::of), &request).unwrap().hessian.unwrap();
            let mut mirrored = h.clone();
            mirrored.swap_axes(1, 2);
            assert!(h == mirrored, "{} {mode:?} {}", golden.name, F::NAME);
        }
    }
    golden::all().iter().for_each(|golden| {
        check::<f64>(golden);
        check::<f32>(golden);
    });
}

fn pullbacks<F: Real>(tolerance: f64) {
    let mut worst = Worst::default();
    for golden in golden::all() {
        let network = golden.network::<F>();
        assert!(network.dim_input() == golden.x.ncols());
        let (x, cotangent) = (golden.x.mapv(F::of), common::compare::narrowed(&golden.cotangent));
        let wanted = golden.gradients(&network);
        for mode in modes(&golden) {
            let what = format!("pullback of {} {mode:?} {}", golden.name, F::NAME);
            let found = network.pullback(&x, &Ask::jet().mode(mode).request(), &cotangent).unwrap();
            worst.join(common::compare::gradients(&network, &found, &wanted).within(tolerance, &what));
        }
    }
    println!("worst of all pullbacks in {}: {worst}", F::NAME);
}

#[test]
fn pullbacks_f64() {
    pullbacks::<f64>(1e-11);
}

#[test]
fn pullbacks_f32() {
    pullbacks::<f32>(1e-4);
}

/// hessQuik's own numbers and the oracle of the other tests agree, so each vouches for the other.
#[test]
fn oracle_agrees_with_golden() {
    for golden in golden::all().into_iter().filter(|g| g.x.ncols() <= 10) {
        let weights = common::named(&golden.network::<f64>());
        let found = common::differentiate(&golden.architecture, &weights, &golden.x);
        let ask = Ask { laplacian: true, ..Ask::jet() };
        let magnitude = ask.magnitude(&full(&golden));
        compare(&ask.contract(&found), &golden.jet, &magnitude).within(1e-12, &golden.name);
    }
}
