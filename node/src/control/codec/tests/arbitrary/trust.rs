//! Changes of whom the cluster trusts.

use std::sync::Arc;

use fleet_model::{
    Command, Time,
    command::{NewAuthority, NewToken, Presented, TrustChange},
    node::Role,
    time::Millis,
    trust::Stage,
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{digest, node, registration, text};

pub(super) fn command() -> impl Strategy<Value = Command> {
    let stage = select(vec![Stage::Dual, Stage::Reissue]);
    let change = prop_oneof![
        1 => (authority(), 0..3_u8).prop_map(|(authority, digit)| TrustChange::Found {
            authority,
            operator: digest(digit),
        }),
        3 => token().prop_map(TrustChange::CreateToken),
        1 => id().prop_map(|id| TrustChange::RevokeToken { id }),
        3 => (registration(), id(), 0..3_u8, 0..3_u8, any::<u64>()).prop_map(
            |(registration, id, secret, key, expires)| TrustChange::Join {
                registration,
                token: Presented {
                    id,
                    digest: digest(secret),
                },
                key: digest(key),
                expires: Time(expires),
            }
        ),
        1 => (node(), 0..3_u8, any::<u64>()).prop_map(|(node, key, expires)| TrustChange::Issue {
            node,
            key: digest(key),
            expires: Time(expires),
        }),
        3 => (node(), 0..40_u64, vec(0..40_u64, 0..3)).prop_map(|(node, shown, believes)| {
            TrustChange::Confirm {
                node,
                shown,
                believes: believes.into_iter().collect(),
            }
        }),
        1 => authority().prop_map(|authority| TrustChange::Rotate { authority }),
        1 => stage.prop_map(|from| TrustChange::Advance { from }),
    ];
    change.prop_map(|change| Command::Trust(Box::new(change)))
}

fn authority() -> impl Strategy<Value = NewAuthority> {
    (vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..4)).prop_map(|(certificate, sealed_key)| {
        NewAuthority {
            certificate: certificate.into(),
            sealed_key: sealed_key.into(),
        }
    })
}

fn token() -> impl Strategy<Value = NewToken> {
    let roles = vec(select(Role::ALL.to_vec()), 0..3);
    (id(), 0..3_u8, roles, 0..3_u32, 0..90_000_u64).prop_map(|(id, digit, roles, uses, ttl)| {
        NewToken {
            id,
            digest: digest(digit),
            roles: roles.into_iter().collect(),
            uses,
            ttl: Millis(ttl),
        }
    })
}

fn id() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(Arc::from)
}
