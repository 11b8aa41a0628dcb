//! What each step of growing has shown, and what follows from all of them.

use super::{Ledger, OLDER_SECONDS};
use crate::bench::figures::{Line, count};
use crate::bench::process::Memory;
use crate::bench::record::{Goal, Table};

/// The step at which the older operator was measured, and the one of the design's budget.
const OLDER_STEP: usize = 300;
const BUDGET_STEP: usize = 500;
/// MiB at that step: the budget, and what is aimed at beyond it.
const MEMORY: [(&str, f64); 2] = [
    ("memory with 500 stacks, budget", 24.0),
    ("memory with 500 stacks, aim", 16.0),
];
/// Writes a stack and MiB of the older operator.
const OLDER_WRITES: f64 = 67.0;
const OLDER_MEMORY: f64 = 90.0;

/// What a step has shown.
pub struct Step {
    /// How many there are after it.
    pub stacks: usize,
    /// How many came with it.
    pub new: f64,
    /// From the first object of the step to its last one's Ready.
    pub seconds: f64,
    /// From the first object to the last one's creation.
    pub created: f64,
    /// The operator's requests.
    pub ledger: Ledger,
    /// Changes of `status.phase` that were seen, first values included.
    pub phases: f64,
    /// To and from the API server.
    pub bytes: f64,
    /// Seconds.
    pub cpu: f64,
    /// At its end.
    pub memory: Memory,
}

/// What the goals say of it.
pub fn judge(steps: &[Step], goals: &mut Vec<Goal>) {
    for step in steps {
        if step.stacks == OLDER_STEP {
            let (each, quarter) = (step.seconds / step.new, OLDER_MEMORY / 4.0);
            let what = "seconds per stack, from apply to Ready";
            goals.push(Goal::new(what, "s", each, OLDER_SECONDS / 5.0, Some(OLDER_SECONDS)));
            let writes = step.ledger.writes() / step.new;
            let allowed = (step.ledger.children() + step.phases) / step.new;
            let what = "writes per stack; the goal is its children and a status for each phase";
            goals.push(Goal::new(what, "", writes, allowed, Some(OLDER_WRITES)));
            goals.push(Goal::new(
                "memory with 300 stacks",
                "MiB",
                step.memory.now,
                quarter,
                Some(OLDER_MEMORY),
            ));
        }
        if step.stacks == BUDGET_STEP {
            goals.extend(MEMORY.map(|(what, most)| Goal::new(what, "MiB", step.memory.now, most, None)));
        }
    }
}

/// Whether what a stack costs depends on how many there are.
pub fn lines(start: f64, steps: &[Step]) -> Table {
    let columns = ["*each stack adds", "with none", "largest deviation, % of the most"];
    let mut table = Table::new("Growth, as a straight line through all steps", "what", &columns);
    let mut sum = |name: &str, of: fn(&Step) -> f64| {
        let mut points = vec![(0.0, 0.0)];
        let mut total = 0.0;
        for step in steps {
            total += of(step);
            points.push((count(step.stacks), total));
        }
        line(&mut table, name, &points);
    };
    sum("seconds", |s| s.seconds);
    sum("requests", |s| s.ledger.requests());
    sum("writes", |s| s.ledger.writes());
    sum("KiB to and from the API server", |s| s.bytes / 1024.0);
    sum("CPU ms", |s| s.cpu * 1000.0);
    let memory = steps.iter().map(|s| (count(s.stacks), s.memory.now * 1024.0));
    let memory: Vec<_> = std::iter::once((0.0, start * 1024.0)).chain(memory).collect();
    line(&mut table, "resident KiB", &memory);
    table
}

fn line(table: &mut Table, name: &str, points: &[(f64, f64)]) {
    if let Some(line) = Line::through(points) {
        table.row(name, [line.slope, line.start, line.residual * 100.0]);
    }
}
