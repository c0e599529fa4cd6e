//! Whom the cluster trusts.

use std::sync::Arc;

use fleet_model::{
    Time,
    ids::{Digest, NodeId},
    trust::{Authority, Held, Rotation, Stage, Token, Trust},
};
use fleet_proto::stored;
use imbl::OrdMap;

use super::{DecodeError, Stored, all, all_stored, optional, plain_enum};

plain_enum!(Stage, RotationStage, "rotation.stage", [Dual, Reissue]);

impl Stored for Trust {
    type Wire = stored::Trust;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            operator,
            authorities,
            rotation,
            tokens,
            held,
        } = self;
        stored::Trust {
            operator: operator.as_ref().map(Digest::to_stored),
            authorities: authorities.iter().map(authority).collect(),
            rotation: rotation.as_ref().map(|rotation| {
                let Rotation { stage, since } = rotation;
                stored::Rotation {
                    stage: stage.to_stored(),
                    since_ms: since.to_stored(),
                }
            }),
            tokens: tokens.iter().map(token).collect(),
            held: held.iter().map(certificate).collect(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Trust {
            operator,
            authorities,
            rotation,
            tokens,
            held,
        } = wire;
        let rotation = rotation.map(|stored::Rotation { stage, since_ms }| {
            Ok::<_, DecodeError>(Rotation {
                stage: Stage::from_stored(stage)?,
                since: Time(since_ms),
            })
        });
        Ok(Self {
            operator: optional(operator)?,
            authorities: in_order(authorities.into_iter().map(read_authority))?,
            rotation: rotation.transpose()?,
            tokens: in_order(tokens.into_iter().map(read_token))?,
            held: in_order(held.into_iter().map(read_certificate))?,
        })
    }
}

/// No two lists mean the same map.
fn in_order<K: Ord + Clone + std::fmt::Debug, V: Clone>(
    entries: impl Iterator<Item = Result<(K, V), DecodeError>>,
) -> Result<OrdMap<K, V>, DecodeError> {
    let mut map = OrdMap::new();
    for entry in entries {
        let (key, value) = entry?;
        if map.get_max().is_some_and(|(last, _)| *last >= key) {
            return Err(DecodeError::Invalid {
                field: "state.trust",
                value: format!("{key:?}"),
            });
        }
        map.insert(key, value);
    }
    Ok(map)
}

fn authority((number, authority): (&u64, &Authority)) -> stored::Authority {
    let Authority {
        certificate,
        sealed_key,
        made,
    } = authority;
    stored::Authority {
        number: *number,
        certificate: certificate.to_vec().into(),
        sealed_key: sealed_key.to_vec().into(),
        made_ms: made.to_stored(),
    }
}

fn read_authority(wire: stored::Authority) -> Result<(u64, Authority), DecodeError> {
    let stored::Authority {
        number,
        certificate,
        sealed_key,
        made_ms,
    } = wire;
    let authority = Authority {
        certificate: Arc::from(&*certificate),
        sealed_key: Arc::from(&*sealed_key),
        made: Time(made_ms),
    };
    Ok((number, authority))
}

fn token((id, token): (&Arc<str>, &Token)) -> stored::JoinToken {
    let Token {
        digest,
        roles,
        uses,
        expires,
        made,
    } = token;
    stored::JoinToken {
        id: id.to_stored(),
        digest: digest.to_stored(),
        roles: all_stored(roles),
        uses: *uses,
        expires_ms: expires.to_stored(),
        made_ms: made.to_stored(),
    }
}

fn read_token(wire: stored::JoinToken) -> Result<(Arc<str>, Token), DecodeError> {
    let stored::JoinToken {
        id,
        digest,
        roles,
        uses,
        expires_ms,
        made_ms,
    } = wire;
    let token = Token {
        digest: Digest::from_stored(digest)?,
        roles: all(roles)?,
        uses,
        expires: Time(expires_ms),
        made: Time(made_ms),
    };
    Ok((id.into(), token))
}

fn certificate((node, held): (&NodeId, &Held)) -> stored::HeldCertificate {
    let Held {
        key,
        expires,
        shown,
        believes,
    } = held;
    stored::HeldCertificate {
        node: node.0,
        key: key.to_stored(),
        expires_ms: expires.to_stored(),
        shown: *shown,
        believes: believes.iter().copied().collect(),
    }
}

fn read_certificate(wire: stored::HeldCertificate) -> Result<(NodeId, Held), DecodeError> {
    let stored::HeldCertificate {
        node,
        key,
        expires_ms,
        shown,
        believes,
    } = wire;
    let held = Held {
        key: Digest::from_stored(key)?,
        expires: Time(expires_ms),
        shown,
        believes: believes.into_iter().collect(),
    };
    Ok((NodeId(node), held))
}
