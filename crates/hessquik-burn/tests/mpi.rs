//! Training over MPI: the processes of `mpirun -n 2` reach, from the same global batches, the weights of one.
use burn::tensor::{DType, Device};
use hessquik::{Activation, Init, fully_connected};
use hessquik_burn::FlatNetwork;
use hessquik_burn::train::{Alone, Data, Fit, Mpi, Ranks, Settings, train};
use std::process::Command;

/// k steps; the weights, and how many processes made them.
fn steps(ranks: &dyn Ranks) -> Vec<f64> {
    let library = fully_connected::<f64>(&[2, 8, 8, 1], Activation::Tanh, &mut Init::seed(0)).unwrap();
    let network = FlatNetwork::from_library(&library, &Device::flex().autodiff()).unwrap();
    let fit = Fit::new(&Data::peaks(33, 3), [1.0, 0.5, 0.25], &Device::flex(), DType::F64).unwrap();
    let settings = Settings { epochs: 4, batch: 8, rate: 1e-2, ..Settings::default() };
    let run = train(network, &fit, None, &settings, ranks, &mut |_| (), &|| true).unwrap();
    run.network.to_library::<f64>().unwrap().flat_weights().to_vec()
}

/// What `mpirun` starts; by itself it would be one process.
#[test]
#[ignore = "started by mpirun, from the test below"]
fn worker() {
    let ranks = Mpi::start().expect("MPI was not started before");
    let theta = steps(&ranks);
    if ranks.rank() == 0 {
        println!("WEIGHTS {} {}", ranks.size(), theta.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }
}

#[test]
fn two_processes_reach_the_weights_of_one() {
    let wanted = steps(&Alone);
    let mut command = Command::new("mpirun");
    command.args(["-n", "2", "--allow-run-as-root", "--oversubscribe"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "worker", "--ignored", "--nocapture", "--test-threads", "1"]);
    let output = command.output().expect("mpirun, of Debian's openmpi-bin");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let at = text.find("WEIGHTS ").unwrap_or_else(|| panic!("{text}"));
    let line = text[at..].lines().next().unwrap();
    let numbers: Vec<f64> = line.split_whitespace().skip(1).map(|w| w.parse().unwrap()).collect();
    assert_eq!(numbers[0], 2.0);
    assert_eq!(numbers.len() - 1, wanted.len());
    let off = numbers[1..].iter().zip(&wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(off < 1e-12, "off by {off:e}");
}
