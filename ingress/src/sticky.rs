//! Clients that keep their frontend: a cookie names it in a way that only the cluster can write.
//!
//! The cookie is a keyed digest of the frontend's id. Every ingress has the same key, and so knows
//! the cookies of all frontends of the pool beforehand: a cookie that is none of them, because it
//! was forged, is of another service, or its frontend is gone, is as good as none. Nobody learns
//! from it how many frontends there are. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::HeaderValue;
use ring::hmac;

use super::slot::FrontendId;

/// Name of the cookie.
pub(super) const COOKIE: &str = "fleet_frontend";
/// Of the digest, in bytes: 128 bits cannot be guessed.
const LENGTH: usize = 16;

/// What signs the cookies of one pool; from control, the same at every ingress.
pub(super) type Key = Arc<[u8]>;

/// The cookies of a pool's frontends, in their order.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    values: Vec<String>,
    index: HashMap<String, usize>,
}

impl Cookies {
    pub(super) fn of(key: &Key, frontends: impl Iterator<Item = FrontendId>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let values: Vec<String> = frontends.map(|id| value(&key, id)).collect();
        let index = values.iter().cloned().zip(0..).collect();
        Self { values, index }
    }

    /// The frontend that a request's `Cookie` header names, if it is one of these.
    pub(super) fn named(&self, header: &HeaderValue) -> Option<usize> {
        let text = header.to_str().ok()?;
        let mut crumbs = text.split(';').map(str::trim_ascii);
        crumbs.find_map(|crumb| {
            let value = crumb.strip_prefix(COOKIE)?.strip_prefix('=')?;
            self.index.get(value).copied()
        })
    }

    /// The `Set-Cookie` header by which a client comes back to a frontend. It lasts as long as the
    /// browser's session.
    pub(super) fn set(&self, frontend: usize, secure: bool) -> Option<HeaderValue> {
        let value = self.values.get(frontend)?;
        let secure = if secure { "; Secure" } else { "" };
        let text = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).ok()
    }
}

fn value(key: &hmac::Key, id: FrontendId) -> String {
    let digest = hmac::sign(key, &id.to_be_bytes());
    let mut text = String::with_capacity(2 * LENGTH);
    for byte in &digest.as_ref()[..LENGTH] {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(key: u8, frontends: &[FrontendId]) -> Cookies {
        Cookies::of(&Key::from([key; 32]), frontends.iter().copied())
    }

    fn sent(cookies: &Cookies, frontend: usize) -> String {
        let set = cookies.set(frontend, false).expect("a cookie");
        let set = set.to_str().expect("ASCII").to_owned();
        set.split(';').next().expect("a value").to_owned()
    }

    #[test]
    fn a_cookie_leads_back_whatever_else_is_in_the_header() {
        let (before, after) = (cookies(1, &[7, 8]), cookies(1, &[5, 6, 8]));
        let sent = sent(&before, 1);
        let headers = [
            sent.clone(),
            format!("a=b; {sent}"),
            format!("{COOKIE}=stale; {sent};c=d"),
        ];
        for header in headers {
            let header = HeaderValue::try_from(header).expect("a header");
            assert_eq!(before.named(&header), Some(1));
            // Another table has it elsewhere; it is the frontend that counts.
            assert_eq!(after.named(&header), Some(2));
        }
    }

    #[test]
    fn what_the_cluster_did_not_write_names_nobody() {
        let ours = cookies(1, &[7, 8]);
        let foreign = sent(&cookies(2, &[7, 8]), 0);
        let gone = sent(&cookies(1, &[9]), 0);
        let cut = sent(&ours, 0)[..30].to_owned();
        for header in [foreign, gone, cut, "7".to_owned(), format!("{COOKIE}=7")] {
            let value = HeaderValue::try_from(&header).expect("a header");
            assert_eq!(ours.named(&value), None, "{header}");
        }
    }

    #[test]
    fn over_tls_it_stays_on_tls() {
        let set = |secure| cookies(1, &[7]).set(0, secure).expect("a cookie");
        assert!(!set(false).to_str().expect("ASCII").contains("Secure"));
        assert!(set(true).to_str().expect("ASCII").ends_with("; Secure"));
    }
}
