//! Long checks of what `docs/src/promises.md` promises; each is a subcommand that prints figures and fails if a promise
//! is broken. `cargo build --release -p hessquik-cli -p hardening`, then `target/release/hardening --help`
#[path = "../../crates/hessquik/tests/builtin/mod.rs"]
mod builtin;
#[cfg(unix)]
mod command;
// the command's readers of points, which are no library
#[allow(dead_code)]
#[path = "../../crates/hessquik-cli/src/element.rs"]
mod element;
#[allow(dead_code)]
#[path = "../../crates/hessquik-cli/src/failure.rs"]
mod failure;
mod inputs;
#[cfg(unix)]
mod load;
mod mutate;
#[allow(dead_code)]
#[path = "../../crates/hessquik-cli/src/points/mod.rs"]
mod points;
mod random;
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
    /// Mutated models, architectures and points.
    Mutate(mutate::Args),
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
        Check::Mutate(args) => mutate::run(&args),
        #[cfg(unix)]
        Check::Signals(args) => signals::run(&args),
        Check::Soak(args) => soak::run(&args),
    };
    if ok { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
