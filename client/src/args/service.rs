//! Services and processes of an environment.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// List the services with their hosts and ports
    List,
    /// Replace the frontends of one service gradually
    Restart { service: String },
}

/// Without anything to change, the table.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// Service; needed to change something
    pub service: Option<String>,
    /// How many frontends now
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
    /// Fewest frontends
    #[arg(long, value_name = "N")]
    pub min: Option<u32>,
    /// Most frontends
    #[arg(long, value_name = "N")]
    pub max: Option<u32>,
    /// CPU of each, in thousandths of one
    #[arg(long, value_name = "MILLICORES")]
    pub cpu: Option<u32>,
    /// Memory of each, in MiB
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u64>,
}

impl ScaleArgs {
    /// Whether anything is to be changed.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.count.is_some()
            || self.min.is_some()
            || self.max.is_some()
            || self.cpu.is_some()
            || self.memory.is_some()
    }
}

#[derive(Debug, Args)]
pub struct ProcessArgs {
    /// Only those of one release
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// Only those of one service
    #[arg(short, long, value_name = "SERVICE")]
    pub service: Option<String>,
}
