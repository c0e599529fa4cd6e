//! One frontend as this ingress knows it: address, requests in flight, record of failures,
//! connections.
//!
//! A slot outlives the tables that name it. It is shared by all of them, so a swap of tables
//! changes nothing for a frontend that stays.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::address::Address;
use super::balancer::{self, Candidate, Fitness};
use super::ejection::Ejection;
use super::load::{Load, Outcome};
use super::observe::Tally;
use super::shards::Padded;
use super::spec::{Backend, Protocol};

/// What the engine keeps of a frontend. The deciding code only tells it when to let go.
pub(super) trait Connections: Default + Send + Sync + 'static {
    /// No request will come any more: close what is idle.
    fn close_idle(&self);
}

impl Connections for () {
    fn close_idle(&self) {}
}

/// Unique for ever in a cluster.
pub(super) type FrontendId = u64;

#[derive(Debug)]
pub(super) struct Slot<C> {
    pub(super) id: FrontendId,
    pub(super) address: Address,
    pub(super) protocol: Protocol,
    pub(super) connections: C,
    pub(super) load: Load,
    /// Of the release that it is of.
    pub(super) tally: Arc<Tally>,
    in_flight: Padded<AtomicU64>,
    /// No table names it any more.
    withdrawn: AtomicBool,
    /// Copy of the end of the absence in `ejection`, read without its lock.
    ejected_until_ms: AtomicU64,
    /// Whether `ejection` has anything that an answer would wipe.
    failing: AtomicBool,
    ejection: Mutex<Ejection>,
    /// When the balancer first looked at it; 0 before. Then its warming up begins.
    seen_ms: AtomicU64,
}

impl<C: Connections> Slot<C> {
    pub(super) fn new(backend: &Backend, tally: Arc<Tally>) -> Self {
        Self {
            id: backend.id,
            address: backend.address.clone(),
            protocol: backend.protocol,
            connections: C::default(),
            load: Load::new(),
            tally,
            in_flight: Padded::default(),
            withdrawn: AtomicBool::new(false),
            ejected_until_ms: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            ejection: Mutex::default(),
            seen_ms: AtomicU64::new(0),
        }
    }

    /// Whether a table means this one.
    pub(super) fn is(&self, backend: &Backend) -> bool {
        let known = (self.id, &self.address, self.protocol);
        known == (backend.id, &backend.address, backend.protocol)
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.0.load(Ordering::SeqCst)
    }

    pub(super) fn is_ejected(&self, now_ms: u64) -> bool {
        now_ms < self.ejected_until_ms.load(Ordering::Relaxed)
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::SeqCst)
    }

    /// How it looks to the balancer.
    pub(super) fn candidate(&self, tried: &[FrontendId], now_ms: u64) -> Candidate {
        let fitness = if tried.contains(&self.id) {
            Fitness::Tried
        } else if self.is_ejected(now_ms) {
            Fitness::Ejected
        } else {
            Fitness::Fit
        };
        Candidate {
            in_flight: self.in_flight.0.load(Ordering::Relaxed),
            fitness,
            warmth: self.warmth(now_ms),
        }
    }

    /// Counts an attempt's beginning: there is a connection for it.
    pub(super) fn begins(&self) {
        self.load.send();
    }

    fn warmth(&self, now_ms: u64) -> u32 {
        let seen_ms = self.seen_ms.load(Ordering::Relaxed);
        if seen_ms == 0 {
            // Of two that see it first at once, either is right.
            self.seen_ms.store(now_ms.max(1), Ordering::Relaxed);
            return balancer::warmth(0);
        }
        balancer::warmth(now_ms.saturating_sub(seen_ms))
    }

    /// Counts an attempt's end and keeps the record that ejects.
    pub(super) fn ended(&self, outcome: Outcome, now_ms: u64) {
        self.load.count(outcome);
        match outcome {
            Outcome::Answered { .. } => {
                if self.failing.load(Ordering::Relaxed) {
                    self.failing.store(false, Ordering::Relaxed);
                    self.record().answered(now_ms);
                }
            }
            Outcome::Lost => {
                self.failing.store(true, Ordering::Relaxed);
                if let Some(until_ms) = self.record().failed(now_ms) {
                    self.ejected_until_ms.store(until_ms, Ordering::Relaxed);
                    self.tally.ejected();
                    tracing::warn!(
                        frontend = self.id,
                        address = %self.address,
                        for_ms = until_ms - now_ms,
                        "ejected a frontend that keeps failing"
                    );
                }
            }
        }
    }

    /// To be called by the table alone.
    pub(super) fn set_withdrawn(&self, withdrawn: bool) {
        self.withdrawn.store(withdrawn, Ordering::SeqCst);
        if withdrawn {
            self.connections.close_idle();
        }
    }

    /// One request more; see `pin` for the order this has to happen in.
    pub(super) fn enter(&self) {
        self.in_flight.0.fetch_add(1, Ordering::SeqCst);
    }

    /// One request less. True when the last one of a withdrawn frontend has ended.
    pub(super) fn leave(&self) -> bool {
        self.in_flight.0.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_withdrawn()
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Ejection> {
        self.ejection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
