//! Objects environments refer to by name: whitelists and certificates.

use crate::Time;

/// The whitelist that exists from the beginning, admits everybody and cannot be changed.
pub const ALLOW_ALL: &str = "allow-all";
/// The certificate every cluster makes for itself.
pub const SELF_SIGNED: &str = "self-signed";

/// Who may reach an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitelist {
    pub name: String,
    /// Canonical CIDRs.
    pub rules: Vec<String>,
    pub read_only: bool,
    pub created: Time,
}

/// A certificate by name; its blocks come with the issue that brings TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub name: String,
    pub created: Time,
}
