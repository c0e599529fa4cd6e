//! The guard: for a while after a promotion the new release is compared with the old one.
//!
//! Two signs speak against it: frontends that fail, more of them than the old release had in the
//! same span of time; and a share of failed answers that is clearly above the old one's. What this
//! leader has not heard speaks for nobody.

use super::{Answers, Load, loading};
use crate::{
    State,
    environment::{Loaded, Slot},
    ids::ServiceName,
    rollout::Rollout,
};

/// Fewer answers say nothing: one failed answer of twenty is 5 %, as much as [`TOLERANCE`].
const ENOUGH: u64 = 20;
/// Percentage points by which the share of failed answers may be above the old release's.
const TOLERANCE: u64 = 5;

/// Why the release that was promoted has to go back, if it has to.
pub(super) fn breach(state: &State, load: &Load, rollout: &Rollout) -> Option<String> {
    let incoming = rollout.incoming_key()?;
    let loaded = state.loaded.get(&incoming)?;
    let tolerated = rollout.roll()?.tolerated as usize;
    let mut failed = failed_since(loaded, rollout);
    failed.sort_by_key(|(_, slot)| slot.last_failure.as_ref().map(|failure| failure.at));
    if failed.len() > tolerated {
        let (service, slot) = failed.last()?;
        let what = loading::failure(service, slot);
        return Some(format!("after it had taken over, {what}"));
    }
    let new = load.answers.get(&incoming)?;
    let old = load.answers.get(&rollout.outgoing_key()?)?;
    worse(*new, *old)
}

fn failed_since<'a>(loaded: &'a Loaded, rollout: &Rollout) -> Vec<(&'a ServiceName, &'a Slot)> {
    if loaded.failures == 0 {
        return Vec::new();
    }
    loaded
        .slots
        .iter()
        .filter(|(_, slot)| {
            let failure = slot.last_failure.as_ref();
            failure.is_some_and(|failure| failure.at >= rollout.since)
        })
        .map(|((service, _), slot)| (service, slot))
        .collect()
}

fn worse(new: Answers, old: Answers) -> Option<String> {
    if new.all < ENOUGH || old.all < ENOUGH {
        return None;
    }
    // Shares as fractions of one denominator, so that nothing is rounded away.
    let (new_failed, old_failed) = (
        u128::from(new.failed) * u128::from(old.all),
        u128::from(old.failed) * u128::from(new.all),
    );
    let both = u128::from(new.all) * u128::from(old.all);
    let above = new_failed.saturating_sub(old_failed) * 100 > both * u128::from(TOLERANCE);
    above.then(|| {
        format!(
            "after it had taken over, {} of its {} answers were errors, of the release before it {} \
             of {}",
            new.failed, new.all, old.failed, old.all
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(failed: u64, all: u64) -> Answers {
        Answers { all, failed }
    }

    #[test]
    fn a_share_clearly_above_the_old_one_is_a_breach() {
        assert!(worse(answers(60, 1000), answers(0, 1000)).is_some());
        assert!(worse(answers(50, 1000), answers(0, 1000)).is_none());
        // As bad as before is no worse.
        assert!(worse(answers(500, 1000), answers(480, 1000)).is_none());
        // Too few to say anything.
        assert!(worse(answers(19, 19), answers(0, 1000)).is_none());
        assert!(worse(answers(500, 1000), answers(0, 19)).is_none());
    }
}
