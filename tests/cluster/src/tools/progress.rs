//! How far the building of tools is: a bar with the time left on a terminal, a line for each tool elsewhere.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// Between two moves of the bar.
const TICK: Duration = Duration::from_secs(1);
/// Measured times say more of this machine than the table does, within reason: something else may have been at work.
const PACE: (f64, f64) = (0.25, 4.0);

/// The work of several builds, in seconds of the table of tools.
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    tools: usize,
    number: usize,
    all: u64,
    done: u64,
}

impl Progress {
    /// So many tools, which take so long together.
    pub fn of(tools: usize, all: u64) -> Self {
        // It draws to stderr, and nothing where that is no terminal.
        let bar = ProgressBar::new(all);
        let style = ProgressStyle::with_template("[{bar:30}] {wide_msg}");
        bar.set_style(
            style
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        Self {
            bar,
            begun: Instant::now(),
            tools,
            number: 0,
            all,
            done: 0,
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// Does the next piece of work, of which so many seconds are expected.
    ///
    /// # Errors
    /// Those of the work.
    pub fn during(&mut self, what: &str, seconds: u64, work: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        self.number += 1;
        let line = |left: Duration| {
            format!(
                "building {what} ({} of {}), {} left",
                self.number,
                self.tools,
                words(left)
            )
        };
        if self.bar.is_hidden() {
            eprintln!("{}", line(self.left(0)));
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let this = &*self;
        let result = thread::scope(|scope| {
            scope.spawn(move || {
                let begin = Instant::now();
                loop {
                    let so_far = begin.elapsed().as_secs().min(seconds);
                    this.bar.set_message(line(this.left(so_far)));
                    this.bar.set_position(this.done + so_far);
                    // It ends with the work, whichever way that ends.
                    if stopped.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            });
            let result = work(this);
            drop(stop);
            result
        });
        self.done += seconds;
        if self.number == self.tools || result.is_err() {
            self.bar.finish_and_clear();
        }
        result
    }

    fn left(&self, so_far: u64) -> Duration {
        left(self.all, self.done + so_far, self.begun.elapsed())
    }
}

/// The time that is left when so much of all has taken so long.
#[allow(clippy::cast_precision_loss, reason = "seconds of a build")]
fn left(all: u64, done: u64, elapsed: Duration) -> Duration {
    // At first only the table knows.
    let pace = if done < 10 {
        1.0
    } else {
        (elapsed.as_secs_f64() / done as f64).clamp(PACE.0, PACE.1)
    };
    Duration::from_secs_f64(all.saturating_sub(done) as f64 * pace)
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..90 => format!("about {} s", seconds.max(1)),
        seconds => format!("about {} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_by_the_pace_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(left(600, 0, seconds(0)), seconds(600));
        assert_eq!(left(600, 300, seconds(150)), seconds(150));
        assert_eq!(left(600, 300, seconds(600)), seconds(600));
        assert_eq!(left(600, 600, seconds(1)), seconds(0));
        assert_eq!(left(600, 300, seconds(100_000)), seconds(1200));
    }

    #[test]
    fn people_read_seconds_or_minutes() {
        assert_eq!(words(Duration::from_secs(0)), "about 1 s");
        assert_eq!(words(Duration::from_secs(89)), "about 89 s");
        assert_eq!(words(Duration::from_secs(601)), "about 11 min");
    }

    #[test]
    fn work_is_done_once_and_its_error_is_told() {
        let mut progress = Progress::of(2, 20);
        let mut count = 0;
        progress
            .during("a", 10, |_| {
                count += 1;
                Ok(())
            })
            .unwrap();
        let failed = progress.during("b", 10, |_| anyhow::bail!("no compiler"));
        assert_eq!((count, failed.unwrap_err().to_string()), (1, "no compiler".into()));
    }
}
