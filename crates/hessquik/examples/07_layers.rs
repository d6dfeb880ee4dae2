//! Layers put together: a network for u_xx + u_yy = f on the unit square that is zero on the boundary whatever its weights
//! are, of Fourier features and a PirateNet; and a DeepONet, differentiated along the place alone.
//!
//! ```sh
//! cargo run --release --example 07_layers
//! ```
use hessquik::layer::{Boundary, DeepONet, Fourier, FourierSpec, PirateNet, PirateNetSpec};
use hessquik::{Activation, ActivationSpec, Error, Evaluate, Init, Layer, Network, Request, Single, fully_connected};
use ndarray::{Array2, array};

fn main() -> Result<(), Error> {
    let init = &mut Init::seed(0);
    let inner = Network::<f64>::new(vec![
        Box::new(Fourier::new(FourierSpec::new(2, 16, 1.0), init)?),
        Box::new(PirateNet::new(PirateNetSpec { features: 32, depth: 2, act: ActivationSpec::Tanh }, init)?),
        Box::new(Single::new(32, 1, Activation::Identity, init)),
    ])?;
    let layer = Boundary::new(Box::new(inner), vec![Some(0.0); 2], vec![Some(1.0); 2])?;
    let network = Network::bare(Box::new(layer))?;
    println!("{network:?}");
    let x = array![[0.0, 0.4], [1.0, 0.9], [0.5, 0.5]];
    let jet = network.evaluate(&x, &Request::new().value().laplacian())?;
    println!("values\n{}\nLaplacians\n{}\n", jet.value.unwrap_or_default(), jet.laplacian.unwrap_or_default());

    // everything that one layer can do the others can: files, casts, gradients of losses
    let same = Network::<f64>::from_bytes(&network.to_bytes()?)?;
    assert_eq!(same.value(&x)?, network.value(&x)?);

    // 50 samples of a function, and a place (t, x) where its image is asked for
    let branch = fully_connected(&[50, 32, 20], Activation::Tanh, init)?;
    let trunk = fully_connected(&[2, 32, 20], Activation::Tanh, init)?;
    let operator = Network::bare(Box::new(DeepONet::<f64>::new(Box::new(branch), Box::new(trunk), 1)?))?;
    let points = Array2::from_shape_fn((4, operator.dim_input()), |(s, i)| ((s + i) as f64).sin());
    let mut place = Array2::zeros((2, operator.dim_input()));
    (place[[0, 50]], place[[1, 51]]) = (1.0, 1.0);
    let jet = operator.evaluate(&points, &Request::new().gradient().hessian().directions(place))?;
    let shape = jet.hessian.map(|h| h.shape().to_vec());
    println!("Hessians of the DeepONet along t and x: {:?}", shape.unwrap_or_default());
    Ok(())
}
