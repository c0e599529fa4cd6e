//! Whitelists, and the limits of environments.

use fleet_proto::v1::{RequestLimit, Whitelist};
use serde::Serialize;

use super::left;
use crate::output::{Columns, escape, rfc3339};

#[derive(Debug, Serialize)]
pub(crate) struct WhitelistView {
    name: String,
    rules: Vec<String>,
    most_rules: u32,
    read_only: bool,
    environments: Vec<String>,
    created: Option<String>,
}

impl WhitelistView {
    pub(crate) fn new(whitelist: &Whitelist) -> Self {
        Self {
            name: whitelist.name.clone(),
            rules: whitelist.rules.clone(),
            most_rules: whitelist.most_rules,
            read_only: whitelist.read_only,
            environments: whitelist.environments.clone(),
            created: rfc3339(whitelist.created.as_ref()),
        }
    }

    /// Its rules, as the predecessor printed them.
    pub(crate) fn text(&self) -> String {
        let rules = self.rules.iter();
        rules.map(|rule| format!(" - {}\n", escape(rule))).collect()
    }
}

/// `whitelist list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct WhitelistList(Vec<WhitelistView>);

impl WhitelistList {
    pub(crate) fn new(whitelists: &[Whitelist]) -> Self {
        Self(whitelists.iter().map(WhitelistView::new).collect())
    }

    pub(crate) fn text(&self) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let mut table = Columns::new(&left(["name", "rules", "in use", "read only"]));
        for one in &self.0 {
            table.row(vec![
                one.name.clone(),
                format!("{}/{}", one.rules.len(), one.most_rules),
                yes(!one.environments.is_empty()),
                yes(one.read_only),
            ]);
        }
        table.render()
    }
}

/// What is let through at most; what is missing is without limit.
#[derive(Debug, Serialize)]
pub(crate) struct LimitView {
    in_flight: Option<u32>,
    per_second: Option<u32>,
    burst: Option<u32>,
}

impl LimitView {
    /// `100 in flight, 50 a second (100 at once)`.
    pub(crate) fn text(&self) -> String {
        let mut said = Vec::new();
        said.extend(self.in_flight.map(|most| format!("{most} in flight")));
        if let (Some(rate), Some(burst)) = (self.per_second, self.burst) {
            said.push(format!("{rate} a second ({burst} at once)"));
        }
        said.join(", ")
    }
}

impl From<&RequestLimit> for LimitView {
    fn from(limit: &RequestLimit) -> Self {
        Self {
            in_flight: limit.in_flight,
            per_second: limit.rate.map(|rate| rate.per_second),
            burst: limit.rate.map(|rate| rate.burst),
        }
    }
}
