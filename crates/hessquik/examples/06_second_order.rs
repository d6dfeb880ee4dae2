//! Everything else that second derivatives are asked for: operators, products, blocks, packed and factored Hessians.
use hessquik::{Activation, Error, Evaluate, Init, Mode, Request, fully_connected};
use ndarray::{Array2, array, s};

fn main() -> Result<(), Error> {
    let network = fully_connected::<f64>(
        &[3, 16, 16, 2],
        Activation::Softplus { beta: 2.0, threshold: 20.0 },
        &mut Init::seed(0),
    )?;
    let x: Array2<f64> = Init::seed(1).uniform((5, 3), -1.0, 1.0);

    // a wave operator u_tt - u_xx - u_yy, with t the first input: tr(B H) with an indefinite B
    let b = Array2::from_diag(&array![1.0, -1.0, -1.0]);
    let request = Request::new()
        .laplacian()
        .diagonal()
        .operator(b)
        .partials(&[(0, 1), (2, 2)]) // u_tx and u_yy
        .block(&[0], &[1, 2])
        .products(array![[1.0, 0.0, 2.0]]);
    let jet = network.evaluate(&x, &request)?;
    println!("wave operator {:.5}", jet.operator.as_ref().expect("asked for").row(0));
    println!("u_tx, u_yy    {:.5}", jet.partials.as_ref().expect("asked for").slice(s![0, .., 0]));
    println!("H w           {:.5}", jet.products.as_ref().expect("asked for").slice(s![0, .., 0, 0]));

    // along directions, of a combination of the outputs
    let along = Request::new().gradient().hessian().directions(array![[1.0, 1.0, 0.0]]).outputs(array![[1.0], [-1.0]]);
    let jet = network.evaluate(&x, &along)?;
    println!("d2(f_0 - f_1) along (1, 1, 0): {:.5}", jet.hessian.expect("asked for")[[0, 0, 0, 0]]);

    // half the memory, and no d^2 numbers at all
    let jet = network.evaluate(&x, &Request::new().packed().factored())?;
    let (packed, factored) = (jet.packed.expect("asked for"), jet.factored.expect("asked for"));
    println!("packed {:?}, factored core {:?}", packed.dim(), factored.core.dim());
    assert!((factored.diagonal()[[0, 0, 0]] - packed[[0, 0, 0]]).abs() < 1e-14);

    // the plan, and any other gives the same numbers
    println!("\n{}", network.explain(5, &Request::new().hessian())?);
    let (_, _, hessian) = network.hessian(&x)?;
    let backward = network.evaluate(&x, &Request::new().hessian().mode(Mode::Backward))?;
    let difference = (hessian - backward.hessian.expect("asked for")).fold(0.0f64, |m, e| m.max(e.abs()));
    println!("largest difference to backward mode {difference:.1e}");
    assert!(difference < 1e-13);
    Ok(())
}
