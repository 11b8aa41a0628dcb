//! Changes to a document as it was written. Where a field cannot be moved line by line there is no edit, and the document
//! is written anew.

use super::fields::{BLOCKS, NESTED, RENAMED, SPLIT, applies, take_over};
use super::text::{Entry, Node};
use crate::base::object::{STACKS, TAKE_OVER_FROM};
use serde_json::Value;
use std::ops::Range;

/// Changes that do not overlap, collected against the text as it was.
struct Edits<'a> {
    text: &'a str,
    changes: Vec<(Range<usize>, String)>,
}

/// The text with the document at `node` in today's form; `None` where that takes more than moving lines.
pub(super) fn edited(text: &str, node: &Node, value: &Value) -> Option<String> {
    let mut edits = Edits { text, changes: vec![] };
    edits.kind(node, value)?;
    for block in BLOCKS {
        let mut path = vec!["spec"];
        path.extend(block);
        if let Some(fields) = node.get(&path) {
            edits.block(block, fields)?;
        }
    }
    Some(edits.applied())
}

impl Edits<'_> {
    fn applied(mut self) -> String {
        self.changes.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = self.text.to_string();
        for (range, new) in self.changes.into_iter().rev() {
            out.replace_range(range, &new);
        }
        out
    }

    fn replace(&mut self, range: Range<usize>, new: impl Into<String>) {
        self.changes.push((range, new.into()));
    }

    fn kind(&mut self, node: &Node, value: &Value) -> Option<()> {
        if value["kind"] == STACKS[0] {
            return Some(());
        }
        self.replace(node.get(&["kind"])?.at().clone(), STACKS[0]);
        let Some(from) = take_over(value) else { return Some(()) };
        let metadata = node.get(&["metadata"])?;
        if let Some(annotations) = metadata.entry("annotations") {
            return self.insert(&annotations.value, TAKE_OVER_FROM, &from);
        }
        if let Node::Map { flow: true, at, .. } = metadata {
            let inside = at.start + 1;
            self.replace(inside..inside, format!("annotations: {{{TAKE_OVER_FROM}: {from}}}, "));
            return Some(());
        }
        let first = metadata.entries().first()?;
        let indent = self.indent(first)?;
        let line = self.line_start(first);
        self.replace(
            line..line,
            format!("{indent}annotations:\n{indent}  {TAKE_OVER_FROM}: {from}\n"),
        );
        Some(())
    }

    /// Puts an entry in front of those of a mapping.
    fn insert(&mut self, map: &Node, key: &str, value: &str) -> Option<()> {
        let Node::Map { entries, flow, at } = map else {
            return None;
        };
        let first = entries.first()?;
        if *flow {
            self.replace(at.start + 1..at.start + 1, format!("{key}: {value}, "));
            return Some(());
        }
        let (indent, line) = (self.indent(first)?, self.line_start(first));
        self.replace(line..line, format!("{indent}{key}: {value}\n"));
        Some(())
    }

    fn block(&mut self, block: &[&str], fields: &Node) -> Option<()> {
        for outer in ["service", "ingress"] {
            if applies(block, outer) {
                self.nest(fields, outer)?;
            }
        }
        for (older, newer) in RENAMED {
            let Some(entry) = fields.entry(older) else { continue };
            if !matches!(entry.value, Node::Other { is_list: true, .. }) || fields.entry(newer).is_some() {
                return None;
            }
            self.replace(entry.key_at.clone(), newer);
        }
        if block == ["tabby"] {
            self.split(fields)?;
        }
        let tls = fields.get(&["ingress", "tls"]);
        tls.map_or(Some(()), |tls| self.list(tls))
    }

    /// Flat fields into the block that they belong to now.
    fn nest(&mut self, fields: &Node, outer: &str) -> Option<()> {
        let flat = |(flat, of, inner): &(&'static str, &str, &'static str)| {
            (*of == outer)
                .then(|| fields.entry(flat).map(|entry| (entry, *inner)))
                .flatten()
        };
        let found: Vec<(&Entry, &str)> = NESTED.iter().filter_map(flat).collect();
        let Some((first, _)) = found.iter().min_by_key(|(entry, _)| entry.key_at.start) else {
            return Some(());
        };
        if let Some(nested) = fields.entry(outer) {
            for (entry, inner) in &found {
                if nested.value.entry(inner).is_none() {
                    let value = self.value(entry)?;
                    self.insert(&nested.value, inner, value.trim_end())?;
                }
                self.cut(entry)?;
            }
            return Some(());
        }
        let indent = self.indent(first)?;
        let mut lines = vec![format!("{indent}{outer}:\n")];
        for (entry, inner) in &found {
            lines.push(format!("{indent}  {inner}: {}", self.value(entry)?));
        }
        let line = self.line_start(first);
        for (entry, _) in &found {
            self.cut(entry)?;
        }
        self.replace(line..line, lines.concat());
        Some(())
    }

    /// One model for two uses becomes two fields.
    fn split(&mut self, fields: &Node) -> Option<()> {
        let Some(entry) = fields.entry(SPLIT.0) else {
            return Some(());
        };
        let (indent, line) = (self.indent(entry)?, self.line_start(entry));
        let value = self.value(entry)?;
        let missing = SPLIT.1.into_iter().filter(|name| fields.entry(name).is_none());
        let new: Vec<String> = missing.map(|name| format!("{indent}{name}: {value}")).collect();
        self.cut(entry)?;
        self.replace(line..line, new.concat());
        Some(())
    }

    /// One object becomes a list of one.
    fn list(&mut self, tls: &Node) -> Option<()> {
        let Node::Map { entries, flow, at } = tls else {
            return Some(());
        };
        if *flow {
            self.replace(at.start..at.start, "[");
            self.replace(at.end..at.end, "]");
            return Some(());
        }
        let first = entries.first()?;
        self.indent(first)?;
        let mut line = self.line_start(first);
        let mark = first.key_at.start;
        self.replace(mark..mark, "- ");
        while let Some(next) = self.text[line..at.end].find('\n').map(|i| line + i + 1) {
            if !self.text[next..].starts_with('\n') {
                self.replace(next..next, "  ");
            }
            line = next;
        }
        Some(())
    }

    /// What follows the key and its colon, up to the end of the line and with it. Only a value of one line can be moved.
    fn value(&self, entry: &Entry) -> Option<String> {
        let end = self.line_end(entry)?;
        let rest = &self.text[entry.value.at().start..end];
        let plain = matches!(entry.value, Node::Other { is_list: false, .. }) && !entry.value.at().is_empty();
        let rest = rest.trim_end_matches('\n');
        (plain && !rest.starts_with(['&', '*', '|', '>', '!'])).then(|| format!("{rest}\n"))
    }

    fn cut(&mut self, entry: &Entry) -> Option<()> {
        self.indent(entry)?;
        let range = self.line_start(entry)..self.line_end(entry)?;
        self.replace(range, "");
        Some(())
    }

    fn line_start(&self, entry: &Entry) -> usize {
        self.text[..entry.key_at.start].rfind('\n').map_or(0, |i| i + 1)
    }

    /// The end of the line of an entry that has no other.
    fn line_end(&self, entry: &Entry) -> Option<usize> {
        let end = entry.value.at().end;
        if self.text[entry.key_at.start..end].contains('\n') {
            return None;
        }
        Some(self.text[end..].find('\n').map_or(self.text.len(), |i| end + i + 1))
    }

    /// What stands before the key on its line: spaces, or the entry has no line of its own.
    fn indent(&self, entry: &Entry) -> Option<String> {
        let before = &self.text[self.line_start(entry)..entry.key_at.start];
        before.chars().all(|c| c == ' ').then(|| before.to_string())
    }
}
