//! Who is let in, and what certificates were given.

use std::{collections::BTreeSet, sync::Arc};

use imbl::OrdMap;

use super::{Code, Detail, Registration, Rejection, itself, node};
use crate::{
    State, Time,
    event::Kind,
    ids::{Digest, NodeId},
    node::Role,
    time::Millis,
    trust::{
        Authority, Held, LONGEST_TTL, MOST_TOKENS, MOST_USES, Rotation, Stage, TOKEN_KEPT, Token,
    },
};

/// A change of whom the cluster trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Once, by the node that makes the cluster.
    Found {
        authority: NewAuthority,
        /// The sha256 of the operator's token.
        operator: Digest,
    },
    CreateToken(NewToken),
    RevokeToken {
        id: Arc<str>,
    },
    /// A machine becomes a node, if its token lets it in.
    Join {
        registration: Registration,
        token: Presented,
        /// Of the key it wants a certificate for. A repeated request gets one for this key only.
        key: Digest,
        expires: Time,
    },
    /// A certificate was signed for a node.
    Issue {
        node: NodeId,
        key: Digest,
        expires: Time,
    },
    /// What a node shows and believes by now.
    Confirm {
        node: NodeId,
        shown: u64,
        believes: BTreeSet<u64>,
    },
    /// Begins to replace the authority.
    Rotate {
        authority: NewAuthority,
    },
    /// From the planner: every live node has gone along with this stage.
    Advance {
        from: Stage,
    },
}

/// An authority to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuthority {
    pub certificate: Arc<[u8]>,
    pub sealed_key: Arc<[u8]>,
}

/// A token to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    pub id: Arc<str>,
    pub digest: Digest,
    pub roles: BTreeSet<Role>,
    pub uses: u32,
    pub ttl: Millis,
}

/// A token as somebody showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    pub id: Arc<str>,
    /// Of the secret that came with it.
    pub digest: Digest,
}

impl Presented {
    /// One answer for wrong, unknown, expired and used up: it tells nobody which tokens there are.
    #[must_use]
    pub fn refused() -> Rejection {
        Rejection::new(
            Code::TokenRefused,
            "the join token is wrong, expired, revoked or used up",
        )
        .hint("make a new one on a node of the cluster: fleet node token create")
    }
}

impl Token {
    /// Whether this is what was shown. Compares all digits, wherever the first difference is.
    #[must_use]
    pub fn is(&self, presented: &Presented) -> bool {
        let (ours, theirs) = (self.digest.as_str(), presented.digest.as_str());
        let pairs = ours.bytes().zip(theirs.bytes());
        pairs.fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
    }
}

pub(super) fn change(
    state: &mut State,
    change: Change,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    match change {
        Change::Found {
            authority,
            operator,
        } => found(state, authority, operator),
        Change::CreateToken(token) => create_token(state, token, actor),
        Change::RevokeToken { id } => revoke_token(state, &id, actor),
        Change::Join {
            registration,
            token,
            key,
            expires,
        } => join(state, registration, &token, key, expires, actor),
        Change::Issue { node, key, expires } => issue(state, node, key, expires),
        Change::Confirm {
            node,
            shown,
            believes,
        } => confirm(state, node, shown, believes),
        Change::Rotate { authority } => rotate(state, authority, actor),
        Change::Advance { from } => advance(state, from),
    }
}

fn found(
    state: &mut State,
    authority: NewAuthority,
    operator: Digest,
) -> Result<Detail, Rejection> {
    if !state.trust.authorities.is_empty() {
        return Err(Rejection::new(
            Code::AlreadyInitialised,
            "this cluster has an authority",
        ));
    }
    add_authority(state, authority);
    state.trust.operator = Some(operator);
    Ok(Detail::Done)
}

fn add_authority(state: &mut State, asked: NewAuthority) {
    let NewAuthority {
        certificate,
        sealed_key,
    } = asked;
    let authority = Authority {
        certificate,
        sealed_key,
        made: state.now,
    };
    state.trust.authorities.insert(state.index, authority);
}

fn create_token(state: &mut State, asked: NewToken, actor: &Arc<str>) -> Result<Detail, Rejection> {
    let invalid = |what: String| Err(Rejection::new(Code::InvalidValue, what));
    if asked.roles.is_empty() {
        return invalid("a join token needs at least one role".to_owned());
    }
    if !(1..=MOST_USES).contains(&asked.uses) {
        return invalid(format!("a join token has 1 to {MOST_USES} uses"));
    }
    if asked.ttl.0 == 0 || asked.ttl > LONGEST_TTL {
        return invalid("a join token lives at most 168h".to_owned());
    }
    forget_old_tokens(state);
    if state.trust.tokens.len() >= MOST_TOKENS {
        return Err(Rejection::new(
            Code::LimitReached,
            format!("there are {MOST_TOKENS} join tokens"),
        )
        .hint("revoke some: fleet node token list, fleet node token revoke ID"));
    }
    if state.trust.tokens.contains_key(&asked.id) {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!("there is a join token {}", asked.id),
        ));
    }
    let roles: Vec<_> = asked.roles.iter().map(|role| role.as_str()).collect();
    let sentence = format!("join token {} made for {}", asked.id, roles.join(", "));
    state.record(Kind::Node, actor, None, &*asked.id, sentence);
    let token = Token {
        digest: asked.digest,
        roles: asked.roles,
        uses: asked.uses,
        expires: state.now.plus(asked.ttl),
        made: state.now,
    };
    state.trust.tokens.insert(asked.id, token);
    Ok(Detail::Done)
}

fn forget_old_tokens(state: &mut State) {
    let now = state.now;
    let old: Vec<_> = state
        .trust
        .tokens
        .iter()
        .filter(|(_, token)| token.expires.plus(TOKEN_KEPT) < now)
        .map(|(id, _)| id.clone())
        .collect();
    for id in old {
        state.trust.tokens.remove(&id);
    }
}

fn revoke_token(state: &mut State, id: &str, actor: &Arc<str>) -> Result<Detail, Rejection> {
    if state.trust.tokens.remove(id).is_none() {
        let known = state.trust.tokens.keys().map(|id| &**id);
        return Err(Rejection::unknown(
            Code::UnknownToken,
            "join token",
            id,
            known,
        ));
    }
    let sentence = format!("join token {id} revoked");
    state.record(Kind::Node, actor, None, id, sentence);
    Ok(Detail::Done)
}

fn join(
    state: &mut State,
    registration: Registration,
    presented: &Presented,
    key: Digest,
    expires: Time,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    // Before anything else is said: to somebody without a token the cluster has no names.
    spend(state, presented, &registration.roles)?;
    let registration = Registration {
        id: None,
        ..registration
    };
    let detail = node::register(state, registration, actor)?;
    if let Detail::Node(node) = &detail {
        issue(state, *node, key, expires)?;
    }
    Ok(detail)
}

fn spend(
    state: &mut State,
    presented: &Presented,
    roles: &BTreeSet<Role>,
) -> Result<(), Rejection> {
    let now = state.now;
    let token = state
        .trust
        .tokens
        .get_mut(&presented.id)
        .filter(|token| token.is(presented))
        .filter(|token| token.uses > 0 && now < token.expires)
        .ok_or_else(Presented::refused)?;
    if let Some(role) = roles.iter().find(|role| !token.roles.contains(role)) {
        let allowed: Vec<_> = token.roles.iter().map(|role| role.as_str()).collect();
        return Err(Rejection::new(
            Code::TokenRefused,
            format!(
                "the join token is for {}, not for {}",
                allowed.join(", "),
                role.as_str()
            ),
        )
        .hint(format!(
            "join with other roles, or make another token: fleet node token create --role {}",
            role.as_str()
        )));
    }
    token.uses -= 1;
    Ok(())
}

fn issue(state: &mut State, node: NodeId, key: Digest, expires: Time) -> Result<Detail, Rejection> {
    known(state, node)?;
    let held = state.trust.held.get(&node);
    let held = Held {
        key,
        expires,
        shown: held.map_or(0, |held| held.shown),
        believes: held.map(|held| held.believes.clone()).unwrap_or_default(),
    };
    state.trust.held.insert(node, held);
    Ok(Detail::Done)
}

fn confirm(
    state: &mut State,
    node: NodeId,
    shown: u64,
    believes: BTreeSet<u64>,
) -> Result<Detail, Rejection> {
    known(state, node)?;
    if let Some(held) = state.trust.held.get_mut(&node) {
        held.shown = shown;
        held.believes = believes;
    }
    Ok(Detail::Done)
}

fn known(state: &State, node: NodeId) -> Result<(), Rejection> {
    match state.nodes.contains_key(&node) {
        true => Ok(()),
        false => Err(Rejection::new(
            Code::UnknownNode,
            format!("there is no node {node}"),
        )),
    }
}

fn rotate(
    state: &mut State,
    authority: NewAuthority,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    if state.trust.authorities.is_empty() {
        return Err(Rejection::new(
            Code::NotInitialised,
            "this cluster has no authority yet",
        ));
    }
    if state.trust.rotation.is_some() {
        return Err(Rejection::new(
            Code::RolloutInProgress,
            "the authority is being replaced already",
        )
        .hint("see how far it is: fleet cluster status"));
    }
    add_authority(state, authority);
    state.trust.rotation = Some(Rotation {
        stage: Stage::Dual,
        since: state.now,
    });
    let sentence = "a new authority: nodes learn to believe it";
    state.record(Kind::Cluster, actor, None, "authority", sentence);
    Ok(Detail::Done)
}

fn advance(state: &mut State, from: Stage) -> Result<Detail, Rejection> {
    let stage = state.trust.rotation.as_ref().map(|rotation| rotation.stage);
    // A node that has come since, or has gone back, is waited for.
    if stage != Some(from) || !state.rotation_awaits().is_empty() {
        return Err(Rejection::stale("the rotation of the authority"));
    }
    let sentence = match from {
        Stage::Dual => {
            state.trust.rotation = Some(Rotation {
                stage: Stage::Reissue,
                since: state.now,
            });
            "the new authority signs: nodes get new certificates"
        }
        Stage::Reissue => {
            state.trust.rotation = None;
            if let Some((number, newest)) = state.trust.authorities.get_max().cloned() {
                state.trust.authorities = OrdMap::unit(number, newest);
            }
            "the authority is replaced: the old one is believed no more"
        }
    };
    state.record(Kind::Cluster, &itself(), None, "authority", sentence);
    Ok(Detail::Done)
}
