//! Changes of whom the cluster trusts.

use std::sync::Arc;

use fleet_model::{
    Time,
    command::{NewAuthority, NewToken, Presented, TrustChange},
    ids::{Digest, NodeId},
    time::Millis,
    trust::Stage,
};
use fleet_proto::stored::{self, trust_change::Change as Wire};

use crate::control::convert::{DecodeError, Stored, all, all_stored, present, required};

impl Stored for TrustChange {
    type Wire = stored::TrustChange;

    fn to_stored(&self) -> Self::Wire {
        let change = match self {
            Self::Found {
                authority,
                operator,
            } => Wire::Found(stored::FoundTrust {
                authority: Some(authority.to_stored()),
                operator: operator.to_stored(),
            }),
            Self::CreateToken(token) => Wire::CreateToken(token.to_stored()),
            Self::RevokeToken { id } => {
                Wire::RevokeToken(stored::RevokeToken { id: id.to_stored() })
            }
            Self::Join {
                registration,
                token: Presented { id, digest },
                key,
                expires,
            } => Wire::Join(stored::Join {
                registration: Some(registration.to_stored()),
                token: id.to_stored(),
                digest: digest.to_stored(),
                key: key.to_stored(),
                expires_ms: expires.to_stored(),
            }),
            Self::Issue { node, key, expires } => Wire::Issue(stored::IssueCertificate {
                node: node.0,
                key: key.to_stored(),
                expires_ms: expires.to_stored(),
            }),
            Self::Confirm {
                node,
                shown,
                believes,
            } => Wire::Confirm(stored::ConfirmCertificate {
                node: node.0,
                shown: *shown,
                believes: believes.iter().copied().collect(),
            }),
            Self::Rotate { authority } => Wire::Rotate(stored::RotateAuthority {
                authority: Some(authority.to_stored()),
            }),
            Self::Advance { from } => Wire::Advance(from.to_stored()),
        };
        stored::TrustChange {
            change: Some(change),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.change, "trust.change")? {
            Wire::Found(stored::FoundTrust {
                authority,
                operator,
            }) => Self::Found {
                authority: required(authority, "found.authority")?,
                operator: Digest::from_stored(operator)?,
            },
            Wire::CreateToken(token) => Self::CreateToken(NewToken::from_stored(token)?),
            Wire::RevokeToken(stored::RevokeToken { id }) => Self::RevokeToken { id: id.into() },
            Wire::Join(stored::Join {
                registration,
                token,
                digest,
                key,
                expires_ms,
            }) => Self::Join {
                registration: required(registration, "join.registration")?,
                token: Presented {
                    id: token.into(),
                    digest: Digest::from_stored(digest)?,
                },
                key: Digest::from_stored(key)?,
                expires: Time(expires_ms),
            },
            Wire::Issue(stored::IssueCertificate {
                node,
                key,
                expires_ms,
            }) => Self::Issue {
                node: NodeId(node),
                key: Digest::from_stored(key)?,
                expires: Time(expires_ms),
            },
            Wire::Confirm(stored::ConfirmCertificate {
                node,
                shown,
                believes,
            }) => Self::Confirm {
                node: NodeId(node),
                shown,
                believes: believes.into_iter().collect(),
            },
            Wire::Rotate(stored::RotateAuthority { authority }) => Self::Rotate {
                authority: required(authority, "rotate.authority")?,
            },
            Wire::Advance(stage) => Self::Advance {
                from: Stage::from_stored(stage)?,
            },
        })
    }
}

impl Stored for NewAuthority {
    type Wire = stored::NewAuthority;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            certificate,
            sealed_key,
        } = self;
        stored::NewAuthority {
            certificate: certificate.to_vec().into(),
            sealed_key: sealed_key.to_vec().into(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::NewAuthority {
            certificate,
            sealed_key,
        } = wire;
        Ok(Self {
            certificate: Arc::from(&*certificate),
            sealed_key: Arc::from(&*sealed_key),
        })
    }
}

impl Stored for NewToken {
    type Wire = stored::CreateToken;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            digest,
            roles,
            uses,
            ttl,
        } = self;
        stored::CreateToken {
            id: id.to_stored(),
            digest: digest.to_stored(),
            roles: all_stored(roles),
            uses: *uses,
            ttl_ms: ttl.0,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::CreateToken {
            id,
            digest,
            roles,
            uses,
            ttl_ms,
        } = wire;
        Ok(Self {
            id: id.into(),
            digest: Digest::from_stored(digest)?,
            roles: all(roles)?,
            uses,
            ttl: Millis(ttl_ms),
        })
    }
}
