//! Training: it learns, resumes to the same numbers, stops when told, and shares its work among processes.
use burn::tensor::{DType, Device};
use hessquik::{Activation, Evaluate as _, Init, Network, Real, Single, resnet};
use hessquik_burn::train::{
    Alone, Burgers, Data, Fit, Objective, Optimiser, Outcome, Poisson, Ranks, Row, Schedule, Settings, Stopped, test,
    train,
};
use hessquik_burn::{Error, FlatNetwork};
use ndarray::Array2;
use std::cell::Cell;
use std::sync::{Arc, Barrier, Mutex};

fn device() -> Device {
    let name = std::env::var("HESSQUIK_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    hessquik_burn::device(&name).unwrap_or_else(|e| panic!("{e}")).0
}

fn network<F: Real>(seed: u64) -> FlatNetwork {
    let init = &mut Init::seed(seed);
    let library = Network::<F>::new(vec![
        Box::new(Single::new(2, 8, Activation::Tanh, init)),
        Box::new(resnet(8, 2, 0.5, Activation::Tanh, init).unwrap()),
        Box::new(Single::new(8, 1, Activation::Identity, init)),
    ]);
    FlatNetwork::from_library(&library.unwrap(), &device().autodiff()).unwrap()
}

fn fit(points: usize) -> Fit {
    Fit::new(&Data::peaks(points, 3), [1.0, 0.5, 0.25], &device(), DType::F32).unwrap()
}

fn run(settings: &Settings) -> Outcome {
    train(network::<f32>(0), &fit(60), Some(&fit(20)), settings, &Alone, &mut |_| (), &|| true).unwrap()
}

fn theta(outcome: &Outcome) -> Vec<f32> {
    outcome.network.to_library::<f32>().unwrap().flat_weights().to_vec()
}

fn losses(rows: &[Row]) -> Vec<Row> {
    rows.iter().map(|r| Row { seconds: 0.0, ..r.clone() }).collect()
}

fn short() -> Settings {
    Settings {
        epochs: 6,
        batch: 7,
        rate: 5e-3,
        lbfgs: 2,
        schedule: Schedule::Cosine { last: 1e-4 },
        ..Settings::default()
    }
}

#[test]
fn it_learns_and_seeds_reproduce() {
    let outcome = run(&short());
    assert_eq!((outcome.stopped, outcome.history.len()), (Stopped::Finished, 8));
    let (first, last) = (&outcome.history[0], &outcome.history[7]);
    assert!(last.train[0] < 0.8 * first.running[0], "{first:?} {last:?}");
    for row in &outcome.history {
        // the loss is the weighted sum of its terms
        let sum = row.train[1] + 0.5 * row.train[2] + 0.25 * row.train[3];
        assert!((row.train[0] - sum).abs() < 1e-9 * sum);
        assert_eq!(row.valid.len(), 4);
    }
    let again = run(&short());
    assert_eq!(theta(&outcome), theta(&again));
    assert_eq!(losses(&outcome.history), losses(&again.history));
    let other = run(&Settings { seed: 1, ..short() });
    assert_ne!(theta(&outcome), theta(&other));
}

/// The pass of the engine and the terms by separate operations are the same loss, with the same gradient.
#[test]
fn fused_and_separate_losses_agree() {
    let (network, fit) = (network::<f32>(4), fit(11));
    let (loss, terms) = fit.loss(&network, 2..9, 14).unwrap();
    let separate = fit.terms(&network, 2..9).unwrap();
    let weighted =
        separate.iter().zip(fit.weights()).map(|(t, w)| t.clone() * (w / 14.0)).reduce(|a, b| a + b).unwrap();
    let close = |a: f32, b: f32| assert!((a - b).abs() <= 1e-5 * b.abs(), "{a} {b}");
    close(loss.clone().into_scalar(), weighted.clone().into_scalar());
    for (i, term) in separate.into_iter().enumerate() {
        close(terms.clone().narrow(0, i, 1).into_scalar(), term.into_scalar());
    }
    // twice the loss: the cotangent counts
    let gradient = |loss: burn::tensor::Tensor<1>| network.theta.val().grad(&(loss * 2.0).backward()).unwrap();
    let (a, b) = (gradient(loss), gradient(weighted));
    let off: f32 = (a - b.clone()).abs().max().into_scalar();
    assert!(off <= 1e-5 * b.abs().max().into_scalar::<f32>(), "{off}");
}

/// Against numbers of the library alone: `L = 1/(2N) sum ...` by hand.
#[test]
fn losses_are_those_of_the_manual() {
    let data = Data::peaks(9, 3);
    let network = network::<f32>(2);
    let library = network.to_library::<f64>().unwrap();
    let (f, df, d2f) = library.hessian(&data.x).unwrap();
    let square = |a: &mut dyn Iterator<Item = f64>| a.map(|v| v * v).sum::<f64>() / 18.0;
    let by_hand = [
        square(&mut (&f - data.value.as_ref().unwrap()).iter().copied()),
        square(&mut (&df - data.gradient.as_ref().unwrap()).iter().copied()),
        square(&mut (&d2f - data.hessian.as_ref().unwrap()).iter().copied()),
    ];
    let found = test(&network, &fit(9), &Alone).unwrap();
    for (a, b) in found[1..].iter().zip(by_hand) {
        assert!((a - b).abs() < 1e-5 * b, "{found:?} {by_hand:?}");
    }
}

/// Interrupted anywhere, a run goes on from its checkpoint to the same numbers.
#[test]
fn resumes_to_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let whole = run(&short());
    let steps = 9 * 6;
    for stop_at in [0, 1, 13, 30, steps - 1, steps + 3, steps + 60] {
        let path = folder.path().join(format!("{stop_at}.safetensors"));
        let settings = Settings { checkpoint: Some(path.clone()), every: 2, ..short() };
        let asked = Cell::new(0);
        let go_on = || {
            asked.set(asked.get() + 1);
            asked.get() <= stop_at
        };
        let part = train(network::<f32>(0), &fit(60), Some(&fit(20)), &settings, &Alone, &mut |_| (), &go_on).unwrap();
        assert_eq!(part.stopped, Stopped::Interrupted, "{stop_at}");
        assert!(part.history.len() < 8);
        // from other weights: those of the checkpoint count
        let rest =
            train(network::<f32>(9), &fit(60), Some(&fit(20)), &settings, &Alone, &mut |_| (), &|| true).unwrap();
        assert_eq!(theta(&rest), theta(&whole), "{stop_at}");
        assert_eq!(losses(&rest.history), losses(&whole.history));
        // a finished run is not done again
        let done =
            train(network::<f32>(9), &fit(60), Some(&fit(20)), &settings, &Alone, &mut |_| (), &|| panic!()).unwrap();
        assert_eq!((theta(&done), done.stopped), (theta(&whole), Stopped::Finished));
    }
}

#[test]
fn checkpoints_of_other_runs_and_broken_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let settings = Settings { checkpoint: Some(path.clone()), lbfgs: 0, epochs: 1, ..short() };
    run(&settings);
    let refused = |settings: &Settings| {
        let result = train(network::<f32>(0), &fit(60), Some(&fit(20)), settings, &Alone, &mut |_| (), &|| true);
        result.unwrap_err().to_string()
    };
    let found = refused(&Settings { rate: 1e-4, ..settings.clone() });
    assert!(found.contains("a checkpoint of another run"), "{found}");
    let bytes = std::fs::read(&path).unwrap();
    for len in (0..bytes.len()).step_by(97) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert!(refused(&settings).contains("run.safetensors"));
    }
}

#[test]
fn stops_early_with_the_best_weights() {
    // a rate far too large: the loss grows after a while
    let settings = Settings {
        epochs: 200,
        batch: 20,
        rate: 0.2,
        patience: Some(3),
        optimiser: Optimiser::Adam,
        ..Settings::default()
    };
    let outcome = run(&settings);
    assert_eq!(outcome.stopped, Stopped::Early);
    assert!(outcome.history.len() < 200);
    let least = outcome.history.iter().map(|r| r.valid[0]).fold(f64::MAX, f64::min);
    assert_eq!(test(&outcome.network, &fit(20), &Alone).unwrap()[0], least);
    assert_eq!(outcome.history[outcome.history.len() - 4].valid[0], least);
}

#[test]
fn settings_that_make_no_sense() {
    for (settings, words) in [
        (Settings { batch: 0, ..short() }, "batch"),
        (Settings { rate: f64::NAN, ..short() }, "learning rate"),
        (Settings { epochs: 0, lbfgs: 0, ..short() }, "number of epochs"),
        (Settings { schedule: Schedule::Exponential { factor: 1.5 }, ..short() }, "factor"),
        (Settings { optimiser: Optimiser::AdamW { weight_decay: -1.0 }, ..short() }, "weight decay"),
    ] {
        let error = train(network::<f32>(0), &fit(5), None, &settings, &Alone, &mut |_| (), &|| true).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = Fit::new(&Data::peaks(3, 0), [0.0; 3], &device(), DType::F32).unwrap_err();
    assert!(error.to_string().contains("weight above zero"), "{error}");
    let error = Data::new(Array2::zeros((3, 2)), Some(Array2::zeros((2, 1))), None, None).unwrap_err();
    assert!(matches!(error, Error::Library(hessquik::Error::Shape { .. })), "{error}");
    let diverging = Settings { epochs: 40, rate: 1e30, batch: 5, schedule: Schedule::Constant, ..short() };
    let error = train(network::<f32>(0), &fit(60), None, &diverging, &Alone, &mut |_| (), &|| true).unwrap_err();
    assert!(error.to_string().contains("no longer finite"), "{error}");
    let wide = Data::new(Array2::zeros((3, 3)), Some(Array2::zeros((3, 1))), None, None).unwrap();
    let wide = Fit::new(&wide, [1.0; 3], &device(), DType::F32).unwrap();
    let error = train(network::<f32>(0), &wide, None, &short(), &Alone, &mut |_| (), &|| true).unwrap_err();
    assert!(error.to_string().contains("3 inputs and 1 outputs, the network 2 and 1"), "{error}");
}

/// Threads that sum as processes do, each adding in the order of the ranks.
struct Threads {
    rank: usize,
    size: usize,
    barrier: Arc<Barrier>,
    shares: Arc<Mutex<Vec<Vec<f64>>>>,
}

impl Ranks for Threads {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn sum(&self, numbers: &mut [f64]) {
        self.shares.lock().unwrap()[self.rank] = numbers.to_vec();
        self.barrier.wait();
        let shares = self.shares.lock().unwrap().clone();
        for (i, n) in numbers.iter_mut().enumerate() {
            *n = shares.iter().map(|s| s[i]).sum();
        }
        self.barrier.wait();
    }
}

/// Two and three processes reach, from the same global batches, the weights of one.
fn shared(settings: &Settings, tolerance: f64) {
    if !hessquik_burn::supports(&device(), DType::F64) {
        return;
    }
    let fit = |n| Fit::new(&Data::peaks(n, 3), [1.0, 0.5, 0.25], &device(), DType::F64).unwrap();
    let one = train(network::<f64>(0), &fit(21), Some(&fit(6)), settings, &Alone, &mut |_| (), &|| true).unwrap();
    let wanted = one.network.to_library::<f64>().unwrap().flat_weights();
    for size in [2, 3] {
        let (barrier, shares) = (Arc::new(Barrier::new(size)), Arc::new(Mutex::new(vec![Vec::new(); size])));
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..size)
                .map(|rank| {
                    let ranks = Threads { rank, size, barrier: barrier.clone(), shares: shares.clone() };
                    scope.spawn(move || {
                        let go = || true;
                        let run = train(network::<f64>(0), &fit(21), Some(&fit(6)), settings, &ranks, &mut |_| (), &go);
                        let run = run.unwrap();
                        (run.network.to_library::<f64>().unwrap().flat_weights(), losses(&run.history))
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for (found, rows) in &all {
            assert_eq!((found, rows), (&all[0].0, &all[0].1));
            let off = (found - &wanted).iter().fold(0.0f64, |m, v| m.max(v.abs()));
            assert!(off < tolerance, "{size} processes: off by {off:e}");
        }
    }
}

#[test]
fn processes_share_batches() {
    shared(&Settings { epochs: 3, batch: 4, lbfgs: 0, ..short() }, 1e-12);
    // line searches magnify how sums were rounded
    shared(&Settings { epochs: 1, batch: 4, lbfgs: 1, ..short() }, 1e-5);
}

/// The residual of an equation is that of its solution's derivatives, and training lowers it.
#[test]
fn physics() {
    let points = Poisson::new(40, 20, 0, &device(), DType::F32).unwrap();
    let burgers = Burgers::new(40, 20, 0.05, 0, &device(), DType::F32).unwrap();
    fn lower<O: Objective>(objective: &O) {
        let settings = Settings { epochs: 30, batch: 20, rate: 1e-2, ..Settings::default() };
        let outcome = train(network::<f32>(1), objective, None, &settings, &Alone, &mut |_| (), &|| true).unwrap();
        let before = test(&network::<f32>(1), objective, &Alone).unwrap();
        let after = &outcome.history.last().unwrap().train;
        assert!(after[0] < 0.5 * before[0], "{before:?} {after:?}");
    }
    lower(&points);
    lower(&burgers);
    // L of the network u = 0: the mean square of the source, and of nothing on the boundary
    let mut zero = network::<f32>(0);
    zero.set_theta(zero.theta.val().inner() * 0.0);
    let found = test(&zero, &points, &Alone).unwrap();
    assert!(found[1] > 10.0 && found[2] == 0.0, "{found:?}");
}
