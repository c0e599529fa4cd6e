//! Certificates that clients of the ingress see, and keys of their tickets.

use std::sync::Arc;

use fleet_model::{
    Time,
    acme::Managed,
    certificate::{Certificate, Issued, TicketKey, Tickets, Tls},
};
use fleet_proto::stored;

use super::{DecodeError, Stored, all, all_stored, optional};

impl Stored for Certificate {
    type Wire = stored::Certificate;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            created,
            uploaded,
            generation,
            issued,
            warned,
            managed,
        } = self;
        stored::Certificate {
            name: name.to_string(),
            created_ms: created.to_stored(),
            uploaded_ms: uploaded.to_stored(),
            generation: *generation,
            issued: issued.as_deref().map(Issued::to_stored),
            warned: *warned,
            managed: managed.as_deref().map(Managed::to_stored),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Certificate {
            name,
            created_ms,
            uploaded_ms,
            generation,
            issued,
            warned,
            managed,
        } = wire;
        Ok(Self {
            name: name.into(),
            created: Time(created_ms),
            uploaded: Time(uploaded_ms),
            generation,
            issued: optional(issued)?.map(Arc::new),
            warned,
            managed: optional(managed)?.map(Arc::new),
        })
    }
}

impl Stored for Issued {
    type Wire = stored::IssuedCertificate;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            chain,
            sealed_key,
            common_name,
            organization,
            names,
            begins,
            expires,
            chain_expires,
        } = self;
        stored::IssuedCertificate {
            chain: chain.iter().map(|der| der.to_vec().into()).collect(),
            sealed_key: sealed_key.to_vec().into(),
            common_name: common_name.clone(),
            organization: organization.clone(),
            names: names.clone(),
            begins_ms: begins.to_stored(),
            expires_ms: expires.to_stored(),
            chain_expires_ms: chain_expires.map(|at| at.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::IssuedCertificate {
            chain,
            sealed_key,
            common_name,
            organization,
            names,
            begins_ms,
            expires_ms,
            chain_expires_ms,
        } = wire;
        Ok(Self {
            chain: chain.iter().map(|der| Arc::from(&**der)).collect(),
            sealed_key: Arc::from(&*sealed_key),
            common_name,
            organization,
            names,
            begins: Time(begins_ms),
            expires: Time(expires_ms),
            chain_expires: chain_expires_ms.map(Time),
        })
    }
}

impl Stored for Tls {
    type Wire = stored::Tls;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            generation,
            tickets: Tickets { keys },
        } = self;
        stored::Tls {
            generation: *generation,
            tickets: all_stored(keys),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Tls {
            generation,
            tickets,
        } = wire;
        let keys = all(tickets)?;
        Ok(Self {
            generation,
            tickets: Tickets { keys },
        })
    }
}

impl Stored for TicketKey {
    type Wire = stored::TicketKey;

    fn to_stored(&self) -> Self::Wire {
        let Self { id, sealed, made } = self;
        stored::TicketKey {
            id: *id,
            sealed: sealed.to_vec().into(),
            made_ms: made.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::TicketKey {
            id,
            sealed,
            made_ms,
        } = wire;
        Ok(Self {
            id,
            sealed: Arc::from(&*sealed),
            made: Time(made_ms),
        })
    }
}
