//! Everything the worker knows, and what it wants to do about it. Pure: orders, outcomes and time
//! go in; actions come out, to be carried out by somebody else once the book is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet_model::ids::{Digest, FrontendId};
use fleet_proto::stored;
use tokio::time::Instant;

use super::exit::Exit;
use super::frontend::Frontend;
use super::next::{Action, Next, Wanted};
use super::observed::{Observed, Phase};
use super::resume::{Found, resume};
use super::stage::{Outcome, Stage};
use crate::clock::Now;
use crate::worker::order::{Change, Fence, Item, Order};

/// Reported state of every frontend, cheap to hand around.
pub(crate) type Census = Arc<BTreeMap<FrontendId, Arc<Observed>>>;

#[derive(Debug)]
pub(crate) struct Book {
    host: String,
    obeyed: Fence,
    frontends: BTreeMap<FrontendId, Frontend>,
    /// Assignments that could not be read; reported, never acted upon.
    unusable: BTreeMap<FrontendId, Arc<Observed>>,
    /// Found by the runtime, in no ledger and in no order yet.
    strays: BTreeMap<FrontendId, Found>,
    /// Strays that the first full order did not name either.
    orphans: Vec<FrontendId>,
    census: BTreeMap<FrontendId, Arc<Observed>>,
    /// Until when singletons may be started; unknown before control confirms this node.
    tenure: Option<Instant>,
    dirty: bool,
}

/// The order came from a leader that has been replaced, or was overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "order of term {} index {} refused: term {} index {} was obeyed already",
    order.term, order.index, obeyed.term, obeyed.index
)]
pub(crate) struct Refused {
    pub(crate) order: Fence,
    pub(crate) obeyed: Fence,
}

impl Book {
    /// `host` is where frontends of this node are reached.
    pub(crate) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            obeyed: Fence::default(),
            frontends: BTreeMap::new(),
            unusable: BTreeMap::new(),
            strays: BTreeMap::new(),
            orphans: Vec::new(),
            census: BTreeMap::new(),
            tenure: None,
            dirty: false,
        }
    }

    /// What an earlier agent wrote down, brought up to date by what is found running.
    pub(crate) fn resume(
        host: &str,
        ledger: stored::WorkerLedger,
        mut found: BTreeMap<FrontendId, Found>,
        same_boot: bool,
        now: Now,
    ) -> Self {
        let mut book = Self::new(host);
        book.obeyed = ledger.obeyed.map(Fence::from).unwrap_or_default();
        for entry in ledger.frontends {
            let id = entry
                .assignment
                .as_ref()
                .map(|assignment| FrontendId(assignment.frontend_id));
            let found = id.and_then(|id| found.remove(&id));
            match resume(entry, found, same_boot, now) {
                Ok(frontend) => {
                    book.frontends.insert(frontend.assignment.id, frontend);
                }
                Err(error) => {
                    tracing::error!(?id, %error, "a frontend of the ledger is unreadable")
                }
            }
        }
        book.strays = found;
        for id in book.frontends.keys().copied().collect::<Vec<_>>() {
            book.refresh(id);
        }
        book.dirty = true;
        book
    }

    pub(crate) fn obeyed(&self) -> Fence {
        self.obeyed
    }

    /// Takes an order over, unless a later one was obeyed.
    pub(crate) fn obey(&mut self, order: Order, now: Now) -> Result<(), Refused> {
        if order.fence < self.obeyed {
            return Err(Refused {
                order: order.fence,
                obeyed: self.obeyed,
            });
        }
        self.dirty |= order.fence != self.obeyed && order.change != Change::None;
        self.obeyed = order.fence;
        let index = order.fence.index;
        match order.change {
            Change::None => {}
            Change::Full(items) => {
                let named: BTreeSet<_> = items.iter().map(Item::id).collect();
                let forgotten = |id: &&FrontendId| !named.contains(id);
                let known = self.frontends.keys().chain(self.unusable.keys());
                let removals: Vec<_> = known.filter(forgotten).copied().collect();
                self.upsert(items, index, now);
                self.remove(&removals, index);
                self.orphans
                    .extend(std::mem::take(&mut self.strays).into_keys());
            }
            Change::Delta { upserts, removals } => {
                self.upsert(upserts, index, now);
                self.remove(&removals, index);
            }
        }
        Ok(())
    }

    /// Decides, for every frontend, on one step at most, and notes it as begun.
    pub(crate) fn turn(&mut self, now: Now) -> Vec<(FrontendId, Action)> {
        let mut actions = Vec::new();
        for id in self.frontends.keys().copied().collect::<Vec<_>>() {
            let Some(frontend) = self.frontends.get_mut(&id) else {
                continue;
            };
            match frontend.next(self.tenure, now) {
                Next::Do(action) => {
                    frontend.begin(&action, now);
                    // What is about to be started must be on disk first; a probe need not be.
                    self.dirty |= matches!(action, Action::Init | Action::Start);
                    actions.push((id, action));
                }
                Next::Forget => {
                    self.frontends.remove(&id);
                    self.dirty = true;
                }
                Next::Until(_) | Next::Rest => continue,
            }
            self.refresh(id);
        }
        actions
    }

    /// Whether another turn could do something now, and otherwise from when on.
    pub(crate) fn next_wake(&self, now: Now) -> Option<Instant> {
        let wake = |frontend: &Frontend| match frontend.next(self.tenure, now) {
            Next::Do(_) | Next::Forget => Some(now.instant),
            Next::Until(at) => Some(at),
            Next::Rest => None,
        };
        self.frontends.values().filter_map(wake).min()
    }

    /// Notes what became of an action, or what happened by itself.
    pub(crate) fn learn(&mut self, id: FrontendId, outcome: Outcome, now: Now) {
        let Some(frontend) = self.frontends.get_mut(&id) else {
            return;
        };
        frontend.learn(outcome, now);
        self.refresh(id);
    }

    /// Compares with everything the runtime knew at `asked_at`: whatever it no longer knows has
    /// ended without anybody seeing how.
    pub(crate) fn reconcile(
        &mut self,
        found: &BTreeMap<FrontendId, Found>,
        asked_at: Instant,
        now: Now,
    ) {
        let mut ended = Vec::new();
        for (id, frontend) in &self.frontends {
            match (frontend.stage(), found.get(id)) {
                // Starting is answered by its start, and one started after the question was put
                // is rightly missing from the answer.
                (Stage::Starting { .. } | Stage::Initialising { .. }, _) => {}
                (stage, None) if stage.known_since().is_some_and(|since| since >= asked_at) => {}
                (stage, None) if stage.start_asked() => ended.push((*id, Exit::default())),
                (_, Some(Found::Exited(exit))) => ended.push((*id, exit.clone())),
                (_, Some(Found::Running { .. }) | None) => {}
            }
        }
        for (id, exit) in ended {
            self.learn(id, Outcome::Exited(exit), now);
        }
    }

    /// Control confirmed this node, and the runtime lets singletons run until then.
    pub(crate) fn renew(&mut self, until: Instant) {
        self.tenure = self.tenure.max(Some(until));
    }

    /// Whether there is anything that runs only while control confirms this node.
    pub(crate) fn has_singletons(&self) -> bool {
        let ended = |frontend: &Frontend| frontend.stage().end().is_some();
        self.frontends
            .values()
            .any(|frontend| frontend.assignment.singleton && !ended(frontend))
    }

    /// Frontends with a process that nobody asked for; each is returned once.
    pub(crate) fn take_orphans(&mut self) -> Vec<FrontendId> {
        std::mem::take(&mut self.orphans)
    }

    /// Gives a frontend that is being started its port.
    pub(crate) fn give_port(&mut self, id: FrontendId, port: u16) {
        if let Some(frontend) = self.frontends.get_mut(&id) {
            frontend.port = Some(port);
            self.dirty = true;
            self.refresh(id);
        }
    }

    /// Ports of frontends that have not ended.
    pub(crate) fn ports_in_use(&self) -> BTreeSet<u16> {
        let live = self
            .frontends
            .values()
            .filter(|frontend| frontend.stage().end().is_none());
        live.filter_map(|frontend| frontend.port).collect()
    }

    /// Artefacts that some frontend runs from or may still be started from.
    pub(crate) fn artefacts_in_use(&self) -> BTreeSet<Digest> {
        let kept = self.frontends.values().filter(|frontend| {
            frontend.wanted() == Wanted::Run || frontend.stage().may_have_process()
        });
        kept.map(|frontend| frontend.assignment.artefact.digest.clone())
            .collect()
    }

    pub(crate) fn frontend(&self, id: FrontendId) -> Option<&Frontend> {
        self.frontends.get(&id)
    }

    pub(crate) fn census(&self) -> Census {
        let unusable = self
            .unusable
            .iter()
            .map(|(id, observed)| (*id, observed.clone()));
        Arc::new(self.census.clone().into_iter().chain(unusable).collect())
    }

    /// Whether anything changed since [`Book::written`]; if so, it must be written down before
    /// any action is carried out and before anybody is told.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(crate) fn written(&mut self) {
        self.dirty = false;
    }

    pub(crate) fn to_stored(&self) -> (Fence, Vec<stored::LedgerFrontend>) {
        let entries = self
            .frontends
            .values()
            .map(|frontend| stored::LedgerFrontend {
                assignment: Some((&frontend.assignment).into()),
                observed: Some((&frontend.observed(&self.host)).into()),
                gone: frontend.wanted() == Wanted::Gone,
                port: frontend.port.map(u32::from).unwrap_or_default(),
                start_asked: frontend.stage().start_asked(),
                init_asked: frontend.stage().init_asked(),
                started_unix_ms: frontend.started_unix_ms(),
            });
        (self.obeyed, entries.collect())
    }

    fn upsert(&mut self, items: Vec<Item>, index: u64, now: Now) {
        for item in items {
            let id = item.id();
            match item {
                Item::Usable(assignment) => {
                    self.unusable.remove(&id);
                    match self.frontends.get_mut(&id) {
                        Some(frontend) => {
                            frontend.reassign(*assignment, index);
                            frontend.decided(now);
                        }
                        None => {
                            let frontend = Frontend::accept(*assignment, index, now);
                            let frontend = match self.strays.remove(&id) {
                                Some(found) => frontend.found_unrecorded(found, now),
                                None => frontend,
                            };
                            self.frontends.insert(id, frontend);
                        }
                    }
                    self.refresh(id);
                }
                // A frontend that runs is not ended by an order that cannot be read.
                Item::Unusable { .. } if self.frontends.contains_key(&id) => {}
                Item::Unusable {
                    incarnation,
                    reason,
                    ..
                } => {
                    let observed = unusable(id, incarnation, reason, index, now);
                    self.unusable.insert(id, Arc::new(observed));
                }
            }
        }
    }

    fn remove(&mut self, removals: &[FrontendId], index: u64) {
        for id in removals {
            self.unusable.remove(id);
            if let Some(frontend) = self.frontends.get_mut(id) {
                frontend.remove(index);
                self.refresh(*id);
            }
        }
    }

    /// Brings the census up to date with one frontend.
    fn refresh(&mut self, id: FrontendId) {
        let observed = self
            .frontends
            .get(&id)
            .map(|frontend| frontend.observed(&self.host));
        let known = self.census.get(&id).map(Arc::as_ref);
        if observed.as_ref() == known {
            return;
        }
        self.dirty = true;
        match observed {
            Some(observed) => self.census.insert(id, Arc::new(observed)),
            None => self.census.remove(&id),
        };
    }
}

fn unusable(id: FrontendId, incarnation: u32, reason: String, index: u64, now: Now) -> Observed {
    Observed {
        id,
        incarnation,
        phase: Phase::Failed,
        address: String::new(),
        pid: None,
        since_unix_ms: now.unix_ms,
        exit: None,
        reason,
        based_on_index: index,
    }
}
