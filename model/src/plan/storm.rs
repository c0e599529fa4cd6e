//! Many workers vanish at once: more likely a switch or a power line than the machines themselves.
//!
//! What is left could not carry everything in a second without falling over too, and what vanished
//! together often comes back together. So replacements are made a few at a time until the lost ones
//! are back, or have been away for so long that nobody expects them any more.

use std::fmt;

use super::Draft;
use crate::{
    State, Time,
    node::{Lease, Role},
    report::{Reason, Waiting},
    time::Millis,
};

/// Workers lost within this span are lost together.
pub const TOGETHER: Millis = Millis::seconds(60);

/// For how long after the last of them replacements are limited.
pub const LASTS: Millis = Millis::seconds(600);

/// So many frontends are placed in each [`SPAN`] meanwhile.
pub const REPLACEMENTS: u32 = 10;
pub const SPAN: Millis = Millis::seconds(10);

/// More than a third of the workers were lost together, and are lost still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    pub lost: u32,
    pub workers: u32,
    pub until: Time,
}

impl Storm {
    #[must_use]
    pub fn of(state: &State, now: Time) -> Option<Self> {
        let workers = || state.nodes_with(Role::Worker);
        let known = workers().filter(|node| node.lease != Lease::New).count();
        let lost = workers().filter(|node| node.lease == Lease::Lost);
        let mut moments: Vec<Time> = lost.map(|node| node.lease_since).collect();
        moments.sort_unstable();
        let together = |first: &Time| {
            let within = |at: &&Time| **at >= *first && at.since(*first) <= TOGETHER;
            let last = moments.iter().filter(within).max().copied()?;
            let count = moments.iter().filter(within).count();
            let storm = Self {
                lost: count as u32,
                workers: known as u32,
                until: last.plus(LASTS),
            };
            // One of two is more than a third, and no more than one.
            (count > 1 && 3 * count > known && now < storm.until).then_some(storm)
        };
        moments.iter().filter_map(together).max_by_key(|s| s.until)
    }

    /// When the last of them was lost.
    fn since(&self) -> Time {
        Time(self.until.0.saturating_sub(LASTS.0))
    }

    /// How many frontends may be placed now.
    #[must_use]
    pub fn room(state: &State, now: Time) -> u32 {
        REPLACEMENTS.saturating_sub(recent(state, now).count() as u32)
    }
}

/// When frontends were placed of late.
fn recent(state: &State, now: Time) -> impl Iterator<Item = Time> {
    let placed = state.frontends.values().map(|frontend| frontend.placed);
    placed.filter(move |placed| now.since(*placed) < SPAN)
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, workers, .. } = self;
        write!(
            f,
            "{lost} of {workers} workers were lost within {TOGETHER}: until they are back, for \
             {LASTS} at most, {REPLACEMENTS} frontends are placed every {SPAN}"
        )
    }
}

/// What a storm holds back of a plan.
#[derive(Debug)]
pub(super) struct Restraint {
    storm: Storm,
    room: u32,
    /// When there is more room; `None`: that does not depend on the time.
    next: Option<Time>,
    held_back: u32,
}

impl Restraint {
    pub(super) fn of(state: &State, now: Time) -> Option<Self> {
        Storm::of(state, now).map(|storm| Self {
            storm,
            room: Storm::room(state, now),
            next: recent(state, now).min().map(|placed| placed.plus(SPAN)),
            held_back: 0,
        })
    }

    /// Leaves as many of the missing as there is room for.
    pub(super) fn hold(&mut self, missing: &mut Vec<u32>) {
        let held = missing.split_off(missing.len().min(self.room as usize));
        self.room -= missing.len() as u32;
        self.held_back += held.len() as u32;
    }

    pub(super) fn report(self, draft: &mut Draft) {
        if self.held_back == 0 {
            return;
        }
        draft.wake(self.next.unwrap_or(self.storm.until).min(self.storm.until));
        draft.waiting.push(Waiting {
            environment: None,
            release: None,
            since: self.storm.since(),
            reason: Reason::Storm {
                storm: self.storm,
                held_back: self.held_back,
            },
        });
    }
}
