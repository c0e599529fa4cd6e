//! What metrics tell of table, frontends and releases.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Routes;
use crate::observe::{Names, Sum};
use crate::slot::Connections;

#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) generation: u64,
    /// Since the table in use was applied; none when none ever was.
    pub(crate) table_age: Option<Duration>,
    pub(crate) frontends: u64,
    pub(crate) ejected: u64,
    pub(crate) in_flight: u64,
    /// Requests that wait for another table.
    pub(crate) held: u64,
    /// Those that were asked for anything, in the order of their names.
    pub(crate) releases: Vec<Release>,
    /// Of releases that nobody knows any more.
    pub(crate) former: Sum,
}

#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) names: Names,
    pub(crate) sum: Sum,
    pub(crate) in_flight: u64,
}

impl<C: Connections> Routes<C> {
    /// Reads what metrics tell; takes nothing from reports.
    pub(crate) fn observed(&self, now_ms: u64) -> Observed {
        let mut behind = self.behind();
        behind.ledger.sweep();
        let (mut in_flight, mut ejected) = (BTreeMap::new(), 0);
        for slot in behind.slots.values().chain(&behind.withdrawn) {
            *in_flight.entry(&slot.tally.names).or_insert(0) += slot.in_flight();
            ejected += u64::from(slot.is_ejected(now_ms));
        }
        let releases = behind.ledger.releases().map(|(names, sum)| Release {
            names: names.clone(),
            sum,
            in_flight: in_flight.get(names).copied().unwrap_or_default(),
        });
        Observed {
            generation: behind.spec.generation,
            table_age: behind.applied.map(|applied| applied.elapsed()),
            frontends: behind.slots.len() as u64,
            ejected,
            in_flight: in_flight.values().sum(),
            // Whoever listens for a table waits for it on behalf of a request.
            held: self.changed.receiver_count() as u64,
            releases: releases.collect(),
            former: behind.ledger.former().clone(),
        }
    }
}
