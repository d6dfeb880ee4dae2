//! Long checks of what `docs/src/promises.md` promises; each is a subcommand that prints figures and fails if a promise
//! is broken. `cargo run --release -p hardening -- --help`
mod activations;
mod ulp;

use clap::{Parser, Subcommand};

/// Long checks of what docs/src/promises.md promises.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    check: Check,
}

#[derive(Subcommand)]
enum Check {
    /// The largest error of each activation and its derivatives in f32, in ulp, over all bit patterns.
    Ulp(ulp::Args),
}

fn main() -> std::process::ExitCode {
    let ok = match Args::parse().check {
        Check::Ulp(args) => ulp::run(&args),
    };
    if ok { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
