//! What Burn adds to the engine on the CPU: a training step (value, gradient and Hessian, a loss of all of them, gradients
//! of all weights) beside the engine's own forward pass and pullback, in one run; or what a GPU gains over that.
//!
//! `overhead [DEVICE [ROUNDS [CELLS]]]`: `cpu` unless set, how often each is measured, and of how many of the cells.
use burn::tensor::{DType, Tensor};
use hessquik::{Activation, Evaluate as _, Init, Jet, Request, Single, resnet};
use hessquik_burn::train::{Data, Fit, Objective};
use hessquik_burn::{Evaluate, FlatNetwork, Jets, Network};
use ndarray::{Array2, Array3, Array4};
use std::time::Instant;

/// (d, m, width, resnets, points)
const CELLS: [[usize; 5]; 5] =
    [[2, 1, 16, 4, 5], [2, 1, 16, 4, 1000], [2, 1, 64, 4, 4096], [3, 4, 64, 4, 1024], [10, 1, 64, 4, 512]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (device, _) = hessquik_burn::device(arguments.first().map_or("cpu", String::as_str))?;
    let number = |i: usize| arguments.get(i).map(|n| n.parse::<usize>()).transpose();
    let (asked, cells) = (number(1)?, number(2)?.unwrap_or(CELLS.len()));
    println!(
        "{:<22}{:>12}{:>20}{:>20}{:>20}",
        "d m w L n_s", "engine, us", "module, of it", "flat, of it", "fit, of it"
    );
    for [d, m, width, depth, n] in CELLS.into_iter().take(cells) {
        let init = &mut Init::seed(0);
        let library = hessquik::Network::<f32>::new(vec![
            Box::new(Single::new(d, width, Activation::Tanh, init)),
            Box::new(resnet(width, depth, 0.5, Activation::Tanh, init)?),
            Box::new(Single::new(width, m, Activation::Tanh, init)),
        ])?;
        let points = Array2::from_shape_fn((n, d), |(i, j)| (i * 7 + j * 3) as f32 * 0.61 % 2.0 - 1.0);
        let ask = Request::<f32>::new().value().gradient().hessian();
        let request = Request::<f64>::new().value().gradient().hessian();
        let cotangent = library.evaluate(&points, &ask)?;

        let module = Network::from_library(&library, &device.clone().autodiff())?;
        let flat = FlatNetwork::from_library(&library, &device.clone().autodiff())?;
        let data = burn::tensor::TensorData::new(points.iter().copied().collect::<Vec<f32>>(), [n, d]);
        let x = Tensor::<2>::from_data(data, &device);
        let zeros = Data::new(
            points.mapv(f64::from),
            Some(Array2::zeros((n, m))),
            Some(Array3::zeros((n, d, m))),
            Some(Array4::zeros((n, d, d, m))),
        )?;
        let fit = Fit::new(&zeros, [1.0; 3], &device, DType::F32)?;
        let loss = |jets: Jets| {
            jets.value.expect("asked for").square().sum()
                + jets.gradient.expect("asked for").square().sum()
                + jets.hessian.expect("asked for").square().sum()
        };

        let mut own = || {
            let jet = library.evaluate(&points, &ask).expect("checked above");
            std::hint::black_box(library.pullback(&points, &ask, &cotangent).expect("checked above"));
            std::hint::black_box::<Jet<f32>>(jet);
        };
        let mut by_module = || {
            std::hint::black_box(loss(module.evaluate(x.clone(), &request).expect("checked above")).backward());
            device.sync().expect("a device that works");
        };
        let mut by_flat = || {
            std::hint::black_box(loss(flat.evaluate(x.clone(), &request).expect("checked above")).backward());
            device.sync().expect("a device that works");
        };
        let mut by_fit = || {
            std::hint::black_box(fit.loss(&flat, 0..n, n).expect("checked above").0.backward());
            device.sync().expect("a device that works");
        };
        let mut ways: [&mut dyn FnMut(); 4] = [&mut own, &mut by_module, &mut by_flat, &mut by_fit];
        // interleaved, so that what else the machine does meets all of them; the median of each
        let mut seconds: [Vec<f64>; 4] = Default::default();
        let rounds = asked.unwrap_or(if n < 100 { 2000 } else { 30 }).max(1);
        for _ in 0..rounds {
            for (way, seconds) in ways.iter_mut().zip(&mut seconds) {
                let start = Instant::now();
                way();
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        let median = seconds.map(|mut s| {
            s.sort_by(f64::total_cmp);
            s[s.len() / 2]
        });
        let cell = format!("{d} {m} {width} {depth} {n}");
        let of = |i: usize| format!("{:.2}", median[i] / median[0]);
        println!("{cell:<22}{:>12.1}{:>20}{:>20}{:>20}", 1e6 * median[0], of(1), of(2), of(3));
    }
    Ok(())
}
