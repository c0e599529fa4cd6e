//! Verbs of environments and of their variables.

use clap::{Args, Subcommand};

use super::autoscaling::AutoscalingVerb;
use super::whitelist::LimitOptions;

/// ON or OFF, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnOff {
    #[value(name = "ON")]
    On,
    #[value(name = "OFF")]
    Off,
}

#[derive(Debug, Subcommand)]
pub enum EnvironmentVerb {
    /// List all environments
    List,
    /// Make an environment, empty
    Create {
        #[arg(value_name = "ENV")]
        environment: String,
        /// Name of a whitelist; else allow-all
        #[arg(long, value_name = "WHITELIST")]
        whitelist: Option<String>,
        /// Name of a certificate; else self-signed
        #[arg(long, value_name = "CERT")]
        ssl_certificate: Option<String>,
        /// Guard it against destroy, deactivate, and unload of its active release
        #[arg(long)]
        protected: bool,
        #[command(flatten)]
        clone: CloneOptions,
    },
    /// Show everything about one environment
    Describe {
        #[arg(value_name = "ENV")]
        environment: String,
    },
    /// Unload everything and remove the environment
    Destroy {
        #[arg(value_name = "ENV")]
        environment: String,
        /// Do not ask for the name to be typed
        #[arg(long)]
        no_confirm: bool,
        #[arg(long, hide = true)]
        delete_logs: bool,
    },
    /// Start a release's frontends beside what runs
    Load {
        #[arg(value_name = "ENV")]
        environment: String,
        release: String,
    },
    /// Move traffic to a loaded release at once; also the way back
    Activate {
        #[arg(value_name = "ENV")]
        environment: String,
        release: String,
        /// Do not warm it up to the count of the release it replaces
        #[arg(long)]
        now: bool,
    },
    /// Leave no release active
    Deactivate {
        #[arg(value_name = "ENV")]
        environment: String,
    },
    /// Stop a release's frontends
    Unload {
        #[arg(value_name = "ENV")]
        environment: String,
        release: String,
        #[arg(long, hide = true)]
        delete_logs: bool,
    },
    /// Reverse the rollout that is under way
    Cancel {
        #[arg(value_name = "ENV")]
        environment: String,
    },
    /// How counts of frontends follow the load, and what was decided
    #[command(subcommand)]
    Autoscaling(AutoscalingVerb),
    /// ON: replace unhealthy frontends. OFF: only take them out of routing
    Recycling {
        #[arg(value_name = "ENV")]
        environment: String,
        #[arg(ignore_case = true)]
        switch: OnOff,
    },
    /// Watch a promoted release for so many seconds, ready to take it back; 0: not at all
    Guard {
        #[arg(value_name = "ENV")]
        environment: String,
        seconds: u32,
    },
    /// Show a certificate (fleet cert list) at the environment's hosts
    Cert {
        #[arg(value_name = "ENV")]
        environment: String,
        #[arg(value_name = "CERT")]
        certificate: String,
    },
    /// ON: send plain HTTP to HTTPS once there is a certificate that clients believe
    Redirect {
        #[arg(value_name = "ENV")]
        environment: String,
        #[arg(ignore_case = true)]
        switch: OnOff,
    },
    /// Let in the clients of a whitelist (fleet whitelist list) alone
    Whitelist {
        #[arg(value_name = "ENV")]
        environment: String,
        #[arg(value_name = "WHITELIST")]
        whitelist: String,
    },
    /// Limit the requests that each ingress lets through; refused ones are answered 429
    Limits {
        #[arg(value_name = "ENV")]
        environment: String,
        #[command(flatten)]
        limits: LimitOptions,
    },
    /// ON: answer 503 instead of the app
    Maintenance {
        #[arg(value_name = "ENV")]
        environment: String,
        #[arg(ignore_case = true)]
        switch: OnOff,
    },
    /// ON: refuse destroy, deactivate, and unload of the active release
    Protected {
        #[arg(value_name = "ENV")]
        environment: String,
        #[arg(ignore_case = true)]
        switch: OnOff,
    },
}

/// Cloning comes later. An environment is made empty, so saying "no" to it is fine.
#[derive(Debug, Args)]
pub struct CloneOptions {
    #[arg(long, hide = true)]
    pub no_snapshot: bool,
    #[arg(long, hide = true)]
    pub no_nfs_snapshot: bool,
    #[arg(long, hide = true)]
    pub no_source_environment: bool,
    #[arg(long, hide = true)]
    pub no_ha: bool,
    #[arg(long, hide = true)]
    pub ha: bool,
    #[arg(long, hide = true)]
    pub snapshot: Option<String>,
    #[arg(long, hide = true)]
    pub nfs_snapshot: Option<String>,
    #[arg(long, hide = true)]
    pub source_environment: Option<String>,
    #[arg(long, hide = true)]
    pub size: Option<String>,
    #[arg(long, hide = true)]
    pub sql_scripts: Vec<String>,
}

impl CloneOptions {
    /// The first option that asks for something this version cannot do.
    #[must_use]
    pub fn asked(&self) -> Option<&'static str> {
        [
            (self.ha, "--ha"),
            (self.snapshot.is_some(), "--snapshot"),
            (self.nfs_snapshot.is_some(), "--nfs-snapshot"),
            (self.source_environment.is_some(), "--source-environment"),
            (self.size.is_some(), "--size"),
            (!self.sql_scripts.is_empty(), "--sql-scripts"),
        ]
        .into_iter()
        .find_map(|(asked, option)| asked.then_some(option))
    }
}

#[derive(Debug, Subcommand)]
pub enum VariableVerb {
    /// List the variables
    List {
        /// Those of one release
        #[arg(long, value_name = "RELEASE")]
        release: Option<String>,
        /// Show masked values on a terminal too
        #[arg(long)]
        reveal: bool,
    },
    /// Print the value of one variable
    Get {
        name: String,
        /// That of one release
        #[arg(long, value_name = "RELEASE")]
        release: Option<String>,
    },
    /// Set variables; without any, from lines NAME=VALUE on standard input
    Set(SetArgs),
    /// Remove variables
    Unset {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Change the variables in the editor of $EDITOR
    Edit {
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Show, or change, whose values terminals show as ****
    Mask {
        #[command(subcommand)]
        verb: Option<MaskVerb>,
    },
}

#[derive(Debug, Args)]
pub struct SetArgs {
    #[arg(value_name = "NAME=VALUE")]
    pub pairs: Vec<String>,
    /// Remove all that are not named
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub change: ChangeOptions,
}

/// What every change of variables may be asked beside.
#[derive(Debug, Args)]
pub struct ChangeOptions {
    /// Promote the release it makes
    #[arg(short, long)]
    pub promote: bool,
    /// Print the id of the release alone; everything else goes to standard error
    #[arg(long)]
    pub id: bool,
    /// Change the variables of this release instead of the newest
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum MaskVerb {
    /// Show them as **** from now on
    Set {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Show them again
    Unset {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}
