//! The command line of `fleetd`. Every setting may be a flag, a variable or a line of the file,
//! and wins in this order; a flag left out is `None` here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// One process of a node; without a subcommand, the agent that starts the others.
#[derive(Debug, Parser)]
#[command(
    name = "fleetd",
    version,
    about = "The daemon that runs on every machine of a fleet"
)]
pub struct Run {
    #[command(subcommand)]
    pub process: Option<Process>,
    #[command(flatten)]
    pub flags: Flags,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Process {
    /// Consensus, state and API (started by the agent)
    #[command(hide = true)]
    Control,
    /// The HTTP entry (started by the agent)
    #[command(hide = true)]
    Ingress,
    /// Parent of every other process of the node (started by the agent)
    #[command(hide = true)]
    Hold,
    /// Stop the frontends and every process of this node
    Stop,
    /// Say that the data directory was moved here, and that the node in it runs nowhere else
    Moved,
}

#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// TOML file with any of the settings below
    #[arg(long, global = true, env = "FLEETD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where this node keeps everything [default: /var/lib/fleet]
    #[arg(long, global = true, env = "FLEETD_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Name of this node [default: the host name]
    #[arg(long, global = true, env = "FLEETD_NAME")]
    pub name: Option<String>,
    /// Where the API listens [default: 127.0.0.1:7400]
    #[arg(
        long,
        global = true,
        env = "FLEETD_API_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub api_listen: Option<String>,
    /// How other nodes reach the API [default: what it listens on]
    #[arg(
        long,
        global = true,
        env = "FLEETD_ADVERTISE",
        value_name = "HOST:PORT"
    )]
    pub advertise: Option<String>,
    /// Where the ingress listens [default: 0.0.0.0:80, with --dev 127.0.0.1:8080]
    #[arg(
        long,
        global = true,
        env = "FLEETD_HTTP_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub http_listen: Option<String>,
    /// Addresses and networks whose connections to the ingress begin with a PROXY header, divided
    /// by commas [default: none]
    #[arg(
        long,
        global = true,
        env = "FLEETD_PROXY_PROTOCOL_FROM",
        value_name = "NETWORKS"
    )]
    pub proxy_protocol_from: Option<String>,
    /// Proxies before the ingress whose X-Forwarded-For, -Proto and -Port are believed, as
    /// 10.0.0.0/8,192.0.2.7 [default: none]
    #[arg(
        long,
        global = true,
        env = "FLEETD_TRUSTED_PROXIES",
        value_name = "NETWORKS"
    )]
    pub trusted_proxies: Option<String>,
    /// Connections to the ingress that one address may have at once; 0: any number [default: 0]
    #[arg(
        long,
        global = true,
        env = "FLEETD_CONNECTIONS_PER_ADDRESS",
        value_name = "N"
    )]
    pub connections_per_address: Option<u32>,
    /// Handshakes of TLS that one address may make a second; 0: any number [default: 0]
    #[arg(
        long,
        global = true,
        env = "FLEETD_HANDSHAKES_PER_ADDRESS",
        value_name = "N"
    )]
    pub handshakes_per_address: Option<u32>,
    /// Where the ingress speaks TLS, or "off" [default: 0.0.0.0:443, with --dev 127.0.0.1:8443]
    #[arg(
        long,
        global = true,
        env = "FLEETD_HTTPS_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub https_listen: Option<String>,
    /// Where the ingress shows its metrics to whoever asks, and control at the next port, or "off"
    /// [default: off]
    #[arg(
        long,
        global = true,
        env = "FLEETD_METRICS_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub metrics_listen: Option<String>,
    /// Which requests the ingress writes a line about: off, all, or 1/N, and then every one that
    /// failed [default: off]
    #[arg(
        long,
        global = true,
        env = "FLEETD_ACCESS_LOG",
        value_name = "off|all|1/N"
    )]
    pub access_log: Option<String>,
    /// Where those lines go [default: ingress/access.log in the data directory]
    #[arg(
        long,
        global = true,
        env = "FLEETD_ACCESS_LOG_FILE",
        value_name = "FILE"
    )]
    pub access_log_file: Option<PathBuf>,
    /// Domain of a cluster founded on this node [default: localhost]
    #[arg(long, global = true, env = "FLEETD_DOMAIN")]
    pub domain: Option<String>,
    /// What a cluster founded on this node is called; frontends see it as RACK [default: fleet]
    #[arg(long, global = true, env = "FLEETD_CLUSTER_NAME", value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// Any of control,worker,ingress [default: all]
    #[arg(long, global = true, env = "FLEETD_ROLES")]
    pub roles: Option<String>,
    /// key=value, may be repeated
    #[arg(long = "label", global = true, value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Ports that frontends are given [default: 20000-29999]
    #[arg(
        long,
        global = true,
        env = "FLEETD_FRONTEND_PORTS",
        value_name = "FIRST-LAST"
    )]
    pub frontend_ports: Option<String>,
    /// User ids that frontends are given [default: 700000-799999]
    #[arg(
        long,
        global = true,
        env = "FLEETD_FRONTEND_UIDS",
        value_name = "FIRST-LAST"
    )]
    pub frontend_uids: Option<String>,
    /// A cluster of this one node, initialised at once
    #[arg(long, global = true)]
    pub dev: bool,
}
