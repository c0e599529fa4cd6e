//! Who may reach an environment, and how much may be asked of it: whitelists, which environments refer
//! to by name, and limits.

use std::collections::BTreeSet;

use crate::{State, Time, environment::Environment, ids::EnvironmentKey, network::Network};

/// The whitelist that exists from the beginning, admits everybody and cannot be changed.
pub const ALLOW_ALL: &str = "allow-all";

/// Rules of one whitelist (surface.md A.3).
pub const MOST_RULES: usize = 50;

/// Whitelists of a cluster. All that are used travel with the route table.
pub const MOST_WHITELISTS: usize = 1_000;

/// Requests a second, at once, or in flight, that a limit may allow; beyond it a typo is more likely
/// than a wish.
pub const LARGEST_LIMIT: u32 = 1_000_000;

/// Who may reach an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitelist {
    pub name: String,
    /// Without any, nobody may.
    pub rules: BTreeSet<Network>,
    pub read_only: bool,
    pub created: Time,
}

impl Whitelist {
    /// The one every cluster has.
    #[must_use]
    pub fn allow_all() -> Self {
        let all = ["0.0.0.0/0", "::/0"];
        Self {
            name: ALLOW_ALL.to_owned(),
            rules: all.iter().filter_map(|text| text.parse().ok()).collect(),
            read_only: true,
            created: Time::default(),
        }
    }
}

/// What is let through at once, and at what pace; what is absent is without limit. Each ingress counts
/// by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Requests in flight.
    pub in_flight: Option<u32>,
    pub rate: Option<Rate>,
}

/// Requests a second in the long run, and how many may come at once after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    /// At least 1.
    pub burst: u32,
}

/// The limits of an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLimits {
    /// Of all its clients together.
    pub all: Limit,
    /// Of each client address; of IPv6 each /64, which is what one subscriber is given.
    pub address: Limit,
}

impl State {
    /// Environments that have a whitelist, by name.
    pub fn admitted_by<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a EnvironmentKey> {
        let all = self.environments.values();
        all.filter(move |environment| environment.settings.whitelist == name)
            .map(|environment| &environment.key)
    }

    /// The networks whose clients may reach an environment; `None`: everybody may. A whitelist that is
    /// not there admits nobody.
    #[must_use]
    pub fn admitted_to(&self, environment: &Environment) -> Option<Vec<Network>> {
        let name = environment.settings.whitelist.as_str();
        if name == ALLOW_ALL {
            return None;
        }
        let rules = self.whitelists.get(name).map(|list| &list.rules);
        Some(rules.into_iter().flatten().copied().collect())
    }
}
