//! Long checks of what `docs/src/promises.md` promises; each is a subcommand that prints figures and fails if a promise
//! is broken. `cargo build --release -p hessquik-cli -p hardening`, then `target/release/hardening --help`
mod activations;
#[cfg(unix)]
mod command;
#[cfg(unix)]
mod load;
#[cfg(unix)]
mod signals;
mod soak;
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
    /// Laplacians at very many points by `hessquik eval`, within fixed memory.
    #[cfg(unix)]
    Load(load::Args),
    /// `hessquik eval` hit by signals at random moments.
    #[cfg(unix)]
    Signals(signals::Args),
    /// Mixed calls from many threads, with flat memory.
    Soak(soak::Args),
}

fn main() -> std::process::ExitCode {
    let ok = match Args::parse().check {
        Check::Ulp(args) => ulp::run(&args),
        #[cfg(unix)]
        Check::Load(args) => load::run(&args),
        #[cfg(unix)]
        Check::Signals(args) => signals::run(&args),
        Check::Soak(args) => soak::run(&args),
    };
    if ok { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
