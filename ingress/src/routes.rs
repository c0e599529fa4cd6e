//! The table in use, its replacement, and who still uses an older one.
//!
//! # Why a report never hides a request
//!
//! Control stops a withdrawn frontend once a report says "generation N is applied, and this
//! frontend is not busy". So a request that was routed by a table older than N must be visible in
//! the counters that this very report reads. Routing and replacing run at the same time and share
//! no lock, so each does two things in an order that is opposite to the other's:
//!
//! ```text
//! request                                   replacement
//! 1. load the table                         a. store the new table
//! 2. choose, count itself in                b. store its epoch
//! 3. load the epoch; newer than its table?  c. read the counters, report
//!    count itself out, begin anew
//! ```
//!
//! 2, 3, b and c are sequentially consistent, so they have one order that all threads agree on.
//! If 2 comes before c, the report counts the request. Otherwise c comes before 2, hence b before
//! 3: the request sees the new epoch and begins anew with a table at least that new. A request
//! that has passed 3 stays counted until its response is sent or dropped. The count that 2 makes
//! for nothing may show as busy in one report; that only delays, and the next report is right.
//!
//! The same order makes `outdated` exact, which counts per version of an environment's routes.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::load;
use super::observe::Ledger;
use super::pin::{Asked, Choice};
use super::slot::{Connections, FrontendId, Slot};
use super::spec::{Backend, EnvironmentKey, EnvironmentSpec, Spec};
use super::table::{Environment, Kept, Table, unchanged};

#[derive(Debug)]
pub(super) struct Routes<C> {
    pub(super) current: ArcSwap<Table<C>>,
    epoch: AtomicU64,
    /// Wakes requests that wait for a table that can serve them.
    changed: watch::Sender<u64>,
    /// Rung when something ended that control may be waiting for.
    idle: Arc<Notify>,
    behind: Mutex<Behind<C>>,
}

/// What requests never touch.
#[derive(Debug)]
struct Behind<C> {
    spec: Arc<Spec>,
    /// A table was applied; before that, "unknown host" would be a lie.
    known: bool,
    environments: BTreeMap<EnvironmentKey, Arc<Environment<C>>>,
    slots: HashMap<FrontendId, Arc<Slot<C>>>,
    /// Not named by the table any more, with requests in flight or counts not yet reported.
    withdrawn: Vec<Arc<Slot<C>>>,
    superseded: Vec<Arc<Environment<C>>>,
    /// When the table in use was applied.
    applied: Option<Instant>,
    ledger: Ledger,
}

/// What a report tells; see `IngressStatus`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) generation: u64,
    pub(super) busy: Vec<FrontendId>,
    /// Oldest generation that requests in flight were routed by, for environments where it is
    /// not the applied one.
    pub(super) outdated: BTreeMap<EnvironmentKey, u64>,
    pub(super) load: Vec<FrontendLoad>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrontendLoad {
    pub(super) id: FrontendId,
    pub(super) in_flight: u64,
    pub(super) ejected: bool,
    pub(super) counted: load::Delta,
}

impl<C: Connections> Routes<C> {
    pub(super) fn new() -> Self {
        let behind = Behind {
            spec: Arc::default(),
            known: false,
            environments: BTreeMap::new(),
            slots: HashMap::new(),
            withdrawn: Vec::new(),
            superseded: Vec::new(),
            applied: None,
            ledger: Ledger::default(),
        };
        Self {
            current: ArcSwap::from_pointee(Table::empty()),
            epoch: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            idle: Arc::new(Notify::new()),
            behind: Mutex::new(behind),
        }
    }

    /// Routes every request that is chosen from now on by `spec`.
    pub(super) fn apply(&self, spec: Arc<Spec>) {
        let mut behind = self.behind();
        let epoch = self.epoch.load(Ordering::SeqCst) + 1;
        let replaced = behind.replace(&spec);
        let table = Table::index(epoch, behind.environments.values(), Arc::clone(&spec.tls));
        self.current.store(Arc::new(table));
        self.epoch.store(epoch, Ordering::SeqCst);
        // Only now may what was replaced be called idle: nobody enters it any more.
        behind.spec = spec;
        behind.known = true;
        behind.applied = Some(Instant::now());
        behind.retire(replaced);
        behind.ledger.sweep();
        drop(behind);
        self.changed.send_replace(epoch);
    }

    /// Chooses a frontend for a request and counts it in.
    pub(super) fn acquire(&self, asked: &Asked<'_>) -> Choice<C> {
        loop {
            let table = self.current.load();
            let choice = Choice::make(&table, asked, &self.idle);
            if let Choice::Pinned(pin) = &choice
                && self.epoch.load(Ordering::SeqCst) > table.epoch
            {
                tracing::trace!(frontend = pin.slot.id, "table replaced while choosing");
                continue;
            }
            return choice;
        }
    }

    /// Whether a host leads to a frontend, among others, and the version of the routes that says so.
    pub(super) fn leads(
        &self,
        host: &str,
        frontend: FrontendId,
    ) -> (bool, Option<Arc<Environment<C>>>) {
        let table = self.current.load();
        let Some(target) = table.lookup(host) else {
            return (false, None);
        };
        let slots = &target.environment.pools[target.pool];
        let here = slots.iter().any(|slot| slot.id == frontend);
        (here, Some(Arc::clone(&target.environment)))
    }

    /// Whether any table was ever applied.
    pub(super) fn known(&self) -> bool {
        self.behind().known
    }

    /// The spec of the table in use.
    pub(super) fn spec(&self) -> Arc<Spec> {
        Arc::clone(&self.behind().spec)
    }

    /// Tells of every replacement after this call.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns when something ended that control may be waiting for.
    pub(super) async fn something_ended(&self) {
        self.idle.notified().await;
    }

    /// Reads what a report tells. What was counted since the last call is taken.
    pub(super) fn snapshot(&self, now_ms: u64) -> Snapshot {
        let mut behind = self.behind();
        let mut snapshot = behind.in_flight();
        for slot in behind.slots.values().chain(&behind.withdrawn) {
            snapshot.load.extend(FrontendLoad::of(slot, now_ms));
        }
        snapshot.load.sort_unstable_by_key(|load| load.id);
        // A request counts its outcome before it leaves, so the counts of a frontend that was
        // idle at the first look were all there at the second; and nobody enters it any more.
        let busy = &snapshot.busy;
        behind
            .withdrawn
            .retain(|slot| busy.binary_search(&slot.id).is_ok());
        behind
            .superseded
            .retain(|environment| !environment.is_idle());
        snapshot
    }

    /// The same without load; takes nothing.
    pub(super) fn peek(&self) -> Snapshot {
        self.behind().in_flight()
    }

    /// Every frontend whose connections may need care.
    pub(super) fn slots(&self) -> Vec<Arc<Slot<C>>> {
        let behind = self.behind();
        behind
            .slots
            .values()
            .chain(&behind.withdrawn)
            .map(Arc::clone)
            .collect()
    }

    fn behind(&self) -> MutexGuard<'_, Behind<C>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a new spec has no use for.
struct Replaced<C> {
    environments: Vec<Arc<Environment<C>>>,
    slots: Vec<Arc<Slot<C>>>,
}

impl<C: Connections> Behind<C> {
    /// Brings environments and slots in line with `spec`; returns those it leaves behind.
    fn replace(&mut self, spec: &Spec) -> Replaced<C> {
        let mut before = std::mem::take(&mut self.environments);
        let mut slots_before = std::mem::take(&mut self.slots);
        let mut replaced = Replaced {
            environments: Vec::new(),
            slots: Vec::new(),
        };
        for (key, wanted) in &spec.environments {
            let old = before.remove(key);
            let pools = self.pools(key, wanted, &mut slots_before, &mut replaced.slots);
            let version = match old {
                Some(old) if unchanged(&old, spec) => old,
                old => {
                    let kept = old.as_ref().map(|old| old.kept.clone());
                    replaced.environments.extend(old);
                    let kept = kept.unwrap_or_else(Kept::new);
                    let (key, wanted) = (key.clone(), wanted.clone());
                    Arc::new(Environment::new(
                        key,
                        wanted,
                        pools,
                        spec.generation,
                        kept,
                        &mut self.ledger,
                    ))
                }
            };
            self.environments.insert(key.clone(), version);
        }
        replaced.environments.extend(before.into_values());
        replaced.slots.extend(slots_before.into_values());
        replaced
    }

    /// The slots of an environment, kept where the frontend was known before.
    fn pools(
        &mut self,
        key: &EnvironmentKey,
        wanted: &EnvironmentSpec,
        before: &mut HashMap<FrontendId, Arc<Slot<C>>>,
        moved: &mut Vec<Arc<Slot<C>>>,
    ) -> Vec<Vec<Arc<Slot<C>>>> {
        let mut slot = |backend: &Backend| {
            let id = backend.id;
            if let Some(old) = before.remove(&id) {
                if old.is(backend) {
                    self.slots.insert(id, old);
                } else {
                    moved.push(old);
                }
            }
            let slot = self.slots.entry(id).or_insert_with(|| {
                match self.withdrawn.iter().position(|old| old.is(backend)) {
                    Some(index) => self.withdrawn.swap_remove(index),
                    None => {
                        let tally = self.ledger.of(key, wanted.release_of(id));
                        Arc::new(Slot::new(backend, tally))
                    }
                }
            });
            slot.set_withdrawn(false);
            Arc::clone(slot)
        };
        wanted
            .pools
            .iter()
            .map(|pool| pool.backends.iter().map(&mut slot).collect())
            .collect()
    }

    /// Who is in flight where, and by which routes.
    fn in_flight(&self) -> Snapshot {
        let all = self.slots.values().chain(&self.withdrawn);
        let mut busy: Vec<_> = all
            .filter(|slot| slot.in_flight() > 0)
            .map(|slot| slot.id)
            .collect();
        busy.sort_unstable();
        busy.dedup();
        let mut outdated = BTreeMap::new();
        for environment in self
            .superseded
            .iter()
            .filter(|environment| !environment.is_idle())
        {
            let oldest = outdated
                .entry(environment.key.clone())
                .or_insert(environment.since);
            *oldest = environment.since.min(*oldest);
        }
        Snapshot {
            generation: self.spec.generation,
            busy,
            outdated,
            load: Vec::new(),
        }
    }

    /// Marks what nobody enters any more, so that its last request rings.
    fn retire(&mut self, replaced: Replaced<C>) {
        for slot in &replaced.slots {
            slot.set_withdrawn(true);
        }
        for environment in &replaced.environments {
            environment.supersede();
        }
        self.withdrawn.extend(replaced.slots);
        self.superseded.extend(replaced.environments);
        self.superseded.retain(|environment| !environment.is_idle());
    }
}

impl FrontendLoad {
    /// None when there is nothing to tell.
    fn of<C: Connections>(slot: &Slot<C>, now_ms: u64) -> Option<Self> {
        let (in_flight, ejected) = (slot.in_flight(), slot.is_ejected(now_ms));
        let counted = slot.load.take();
        let something = in_flight > 0 || ejected || !counted.is_empty();
        something.then_some(Self {
            id: slot.id,
            in_flight,
            ejected,
            counted,
        })
    }
}

mod observed;

pub(super) use observed::{Observed, Release};

#[cfg(test)]
mod tests;
