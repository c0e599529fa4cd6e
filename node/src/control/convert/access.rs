//! Whitelists.

use fleet_model::{Time, access::Whitelist};
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
