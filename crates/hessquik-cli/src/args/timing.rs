//! The command line of `timing`.
use super::{Dtype, positive};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Time value, gradient and Hessian over ranges of inputs and outputs, as hessQuik's timing test does
#[derive(Args, Debug)]
#[command(after_help = "\
For each number of inputs and outputs a network with random weights is evaluated by each wrapper, once untimed and then \
--num-trials times. Wrappers compute the same numbers: the untimed results are compared, and if they differ the command \
fails (exit code 1) without a timing. The table has, for each, the mean, standard deviation, least and median time, and \
the median as a multiple of that of `ours`.

With --json, or in OUT, every trial: results[].timing_trials, timing_trials_mean, timing_trials_std, in seconds.

Examples:
  hessquik timing
  hessquik timing --network-wrapper ours,hyper-dual --threads 1 --plot timing.svg
  hessquik timing --in-feature-range 64,256,1024 --out-feature-range 1 --network-wrapper ours -o timing.json
  hessquik timing --network-type icnn --nex 1000 --width 64 --dtype f64")]
pub struct Timing {
    /// Numbers of inputs
    #[arg(long, value_name = "D,...", value_delimiter = ',', value_parser = positive, default_value = "1,2,4,8,16,32,64")]
    pub in_feature_range: Vec<usize>,
    /// Numbers of outputs [default: 1,8, and 1 for icnn]
    #[arg(long, value_name = "M,...", value_delimiter = ',', value_parser = positive)]
    pub out_feature_range: Vec<usize>,
    /// Number of points
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive)]
    pub nex: usize,
    /// Number of timed evaluations of each network by each wrapper
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive)]
    pub num_trials: usize,
    /// Width of the hidden layers
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = positive)]
    pub width: usize,
    /// Number of hidden layers of that width
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub depth: u16,
    /// The kind of network
    #[arg(long, value_enum, default_value = "resnet")]
    pub network_type: NetworkType,
    /// Ways to compute the derivatives
    #[arg(
        long,
        value_enum,
        value_name = "WRAPPER,...",
        value_delimiter = ',',
        default_value = "ours,forward,backward,sites,hyper-dual"
    )]
    pub network_wrapper: Vec<Wrapper>,
    /// Precision of the computation
    #[arg(long, value_enum, default_value = "f32")]
    pub dtype: Dtype,
    /// Seed of the random weights and points
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Plot time against the number of inputs, for each number of outputs
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    pub plot: Option<PathBuf>,
    /// Also write the output of --json to a file
    #[arg(short, long, value_name = "OUT.json")]
    pub output: Option<PathBuf>,
    /// Replace files that this command did not write
    #[arg(long)]
    pub force: bool,
}

/// A network of the timings.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum NetworkType {
    /// A single layer, residual layers with h = 0.5, and a linear layer
    Resnet,
    /// Single layers, all with tanh
    #[value(name = "fully_connected", alias = "fully-connected")]
    FullyConnected,
    /// Input convex layers with a quadratic one on top; one output
    Icnn,
}

/// A timed way to compute derivatives.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Wrapper {
    /// The plan chosen by the cost model
    Ours,
    /// Tangents and Hessian carried through every layer
    Forward,
    /// The Hessian lifted back through every layer
    Backward,
    /// The plain sum over the pointwise sites
    Sites,
    /// Hyper-dual numbers, point by point and pair by pair of inputs: exact, without a formula for any layer
    HyperDual,
}
