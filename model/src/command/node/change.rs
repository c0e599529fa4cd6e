//! What is asked of a node: that it is emptied, votes or not, carries labels, leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{find, forget, plain};
use crate::{
    State,
    command::{Code, Detail, Rejection, build},
    event::Kind,
    ids::NodeId,
    node::{Lease, Node, Role, Vote},
    time::Millis,
};

/// A change of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// Its frontends move elsewhere. After `deadline` they are sent away in any case.
    Drain {
        deadline: Option<Millis>,
    },
    Undrain,
    /// `Always` and `Never` are wishes; the reconciler follows them as soon as that is safe.
    Vote(Vote),
    SetLabels {
        set: BTreeMap<String, String>,
        unset: BTreeSet<String>,
    },
    /// It gives up its part in consensus; removing it comes after.
    Leave,
    /// For good. With `force` also while it is silent and not yet called lost.
    Remove {
        force: bool,
    },
    /// Another machine spoke with its identity, from this boot, and was refused.
    Twin {
        boot: String,
    },
    /// From the planner: its control process has been silent for long, or is heard again.
    Mute(bool),
}

/// How many labels a node may carry, and how long a key or a value may be.
const MOST_LABELS: usize = 64;
const LONGEST_LABEL: usize = 63;

pub(in crate::command) fn change(
    state: &mut State,
    id: NodeId,
    change: NodeChange,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let node = find(state, id)?.clone();
    let sentence = match change {
        NodeChange::Remove { force } => return remove(state, &node, force, actor),
        NodeChange::Drain { deadline } => drain(state, &node, deadline),
        NodeChange::Undrain => undrain(state, &node)?,
        NodeChange::Vote(vote) => {
            let Some(sentence) = wish(state, &node, vote)? else {
                return Ok(Detail::Done);
            };
            sentence
        }
        NodeChange::SetLabels { set, unset } => {
            let Some(sentence) = label(state, &node, set, &unset)? else {
                return Ok(Detail::Done);
            };
            sentence
        }
        NodeChange::Leave => leave(state, &node)?,
        NodeChange::Mute(silent) => mute(state, &node, silent)?,
        NodeChange::Twin { boot } => format!(
            "another machine (boot {boot}) speaks with the identity of node {} and is refused: its \
             disk is a copy; wipe it and let it join: fleet node leave --force, then fleet node join",
            node.name
        ),
    };
    state.record(Kind::Node, actor, None, node.name, sentence);
    Ok(Detail::Done)
}

fn edit(state: &mut State, id: NodeId, edit: impl FnOnce(&mut Node)) {
    let index = state.index;
    if let Some(node) = state.nodes.get_mut(&id) {
        edit(node);
        node.revision = index;
    }
}

fn drain(state: &mut State, node: &Node, deadline: Option<Millis>) -> String {
    let until = deadline.map(|deadline| state.now.plus(deadline));
    edit(state, node.id, |node| {
        node.draining = true;
        // Leaving drains once more; a deadline that was given stands.
        node.drain_until = until.or(node.drain_until);
    });
    let name = &node.name;
    let limit = deadline.map_or_else(String::new, |deadline| {
        format!("; what is left after {deadline} is sent away")
    });
    match state.frontends_on(node.id).count() {
        0 => format!("node {name} is drained: nothing runs there, and nothing will"),
        _ => format!("node {name} is being drained{limit}"),
    }
}

fn undrain(state: &mut State, node: &Node) -> Result<String, Rejection> {
    if node.leaving {
        return Err(Rejection::new(
            Code::InUse,
            format!("node {} is leaving the cluster", node.name),
        )
        .hint("join it again when it has left: fleet node join"));
    }
    edit(state, node.id, |node| {
        node.draining = false;
        node.drain_until = None;
    });
    state.settle_balance();
    Ok(format!("node {} takes frontends again", node.name))
}

/// `None`: nothing changes.
fn wish(state: &mut State, node: &Node, vote: Vote) -> Result<Option<String>, Rejection> {
    let name = &node.name;
    if !node.has(Role::Control) {
        return Err(Rejection::new(
            Code::Unsupported,
            format!("node {name} has not the role control, and only control nodes vote"),
        )
        .hint("join it again with --role control"));
    }
    if node.leaving {
        return Err(Rejection::new(
            Code::InUse,
            format!("node {name} is leaving the cluster"),
        ));
    }
    if vote == Vote::Never && others_that_may_vote(state, node) == 0 {
        return Err(Rejection::new(
            Code::InUse,
            format!("no control node but {name} may vote, and a cluster needs one that does"),
        )
        .hint("join another control node, or promote one: fleet node promote NODE"));
    }
    if node.vote == vote {
        return Ok(None);
    }
    edit(state, node.id, |node| node.vote = vote);
    Ok(Some(match vote {
        Vote::Automatic => format!("node {name} votes as the cluster finds best"),
        Vote::Always => format!("node {name} shall vote before others"),
        Vote::Never => format!("node {name} shall not vote any more; it goes on learning"),
    }))
}

fn others_that_may_vote(state: &State, node: &Node) -> usize {
    let may = |other: &&Node| other.id != node.id && !other.leaving && other.vote != Vote::Never;
    state.nodes_with(Role::Control).filter(may).count()
}

fn label(
    state: &mut State,
    node: &Node,
    set: BTreeMap<String, String>,
    unset: &BTreeSet<String>,
) -> Result<Option<String>, Rejection> {
    let words = set.iter().flat_map(|(key, value)| [key, value]);
    if let Some(odd) = words.into_iter().find(|text| !plain(text, LONGEST_LABEL)) {
        return Err(
            Rejection::new(Code::InvalidValue, format!("{odd:?} is no part of a label"))
                .hint("1 to 63 printable characters without blanks, as zone=a"),
        );
    }
    let mut labels = node.labels.clone();
    labels.retain(|key, _| !unset.contains(key));
    labels.extend(set);
    if labels.len() > MOST_LABELS {
        return Err(Rejection::new(
            Code::LimitReached,
            format!(
                "{} labels are too many: {MOST_LABELS} at most",
                labels.len()
            ),
        ));
    }
    if labels == node.labels {
        return Ok(None);
    }
    let words: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let sentence = match words.is_empty() {
        true => format!("node {} carries no labels", node.name),
        false => format!("node {} carries {}", node.name, words.join(" ")),
    };
    edit(state, node.id, |node| node.labels = labels);
    Ok(Some(sentence))
}

fn leave(state: &mut State, node: &Node) -> Result<String, Rejection> {
    let name = &node.name;
    let others = |other: &&Node| other.id != node.id && !other.leaving;
    if node.has(Role::Control) && state.nodes_with(Role::Control).filter(others).count() == 0 {
        return Err(Rejection::new(
            Code::InUse,
            format!("node {name} is the last control node; with it the cluster would end"),
        )
        .hint("to end the cluster, wipe it all the same: fleet node leave --force"));
    }
    if node.has(Role::Control) && others_that_may_vote(state, node) == 0 {
        return Err(Rejection::new(
            Code::InUse,
            format!("no control node but {name} may vote, and a cluster needs one that does"),
        )
        .hint("promote another first: fleet node promote NODE"));
    }
    edit(state, node.id, |node| {
        node.leaving = true;
        node.draining = true;
    });
    Ok(format!("node {name} is leaving"))
}

fn mute(state: &mut State, node: &Node, silent: bool) -> Result<String, Rejection> {
    let name = &node.name;
    if node.mute.is_some() == silent {
        return Err(Rejection::stale(format_args!("the silence of node {name}")));
    }
    let now = state.now;
    edit(state, node.id, |node| node.mute = silent.then_some(now));
    if !silent {
        return Ok(format!("the control process of node {name} is heard again"));
    }
    // Who takes its place, or that nobody can, is said by whoever changes the voters; here it is
    // enough to say what would help.
    let waits = |other: &&Node| {
        other.id != node.id && !other.leaving && other.mute.is_none() && other.vote != Vote::Never
    };
    let help = match state.nodes_with(Role::Control).filter(waits).count() {
        0 => "no other control node is heard".to_owned(),
        _ => "a control node that waits takes its vote; without one it keeps it: \
              join another, or remove it for good"
            .to_owned(),
    };
    Ok(format!(
        "the control process of node {name} has been silent for {}; {help}",
        crate::node::MUTE_AFTER
    ))
}

/// Forgets a node for good. Its id is never given again, which is what refuses its orders from now
/// on ([`State::was_removed`]).
fn remove(
    state: &mut State,
    node: &Node,
    force: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    refuse_if_in_use(state, node, force)?;
    forget(state, &BTreeSet::from([node.id]));
    build::complete_all(state);
    let sentence = match node.leaving {
        true => format!("node {} left", node.name),
        false => format!("node {} was removed", node.name),
    };
    state.record(Kind::Node, actor, None, node.name.clone(), sentence);
    Ok(Detail::Done)
}

/// A node that may still run something is not removed under it: a suspect one may be back in a
/// second, and only a lost one has nothing left to lose.
fn refuse_if_in_use(state: &State, node: &Node, force: bool) -> Result<(), Rejection> {
    let running = state.frontends_on(node.id).filter(|f| f.is_there()).count();
    let silent = node.lease == Lease::Lost || force && node.lease == Lease::Suspect;
    if running == 0 || silent {
        return Ok(());
    }
    let name = &node.name;
    let rejection = Rejection::new(
        Code::InUse,
        format!("{running} frontends run on node {name}"),
    );
    Err(match node.lease {
        Lease::Suspect => rejection.hint(format!(
            "it is silent and may come back; sure that it does not: fleet node remove {name} --force"
        )),
        _ => rejection.hint(format!("move them first: fleet node drain {name} --wait")),
    })
}
