//! The command line: commands, options and their help.
mod timing;

pub use timing::{NetworkType, Timing, Wrapper};

use crate::command::estimate::Estimating;
use crate::failure::Failure;
use crate::output::Format as OutputFormat;
use crate::points::source::Format;
use crate::request::Wish;
use crate::state::Chain;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rayon::ThreadPool;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  hessquik                                         the main job, on a model that it makes
  hessquik new --preset pinn -o model.safetensors  a model with random weights
  hessquik eval model.safetensors --input points.npy -o out.safetensors
  hessquik eval model.safetensors --input points.csv --request value,laplacian -o results/
  hessquik check model.safetensors                 are its derivatives right?
  hessquik explain model.safetensors --points 100000 --request hessian
  hessquik timing --plot timing.svg                what second derivatives cost
  hessquik train hermite                           fit peaks from values, gradients and Hessians

Exit codes:
  0    done
  1    a check failed
  2    the command line is wrong
  3    a file, model or array is missing or wrong, memory is short, or training failed
  130  interrupted
After a failure nothing is written, and what was there is as before; training that is interrupted saves what it has. Files
that another command or program wrote are replaced only with --force. Where a file is read or written, - stands for standard
input or output, and FIFOs and devices are read from and written into.";

/// Values, gradients and Hessians of neural networks with respect to their inputs, analytically.
#[derive(Debug, Parser)]
#[command(name = "hessquik", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// Without a command, runs a demonstration in the folder hessquik-demo
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print one JSON object instead of text
    #[arg(long, global = true, display_order = 100)]
    pub json: bool,
    /// Number of threads; all cores by default
    #[arg(long, global = true, display_order = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

impl Arguments {
    /// The thread pool for `--threads`; `None` for the default one.
    pub fn pool(&self) -> Result<Option<ThreadPool>, Failure> {
        // more are a mistake: they would take memory and time, and none would run faster
        let most = std::thread::available_parallelism().map_or(1, usize::from).saturating_mul(8).max(256);
        let variable = std::env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.parse::<usize>().ok());
        let asked = self.threads.map(|n| ("--threads", usize::from(n)));
        if let Some((what, n)) = asked.or(variable.map(|n| ("RAYON_NUM_THREADS", n))).filter(|(_, n)| *n > most) {
            return Err(Failure::Usage(format!("{what} is {n}, expected at most {most}")));
        }
        let Some(n) = self.threads else { return Ok(None) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(n)).build();
        pool.map(Some).map_err(|e| Failure::Usage(format!("cannot start {n} threads: {e}")))
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Eval(Box<Eval>),
    New(New),
    Convert(Convert),
    Info(Info),
    Check(Check),
    Explain(Explain),
    Peaks(Peaks),
    Timing(Timing),
    #[cfg_attr(not(feature = "train"), command(disable_help_flag = true))]
    Train(Train),
}

#[cfg(feature = "train")]
pub use crate::command::train::Train;

/// Train a network (not built in: needs the cargo feature `train`)
#[cfg(not(feature = "train"))]
#[derive(Args, Debug)]
pub struct Train {
    /// Anything
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub anything: Vec<std::ffi::OsString>,
}

#[cfg(not(feature = "train"))]
impl Train {
    /// Which feature to build with.
    pub fn missing() -> Failure {
        let build = "cargo install --path crates/hessquik-cli --features train";
        let gpus = "wgpu, vulkan, metal, cuda or rocm instead of train for a GPU as well";
        Failure::Usage(format!(
            "this hessquik is built without training; build it with the cargo feature train: {build} ({gpus})"
        ))
    }
}

/// Evaluate a model at the points of a file
#[derive(Args, Debug)]
#[command(after_help = "\
X holds one point in each row: .npy (floats of any size, bfloat16, integers or booleans), .npz or .safetensors (array x), \
.csv (also .tsv and .txt; commas, semicolons, tabs or spaces; one line of names may come first, and comments after #), or a \
folder with x.npy. In a .csv, exponents may be written with D, and fractions after a comma where semicolons or tabs separate \
columns; missing values are errors. The kind of data from - or a FIFO is detected from its first bytes, or set by --input-format.

OUT is a .safetensors, .npz or .csv file or else a folder of .npy files, with value (n, m), gradient (n, d, m), \
hessian (n, d, d, m), laplacian (n, m), diagonal (n, d, m) in C order; with directions, k and q take the place of d \
and m. A .csv has the columns value, gradient_0, hessian_0_1 and so on, with the number of the output at the end where there \
are several. Reading and writing go tile by tile, so neither file need fit in memory. OUT appears when it is complete, and \
replaces that of an earlier run; files of others are replaced by --force alone, and so is every .csv, which cannot say who \
wrote it.

Examples:
  hessquik eval model.safetensors --input points.npy -o out.safetensors
  hessquik eval model.safetensors --input points.csv --request value,laplacian -o results/
  hessquik eval model.safetensors --input points.npy --request partials:0-1+0-0 -o mixed/
  hessquik eval model.safetensors --input points.npy --operator B.npy -o operator/
  hessquik eval model.safetensors --input points.npy --request laplacian --estimate 64 -o estimate/
  hessquik eval model.safetensors --input table.csv --columns x,y -o results.csv
  hessquik eval model.safetensors --grid 200 --low -3 --high 3 -r value,laplacian -o grid.safetensors --plot fields.svg
  cat points.csv | hessquik eval model.safetensors -i - -r value -o - | head")]
pub struct Eval {
    /// The model, a .safetensors or .onnx file; - for standard input
    pub model: PathBuf,
    /// The points, a .npy, .npz, .csv or .safetensors file; - for standard input
    #[arg(short, long, value_name = "X", required_unless_present = "grid", conflicts_with = "grid")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub grid: Grid,
    #[command(flatten)]
    pub wish: Wish,
    #[command(flatten)]
    pub estimating: Estimating,
    /// Precision of the computation and of OUT; that of the model's weights by default
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    /// Number of points per tile; chosen by size unless given
    #[arg(long, value_name = "N", value_parser = positive)]
    pub tile: Option<usize>,
    /// Evaluate only share I of N of the points, counted from 0; with `auto`, the share of this process under mpirun or
    /// srun. The name of OUT then includes the share: out.I-of-N.safetensors
    #[arg(long, value_name = "I/N", value_parser = share)]
    pub share: Option<(usize, usize)>,
    /// Where results go: a .safetensors, .npz or .csv file, a folder, or - for standard output
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    #[command(flatten)]
    pub writing: Writing,
}

/// Points of a regular grid, and their picture.
#[derive(Args, Clone, Debug, Default)]
pub struct Grid {
    /// Take a regular grid instead of a file: N x N points over two inputs, or N over one
    #[arg(long, value_name = "N", value_parser = positive)]
    pub grid: Option<usize>,
    /// Where the inputs of the grid start: one number for all, or one for each [default: -1]
    #[arg(long, value_name = "A,...", value_delimiter = ',', allow_hyphen_values = true, value_parser = finite)]
    pub low: Vec<f64>,
    /// Where they end [default: 1]
    #[arg(long, value_name = "B,...", value_delimiter = ',', allow_hyphen_values = true, value_parser = finite)]
    pub high: Vec<f64>,
    /// The inputs that vary, one or two; the others stay in the middle of their range [default: 0,1]
    #[arg(long, value_name = "I,J", value_delimiter = ',')]
    pub axes: Option<Vec<usize>>,
    /// Draw the results over the grid, one map or line for each
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    pub plot: Option<PathBuf>,
}

/// A number that is neither NaN nor infinite.
fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim().parse().map_err(|_| "expected a number".to_string())?;
    if number.is_finite() { Ok(number) } else { Err("expected a finite number".into()) }
}

/// How points are read.
#[derive(Args, Clone, Debug, Default)]
pub struct Reading {
    /// Columns of the points, by name or by number from 0; all columns by default
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Kind of the input file, if its name does not say it: npy, npz, csv or safetensors
    #[arg(long, value_name = "KIND", value_parser = format)]
    pub input_format: Option<Format>,
}

impl Reading {
    /// As the readers of points want it.
    pub fn how(&self) -> crate::points::Reading<'_> {
        crate::points::Reading { format: self.input_format, columns: self.columns.as_deref(), matrices: false }
    }
}

fn format(text: &str) -> Result<Format, String> {
    Ok(match text {
        "npy" => Format::Npy,
        "npz" => Format::Npz,
        "csv" => Format::Csv,
        "safetensors" => Format::Safetensors,
        other => {
            let meant = hessquik::did_you_mean(other, ["npy", "npz", "csv", "safetensors"]);
            return Err(format!("expected npy, npz, csv or safetensors{meant}"));
        }
    })
}

/// How results are written.
#[derive(Args, Clone, Debug, Default)]
pub struct Writing {
    /// Kind of the file OUT, if its name does not say it; csv for - and FIFOs by default
    #[arg(long, value_enum, value_name = "KIND")]
    pub output_format: Option<OutputFormat>,
    /// Replace files that this command did not write
    #[arg(long)]
    pub force: bool,
}

/// Reads `I/N`, or finds both where a launcher has said them.
fn share(text: &str) -> Result<(usize, usize), String> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let (part, parts) = if text == "auto" {
        let launchers = [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
            ("PMI_RANK", "PMI_SIZE"),
            ("SLURM_PROCID", "SLURM_NTASKS"),
        ];
        let found = launchers.iter().find_map(|(rank, size)| Some((number(rank)?, number(size)?)));
        found.ok_or("no rank is set in the environment (mpirun and srun set one)")?
    } else {
        let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        parsed.ok_or("expected I/N, such as 0/4, or auto")?
    };
    if part < parts { Ok((part, parts)) } else { Err(format!("share {part} of {parts}: shares are numbered from 0")) }
}

/// Make a model with random weights
#[derive(Args, Debug)]
#[command(after_help = "\
ARCHITECTURE.json holds, for example,
  {\"type\": \"network\", \"layers\": [
    {\"type\": \"single\", \"in_features\": 2, \"out_features\": 16, \"act\": {\"type\": \"tanh\"}},
    {\"type\": \"resnet\", \"width\": 16, \"h\": 0.5, \"act\": {\"type\": \"softplus\", \"beta\": 2.0}},
    {\"type\": \"single\", \"in_features\": 16, \"out_features\": 1}]}
and `hessquik info MODEL --json` prints that of a model.

Examples:
  hessquik new architecture.json -o model.safetensors
  hessquik new --preset pinn --seed 7 -o model.safetensors")]
pub struct New {
    /// The description of the network
    #[arg(required_unless_present = "preset", conflicts_with = "preset")]
    pub architecture: Option<PathBuf>,
    /// A network known by name
    #[arg(long, value_enum)]
    pub preset: Option<Preset>,
    /// Number of inputs of the preset [default: as listed for each preset]
    #[arg(long, value_name = "D", value_parser = positive, requires = "preset")]
    pub dim_input: Option<usize>,
    /// Number of outputs of the preset [default: as listed for each preset]
    #[arg(long, value_name = "M", value_parser = positive, requires = "preset")]
    pub dim_output: Option<usize>,
    /// Seed of the random weights
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Precision of the weights
    #[arg(long, value_enum, default_value = "f32")]
    pub dtype: Dtype,
    /// The file to write; - for standard output
    #[arg(short, long, value_name = "MODEL")]
    pub output: PathBuf,
    /// Replace a model that was trained or was written by another program
    #[arg(long)]
    pub force: bool,
}

/// Write a model as another kind of file: an ONNX model or a state dictionary as .safetensors, or back as .onnx
#[derive(Args, Debug)]
#[command(after_help = "\
An ONNX model has one input (n, d) and one output (n, m), maps each point by itself, and has opset 11 or newer.

A state dictionary has the weights of linear layers one after another by name, as torch.save(model.state_dict(), ...) or \
safetensors write them, or .npz; it does not say the activations, which --act names. Nothing in a file is executed.

Examples:
  hessquik convert model.onnx -o model.safetensors
  hessquik convert weights.pt -o model.safetensors --act tanh
  hessquik convert weights.safetensors -o model.safetensors --act sin,silu --last sigmoid
  hessquik convert model.safetensors --dtype f32 -o small.safetensors
  hessquik convert model.safetensors -o model.onnx
  hessquik convert model.safetensors -o jets.onnx --with gradient,hessian")]
pub struct Convert {
    /// The model, a .safetensors or .onnx file, or a state dictionary, a .safetensors, .pt, .pth or .npz file; - for standard
    /// input
    pub model: PathBuf,
    #[command(flatten)]
    pub chain: Chain,
    /// Precision of the weights; that of the model by default
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    /// The file to write, a .onnx file or else safetensors; - for standard output
    #[arg(short, long, value_name = "MODEL")]
    pub output: PathBuf,
    /// What an ONNX model computes beside the value: gradient, hessian, laplacian
    #[arg(long, value_name = "RESULTS")]
    pub with: Option<String>,
    /// Replace a model that was trained or was written by another program
    #[arg(long)]
    pub force: bool,
}

/// Show the layers of a model
#[derive(Args, Debug)]
pub struct Info {
    /// The model, a .safetensors or .onnx file; - for standard input
    pub model: PathBuf,
    /// List the computation node by node; automatic for a model that is a graph of up to 60 nodes
    #[arg(long)]
    pub graph: bool,
    /// Print the graph for Graphviz instead: hessquik info MODEL --dot | dot -Tsvg > graph.svg
    #[arg(long, conflicts_with = "graph")]
    pub dot: bool,
}

/// Check the derivatives of a model against Taylor series and finite differences, in f64
#[derive(Args, Debug)]
#[command(after_help = "Exit code 1 if a check fails.")]
pub struct Check {
    /// The model, a .safetensors or .onnx file; - for standard input
    pub model: PathBuf,
    /// Check at the first points of this file; by default at random points in [-1, 1]
    #[arg(short, long, value_name = "X")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
    /// Number of points
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = positive)]
    pub points: usize,
    /// Seed of the random points and perturbations
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Also check derivatives of orders up to this one, 3 to 8, each against the order below
    #[arg(long, value_name = "ORDER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=8))]
    pub order: u8,
    /// Draw the errors of the Taylor expansions against the step
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    pub plot: Option<PathBuf>,
    /// Replace a picture that this command did not draw
    #[arg(long, requires = "plot")]
    pub force: bool,
}

/// Show how a request would be computed, what it costs, and what the alternatives cost
#[derive(Args, Debug)]
pub struct Explain {
    /// The model, a .safetensors or .onnx file; - for standard input
    pub model: PathBuf,
    /// Number of points
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    pub points: usize,
    #[command(flatten)]
    pub wish: Wish,
    /// Precision of the computation; that of the model's weights by default
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    /// List the steps, if the request is computed by a schedule of the network's graph
    #[arg(long)]
    pub steps: bool,
    /// Draw the predicted times of all plans as bars
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    pub plot: Option<PathBuf>,
    /// Replace a picture that this command did not draw
    #[arg(long, requires = "plot")]
    pub force: bool,
}

/// Write points of the peaks function with its value, gradient and Hessian
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  hessquik peaks -n 1000 --seed 0 -o peaks.safetensors
  hessquik peaks --grid 100 -o peaks/
  hessquik peaks --grid 200 -o peaks.npz --plot peaks.png")]
pub struct Peaks {
    /// Number of random points, uniform in [-3, 3] x [-3, 3]
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, conflicts_with = "grid")]
    pub points: usize,
    /// Write a regular grid of N x N points instead
    #[arg(long, value_name = "N", value_parser = positive)]
    pub grid: Option<usize>,
    /// Draw value, gradient and Hessian over the grid
    #[arg(long, value_name = "FILE.svg|FILE.png", requires = "grid")]
    pub plot: Option<PathBuf>,
    /// Seed of the random points
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Precision of the arrays
    #[arg(long, value_enum, default_value = "f64")]
    pub dtype: Dtype,
    /// Where the arrays go: a .safetensors, .npz or .csv file, a folder of .npy files, or - for standard output
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    #[command(flatten)]
    pub writing: Writing,
}

/// A precision.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Dtype {
    F32,
    F64,
}

/// A network known by name.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Preset {
    /// 2 -> 16 tanh, 4 residual layers of 16, -> 1: the network that hessQuik fits to peaks
    Peaks,
    /// 2 -> 64 tanh, 4 residual layers of 64, -> 1: the shape of physics-informed networks
    Pinn,
    /// An input convex network of 3 x 32 softplus features on 3 inputs, with a quadratic on top
    Icnn,
    /// 64 -> 16 antiderivative of tanh, 4 residual layers of 16 with h = 0.5, -> 8: the timings of hessQuik
    Timing,
    /// 2 -> 64 random Fourier features, 3 tanh layers of 64, -> 1
    Fourier,
    /// 2 -> modified MLP of 4 gated tanh layers of 64, -> 1
    #[value(alias = "modified_mlp")]
    ModifiedMlp,
    /// 2 -> 64 random Fourier features, PirateNet of 3 blocks, -> 1
    Piratenet,
    /// Branch of 100 and trunk of 2 inputs, 2 tanh layers of 64 each, sum of 64 products; --dim-input sets the trunk's
    /// inputs
    Deeponet,
    /// 2 -> 4 multiplicative Fourier filters of 64, -> 1
    Mfn,
}

/// A positive number.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("expected a whole number of at least 1".into()),
    }
}
