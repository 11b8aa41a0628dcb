//! What a source file says, as far as its architecture is concerned: the paths it names and the lines of its code.

/// The text without comments and without what stands in quotes; lines stay where they are.
pub fn bare(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let length = skipped(rest);
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        out.extend(rest[..length].chars().filter(|c| *c == '\n'));
        // Something stood here, so that what is left and right of it does not grow together.
        out.push(' ');
        rest = &rest[length..];
    }
    out
}

/// How many bytes from here on are a comment, a text or a character; 0 for code.
fn skipped(text: &str) -> usize {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |i| from + i + end.len());
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until(2, "*/");
    }
    if let Some(raw) = text.strip_prefix('r').filter(|r| r.starts_with(['"', '#'])) {
        let hashes = raw.chars().take_while(|c| *c == '#').count();
        if raw[hashes..].starts_with('"') {
            return until(hashes + 2, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    match text.as_bytes() {
        [b'"', ..] => quoted(text),
        // A lifetime has no closing quote right behind it.
        [b'\'', b'\\', ..] => until(3, "'"),
        [b'\'', ..] => {
            let mut chars = text.char_indices().skip(2);
            chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(i, _)| i + 1)
        }
        _ => 0,
    }
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// The part before the tests that stand at a file's end.
pub fn before_tests(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

/// Lines that are neither empty nor comments.
pub fn lines_of_code(source: &str) -> usize {
    let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    before_tests(source).lines().filter(code).count()
}

/// Every path of at least two names in the bare text, with groups such as `use a::{b, c::d}` taken apart.
pub fn paths(bare: &str) -> Vec<Vec<String>> {
    let tokens = tokens(bare);
    let mut out = vec![];
    let mut i = 0;
    while i < tokens.len() {
        let begins = is_name(&tokens[i]) && tokens.get(i + 1).is_some_and(|t| t == "::");
        if begins {
            i = tree(&tokens, i, &[], &mut out);
        } else {
            i += 1;
        }
    }
    out.retain(|path| path.len() > 1);
    out
}

/// Reads one tree of a path from `i` on; says where it ends.
fn tree(tokens: &[String], mut i: usize, before: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(i).map(String::as_str) {
            Some("{") => return group(tokens, i + 1, &path, out),
            Some(name) if is_name(name) => path.push(name.to_string()),
            _ => break,
        }
        i += 1;
        if tokens.get(i).is_none_or(|t| t != "::") {
            break;
        }
        i += 1;
    }
    out.push(path);
    i.max(1)
}

fn group(tokens: &[String], mut i: usize, before: &[String], out: &mut Vec<Vec<String>>) -> usize {
    while let Some(token) = tokens.get(i) {
        match token.as_str() {
            "}" => return i + 1,
            name if is_name(name) => i = tree(tokens, i, before, out),
            _ => i += 1,
        }
    }
    i
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_') || token == "*"
}

fn tokens(bare: &str) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    let mut rest = bare.trim_start();
    while let Some(c) = rest.chars().next() {
        let name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if name(c) {
            rest.find(|c| !name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            c.len_utf8()
        };
        out.push(rest[..length].to_string());
        rest = rest[length..].trim_start();
    }
    out
}

/// A path from the crate's root, for a path as it stands in the module; `None` for one that leaves the crate.
pub fn resolved(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|s| *s == "super").count();
    match path[0].as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => {
            let kept = module.len().saturating_sub(supers);
            Some([&module[..kept], &path[supers..]].concat())
        }
        _ => None,
    }
}
