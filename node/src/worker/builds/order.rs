//! What control wants built, in the worker's own words.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use fleet_model::{ids::BuildId, manifest::interpolated};
use fleet_proto::internal as wire;

use crate::worker::{
    assignment::{Artefact, Command, Unusable},
    runtime::workshop::BuildKey,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuildOrder {
    pub(crate) key: BuildKey,
    /// Why it cannot be carried out, if it cannot.
    pub(crate) plan: Result<Plan, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) app: String,
    pub(crate) source: Artefact,
    /// Run one after the other.
    pub(crate) commands: Vec<BuildCommand>,
    /// Date of every file that is made, in seconds since 1970.
    pub(crate) created: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuildCommand {
    pub(crate) service: String,
    /// Inside the source.
    pub(crate) path: PathBuf,
    pub(crate) command: Command,
    pub(crate) arguments: BTreeMap<String, String>,
}

/// Why a build cannot be carried out; the sentence is for its author.
#[derive(Debug, thiserror::Error)]
enum Unbuildable {
    #[error(transparent)]
    Order(#[from] Unusable),
    #[error("build.path {0:?} of {1} leads out of the source")]
    Path(String, String),
}

impl BuildOrder {
    /// `None` for an order without a name: nobody could be answered.
    pub(crate) fn read(wire: wire::BuildOrder) -> Option<Self> {
        let build = BuildId::parse(&wire.build_id)?;
        let attempt = wire.attempt;
        Some(Self {
            key: BuildKey { build, attempt },
            plan: plan(wire).map_err(|error| error.to_string()),
        })
    }
}

fn plan(wire: wire::BuildOrder) -> Result<Plan, Unbuildable> {
    let source = wire.source.ok_or(Unusable::Missing("source"))?;
    let commands = wire.commands.into_iter().map(command);
    Ok(Plan {
        app: wire.app,
        source: source.try_into()?,
        commands: commands.collect::<Result<_, _>>()?,
        created: wire.created_unix_ms / 1_000,
    })
}

fn command(wire: wire::BuildCommand) -> Result<BuildCommand, Unbuildable> {
    let command = wire.command.and_then(|command| command.command);
    let command = command.ok_or(Unusable::Missing("command"))?;
    let outside = || Unbuildable::Path(wire.path.clone(), wire.service.clone());
    let path = inside(Path::new(&wire.path)).ok_or_else(outside)?;
    // Variables belong to releases: a build knows none, and is never told a secret.
    let filled = |value: String| interpolated(&value, |_| None);
    let arguments = wire.arguments.into_iter();
    let arguments: BTreeMap<_, _> = arguments
        .map(|(name, value)| (name, filled(value)))
        .collect();
    crate::worker::assignment::check_variables(&arguments)?;
    Ok(BuildCommand {
        service: wire.service,
        path,
        command: command.into(),
        arguments,
    })
}

/// The same without `.`; `None` if it is absolute or holds `..`.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => clean.push(part),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn order(path: &str, arguments: &[(&str, &str)]) -> BuildOrder {
        let arguments = arguments.iter();
        let command = wire::BuildCommand {
            service: "web".to_owned(),
            path: path.to_owned(),
            command: Some(wire::Command {
                command: Some(wire::command::Command::Line("make".to_owned())),
            }),
            arguments: arguments
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let wire = wire::BuildOrder {
            build_id: BuildId::from_index(1).to_string(),
            attempt: 1,
            app: "shop".to_owned(),
            source: Some(wire::Artefact {
                sha256: "0".repeat(64),
                size_bytes: 1,
                holders: Vec::new(),
            }),
            commands: vec![command],
            created_unix_ms: 1_500,
        };
        BuildOrder::read(wire).unwrap()
    }

    #[test]
    fn a_path_stays_inside_the_source() {
        for (path, clean) in [(".", ""), ("./web/", "web"), ("a/./b", "a/b")] {
            let plan = order(path, &[]).plan.unwrap();
            assert_eq!(plan.commands[0].path, Path::new(clean), "{path}");
            assert_eq!(plan.created, 1);
        }
        for path in ["..", "a/../..", "/etc"] {
            let refusal = order(path, &[]).plan.unwrap_err();
            assert!(refusal.contains("leads out of the source"), "{refusal}");
        }
    }

    #[test]
    fn arguments_are_as_the_manifest_says_and_know_no_variables() {
        let plan = order(".", &[("VERSION", "2"), ("TOKEN", "${TOKEN}")]).plan;
        let arguments = &plan.unwrap().commands[0].arguments;
        assert_eq!((&*arguments["VERSION"], &*arguments["TOKEN"]), ("2", ""));
        assert!(order(".", &[("A=B", "1")]).plan.is_err());
    }
}
