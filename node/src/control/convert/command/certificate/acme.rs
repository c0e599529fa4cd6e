//! Changes of what is ordered from authorities that give certificates.

use std::sync::Arc;

use fleet_model::{
    Time,
    acme::Method,
    command::{AcmeChange, AcmeFailed, NewManaged, PlacedOrder},
};
use fleet_proto::stored::{self, acme_change::Change as Wire};

use crate::control::convert::{DecodeError, Stored, all, all_stored, present, required};

impl Stored for AcmeChange {
    type Wire = stored::AcmeChange;

    fn to_stored(&self) -> Self::Wire {
        let change = match self {
            Self::Manage(new) => Wire::Manage(new.to_stored()),
            Self::Register {
                directory,
                sealed,
                assumed,
            } => Wire::Register(stored::RegisterAccount {
                directory: directory.to_string(),
                sealed: sealed.to_vec().into(),
                assumed: *assumed,
            }),
            Self::Begin { name } => Wire::Begin(name.to_string()),
            Self::Place {
                name,
                order,
                placed:
                    PlacedOrder {
                        url,
                        sealed_key,
                        answers,
                    },
            } => Wire::Place(stored::PlaceOrder {
                name: name.to_string(),
                order: *order,
                url: url.clone(),
                sealed_key: sealed_key.to_vec().into(),
                answers: all_stored(answers),
            }),
            Self::Open { name, order } => Wire::Open(stored::OpenOrder {
                name: name.to_string(),
                order: *order,
            }),
            Self::Issue {
                name,
                order,
                issued,
            } => Wire::Issue(stored::IssueOrder {
                name: name.to_string(),
                order: *order,
                issued: Some(issued.to_stored()),
            }),
            Self::Fail(failed) => Wire::Fail(failed.to_stored()),
        };
        stored::AcmeChange {
            change: Some(change),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.change, "acme.change")? {
            Wire::Manage(new) => Self::Manage(NewManaged::from_stored(new)?),
            Wire::Register(stored::RegisterAccount {
                directory,
                sealed,
                assumed,
            }) => Self::Register {
                directory: directory.into(),
                sealed: Arc::from(&*sealed),
                assumed,
            },
            Wire::Begin(name) => Self::Begin { name: name.into() },
            Wire::Place(stored::PlaceOrder {
                name,
                order,
                url,
                sealed_key,
                answers,
            }) => Self::Place {
                name: name.into(),
                order,
                placed: PlacedOrder {
                    url,
                    sealed_key: Arc::from(&*sealed_key),
                    answers: all(answers)?,
                },
            },
            Wire::Open(stored::OpenOrder { name, order }) => Self::Open {
                name: name.into(),
                order,
            },
            Wire::Issue(stored::IssueOrder {
                name,
                order,
                issued,
            }) => Self::Issue {
                name: name.into(),
                order,
                issued: required(issued, "issue_order.issued")?,
            },
            Wire::Fail(failed) => Self::Fail(AcmeFailed::from_stored(failed)?),
        })
    }
}

impl Stored for NewManaged {
    type Wire = stored::ManageCertificate;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            directory,
            email,
            roots,
            domains,
            method,
            replace,
        } = self;
        let roots = roots.as_ref().map(|roots| stored::AcmeRoots {
            certificates: roots.iter().map(|der| der.to_vec().into()).collect(),
        });
        stored::ManageCertificate {
            name: name.to_string(),
            directory: directory.to_string(),
            email: email.clone(),
            roots,
            domains: domains.iter().cloned().collect(),
            method: method.to_stored(),
            replace: *replace,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::ManageCertificate {
            name,
            directory,
            email,
            roots,
            domains,
            method,
            replace,
        } = wire;
        let roots = roots.map(|roots| roots.certificates);
        Ok(Self {
            name: name.into(),
            directory: directory.into(),
            email,
            roots: roots.map(|roots| roots.iter().map(|der| Arc::from(&**der)).collect()),
            domains: domains.into_iter().collect(),
            method: Method::from_stored(method)?,
            replace,
        })
    }
}

impl Stored for AcmeFailed {
    type Wire = stored::FailOrder;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            order,
            problem,
            not_before,
            stranger,
        } = self;
        stored::FailOrder {
            name: name.to_string(),
            order: *order,
            problem: problem.clone(),
            not_before_ms: not_before.map(|at| at.to_stored()),
            stranger: *stranger,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::FailOrder {
            name,
            order,
            problem,
            not_before_ms,
            stranger,
        } = wire;
        Ok(Self {
            name: name.into(),
            order,
            problem,
            not_before: not_before_ms.map(Time),
            stranger,
        })
    }
}
