//! Verbs of nodes.

use clap::Subcommand;

/// Some ask the cluster, some the daemon of this machine.
#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// Found a cluster with this machine as its first node
    Init {
        /// Name of this node; else the host name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Last part of every host name
        #[arg(long, value_name = "DOMAIN")]
        domain: Option<String>,
    },
    /// Make this machine a node of a cluster; the token also comes from FLEET_JOIN_TOKEN
    Join {
        /// host:port of control nodes
        #[arg(required = true, value_name = "HOST:PORT")]
        addresses: Vec<String>,
        /// As `fleet node token create` printed it
        #[arg(long, value_name = "TOKEN")]
        token: Option<String>,
        /// File with the token, - for standard input
        #[arg(long, value_name = "FILE", conflicts_with = "token")]
        token_file: Option<String>,
        /// Name of this node; else the host name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// control, worker or ingress; give it once for each; else all three
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        /// Label of this node, such as zone=a
        #[arg(long = "label", value_name = "KEY=VALUE")]
        labels: Vec<String>,
    },
    /// Tokens that let machines join
    #[command(subcommand)]
    Token(TokenVerb),
    /// List all nodes
    List,
    /// Show everything about one node
    Describe {
        /// Id or name
        node: String,
    },
    /// Move the frontends of a node elsewhere, replacements first
    Drain {
        /// Id or name
        node: String,
        /// Send away what is left after this time: seconds, or 90s, 10m, 1h
        #[arg(long, value_name = "TIME", value_parser = crate::args::parse_duration)]
        deadline: Option<std::time::Duration>,
    },
    /// Let a drained node take frontends again
    Undrain {
        /// Id or name
        node: String,
    },
    /// Let a control node vote before others
    Promote {
        /// Id or name
        node: String,
        /// Take an earlier promote or demote back: the cluster chooses again
        #[arg(long)]
        undo: bool,
    },
    /// Keep a control node from voting; it goes on learning
    Demote {
        /// Id or name
        node: String,
        /// Take an earlier promote or demote back: the cluster chooses again
        #[arg(long)]
        undo: bool,
    },
    /// Forget a node for good: one that is lost, or was drained
    Remove {
        /// Id or name
        node: String,
        /// Also one that is silent and not yet LOST
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long)]
        no_confirm: bool,
    },
    /// Say how many frontends may move a minute only to spread better
    Moves {
        /// 0: none
        #[arg(value_name = "PER_MINUTE")]
        per_minute: u32,
    },
    /// Labels of a node, such as zone=a
    #[command(subcommand)]
    Labels(LabelsVerb),
    /// Take this machine out of its cluster
    Leave {
        /// Also when the cluster does not answer
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long)]
        no_confirm: bool,
    },
    /// Show the daemon of this machine and its processes
    Status,
    /// Start a new ingress on the same sockets; the old one ends its requests
    ReplaceIngress,
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make one and print it, this once
    Create {
        /// What a machine may become: control, worker or ingress; give it once for each; else all
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        /// How long it lives: seconds, or 90s, 10m, 1h; else 15m
        #[arg(long, value_name = "TIME", value_parser = super::parse_duration)]
        ttl: Option<std::time::Duration>,
        /// How many machines it lets in; else one
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: Option<u32>,
    },
    /// List all tokens, without what lets in
    List,
    /// Make one useless
    Revoke {
        /// As the list shows it
        id: String,
    },
}

/// Verbs of a node's labels.
#[derive(Debug, Subcommand)]
pub enum LabelsVerb {
    /// Give a node labels
    Set {
        /// Id or name
        node: String,
        #[arg(required = true, value_name = "KEY=VALUE")]
        labels: Vec<String>,
    },
    /// Take labels from a node
    Unset {
        /// Id or name
        node: String,
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    Control,
    Worker,
    Ingress,
}
