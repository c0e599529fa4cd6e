//! Settings as resolved: flag over variable over file over default, each value checked once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{File, RaftFile};
use super::{
    AccessLines, AccessLinesError, Endpoint, EndpointError, Flags, Network, NetworkError, Paths,
    Range, RangeError, Roles, RolesError,
};

/// What the operator decided about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub name: String,
    pub api_listen: SocketAddr,
    /// How other nodes reach the API; its host is also where frontends of this node are reached.
    pub advertise: Endpoint,
    pub http_listen: SocketAddr,
    /// Balancers before the ingress, which say in a PROXY header whose connection they pass on.
    pub proxy_protocol_from: Vec<Network>,
    /// Proxies before the ingress whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Connections to the ingress that one address may have; `None`: without limit.
    pub connections_per_address: Option<NonZeroU32>,
    /// Handshakes of TLS that one address may make a second; `None`: without limit.
    pub handshakes_per_address: Option<NonZeroU32>,
    /// `None`: the ingress speaks no TLS.
    pub https_listen: Option<SocketAddr>,
    /// `None`: no metrics are shown. The ingress shows them here, control at the next port.
    pub metrics_listen: Option<SocketAddr>,
    pub access_log: AccessLines,
    pub access_log_file: PathBuf,
    /// Of a cluster that is founded here; a cluster that is joined has its own.
    pub domain: String,
    /// As above.
    pub cluster_name: String,
    pub roles: Roles,
    pub labels: BTreeMap<String, String>,
    pub frontend_ports: Range,
    pub frontend_uids: Range,
    pub raft: RaftTimers,
    /// A one-node cluster that initialises itself.
    pub dev: bool,
}

/// How fast a dead leader is noticed. Defaults 100 ms and 500-1000 ms, so that a new leader
/// speaks within two seconds (engineering notes on raft, timers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftTimers {
    pub heartbeat: Duration,
    pub election_min: Duration,
    pub election_max: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("could not read the settings file {path}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the settings file {path} is not valid")]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{path:?} cannot be a data directory")]
    DataDir {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{setting} is not an address and a port: {value:?}")]
    Address {
        setting: &'static str,
        value: String,
    },
    #[error("{setting} needs a fixed port, for other nodes remember it")]
    PortZero { setting: &'static str },
    #[error(
        "the advertised address is not usable (set `advertise` when the API listens on every address)"
    )]
    Advertise(#[source] EndpointError),
    #[error(transparent)]
    Roles(#[from] RolesError),
    #[error("{setting} is not usable")]
    Range {
        setting: &'static str,
        source: RangeError,
    },
    #[error("{setting} is not usable")]
    Networks {
        setting: &'static str,
        source: NetworkError,
    },
    #[error("metrics_listen needs a fixed port below 65535: control has the next one")]
    MetricsPort,
    #[error("access_log is not usable")]
    AccessLog(#[from] AccessLinesError),
    #[error("frontend_ports must lie within 1024-65535")]
    PortRange,
    #[error("frontend_uids must not hold 0, which is root, nor numbers above 4294967293")]
    UidRange,
    #[error("label {0:?} is not of the form key=value")]
    Label(String),
    #[error("{0:?} is not a node name: lowercase letters, digits and dashes, at most 63")]
    Name(String),
    #[error("raft timers must satisfy heartbeat x 2 <= election_min < election_max")]
    Timers,
}

/// Of `https_listen` and `metrics_listen`.
const OFF: &str = "off";

/// Default range of frontend ports: below the ephemeral range of Linux (32768-60999), so that
/// outgoing connections do not take them.
const FRONTEND_PORTS: Range = Range::new(20_000, 29_999);

/// Default range of frontend uids, as the process runtime argues it: outside those of users, of
/// systemd's dynamic users and of `/etc/subuid` (docs/runtime.md).
const FRONTEND_UIDS: Range = Range::new(700_000, 799_999);

impl Default for RaftTimers {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1000),
        }
    }
}

impl Settings {
    /// Reads the file that `flags` name, if any, and resolves every setting.
    pub fn load(flags: &Flags) -> Result<Self, SettingsError> {
        let file = match &flags.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        Self::resolve(flags, file)
    }

    /// The same settings as a file, for the processes that the agent starts.
    pub fn to_toml(&self) -> String {
        let file = File {
            data_dir: Some(self.data_dir.clone()),
            name: Some(self.name.clone()),
            api_listen: Some(self.api_listen.to_string()),
            advertise: Some(self.advertise.to_string()),
            http_listen: Some(self.http_listen.to_string()),
            proxy_protocol_from: Some(texts(&self.proxy_protocol_from)),
            trusted_proxies: Some(texts(&self.trusted_proxies)),
            connections_per_address: self.connections_per_address.map(NonZeroU32::get),
            handshakes_per_address: self.handshakes_per_address.map(NonZeroU32::get),
            https_listen: Some(
                self.https_listen
                    .map_or_else(|| OFF.to_owned(), |address| address.to_string()),
            ),
            metrics_listen: self.metrics_listen.map(|address| address.to_string()),
            access_log: Some(self.access_log.to_string()),
            access_log_file: Some(self.access_log_file.clone()),
            domain: Some(self.domain.clone()),
            cluster_name: Some(self.cluster_name.clone()),
            roles: Some(
                self.roles
                    .iter()
                    .map(|role| role.as_str().to_owned())
                    .collect(),
            ),
            frontend_ports: Some(self.frontend_ports.to_string()),
            frontend_uids: Some(self.frontend_uids.to_string()),
            dev: Some(self.dev),
            labels: self.labels.clone(),
            raft: RaftFile {
                heartbeat_ms: Some(millis(self.raft.heartbeat)),
                election_min_ms: Some(millis(self.raft.election_min)),
                election_max_ms: Some(millis(self.raft.election_max)),
            },
        };
        // Strings, numbers and maps of strings: nothing that TOML cannot say.
        toml::to_string(&file).unwrap_or_default()
    }

    pub fn paths(&self) -> Paths {
        Paths::new(&self.data_dir)
    }

    /// Whether machines other than this one can reach the API.
    pub fn api_is_exposed(&self) -> bool {
        !self.api_listen.ip().is_loopback()
    }

    fn resolve(flags: &Flags, file: File) -> Result<Self, SettingsError> {
        let dev = flags.dev || file.dev.unwrap_or_default();
        let text = |flag: &Option<String>, file: Option<String>, default: &str| {
            flag.clone().or(file).unwrap_or_else(|| default.to_owned())
        };
        let (http_default, https_default) = match dev {
            true => ("127.0.0.1:8080", "127.0.0.1:8443"),
            false => ("0.0.0.0:80", "0.0.0.0:443"),
        };
        let api = text(&flags.api_listen, file.api_listen, "127.0.0.1:7400");
        let http = text(&flags.http_listen, file.http_listen, http_default);
        let https = text(&flags.https_listen, file.https_listen, https_default);
        let api_listen = address("api_listen", &api)?;
        if api_listen.port() == 0 {
            return Err(SettingsError::PortZero {
                setting: "api_listen",
            });
        }
        let advertise = text(&flags.advertise, file.advertise, &api_listen.to_string());
        let roles = match flags
            .roles
            .clone()
            .or(file.roles.map(|roles| roles.join(",")))
        {
            Some(roles) => roles.parse()?,
            None => Roles::default(),
        };
        let metrics = text(&flags.metrics_listen, file.metrics_listen, OFF);
        let data_dir = absolute(flags.data_dir.clone().or(file.data_dir), dev)?;
        Ok(Self {
            name: name(text(&flags.name, file.name, &host_name()))?,
            api_listen,
            advertise: advertise.parse().map_err(SettingsError::Advertise)?,
            http_listen: address("http_listen", &http)?,
            proxy_protocol_from: networks(
                "proxy_protocol_from",
                flags.proxy_protocol_from.as_deref(),
                file.proxy_protocol_from,
            )?,
            trusted_proxies: networks(
                "trusted_proxies",
                flags.trusted_proxies.as_deref(),
                file.trusted_proxies,
            )?,
            connections_per_address: most(
                flags.connections_per_address,
                file.connections_per_address,
            ),
            handshakes_per_address: most(flags.handshakes_per_address, file.handshakes_per_address),
            https_listen: match https.as_str() {
                OFF => None,
                https => Some(address("https_listen", https)?),
            },
            metrics_listen: match metrics.as_str() {
                OFF => None,
                metrics => Some(metrics_address(metrics)?),
            },
            access_log: text(&flags.access_log, file.access_log, OFF).parse()?,
            access_log_file: flags
                .access_log_file
                .clone()
                .or(file.access_log_file)
                .unwrap_or_else(|| Paths::new(&data_dir).access_log()),
            data_dir,
            domain: text(&flags.domain, file.domain, "localhost"),
            cluster_name: text(&flags.cluster_name, file.cluster_name, "fleet"),
            roles,
            labels: labels(&flags.labels, file.labels)?,
            frontend_ports: ports(flags.frontend_ports.clone().or(file.frontend_ports))?,
            frontend_uids: uids(flags.frontend_uids.clone().or(file.frontend_uids))?,
            raft: timers(&file.raft)?,
            dev,
        })
    }
}

fn read(path: &Path) -> Result<File, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| SettingsError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn address(setting: &'static str, value: &str) -> Result<SocketAddr, SettingsError> {
    value.parse().map_err(|_| SettingsError::Address {
        setting,
        value: value.to_owned(),
    })
}

fn metrics_address(value: &str) -> Result<SocketAddr, SettingsError> {
    let address = address("metrics_listen", value)?;
    match address.port() {
        0 | u16::MAX => Err(SettingsError::MetricsPort),
        _ => Ok(address),
    }
}

/// Lowercase letters, digits and dashes: it becomes part of tables and file names.
fn name(text: String) -> Result<String, SettingsError> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = (1..=63).contains(&text.len()) && !text.starts_with('-') && text.chars().all(legal);
    if good {
        Ok(text)
    } else {
        Err(SettingsError::Name(text))
    }
}

/// 0 is without limit, which is what it is without the setting.
fn most(flag: Option<u32>, file: Option<u32>) -> Option<NonZeroU32> {
    flag.or(file).and_then(NonZeroU32::new)
}

fn texts(networks: &[Network]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

fn networks(
    setting: &'static str,
    flag: Option<&str>,
    file: Option<Vec<String>>,
) -> Result<Vec<Network>, SettingsError> {
    let texts = match flag {
        Some(flag) => flag.split(',').map(|text| text.trim().to_owned()).collect(),
        None => file.unwrap_or_default(),
    };
    let given = texts.iter().filter(|text| !text.is_empty());
    given
        .map(|text| text.parse::<Network>())
        .collect::<Result<_, _>>()
        .map_err(|source| SettingsError::Networks { setting, source })
}

fn labels(
    flags: &[String],
    mut labels: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, SettingsError> {
    for flag in flags {
        let pair = flag.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = pair.ok_or_else(|| SettingsError::Label(flag.clone()))?;
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}

fn ports(text: Option<String>) -> Result<Range, SettingsError> {
    let range = range("frontend_ports", text, FRONTEND_PORTS)?;
    if range.first() < 1024 || range.last() > 65_535 {
        return Err(SettingsError::PortRange);
    }
    Ok(range)
}

fn uids(text: Option<String>) -> Result<Range, SettingsError> {
    let range = range("frontend_uids", text, FRONTEND_UIDS)?;
    // The two highest mean "no user" to the kernel.
    if range.first() == 0 || range.last() > u32::MAX - 2 {
        return Err(SettingsError::UidRange);
    }
    Ok(range)
}

fn range(
    setting: &'static str,
    text: Option<String>,
    default: Range,
) -> Result<Range, SettingsError> {
    match text {
        Some(text) => text
            .parse()
            .map_err(|source| SettingsError::Range { setting, source }),
        None => Ok(default),
    }
}

fn timers(file: &RaftFile) -> Result<RaftTimers, SettingsError> {
    let default = RaftTimers::default();
    let pick = |ms: Option<u64>, default| ms.map_or(default, Duration::from_millis);
    let timers = RaftTimers {
        heartbeat: pick(file.heartbeat_ms, default.heartbeat),
        election_min: pick(file.election_min_ms, default.election_min),
        election_max: pick(file.election_max_ms, default.election_max),
    };
    let ordered = !timers.heartbeat.is_zero()
        && timers.heartbeat.saturating_mul(2) <= timers.election_min
        && timers.election_min < timers.election_max;
    if ordered {
        Ok(timers)
    } else {
        Err(SettingsError::Timers)
    }
}

/// Frontends and tenants have working directories of their own, so no path may be relative.
fn absolute(data_dir: Option<PathBuf>, dev: bool) -> Result<PathBuf, SettingsError> {
    let path = data_dir.unwrap_or_else(|| default_data_dir(dev));
    std::path::absolute(&path).map_err(|source| SettingsError::DataDir { path, source })
}

fn default_data_dir(dev: bool) -> PathBuf {
    let home = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")));
    match home {
        Some(home) if dev => home.join("fleet-dev"),
        _ => PathBuf::from("/var/lib/fleet"),
    }
}

/// The first label of the host name, as a node name.
fn host_name() -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().to_ascii_lowercase();
    let first = host.split('.').next().unwrap_or_default();
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = first.chars().map(legal).take(63).collect();
    match name.trim_matches('-') {
        "" => "node".to_owned(),
        name => name.to_owned(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
