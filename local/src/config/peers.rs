//! The control nodes that were known last; where a node begins to look when it starts.

use std::io;

use serde::{Deserialize, Serialize};

use super::{Endpoint, Paths, write_atomic};

/// API addresses of control nodes, in the order in which they were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    pub control: Vec<Endpoint>,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    control: Vec<String>,
}

impl Peers {
    /// What was written last. A damaged file counts as empty: it is a hint, not a fact.
    pub fn read(paths: &Paths) -> Self {
        let text = std::fs::read_to_string(paths.peers()).unwrap_or_default();
        let stored: Stored = toml::from_str(&text).unwrap_or_default();
        Self::parse(&stored.control)
    }

    pub fn write(&self, paths: &Paths) -> io::Result<()> {
        let stored = Stored {
            control: self.control.iter().map(ToString::to_string).collect(),
        };
        let text = toml::to_string(&stored).map_err(io::Error::other)?;
        write_atomic(&paths.peers(), text.as_bytes(), 0o600)
    }

    /// Keeps what can be dialled of addresses that came over the wire.
    pub fn parse(addresses: &[String]) -> Self {
        Self {
            control: addresses
                .iter()
                .filter_map(|address| address.parse().ok())
                .collect(),
        }
    }
}
