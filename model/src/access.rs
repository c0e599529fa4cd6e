//! Whitelists, which environments refer to by name.

use crate::Time;

/// The whitelist that exists from the beginning, admits everybody and cannot be changed.
pub const ALLOW_ALL: &str = "allow-all";

/// Who may reach an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitelist {
    pub name: String,
    /// Canonical CIDRs.
    pub rules: Vec<String>,
    pub read_only: bool,
    pub created: Time,
}
