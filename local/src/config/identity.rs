//! Who this node is: written once, by init or join, and never changed.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Paths, write_atomic};

/// Present if and only if the node belongs to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Layout of this file; see [`Identity::VERSION`].
    pub version: u32,
    pub cluster_id: String,
    /// What the cluster is called; frontends see it as `RACK`.
    pub cluster_name: String,
    /// Taken from the log; never reused, also not after the node has left.
    pub node_id: u64,
    pub name: String,
    /// Below which every app has its host names.
    pub domain: String,
    /// As registered with the cluster: "control", "worker", "ingress".
    pub roles: Vec<String>,
    /// How often the cluster's log began anew before this node's did; see docs/backup.md.
    #[serde(default)]
    pub generation: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("could not read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not an identity")]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error(
        "{path} has layout version {found}; this fleetd knows {}",
        Identity::VERSION
    )]
    Version { path: PathBuf, found: u32 },
    #[error("could not write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("this node already belongs to cluster {cluster_id} as node {node_id}")]
    Taken { cluster_id: String, node_id: u64 },
    #[error(
        "{root} holds {found} but no identity: it belongs to a node that was lost or removed; \
         choose an empty directory, this node will get a new id"
    )]
    Foreign { root: PathBuf, found: String },
}

impl Identity {
    /// The layout that this build writes.
    pub const VERSION: u32 = 1;

    /// What the cluster is called between control nodes. A log that began anew has another name than
    /// the one before, so that nodes of the two refuse each other's calls and stores.
    pub fn log_name(&self) -> String {
        match self.generation {
            0 => self.cluster_id.clone(),
            generation => format!("{}~{generation}", self.cluster_id),
        }
    }

    /// The identity in the data directory; `None` if the directory is free to get one.
    ///
    /// Refuses a directory that holds another node's state without its identity: giving it a new
    /// one would let an old log speak under a new name.
    pub fn read(paths: &Paths) -> Result<Option<Self>, IdentityError> {
        let path = paths.identity();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refuse_foreign(paths).map(|()| None);
            }
            Err(source) => return Err(IdentityError::Read { path, source }),
        };
        let identity: Self = toml::from_str(&text).map_err(|source| IdentityError::Parse {
            path: path.clone(),
            source: Box::new(source),
        })?;
        if identity.version != Self::VERSION {
            return Err(IdentityError::Version {
                path,
                found: identity.version,
            });
        }
        Ok(Some(identity))
    }

    /// Gives the data directory this identity, unless it has one.
    pub fn write(&self, paths: &Paths) -> Result<(), IdentityError> {
        if let Some(taken) = Self::read(paths)? {
            let Self {
                cluster_id,
                node_id,
                ..
            } = taken;
            return Err(IdentityError::Taken {
                cluster_id,
                node_id,
            });
        }
        self.replace(paths)
    }

    /// Writes this identity over the one there is: a recovery moves to another generation.
    pub fn replace(&self, paths: &Paths) -> Result<(), IdentityError> {
        let path = paths.identity();
        // Strings and numbers: nothing that TOML cannot say.
        let text = toml::to_string(self).unwrap_or_default();
        write_atomic(&path, text.as_bytes(), 0o600)
            .map_err(|source| IdentityError::Write { path, source })
    }
}

fn refuse_foreign(paths: &Paths) -> Result<(), IdentityError> {
    let traces = [paths.raft(), paths.snapshots(), paths.worker()];
    for trace in traces {
        let occupied = std::fs::read_dir(&trace).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            let found = trace
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            return Err(IdentityError::Foreign {
                root: paths.root().to_owned(),
                found,
            });
        }
    }
    Ok(())
}
