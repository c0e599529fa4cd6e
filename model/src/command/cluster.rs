//! Making the cluster.

use super::{Code, Detail, Rejection, itself};
use crate::{State, event::Kind, state::Cluster};

pub(super) fn init(
    state: &mut State,
    id: String,
    name: String,
    domain: String,
) -> Result<Detail, Rejection> {
    if !state.cluster.id.is_empty() {
        return Err(Rejection::new(
            Code::AlreadyInitialised,
            format!("this is already cluster {}", state.cluster.id),
        ));
    }
    state.record(
        Kind::Cluster,
        &itself(),
        None,
        name.clone(),
        format!("cluster {name} made"),
    );
    state.cluster = Cluster {
        id,
        name,
        domain,
        created: state.now,
        ..Cluster::default()
    };
    // The domain is part of every host name.
    let environments: Vec<_> = state.environments.keys().cloned().collect();
    for environment in &environments {
        state.reroute(environment);
    }
    Ok(Detail::Done)
}
