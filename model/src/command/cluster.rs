//! Making the cluster.

use std::sync::Arc;

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

/// More moves a minute than this are a typo.
const MOST_MOVES: u32 = 600;

pub(super) fn set_moves(
    state: &mut State,
    per_minute: u32,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    if per_minute > MOST_MOVES {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("{per_minute} moves a minute are too many: {MOST_MOVES} at most"),
        )
        .hint("0 switches moving off"));
    }
    state.balance.per_minute = per_minute;
    let sentence = match per_minute {
        0 => "frontends do not move to spread better".to_owned(),
        moves => format!("at most {moves} frontends a minute move to spread better"),
    };
    let name = state.cluster.name.clone();
    state.record(Kind::Cluster, actor, None, name, sentence);
    Ok(Detail::Done)
}
