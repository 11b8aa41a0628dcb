//! The words of the cluster without what changes at each attempt, and the way out that belongs to them.

/// What the words of the cluster hold, and what to do then; `{}` is the block of the manifest.
type WaysOut = &'static [(&'static str, &'static str)];

/// For what the scheduler says.
pub(super) const SCHEDULING: WaysOut = &[
    ("Insufficient ", "lower {}.resources.requests, or make room on a node"),
    ("Too many pods", "make room on a node"),
    ("free ports", "another pod has its port of the node"),
    (
        "node affinity/selector",
        "correct {}.nodeSelector or {}.affinity, or label a node",
    ),
    (
        "untolerated taint",
        "add what the nodes ask for to {}.tolerations, or take the taint off a node",
    ),
    (
        "persistentvolumeclaim ",
        "make that claim, or correct {}.persistence.existingClaim",
    ),
    (
        "available persistent volumes to bind",
        "no node that may take it has a volume of that size",
    ),
    ("volume node affinity", "its volume is on a node that may not take it"),
    ("0/0 nodes", "the cluster has no node"),
    ("no nodes available", "the cluster has no node"),
];

/// For what a registry, or the node on its way there, says.
pub(super) const PULLING: WaysOut = &[
    (
        "nauthorized",
        "name a Secret with the registry's password in {}.imagePullSecrets",
    ),
    (
        "authorization failed",
        "name a Secret with the registry's password in {}.imagePullSecrets",
    ),
    (
        "denied",
        "correct {}.image, or name a Secret with the registry's password in {}.imagePullSecrets",
    ),
    ("not found", "correct {}.image and {}.imageTag"),
    ("NotFound", "correct {}.image and {}.imageTag"),
    ("manifest unknown", "correct {}.image and {}.imageTag"),
    (
        "no match for platform",
        "the image is not made for the processors of this node",
    ),
];

/// For what a claim waits for.
pub(super) const BINDING: WaysOut = &[
    (
        "no storage class is set",
        "the cluster has no default StorageClass: name one in {}.persistence.storageClass, or make a PersistentVolume of that size",
    ),
    (
        "storageclass",
        "make that StorageClass, or delete the claim and name another in {}.persistence.storageClass",
    ),
    (
        "external provisioner",
        "see that the provisioner of its StorageClass runs",
    ),
    ("first consumer", "it is bound when a node takes the pod"),
];

/// For why the API server refuses a pod.
pub(super) const REFUSING: WaysOut = &[
    (
        "exceeded quota",
        "ask for less in {}.resources or {}.replicas, or have the ResourceQuota raised",
    ),
    ("failed quota", "give in {}.resources what the ResourceQuota asks for"),
    (
        "violates PodSecurity",
        "take what it lists out of {}, or have the Pod Security level of the namespace lowered",
    ),
    (
        "per Container",
        "keep {}.resources within the LimitRange of the namespace",
    ),
    ("per Pod", "keep {}.resources within the LimitRange of the namespace"),
    ("serviceaccount", "make that account, or correct {}.serviceAccount.name"),
    (
        "PriorityClass",
        "make that PriorityClass, or correct {}.priorityClassName",
    ),
    ("RuntimeClass", "make that RuntimeClass, or correct {}.runtimeClassName"),
];

/// What to do about a cause, if that is known.
pub(super) fn way_out(cause: &str, path: &str, ways: WaysOut) -> Option<String> {
    let (_, way) = ways.iter().find(|(holds, _)| cause.contains(holds))?;
    Some(way.replace("{}", path))
}

/// `what: cause; way out`, as far as there is any.
pub(super) fn sentence(what: &str, cause: &str, way_out: Option<String>) -> String {
    let mut sentence = what.to_string();
    if !cause.is_empty() {
        sentence = format!("{sentence}: {cause}");
    }
    way_out.map_or(sentence.clone(), |way| format!("{sentence}; {way}"))
}

/// The scheduler's words without what it says of preemption and of devices.
pub(super) fn scheduler(message: &str) -> &str {
    let ends = [" preemption:", " no new claims to deallocate"];
    let end = ends.iter().filter_map(|end| message.find(end)).min();
    let said = end
        .map_or(message, |end| &message[..end])
        .trim_end_matches(['.', ' ', ',']);
    // Of a claim that does not exist it says so twice.
    said.strip_suffix(". not found")
        .filter(|said| said.ends_with("not found"))
        .unwrap_or(said)
}

/// Why the API server refused: its words without the name of a pod, which is another one at each attempt.
pub(super) fn refusal(message: &str) -> &str {
    message
        .split_once(" is forbidden: ")
        .map_or(message, |(_, cause)| cause)
}

/// The first line.
pub(super) fn line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim()
}

/// How many letters of a program's last words are told.
const LAST_WORDS: usize = 240;
/// Words of a line that tells why a program ends.
const CAUSES: [&str; 6] = ["error", "fatal", "panic", "cannot", "failed", "exception"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The line of a program's last ones that tells why it ended, without the time at its front.
pub(super) fn last(message: &str) -> String {
    let lines = || message.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let tells = |line: &&str| CAUSES.iter().any(|cause| line.to_lowercase().contains(cause));
    let line = lines().find(tells).or_else(|| lines().next()).unwrap_or_default();
    let line = timeless(line);
    let mut told: String = line.chars().take(LAST_WORDS).collect();
    if told.len() < line.len() {
        told.push('…');
    }
    told
}

fn timeless(line: &str) -> &str {
    let mut rest = line;
    while let Some((word, after)) = rest.split_once(' ') {
        if !is_of_a_time(word) {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// Dates, times, numbers of processes, and what stands between them.
fn is_of_a_time(word: &str) -> bool {
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    let digits = word.chars().any(|c| c.is_ascii_digit());
    let sign = word.chars().all(|c| c.is_ascii_punctuation());
    digits && letters <= 2 || sign || word == "UTC" || MONTHS.contains(&word)
}

/// Addresses without the password that they may hold.
pub(super) fn without_passwords(text: &str) -> String {
    let hidden = |word: &str| {
        let Some((scheme, rest)) = word.split_once("://") else {
            return word.to_string();
        };
        match rest.rsplit_once('@') {
            Some((who, host)) if who.contains(':') => format!("{scheme}://[redacted]@{host}"),
            _ => word.to_string(),
        }
    };
    text.split(' ').map(hidden).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_at_each_attempt_is_left_out() {
        let said = "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        assert_eq!(scheduler(said), "0/1 nodes are available: 1 Insufficient memory");
        let said = r#"0/1 nodes are available: persistentvolumeclaim "mine" not found. not found"#;
        assert_eq!(
            scheduler(said),
            r#"0/1 nodes are available: persistentvolumeclaim "mine" not found"#
        );
        let said = r#"pods "chat-ollama-5c6b9d7f4-x2x9z" is forbidden: exceeded quota: none, requested: pods=1"#;
        assert_eq!(refusal(said), "exceeded quota: none, requested: pods=1");
    }

    #[test]
    fn the_last_words_of_a_program_are_those_that_tell_why() {
        for (said, told) in [
            (
                "2026-11-21 20:56:24.123 UTC [1] FATAL:  no such folder\n2026-11-21 20:56:24.124 UTC [1] LOG:  shut down\n",
                "FATAL:  no such folder",
            ),
            (
                "1:M 21 Nov 2026 20:56:24.123 # Fatal error, can't open config file\n",
                "Fatal error, can't open config file",
            ),
            (
                "thread 'main' panicked at a.rs:1\nnote: run with `RUST_BACKTRACE=1`\n",
                "thread 'main' panicked at a.rs:1",
            ),
            ("one\ntwo\n\n", "two"),
            ("", ""),
        ] {
            assert_eq!(last(said), told);
        }
        assert_eq!(last(&"x".repeat(500)).chars().count(), LAST_WORDS + 1);
    }

    #[test]
    fn addresses_lose_their_passwords() {
        assert_eq!(
            without_passwords("cannot reach postgresql://me:s3cr@t@host/db now, http://a@b is fine"),
            "cannot reach postgresql://[redacted]@host/db now, http://a@b is fine"
        );
    }
}
