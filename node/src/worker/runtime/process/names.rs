//! What the holder calls frontends and their steps.

use super::super::{FrontendKey, Step, workshop::BuildKey};
use crate::holder::ProcessId;

pub(super) fn process_id(id: FrontendKey) -> ProcessId {
    named(&format!("f-{id}"))
}

pub(super) fn step_id(id: FrontendKey, step: Step) -> ProcessId {
    let step = match step {
        Step::Init => "init",
        Step::PostStart => "post-start",
        Step::PreStop => "pre-stop",
    };
    named(&format!("f-{id}.{step}"))
}

pub(super) fn build_step_id(key: &BuildKey, number: usize) -> ProcessId {
    named(&format!("b-{key}.{number}"))
}

/// The attempt at a build of which this is a step.
pub(super) fn build_key(id: &ProcessId) -> Option<BuildKey> {
    let (key, _) = id.as_str().strip_prefix("b-")?.split_once('.')?;
    BuildKey::parse(key)
}

fn named(name: &str) -> ProcessId {
    // Letters, digits, dashes and a dot: always a process id.
    ProcessId::parse(name).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The frontend whose main process this is.
pub(super) fn frontend_key(id: &ProcessId) -> Option<FrontendKey> {
    let number = id.as_str().strip_prefix("f-")?;
    number.parse().ok().map(FrontendKey)
}

/// The frontend to which this belongs, as its main process or as a step of it.
pub(super) fn owner(id: &ProcessId) -> Option<FrontendKey> {
    let number = id.as_str().strip_prefix("f-")?;
    let number = number.split('.').next()?;
    number.parse().ok().map(FrontendKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_belong_to_their_frontend_and_are_not_it() {
        let id = FrontendKey(17);
        assert_eq!(frontend_key(&process_id(id)), Some(id));
        assert_eq!(owner(&process_id(id)), Some(id));
        for step in Step::ALL {
            let name = step_id(id, step);
            assert_eq!(
                (frontend_key(&name), owner(&name)),
                (None, Some(id)),
                "{name}"
            );
        }
        assert_eq!(owner(&named("ingress-3")), None);
    }

    #[test]
    fn steps_of_builds_belong_to_no_frontend() {
        let key = BuildKey {
            build: fleet_model::ids::BuildId::from_index(3),
            attempt: 2,
        };
        let name = build_step_id(&key, 11);
        assert_eq!((build_key(&name), owner(&name)), (Some(key), None));
        assert_eq!(build_key(&process_id(FrontendKey(17))), None);
    }
}
