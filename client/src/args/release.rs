//! Verbs of the release library, of builds, and of the releases of an environment.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ReleaseVerb {
    /// List the library, newest first
    List,
    /// Make a release from a git object, a directory or an archive
    Create(ReleaseCreate),
    /// Remove a release that is loaded nowhere
    Destroy {
        /// Git name, a unique prefix of it, or id
        release: String,
    },
}

#[derive(Debug, Args)]
pub struct ReleaseCreate {
    /// What git resolves here (hash, tag, branch); a directory (./shop); or an archive
    /// (FILE.tar, .tar.gz, .tgz, .tar.zst)
    #[arg(value_name = "OBJECT|DIR|FILE")]
    pub source: String,
    /// What to show in lists; else the subject of the commit
    #[arg(short, long, allow_hyphen_values = true, value_name = "TEXT")]
    pub message: Option<String>,
    /// Name of a directory's or archive's release: 7 to 40 hex digits; else from its content
    #[arg(long, value_name = "HEX")]
    pub name: Option<String>,
    /// Path of the manifest inside; else fleet.yml, then convox.yml
    #[arg(long, value_name = "PATH")]
    pub manifest: Option<String>,
    /// Do not wait until it is AVAILABLE
    #[arg(long)]
    pub no_wait: bool,
}

/// `build`, and what `deploy` does first.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Directory; else this one
    #[arg(default_value = ".", hide_default_value = true)]
    pub dir: String,
    /// What to show in lists; else hash and subject of the commit, if nothing was changed since
    #[arg(short, long, allow_hyphen_values = true, value_name = "TEXT")]
    pub description: Option<String>,
    /// Path of the manifest inside; else fleet.yml, then convox.yml
    #[arg(short, long, value_name = "PATH")]
    pub manifest: Option<String>,
    /// Print the id of the release alone; everything else goes to standard error
    #[arg(long)]
    pub id: bool,
}

#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    pub build: BuildArgs,
    #[command(flatten)]
    pub promote: PromoteOptions,
}

/// How a release is promoted.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct PromoteOptions {
    /// Replace all frontends also when the release is active already
    #[arg(long)]
    pub force: bool,
    /// Return once the rollout has begun
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum BuildVerb {
    /// List the builds, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 10, value_name = "N")]
        limit: u32,
    },
    /// Show one build
    Info {
        /// Id, git name or a unique prefix of it
        build: String,
    },
    /// Print what making it said
    Logs {
        /// Id, git name or a unique prefix of it
        build: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ReleasesVerb {
    /// List the releases of an environment, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 10, value_name = "N")]
        limit: u32,
    },
    /// Show one release and its variables
    Info {
        /// Id, git name, or active
        release: String,
        /// Show masked values on a terminal too
        #[arg(long)]
        reveal: bool,
    },
    /// Print a release's manifest
    Manifest {
        /// Id, git name, or active
        release: String,
    },
    /// Replace the frontends gradually by those of a release, and tell every step
    Promote {
        /// Id or git name; else the newest
        release: Option<String>,
        #[command(flatten)]
        options: PromoteOptions,
    },
    /// Copy an old release and promote the copy
    Rollback {
        /// Id or git name; else the last one that was active and healthy
        release: Option<String>,
        #[command(flatten)]
        options: PromoteOptions,
        /// Print the id of the copy alone; everything else goes to standard error
        #[arg(long)]
        id: bool,
    },
    /// Make a release of one release's build and another's variables
    CreateFrom(CreateFrom),
}

#[derive(Debug, Args)]
pub struct CreateFrom {
    /// The release whose build it has
    #[arg(
        long,
        value_name = "RELEASE",
        required_unless_present = "use_active_release_build"
    )]
    pub build_from: Option<String>,
    /// The release whose variables it has
    #[arg(
        long,
        value_name = "RELEASE",
        required_unless_present = "use_active_release_env"
    )]
    pub env_from: Option<String>,
    /// The build of the active release
    #[arg(long, conflicts_with = "build_from")]
    pub use_active_release_build: bool,
    /// The variables of the active release
    #[arg(long, conflicts_with = "env_from")]
    pub use_active_release_env: bool,
    /// Promote it
    #[arg(short, long)]
    pub promote: bool,
    /// Print the id of the release alone; everything else goes to standard error
    #[arg(long)]
    pub id: bool,
}
