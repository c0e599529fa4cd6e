//! Verbs of the cluster as a whole.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ClusterVerb {
    /// Leader, members, indices and what is wrong
    Status,
    /// Write the whole state of the cluster to a file, or have it done by schedule
    Backup(BackupArgs),
    /// Found a cluster with this machine as its first node, from a backup
    #[command(
        after_help = "The cluster gets a new id and this machine a new node id; the nodes of \
                            before are no members. See docs/backup.md."
    )]
    Restore {
        file: PathBuf,
        /// Name of this node; else the host name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Go on with this machine's copy alone, when the other voters are gone for good
    #[command(
        after_help = "Refused while a quorum answers. What only the lost nodes had received \
                            is lost. See docs/backup.md."
    )]
    Recover {
        /// Whose copy: that of this machine
        #[arg(long, required = true)]
        from: Copy,
        /// Do not ask
        #[arg(long)]
        no_confirm: bool,
    },
    /// The authority that signs the certificates of nodes
    #[command(subcommand)]
    Ca(CaVerb),
}

#[derive(Debug, Subcommand)]
pub enum CaVerb {
    /// Begin to replace it; cluster status tells how far it is
    Rotate,
}

/// Whose copy of the cluster goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Copy {
    ThisNode,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    pub verb: Option<BackupVerb>,
    /// Where to write it; ./schedule for a file that is called like a verb
    #[arg(required = true)]
    pub file: Option<PathBuf>,
    /// Every artefact that a build refers to as well: as large as all of them
    #[arg(long)]
    pub with_artefacts: bool,
}

#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Let the leader take one every so often, or `off`; without EVERY, show what is set
    Schedule {
        /// 60s to 8784h (a year), as 12h or 1d; or off
        #[arg(value_parser = parse_every)]
        every: Option<Every>,
        /// How many files each node keeps
        #[arg(long, value_name = "N", default_value_t = 7)]
        keep: u32,
        /// Directory on the control nodes; else backups in their data directories
        #[arg(long, value_name = "DIR")]
        dir: Option<String>,
    },
    /// List the backups taken by schedule
    List,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    Off,
    Time(Duration),
}

fn parse_every(text: &str) -> Result<Every, String> {
    if text == "off" {
        return Ok(Every::Off);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| "not a time like 12h or 1d, nor off".to_owned())?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        unit => return Err(format!("unknown unit {unit}")),
    };
    number
        .checked_mul(seconds)
        .map(|seconds| Every::Time(Duration::from_secs(seconds)))
        .ok_or_else(|| "too long".to_owned())
}
