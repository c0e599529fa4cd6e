//! Which cluster a command speaks to.
//!
//! In this order: `-r NAME`; FLEET_ADDRESSES (with FLEET_TOKEN); FLEET_CONTEXT; the context in
//! use; the daemon of this machine, which gives addresses and the secret to whoever may open its
//! socket. FLEET_TOKEN, where it is set, beats the secret of a context.

mod file;

use std::path::PathBuf;

use fleet_proto::v1::LocalStatusRequest;
use fleet_proto::v1::local_client::LocalClient;

pub(crate) use file::{Context, ContextsFile};

use crate::connection::{self, Target};
use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// Where the daemon of a machine listens unless FLEET_SOCKET says otherwise.
const DEFAULT_SOCKET: &str = "/var/lib/fleet/run/agent.sock";

/// Finds the cluster to speak to.
pub(crate) async fn resolve(
    surroundings: &Surroundings,
    rack: Option<&str>,
) -> Result<Target, Failure> {
    let token = surroundings.variable("FLEET_TOKEN");
    let mut target = match (rack, surroundings.variable("FLEET_ADDRESSES")) {
        (None, Some(addresses)) => {
            let addresses = split(addresses);
            Target {
                addresses,
                token: String::new(),
                ca_fingerprints: Vec::new(),
                app: None,
                origin: "FLEET_ADDRESSES".into(),
            }
        }
        _ => match from_file(surroundings, rack)? {
            Some(target) => target,
            None => from_daemon(surroundings).await?,
        },
    };
    if let Some(token) = token {
        target.token = token.to_owned();
    }
    if let Some(fingerprints) = surroundings.variable("FLEET_CA_FINGERPRINT") {
        target.ca_fingerprints = split(fingerprints);
    }
    if target.addresses.is_empty() {
        return Err(Failure::usage(format!(
            "{} names no address",
            target.origin
        )));
    }
    Ok(target)
}

fn from_file(surroundings: &Surroundings, rack: Option<&str>) -> Result<Option<Target>, Failure> {
    let file = ContextsFile::read(surroundings)?;
    let wanted = rack
        .or_else(|| surroundings.variable("FLEET_CONTEXT"))
        .or_else(|| file.current())
        .map(str::to_owned);
    let Some(name) = wanted else { return Ok(None) };
    let context = file.find(&name)?;
    Ok(Some(Target {
        addresses: context.addresses.clone(),
        token: context.token.clone(),
        ca_fingerprints: context.ca_fingerprints.clone(),
        app: context.app.clone(),
        origin: format!("context {name}"),
    }))
}

/// Asks the daemon of this machine.
pub(crate) async fn from_daemon(surroundings: &Surroundings) -> Result<Target, Failure> {
    let socket = socket_path(surroundings);
    let unknown = "say where the cluster is: fleet context add, or FLEET_ADDRESSES, FLEET_CA_FINGERPRINT and FLEET_TOKEN";
    let channel = connection::unix(&socket)
        .await
        .map_err(|failure| failure.hint(unknown))?;
    let asked = LocalClient::new(channel)
        .status(LocalStatusRequest {})
        .await;
    let status = asked.map_err(|status| Failure::from(&status))?.into_inner();
    if !status.initialised {
        let what = "the node on this machine belongs to no cluster yet";
        return Err(
            Failure::new(crate::exit::Exit::Refused, "NOT_INITIALISED", what)
                .hint("found one: fleet node init; or join one: fleet node join HOST:PORT"),
        );
    }
    Ok(Target {
        addresses: status.addresses,
        token: status.operator_token,
        ca_fingerprints: status.authorities,
        app: None,
        origin: "the daemon of this machine".to_owned(),
    })
}

/// Path of the local daemon's socket: the one that is named, else that of the machine's daemon, else
/// that of `fleetd --dev`, which keeps its data with its user.
pub(crate) fn socket_path(surroundings: &Surroundings) -> PathBuf {
    if let Some(named) = surroundings.variable("FLEET_SOCKET") {
        return PathBuf::from(named);
    }
    let usual = PathBuf::from(DEFAULT_SOCKET);
    match dev_socket(surroundings) {
        Some(dev) if !usual.exists() && dev.exists() => dev,
        _ => usual,
    }
}

fn dev_socket(surroundings: &Surroundings) -> Option<PathBuf> {
    let state = surroundings.variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(surroundings.variable("HOME")?).join(".local/state"));
    Some(state.or_else(home)?.join("fleet-dev/run/agent.sock"))
}

/// Addresses, or fingerprints, between commas or spaces.
fn split(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
