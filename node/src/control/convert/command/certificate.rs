//! Changes of the certificates that clients of the ingress see.

mod acme;

use std::sync::Arc;

use fleet_model::{
    Command,
    command::{AcmeChange, CertificateChange, NewCertificate},
};
use fleet_proto::stored::{self, certificate_change::Change as Wire};

use super::switch_to_stored;

use crate::control::convert::{DecodeError, Stored, present, required};

pub(super) fn from_stored(wire: stored::CertificateChange) -> Result<Command, DecodeError> {
    let change = CertificateChange::from_stored(wire)?;
    Ok(Command::Certificate(Box::new(change)))
}

impl Stored for CertificateChange {
    type Wire = stored::CertificateChange;

    fn to_stored(&self) -> Self::Wire {
        let change = match self {
            Self::Add(new) => Wire::Add(new.to_stored()),
            Self::Remove { name } => Wire::Remove(name.to_string()),
            Self::Choose { environment, name } => Wire::Choose(stored::ChooseCertificate {
                environment: Some(environment.to_stored()),
                name: name.to_string(),
            }),
            Self::Redirect { environment, on } => {
                Wire::Redirect(switch_to_stored(environment, *on))
            }
            Self::Own {
                domain,
                issued,
                assumed,
            } => Wire::Own(stored::OwnCertificate {
                domain: domain.clone(),
                issued: Some(issued.to_stored()),
                assumed: *assumed,
            }),
            Self::Ticket { sealed, assumed } => Wire::Ticket(stored::NewTicketKey {
                sealed: sealed.to_vec().into(),
                assumed: *assumed,
            }),
            Self::Warn {
                name,
                days,
                assumed,
            } => Wire::Warn(stored::WarnCertificate {
                name: name.to_string(),
                days: *days,
                assumed: *assumed,
            }),
            Self::Acme(change) => Wire::Acme(change.to_stored()),
        };
        stored::CertificateChange {
            change: Some(change),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.change, "certificate.change")? {
            Wire::Add(new) => Self::Add(NewCertificate::from_stored(new)?),
            Wire::Remove(name) => Self::Remove { name: name.into() },
            Wire::Choose(stored::ChooseCertificate { environment, name }) => Self::Choose {
                environment: required(environment, "choose_certificate.environment")?,
                name: name.into(),
            },
            Wire::Redirect(stored::SetSwitch { environment, on }) => Self::Redirect {
                environment: required(environment, "redirect.environment")?,
                on,
            },
            Wire::Own(stored::OwnCertificate {
                domain,
                issued,
                assumed,
            }) => Self::Own {
                domain,
                issued: required(issued, "own_certificate.issued")?,
                assumed,
            },
            Wire::Ticket(stored::NewTicketKey { sealed, assumed }) => Self::Ticket {
                sealed: Arc::from(&*sealed),
                assumed,
            },
            Wire::Warn(stored::WarnCertificate {
                name,
                days,
                assumed,
            }) => Self::Warn {
                name: name.into(),
                days,
                assumed,
            },
            Wire::Acme(change) => Self::Acme(AcmeChange::from_stored(change)?),
        })
    }
}

impl Stored for NewCertificate {
    type Wire = stored::NewCertificate;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            issued,
            replace,
            force,
        } = self;
        stored::NewCertificate {
            name: name.to_string(),
            issued: Some(issued.to_stored()),
            replace: *replace,
            force: *force,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::NewCertificate {
            name,
            issued,
            replace,
            force,
        } = wire;
        Ok(Self {
            name: name.into(),
            issued: required(issued, "new_certificate.issued")?,
            replace,
            force,
        })
    }
}
