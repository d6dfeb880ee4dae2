//! Poisson's equation on the unit square, solved from the Laplacian of a network, and compared with the solution.
use burn::tensor::DType;
use hessquik::{Activation, Evaluate, Init, Network, Single, fully_connected};
use hessquik_burn::FlatNetwork;
use hessquik_burn::train::{Alone, Objective, Poisson, Schedule, Settings, header, line, train};
use ndarray::Array2;

fn main() -> Result<(), hessquik_burn::Error> {
    let (device, note) = hessquik_burn::device("cpu")?;
    println!("{}", note.unwrap_or_default());

    let init = &mut Init::seed(0);
    let network = Network::<f64>::new(vec![
        Box::new(fully_connected::<f64>(&[2, 20, 20], Activation::Tanh, init)?),
        Box::new(Single::new(20, 1, Activation::Identity, init)),
    ])?;
    let network = FlatNetwork::from_library(&network, &device.clone().autodiff())?;

    // an equation of your own: implement `Objective`, a dozen lines, as `Poisson` does
    let poisson = Poisson::new(600, 160, 0, &device, DType::F64)?;
    let schedule = Schedule::Cosine { last: 1e-4 };
    let settings = Settings { epochs: 60, batch: 76, rate: 1e-2, schedule, lbfgs: 8, ..Settings::default() };
    println!("{}", header(&poisson.names(), &poisson.weights()));
    let mut print = |row: &_| println!("{}", line(row));
    let outcome = train(network, &poisson, None, &settings, &Alone, &mut print, &|| true)?;

    let network = outcome.network.to_library::<f64>()?;
    let x = Array2::from_shape_fn((2500, 2), |(s, axis)| (if axis == 0 { s / 50 } else { s % 50 }) as f64 / 49.0);
    let truth = Poisson::solution(&x);
    let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
    let error = norm(&(network.value(&x)? - &truth)) / norm(&truth);
    println!("relative error of u on a grid of 50 x 50 points: {error:.2e}");
    assert!(error < 0.02);
    Ok(())
}
