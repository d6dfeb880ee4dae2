//! A progress bar on a terminal, for work that takes longer than a second.
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Progress through a number of points, or of other things.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    shown: bool,
}

impl Progress {
    /// Nothing done of so many `what`; nothing shown yet.
    pub fn new(number: usize, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(number as u64), ProgressDrawTarget::hidden());
        let style = format!("{{wide_bar}} {{human_pos}} of {{human_len}} {what}, {{eta}} left{{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&style) {
            bar.set_style(style);
        }
        Self { bar, started: Instant::now(), shown: false }
    }

    /// So many more are done.
    pub fn advance(&mut self, number: usize) {
        if !self.shown && self.started.elapsed() > Duration::from_secs(1) && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
        self.bar.inc(number as u64);
    }
}

#[cfg(feature = "train")]
impl Progress {
    /// What is shown after the time that is left.
    pub fn note(&mut self, text: String) {
        self.bar.set_message(text);
    }

    /// Prints a line to stdout above the bar.
    pub fn say(&mut self, text: &str) {
        use std::io::Write;
        // a reader that has gone away is no error
        self.bar.suspend(|| _ = writeln!(std::io::stdout(), "{text}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
