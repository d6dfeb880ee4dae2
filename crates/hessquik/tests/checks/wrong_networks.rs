//! Networks with a derivative that is wrong fail.
use super::*;

/// sin with one of its derivatives off.
#[derive(Debug)]
struct Off(usize);

impl Pointwise for Off {
    fn name(&self) -> &str {
        "off"
    }
    fn jet(&self, z: f64) -> [f64; 4] {
        let mut jet = [z.sin(), z.cos(), -z.sin(), -z.cos()];
        jet[self.0] *= 1.5;
        jet
    }
}

fn off(order: usize) -> Network<f64> {
    let init = &mut Init::seed(4);
    let act = Activation::Custom(Arc::new(Off(order)));
    Network::new(vec![
        Box::new(Single::new(4, 5, act, init)) as Box<dyn Layer<f64>>,
        Box::new(Single::new(5, 2, Activation::Identity, init)),
    ])
    .unwrap()
}

#[test]
fn wrong_activations_fail() {
    let x = points(6, 4);
    let taylor = |order| input_derivative_check(&off(order), &x, &hessian()).unwrap();
    assert_eq!((taylor(1).gradient, taylor(2).gradient, taylor(3).gradient), (false, true, true));
    assert_eq!((taylor(2).hessian, taylor(3).hessian), (Some(false), Some(true)));
    let laplacian = laplacian_check_finite_difference(&off(2), &x, &Default::default()).unwrap();
    assert!(laplacian.gradient.passed && !laplacian.laplacian.unwrap().passed);
    // the third derivative stands in weight gradients alone
    let weights = |order, options| network_derivative_check(&off(order), &x, &options).unwrap().gradient;
    let gradient_alone = || Options { hessian: false, ..Options::default() };
    assert!(!weights(1, gradient_alone()) && !weights(2, gradient_alone()) && weights(3, gradient_alone()));
    assert!(!weights(3, hessian()));
}

/// Softmax with a wrong curvature pullback, or wrong tangents.
#[derive(Clone, Debug)]
struct OffMap {
    right: Softmax,
    tangent: f64,
    pullback: f64,
}

impl SmoothMap<f64> for OffMap {
    fn dim_input(&self) -> usize {
        SmoothMap::<f64>::dim_input(&self.right)
    }
    fn dim_output(&self) -> usize {
        SmoothMap::<f64>::dim_output(&self.right)
    }
    fn value(&self, u: ArrayView2<f64>) -> Array2<f64> {
        self.right.value(u)
    }
    fn tangent(&self, u: ArrayView2<f64>, t: ArrayView3<f64>) -> Array3<f64> {
        self.right.tangent(u, t) * self.tangent
    }
    fn adjoint(&self, u: ArrayView2<f64>, g: ArrayView3<f64>) -> Array3<f64> {
        self.right.adjoint(u, g)
    }
    fn curvature(
        &self,
        u: ArrayView2<f64>,
        t1: ArrayView3<f64>,
        t2: ArrayView3<f64>,
        g: ArrayView3<f64>,
    ) -> Array4<f64> {
        self.right.curvature(u, t1, t2, g)
    }
    fn curvature_pullback(
        &self,
        u: ArrayView2<f64>,
        t1: ArrayView3<f64>,
        t2: ArrayView3<f64>,
        g: ArrayView3<f64>,
        weight: ArrayView4<f64>,
    ) -> Array2<f64> {
        self.right.curvature_pullback(u, t1, t2, g, weight) * self.pullback
    }
}

impl Layer<f64> for OffMap {
    fn name(&self) -> String {
        "off".into()
    }
    fn dim_input(&self) -> usize {
        SmoothMap::<f64>::dim_input(self)
    }
    fn dim_output(&self) -> usize {
        SmoothMap::<f64>::dim_output(self)
    }
    fn parts(&self) -> Parts<'_, f64> {
        Parts::Smooth(Arc::new(self.clone()))
    }
}

#[test]
fn wrong_maps_fail() {
    let x = points(6, 4);
    let network = |tangent, pullback| {
        let init = &mut Init::seed(5);
        Network::new(vec![
            Box::new(Single::new(4, 3, Activation::Tanh, init)) as Box<dyn Layer<f64>>,
            Box::new(OffMap { right: Softmax::new(3), tangent, pullback }),
            Box::new(Single::new(3, 2, Activation::Tanh, init)),
        ])
        .unwrap()
    };
    let weights = |pullback| network_derivative_check(&network(1.0, pullback), &x, &hessian()).unwrap();
    assert!(weights(1.0).gradient);
    assert!(!weights(0.9).gradient, "{}", weights(0.9));
    // adjoints and tangents disagree: one mode is right, the other is not
    let report = directional_derivative_check(&network(1.01, 1.0), &x, &DirectionalOptions::default()).unwrap();
    assert!(!report.passed(), "{report}");
    assert!(directional_derivative_check(&network(1.0, 1.0), &x, &DirectionalOptions::default()).unwrap().passed());
}

/// A function that is right except along directions.
fn deaf(what: usize) -> impl Fn(ArrayView2<f64>, &Request<f64>) -> Result<Jet<f64>, Error> {
    let network = nested();
    move |x, request| {
        let mut jet = network.jet(x, request)?;
        if jet.laplacian.is_some() {
            match what {
                0 => jet.gradient.iter_mut().for_each(|g| *g *= 1.0 + 1e-6),
                1 => jet.hessian.iter_mut().for_each(|h| *h *= 1.0 + 1e-6),
                2 => jet.laplacian.iter_mut().for_each(|l| *l *= f64::NAN),
                _ => {}
            }
        }
        Ok(jet)
    }
}

#[test]
fn wrong_directional_derivatives_fail() {
    let x = points(6, 4);
    let report = |what| directional_derivative_check(&deaf(what), &x, &DirectionalOptions::default()).unwrap();
    let verdicts = |what| (report(what).gradient, report(what).hessian, report(what).laplacian);
    assert_eq!(verdicts(3), (true, true, true));
    assert_eq!(verdicts(0), (false, true, true));
    assert_eq!(verdicts(1), (true, false, true));
    assert_eq!(verdicts(2), (true, true, false));
    let text = report(0).to_string();
    assert!(text.starts_with("AUTO MODE, INPUT DIRECTIONS: grad = "), "{text}");
    assert!(text.contains("\n\t Gradient FAILED.\n\t Hessian PASSED!\n\t Laplacian PASSED!"), "{text}");
}
