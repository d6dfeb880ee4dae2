//! The command `hessquik`: values, gradients and Hessians of saved networks at the points of a file.
mod args;
mod command;
mod element;
mod failure;
mod interrupt;
mod model;
mod output;
mod pictures;
mod points;
mod progress;
mod request;
mod results;
mod state;

use args::{Arguments, Command};
use clap::Parser;
use command::Report;
use failure::Failure;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    interrupt::json(arguments.json);
    match run(&arguments) {
        Ok(report) if report.json.is_null() => ExitCode::SUCCESS,
        Ok(report) => {
            let mut aside = std::io::stderr();
            report.notes.iter().for_each(|note| _ = writeln!(aside, "note: {note}"));
            let text = if arguments.json { report.json.to_string() } else { report.text };
            let said = if report.aside { Ok(_ = writeln!(aside, "{}", text.trim_end())) } else { say(&text) };
            match said {
                Err(error) => fail(&Failure::io(Path::new("standard output"))(error), false),
                Ok(()) if report.passed => ExitCode::SUCCESS,
                Ok(()) => ExitCode::from(1),
            }
        }
        // without the feature `train`, its options are not read
        Err(failure) => fail(&failure, arguments.json || std::env::args().any(|a| a == "--json")),
    }
}

/// Says what went wrong.
fn fail(failure: &Failure, json: bool) -> ExitCode {
    let message = failure.to_string();
    let _ = writeln!(std::io::stderr(), "error: {message}");
    if json {
        let _ = say(&serde_json::json!({ "error": message }).to_string());
    }
    ExitCode::from(failure.exit_code())
}

fn run(arguments: &Arguments) -> Result<Report, Failure> {
    let pool = arguments.pool()?;
    let work = || match &arguments.command {
        None => command::demo::run(),
        Some(Command::Eval(args)) => command::eval::run(args),
        Some(Command::New(args)) => command::new::run(args),
        Some(Command::Convert(args)) => command::convert::run(args),
        Some(Command::Info(args)) => command::info::run(args),
        Some(Command::Check(args)) => command::check::run(args),
        Some(Command::Explain(args)) => command::explain::run(args),
        Some(Command::Peaks(args)) => command::peaks::run(args),
        Some(Command::Timing(args)) => command::timing::run(args),
        #[cfg(feature = "train")]
        Some(Command::Train(args)) => command::train::run(args, arguments.json),
        #[cfg(not(feature = "train"))]
        Some(Command::Train(_)) => Err(args::Train::missing()),
    };
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Help, the version, or what is wrong with the command line.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() && std::env::args().any(|a| a == "--json") {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let _ = say(&serde_json::json!({ "error": line }).to_string());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints to stdout; a reader that has gone away is no error, a full disk is.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
