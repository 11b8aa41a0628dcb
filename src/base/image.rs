//! Container images: which one runs, given the fields of a manifest and the settings of the installation.

/// The name, and the tag or digest with the character before it.
fn split(image: &str) -> (&str, &str) {
    let bare = image.split('@').next().unwrap_or_default();
    let from = bare.rfind('/').map_or(0, |slash| slash + 1);
    let end = bare[from..].find(':').map_or(bare.len(), |colon| from + colon);
    image.split_at(end)
}

/// The tag or digest of a reference, if it has one.
#[must_use]
pub fn tag(image: &str) -> Option<&str> {
    let (_, suffix) = split(image);
    let digest = suffix.split_once('@').map(|(_, digest)| digest);
    digest.or_else(|| suffix.strip_prefix(':'))
}

/// True for tags that mean something else tomorrow.
#[must_use]
pub fn floats(image: &str) -> bool {
    matches!(tag(image), None | Some("latest" | "main" | "nightly" | "dev"))
}

/// The image that runs: `image` if it has a tag, else with `image_tag`, else with the tag of the built-in image.
/// A mirror (`registry`) is put in front of the built-in image only: what a user names is taken as named.
#[must_use]
pub fn effective(image: Option<&str>, image_tag: Option<&str>, built_in: &str, registry: &str) -> String {
    let (built_in_name, built_in_suffix) = split(built_in);
    let name = match image {
        Some(image) if tag(image).is_some() => return image.into(),
        Some(image) => image.into(),
        None if registry.is_empty() => built_in_name.into(),
        None => format!("{}/{built_in_name}", registry.trim_end_matches('/')),
    };
    match (image_tag, built_in_suffix) {
        (Some(tag), _) => format!("{name}:{tag}"),
        // The digest of one image is none of another.
        (None, suffix) if image.is_some() => format!("{name}{}", suffix.split('@').next().unwrap_or_default()),
        (None, suffix) => format!("{name}{suffix}"),
    }
}

/// The variant of an image whose tag ends in `-suffix`; a digest has no variants and stays.
#[must_use]
pub fn variant(image: &str, suffix: &str) -> String {
    if image.contains('@') {
        return image.into();
    }
    format!("{image}-{suffix}")
}

/// True for what a registry accepts as a reference: `[host[:port]/]path[:tag][@digest]`, the path in lower case.
#[must_use]
pub fn is_reference(image: &str) -> bool {
    let (name, suffix) = split(image);
    let (tag, digest) = suffix
        .split_once('@')
        .map_or((suffix, None), |(tag, digest)| (tag, Some(digest)));
    let mut parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 1 && is_host(parts[0]) {
        parts.remove(0);
    }
    image.len() <= 512
        && parts.iter().all(|part| is_path(part))
        && (tag.is_empty() || tag.strip_prefix(':').is_some_and(is_tag))
        && digest.is_none_or(is_digest)
}

/// True for what may stand behind the colon.
#[must_use]
pub fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    (text.contains(['.', ':']) || host == "localhost")
        && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && port.parse::<u16>().is_ok()
}

fn is_path(part: &str) -> bool {
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(end) && part.ends_with(end) && part.chars().all(|c| end(c) || "._-".contains(c))
}

fn is_digest(digest: &str) -> bool {
    let hex = digest.split_once(':').map(|(_, hex)| hex).unwrap_or_default();
    hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_image_of_the_manifest_counts_before_the_built_in_one() {
        let built_in = "ollama/ollama:0.32.15";
        assert_eq!(effective(None, None, built_in, ""), built_in);
        assert_eq!(
            effective(None, None, built_in, "mirror.example:5000/"),
            "mirror.example:5000/ollama/ollama:0.32.15"
        );
        assert_eq!(effective(None, Some("rocm"), built_in, ""), "ollama/ollama:rocm");
        assert_eq!(effective(Some("x/y"), None, built_in, "m"), "x/y:0.32.15");
        assert_eq!(effective(Some("x/y:1"), Some("2"), built_in, "m"), "x/y:1");
        assert_eq!(effective(Some("h:5000/y"), Some("2"), built_in, ""), "h:5000/y:2");
        assert_eq!(effective(Some("y@sha256:ab"), None, built_in, ""), "y@sha256:ab");
    }

    #[test]
    fn an_installation_may_pin_its_images_by_digest() {
        let pinned = format!("reg:5000/ollama:0.32.15@{DIGEST}");
        assert_eq!(effective(None, None, &pinned, ""), pinned);
        assert_eq!(
            effective(None, None, &pinned, "m.example"),
            format!("m.example/{pinned}")
        );
        assert_eq!(effective(None, Some("1"), &pinned, ""), "reg:5000/ollama:1");
        assert_eq!(effective(Some("mine"), None, &pinned, ""), "mine:0.32.15");
        assert_eq!(variant(&pinned, "rocm"), pinned);
        assert_eq!(variant("ollama/ollama:1", "rocm"), "ollama/ollama:1-rocm");
    }

    #[test]
    fn floating_tags_are_known() {
        assert!(floats("a") && floats("a:latest") && floats("h:5000/a"));
        assert!(!floats("a:1.2") && !floats("a@sha256:ab") && !floats("a:latest@sha256:ab"));
    }

    #[test]
    fn references_are_those_that_a_node_can_pull() {
        for good in [
            "localhost/ollama:0.24.0",
            "ollama",
            "ghcr.io/open-webui/open-webui:main",
            "REG.example:5000/a/b_c:V1",
            &format!("a:1@{DIGEST}"),
            &format!("a@{DIGEST}"),
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "a b",
            "a:",
            "",
            "Ollama/ollama",
            "a:b:c",
            "a//b",
            "/a",
            "a@sha256:ab",
            "a:-x",
            "https://a/b",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
        assert!(is_tag("0.32.15-rocm") && !is_tag("a b") && !is_tag("") && !is_tag(&"a".repeat(129)));
    }
}
