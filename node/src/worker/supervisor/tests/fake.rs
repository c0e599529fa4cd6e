//! Hands that do as the test says and write down what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet_model::ids::{Digest, FrontendId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::clock::Boot;
use crate::config::Range;
use crate::worker::assignment::testing::assignment;
use crate::worker::assignment::{Artefact, Assignment, CheckKind, HealthCheck};
use crate::worker::hands::{FetchError, Hands, Sighting, Started};
use crate::worker::launch::Launch;
use crate::worker::ledger::Ledger;
use crate::worker::order::{Change, Fence, Item, Order};
use crate::worker::runtime::Step;
use crate::worker::supervisor::observed::{Observed, Phase};
use crate::worker::supervisor::{Exit, Found, Premises, Supervisor};

pub(crate) fn exit(code: i32) -> Exit {
    Exit {
        code: Some(code),
        last_lines: vec!["bye".to_owned()],
        ..Exit::default()
    }
}

/// The machine under a worker; outlives supervisors, as a holder does.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) running: Mutex<BTreeMap<FrontendId, u32>>,
    pub(crate) ended: Mutex<BTreeMap<FrontendId, Exit>>,
    pub(crate) starts: Mutex<Vec<(FrontendId, Option<u16>)>>,
    pub(crate) sick: Mutex<BTreeSet<FrontendId>>,
    pub(crate) taken_ports: Mutex<BTreeSet<u16>>,
    pub(crate) ledger_at_start: Mutex<Vec<bool>>,
    pub(crate) ledger: Mutex<Option<Ledger>>,
    /// Until when singletons may run.
    pub(crate) tenure: watch::Sender<Boot>,
    pub(crate) steps: Mutex<Vec<(Step, Launch)>>,
    /// How steps end; of one that is not here, well.
    step_ends: watch::Sender<Vec<(Step, Option<Exit>)>>,
    /// Grows with every step that is asked for.
    asked: watch::Sender<usize>,
    tell: Mutex<Vec<mpsc::Sender<Sighting>>>,
}

impl Machine {
    /// The process of a frontend ends by itself.
    pub(crate) async fn die(&self, id: FrontendId, exit: Exit) {
        self.running.lock().unwrap().remove(&id);
        self.ended.lock().unwrap().insert(id, exit.clone());
        let listeners = self.tell.lock().unwrap().clone();
        for listener in listeners {
            let _ = listener.send(Sighting::Exited(id, exit.clone())).await;
        }
    }

    /// Steps of this kind end so, those under way too.
    pub(crate) fn answer_step(&self, step: Step, exit: Exit) {
        self.step_ends.send_modify(|ends| {
            ends.retain(|(other, _)| *other != step);
            ends.push((step, Some(exit)));
        });
    }

    /// Steps of this kind do not end.
    pub(crate) fn hold_step(&self, step: Step) {
        self.step_ends.send_modify(|ends| ends.push((step, None)));
    }

    /// Waits until a step of a frontend was asked for.
    pub(crate) async fn step_asked(&self, step: Step, id: FrontendId) {
        let mut asked = self.asked.subscribe();
        let was_asked = |_: &usize| {
            let steps = self.steps.lock().unwrap();
            steps
                .iter()
                .any(|(s, launch)| (*s, launch.id) == (step, id))
        };
        asked.wait_for(was_asked).await.unwrap();
    }

    pub(crate) fn inventory(&self) -> BTreeMap<FrontendId, Found> {
        let running = self.running.lock().unwrap();
        let alive = running.iter().map(|(id, pid)| {
            (
                *id,
                Found::Running {
                    pid: *pid,
                    started_unix_ms: 5,
                },
            )
        });
        let ended = self.ended.lock().unwrap();
        let dead = ended
            .iter()
            .map(|(id, exit)| (*id, Found::Exited(exit.clone())));
        alive.chain(dead).collect()
    }
}

pub(crate) struct FakeHands(pub(super) Arc<Machine>);

impl Hands for FakeHands {
    fn sightings(&self) -> mpsc::Receiver<Sighting> {
        let (tell, sightings) = mpsc::channel(16);
        let found = self.0.inventory();
        tell.try_send(Sighting::Inventory {
            asked_at: Instant::now(),
            found,
        })
        .unwrap();
        self.0.tell.lock().unwrap().push(tell);
        sightings
    }

    async fn fetch(&self, _: &Artefact) -> Result<(), FetchError> {
        Ok(())
    }

    async fn start(&self, launch: Launch) -> Started {
        // Whatever is started must be in the ledger as about to be.
        let ledger = self.0.ledger.lock().unwrap().clone();
        if let Some(stored) = ledger.and_then(|ledger| ledger.read().unwrap()) {
            let marked = stored.frontends.iter().any(|entry| {
                entry.start_asked
                    && entry.assignment.as_ref().unwrap().frontend_id == launch.id.0
                    && entry.port == launch.port.map_or(0, u32::from)
            });
            self.0.ledger_at_start.lock().unwrap().push(marked);
        }
        self.0.starts.lock().unwrap().push((launch.id, launch.port));
        let pid = 1000 + u32::try_from(launch.id.0).unwrap();
        self.0.running.lock().unwrap().insert(launch.id, pid);
        Started::Running { pid }
    }

    async fn run_step(&self, step: Step, launch: Launch) -> Result<Exit, String> {
        self.0.steps.lock().unwrap().push((step, launch));
        self.0.asked.send_modify(|asked| *asked += 1);
        let mut ends = self.0.step_ends.subscribe();
        let end = |ends: &Vec<(Step, Option<Exit>)>| {
            let found = ends.iter().find(|(other, _)| *other == step);
            found.map_or(Some(exit(0)), |(_, end)| end.clone())
        };
        let ended = ends.wait_for(|ends| end(ends).is_some()).await.unwrap();
        Ok(end(&ended).unwrap())
    }

    async fn probe(&self, _: &CheckKind, _: Duration, address: &str) -> Result<(), String> {
        let starts = self.0.starts.lock().unwrap();
        let sick = self.0.sick.lock().unwrap();
        let asked = starts
            .iter()
            .find(|(_, port)| port.is_some_and(|port| address.ends_with(&format!(":{port}"))));
        match asked {
            Some((id, _)) if sick.contains(id) => Err("answered with status 500".to_owned()),
            _ => Ok(()),
        }
    }

    async fn stop(
        &self,
        id: FrontendId,
        _: Duration,
        before: Option<Launch>,
    ) -> Result<Exit, String> {
        if let Some(launch) = before {
            self.run_step(Step::PreStop, launch).await?;
        }
        self.0.running.lock().unwrap().remove(&id);
        self.0.ended.lock().unwrap().insert(id, exit(0));
        Ok(exit(0))
    }

    async fn renew(&self, until: Boot) -> Result<(), String> {
        self.0.tenure.send_replace(until);
        Ok(())
    }

    async fn revive(&self, id: FrontendId) -> Result<(), String> {
        self.0.ended.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn clean(&self, id: FrontendId) -> Result<(), String> {
        self.0.ended.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn collect(&self, _: &BTreeSet<Digest>) {}

    fn port_is_free(&self, port: u16) -> bool {
        !self.0.taken_ports.lock().unwrap().contains(&port)
    }
}

/// A worker's disk and machine; supervisors come and go on it.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    pub(crate) machine: Arc<Machine>,
    pub(crate) boot_id: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self {
            dir,
            machine: Arc::default(),
            boot_id: "boot-1".to_owned(),
        };
        *place.machine.ledger.lock().unwrap() = Some(place.ledger());
        place
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::at(self.dir.path().join("ledger.pb"))
    }

    /// An agent comes up here.
    pub(crate) async fn start(&self) -> Supervisor {
        let premises = Premises {
            cluster_id: "c1".to_owned(),
            cluster_name: "main".to_owned(),
            node_id: 1,
            boot_id: self.boot_id.clone(),
            host: "127.0.0.1".to_owned(),
            ports: Range::new(20_000, 20_003),
        };
        let hands = Arc::new(FakeHands(self.machine.clone()));
        Supervisor::start(premises, self.ledger(), hands)
            .await
            .unwrap()
            .0
    }
}

pub(crate) fn full(index: u64, assignments: Vec<Assignment>) -> Order {
    let items = assignments
        .into_iter()
        .map(|one| Item::Usable(Box::new(one)))
        .collect();
    order(3, index, Change::Full(items))
}

pub(crate) fn order(term: u64, index: u64, change: Change) -> Order {
    Order {
        fence: Fence { term, index },
        control: Vec::new(),
        change,
    }
}

/// To be run, and checked every few milliseconds.
pub(crate) fn run(id: u64) -> Assignment {
    let check = HealthCheck {
        interval: Duration::from_millis(10),
        start_deadline: Duration::from_millis(300),
        ..assignment(id).health
    };
    Assignment {
        health: check,
        ..assignment(id)
    }
}

/// Waits until a frontend is reported in `phase`.
pub(crate) async fn reach(supervisor: &Supervisor, id: u64, phase: Phase) -> Arc<Observed> {
    until(supervisor, |census| {
        let observed = census.get(&FrontendId(id))?;
        (observed.phase == phase).then(|| observed.clone())
    })
    .await
}

/// Waits until a frontend is no longer reported.
pub(crate) async fn vanish(supervisor: &Supervisor, id: u64) {
    until(supervisor, |census| {
        (!census.contains_key(&FrontendId(id))).then_some(())
    })
    .await;
}

async fn until<T>(
    supervisor: &Supervisor,
    pick: impl Fn(&BTreeMap<FrontendId, Arc<Observed>>) -> Option<T>,
) -> T {
    let mut views = supervisor.view();
    let wait = async {
        loop {
            if let Some(found) = pick(&views.borrow_and_update().census) {
                return found;
            }
            views.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("never reported")
}
