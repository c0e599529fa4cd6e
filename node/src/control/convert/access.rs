//! Whitelists and limits.

use fleet_model::{
    Time,
    access::{Limit, Rate, Whitelist},
    network::Network,
};
use fleet_proto::stored;

use super::{DecodeError, Stored, all};

impl Stored for Whitelist {
    type Wire = stored::Whitelist;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            rules,
            read_only,
            created,
        } = self;
        stored::Whitelist {
            name: name.clone(),
            rules: rules.iter().map(Network::to_stored).collect(),
            read_only: *read_only,
            created_ms: created.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Whitelist {
            name,
            rules,
            read_only,
            created_ms,
        } = wire;
        Ok(Self {
            name,
            rules: all(rules)?,
            read_only,
            created: Time(created_ms),
        })
    }
}

impl Stored for Network {
    type Wire = String;

    fn to_stored(&self) -> String {
        self.to_string()
    }

    fn from_stored(wire: String) -> Result<Self, DecodeError> {
        wire.parse().map_err(|_| DecodeError::Invalid {
            field: "network",
            value: wire,
        })
    }
}

/// Nothing where there is no limit.
pub(super) fn limit_to_stored(limit: Limit) -> Option<stored::RequestLimit> {
    let Limit { in_flight, rate } = limit;
    (limit != Limit::default()).then(|| stored::RequestLimit {
        in_flight,
        rate: rate.map(rate_to_stored),
    })
}

pub(super) fn limit_from_stored(wire: Option<stored::RequestLimit>) -> Limit {
    let stored::RequestLimit { in_flight, rate } = wire.unwrap_or_default();
    Limit {
        in_flight,
        rate: rate.map(rate_from_stored),
    }
}

pub(super) fn rate_to_stored(rate: Rate) -> stored::RequestRate {
    let Rate { per_second, burst } = rate;
    stored::RequestRate { per_second, burst }
}

pub(super) fn rate_from_stored(wire: stored::RequestRate) -> Rate {
    let stored::RequestRate { per_second, burst } = wire;
    Rate { per_second, burst }
}
