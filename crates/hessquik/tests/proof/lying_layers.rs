//! Layers of the user's that contradict themselves: errors when a network is made, never wrong numbers.
use crate::common;
use crate::hostile::says;
use crate::user_layers::Own;
use common::points;
use hessquik::{
    Activation, Error, Evaluate, Form, Init, Layer, Linear, Network, Parts, Request, Single, SmoothMap, Weights,
};
use ndarray::{Array1, Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4};
use std::sync::Arc;

#[test]
fn layers_that_lie() {
    let weights = Weights::new().with("K", Array2::ones((2, 4))).with("b", Array1::ones(4)).with("c", Array1::ones(3));
    let whole = Linear::zero().copy(0, 0, 3, 1.0);
    let right = Form::new(2, 4, 3).m(Linear::zero().weight("K", 0, 0)).b("b").w(whole).c("c");
    let of =
        |form: Form<f64>| Network::bare(Box::new(Own { name: "liar", dims: (2, 3), weights: weights.clone(), form }));
    assert!(of(right.clone()).is_ok());
    let wrong = [
        ("a block that starts too far right", right.clone().m(Linear::zero().weight("K", 0, 1))),
        ("a block that starts too far down", right.clone().m(Linear::zero().weight("K", 1, 0))),
        ("a transposed block that does not fit", right.clone().m(Linear::zero().transposed("K", 0, 0))),
        ("a weight that is not there", right.clone().m(Linear::zero().weight("Q", 0, 0))),
        ("a shift that is not there", right.clone().b("bias")),
        ("a shift of the wrong length", right.clone().b("c")),
        ("a copy out of range", right.clone().s(Linear::identity(3))),
        ("a constant out of range", right.clone().w(Linear::zero().constant(Array2::ones((4, 4)), 0, 0))),
        ("another number of inputs", Form::new(3, 4, 3)),
        ("another number of outputs", Form::new(2, 4, 2)),
        ("a huge offset", right.clone().m(Linear::zero().weight("K", usize::MAX, 0))),
        ("a huge copy", right.s(Linear::zero().copy(usize::MAX, 0, 2, 1.0))),
    ];
    for (what, form) in wrong {
        let e = of(form).expect_err(what);
        assert!(matches!(e, Error::Layer { .. } | Error::Setting { .. }), "{what}: {e}");
        assert!(e.to_string().contains("liar"), "{what}: {e}");
    }
}

/// What a layer declares and leaves out is an error when a network is made, and says what to write.
#[test]
fn layers_with_a_part_left_out() {
    let ones = |shape: (usize, usize)| Array2::<f64>::ones(shape);
    let of = |weights: Weights<f64>, form: Form<f64>| {
        let own = || Box::new(Own { name: "own", dims: (2, 3), weights: weights.clone(), form: form.clone() });
        let network =
            Network::<f64>::new(vec![Box::new(Single::new(2, 2, Activation::Tanh, &mut Init::seed(1))), own()]);
        let direct = own().evaluate(&ones((1, 2)), &Request::new().value());
        assert_eq!(network.is_ok(), direct.is_ok());
        network
    };
    let (k, m) = (Weights::new().with("K", ones((2, 3))), || Linear::zero().weight("K", 0, 0));
    let whole = || Form::new(2, 3, 3).m(m()).w(Linear::identity(3));
    assert!(of(k.clone(), whole()).is_ok());
    let spare = k.clone().with("spare", ones((2, 3)));
    let bias = k.clone().with("b", Array1::ones(3));
    let cases: [(&str, _, &[&str]); 9] = [
        ("no W", of(k.clone(), Form::new(2, 3, 3).m(m())), &["W is zero", ".w("]),
        ("no W beside a skip", of(k.clone(), Form::new(2, 3, 3).m(m()).s(Linear::identity(2))), &["W is zero"]),
        ("no M", of(Weights::new(), Form::new(2, 3, 3).w(Linear::identity(3))), &["M is zero", ".m("]),
        ("K in S alone", of(k.clone(), Form::new(2, 3, 3).s(m()).w(Linear::identity(3))), &["M is zero"]),
        ("nothing", of(Weights::new(), Form::new(2, 3, 3)), &["M and W are zero"]),
        ("an unused weight", of(spare, whole()), &["\"spare\"", "nowhere"]),
        ("an unused bias", of(bias.clone(), whole()), &["\"b\"", "nowhere"]),
        ("one name twice", of(k.clone().with("K", ones((2, 3))), whole()), &["two", "\"K\""]),
        ("a bias twice", of(bias.with("b", Array1::ones(3)), whole().b("b")), &["two", "\"b\""]),
    ];
    for (what, network, texts) in cases {
        let e = network.expect_err(what);
        assert!(matches!(e, Error::Layer { .. }), "{what}: {e}");
        says(Err::<(), _>(e), &[&["1 (own)"], texts].concat());
    }
    // affine is a layer, too
    assert!(of(k, Form::new(2, 3, 3).s(m())).is_ok());
}

/// A layer that lists its weights to be read, but not to be changed; and a chain that keeps those of its layers back.
#[derive(Clone, Debug)]
struct Secretive {
    own: Own,
    chain: Option<Vec<Box<dyn Layer<f64>>>>,
}

impl Layer<f64> for Secretive {
    fn name(&self) -> String {
        "secretive".into()
    }
    fn dim_input(&self) -> usize {
        2
    }
    fn dim_output(&self) -> usize {
        3
    }
    fn weights(&self) -> Vec<(String, &ndarray::ArrayD<f64>)> {
        if self.chain.is_some() { Vec::new() } else { self.own.weights() }
    }
    fn parts(&self) -> Parts<'_, f64> {
        self.chain.as_ref().map_or_else(|| self.own.parts(), |layers| Parts::Chain(layers))
    }
}

#[test]
fn weights_that_cannot_be_changed() {
    let form = Form::new(2, 3, 3).m(Linear::zero().weight("K", 0, 0)).w(Linear::identity(3));
    let own = Own { name: "own", dims: (2, 3), weights: Weights::new().with("K", Array2::ones((2, 3))), form };
    let chain: Vec<Box<dyn Layer<f64>>> = vec![Box::new(own.clone())];
    for (layer, texts) in [
        (Secretive { own: own.clone(), chain: None }, ["secretive", "`weights_mut` lists []"]),
        (Secretive { own, chain: Some(chain) }, ["0 entries", "6"]),
    ] {
        let e = Network::new(vec![Box::new(layer) as Box<dyn Layer<f64>>]).expect_err("not all weights");
        assert!(matches!(e, Error::Layer { .. }), "{e}");
        says(Err::<(), _>(e), &texts);
    }
}

/// A smooth map of the user's whose answers have another shape than it says.
#[derive(Clone, Debug)]
struct Misshapen(&'static str);

impl SmoothMap<f64> for Misshapen {
    fn dim_input(&self) -> usize {
        3
    }
    fn dim_output(&self) -> usize {
        3
    }
    fn value(&self, u: ArrayView2<f64>) -> Array2<f64> {
        Array2::ones((u.nrows(), if self.0 == "value" { 4 } else { 3 }))
    }
    fn tangent(&self, _: ArrayView2<f64>, t: ArrayView3<f64>) -> Array3<f64> {
        Array3::ones((t.dim().0, t.dim().1, if self.0 == "tangent" { 2 } else { 3 }))
    }
    fn adjoint(&self, _: ArrayView2<f64>, g: ArrayView3<f64>) -> Array3<f64> {
        Array3::ones((g.dim().0, if self.0 == "adjoint" { 1 } else { g.dim().1 }, 3))
    }
    fn curvature(&self, u: ArrayView2<f64>, a: ArrayView3<f64>, b: ArrayView3<f64>, g: ArrayView3<f64>) -> Array4<f64> {
        let b = if self.0 == "curvature" { 1 } else { b.dim().1 };
        Array4::ones((u.nrows(), a.dim().1, b, g.dim().1))
    }
    fn curvature_pullback(
        &self,
        u: ArrayView2<f64>,
        _: ArrayView3<f64>,
        _: ArrayView3<f64>,
        _: ArrayView3<f64>,
        _: ArrayView4<f64>,
    ) -> Array2<f64> {
        Array2::ones((u.nrows(), if self.0 == "curvature_pullback" { 2 } else { 3 }))
    }
}

impl Layer<f64> for Misshapen {
    fn name(&self) -> String {
        "misshapen".into()
    }
    fn dim_input(&self) -> usize {
        3
    }
    fn dim_output(&self) -> usize {
        3
    }
    fn parts(&self) -> Parts<'_, f64> {
        Parts::Smooth(Arc::new(self.clone()))
    }
}

/// Answers of the wrong shape never pass for results: all but the last operation are tried when a network is made.
#[test]
fn smooth_maps_that_lie() {
    let x = points::<f64>(1, 5, 3);
    let network = |operation: &'static str| {
        let init = &mut Init::seed(1);
        let before: Box<dyn Layer<f64>> = Box::new(Single::new(3, 3, Activation::Tanh, init));
        let after: Box<dyn Layer<f64>> = Box::new(Single::new(3, 2, Activation::Tanh, init));
        Network::new(vec![before, Box::new(Misshapen(operation)), after])
    };
    for operation in ["value", "tangent", "adjoint", "curvature"] {
        let e = network(operation).expect_err(operation);
        assert!(matches!(e, Error::Layer { .. }), "{e}");
        says(Err::<(), _>(e), &["misshapen", operation]);
    }
    let results = |operation: &'static str| {
        let net = network(operation).unwrap();
        let request = Request::new().value().gradient().hessian();
        net.pullback(&x, &request, &net.evaluate(&x, &request).unwrap()).unwrap()
    };
    assert_eq!(results("nothing").input.dim(), (5, 3));
    assert!(std::panic::catch_unwind(|| results("curvature_pullback")).is_err());
}
