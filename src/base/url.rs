//! Addresses of other servers, as manifests give them and as variables of a process hold them.

/// True for `http://host[:port][/path]` or https, without anything that would end a list of addresses or a word.
#[must_use]
pub fn is_http(text: &str) -> bool {
    rest(text, &["http", "https"]).is_some()
}

/// True for an address of a Redis server.
#[must_use]
pub fn is_redis(text: &str) -> bool {
    rest(text, &["redis", "rediss"]).is_some()
}

/// True for an address of a PostgreSQL database.
#[must_use]
pub fn is_postgres(text: &str) -> bool {
    rest(text, &["postgres", "postgresql"]).is_some_and(|rest| rest.contains('/'))
}

/// True when the address carries a password.
#[must_use]
pub fn has_password(text: &str) -> bool {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// The scheme and what follows it, where there is a host.
fn rest<'a>(text: &'a str, schemes: &[&str]) -> Option<&'a str> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = if host.starts_with('[') {
        host
    } else {
        host.rsplit_once(':').map_or(host, |(name, _)| name)
    };
    let port = host.strip_prefix(name).and_then(|p| p.strip_prefix(':'));
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !";\"'\\<>`".contains(c);
    let good = schemes.contains(&scheme)
        && !name.is_empty()
        && text.len() <= 2048
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && text.chars().all(plain);
    good.then_some(rest)
}

/// The text as it stands in the part of an address before `@`: everything but letters, digits, `-`, `.`, `_` and `~` as
/// its bytes (RFC 3986, section 2).
#[must_use]
pub fn encoded(text: &str) -> String {
    let each = text.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_only_looks_like_one() {
        for good in [
            "http://a",
            "https://chat.example.com/x",
            "http://ollama.other.svc:11434",
            "http://[::1]:80/",
            "http://10.0.0.1:5000/library",
        ] {
            assert!(is_http(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http://a b",
            "http://a;http://b",
            "http://a:0",
            "http://:80",
            "HTTP://a",
        ] {
            assert!(!is_http(bad), "{bad}");
        }
        assert!(is_redis("redis://:pw@cache:6379/0") && is_redis("rediss://cache") && !is_redis("http://cache"));
        assert!(
            is_postgres("postgresql://u:p@db:5432/webui")
                && !is_postgres("postgresql://u:p@db")
                && !is_postgres("mysql://a/b")
        );
    }

    #[test]
    fn passwords_are_found_and_encoded() {
        assert!(has_password("redis://:pw@cache:6379/0") && has_password("redis://u:pw@cache"));
        assert!(
            !has_password("redis://cache:6379/0")
                && !has_password("redis://u@cache")
                && !has_password("redis://c/a:b@c")
        );
        assert_eq!(encoded("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(encoded("p@ss:w/rd ü"), "p%40ss%3Aw%2Frd%20%C3%BC");
    }
}
