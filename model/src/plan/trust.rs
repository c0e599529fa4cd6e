//! How far the replacement of the authority is.

use super::Draft;
use crate::{State, command::Command, command::TrustChange};

pub(super) fn plan(state: &State, draft: &mut Draft) {
    let Some(rotation) = &state.trust.rotation else {
        return;
    };
    if state.rotation_awaits().is_empty() {
        let from = rotation.stage;
        let advance = TrustChange::Advance { from };
        draft.commands.push(Command::Trust(Box::new(advance)));
    }
}
