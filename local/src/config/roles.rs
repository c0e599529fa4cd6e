//! What a node does for its cluster.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use fleet_model::node::Role;

/// At least one role; all of them unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    #[error("unknown role {0:?}: a node may be control, worker or ingress")]
    Unknown(String),
    #[error("a node needs at least one role: control, worker or ingress")]
    None,
}

impl Roles {
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Result<Self, RolesError> {
        let roles: BTreeSet<_> = roles.into_iter().collect();
        if roles.is_empty() {
            return Err(RolesError::None);
        }
        Ok(Self(roles))
    }

    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    pub fn iter(&self) -> impl Iterator<Item = Role> {
        self.0.iter().copied()
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self(Role::ALL.into_iter().collect())
    }
}

impl FromStr for Roles {
    type Err = RolesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let roles =
            words.map(|word| Role::parse(word).ok_or_else(|| RolesError::Unknown(word.to_owned())));
        Self::new(roles.collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Role::as_str).collect();
        f.write_str(&names.join(","))
    }
}
