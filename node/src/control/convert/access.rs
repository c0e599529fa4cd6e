//! Whitelists and certificates.

use fleet_model::{
    Time,
    access::{Certificate, Whitelist},
};
use fleet_proto::stored;

use super::{DecodeError, Stored};

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
            rules: rules.clone(),
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
            rules,
            read_only,
            created: Time(created_ms),
        })
    }
}

impl Stored for Certificate {
    type Wire = stored::Certificate;

    fn to_stored(&self) -> Self::Wire {
        let Self { name, created } = self;
        stored::Certificate {
            name: name.clone(),
            created_ms: created.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Certificate { name, created_ms } = wire;
        Ok(Self {
            name,
            created: Time(created_ms),
        })
    }
}
