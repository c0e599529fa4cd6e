//! Which TCP ports the processes of a node listen on, as the kernel says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use fleet_cluster_tests::node::Node;

/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Every port that a process of `node` listens on, whatever it is for.
pub(super) fn listening(node: &Node) -> Result<BTreeSet<u16>> {
    let mut ports = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has no second table.
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let Some(&[_, local, _, state, .., inode]) = fields.get(..10) else {
                continue;
            };
            if state == LISTEN {
                let (_, port) = local.rsplit_once(':').context("an address has a port")?;
                ports.insert(inode.to_owned(), u16::from_str_radix(port, 16)?);
            }
        }
    }
    let mut listening = BTreeSet::new();
    for process in node.processes() {
        // A process may have ended since it was listed.
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{}/fd", process.pid)) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let target = std::fs::read_link(descriptor.path()).unwrap_or_default();
            let inode = target
                .to_str()
                .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
            listening.extend(inode.and_then(|inode| ports.get(inode)));
        }
    }
    Ok(listening)
}
