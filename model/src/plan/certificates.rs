//! Which certificates end soon, and whether that was said. The cluster's own is made anew in time and
//! worth no word.

use super::Draft;
use crate::{
    State,
    certificate::SELF_SIGNED,
    command::{CertificateChange, Command},
};

pub(super) fn plan(state: &State, draft: &mut Draft) {
    let uploaded = state
        .certificates
        .values()
        .filter(|certificate| *certificate.name != *SELF_SIGNED);
    for certificate in uploaded {
        if let Some(days) = certificate.warning(draft.now) {
            let warn = CertificateChange::Warn {
                name: certificate.name.clone(),
                days,
                assumed: certificate.generation,
            };
            draft.commands.push(Command::Certificate(Box::new(warn)));
        }
        if let Some(at) = certificate.next_warning(draft.now) {
            draft.wake(at);
        }
    }
}
