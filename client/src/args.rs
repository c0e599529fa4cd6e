//! The canonical commands as a clap tree. The grammar has already put the words in order; clap
//! checks options, converts values and writes the help pages.

mod autoscaling;
mod certificate;
mod cluster;
mod environment;
mod log;
mod node;
mod release;
mod service;
mod whitelist;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use autoscaling::{AutoscalingVerb, Policy, Target, TargetOptions};
pub use certificate::{CertificateAdd, CertificateVerb, Challenge};
pub use cluster::{BackupArgs, BackupVerb, CaVerb, ClusterVerb, Copy, Every};
pub use environment::{ChangeOptions, EnvironmentVerb, MaskVerb, OnOff, SetArgs, VariableVerb};
pub use log::{LogVerb, ViewArgs};
pub use node::{LabelsVerb, NodeVerb, Role, TokenVerb};
pub use release::{
    BuildArgs, BuildVerb, CreateFrom, DeployArgs, PromoteOptions, ReleaseCreate, ReleaseVerb,
    ReleasesVerb,
};
pub use service::{ProcessArgs, ScaleArgs, ServiceVerb};
pub use whitelist::{LimitOptions, Rate, WhitelistVerb};

/// Release software on your own machines.
#[derive(Debug, Parser)]
#[command(
    name = "fleet",
    version,
    disable_help_subcommand = true,
    after_help = "Environments and variables share the noun env: fleet env list (environments), \
                  fleet env (variables).\nExit codes: 0 done, 1 failed, 2 usage, 3 refused by a \
                  rule, 4 not found, 5 unreachable, 6 timed out (outcome unknown)."
)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub noun: Noun,
}

/// Flags of every command, anywhere on the line.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// App; else FLEET_APP, the app named like this directory, the context's, or the only one
    #[arg(short, long, global = true, value_name = "APP")]
    pub app: Option<String>,
    /// Context (cluster) of the contexts file; else FLEET_CONTEXT or the one in use
    #[arg(short, long, global = true, value_name = "CONTEXT")]
    pub rack: Option<String>,
    /// Environment; for variables, else the default environment
    #[arg(short, long, global = true, value_name = "ENV")]
    pub env: Option<String>,
    /// How to print: text or json
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "text",
        hide_default_value = true
    )]
    pub output: Format,
    /// Wait until it is done, telling what is waited for
    #[arg(short, long, global = true)]
    pub wait: bool,
    /// Read from the node that answers, without asking the leader
    #[arg(long, global = true)]
    pub stale: bool,
    /// Give up after this time: seconds, or 500ms, 90s, 10m, 1h
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<std::time::Duration>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Noun {
    /// Apps: the things that are released
    #[command(subcommand)]
    Apps(AppVerb),
    /// The library of builds, by git name
    #[command(subcommand)]
    Release(ReleaseVerb),
    /// Make a build of a directory, and a release of it
    Build(BuildArgs),
    /// The builds, by id
    #[command(subcommand)]
    Builds(BuildVerb),
    /// Make a build of a directory and promote its release
    Deploy(DeployArgs),
    /// The releases of an environment: builds with variables
    #[command(subcommand)]
    Releases(ReleasesVerb),
    /// Environments (typed as: env)
    #[command(subcommand, hide = true)]
    Envs(EnvironmentVerb),
    /// Variables (typed as: env)
    #[command(subcommand, hide = true)]
    Vars(VariableVerb),
    /// Certificates that the environments' hosts show
    #[command(subcommand)]
    Cert(CertificateVerb),
    /// Whitelists: whose clients may reach environments
    #[command(subcommand)]
    Whitelist(WhitelistVerb),
    /// Settings of the cluster
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Show or change the counts of services
    Scale(ScaleArgs),
    /// Replace the frontends of all services gradually
    Restart,
    /// Services: the entries of the manifest, as they run
    #[command(subcommand)]
    Services(ServiceVerb),
    /// Processes: frontends, one by one
    Ps(ProcessArgs),
    /// The history
    Events(EventArgs),
    /// Logs, in groups
    #[command(subcommand)]
    Log(LogVerb),
    /// Nodes: the machines
    #[command(subcommand)]
    Node(NodeVerb),
    /// The cluster as a whole
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Contexts: the clusters this machine knows
    #[command(subcommand)]
    Context(ContextVerb),
    /// Print this program's version
    Version,
    /// Print a completion script for a shell
    Completion {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub enum AppVerb {
    /// List all apps
    List,
    /// Make an app and its environment prod
    Create {
        /// Name; else that of this directory
        name: Option<String>,
    },
    /// Delete an app and its environments
    Delete {
        name: String,
        /// Do not ask for the name to be typed
        #[arg(long)]
        no_confirm: bool,
    },
    /// Show one app
    Info { name: Option<String> },
    /// Reverse the rollout that is under way, at once
    Cancel { name: Option<String> },
    /// Refuse to delete it
    Lock { name: Option<String> },
    /// Allow to delete it
    Unlock { name: Option<String> },
}

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Show all settings
    Show,
    /// Show or set the environment of commands that name none
    DefaultEnv { environment: Option<String> },
    /// Show or set the last part of every host name
    Domain { domain: Option<String> },
}

#[derive(Debug, Args)]
pub struct EventArgs {
    /// Go on as they happen
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the newest
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
    /// Only those about one release
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ContextVerb {
    /// List the known clusters
    List,
    /// Add or replace one; the operator's token comes from --token-file, FLEET_TOKEN, or --local
    Add {
        name: String,
        /// host:port of a control node; give it once for each
        #[arg(
            long = "address",
            value_name = "HOST:PORT",
            required_unless_present = "local"
        )]
        addresses: Vec<String>,
        /// Which cluster to believe, as `fleet node init` printed it
        #[arg(
            long = "ca-fingerprint",
            value_name = "FINGERPRINT",
            required_unless_present = "local"
        )]
        ca_fingerprints: Vec<String>,
        /// File with the operator's token, - for standard input
        #[arg(long, value_name = "FILE")]
        token_file: Option<String>,
        /// Take all of it from the daemon of this machine
        #[arg(long, conflicts_with_all = ["addresses", "ca_fingerprints", "token_file"])]
        local: bool,
    },
    /// Use one from now on
    Use { name: String },
    /// Forget one
    Remove { name: String },
}

/// The whole tree, with `env` as it is typed.
#[must_use]
pub fn tree() -> clap::Command {
    let typed = clap::Command::new("env")
        .about("Environments (env VERB ENV, env ENV VERB) and their variables (env set)")
        .after_help(
            "Without a verb: the variables of the default environment, or of -e ENV.\n\
             With a name alone: fleet env ENV describes it.",
        );
    let variables = VariableVerb::augment_subcommands(clap::Command::new("vars"));
    let variables = variables
        .get_subcommands()
        .filter(|verb| verb.get_name() != "list")
        .cloned();
    let typed = EnvironmentVerb::augment_subcommands(typed).subcommands(variables);
    Cli::command().subcommand(typed)
}

/// Parses canonical words (without the program's name).
///
/// # Errors
/// clap's own error, which also carries help and version pages.
pub fn parse(words: &[String]) -> Result<Cli, clap::Error> {
    let argv = std::iter::once("fleet").chain(words.iter().map(String::as_str));
    let matches = tree().try_get_matches_from(argv)?;
    Cli::from_arg_matches(&matches)
}

/// Seconds, or a number with ms, s, m or h.
pub(crate) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| "not a time like 90s or 10m".to_owned())?;
    let factor_ms: u64 = match &text[digits.len()..] {
        "" | "s" => 1_000,
        "ms" => 1,
        "m" => 60_000,
        "h" => 3_600_000,
        unit => return Err(format!("unknown unit {unit}")),
    };
    let millis = number
        .checked_mul(factor_ms)
        .filter(|&ms| ms > 0 && ms <= 604_800_000);
    millis
        .map(std::time::Duration::from_millis)
        .ok_or_else(|| "not within 1ms and 168h".to_owned())
}

#[cfg(test)]
mod tests;
