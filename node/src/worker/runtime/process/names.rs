//! What the holder calls frontends and their steps.

use super::super::{FrontendKey, Step};
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
}
