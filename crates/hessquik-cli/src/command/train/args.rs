//! The options of `hessquik train`.
use crate::args::{Dtype, Preset, Reading, positive};
use clap::{Args, Subcommand, ValueEnum};
use hessquik::ActivationSpec;
use hessquik::activation::ActivationKind;
use hessquik_burn::DEVICES;
use hessquik_burn::train::{Optimiser, Schedule};
use std::path::PathBuf;

/// Train a network on values, gradients and Hessians, or on a differential equation
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = false,
    after_help = "\
Written to OUT: model.safetensors, history.csv, and pictures as PNG and SVG: fit (what is true, the approximation, the \
difference) and convergence. While training goes on there is also checkpoint.safetensors. Ctrl-C saves all of them, and \
the same command then goes on from there, to the same numbers.

Examples:
  hessquik train hermite                                     peaks, from values, gradients and Hessians
  hessquik train hermite --hessquik-settings --seed 3
  hessquik train data points.npz --width 32 -o fit           your own data
  hessquik train pinn poisson
  hessquik train hermite --help                              all options"
)]
pub struct Train {
    #[command(subcommand)]
    pub problem: Problem,
}

/// What is trained on.
#[derive(Debug, Subcommand)]
pub enum Problem {
    Hermite(Hermite),
    Data(Data),
    Pinn(Pinn),
}

/// Fit the peaks function from its values, gradients and Hessians at random points
#[derive(Args, Debug)]
#[command(after_help = "\
The network is 2 -> 16 tanh, 4 residual layers of 16 with h = 0.5, -> 1, unless set. The relative error is that of the \
value, on the grid of 100 x 100 points of [-3, 3] x [-3, 3].

Examples:
  hessquik train hermite --seed 1 -o peaks
  hessquik train hermite --hessquik-settings --json
  hessquik train hermite --weights 1,1,0 --epochs 200 --schedule cosine --lbfgs 0")]
pub struct Hermite {
    /// Number of points to train on
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub points: usize,
    /// Number of validation points
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub valid: usize,
    /// Number of points for the test loss
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = positive)]
    pub test: usize,
    #[command(flatten)]
    pub loss: Loss,
    #[command(flatten)]
    pub network: NetworkOptions,
    #[command(flatten)]
    pub options: Options,
    /// Where all files go: a folder, or a .safetensors file for the model with the other files beside it
    #[arg(short, long, value_name = "OUT", default_value = "hessquik-hermite")]
    pub output: PathBuf,
}

/// Fit data from a file of points with values, gradients or Hessians
#[derive(Args, Debug)]
#[command(after_help = "\
FILE is .safetensors, .npz, or a folder of .npy files, with x (n, d) and one or more of value (n, m), \
gradient (n, d, m), hessian (n, d, d, m); the axis m may be missing where m = 1. A .csv has the columns x0, x1, ... and \
value, gradient_0, hessian_0_1, ..., with the number of the output at the end where there are several. `hessquik peaks -o \
FILE` writes all of these. Of a .csv with other names, or an .npy, --columns and --values say which columns are points and \
values.

The relative error is that of the value (or of the gradient or Hessian if no values are given) at the test points, which are not \
trained on.

Examples:
  hessquik train data points.npz -o fit
  hessquik train data points.safetensors --model start.safetensors --weights 1,0.1,0 -o fit
  hessquik train data table.csv --columns t,x --values u -o fit")]
pub struct Data {
    /// The data; - for standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub reading: Reading,
    /// Columns of the values in a .csv or .npy, by name or by number from 0
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "columns")]
    pub values: Option<Vec<String>>,
    /// Number of validation points, drawn from the file; a tenth of the points by default
    #[arg(long, value_name = "N")]
    pub valid: Option<usize>,
    /// Number of points for the test loss, drawn from the file; a tenth of the points by default
    #[arg(long, value_name = "N")]
    pub test: Option<usize>,
    #[command(flatten)]
    pub loss: Loss,
    #[command(flatten)]
    pub network: NetworkOptions,
    #[command(flatten)]
    pub options: Options,
    /// Where all files go: a folder, or a .safetensors file for the model with the other files beside it
    #[arg(short, long, value_name = "OUT", default_value = "hessquik-data")]
    pub output: PathBuf,
}

/// Solve a differential equation
#[derive(Args, Debug)]
#[command(after_help = "\
poisson   -(u_xx + u_yy) = f on the unit square, u = 0 on its boundary; the solution is sin(pi x) sin(pi y)
burgers   u_t + u u_x = v u_xx for t in [0, 1], x in [-1, 1], u = -sin(pi x) at first, u = 0 at x = -1, 1
kdv       u_t + 6 u u_x + u_xxx = 0 for t in [0, 1], x in [-5, 5], u that of one soliton of speed c at first and at \
x = -5, 5, u_x at x = 5; the solution is c/2 sech^2(sqrt(c)/2 (x - c (t - 1/2)))
beam      u_xxxx = 384 for x in [0, 1], u = u_x = 0 at both ends, where the beam is clamped; the solution is \
16 x^2 (1 - x)^2

The relative error is that of u against the known solution, on a grid of 100 x 100 points (of 1000 for beam).

Examples:
  hessquik train pinn poisson
  hessquik train pinn kdv --speed 2
  hessquik train pinn burgers --viscosity 0.05 --points 4000 -o burgers")]
pub struct Pinn {
    /// The equation
    #[arg(value_enum)]
    pub equation: Equation,
    /// Number of points inside, where the equation should hold
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub points: usize,
    /// Number of points on the boundary, where values are given
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = positive)]
    pub boundary: usize,
    /// Number of validation points inside; a fifth as many are added on the boundary
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub valid: usize,
    /// Number of points for the test loss inside; a fifth as many are added on the boundary
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub test: usize,
    /// Viscosity v of Burgers' equation; 0.1/pi by default
    #[arg(long, value_name = "V", value_parser = above_zero)]
    pub viscosity: Option<f64>,
    /// Speed c of the soliton of kdv; 4 by default
    #[arg(long, value_name = "C", value_parser = above_zero)]
    pub speed: Option<f64>,
    #[command(flatten)]
    pub network: NetworkOptions,
    #[command(flatten)]
    pub options: Options,
    /// Where all files go: a folder, or a .safetensors file for the model with the other files beside it;
    /// hessquik-EQUATION by default
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
}

/// A differential equation with a known solution.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Equation {
    Poisson,
    Burgers,
    Kdv,
    Beam,
}

/// The loss of data.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Loss")]
pub struct Loss {
    /// Weights of the squared errors of value, gradient and Hessian
    #[arg(long, value_name = "W0,W1,W2", default_value = "1,1,1", value_parser = weights)]
    pub weights: [f64; 3],
    /// Use exactly hessQuik's settings: Adam 1e-3, batch 5, 50 epochs, no schedule, no L-BFGS, f32; options given
    /// explicitly still override them
    #[arg(long)]
    pub hessquik_settings: bool,
}

/// The network that is trained.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkOptions {
    /// A model to start from; random weights by default
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["architecture", "preset", "width", "depth", "step", "activation"])]
    pub model: Option<PathBuf>,
    /// A description of the network, as `hessquik new` reads it, with random weights
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["preset", "width", "depth", "step", "activation"])]
    pub architecture: Option<PathBuf>,
    /// A network known by name, with the inputs and outputs of the problem and random weights
    #[arg(long, value_enum, conflicts_with_all = ["width", "depth", "step", "activation"])]
    pub preset: Option<Preset>,
    /// Width of the default network: a single layer, residual layers and a linear layer
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = positive)]
    pub width: usize,
    /// Number of residual layers of the default network
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub depth: u16,
    /// Step h of the residual layers
    #[arg(long, value_name = "H", default_value_t = 0.5)]
    pub step: f64,
    #[arg(long, value_name = "NAME[:SETTING=X,...]", default_value = "tanh", value_parser = crate::state::spec, help = activations())]
    pub activation: ActivationSpec,
}

/// The help of `--activation`: all that the library has.
fn activations() -> String {
    let names: Vec<_> = ActivationKind::ALL
        .iter()
        .map(|kind| match kind.settings {
            [] => kind.name.to_string(),
            settings => {
                format!("{}:{}=", kind.name, settings.iter().map(|(key, _)| *key).collect::<Vec<_>>().join("=,"))
            }
        })
        .collect();
    format!("Activation of the residual layers and the single layer: {}", names.join(", "))
}

/// How it is trained.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Training")]
pub struct Options {
    /// Number of mini-batch epochs [default: 60, and 100 for pinn]
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Points per mini-batch [default: 50]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub batch: Option<usize>,
    /// The optimiser: adam, adamw (weight decay 0.01) or adamw:DECAY [default: adam]
    #[arg(long, alias = "optimiser", value_name = "NAME", value_parser = optimiser)]
    pub optimizer: Option<Optimiser>,
    /// Initial learning rate [default: 0.01]
    #[arg(long, value_name = "R", value_parser = above_zero)]
    pub rate: Option<f64>,
    /// How the learning rate falls: constant, cosine (to zero) or cosine:LAST, exponential:FACTOR, step:EPOCHS:FACTOR
    /// [default: cosine:1e-4]
    #[arg(long, value_name = "NAME", value_parser = schedule)]
    pub schedule: Option<Schedule>,
    /// Scale gradients down to this norm if they are longer; not done by default
    #[arg(long, value_name = "NORM", value_parser = above_zero)]
    pub clip: Option<f64>,
    /// Number of epochs of L-BFGS on all points, after the mini-batches [default: 10, and 20 for pinn]
    #[arg(long, value_name = "N")]
    pub lbfgs: Option<usize>,
    /// Stop after this many epochs without a lower loss (of the validation points, if any), and keep the best weights;
    /// by default, train to the end
    #[arg(long, value_name = "EPOCHS", value_parser = positive)]
    pub patience: Option<usize>,
    /// Seed of the weights, the points and their order
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Checkpoint file, written during training and resumed from if it exists; kept at the end. By default it is in OUT
    /// and removed at the end
    #[arg(long, value_name = "FILE.safetensors")]
    pub checkpoint: Option<PathBuf>,
    /// Number of epochs between checkpoints
    #[arg(long, value_name = "EPOCHS", default_value_t = 10, value_parser = positive)]
    pub every: usize,
    /// Start from scratch even if there is a checkpoint
    #[arg(long)]
    pub restart: bool,
    /// Replace files in OUT that this command did not write
    #[arg(long)]
    pub force: bool,
    /// cpu, auto (a GPU if there is one), or one of the built-in GPU kinds
    #[arg(long, default_value = "cpu", value_parser = clap::builder::PossibleValuesParser::new(DEVICES))]
    pub device: String,
    /// Precision; f64 on the CPU and f32 on GPUs by default
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    /// Print a line of the table every this many epochs
    #[arg(long, value_name = "EPOCHS", default_value_t = 5, value_parser = positive)]
    pub print: usize,
    /// Print no table
    #[arg(short, long)]
    pub quiet: bool,
}

fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(v) if v > 0.0 && f64::is_finite(v) => Ok(v),
        _ => Err("expected a positive number".into()),
    }
}

fn zero_or_more(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|v: &f64| *v >= 0.0 && v.is_finite())
}

fn weights(text: &str) -> Result<[f64; 3], String> {
    let weights: Option<Vec<f64>> = text.split(',').map(zero_or_more).collect();
    match weights.as_deref() {
        Some(&[a, b, c]) if a + b + c > 0.0 => Ok([a, b, c]),
        _ => Err("expected three numbers, not negative and not all zero, such as 1,1,0.1".into()),
    }
}

fn optimiser(text: &str) -> Result<Optimiser, String> {
    let decay = |text| zero_or_more(text).ok_or_else(|| "expected adamw:DECAY with DECAY zero or more".to_string());
    match text.split_once(':') {
        None if text == "adam" => Ok(Optimiser::Adam),
        None if text == "adamw" => Ok(Optimiser::AdamW { weight_decay: 0.01 }),
        Some(("adamw", w)) => Ok(Optimiser::AdamW { weight_decay: decay(w)? }),
        _ => Err("expected adam, adamw or adamw:DECAY".into()),
    }
}

fn schedule(text: &str) -> Result<Schedule, String> {
    let factor = |text: &str| zero_or_more(text).filter(|f| *f > 0.0 && *f <= 1.0);
    let found = match text.split(':').collect::<Vec<_>>()[..] {
        ["constant"] => Some(Schedule::Constant),
        ["cosine"] => Some(Schedule::Cosine { last: 0.0 }),
        ["cosine", last] => zero_or_more(last).map(|last| Schedule::Cosine { last }),
        ["exponential", f] => factor(f).map(|factor| Schedule::Exponential { factor }),
        ["step", every, f] => {
            let every = every.parse().ok().filter(|n| *n > 0);
            every.zip(factor(f)).map(|(every, factor)| Schedule::Step { every, factor })
        }
        _ => None,
    };
    let wanted =
        "constant, cosine, cosine:LAST, exponential:FACTOR or step:EPOCHS:FACTOR, with FACTOR above 0, at most 1";
    found.ok_or_else(|| format!("expected {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_schedules_optimisers_and_weights() {
        assert_eq!(schedule("constant"), Ok(Schedule::Constant));
        assert_eq!(schedule("cosine:1e-5"), Ok(Schedule::Cosine { last: 1e-5 }));
        assert_eq!(schedule("exponential:0.9"), Ok(Schedule::Exponential { factor: 0.9 }));
        assert_eq!(schedule("step:10:0.5"), Ok(Schedule::Step { every: 10, factor: 0.5 }));
        for wrong in ["", "cos", "cosine:-1", "cosine:1:2", "exponential", "exponential:2", "step:0:0.5", "step:10:0"] {
            assert!(schedule(wrong).is_err(), "{wrong}");
        }
        assert_eq!(optimiser("adamw:0.1"), Ok(Optimiser::AdamW { weight_decay: 0.1 }));
        assert!(optimiser("sgd").is_err() && optimiser("adamw:x").is_err());
        assert_eq!(weights("1,0.5,0"), Ok([1.0, 0.5, 0.0]));
        for wrong in ["1,1", "0,0,0", "1,-1,0", "1,nan,0", "1,1,1,1"] {
            assert!(weights(wrong).is_err(), "{wrong}");
        }
    }
}
