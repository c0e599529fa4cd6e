//! The host a request is for, in the one spelling the table knows.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 1035's limit of a name. Bounds the wildcard search too.
const LONGEST: usize = 253;

/// Not a host that could be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHost {
    #[error("the host is empty")]
    Empty,
    #[error("the host is longer than {LONGEST} bytes")]
    TooLong,
    #[error("the host contains a character that no host has")]
    Character,
    #[error("the port is not a number from 0 to 65535")]
    Port,
}

/// Lower case, without port and trailing dot. Borrows when that is how it came, as it nearly
/// always is.
pub(super) fn normalise(authority: &str) -> Result<Cow<'_, str>, BadHost> {
    let host = without_port(authority)?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(BadHost::Character)?;
        inner.parse::<Ipv6Addr>().map_err(|_| BadHost::Character)?;
        return Ok(Cow::Owned(host.to_ascii_lowercase()));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() {
        return Err(BadHost::Empty);
    }
    if host.len() > LONGEST {
        return Err(BadHost::TooLong);
    }
    // Underscores are no letters of host names, but live in some, and are harmless.
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if !host.bytes().all(known) || host.starts_with('.') || host.contains("..") {
        return Err(BadHost::Character);
    }
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(Cow::Owned(host.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(host))
}

/// A host of the table in that spelling: a name, or one with a wildcard as its first label.
pub(super) fn pattern(given: &str) -> Option<String> {
    let (wildcard, name) = match given.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", given),
    };
    let below_a_number = !wildcard.is_empty() && name.parse::<Ipv4Addr>().is_ok();
    if name.contains(':') || below_a_number {
        return None;
    }
    Some(format!("{wildcard}{}", normalise(name).ok()?))
}

fn without_port(authority: &str) -> Result<&str, BadHost> {
    let after_bracket = authority.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = authority[after_bracket..].find(':') else {
        return Ok(authority);
    };
    let (host, port) = authority.split_at(after_bracket + colon);
    let port = &port[1..];
    let digits = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    // "host:" with nothing after it is valid, and means the default.
    if !digits || (!port.is_empty() && port.parse::<u16>().is_err()) {
        return Err(BadHost::Port);
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let table: &[(&str, Result<&str, BadHost>)] = &[
            ("www.prod.shop.test", Ok("www.prod.shop.test")),
            ("WWW.Prod.shop.TEST:8080", Ok("www.prod.shop.test")),
            ("www.prod.shop.test.", Ok("www.prod.shop.test")),
            ("www.prod.shop.test.:80", Ok("www.prod.shop.test")),
            ("www:", Ok("www")),
            ("127.0.0.1:8080", Ok("127.0.0.1")),
            ("[::1]:80", Ok("[::1]")),
            ("[::1", Err(BadHost::Port)),
            ("[www]", Err(BadHost::Character)),
            ("", Err(BadHost::Empty)),
            (".", Err(BadHost::Empty)),
            (":80", Err(BadHost::Empty)),
            ("a..b", Err(BadHost::Character)),
            (".a", Err(BadHost::Character)),
            ("a b", Err(BadHost::Character)),
            ("user@a", Err(BadHost::Character)),
            ("a/b", Err(BadHost::Character)),
            ("a,b", Err(BadHost::Character)),
            ("bücher", Err(BadHost::Character)),
            ("a:http", Err(BadHost::Port)),
            ("a:99999", Err(BadHost::Port)),
            ("a:80:80", Err(BadHost::Port)),
            ("a:+1", Err(BadHost::Port)),
        ];
        for (given, expected) in table {
            assert_eq!(
                normalise(given).as_deref(),
                expected.as_ref().copied(),
                "{given:?}"
            );
        }
        assert_eq!(normalise(&"a".repeat(254)), Err(BadHost::TooLong));
    }

    #[test]
    fn patterns() {
        for good in ["www.test", "*.www.test", "127.0.0.1"] {
            assert_eq!(pattern(good).as_deref(), Some(good));
        }
        assert_eq!(pattern("*.WWW.test.").as_deref(), Some("*.www.test"));
        for bad in [
            "",
            "*",
            "*.",
            "www.*.test",
            "www:80",
            "*.10.0.0.1",
            "*.*.test",
        ] {
            assert_eq!(pattern(bad), None, "{bad}");
        }
    }
}
