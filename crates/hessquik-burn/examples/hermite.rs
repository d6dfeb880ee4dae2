//! Hermite interpolation: a network fitted to values, gradients and Hessians of peaks, as in hessQuik's example.
use burn::tensor::DType;
use hessquik::{Activation, Evaluate, Init, Network, Request, Single, peaks, resnet};
use hessquik_burn::FlatNetwork;
use hessquik_burn::train::{Alone, Data, Fit, Objective, Schedule, Settings, header, line, test, train};
use ndarray::Array2;

fn main() -> Result<(), hessquik_burn::Error> {
    let (device, note) = hessquik_burn::device("cpu")?;
    println!("{}", note.unwrap_or_default());

    let init = &mut Init::seed(0);
    let network = Network::<f64>::new(vec![
        Box::new(Single::new(2, 16, Activation::Tanh, init)),
        Box::new(resnet(16, 4, 0.5, Activation::Tanh, init)?),
        Box::new(Single::new(16, 1, Activation::Identity, init)),
    ])?;
    let network = FlatNetwork::from_library(&network, &device.clone().autodiff())?;

    // value, gradient and Hessian count the same
    let (rest, tested) = Data::peaks(1200, 0).split(100, 0)?;
    let (trained, valid) = rest.split(100, 0)?;
    let fit = |data| Fit::new(data, [1.0, 1.0, 1.0], &device, DType::F64);
    let (trained, valid, tested) = (fit(&trained)?, fit(&valid)?, fit(&tested)?);

    // `Settings::default()` is what hessQuik does; larger steps that get smaller, and L-BFGS at the end, get further
    let schedule = Schedule::Cosine { last: 1e-4 };
    let settings = Settings { epochs: 60, batch: 50, rate: 1e-2, schedule, lbfgs: 10, ..Settings::default() };
    println!("{}", header(&trained.names(), &trained.weights()));
    let mut print = |row: &_| println!("{}", line(row));
    let outcome = train(network, &trained, Some(&valid), &settings, &Alone, &mut print, &|| true)?;

    let network = outcome.network.to_library::<f64>()?;
    let x = Array2::from_shape_fn((10_000, 2), |(s, axis)| {
        let i = if axis == 0 { s / 100 } else { s % 100 };
        -3.0 + 6.0 * i as f64 / 99.0
    });
    let truth = peaks(&x, &Request::new().value())?.value.expect("asked for");
    let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
    let error = norm(&(network.value(&x)? - &truth)) / norm(&truth);
    println!("test loss {:.3e}", test(&outcome.network, &tested, &Alone)?[0]);
    println!("relative error of the value on a grid of 100 x 100 points: {error:.2e}");
    assert!(error < 0.05);
    Ok(())
}
