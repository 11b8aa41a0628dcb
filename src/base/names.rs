//! Names that Kubernetes accepts: labels, host names, environment variables.

/// The longest name of our own objects; every derived name and label value then fits into 63 characters.
pub const LONGEST_NAME: usize = 40;

/// A DNS-1035 label: what a Service may be called.
#[must_use]
pub fn is_dns_label(text: &str, most: usize) -> bool {
    text.len() <= most
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A DNS-1123 subdomain, as most objects are named.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A host name of an Ingress: a subdomain, perhaps with `*.` in front.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    is_subdomain(rest) && rest.parse::<std::net::IpAddr>().is_err()
}

/// A DNS-1123 label: what a container or a volume may be called.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 63
        && text.starts_with(inner)
        && text.ends_with(inner)
        && text.chars().all(|c| inner(c) || c == '-')
}

/// A name that every container runtime and shell takes as an environment variable.
#[must_use]
pub fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.')
}

/// What may be the value of a label.
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || text.len() <= 63
            && text.starts_with(end)
            && text.ends_with(end)
            && text.chars().all(|c| end(c) || "-_.".contains(c))
}

/// What may be the key of a label, an annotation or a resource: a name, perhaps with a subdomain and `/` in front.
#[must_use]
pub fn is_qualified(text: &str) -> bool {
    let (prefix, name) = text
        .split_once('/')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// A duration in Go's form, such as `1h30m` or `-1s`, or a number of seconds: what Ollama takes.
#[must_use]
pub fn is_duration(text: &str) -> bool {
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit()) {
        return bare.len() <= 18;
    }
    let mut rest = bare;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"].into_iter().find(|unit| {
            rest[digits..]
                .strip_prefix(unit)
                .is_some_and(|r| !r.starts_with(|c: char| c.is_alphabetic()))
        });
        match unit {
            Some(unit) if rest[..digits].parse::<f64>().is_ok() => rest = &rest[digits + unit.len()..],
            _ => return false,
        }
    }
    !bare.is_empty()
}

/// The text as a part of an object name: lower case, runs of anything else as one dash, at most `most` characters.
#[must_use]
pub fn slug(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
        if out.len() >= most {
            break;
        }
    }
    out.trim_end_matches('-').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hosts_and_variables() {
        assert!(is_dns_label("my-chat", 40) && is_dns_label("a", 40));
        assert!(!is_dns_label("1abc", 40) && !is_dns_label("a-", 40) && !is_dns_label("", 40));
        assert!(!is_dns_label(&"a".repeat(41), 40));
        assert!(is_host("chat.example.com") && is_host("*.example.com"));
        assert!(!is_host("Chat.example.com") && !is_host("10.0.0.1") && !is_host("a..b") && !is_host("http://x"));
        assert!(is_variable("OLLAMA_DEBUG") && !is_variable("1A") && !is_variable("A B") && !is_variable(""));
    }

    #[test]
    fn keys_and_values_of_labels() {
        assert!(
            is_label_value("0.32.15-rocm") && is_label_value("") && !is_label_value("1.0-") && !is_label_value("_a")
        );
        assert!(is_qualified("nvidia.com/gpu") && is_qualified("tier") && is_qualified("nvidia.com/mig-1g.10gb"));
        assert!(
            !is_qualified("")
                && !is_qualified("a/b/c")
                && !is_qualified("/a")
                && !is_qualified("a/")
                && !is_qualified("A_b/c")
        );
    }

    #[test]
    fn durations_are_those_of_ollama() {
        for good in ["5m", "1h30m", "-1", "0", "300", "1.5h", "-1s", "100ms"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "-", "5 m", "forever", "5d", "m", "1h30", "..s", "ü"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn slugs_are_parts_of_names() {
        assert_eq!(
            slug("registry.test:5000/library/Tiny:latest", 30),
            "registry-test-5000-library-tin"
        );
        assert_eq!(slug("--x__y--", 30), "x-y");
    }
}
