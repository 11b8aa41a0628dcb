//! Addresses of Ollama servers outside of stacks: as the older flags print them, as a manifest gives them, and the list
//! of those that a manifest may give.

use std::fmt;

/// Where Ollama listens.
const OLLAMA: u16 = 11434;
/// Where http is, when a URL names no port.
const HTTP: u16 = 80;

/// A server that is asked by plain http.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl {
    host: String,
    port: u16,
}

impl ServerUrl {
    /// Reads `http://host[:port]`, the one form that manifests may have.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return Err("Ollama is asked by plain http; put an http address inside the cluster".into());
            }
            _ => return Err("must be a URL such as http://ollama.example.com:11434".into()),
        };
        Self::authority(rest.strip_suffix('/').unwrap_or(rest), HTTP)
    }

    /// Reads what the older flags print as well: `:11434`, `host`, `host:port`, and bind addresses, which mean this machine.
    ///
    /// # Errors
    /// As [`ServerUrl::parse`].
    pub fn lenient(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Self::parse(text).map(Self::local);
        }
        let text = if text.starts_with(':') {
            format!("localhost{text}")
        } else {
            text.to_string()
        };
        Self::authority(text.strip_suffix('/').unwrap_or(&text), OLLAMA).map(Self::local)
    }

    fn authority(text: &str, port: u16) -> Result<Self, String> {
        if text.contains(['/', '?', '#', '@']) {
            return Err("only a host and a port may be given: no user, path or query".into());
        }
        let (host, given) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (format!("[{host}]"), rest),
            Some(_) => return Err("the address in brackets is none".into()),
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (text[..end].to_lowercase(), &text[end..])
            }
        };
        let port = match given.strip_prefix(':') {
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|p| *p > 0)
                .ok_or("the port is no number from 1 to 65535")?,
            None if given.is_empty() => port,
            None => return Err("only a host and a port may be given".into()),
        };
        let inner = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let named = !host.is_empty() && host.len() <= 253 && host.chars().all(inner);
        if named || host.starts_with('[') && host.ends_with(']') {
            Ok(Self { host, port })
        } else {
            Err("the host is none".into())
        }
    }

    fn local(self) -> Self {
        let bind = ["0.0.0.0", "[::]"].contains(&self.host.as_str());
        Self {
            host: if bind { "localhost".into() } else { self.host },
            ..self
        }
    }

    /// The host, without the port: what is told apart in a status.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// True when one of the list allows it: `http://host`, `http://host:port`, `http://*.example.com:port`.
    #[must_use]
    pub fn is_among(&self, list: &[String]) -> bool {
        list.iter().any(|allowed| self.matches(allowed))
    }

    fn matches(&self, allowed: &str) -> bool {
        let Some(rest) = allowed.trim_end_matches('/').strip_prefix("http://") else {
            return false;
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let host = host.to_lowercase();
        let same = match host.strip_prefix('*') {
            // The dot belongs to the pattern: *.example.com is none but the names under it.
            Some(end) => end.starts_with('.') && self.host.len() > end.len() && self.host.ends_with(end),
            None => self.host == host,
        };
        same && port.is_none_or(|port| port == self.port.to_string())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_in_every_printed_form() {
        let read = |text: &str| ServerUrl::lenient(text).map(|u| u.to_string());
        for (text, url) in [
            (":11434", "http://localhost:11434"),
            ("0.0.0.0:11434", "http://localhost:11434"),
            ("http://localhost:11434", "http://localhost:11434"),
            ("ollama", "http://ollama:11434"),
            ("http://Ollama.ai/", "http://ollama.ai:80"),
            ("[::1]:7", "http://[::1]:7"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(url), "{text}");
        }
        for bad in [
            "",
            "http://[a",
            "http://[::1",
            "http://",
            "https://a",
            "ftp://a",
            "http://a/b",
            "http://u:p@a",
            "a:0",
            "a:x",
            "[x]:1",
            "a b",
            "http://a?b",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert!(ServerUrl::parse(":11434").is_err() && ServerUrl::parse("ollama").is_err());
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let among = |url: &str, list: &[&str]| {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            ServerUrl::parse(url).unwrap().is_among(&list)
        };
        assert!(among("http://a.test:1", &["http://a.test"]) && among("http://A.test:1", &["http://a.test:1"]));
        assert!(!among("http://a.test:2", &["http://a.test:1"]) && !among("http://a.test", &[]));
        assert!(among("http://x.a.test:1", &["http://*.a.test"]) && !among("http://a.test:1", &["http://*.a.test"]));
        assert!(
            !among("http://xa.test:1", &["http://*a.test"]),
            "a pattern ends at a dot"
        );
        assert!(among("http://[::1]:5", &["http://[::1]:5"]) && !among("http://[::1]:6", &["http://[::1]:5"]));
    }
}
