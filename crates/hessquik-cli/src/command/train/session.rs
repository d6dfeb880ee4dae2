//! A training run: its settings, the run itself, and what is written of it.
use super::args::{NetworkOptions, Options};
use super::network;
use super::places::Places;
use crate::args::Dtype;
use crate::command::{Report, count};
use crate::failure::Failure;
use crate::interrupt;
use crate::model::to_bytes;
use crate::output::Owner;
use crate::pictures::{self, Convergence};
use crate::progress::Progress;
use burn::tensor::{DType, Device};
use hessquik::Network;
use hessquik_burn::train::{self, Alone, Data, Objective, Outcome, Ranks, Row, Settings, Stopped};
use hessquik_burn::{Error, FlatNetwork};
use safetensors::SafeTensors;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a trained network is compared with.
#[derive(Debug)]
pub struct Judgement {
    pub title: String,
    pub axes: [String; 2],
    /// Points along each axis, if they are a grid.
    pub grid: Option<usize>,
    pub known: Option<Data>,
}

/// A run that was asked for.
#[derive(Debug)]
pub struct Session<'a> {
    problem: &'static str,
    options: &'a Options,
    settings: Settings,
    places: Places,
    /// Whether stdout is for JSON alone.
    json: bool,
    pub device: Device,
    pub dtype: DType,
}

impl<'a> Session<'a> {
    /// The settings of the options, or else `settings` and `dtype`; makes the folder.
    pub fn new(
        problem: &'static str,
        options: &'a Options,
        output: &Path,
        settings: Settings,
        dtype: Option<Dtype>,
        json: bool,
    ) -> Result<Self, Failure> {
        let (device, note) = hessquik_burn::device(&options.device)?;
        if let Some(note) = note.filter(|_| !options.quiet) {
            let _ = writeln!(std::io::stderr(), "{note}");
        }
        let dtype = options.dtype.or(dtype).unwrap_or(if device == Device::flex() { Dtype::F64 } else { Dtype::F32 });
        let dtype = if dtype == Dtype::F32 { DType::F32 } else { DType::F64 };
        let pinn = if ["poisson", "burgers", "kdv", "beam"].contains(&problem) { "pinn " } else { "" };
        let places = Places::new(output, Owner::new(&format!("train {pinn}{problem}"), options.force))?;
        let checkpoint = options.checkpoint.clone().unwrap_or_else(|| places.file("checkpoint.safetensors"));
        if checkpoint.exists() && !checkpoint.is_file() {
            let shown = checkpoint.display();
            return Err(Failure::Usage(format!("--checkpoint {shown} exists but is not a regular file")));
        }
        let settings = Settings {
            epochs: options.epochs.unwrap_or(settings.epochs),
            batch: options.batch.unwrap_or(settings.batch),
            optimiser: options.optimizer.unwrap_or(settings.optimiser),
            rate: options.rate.unwrap_or(settings.rate),
            schedule: options.schedule.unwrap_or(settings.schedule),
            clip: options.clip.or(settings.clip),
            lbfgs: options.lbfgs.unwrap_or(settings.lbfgs),
            patience: options.patience.or(settings.patience),
            seed: options.seed,
            every: options.every,
            checkpoint: Some(checkpoint),
        };
        if settings.epochs.saturating_add(settings.lbfgs) == 0 {
            return Err(Failure::Usage("--epochs and --lbfgs are both 0: nothing to do".into()));
        }
        Ok(Self { problem, options, settings, places, json, device, dtype })
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// Refuses to write over a file that is read.
    pub fn protect(&self, input: &Path) -> Result<(), Failure> {
        self.places.protect(input)
    }

    /// The network to start from.
    pub fn start(&self, options: &NetworkOptions, dims: (usize, usize)) -> Result<FlatNetwork, Failure> {
        if let Some(path) = &options.model {
            self.protect(path)?;
        }
        match self.dtype {
            DType::F32 => network::start::<f32>(options, dims, self.seed(), &self.device),
            _ => network::start::<f64>(options, dims, self.seed(), &self.device),
        }
    }

    /// Trains, and writes everything; what there is, too, after an interrupt.
    pub fn run<O: Objective>(
        self,
        start: FlatNetwork,
        objective: &O,
        valid: Option<&O>,
        test: Option<&O>,
        judgement: Judgement,
    ) -> Result<Report, Failure> {
        interrupt::watch_patiently();
        let ranks = ranks();
        let first = ranks.rank() == 0;
        let checkpoint = self.settings.checkpoint.as_deref().expect("each run has one");
        if first && self.options.restart && checkpoint.exists() {
            if !self.options.force && !is_checkpoint(checkpoint) {
                let message = "is not a checkpoint: --restart does not remove it, but --force does";
                return Err(Failure::file(checkpoint, message));
            }
            fs::remove_file(checkpoint).map_err(Failure::io(checkpoint))?;
        }
        // nobody looks for a checkpoint before that
        ranks.sum(&mut [0.0]);
        let (names, weights) = (objective.names(), objective.weights());
        let epochs = self.settings.epochs + self.settings.lbfgs;
        let mut table = Table::new(first && !self.json && !self.options.quiet, self.options.print, epochs);
        table.header = Some(train::header(&names, &weights));
        let started = Instant::now();
        let outcome =
            train::train(start, objective, valid, &self.settings, &*ranks, &mut |row: &Row| table.row(row), &|| {
                interrupt::check().is_ok()
            })
            .map_err(|error| match error {
                Error::OtherRun { path, differences } => {
                    let all = differences.join("; ");
                    Failure::file(&path, format!("a checkpoint of another run: {all}; --restart starts anew"))
                }
                other => other.into(),
            })?;
        let seconds = started.elapsed().as_secs_f64();
        drop(table);
        if !first {
            return Ok(Report::silent());
        }

        let network = outcome.network.to_library::<f64>()?;
        let error = judgement.relative_error(&network)?;
        let files = self.write(&outcome, &network, &names, &judgement, error)?;
        let done = outcome.history.len();
        if outcome.stopped == Stopped::Interrupted {
            let (out, checkpoint) = (self.places.model.display(), checkpoint.display());
            let message = format!("{done} of {epochs} epochs are saved in {out} and {checkpoint}");
            return Err(Failure::Saved(format!("{message}; the same command goes on from there")));
        }
        if self.options.checkpoint.is_none() {
            let _ = fs::remove_file(checkpoint);
        }
        let test_loss =
            test.map(|test| train::test(&outcome.network, test, &Alone)).transpose()?.map(|losses| losses[0]);
        Ok(self.report(
            &outcome,
            &network,
            [objective.len(), valid.map_or(0, O::len)],
            error,
            test_loss,
            seconds,
            &files,
        ))
    }

    fn write(
        &self,
        outcome: &Outcome,
        network: &Network<f64>,
        names: &[&str],
        judgement: &Judgement,
        error: Option<f64>,
    ) -> Result<Vec<PathBuf>, Failure> {
        let owner = self.places.owner();
        let mut staged = self.places.stage()?;
        let bytes = match self.dtype {
            DType::F32 => to_bytes(&outcome.network.to_library::<f32>()?, owner)?,
            _ => to_bytes(network, owner)?,
        };
        hessquik::write_whole(staged.model(), &bytes)?;
        train::write_history(staged.file("history.csv"), names, &outcome.history)?;
        if let Some(picture) = judgement.picture(network, error)? {
            picture.write(&staged.file("fit.png"), &staged.file("fit.svg"))?;
        }
        if !outcome.history.is_empty() {
            let second_phase =
                Some(self.settings.epochs + 1).filter(|first| *first > 1 && *first <= outcome.history.len());
            let title = format!("Convergence: {}", judgement.title);
            let picture = Convergence { title, lines: lines(names, &outcome.history), second_phase };
            pictures::write(&picture, &staged.file("convergence.png"), &staged.file("convergence.svg"))?;
        }
        staged.finish()
    }

    #[allow(clippy::too_many_arguments)]
    fn report(
        &self,
        outcome: &Outcome,
        network: &Network<f64>,
        [points, valid]: [usize; 2],
        error: Option<f64>,
        test_loss: Option<f64>,
        seconds: f64,
        files: &[PathBuf],
    ) -> Report {
        let last = outcome.history.last();
        let epochs = outcome.history.len();
        let dtype = if self.dtype == DType::F32 { "f32" } else { "f64" };
        let early = if outcome.stopped == Stopped::Early { ", stopped early" } else { "" };
        let files: Vec<_> = files.iter().map(|p| p.display().to_string()).collect();
        let number = |what: &str, v: Option<f64>| v.map_or_else(String::new, |v| format!("{what:<16}{v:.3e}\n"));
        let text = format!(
            "\n{} in {seconds:.2} s ({dtype}, {}, {}{early})\n\n{}{}{}written: {}",
            count(epochs, "epoch"),
            self.options.device,
            count(network.n_weights(), "weight"),
            number("relative error", error),
            number("test loss", test_loss),
            number("train loss", last.map(|r| r.train[0])),
            files.join(", "),
        );
        let json = json!({
            "problem": self.problem, "relative_error": error, "test_loss": test_loss, "seconds": seconds,
            "epochs": epochs, "train_loss": last.map(|r| r.train[0]), "valid_loss": last.and_then(|r| r.valid.first()),
            "stopped_early": outcome.stopped == Stopped::Early, "points": points, "valid": valid,
            "weights": network.n_weights(), "seed": self.settings.seed, "device": self.options.device, "dtype": dtype,
            "files": files,
        });
        Report::done(text, json)
    }
}

/// Whether a file has the state of a training run.
fn is_checkpoint(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let found = SafeTensors::read_metadata(&bytes);
    found.is_ok_and(|(_, header)| header.metadata().as_ref().is_some_and(|m| m.contains_key("hessquik_training")))
}

/// The processes that train together: those of mpirun, if that started this one.
fn ranks() -> Box<dyn Ranks> {
    #[cfg(feature = "mpi")]
    if ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].iter().any(|name| std::env::var_os(name).is_some())
        && let Some(ranks) = train::Mpi::start()
    {
        return Box::new(ranks);
    }
    Box::new(Alone)
}

/// The lines of the picture of convergence.
fn lines(names: &[&str], history: &[Row]) -> Vec<(String, Vec<f64>)> {
    let of = |get: &dyn Fn(&Row) -> f64| history.iter().map(get).collect::<Vec<_>>();
    let mut lines = vec![("loss, train".to_string(), of(&|r| r.train[0]))];
    if history.iter().all(|r| !r.valid.is_empty()) {
        lines.push(("loss, valid".into(), of(&|r| r.valid[0])));
    }
    if names.len() > 1 {
        lines.extend(names.iter().enumerate().map(|(i, name)| (format!("{name}, train"), of(&|r| r.train[i + 1]))));
    }
    lines
}

/// The table on stdout and the bar on stderr, while training goes on.
struct Table {
    progress: Progress,
    shown: bool,
    every: usize,
    epochs: usize,
    header: Option<String>,
    done: usize,
}

impl Table {
    fn new(shown: bool, every: usize, epochs: usize) -> Self {
        Self { progress: Progress::new(epochs, "epochs"), shown, every, epochs, header: None, done: 0 }
    }

    fn row(&mut self, row: &Row) {
        if self.shown
            && let Some(header) = self.header.take()
        {
            self.progress.say(&header);
        }
        if self.shown && (row.epoch == 1 || row.epoch.is_multiple_of(self.every) || row.epoch == self.epochs) {
            self.progress.say(&train::line(row));
        }
        self.progress.note(format!(", loss {:.3e}", row.valid.first().unwrap_or(&row.train[0])));
        self.progress.advance(row.epoch - self.done);
        self.done = row.epoch;
    }
}
