//! What a person sees while something takes long: bars and spinners in a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line says that work goes on.
const EVERY: Duration = Duration::from_secs(15);

/// One step of work, shown until it is done.
pub struct Step {
    title: String,
    bar: Option<ProgressBar>,
    started: Instant,
    said: Instant,
}

impl Step {
    /// Begins a step.
    pub fn start(title: impl Into<String>) -> Self {
        let title = title.into();
        let bar = std::io::stderr().is_terminal().then(|| spinner(&title));
        if bar.is_none() {
            eprintln!("· {title}");
        }
        Self {
            title,
            bar,
            started: Instant::now(),
            said: Instant::now(),
        }
    }

    /// Says how far the step is.
    pub fn advance(&mut self, position: u64, total: u64) {
        if let Some(bar) = &self.bar {
            if bar.length() != Some(total) {
                bar.set_style(style("{spinner} {msg} [{bar:30}] {pos}/{len} {elapsed}"));
                bar.set_length(total);
            }
            bar.set_position(position);
        } else {
            self.say(&format!("{position} of {total}"));
        }
    }

    /// Says what the step waits for.
    pub fn note(&mut self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {text}", self.title));
        } else {
            self.say(text);
        }
    }

    fn say(&mut self, text: &str) {
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            eprintln!(
                "· {}: {text} ({} s)",
                self.title,
                self.started.elapsed().as_secs()
            );
        }
    }

    /// Ends the step with a line that says how long it took.
    pub fn done(mut self) {
        let seconds = self.started.elapsed().as_secs_f32();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            eprintln!("✓ {} ({seconds:.1} s)", self.title);
        } else if seconds > 1.0 {
            eprintln!("✓ {} ({seconds:.1} s)", self.title);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner(title: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner()
        .with_style(style("{spinner} {msg} {elapsed}"))
        .with_message(title.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
