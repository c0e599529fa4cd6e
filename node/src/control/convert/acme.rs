//! Accounts with authorities that give certificates, and orders under way.

use std::sync::Arc;

use fleet_model::{
    Time,
    acme::{Account, Answer, Managed, Method, Order, Placed},
};
use fleet_proto::stored;

use super::{DecodeError, Stored, all, all_stored, optional, plain_enum};

plain_enum!(Method, AcmeMethod, "acme.method", [Http, TlsAlpn]);

impl Stored for Account {
    type Wire = stored::AcmeAccount;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            directory,
            email,
            roots,
            sealed,
            revision,
            window,
            begun,
        } = self;
        stored::AcmeAccount {
            directory: directory.to_string(),
            email: email.clone(),
            roots: roots.iter().map(|der| der.to_vec().into()).collect(),
            sealed: sealed.as_ref().map(|sealed| sealed.to_vec().into()),
            revision: *revision,
            window_ms: window.to_stored(),
            begun: *begun,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::AcmeAccount {
            directory,
            email,
            roots,
            sealed,
            revision,
            window_ms,
            begun,
        } = wire;
        Ok(Self {
            directory: directory.into(),
            email,
            roots: roots.iter().map(|der| Arc::from(&**der)).collect(),
            sealed: sealed.map(|sealed| Arc::from(&*sealed)),
            revision,
            window: Time(window_ms),
            begun,
        })
    }
}

impl Stored for Managed {
    type Wire = stored::ManagedCertificate;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            directory,
            domains,
            method,
            failures,
            problem,
            not_before,
            order,
        } = self;
        stored::ManagedCertificate {
            directory: directory.to_string(),
            domains: domains.iter().cloned().collect(),
            method: method.to_stored(),
            failures: *failures,
            problem: problem.clone(),
            not_before_ms: not_before.to_stored(),
            order: order.as_ref().map(Order::to_stored),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::ManagedCertificate {
            directory,
            domains,
            method,
            failures,
            problem,
            not_before_ms,
            order,
        } = wire;
        Ok(Self {
            directory: directory.into(),
            domains: domains.into_iter().collect(),
            method: Method::from_stored(method)?,
            failures,
            problem,
            not_before: Time(not_before_ms),
            order: optional(order)?,
        })
    }
}

impl Stored for Order {
    type Wire = stored::AcmeOrder;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            began,
            names,
            placed,
        } = self;
        stored::AcmeOrder {
            id: *id,
            began_ms: began.to_stored(),
            names: names.iter().cloned().collect(),
            placed: placed.as_ref().map(Placed::to_stored),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::AcmeOrder {
            id,
            began_ms,
            names,
            placed,
        } = wire;
        Ok(Self {
            id,
            began: Time(began_ms),
            names: names.into_iter().collect(),
            placed: optional(placed)?,
        })
    }
}

impl Stored for Placed {
    type Wire = stored::PlacedOrder;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            url,
            sealed_key,
            answers,
            generation,
            open,
        } = self;
        stored::PlacedOrder {
            url: url.clone(),
            sealed_key: sealed_key.to_vec().into(),
            answers: all_stored(answers),
            generation: *generation,
            open: *open,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::PlacedOrder {
            url,
            sealed_key,
            answers,
            generation,
            open,
        } = wire;
        Ok(Self {
            url,
            sealed_key: Arc::from(&*sealed_key),
            answers: all(answers)?,
            generation,
            open,
        })
    }
}

impl Stored for Answer {
    type Wire = stored::AcmeAnswer;

    fn to_stored(&self) -> Self::Wire {
        let Self { host, token, proof } = self.clone();
        stored::AcmeAnswer { host, token, proof }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::AcmeAnswer { host, token, proof } = wire;
        Ok(Self { host, token, proof })
    }
}
