//! Where everything lies below the data directory. The only place that spells these names.

use std::path::{Path, PathBuf};

/// The data directory of a node and the files inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn identity(&self) -> PathBuf {
        self.root.join("identity.toml")
    }

    /// Where this directory lies, by which a copy of it is recognised.
    pub fn seat(&self) -> PathBuf {
        self.root.join("seat.toml")
    }

    /// Keys and certificates; mode 0700.
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust")
    }

    /// This node's certificate and its key.
    pub fn certificate(&self) -> PathBuf {
        self.trust().join("node.toml")
    }

    /// Certificates of the authorities that this node believes.
    pub fn authorities(&self) -> PathBuf {
        self.trust().join("authorities.pem")
    }

    /// Opens what is sealed in the replicated state; control nodes alone have it.
    pub fn cluster_key(&self) -> PathBuf {
        self.trust().join("cluster-key")
    }

    /// Lets an operator in; control nodes alone have it.
    pub fn operator_token(&self) -> PathBuf {
        self.trust().join("operator-token")
    }

    /// The authority of a cluster that is being founded here, its key sealed.
    pub fn founding(&self) -> PathBuf {
        self.trust().join("founding.toml")
    }

    /// The key of a join whose answer has not been heard.
    pub fn joining_key(&self) -> PathBuf {
        self.trust().join("joining-key")
    }

    pub fn peers(&self) -> PathBuf {
        self.root.join("peers.toml")
    }

    pub fn first_start(&self) -> PathBuf {
        self.root.join("first-start.toml")
    }

    /// Request id of a join whose answer has not been heard.
    pub fn join_attempt(&self) -> PathBuf {
        self.root.join("join-attempt")
    }

    /// Settings as the agent resolved them, read by the tenants it starts.
    pub fn effective_settings(&self) -> PathBuf {
        self.run().join("settings.toml")
    }

    /// The log of the cluster as it was founded.
    pub fn raft(&self) -> PathBuf {
        self.raft_of(0)
    }

    pub fn snapshots(&self) -> PathBuf {
        self.snapshots_of(0)
    }

    /// The log of one generation: a log that begins anew never touches the one it came from.
    pub fn raft_of(&self, generation: u64) -> PathBuf {
        self.of_generation("raft", generation)
    }

    pub fn snapshots_of(&self, generation: u64) -> PathBuf {
        self.of_generation("snapshots", generation)
    }

    fn of_generation(&self, name: &str, generation: u64) -> PathBuf {
        match generation {
            0 => self.root.join(name),
            generation => self.root.join(format!("{name}-{generation}")),
        }
    }

    /// Where scheduled backups go unless the cluster says otherwise.
    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// A backup on its way in.
    pub fn restoring(&self) -> PathBuf {
        self.root.join("restoring.backup")
    }

    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub fn worker(&self) -> PathBuf {
        self.root.join("worker")
    }

    pub fn route_table(&self) -> PathBuf {
        self.root.join("ingress").join("table.pb")
    }

    pub fn access_log(&self) -> PathBuf {
        self.root.join("ingress").join("access.log")
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Sockets and locks; mode 0700.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub fn agent_socket(&self) -> PathBuf {
        self.run().join("agent.sock")
    }

    pub fn agent_lock(&self) -> PathBuf {
        self.run().join("agent.lock")
    }

    pub fn holder_lock(&self) -> PathBuf {
        self.run().join("holder.lock")
    }
}
