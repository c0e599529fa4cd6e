//! What people type for a release, resolved against the committed state.
//!
//! Shapes are disjoint (surface.md D): `R` and uppercase letters, lowercase hex, `active`,
//! `previous`, or the name a loaded release has in its environment (`8ef9d2f-2`).

use crate::{
    State,
    build::{Build, BuildStatus},
    command::{Code, Rejection, builds_newest_first},
    environment::{Environment, Previous},
    ids::{AppName, EnvironmentKey, LoadedKey, ReleaseId},
};

/// An environment that exists.
pub fn environment<'a>(
    state: &'a State,
    key: &EnvironmentKey,
) -> Result<&'a Environment, Rejection> {
    if !state.apps.contains_key(&key.app) {
        return Err(unknown_app(state, key.app.as_str()));
    }
    state.environments.get(key).ok_or_else(|| {
        let names = state
            .environments_of(&key.app)
            .map(|environment| environment.key.name.as_str());
        Rejection::unknown(
            Code::UnknownEnvironment,
            &format!("environment of {}", key.app),
            key.name.as_str(),
            names,
        )
        .hint_if_none(format!("list them: fleet env list -a {}", key.app))
    })
}

/// The rejection for an app that does not exist.
#[must_use]
pub fn unknown_app(state: &State, name: &str) -> Rejection {
    Rejection::unknown(
        Code::UnknownApp,
        "app",
        name,
        state.apps.keys().map(AppName::as_str),
    )
    .hint_if_none(format!("create it: fleet apps create {name}"))
}

/// The one release loaded in `environment` that `reference` means.
pub fn loaded(
    state: &State,
    environment: &Environment,
    reference: &str,
) -> Result<LoadedKey, Rejection> {
    let key = &environment.key;
    let here = |release: &ReleaseId| LoadedKey {
        environment: key.clone(),
        release: release.clone(),
    };
    match reference {
        "active" => {
            return environment.active.as_ref().map(here).ok_or_else(|| {
                Rejection::new(
                    Code::NothingActive,
                    format!("no release is active in {}", key.name),
                )
                .hint(format!(
                    "activate one: fleet env {} activate RELEASE",
                    key.name
                ))
            });
        }
        "previous" => {
            return match &environment.previous {
                Previous::Release(release) if state.loaded.contains_key(&here(release)) => {
                    Ok(here(release))
                }
                Previous::Release(release) => Err(not_loaded(state, environment, release.as_str())),
                Previous::None | Previous::Never => Err(Rejection::new(
                    Code::UnknownRelease,
                    format!("{} has no previous release", key.name),
                )),
            };
        }
        _ => {}
    }
    let matching: Vec<_> = state
        .loaded_in(key)
        .filter(|(loaded_key, loaded)| {
            loaded.name == reference
                || loaded_key.release.as_str() == reference
                || is_hex(reference) && stem(&loaded.name).starts_with(reference)
        })
        .collect();
    // `8ef9d2f` beside `8ef9d2f-2`: the bare name could mean both, so it is refused; only a name
    // with its suffix or the release id is exact.
    let exact = |(loaded_key, loaded): &&(&LoadedKey, &crate::environment::Loaded)| {
        loaded_key.release.as_str() == reference
            || loaded.name == reference && loaded.name != stem(&loaded.name)
    };
    match (matching.iter().find(exact), matching.as_slice()) {
        (Some((loaded_key, _)), _) | (None, [(loaded_key, _)]) => Ok((*loaded_key).clone()),
        (None, []) => Err(not_loaded(state, environment, reference)),
        (None, several) => Err(ambiguous(
            reference,
            several
                .iter()
                .map(|(k, l)| format!("{} ({})", l.name, k.release))
                .collect(),
        )),
    }
}

/// What `load` is given: a release of the environment by id, or the newest build by git name.
#[derive(Debug)]
pub enum Loadable<'a> {
    Release(ReleaseId),
    Build(&'a Build),
}

/// Finds what `reference` means to `load`.
pub fn loadable<'a>(
    state: &'a State,
    environment: &'a Environment,
    reference: &str,
) -> Result<Loadable<'a>, Rejection> {
    if let Some(id) = ReleaseId::parse(reference) {
        return match state.releases.get(&id) {
            Some(release) if release.environment == environment.key => Ok(Loadable::Release(id)),
            _ => Err(Rejection::new(
                Code::UnknownRelease,
                format!(
                    "there is no release {reference} in {}",
                    environment.key.name
                ),
            )
            .hint(format!(
                "list what can be loaded: fleet release list -a {}",
                environment.key.app
            ))),
        };
    }
    let build = build(state, &environment.key.app, reference)?;
    available(build)?;
    Ok(Loadable::Build(build))
}

/// Refuses a build that cannot be run, or not yet.
pub fn available(build: &Build) -> Result<(), Rejection> {
    match &build.status {
        BuildStatus::Complete => Ok(()),
        BuildStatus::Running => Err(Rejection::new(
            Code::BuildNotAvailable,
            format!("release {} is still CREATING", build.name),
        )
        .hint(format!(
            "wait until it is AVAILABLE: fleet release list -a {}",
            build.app
        ))),
        BuildStatus::Failed { reason } => Err(Rejection::new(
            Code::BuildNotAvailable,
            format!("release {} FAILED: {reason}", build.name),
        )
        .hint("a failed release is not repaired: fix the code and create a new one")),
    }
}

/// The release of `environment` that `reference` means: by id, `active`, `previous`, or the newest
/// one made of the build of that name.
pub fn release(
    state: &State,
    environment: &Environment,
    reference: &str,
) -> Result<ReleaseId, Rejection> {
    let key = &environment.key;
    let none = |what: &str| {
        Rejection::new(
            Code::UnknownRelease,
            format!("{} has no {what} release", key.name),
        )
    };
    match reference {
        "active" => environment.active.clone().ok_or_else(|| none("active")),
        "previous" => match &environment.previous {
            Previous::Release(release) if state.releases.contains_key(release) => {
                Ok(release.clone())
            }
            _ => Err(none("previous")),
        },
        _ => match loadable(state, environment, reference)? {
            Loadable::Release(id) => Ok(id),
            Loadable::Build(build) => state
                .releases
                .values()
                .filter(|r| r.environment == *key && r.build.as_ref() == Some(&build.id))
                .max_by_key(|r| (r.created, r.id.clone()))
                .map(|r| r.id.clone())
                .ok_or_else(|| {
                    Rejection::new(
                        Code::UnknownRelease,
                        format!("{} was never released in {}", build.name, key.name),
                    )
                    .hint(format!(
                        "promote it: fleet releases promote {} -a {}",
                        build.name, key.app
                    ))
                }),
        },
    }
}

/// The newest usable build `reference` means; two commits that share the prefix are ambiguous.
pub fn build<'a>(
    state: &'a State,
    app: &'a AppName,
    reference: &str,
) -> Result<&'a Build, Rejection> {
    let builds = builds_newest_first(state, app);
    let matching: Vec<&Build> = builds
        .iter()
        .copied()
        .filter(|b| {
            b.id.as_str() == reference
                || b.name == reference
                || is_hex(reference) && b.name.starts_with(reference)
        })
        .collect();
    let mut names: Vec<&str> = matching.iter().map(|b| b.name.as_str()).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    if names.len() > 1 && !names.contains(&reference) {
        let described = matching
            .iter()
            .map(|b| format!("{} ({})", b.name, b.message))
            .collect();
        return Err(ambiguous(reference, described));
    }
    let usable = |b: &&&Build| b.status == BuildStatus::Complete;
    matching
        .iter()
        .find(usable)
        .or(matching.first())
        .copied()
        .ok_or_else(|| {
            let existing = builds.iter().map(|b| b.name.as_str());
            Rejection::unknown(
                Code::UnknownRelease,
                &format!("release of {app}"),
                reference,
                existing,
            )
            .hint_if_none(format!(
                "create it: fleet release create {reference} -a {app}"
            ))
        })
}

fn not_loaded(state: &State, environment: &Environment, reference: &str) -> Rejection {
    let key = &environment.key;
    match loadable(state, environment, reference) {
        Ok(_) => Rejection::new(
            Code::NotLoaded,
            format!("release {reference} is not loaded in {}", key.name),
        )
        .hint(format!(
            "load it first: fleet env {} load {reference} -a {}",
            key.name, key.app
        )),
        Err(rejection) => rejection,
    }
}

fn ambiguous(reference: &str, candidates: Vec<String>) -> Rejection {
    Rejection::new(
        Code::Ambiguous,
        format!("{reference:?} could mean {}", candidates.join(" or ")),
    )
    .hint("give more of the name, or the release id")
    .candidates(candidates)
}

/// The build's part of a loaded release's name: `8ef9d2f` of `8ef9d2f-2`.
fn stem(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, number)) if number.bytes().all(|b| b.is_ascii_digit()) => stem,
        _ => name,
    }
}

fn is_hex(text: &str) -> bool {
    text.len() >= 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Rejection {
    fn hint_if_none(mut self, hint: String) -> Self {
        self.hint.get_or_insert(hint);
        self
    }
}

/// Up to three existing names nearest to what was asked, none farther than a third of its length
/// in edits (F. J. Damerau, 1964, as optimal string alignment).
pub fn nearest<'a>(asked: &str, existing: impl Iterator<Item = &'a str>) -> Vec<String> {
    let reach = (asked.chars().count() / 3).max(1);
    let mut ranked: Vec<(usize, &str)> = existing
        .map(|name| (distance(asked, name), name))
        .filter(|(distance, name)| {
            *distance <= reach || asked.len() >= 3 && name.starts_with(asked)
        })
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Edits between two names; two neighbours that changed places are one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_are_near() {
        let names = ["prod", "staging", "preview"];
        assert_eq!(nearest("prdo", names.into_iter()), ["prod"]);
        assert_eq!(nearest("prd", names.into_iter()), ["prod"]);
        assert_eq!(nearest("stagin", names.into_iter()), ["staging"]);
        assert!(nearest("database", names.into_iter()).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_stem_of_a_loaded_name_is_its_build() {
        assert_eq!(stem("8ef9d2f-2"), "8ef9d2f");
        assert_eq!(stem("8ef9d2f"), "8ef9d2f");
        assert_eq!(stem("my-dir"), "my-dir");
    }
}
