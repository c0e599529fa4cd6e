//! The settings file: the same names as the flags, with underscores, and the few settings that
//! nobody wants to type. Unknown names are refused, for a misspelt one would be silently default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Every value as written; meaning is given by `Settings::resolve`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub data_dir: Option<PathBuf>,
    pub name: Option<String>,
    pub api_listen: Option<String>,
    pub advertise: Option<String>,
    pub http_listen: Option<String>,
    pub proxy_protocol_from: Option<Vec<String>>,
    pub trusted_proxies: Option<Vec<String>>,
    pub connections_per_address: Option<u32>,
    pub handshakes_per_address: Option<u32>,
    pub https_listen: Option<String>,
    pub metrics_listen: Option<String>,
    pub access_log: Option<String>,
    pub access_log_file: Option<PathBuf>,
    pub domain: Option<String>,
    pub cluster_name: Option<String>,
    pub roles: Option<Vec<String>>,
    pub frontend_ports: Option<String>,
    pub frontend_uids: Option<String>,
    pub dev: Option<bool>,
    pub labels: BTreeMap<String, String>,
    pub raft: RaftFile,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RaftFile {
    pub heartbeat_ms: Option<u64>,
    pub election_min_ms: Option<u64>,
    pub election_max_ms: Option<u64>,
}
