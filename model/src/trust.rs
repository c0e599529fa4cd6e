//! Whom the cluster trusts: its authorities, what their certificates were given for, join tokens,
//! and how far a rotation is.
//!
//! Secrets are not here. Keys of authorities are sealed by a key that lies in a file of every
//! control node; of tokens there are digests.

use std::{collections::BTreeSet, sync::Arc};

use imbl::OrdMap;

use crate::{
    State, Time,
    ids::{Digest, NodeId},
    node::{Lease, Role},
    time::Millis,
};

/// Part of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The sha256 of the operator's token; `None` until the cluster is made.
    pub operator: Option<Digest>,
    /// By number, which is the log index they came with. One; two while one replaces the other.
    pub authorities: OrdMap<u64, Authority>,
    pub rotation: Option<Rotation>,
    pub tokens: OrdMap<Arc<str>, Token>,
    /// What each node was given.
    pub held: OrdMap<NodeId, Held>,
}

/// An authority whose nodes are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate, DER.
    pub certificate: Arc<[u8]>,
    /// Its key, sealed by the cluster's key.
    pub sealed_key: Arc<[u8]>,
    pub made: Time,
}

/// One authority replaces another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub stage: Stage,
    pub since: Time,
}

/// How far a rotation is. Each stage ends when every live node has gone along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nodes learn to believe the new authority; the old one still signs.
    Dual,
    /// The new one signs; nodes get new certificates.
    Reissue,
}

impl Stage {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dual => "dual",
            Self::Reissue => "reissue",
        }
    }
}

/// Lets machines in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The sha256 of its secret.
    pub digest: Digest,
    /// What a machine may become with it.
    pub roles: BTreeSet<Role>,
    /// How many machines it still lets in.
    pub uses: u32,
    /// By committed time: no clock of one machine makes it live longer.
    pub expires: Time,
    pub made: Time,
}

/// What a node was given, and says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of the key that its newest certificate is for.
    pub key: Digest,
    pub expires: Time,
    /// The number of the authority that signed what it last showed; 0 until it showed something.
    pub shown: u64,
    /// The numbers of the authorities that it believes.
    pub believes: BTreeSet<u64>,
}

/// Fifteen minutes are enough to walk to another machine.
pub const TOKEN_TTL: Millis = Millis::seconds(15 * 60);

/// A token that lives longer than a week is forgotten by people before it is by the cluster.
pub const LONGEST_TTL: Millis = Millis::seconds(7 * 86_400);

pub const MOST_USES: u32 = 1000;

/// Tokens that are listed at once, usable or not.
pub const MOST_TOKENS: usize = 1000;

/// How long a token that cannot be used any more is still listed.
pub const TOKEN_KEPT: Millis = Millis::seconds(86_400);

impl Trust {
    /// The authority that signs now, with its number.
    #[must_use]
    pub fn signing(&self) -> Option<(u64, &Authority)> {
        let dual = self
            .rotation
            .as_ref()
            .is_some_and(|rotation| rotation.stage == Stage::Dual);
        let signing = if dual {
            self.authorities.get_min()
        } else {
            self.authorities.get_max()
        };
        signing.map(|(number, authority)| (*number, authority))
    }

    /// The number of an authority by its certificate.
    #[must_use]
    pub fn number_of(&self, certificate: &[u8]) -> Option<u64> {
        let same = |(_, authority): &(&u64, &Authority)| *authority.certificate == *certificate;
        self.authorities
            .iter()
            .find(same)
            .map(|(number, _)| *number)
    }
}

impl State {
    /// Whether a certificate of this node counts. One of a node that this state has not reached yet
    /// does: whoever lags behind must not shut out those who are ahead.
    #[must_use]
    pub fn may_call(&self, node: NodeId) -> bool {
        self.nodes.contains_key(&node) || node.0 > self.index
    }

    /// The live nodes that a rotation waits for, by id; nobody without one.
    #[must_use]
    pub fn rotation_awaits(&self) -> Vec<NodeId> {
        let Some(rotation) = &self.trust.rotation else {
            return Vec::new();
        };
        let Some((newest, _)) = self.trust.authorities.get_max() else {
            return Vec::new();
        };
        let done = |held: &Held| match rotation.stage {
            Stage::Dual => held.believes.contains(newest),
            Stage::Reissue => held.shown == *newest,
        };
        self.nodes
            .values()
            .filter(|node| node.lease != Lease::Lost)
            .map(|node| node.id)
            .filter(|id| !self.trust.held.get(id).is_some_and(done))
            .collect()
    }
}
