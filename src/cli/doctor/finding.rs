//! What the doctor says: a sentence for each thing that was looked at.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing, or not to be seen with these rights; nothing is broken by it.
    Note,
    /// Something does not work, or will stop working.
    Problem,
}

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The part that it is about, such as `webhooks`.
    pub part: &'static str,
    /// Kind and name of the object.
    pub object: String,
    /// The field, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is so.
    pub message: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn new(level: Level, part: &'static str, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            level,
            part,
            object: object.into(),
            field: None,
            value: None,
            message: message.into(),
            remedy: None,
        }
    }

    /// All is well with it.
    pub fn ok(part: &'static str, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Level::Ok, part, object, message)
    }

    /// Worth knowing.
    pub fn note(part: &'static str, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Level::Note, part, object, message)
    }

    /// Broken.
    pub fn problem(part: &'static str, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Level::Problem, part, object, message)
    }

    /// Something that could not be looked at.
    pub fn unseen(part: &'static str, object: impl Into<String>, why: &str) -> Self {
        Self::note(part, object, format!("was not looked at: {why}"))
            .remedy("ask again as somebody who may read it, such as an administrator of the cluster")
    }

    /// It is about this field, which has this value.
    #[allow(clippy::needless_pass_by_value, reason = "a number or a text as it comes")]
    pub fn at(mut self, field: impl Into<String>, value: impl ToString) -> Self {
        self.field = Some(field.into());
        self.value = Some(value.to_string());
        self
    }

    /// The way out.
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }
}
