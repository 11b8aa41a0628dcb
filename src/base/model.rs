//! Names of Ollama models: the grammar of Ollama itself (`types/model/name.go`), so that what we accept it accepts.

use std::fmt;

const DEFAULT_HOST: &str = "registry.ollama.ai";
const DEFAULT_NAMESPACE: &str = "library";
/// The tag that Ollama assumes.
pub const DEFAULT_TAG: &str = "latest";

/// A model name with every part filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName {
    host: String,
    namespace: String,
    model: String,
    tag: String,
}

impl ModelName {
    /// Reads `[scheme://][host[:port]/][namespace/]model[:tag]`.
    ///
    /// # Errors
    /// A sentence that says which part Ollama would refuse, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, tag) = split_tag(text);
        Self::from_parts(name, tag.unwrap_or(DEFAULT_TAG))
    }

    /// The same with the tag given apart, as in an object item of `models`.
    ///
    /// # Errors
    /// As [`ModelName::parse`]; also when `name` holds a different tag of its own.
    pub fn with_tag(name: &str, tag: Option<&str>) -> Result<Self, String> {
        match (split_tag(name), tag) {
            ((_, None), tag) => Self::from_parts(name, tag.unwrap_or(DEFAULT_TAG)),
            ((bare, Some(own)), Some(tag)) if own != tag => Err(format!(
                "the name has the tag {own:?} and the field tag says {tag:?}; give the tag once, as in {bare}:{tag}"
            )),
            ((bare, Some(own)), _) => Self::from_parts(bare, own),
        }
    }

    fn from_parts(name: &str, tag: &str) -> Result<Self, String> {
        if name.contains('@') {
            return Err("Ollama has no digests in names; leave @… away".into());
        }
        let bare = name.split_once("://").map_or(name, |(_, rest)| rest);
        let parts: Vec<&str> = bare.split('/').collect();
        let (host, namespace, model) = match parts[..] {
            [model] => (DEFAULT_HOST, DEFAULT_NAMESPACE, model),
            [namespace, model] => (DEFAULT_HOST, namespace, model),
            [host, namespace, model] => (host, namespace, model),
            _ => return Err("a name has at most three parts: host/namespace/model".into()),
        };
        if parts.len() == 2 && namespace.contains('.') {
            return Err(format!(
                "{namespace:?} is read as a namespace, which has no dots; a name with a registry has three parts: {namespace}/library/{model}"
            ));
        }
        part("host", host, 350, |c| "_-.:".contains(c))?;
        part("namespace", namespace, 80, |c| "_-".contains(c))?;
        part("model", model, 80, |c| "_-.".contains(c))?;
        part("tag", tag, 80, |c| "_-.".contains(c))?;
        Ok(Self {
            host: host.into(),
            namespace: namespace.into(),
            model: model.into(),
            tag: tag.into(),
        })
    }

    /// The name as Ollama's `/api/tags` prints it: always with a tag, without the default host and namespace.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}:{}", self.bare(), self.tag)
    }

    /// The short name without its tag.
    #[must_use]
    pub fn bare(&self) -> String {
        match (self.host == DEFAULT_HOST, self.namespace == DEFAULT_NAMESPACE) {
            (true, true) => self.model.clone(),
            (true, false) => format!("{}/{}", self.namespace, self.model),
            (false, _) => format!("{}/{}/{}", self.host, self.namespace, self.model),
        }
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The form in which two names are compared: Ollama matches names that differ only in case.
    #[must_use]
    pub fn key(&self) -> String {
        self.short().to_lowercase()
    }

    /// The model part in lower case, such as `codellama`; what families are told by.
    #[must_use]
    pub fn family(&self) -> String {
        self.model.to_lowercase()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// A colon behind the last slash starts the tag; one before it belongs to a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

fn part(what: &str, text: &str, most: usize, extra: impl Fn(char) -> bool) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("the {what} is empty"));
    }
    if text.len() > most {
        return Err(format!("the {what} is longer than {most} characters"));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("the {what} {text:?} must begin with a letter, a digit or _"));
    }
    match text.chars().find(|&c| !c.is_ascii_alphanumeric() && !extra(c)) {
        Some(c) => Err(format!("the {what} {text:?} must not hold {c:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn short(text: &str) -> Result<String, String> {
        ModelName::parse(text).map(|n| n.short())
    }

    #[test]
    fn names_are_completed_as_ollama_completes_them() {
        assert_eq!(short("llama3").as_deref(), Ok("llama3:latest"));
        assert_eq!(short("library/llama3:8b").as_deref(), Ok("llama3:8b"));
        assert_eq!(
            short("hf.co/amakhov/tiny-random-llama:F16").as_deref(),
            Ok("hf.co/amakhov/tiny-random-llama:F16")
        );
        assert_eq!(
            short("registry.test:5000/library/tiny").as_deref(),
            Ok("registry.test:5000/library/tiny:latest")
        );
        assert_eq!(
            short("http://registry.test:5000/a/b:c").as_deref(),
            Ok("registry.test:5000/a/b:c")
        );
    }

    #[test]
    fn what_ollama_refuses_is_refused_with_the_reason() {
        for bad in [
            "",
            ":x",
            "bad name",
            "-x",
            "a/b/c/d",
            "reg.local/m",
            "m@sha256:abc",
            "m:",
            "m:bad tag",
            "a//b",
            "ü",
        ] {
            assert!(short(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(short("reg.local/m").unwrap_err().contains("three parts"));
    }

    #[test]
    fn a_tag_may_be_given_once() {
        let tag = |n, t| ModelName::with_tag(n, t).map(|n| n.short());
        assert_eq!(tag("a", Some("b")).as_deref(), Ok("a:b"));
        assert_eq!(tag("a:b", Some("b")).as_deref(), Ok("a:b"));
        assert_eq!(tag("host:5000/n/m", Some("b")).as_deref(), Ok("host:5000/n/m:b"));
        assert!(tag("a:b", Some("c")).unwrap_err().contains("a:c"));
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_the_short_form_reads_back(text in "\\PC{0,60}") {
            if let Ok(name) = ModelName::parse(&text) {
                prop_assert_eq!(ModelName::parse(&name.short()), Ok(name));
            }
        }
    }
}
