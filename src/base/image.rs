//! Container images: which one runs, given the fields of a manifest and the settings of the installation.

/// The tag or digest of a reference, if it has one.
#[must_use]
pub fn tag(image: &str) -> Option<&str> {
    if let Some((_, digest)) = image.split_once('@') {
        return Some(digest);
    }
    match image.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => Some(tag),
        _ => None,
    }
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
    let (built_in_name, built_in_tag) = built_in.rsplit_once(':').unwrap_or((built_in, "latest"));
    let name = match image {
        Some(image) if tag(image).is_some() => return image.into(),
        Some(image) => image.into(),
        None if registry.is_empty() => built_in_name.into(),
        None => format!("{}/{built_in_name}", registry.trim_end_matches('/')),
    };
    format!("{name}:{}", image_tag.unwrap_or(built_in_tag))
}

/// True for what a registry accepts as a reference, as far as characters go.
#[must_use]
pub fn is_reference(image: &str) -> bool {
    !image.is_empty()
        && image.len() <= 512
        && image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !image.ends_with([':', '/', '@'])
        && image.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn floating_tags_are_known() {
        assert!(floats("a") && floats("a:latest") && floats("h:5000/a"));
        assert!(!floats("a:1.2") && !floats("a@sha256:ab"));
        assert!(
            is_reference("localhost/ollama:0.24.0") && !is_reference("a b") && !is_reference("a:") && !is_reference("")
        );
    }
}
