//! Builds: the release library.

use std::sync::Arc;

use super::{
    Code, Detail, NewBuild, Rejection, environment::refuse_if_destroying, itself, release,
};
use crate::{
    State,
    build::{Build, BuildStatus, BuildStep, LOST_ARTEFACT},
    environment::MOST_FRONTENDS,
    event::Kind,
    ids::{AppName, BuildId, Digest, EnvironmentKey, NodeId},
    manifest::{Manifest, Scale},
    plan::copies,
    reference::{self, unknown_app},
};

pub(super) fn create(
    state: &mut State,
    new: NewBuild,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    if !state.apps.contains_key(&new.app) {
        return Err(unknown_app(state, new.app.as_str()));
    }
    check_name(&new.name)?;
    check_counts(&new.manifest)?;
    if !state.nodes.contains_key(&new.holder) {
        return Err(unknown_node(new.holder));
    }
    let environment = match new.environment {
        None => None,
        Some(name) => {
            let key = EnvironmentKey {
                app: new.app.clone(),
                name,
            };
            refuse_if_destroying(reference::environment(state, &key)?)?;
            Some(key)
        }
    };
    let id = BuildId::from_index(state.index);
    let described = describe(&new.name, &new.message);
    let step = !new.manifest.source_steps().is_empty();
    let build = Build {
        id: id.clone(),
        app: new.app,
        name: new.name.clone(),
        message: new.message,
        digest: new.digest,
        size: new.size,
        manifest: new.manifest,
        status: BuildStatus::Running,
        step: step.then(BuildStep::default),
        log: None,
        holders: imbl::OrdSet::unit(new.holder),
        created: state.now,
        updated: state.now,
        revision: state.index,
    };
    let sentence = format!("release {} created from {} bytes", build.name, build.size);
    state.record(Kind::Build, actor, None, new.name.clone(), sentence);
    let digest = build.digest.clone();
    state.builds.insert(id.clone(), build);
    complete(state, &id);
    revive(state, &digest, new.holder);
    let release = environment.map(|key| {
        let variables = state
            .environments
            .get(&key)
            .map(|environment| environment.variables.clone())
            .unwrap_or_default();
        let description = new.description.unwrap_or(described);
        release::make(state, &key, Some(id.clone()), variables, description)
    });
    Ok(Detail::Build {
        id,
        name: new.name,
        release,
    })
}

/// `build 0a1b2c3d4e my commit message` (surface.md B.2).
pub(super) fn describe(name: &str, message: &str) -> String {
    format!("build {name} {message}").trim_end().to_owned()
}

/// With fewer control nodes fewer copies are enough: builds that waited for more are AVAILABLE now.
pub(super) fn complete_all(state: &mut State) {
    let running: Vec<_> = state
        .builds
        .values()
        .filter(|build| build.status == BuildStatus::Running)
        .map(|build| build.id.clone())
        .collect();
    for id in &running {
        complete(state, id);
    }
}

/// Marks a build AVAILABLE once its artefact is made and enough control nodes hold it.
pub(super) fn complete(state: &mut State, id: &BuildId) {
    let wanted = copies::wanted(state);
    let (now, index) = (state.now, state.index);
    let Some(build) = state.builds.get_mut(id) else {
        return;
    };
    if build.status == BuildStatus::Running && build.step.is_none() && build.holders.len() >= wanted
    {
        build.status = BuildStatus::Complete;
        build.updated = now;
        build.revision = index;
        let name = build.name.clone();
        state.record(
            Kind::Build,
            &itself(),
            None,
            name.clone(),
            format!("release {name} is available"),
        );
    }
}

/// Builds that had lost their artefact wait for copies again, now that there is one.
fn revive(state: &mut State, digest: &Digest, holder: NodeId) {
    let lost = |build: &&Build| {
        build.digest == *digest
            && matches!(&build.status, BuildStatus::Failed { reason } if reason == LOST_ARTEFACT)
    };
    let ids: Vec<_> = state
        .builds
        .values()
        .filter(lost)
        .map(|b| b.id.clone())
        .collect();
    for id in &ids {
        if let Some(build) = state.builds.get_mut(id) {
            build.status = BuildStatus::Running;
            build.holders.insert(holder);
            build.revision = state.index;
        }
        complete(state, id);
    }
}

pub(super) fn record_copy(
    state: &mut State,
    digest: &Digest,
    node: NodeId,
) -> Result<Detail, Rejection> {
    if !state.nodes.contains_key(&node) {
        return Err(unknown_node(node));
    }
    let index = state.index;
    let ids: Vec<_> = state
        .builds
        .values()
        .filter(|b| b.digest == *digest || b.log.as_ref().is_some_and(|log| log.digest == *digest))
        .map(|b| b.id.clone())
        .collect();
    revive(state, digest, node);
    for id in &ids {
        if let Some(build) = state.builds.get_mut(id) {
            if build.digest == *digest {
                build.holders.insert(node);
            }
            if let Some(log) = build.log.as_mut().filter(|log| log.digest == *digest) {
                log.holders.insert(node);
            }
            build.revision = index;
        }
        complete(state, id);
    }
    Ok(Detail::Batch {
        applied: ids.len() as u32,
        stale: 0,
    })
}

pub(super) fn destroy(
    state: &mut State,
    app: &AppName,
    asked: &str,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    if !state.apps.contains_key(app) {
        return Err(unknown_app(state, app.as_str()));
    }
    let build = reference::build(state, app, asked)?.clone();
    let holder = state
        .loaded
        .iter()
        .find(|(_, loaded)| loaded.build == build.id);
    if let Some((key, loaded)) = holder {
        return Err(Rejection::new(
            Code::InUse,
            format!(
                "release {} is loaded in environment {}",
                build.name, key.environment.name
            ),
        )
        .hint(format!(
            "unload it first: fleet env {} unload {} -a {app}",
            key.environment.name, loaded.name
        )));
    }
    state.builds.remove(&build.id);
    // Releases made of it can never be loaded again; the newest of an environment stays, because
    // the next change of variables forks it.
    let kept: Vec<_> = state
        .environments_of(app)
        .filter_map(|e| e.newest.clone())
        .collect();
    let dead: Vec<_> = state
        .releases
        .values()
        .filter(|r| r.build.as_ref() == Some(&build.id) && !kept.contains(&r.id))
        .map(|r| r.id.clone())
        .collect();
    for release in dead {
        state.releases.remove(&release);
    }
    state.record(
        Kind::Build,
        actor,
        None,
        build.name.clone(),
        format!("release {} destroyed", build.name),
    );
    Ok(Detail::Build {
        id: build.id,
        name: build.name,
        release: None,
    })
}

/// A manifest that pins its counts says them as a range that holds its count, and one that a
/// planner can walk.
fn check_counts(manifest: &Manifest) -> Result<(), Rejection> {
    for (name, service) in &manifest.services {
        let Some(Scale { count, min, max }) = service.scale else {
            continue;
        };
        if min > count || count > max || max > MOST_FRONTENDS {
            return Err(Rejection::new(
                Code::InvalidValue,
                format!("service {name} is scaled to {count} within {min} to {max}"),
            )
            .hint(format!(
                "min <= count <= max <= {MOST_FRONTENDS} in the manifest's services.{name}.scale"
            )));
        }
    }
    Ok(())
}

pub(super) fn unknown_node(node: NodeId) -> Rejection {
    Rejection::new(Code::UnknownNode, format!("there is no node {node}"))
}

/// A build's name becomes part of host names.
fn check_name(name: &str) -> Result<(), Rejection> {
    let fits = (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !matches!(name, "active" | "previous");
    if fits {
        return Ok(());
    }
    Err(
        Rejection::new(Code::InvalidName, format!("{name:?} cannot name a release"))
            .hint("lowercase letters, digits and dashes, 40 at most, as in 8ef9d2f"),
    )
}
