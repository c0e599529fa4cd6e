//! What is counted of the frontends of one service of one loaded release.
//!
//! Derived from the frontends and kept with them, so that the planner looks at what is out of order
//! and not at every frontend each time it is asked.

use imbl::{OrdMap, OrdSet};

use crate::{
    frontend::{Desired, Frontend, Phase},
    ids::FrontendId,
};

/// Frontends of one service of one loaded release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The wanted ones, by slot.
    slots: OrdMap<u32, OrdSet<FrontendId>>,
    /// Slots whose wanted frontend is neither healthy nor on its way there, or not alone.
    unsettled: OrdSet<u32>,
    /// Wanted ones that are not healthy, and whether they are on their way.
    ailing: OrdMap<FrontendId, bool>,
    /// All there are, whatever is wanted of them.
    members: u32,
    there: u32,
    kept: u32,
    healthy: u32,
}

impl Group {
    pub(super) fn add(&mut self, frontend: &Frontend) {
        self.members += 1;
        self.there += u32::from(frontend.is_there());
        self.healthy += u32::from(frontend.healthy());
        if frontend.desired != Desired::Run {
            return;
        }
        self.kept += u32::from(frontend.is_there());
        self.slots
            .entry(frontend.slot)
            .or_default()
            .insert(frontend.id);
        if frontend.observed.phase != Phase::Healthy {
            let on_its_way = frontend.observed.phase < Phase::Healthy;
            self.ailing.insert(frontend.id, on_its_way);
        }
        self.judge(frontend.slot);
    }

    pub(super) fn remove(&mut self, frontend: &Frontend) {
        self.members -= 1;
        self.there -= u32::from(frontend.is_there());
        self.healthy -= u32::from(frontend.healthy());
        if frontend.desired != Desired::Run {
            return;
        }
        self.kept -= u32::from(frontend.is_there());
        if let Some(held) = self.slots.get_mut(&frontend.slot) {
            held.remove(&frontend.id);
            if held.is_empty() {
                self.slots.remove(&frontend.slot);
            }
        }
        self.ailing.remove(&frontend.id);
        self.judge(frontend.slot);
    }

    fn judge(&mut self, slot: u32) {
        let settled = self.slots.get(&slot).is_none_or(|held| {
            let calm = |id: &FrontendId| self.ailing.get(id).is_none_or(|on_its_way| *on_its_way);
            held.len() == 1 && held.iter().all(calm)
        });
        if settled {
            self.unsettled.remove(&slot);
        } else {
            self.unsettled.insert(slot);
        }
    }

    /// Neither over nor lost.
    #[must_use]
    pub fn there(&self) -> u32 {
        self.there
    }

    /// Of those that are there, the wanted ones.
    #[must_use]
    pub fn kept(&self) -> u32 {
        self.kept
    }

    /// Wanted and healthy.
    #[must_use]
    pub fn healthy(&self) -> u32 {
        self.healthy
    }

    /// Wanted frontends in a slot.
    pub fn in_slot(&self, slot: u32) -> impl Iterator<Item = FrontendId> {
        self.slots.get(&slot).into_iter().flatten().copied()
    }

    /// Those that are wanted and healthy, by slot.
    pub fn ready(&self) -> impl Iterator<Item = FrontendId> {
        let wanted = self.slots.values().flatten().copied();
        wanted.filter(|id| !self.ailing.contains_key(id))
    }

    /// Slots that hold wanted frontends.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.slots.keys().copied()
    }

    /// Wanted ones that are not healthy, oldest first.
    pub fn ailing(&self) -> impl Iterator<Item = FrontendId> {
        self.ailing.keys().copied()
    }

    /// Slots with something to look at, in order.
    pub fn unsettled(&self) -> impl Iterator<Item = u32> {
        self.unsettled.iter().copied()
    }

    /// Slots beyond `wanted` that hold wanted frontends, in order.
    pub fn beyond(&self, wanted: u32) -> impl DoubleEndedIterator<Item = u32> {
        self.slots.range(wanted + 1..).map(|(slot, _)| *slot)
    }

    /// Slots from 1 to `wanted` that hold none, in order. Costs what is missing where slots are
    /// filled from the first on, as they mostly are.
    #[must_use]
    pub fn vacant(&self, wanted: u32) -> Vec<u32> {
        let beyond = self.beyond(wanted).count();
        let held = (self.slots.len() - beyond) as u32;
        if held == wanted {
            return Vec::new();
        }
        let last = self.slots.range(..=wanted).next_back();
        let last = last.map_or(0, |(slot, _)| *slot);
        if last == held {
            return (held + 1..=wanted).collect();
        }
        (1..=wanted)
            .filter(|slot| !self.slots.contains_key(slot))
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members == 0
    }
}
