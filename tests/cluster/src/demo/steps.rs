//! What the demonstration says: numbered steps, what each takes, the commands and their output.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Everything that is printed is indented by this, under the number of its step.
const INDENT: &str = "    ";

/// The steps of one demonstration.
pub(super) struct Steps {
    begin: Instant,
    of: usize,
    number: usize,
    current: Instant,
}

impl Steps {
    /// So many steps.
    pub fn of(of: usize) -> Self {
        let begin = Instant::now();
        Self {
            begin,
            of,
            number: 0,
            current: begin,
        }
    }

    /// Ends the step before, and begins the next.
    pub fn next(&mut self, what: &str) {
        self.finish();
        self.number += 1;
        self.current = Instant::now();
        println!("\n[{}/{}] {what}", self.number, self.of);
    }

    /// Ends the last step, with the time that all took.
    pub fn end(&self) {
        self.finish();
        println!("\nAll of it took {}.", seconds(self.begin.elapsed()));
    }

    fn finish(&self) {
        if self.number > 0 {
            say(format_args!("({})", seconds(self.current.elapsed())));
        }
    }
}

/// A line, or several, of the current step.
pub(super) fn say(text: impl Display) {
    for line in text.to_string().lines() {
        println!("{}", format!("{INDENT}{line}").trim_end());
    }
}

/// A command as one would type it.
pub(super) fn typed(command: &str) {
    println!("{INDENT}$ {command}");
}

/// A duration for people.
pub(super) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 100 {
        format!("{:.1} s", duration.as_secs_f32())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_exact_as_people_want_them() {
        assert_eq!(seconds(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(1203)), "20 min 03 s");
    }
}
