//! Layers so wide that their weights pass the caches in blocks, and their gradients are summed where the result has them.
use crate::common::points;
use hessquik::{
    Activation, Error, Evaluate, Gradients, Icnn, Init, Network, QuadraticIcnn, Real, Request, Single, resnet,
};
use ndarray::{Array1, Array2};

const WIDTH: usize = 264;

/// Single, resnet and single layers; at 2 inputs and `m` outputs.
fn residual<F: Real>(m: usize, h: f64) -> Result<Network<F>, Error> {
    let init = &mut Init::seed(5);
    Network::new(vec![
        Box::new(Single::new(2, WIDTH, Activation::Tanh, init)),
        Box::new(resnet(WIDTH, 2, h, Activation::softplus(), init)?),
        Box::new(Single::new(WIDTH, WIDTH - 7, Activation::Tanh, init)),
        Box::new(Single::new(WIDTH - 7, m, Activation::Identity, init)),
    ])
}

/// Input convex layers, whose weights stand on top of each other in one map and partly pass softplus.
fn convex<F: Real>() -> Result<Network<F>, Error> {
    let init = &mut Init::seed(6);
    Network::new(vec![
        Box::new(Icnn::new(2, None, WIDTH, Activation::softplus(), init)),
        Box::new(Icnn::new(2, Some(WIDTH), WIDTH, Activation::softplus(), init)),
        Box::new(QuadraticIcnn::new(2, Some(WIDTH), 2, init)),
    ])
}

/// Half the squares of all results, and their gradients.
fn loss<F: Real>(net: &Network<F>, x: &Array2<F>, request: &Request<F>) -> Result<(F, Gradients<F>), Error> {
    net.loss_gradients(x, request, |_, jet, bar| {
        let mut sum = F::zero();
        macro_rules! add {
            ($($field:ident),*) => {$(
                if let (Some(f), Some(bar)) = (&jet.$field, &mut bar.$field) {
                    bar.assign(f);
                    sum += f.iter().map(|&f| F::of(0.5) * f * f).sum::<F>();
                }
            )*};
        }
        add!(value, gradient, hessian, laplacian);
        sum
    })
}

/// The gradient of the weights along some direction beside the difference of the losses there.
fn weights_beside_differences(mut net: Network<f64>, request: &Request<f64>, n: usize) -> Result<(), Error> {
    let x = points::<f64>(9, n, 2);
    let (_, gradients) = loss(&net, &x, request)?;
    let theta = net.flat_weights();
    // every third weight alone, then those of the others: a mistake in few of them is not lost in the sum
    for part in 0..3 {
        let step = |i: usize| if i % 3 == part { ((i * 7919 % 2003) as f64 / 1001.5 - 1.0) * 1e-5 } else { 0.0 };
        let step = Array1::from_shape_fn(theta.len(), step);
        let mut at = |sign: f64| -> Result<f64, Error> {
            net.set_flat_weights((&theta + &(sign * &step)).view())?;
            Ok(loss(&net, &x, request)?.0)
        };
        let (difference, wanted) = (0.5 * (at(1.0)? - at(-1.0)?), gradients.weights.dot(&step));
        let scale = (&gradients.weights * &step).mapv(f64::abs).sum() / (theta.len() as f64).sqrt();
        let error = (difference - wanted).abs();
        assert!(error < 1e-5 * wanted.abs().max(scale), "{n} points, part {part}: {difference} {wanted}");
    }
    Ok(())
}

#[test]
fn gradients_of_weights() -> Result<(), Error> {
    let laplacian = Request::new().value().gradient().laplacian();
    // one tile, several of them, and groups whose sums are added
    for n in [3, 40, 150] {
        weights_beside_differences(residual(1, 1.0)?, &laplacian, n)?;
    }
    weights_beside_differences(residual(3, 0.5)?, &Request::new().value().hessian(), 30)?;
    weights_beside_differences(residual(1, 1.0)?, &Request::new().gradient(), 200)?;
    weights_beside_differences(residual(2, 1.0)?, &laplacian.clone().mode(hessquik::Mode::Forward), 30)?;
    weights_beside_differences(convex()?, &laplacian, 100)
}

/// Any number of threads and of points beside a point: the same bits; and single precision beside double.
#[test]
fn bits_and_precisions() -> Result<(), Error> {
    fn run<F: Real>(threads: usize, n: usize) -> (Array2<F>, Gradients<F>) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let request = Request::new().value().gradient().laplacian();
        pool.install(|| {
            let (net, x) = (residual::<F>(1, 1.0).unwrap(), points::<F>(4, n, 2));
            let laplacian = net.evaluate(&x, &request).unwrap().laplacian.expect("asked for");
            (laplacian, loss(&net, &x, &request).unwrap().1)
        })
    }
    let (one, single) = (run::<f64>(1, 151), run::<f32>(1, 151));
    for threads in [2, 5] {
        assert!(run::<f64>(threads, 151) == one, "f64 on {threads} threads");
        assert!(run::<f32>(threads, 151) == single, "f32 on {threads} threads");
    }
    let scale = one.1.weights.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
    let apart = one.1.weights.iter().zip(&single.1.weights).map(|(a, &b)| (a - f64::from(b)).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-4 * scale);
    // a second call works in the memory of the first
    let (net, x) = (residual::<f64>(1, 1.0)?, points::<f64>(4, 151, 2));
    let request = Request::new().value().gradient().laplacian();
    let first = loss(&net, &x, &request)?;
    assert!(loss(&net, &x, &request)? == first && first.1 == one.1);
    // each point as if alone
    for n in [1, 5, 13, 30] {
        let few = net.evaluate(&x.slice(ndarray::s![..n, ..]), &request)?.laplacian.expect("asked for");
        assert!(few == one.0.slice(ndarray::s![..n, ..]), "{n} points");
    }
    // no points: a gradient of zeros
    let none = loss(&net, &Array2::zeros((0, 2)), &request)?.1;
    assert!(none.weights.len() == net.n_weights() && none.weights.iter().all(|&g| g == 0.0));
    Ok(())
}
