//! Variables of environments. Every change makes a release (surface.md B.5).

use std::{collections::BTreeSet, sync::Arc};

use super::{Code, Detail, Rejection, VariableChange, environment::refuse_if_destroying, release};
use crate::{State, event::Kind, ids::EnvironmentKey, reference, release::Variables};

/// surface.md B.3: at most 500 keys.
pub const MOST_VARIABLES: usize = 500;
/// A value larger than this belongs into a file of the artefact; the kernel refuses 128 KiB.
pub const LONGEST_VALUE: usize = 64 * 1024;

/// surface.md B.3: at most 500 masked names.
const MOST_MASKED: usize = 500;

pub(super) fn set(
    state: &mut State,
    key: &EnvironmentKey,
    change: &VariableChange,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?;
    refuse_if_destroying(environment)?;
    let VariableChange {
        set,
        unset,
        replace,
        base,
    } = change;
    check(change)?;
    let forked = match base {
        Some(base) => Some(reference::release(state, environment, base)?),
        None => environment.newest.clone(),
    };
    let fork = forked.as_ref().and_then(|id| state.releases.get(id));
    let before = fork.map_or(&environment.variables, |release| &release.variables);
    let mut after = if *replace {
        Variables::new()
    } else {
        before.clone()
    };
    for name in unset {
        if after.remove(name).is_none() {
            let existing = before.keys().map(|name| &**name);
            return Err(Rejection::unknown(
                Code::UnknownVariable,
                "variable",
                name,
                existing,
            ));
        }
    }
    after.extend(
        set.iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if after.len() > MOST_VARIABLES {
        return Err(Rejection::new(
            Code::LimitReached,
            format!("{} variables are more than {MOST_VARIABLES}", after.len()),
        ));
    }
    let description = describe(before, &after);
    let build = fork.and_then(|release| release.build.clone());
    let forked_inactive = forked.filter(|id| environment.active.as_ref() != Some(id));
    let release = release::make(state, key, build, after, description.clone());
    // Names only: values are secrets.
    state.record(
        Kind::Release,
        actor,
        Some(key),
        release.as_str(),
        description.clone(),
    );
    Ok(Detail::Variables {
        release,
        description,
        forked_inactive,
    })
}

/// Masks and unmasks names. A name need not be set: it may be masked before its value is known.
pub(super) fn mask(
    state: &mut State,
    key: &EnvironmentKey,
    set: &BTreeSet<Arc<str>>,
    unset: &BTreeSet<Arc<str>>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?;
    refuse_if_destroying(environment)?;
    let mut masked = environment.masked.clone();
    for name in set {
        if let Some(problem) = name_problem(name) {
            return Err(invalid_name(name, problem));
        }
        masked.insert(name.clone());
    }
    for name in unset {
        if masked.remove(name).is_none() {
            let existing = environment.masked.iter().map(|name| &**name);
            return Err(Rejection::unknown(
                Code::UnknownVariable,
                "masked variable",
                name,
                existing,
            ));
        }
    }
    if masked.len() > MOST_MASKED {
        return Err(Rejection::new(
            Code::LimitReached,
            format!("{} masked names are more than {MOST_MASKED}", masked.len()),
        ));
    }
    let index = state.index;
    if let Some(environment) = state.environments.get_mut(key) {
        environment.masked = masked;
        environment.revision = index;
    }
    Ok(Detail::Done)
}

/// `env add:A change:B remove:C`, groups in that order, names sorted (surface.md B.2).
fn describe(before: &Variables, after: &Variables) -> String {
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let changed = after
        .iter()
        .filter(|(name, value)| before.get(*name).is_some_and(|old| old != *value))
        .map(|(name, _)| name);
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let mut description = "env".to_owned();
    let words = added
        .map(|name| ("add", name))
        .chain(changed.map(|name| ("change", name)))
        .chain(removed.map(|name| ("remove", name)));
    for (verb, name) in words {
        description.push_str(&format!(" {verb}:{name}"));
    }
    description
}

fn check(change: &VariableChange) -> Result<(), Rejection> {
    let VariableChange {
        set,
        unset,
        replace,
        ..
    } = change;
    if set.is_empty() && unset.is_empty() && !replace {
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
            return Err(invalid_name(name, problem));
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

fn invalid_name(name: &str, problem: &str) -> Rejection {
    Rejection::new(
        Code::InvalidName,
        format!("variable name {name:?} {problem}"),
    )
    .hint("letters, digits and underscores, beginning with a letter or an underscore")
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
