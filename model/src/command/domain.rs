//! Host names of a service's own: no two environments answer at the same.

use super::{Code, Rejection};
use crate::{
    State,
    ids::{EnvironmentKey, ReleaseId, ServiceName},
    manifest::Manifest,
};

/// Refuses a manifest whose services cannot all answer at their domains in this environment.
///
/// A domain belongs to an environment while a release there answers at it, or is about to, or may
/// still be returned to. A name that is longer than another's wildcard is no conflict: the longer
/// one answers.
pub(super) fn refuse_if_taken(
    state: &State,
    key: &EnvironmentKey,
    manifest: &Manifest,
) -> Result<(), Rejection> {
    let wanted: Vec<_> = domains(manifest).collect();
    for (index, (service, domain)) in wanted.iter().enumerate() {
        let twin = wanted[..index]
            .iter()
            .find(|(_, earlier)| earlier == domain);
        if let Some((first, _)) = twin.filter(|(first, _)| first != service) {
            let sentence = format!("domain {domain} is that of service {first} and of {service}");
            return Err(Rejection::new(Code::InvalidValue, sentence)
                .hint("give it to one of them in the manifest"));
        }
        if is_ours(state, domain) {
            let ours = &state.cluster.domain;
            let sentence = format!(
                "domain {domain} of service {service} is {ours} or lies below it, where fleet \
                 itself gives the names"
            );
            return Err(Rejection::new(Code::InvalidValue, sentence)
                .hint("leave it out: each service has a name there already"));
        }
        if let Some(holder) = holder(state, key, domain) {
            return Err(taken(domain, service, holder));
        }
    }
    Ok(())
}

fn taken(domain: &str, service: &ServiceName, holder: &EnvironmentKey) -> Rejection {
    let EnvironmentKey { app, name } = holder;
    Rejection::new(
        Code::InUse,
        format!("domain {domain} of service {service} belongs to environment {name} of {app}"),
    )
    .hint(format!(
        "write ${{DOMAIN}} in the manifest and set it to another in each environment, or free it: \
         fleet env deactivate {name} -a {app}"
    ))
}

/// The other environment that answers at a domain.
fn holder<'a>(state: &'a State, key: &EnvironmentKey, domain: &str) -> Option<&'a EnvironmentKey> {
    let others = state
        .environments
        .values()
        .filter(|other| other.key != *key);
    others
        .filter(|other| {
            let rollout = state.rollouts.get(&other.key);
            let rolling = rollout.into_iter().filter(|rollout| !rollout.phase.over());
            let standing: Vec<&ReleaseId> = rolling
                .flat_map(|rollout| rollout.incoming.iter().chain(&rollout.outgoing))
                .chain(&other.active)
                .collect();
            state
                .loaded_in(&other.key)
                .filter(|(loaded, _)| standing.contains(&&loaded.release))
                .any(|(_, loaded)| domains(&loaded.manifest).any(|(_, theirs)| theirs == domain))
        })
        .map(|other| &other.key)
        .next()
}

fn domains(manifest: &Manifest) -> impl Iterator<Item = (&ServiceName, &String)> {
    let public = manifest
        .services
        .iter()
        .filter(|(_, service)| service.public());
    public.flat_map(|(name, service)| service.domains.iter().map(move |domain| (name, domain)))
}

fn is_ours(state: &State, domain: &str) -> bool {
    let name = domain.strip_prefix("*.").unwrap_or(domain);
    let below = name.strip_suffix(state.cluster.domain.as_str());
    below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
