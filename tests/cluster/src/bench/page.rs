//! docs/performance.md, out of what was measured.

use std::fmt::Write;

use super::Part;
use super::figures::ratio;
use super::record::{Column, Goal, Row, Run, Section, Table, Taken};

const HEAD: &str = "# Performance

This page is written by `make bench` and by nothing else, from the figures in [performance/run.json](performance/run.json);
`make bench ARGS=--only=admission` measures a part of it again. **×0.93** behind a figure is its ratio to the same figure of the
run that was committed before, in [performance/previous.json](performance/previous.json). Every section says when, of which commit
and on which machine it was measured, and how busy that machine was: all programs of a section, the API server and the load
included, share its cores.
";

const GOALS: &str = "
## Goals

Each is an upper bound: a budget of the [design](design.md), an aim beyond it, or a part of what the older Go operator
(geeper-io/llm-operator 0a00abb) needs on the same kind of test bed. A goal that is missed stays here.

| what | goal | here | of the goal | older operator | of the older |
|---|---|---|---|---|---|
";

const NOTHING: &str = "\nNo run has been committed yet.\n";

/// The whole page.
#[must_use]
pub fn page(run: &Run, previous: &Run) -> String {
    let present = |part: &Part| Some((*part, run.sections.get(part.name())?));
    let sections: Vec<(Part, &Section)> = Part::ALL.iter().filter_map(present).collect();
    if sections.is_empty() {
        return HEAD.to_owned() + NOTHING;
    }
    let mut text = HEAD.to_owned() + GOALS;
    for goal in sections.iter().flat_map(|(_, section)| &section.goals) {
        text += &goal_row(goal);
    }
    for (part, section) in sections {
        text += &section_text(part, section, previous);
    }
    text
}

fn goal_row(goal: &Goal) -> String {
    let Goal {
        what,
        unit,
        value,
        goal: bound,
        older,
    } = goal;
    let told = |figure: f64| format!("{} {unit}", number(figure)).trim_end().to_owned();
    let part = |of: Option<f64>| of.and_then(|of| ratio(*value, of)).map_or("–".into(), times);
    let verdict = if value <= bound { "" } else { " **missed**" };
    format!(
        "| {what} | {} | {}{verdict} | {} | {} | {} |\n",
        told(*bound),
        told(*value),
        part(Some(*bound)),
        older.map_or("–".into(), told),
        part(*older),
    )
}

fn section_text(part: Part, section: &Section, previous: &Run) -> String {
    let mut text = format!(
        "\n## {}\n\n{}\n{}",
        part.title(),
        part.about().trim_end(),
        taken(&section.taken)
    );
    for table in &section.tables {
        text += &table_text(part, table, previous);
    }
    text
}

fn taken(taken: &Taken) -> String {
    let versions: Vec<String> = taken.versions.iter().map(|(name, is)| format!("{name} {is}")).collect();
    format!(
        "\nMeasured {} at commit {}, on {}; load average before: {}. {}.\n",
        taken.at,
        taken.commit,
        taken.machine,
        number(taken.load),
        versions.join(", ")
    )
}

fn table_text(part: Part, table: &Table, previous: &Run) -> String {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let mut text = format!("\n### {}\n\n| {} | {} |\n", table.title, table.head, names.join(" | "));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "|---|{}", "---|".repeat(names.len()));
    for row in &table.rows {
        let cell = |(column, value): (&Column, &Option<f64>)| cell(part, table, row, column, *value, previous);
        let cells: Vec<String> = table.columns.iter().zip(&row.cells).map(cell).collect();
        let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
    }
    text
}

fn cell(part: Part, table: &Table, row: &Row, column: &Column, value: Option<f64>, previous: &Run) -> String {
    let Some(value) = value else { return "–".into() };
    let before = previous
        .figure(part.name(), &table.title, &row.name, &column.name)
        .filter(|_| column.compared);
    match before.and_then(|before| ratio(value, before)) {
        Some(ratio) => format!("{} **{}**", number(value), times(ratio)),
        None => number(value),
    }
}

fn times(ratio: f64) -> String {
    format!("×{ratio:.2}")
}

/// Three digits that count, or all before the point.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(value: f64) -> Run {
        let mut table = Table::new("Requests", "connections", &["*p99 ms", "sent"]);
        table.row("8", [value, 3000.0]);
        table.row("64", [f64::NAN, 10.0]);
        let goals = vec![
            Goal::new("p99", "ms", value, 5.0, Some(20.0)),
            Goal::new("writes", "", 0.0, 0.0, None),
        ];
        let section = Section {
            taken: Taken::default(),
            goals,
            tables: vec![table],
        };
        Run {
            sections: [(Part::Admission.name().to_owned(), section)].into(),
        }
    }

    #[test]
    fn figures_stand_beside_those_of_the_run_before() {
        let text = page(&run(6.0), &run(4.0));
        assert!(text.contains("| connections | p99 ms | sent |"), "{text}");
        assert!(text.contains("| 8 | 6 **×1.50** | 3000 |"), "{text}");
        assert!(text.contains("| 64 | – | 10 |"), "{text}");
        let first = page(&run(6.0), &Run::default());
        assert!(first.contains("| 8 | 6 | 3000 |"), "{first}");
    }

    #[test]
    fn a_missed_goal_is_told() {
        let missed = page(&run(6.0), &Run::default());
        assert!(
            missed.contains("| p99 | 5 ms | 6 ms **missed** | ×1.20 | 20 ms | ×0.30 |"),
            "{missed}"
        );
        let met = page(&run(5.0), &Run::default());
        assert!(met.contains("| p99 | 5 ms | 5 ms | ×1.00 |"), "{met}");
        assert!(met.contains("| writes | 0 | 0 | – | – | – |"), "{met}");
    }

    #[test]
    fn numbers_have_three_digits() {
        let told = [0.0, 0.01234, 1.0, 1.234, 12.34, 123.4, 6703.0].map(number);
        assert_eq!(told, ["0", "0.012", "1", "1.23", "12.3", "123", "6703"]);
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.json");
        assert_eq!(Run::read(&file).unwrap(), Run::default());
        run(1.5).write(&file).unwrap();
        assert_eq!(Run::read(&file).unwrap(), run(1.5));
        let figure = run(1.5).figure("admission", "Requests", "8", "p99 ms");
        assert_eq!(figure, Some(1.5));
    }
}
