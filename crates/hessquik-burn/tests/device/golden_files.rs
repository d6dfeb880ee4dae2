//! Against what hessQuik itself computed: every golden file, both ways, in every mode, in the precisions of the device.
use crate::common::{WAYS, array, check, device, distance, has, tensor};
use crate::golden;
use hessquik::{Mode, Real, Request};
use hessquik_burn::{Evaluate, Network};

fn jets<F: Real>(tolerance: f64) {
    let device = device();
    if !has::<F>(&device) {
        return;
    }
    for golden in golden::all() {
        let module = Network::from_library(&golden.network::<F>(), &device).unwrap();
        for mode in [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites] {
            for way in WAYS {
                let what = format!("{} {mode:?} {way:?} {}", golden.name, F::NAME);
                let request = Request::new().value().gradient().hessian().laplacian().mode(mode.clone());
                let x = tensor::<F, 2, _>(&golden.x, &device);
                let mut jets = way.evaluate(&module, x, &request).unwrap();
                // a trace may cancel: it is measured against the Hessian it is the trace of
                let laplacian = array(&jets.laplacian.take().unwrap());
                let wanted = golden.jet.laplacian.clone().unwrap().into_dyn();
                let scale = golden.jet.hessian.as_ref().unwrap().iter().fold(0.0f64, |m, v| m.max(v.abs()));
                let off = (&laplacian - &wanted).iter().fold(0.0f64, |m, v| m.max(v.abs()));
                assert!(off <= 10.0 * tolerance * scale, "{what}: Laplacian off by {off:e} of {scale:e}");
                let wanted = hessquik::Jet { laplacian: None, ..golden.jet.clone() };
                check(&jets, &wanted, tolerance, &what);
            }
        }
    }
}

#[test]
fn jets_f32() {
    jets::<f32>(2e-5);
}

#[test]
fn jets_f64() {
    jets::<f64>(1e-11);
}

/// Vector-Jacobian products of value, gradient and Hessian, as hessQuik's autograd gives them.
fn pullbacks<F: Real>(tolerance: f64) {
    let device = device();
    if !has::<F>(&device) {
        return;
    }
    let device = device.autodiff();
    for golden in golden::all() {
        let library = golden.network::<F>();
        let module = Network::from_library(&library, &device).unwrap();
        for way in WAYS {
            let what = format!("{} {way:?} {}", golden.name, F::NAME);
            let x = tensor::<F, 2, _>(&golden.x, &device).require_grad();
            let request = Request::new().value().gradient().hessian();
            let jets = way.evaluate(&module, x.clone(), &request).unwrap();
            let bar = &golden.cotangent;
            let loss = (jets.value.unwrap() * tensor::<F, 2, _>(bar.value.as_ref().unwrap(), &device)).sum()
                + (jets.gradient.unwrap() * tensor::<F, 3, _>(bar.gradient.as_ref().unwrap(), &device)).sum()
                + (jets.hessian.unwrap() * tensor::<F, 4, _>(bar.hessian.as_ref().unwrap(), &device)).sum();
            let grads = loss.backward();
            let wanted = golden.gradients(&library);
            let found = crate::gradients::of_weights(&module, &grads);
            let off = distance(&found.into_dyn(), &wanted.weights.into_dyn(), &what);
            assert!(off <= tolerance, "{what}: weights off by {off:e}");
            let off = distance(&array(&x.grad(&grads).unwrap()), &wanted.input.into_dyn(), &what);
            assert!(off <= tolerance, "{what}: points off by {off:e}");
        }
    }
}

#[test]
fn pullbacks_f32() {
    pullbacks::<f32>(1e-4);
}

#[test]
fn pullbacks_f64() {
    pullbacks::<f64>(1e-10);
}

/// Model files come and go with the same weights, and the same names.
#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    for golden in golden::all() {
        let library = golden.network::<f32>();
        let module = Network::from_library(&library, &device()).unwrap();
        assert_eq!(module.architecture().unwrap(), golden.architecture);
        let path = folder.path().join("model.safetensors");
        module.save(&path).unwrap();
        let back = hessquik::Network::<f32>::load(&path).unwrap();
        assert_eq!(back.flat_weights(), library.flat_weights());
        let again = Network::load::<f32>(&path, &device()).unwrap();
        assert_eq!(again.to_library::<f32>().unwrap().flat_weights(), library.flat_weights());
    }
}
