//! Value, gradient and Hessian of a network at a few points, and a derivative check before they are trusted.
use hessquik::check::{Options, input_derivative_check};
use hessquik::{Activation, Error, Evaluate, Init, Network, Single, resnet};
use ndarray::array;

fn main() -> Result<(), Error> {
    let init = &mut Init::seed(0);
    let network = Network::<f64>::new(vec![
        Box::new(Single::new(2, 16, Activation::Tanh, init)),
        Box::new(resnet(16, 4, 1.0, Activation::Tanh, init)?),
        Box::new(Single::new(16, 1, Activation::Identity, init)),
    ])?;

    let x = array![[0.1, 0.2], [-1.0, 0.5], [2.0, 2.0]];
    let (value, gradient, hessian) = network.hessian(&x)?;
    for s in 0..x.nrows() {
        println!("f({}) = {:.6}", x.row(s), value[[s, 0]]);
        println!("  gradient {:.6}", gradient.slice(ndarray::s![s, .., 0]));
        println!("  Hessian  {:.6}", hessian.slice(ndarray::s![s, .., .., 0]));
    }

    let check = input_derivative_check(&network, &x, &Options { hessian: true, ..Default::default() })?;
    println!("\n{check}");
    assert!(check.gradient && check.hessian == Some(true));
    Ok(())
}
