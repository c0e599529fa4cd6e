//! What texts of a manifest must look like, so that nothing they are handed to reads them as
//! something else. Each answer is the end of a sentence: "must …".

use crate::network::{Network, NetworkError};

/// Where a text is of no use; `must begin with one /`, ready to stand behind its name.
pub type Doubt = &'static str;

/// A path on the frontend itself: nothing that a client could read as another host, and nothing
/// that ends the request line.
///
/// # Errors
/// What it must be instead.
pub fn health_path(path: &str) -> Result<(), Doubt> {
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    if !path.starts_with('/') || path.starts_with("//") || !plain || path.len() > 1024 {
        return Err("must begin with one / and hold no blanks, #, \\ or letters beyond ASCII");
    }
    Ok(())
}

/// A host name of at least two labels, the first of which may be `*`.
///
/// # Errors
/// What it must be instead.
pub fn domain(name: &str) -> Result<(), Doubt> {
    // RFC 1035, section 2.3.4: 253 characters as written, 63 of a label.
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let plain = name.strip_prefix("*.").unwrap_or(name);
    if name.len() > 253 || !plain.contains('.') || !plain.split('.').all(label) {
        return Err("must be a host name in lowercase, as shop.example.org or *.example.org");
    }
    Ok(())
}

/// An address, or a network as `10.0.0.0/8`.
///
/// # Errors
/// What it must be instead.
pub fn network(text: &str) -> Result<(), Doubt> {
    match text.parse::<Network>() {
        Ok(_) => Ok(()),
        Err(NetworkError::Form(_)) => {
            Err("must be an address or a network, as 192.0.2.7 or 10.0.0.0/8")
        }
        Err(NetworkError::HostBits { .. }) => {
            Err("must have no bits beyond its prefix: 10.0.0.0/8, not 10.0.0.1/8")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        for good in [
            "a.b",
            "shop.example.org",
            "*.example.org",
            "xn--4ca.org",
            "1.2-3.de",
        ] {
            assert_eq!(domain(good), Ok(()), "{good}");
        }
        let long = format!("{}.org", "a".repeat(64));
        for bad in [
            "", "org", "*", "*.org", "a..b", "a.*.b", "-a.org", "a.org.", "A.org", &long,
        ] {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks() {
        for good in [
            "10.0.0.0/8",
            "192.0.2.7",
            "0.0.0.0/0",
            "::/0",
            "fd00::1/128",
        ] {
            assert_eq!(network(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "a/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.1/8",
        ] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }
}
