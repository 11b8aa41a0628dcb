//! What a run has measured, as it is kept in docs/performance/.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Every section by its name. A run of one section leaves the others as they were measured last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// By [`super::Part`].
    pub sections: BTreeMap<String, Section>,
}

/// What was measured together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// When, of what and where.
    pub taken: Taken,
    /// What the project wants to reach.
    pub goals: Vec<Goal>,
    /// The figures.
    pub tables: Vec<Table>,
}

/// When, of what and where something was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// UTC.
    pub at: String,
    /// The commit, with `-dirty` where files differed from it.
    pub commit: String,
    /// Processor, cores, memory, kernel.
    pub machine: String,
    /// Runnable processes of the machine in the minute before: more than a core or so means that others were busy.
    pub load: f64,
    /// The programs that took part.
    pub versions: BTreeMap<String, String>,
}

/// Something that should not be exceeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// What is measured.
    pub what: String,
    /// Its unit.
    pub unit: String,
    /// What was measured.
    pub value: f64,
    /// At most this.
    pub goal: f64,
    /// The same of the older operator, where it is known.
    pub older: Option<f64>,
}

/// Figures in rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// What a row is.
    pub head: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// What it has, with the unit.
    pub name: String,
    /// Whether the page shows the ratio to the run before.
    pub compared: bool,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// As many as columns; none where nothing was measured.
    pub cells: Vec<Option<f64>>,
}

impl Table {
    /// A table without rows. Columns whose name begins with `*` are compared with the run before.
    #[must_use]
    pub fn new(title: &str, head: &str, columns: &[&str]) -> Self {
        let column = |name: &&str| Column {
            name: name.trim_start_matches('*').into(),
            compared: name.starts_with('*'),
        };
        Self {
            title: title.into(),
            head: head.into(),
            columns: columns.iter().map(column).collect(),
            rows: vec![],
        }
    }

    /// One more row. What is not a number, and what is missing at the end, was not measured.
    pub fn row(&mut self, name: impl Into<String>, cells: impl IntoIterator<Item = f64>) {
        let mut cells: Vec<_> = cells.into_iter().map(|c| c.is_finite().then(|| rounded(c))).collect();
        cells.resize(self.columns.len(), None);
        self.rows.push(Row {
            name: name.into(),
            cells,
        });
    }
}

impl Goal {
    /// Something measured that should be at most `goal`.
    #[must_use]
    pub fn new(what: &str, unit: &str, value: f64, goal: f64, older: Option<f64>) -> Self {
        let (what, unit) = (what.into(), unit.into());
        Self {
            what,
            unit,
            value: rounded(value),
            goal,
            older,
        }
    }
}

/// What is below a ten-thousandth is noise, and makes records long.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl Run {
    /// A run that was written; one without sections where there is no file.
    ///
    /// # Errors
    /// When the file is something else.
    pub fn read(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).with_context(|| format!("{} is no run of benchmarks", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// A run out of its JSON.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Has a section as `other` has it; the others stay, so that a part that is measured again is compared with what was
    /// committed of it, and a part that is not with what it was compared with before.
    pub fn copy(&mut self, section: &str, other: &Self) {
        match other.sections.get(section) {
            Some(there) => self.sections.insert(section.to_owned(), there.clone()),
            None => self.sections.remove(section),
        };
    }

    /// A figure, by the names of its section, table, row and column.
    #[must_use]
    pub fn figure(&self, section: &str, table: &str, row: &str, column: &str) -> Option<f64> {
        let table = self.sections.get(section)?.tables.iter().find(|t| t.title == table)?;
        let at = table.columns.iter().position(|c| c.name == column)?;
        let row = table.rows.iter().find(|r| r.name == row)?;
        *row.cells.get(at)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(sections: &[(&str, &str)]) -> Run {
        let section = |at: &str| Section {
            taken: Taken {
                at: at.into(),
                ..Taken::default()
            },
            goals: vec![],
            tables: vec![],
        };
        let sections = sections.iter().map(|(name, at)| ((*name).to_owned(), section(at)));
        Run {
            sections: sections.collect(),
        }
    }

    #[test]
    fn what_is_not_measured_again_is_compared_as_before() {
        let mut previous = run(&[("fleet", "first"), ("functions", "first")]);
        previous.copy("functions", &run(&[("fleet", "second"), ("functions", "second")]));
        assert_eq!(previous, run(&[("fleet", "first"), ("functions", "second")]));
        previous.copy("fleet", &run(&[]));
        assert_eq!(previous, run(&[("functions", "second")]));
    }
}
