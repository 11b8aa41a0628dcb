//! YAML as it was written: where its parts stand, so that a change touches nothing else, comments included.

use super::{edit, fields};
use anyhow::Context;
use granit_parser::{Event, Parser};
use serde_json::Value;
use std::ops::Range;

/// What became of a file.
pub(super) struct Migrated {
    pub(super) text: String,
    /// What a person should know of each document that changed.
    pub(super) notes: Vec<String>,
}

/// A part of a document and where it stands.
#[derive(Debug)]
pub(super) enum Node {
    /// A mapping; `flow` when it is written in braces.
    Map {
        entries: Vec<Entry>,
        flow: bool,
        at: Range<usize>,
    },
    /// A list, a value, or a reference to another part.
    Other { is_list: bool, at: Range<usize> },
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn at(&self) -> &Range<usize> {
        match self {
            Self::Map { at, .. } | Self::Other { at, .. } => at,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match self {
            Self::Map { entries, .. } => entries,
            Self::Other { .. } => &[],
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The part at the end of these keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, key| node.entry(key).map(|e| &e.value))
    }
}

/// The text with every stack in it in today's form.
///
/// # Errors
/// When it is not YAML, or has a key twice in one mapping.
pub(super) fn migrated(text: &str) -> anyhow::Result<Migrated> {
    let values: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let mut documents = documents(text)?;
    // Empty documents have no value, however they are written.
    let nothing = ["", "~", "null", "Null", "NULL"];
    documents.retain(|node| !nothing.contains(&text[node.at().clone()].trim()));
    let mut result = Migrated {
        text: text.into(),
        notes: vec![],
    };
    anyhow::ensure!(documents.len() == values.len(), "its documents cannot be told apart");
    // From the end, so that what comes before stays where it is.
    for (node, value) in documents.iter().zip(&values).rev() {
        if !fields::is_stack(value) {
            continue;
        }
        let wanted = fields::modern(value);
        if wanted == *value {
            continue;
        }
        let (range, new, is_kept) = rewritten(text, node, value, &wanted)?;
        result.text.replace_range(range, &new);
        result.notes.insert(0, note(value, is_kept));
    }
    Ok(result)
}

fn note(value: &Value, is_kept: bool) -> String {
    let (kind, name) = (&value["kind"], &value["metadata"]["name"]);
    let title = format!(
        "{} {}",
        kind.as_str().unwrap_or_default(),
        name.as_str().unwrap_or_default()
    );
    let how = if is_kept {
        "rewritten"
    } else {
        "rewritten as a whole: its form does not let single fields move, so its comments are gone"
    };
    format!("{title}: {how}")
}

/// The new text of a document, and what it replaces. Edited in place where the result is what it should be, which is the
/// one thing that counts; written anew otherwise.
fn rewritten(text: &str, node: &Node, value: &Value, wanted: &Value) -> anyhow::Result<(Range<usize>, String, bool)> {
    // Whole lines, since the first line's indentation counts.
    let start = text[..node.at().start].rfind('\n').map_or(0, |i| i + 1);
    let range = start..node.at().end;
    if let Some(edited) = edit::edited(text, node, value) {
        let new = &edited[range.start..edited.len() - (text.len() - range.end)];
        let read: Option<Value> = serde_saphyr::from_str(new).ok();
        if read.as_ref() == Some(wanted) {
            return Ok((range.clone(), new.to_string(), true));
        }
    }
    let new = serde_saphyr::to_string(wanted)?;
    Ok((range, new.trim_end().to_string(), false))
}

fn documents(text: &str) -> anyhow::Result<Vec<Node>> {
    let mut events = vec![];
    for event in Parser::new_from_str(text) {
        let (event, span) = event.context("not YAML")?;
        let at = span.byte_range().context("no place in the text")?;
        if !matches!(event, Event::Comment(..)) {
            events.push((event, at));
        }
    }
    let mut documents = vec![];
    let mut events = events.into_iter().peekable();
    while let Some((event, _)) = events.next() {
        if matches!(event, Event::DocumentStart(..)) {
            documents.extend(events.next().map(|first| node(text, first, &mut events)));
        }
    }
    Ok(documents)
}

type Placed<'a> = (Event<'a>, Range<usize>);

/// The part that begins with an event. The parser has checked that its events are balanced.
fn node<'a>(text: &str, (event, at): Placed<'a>, events: &mut impl Iterator<Item = Placed<'a>>) -> Node {
    match event {
        Event::MappingStart(..) => map(text, at, events),
        Event::SequenceStart(..) => {
            let mut end = at.end;
            while let Some((event, at)) = events.next() {
                if matches!(event, Event::SequenceEnd) {
                    end = closed(text, end, &at, ']');
                    break;
                }
                end = node(text, (event, at), events).at().end;
            }
            Node::Other {
                is_list: true,
                at: at.start..end,
            }
        }
        _ => Node::Other { is_list: false, at },
    }
}

fn map<'a>(text: &str, at: Range<usize>, events: &mut impl Iterator<Item = Placed<'a>>) -> Node {
    let flow = text[at.start..].starts_with('{');
    let (mut entries, mut end) = (vec![], at.end);
    while let Some((event, key_at)) = events.next() {
        let key = match event {
            Event::MappingEnd => {
                end = closed(text, end, &key_at, '}');
                break;
            }
            Event::Scalar(key, ..) => key.into_owned(),
            // A key that is no text is nobody's field.
            event => {
                node(text, (event, key_at.clone()), events);
                String::new()
            }
        };
        let Some(first) = events.next() else { break };
        let value = node(text, first, events);
        end = value.at().end.max(colon(text, key_at.end));
        entries.push(Entry { key, key_at, value });
    }
    Node::Map {
        entries,
        flow,
        at: at.start..end,
    }
}

/// Behind the colon of a key that ends there: a value that is nothing has no place of its own.
fn colon(text: &str, key_end: usize) -> usize {
    let rest = text[key_end..].trim_start().strip_prefix(':');
    rest.map_or(key_end, |rest| text.len() - rest.len())
}

/// The end of a list or mapping: its bracket, or the end of its last part.
fn closed(text: &str, last: usize, at: &Range<usize>, bracket: char) -> usize {
    if text[..at.end].ends_with(bracket) && at.end > last {
        at.end
    } else {
        last
    }
}
