//! Changes of whitelists, and of what environments let through.

use std::sync::Arc;

use fleet_model::{
    command::{AccessChange, LimitChange},
    network::Network,
};
use fleet_proto::stored::{self, access_change::Change as Wire};

use crate::control::convert::{
    DecodeError, Stored,
    access::{rate_from_stored, rate_to_stored},
    present, required,
};

impl Stored for AccessChange {
    type Wire = stored::AccessChange;

    fn to_stored(&self) -> Self::Wire {
        let rule = |name: &Arc<str>, network: &Network| stored::WhitelistRule {
            name: name.to_string(),
            network: network.to_stored(),
        };
        let change = match self {
            Self::Create { name } => Wire::Create(name.to_string()),
            Self::Destroy { name } => Wire::Destroy(name.to_string()),
            Self::Allow { name, network } => Wire::Allow(rule(name, network)),
            Self::Revoke { name, network } => Wire::Revoke(rule(name, network)),
            Self::Choose { environment, name } => Wire::Choose(stored::ChooseWhitelist {
                environment: Some(environment.to_stored()),
                name: name.to_string(),
            }),
            Self::Limit {
                environment,
                all,
                address,
            } => Wire::Limit(stored::LimitRequests {
                environment: Some(environment.to_stored()),
                all: Some(limit_to_stored(*all)),
                address: Some(limit_to_stored(*address)),
            }),
        };
        stored::AccessChange {
            change: Some(change),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let rule = |rule: stored::WhitelistRule| {
            let stored::WhitelistRule { name, network } = rule;
            Ok::<_, DecodeError>((Arc::from(name), Network::from_stored(network)?))
        };
        Ok(match present(wire.change, "access.change")? {
            Wire::Create(name) => Self::Create { name: name.into() },
            Wire::Destroy(name) => Self::Destroy { name: name.into() },
            Wire::Allow(wire) => {
                let (name, network) = rule(wire)?;
                Self::Allow { name, network }
            }
            Wire::Revoke(wire) => {
                let (name, network) = rule(wire)?;
                Self::Revoke { name, network }
            }
            Wire::Choose(stored::ChooseWhitelist { environment, name }) => Self::Choose {
                environment: required(environment, "choose_whitelist.environment")?,
                name: name.into(),
            },
            Wire::Limit(stored::LimitRequests {
                environment,
                all,
                address,
            }) => Self::Limit {
                environment: required(environment, "limit_requests.environment")?,
                all: limit_from_stored(all),
                address: limit_from_stored(address),
            },
        })
    }
}

fn limit_to_stored(change: LimitChange) -> stored::RequestLimit {
    let LimitChange { in_flight, rate } = change;
    stored::RequestLimit {
        in_flight,
        rate: rate.map(rate_to_stored),
    }
}

fn limit_from_stored(wire: Option<stored::RequestLimit>) -> LimitChange {
    let stored::RequestLimit { in_flight, rate } = wire.unwrap_or_default();
    LimitChange {
        in_flight,
        rate: rate.map(rate_from_stored),
    }
}
