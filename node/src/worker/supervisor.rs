//! Brings every frontend, one step at a time, from what is so to what is wanted.
//!
//! Deciding is pure and lives in the [`Book`]: orders, outcomes and the time go in, actions come
//! out. This file owns the loop around it, whose order is the point: first the book is written to
//! the ledger, then actions are carried out, orders acknowledged and states published. So an agent
//! killed at any instruction finds in the ledger everything it may have done.
//!
//! Invariants: one call to the world per frontend at a time (a check may run beside a stop); no
//! frontend is started while one of the same id may run; nothing here ends a frontend because control
//! cannot be reached (singletons are ended by the holder).

mod act;
mod book;
mod exit;
mod frontend;
mod next;
mod observed;
mod resume;
mod running;
mod stage;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::ids::{Digest, FrontendId};
use fleet_proto::stored;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(crate) use self::book::{Book, Census, Refused};
pub(crate) use self::exit::Exit;
use self::next::Action;
pub(crate) use self::resume::Found;
use self::stage::Outcome;
use super::hands::{Hands, Sighting};
use super::ledger::{self, Ledger, LedgerError};
use super::order::{Fence, Order};
use crate::clock::{self, Boot};
use crate::config::Range;

/// Who this worker is and what it may give away.
#[derive(Clone, Debug)]
pub(crate) struct Premises {
    pub(crate) cluster_id: String,
    pub(crate) cluster_name: String,
    pub(crate) node_id: u64,
    pub(crate) boot_id: String,
    /// Where frontends of this node are reached.
    pub(crate) host: String,
    pub(crate) ports: Range,
}

/// To talk to a running supervisor; it ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    orders: mpsc::Sender<(Order, oneshot::Sender<Result<(), Refused>>)>,
    confirmed: Arc<watch::Sender<Boot>>,
    view: watch::Receiver<View>,
}

/// What the supervisor tells: always the latest, never a queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) obeyed: Fence,
    pub(crate) census: Census,
}

impl View {
    fn of(book: &Book) -> Self {
        Self {
            obeyed: book.obeyed(),
            census: book.census(),
        }
    }
}

/// Why an order had no effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObeyError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the supervisor has ended")]
    Ended,
}

/// Between attempts to write a ledger whose disk refuses.
const WRITE_RETRY: Duration = Duration::from_secs(1);

/// Grace of processes nobody asked for; the manifest that would tell theirs is unknown.
const ORPHAN_GRACE: Duration = Duration::from_secs(30);

impl Supervisor {
    /// Reads the ledger, takes over what runs, and begins. Waits for the runtime to be there.
    pub(crate) async fn start<H: Hands>(
        premises: Premises,
        ledger: Ledger,
        hands: Arc<H>,
    ) -> Result<(Self, tokio::task::JoinHandle<()>), LedgerError> {
        let remembered = remember(&ledger, &premises)?;
        let mut sightings = hands.sightings();
        let found = loop {
            match sightings.recv().await {
                Some(Sighting::Inventory { found, .. }) => break found,
                Some(Sighting::Exited(..)) => {}
                None => std::future::pending().await,
            }
        };
        let same_boot = remembered.boot_id == premises.boot_id;
        let book = Book::resume(&premises.host, remembered, found, same_boot, clock::now());
        let (orders, inbox) = mpsc::channel(16);
        let (outcomes_in, outcomes) = mpsc::channel(256);
        // From the first moment on: a session that opens at once must not tell of an empty worker.
        let (publish, view) = watch::channel(View::of(&book));
        let (confirmed, confirmations) = watch::channel(Boot::default());
        let (renewed_in, renewed) = mpsc::channel(1);
        let shell = Shell {
            collected: book.artefacts_in_use(),
            book,
            premises,
            ledger,
            hands,
            tasks: JoinSet::new(),
            outcomes_in,
            pending: Vec::new(),
            unacknowledged: Vec::new(),
            publish,
            renewed_in,
        };
        let inbox = Inbox {
            orders: inbox,
            outcomes,
            sightings,
            confirmations,
            renewed,
        };
        let task = tokio::spawn(shell.run(inbox));
        let supervisor = Self {
            orders,
            confirmed: Arc::new(confirmed),
            view,
        };
        Ok((supervisor, task))
    }

    /// Takes an order over. When this returns, it is in the ledger.
    pub(crate) async fn obey(&self, order: Order) -> Result<(), ObeyError> {
        let (reply, answer) = oneshot::channel();
        self.orders
            .send((order, reply))
            .await
            .map_err(|_| ObeyError::Ended)?;
        Ok(answer.await.map_err(|_| ObeyError::Ended)??)
    }

    /// Control confirmed this node: singletons may run until then. Say so only after
    /// [`obey`](Self::obey) took over everything that control had said before.
    pub(crate) fn confirm(&self, until: Boot) {
        self.confirmed.send_replace(until);
    }

    pub(crate) fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }
}

/// The ledger of this very node, or an empty one. Damage costs what the ledger held, not the
/// worker: frontends that run and cannot be placed are reported as failed and replaced.
fn remember(ledger: &Ledger, premises: &Premises) -> Result<stored::WorkerLedger, LedgerError> {
    match ledger.read() {
        Ok(Some(stored))
            if stored.cluster_id == premises.cluster_id && stored.node_id == premises.node_id =>
        {
            Ok(stored)
        }
        Ok(Some(stored)) => {
            tracing::warn!(
                cluster = stored.cluster_id,
                node = stored.node_id,
                "the worker ledger belongs to another node and is ignored"
            );
            Ok(stored::WorkerLedger::default())
        }
        Ok(None) => Ok(stored::WorkerLedger::default()),
        Err(error @ LedgerError::Damaged { .. }) => {
            let aside = ledger.set_aside().map_err(|source| LedgerError::Write {
                path: ledger.path().to_owned(),
                source,
            })?;
            tracing::error!(%error, aside = %aside.display(), "starting with an empty ledger");
            Ok(stored::WorkerLedger::default())
        }
        Err(error) => Err(error),
    }
}

type Answer = oneshot::Sender<Result<(), Refused>>;

/// The loop and everything it holds.
struct Shell<H> {
    book: Book,
    premises: Premises,
    ledger: Ledger,
    hands: Arc<H>,
    tasks: JoinSet<()>,
    outcomes_in: mpsc::Sender<(FrontendId, Outcome)>,
    /// Begun in the book, to be carried out once the book is written.
    pending: Vec<(FrontendId, Action)>,
    /// Orders in the book, to be acknowledged once the book is written.
    unacknowledged: Vec<Answer>,
    publish: watch::Sender<View>,
    /// Artefacts in use when unused ones were last let go.
    collected: BTreeSet<Digest>,
    /// Until when the runtime lets singletons run.
    renewed_in: mpsc::Sender<Boot>,
}

/// What the loop waits for.
struct Inbox {
    orders: mpsc::Receiver<(Order, Answer)>,
    outcomes: mpsc::Receiver<(FrontendId, Outcome)>,
    sightings: mpsc::Receiver<Sighting>,
    confirmations: watch::Receiver<Boot>,
    renewed: mpsc::Receiver<Boot>,
}

impl<H: Hands> Shell<H> {
    async fn run(mut self, inbox: Inbox) {
        let Inbox {
            mut orders,
            mut outcomes,
            mut sightings,
            mut confirmations,
            mut renewed,
        } = inbox;
        loop {
            let wake = self.turn().await;
            tokio::select! {
                order = orders.recv() => match order {
                    Some((order, answer)) => self.obey(order, answer),
                    None => return,
                },
                Some((id, outcome)) = outcomes.recv() => {
                    self.book.learn(id, outcome, clock::now());
                    // Whatever else has happened goes into the same write.
                    while let Ok((id, outcome)) = outcomes.try_recv() {
                        self.book.learn(id, outcome, clock::now());
                    }
                }
                Some(sighting) = sightings.recv() => self.see(sighting),
                Ok(()) = confirmations.changed() => {
                    let until = *confirmations.borrow_and_update();
                    self.renew(until);
                }
                Some(until) = renewed.recv() => {
                    let left = until.0.saturating_sub(Boot::now().0);
                    self.book.renew(Instant::now() + Duration::from_millis(left));
                }
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    fn obey(&mut self, order: Order, answer: Answer) {
        match self.book.obey(order, clock::now()) {
            Ok(()) => self.unacknowledged.push(answer),
            // Whoever asked may have gone; then nobody needs to know.
            Err(refused) => drop(answer.send(Err(refused))),
        }
        for orphan in self.book.take_orphans() {
            tracing::warn!(frontend = %orphan, "runs and is in no order: stopping it");
            self.tasks.spawn(remove_orphan(self.hands.clone(), orphan));
        }
    }

    /// The runtime is told first: it is who ends singletons, whatever becomes of us.
    fn renew(&mut self, until: Boot) {
        if !self.book.has_singletons() {
            return;
        }
        let (hands, renewed) = (self.hands.clone(), self.renewed_in.clone());
        self.tasks.spawn(async move {
            match hands.renew(until).await {
                // The supervisor may have ended.
                Ok(()) => drop(renewed.send(until).await),
                // Control confirms again in a second.
                Err(reason) => tracing::warn!(reason, "the tenure of singletons was not renewed"),
            }
        });
    }

    fn see(&mut self, sighting: Sighting) {
        let now = clock::now();
        match sighting {
            Sighting::Exited(id, exit) => self.book.learn(id, Outcome::Exited(exit), now),
            Sighting::Inventory { asked_at, found } => self.book.reconcile(&found, asked_at, now),
        }
    }

    /// Decides, writes down, carries out, tells; returns when to look again unasked.
    async fn turn(&mut self) -> Option<Instant> {
        let now = clock::now();
        for (id, action) in self.book.turn(now) {
            // The step before the start is told the port, too.
            if matches!(action, Action::Init | Action::Start) {
                self.choose_port(id);
            }
            self.pending.push((id, action));
        }
        if self.book.is_dirty() {
            if let Err(error) = self.write().await {
                tracing::error!(%error, "nothing is started or stopped until the ledger can be written");
                return Some(Instant::now() + WRITE_RETRY);
            }
            self.book.written();
            self.publish.send_replace(View::of(&self.book));
        }
        for answer in self.unacknowledged.drain(..) {
            // As above: a session that has ended asks again.
            let _ = answer.send(Ok(()));
        }
        for (id, action) in std::mem::take(&mut self.pending) {
            self.carry_out(id, action);
        }
        self.collect();
        self.book.next_wake(clock::now())
    }

    async fn write(&self) -> Result<(), LedgerError> {
        let (obeyed, frontends) = self.book.to_stored();
        let stored = stored::WorkerLedger {
            version: ledger::VERSION,
            cluster_id: self.premises.cluster_id.clone(),
            node_id: self.premises.node_id,
            boot_id: self.premises.boot_id.clone(),
            obeyed: Some(obeyed.into()),
            frontends,
        };
        let ledger = self.ledger.clone();
        let write = tokio::task::spawn_blocking(move || ledger.write(&stored));
        match write.await {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

async fn remove_orphan<H: Hands>(hands: Arc<H>, id: FrontendId) {
    loop {
        let removed = match hands.stop(id, ORPHAN_GRACE, None).await {
            Ok(_) => hands.clean(id).await,
            Err(reason) => Err(reason),
        };
        match removed {
            Ok(()) => return,
            Err(reason) => tracing::warn!(frontend = %id, reason, "will be tried again"),
        }
        tokio::time::sleep(WRITE_RETRY).await;
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
