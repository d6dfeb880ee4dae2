//! Mutated models, architectures and points by the million, without a special compiler: what `fuzz/` does by coverage, blindly.
use crate::inputs;
use crate::random::Random;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The arguments of `mutate`.
#[derive(clap::Args)]
pub struct Args {
    /// For how long each kind of file is tried.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seed of the mutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder with the folders `model`, `architecture` and `points` of seeds.
    #[arg(long, default_value = "fuzz/seeds")]
    seeds: PathBuf,
}

/// Panics if a promise about these bytes is broken.
type Check = fn(&[u8]);

/// Tries mutation after mutation; false if a check panicked. The bytes that did it are left as `mutate-KIND-NUMBER`.
pub fn run(args: &Args) -> bool {
    let mut ok = true;
    let checks: [(&str, Check); 3] =
        [("model", inputs::model), ("architecture", inputs::architecture), ("points", inputs::points)];
    for (kind, check) in checks {
        let seeds = read(&args.seeds.join(kind));
        assert!(!seeds.is_empty(), "no seeds in {}", args.seeds.join(kind).display());
        let mut random = Random(args.seed);
        let (started, mut tried, mut panics) = (Instant::now(), 0u64, BTreeMap::<String, u64>::new());
        while started.elapsed() < Duration::from_secs(args.seconds) {
            let bytes = random.mutated(&seeds);
            tried += 1;
            if let Err(panic) = std::panic::catch_unwind(|| check(&bytes)) {
                let text = panic.downcast_ref::<String>().cloned();
                let message = text.or(panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default();
                let count = panics.entry(message).or_default();
                *count += 1;
                if *count == 1 {
                    std::fs::write(format!("mutate-{kind}-{tried}"), &bytes).expect("a place to write");
                }
            }
        }
        println!("{kind}: {tried} files, {} kinds of panic {panics:?}", panics.len());
        ok &= panics.is_empty();
    }
    ok
}

fn read(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("seeds").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|p| std::fs::read(p).expect("a seed")).collect()
}

/// Texts that readers of numbers, shapes and headers may stumble over.
const WORDS: [&str; 20] = [
    "0",
    "-1",
    "1e999",
    "-0.0",
    "NaN",
    "null",
    "18446744073709551615",
    "9223372036854775808",
    "4294967296",
    "3",
    "\"",
    "{",
    "]",
    ",",
    "(",
    "True",
    "<f8",
    "softmax",
    "\u{feff}",
    "\n",
];

impl Random {
    /// A seed with one to four changes.
    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + 1 + self.below(8)).min(bytes.len());
            match self.below(7) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                3 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                4 => drop(bytes.splice(at..end, WORDS[self.below(WORDS.len())].bytes())),
                5 => drop(bytes.splice(at..at, WORDS[self.below(WORDS.len())].bytes())),
                _ => {
                    // a piece of another seed
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(64)).min(other.len());
                    bytes.splice(at..end, other[from..to].iter().copied());
                }
            }
        }
        bytes
    }
}
