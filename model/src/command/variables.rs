//! Variables of environments. Every change makes a release (surface.md B.5).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Code, Detail, Rejection, environment::refuse_if_destroying};
use crate::{
    State,
    event::Kind,
    ids::{EnvironmentKey, ReleaseId},
    reference,
    release::Release,
};

/// surface.md B.3: at most 500 keys.
pub const MOST_VARIABLES: usize = 500;
/// A value larger than this belongs into a file of the artefact; the kernel refuses 128 KiB.
pub const LONGEST_VALUE: usize = 64 * 1024;

pub(super) fn set(
    state: &mut State,
    key: &EnvironmentKey,
    set: &BTreeMap<Arc<str>, Arc<str>>,
    unset: &BTreeSet<Arc<str>>,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?;
    refuse_if_destroying(environment)?;
    check(set, unset)?;
    let mut variables = environment.variables.clone();
    for name in unset {
        if variables.remove(name).is_none() {
            let existing = environment.variables.keys().map(|name| &**name);
            return Err(Rejection::unknown(
                Code::UnknownVariable,
                "variable",
                name,
                existing,
            ));
        }
    }
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for (name, value) in set {
        match variables.insert(name.clone(), value.clone()) {
            None => added.push(&**name),
            Some(before) if before != *value => changed.push(&**name),
            Some(_) => {}
        }
    }
    if variables.len() > MOST_VARIABLES {
        return Err(Rejection::new(
            Code::LimitReached,
            format!(
                "{} variables are more than {MOST_VARIABLES}",
                variables.len()
            ),
        ));
    }
    let removed: Vec<&str> = unset.iter().map(|name| &**name).collect();
    let description = describe(&added, &changed, &removed);
    let forked = environment.newest.clone();
    let build = forked
        .as_ref()
        .and_then(|id| state.releases.get(id))
        .and_then(|r| r.build.clone());
    let forked_inactive = forked.filter(|id| environment.active.as_ref() != Some(id));

    let id = ReleaseId::from_index(state.index);
    let release = Release {
        id: id.clone(),
        environment: key.clone(),
        build,
        variables: variables.clone(),
        description: description.clone(),
        created: state.now,
    };
    state.releases.insert(id.clone(), release);
    let (now, index) = (state.now, state.index);
    if let Some(environment) = state.environments.get_mut(key) {
        environment.variables = variables;
        environment.newest = Some(id.clone());
        environment.updated = now;
        environment.revision = index;
    }
    // Names only: values are secrets.
    state.record(
        Kind::Release,
        actor,
        Some(key),
        id.as_str(),
        description.clone(),
    );
    Ok(Detail::Variables {
        release: id,
        description,
        forked_inactive,
    })
}

/// `env add:A change:B remove:C`, groups in that order, names sorted (surface.md B.2).
fn describe(added: &[&str], changed: &[&str], removed: &[&str]) -> String {
    let groups = [("add", added), ("change", changed), ("remove", removed)];
    let mut description = "env".to_owned();
    for (verb, names) in groups {
        for name in names {
            description.push_str(&format!(" {verb}:{name}"));
        }
    }
    description
}

fn check(set: &BTreeMap<Arc<str>, Arc<str>>, unset: &BTreeSet<Arc<str>>) -> Result<(), Rejection> {
    if set.is_empty() && unset.is_empty() {
        return Err(Rejection::new(Code::InvalidValue, "no variable is named")
            .hint("fleet env set NAME=VALUE"));
    }
    if let Some(name) = set.keys().find(|name| unset.contains(*name)) {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("{name} is both set and unset"),
        ));
    }
    for (name, value) in set {
        if let Some(problem) = name_problem(name) {
            return Err(Rejection::new(
                Code::InvalidName,
                format!("variable name {name:?} {problem}"),
            )
            .hint("letters, digits and underscores, beginning with a letter or an underscore"));
        }
        if value.contains('\0') {
            return Err(Rejection::new(
                Code::InvalidValue,
                format!("the value of {name} holds a NUL byte, which no process can be given"),
            ));
        }
        if value.len() > LONGEST_VALUE {
            return Err(Rejection::new(
                Code::InvalidValue,
                format!(
                    "the value of {name} has {} bytes, {LONGEST_VALUE} at most",
                    value.len()
                ),
            ));
        }
    }
    Ok(())
}

fn name_problem(name: &str) -> Option<&'static str> {
    let first = name.chars().next();
    if first.is_none() {
        Some("is empty")
    } else if first.is_some_and(|c| c.is_ascii_digit())
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        Some("is not the name of a variable")
    } else if name.len() > 255 {
        Some("is too long")
    } else if name.starts_with("LD_") {
        // The loader obeys these before the app has a say.
        Some("belongs to the dynamic loader")
    } else if SYSTEM.contains(&name) {
        Some("is given by fleet itself")
    } else {
        None
    }
}

/// surface.md B.5, the system variables.
pub const SYSTEM: [&str; 7] = [
    "APP",
    "BUILD",
    "BUILD_DESCRIPTION",
    "PORT",
    "RACK",
    "RELEASE",
    "SERVICE",
];
