//! Against control nodes that speak real gRPC and say what the test tells them to.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet_model::node::SINGLETONS_STOP_AFTER;
use fleet_proto::internal::worker_order::Order;
use fleet_proto::internal::worker_report::Report;
use fleet_proto::internal::worker_sessions_server::{WorkerSessions, WorkerSessionsServer};
use fleet_proto::internal::{self as wire, frontend_observed::Phase};
use fleet_trust::Incoming;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::{Introduction, Session};
use crate::clock::Boot;
use crate::config::{Endpoint, Paths, Peers};
use crate::trust::testing::TestAuthority;
use crate::worker::assignment::Assignment;
use crate::worker::builds::testing;
use crate::worker::supervisor::tests::fake::{Place, run};

/// A control node that hands every session to the test, or names the leader.
struct Control {
    address: String,
    leader: Arc<Mutex<Option<String>>>,
    sessions: mpsc::Receiver<Opened>,
    /// How often somebody came, with whatever certificate.
    knocks: watch::Receiver<u32>,
    server: JoinHandle<()>,
}

/// One session as control sees it.
struct Opened {
    reports: Streaming<wire::WorkerReport>,
    orders: mpsc::Sender<Result<wire::WorkerOrder, Status>>,
}

struct Service {
    leader: Arc<Mutex<Option<String>>>,
    sessions: mpsc::Sender<Opened>,
}

#[tonic::async_trait]
impl WorkerSessions for Service {
    type SessionStream = ReceiverStream<Result<wire::WorkerOrder, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<wire::WorkerReport>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        if let Some(leader) = self.leader.lock().unwrap().clone() {
            let mut status = Status::failed_precondition("another node leads");
            status
                .metadata_mut()
                .insert("fleet-leader", leader.parse().unwrap());
            return Err(status);
        }
        let (orders, stream) = mpsc::channel(16);
        let opened = Opened {
            reports: request.into_inner(),
            orders,
        };
        self.sessions.send(opened).await.unwrap();
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Control {
    async fn start(authority: &TestAuthority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let leader = Arc::<Mutex<Option<String>>>::default();
        let (sender, sessions) = mpsc::channel(4);
        let service = Service {
            leader: leader.clone(),
            sessions: sender,
        };
        let (count, knocks) = watch::channel(0);
        let trust = authority.node(1, &["control"]);
        let incoming = Incoming::new(listener, move || {
            count.send_modify(|knocks| *knocks += 1);
            trust.credentials()
        });
        let served = Server::builder()
            .add_service(WorkerSessionsServer::new(service))
            .serve_with_incoming(incoming);
        let server = tokio::spawn(async move { served.await.unwrap() });
        Self {
            address,
            leader,
            sessions,
            knocks,
            server,
        }
    }

    fn follows(&self, leader: &Control) {
        *self.leader.lock().unwrap() = Some(leader.address.clone());
    }

    /// The next session and its first message.
    async fn accept(&mut self) -> (Opened, wire::WorkerHello) {
        let mut opened = soon(self.sessions.recv()).await.unwrap();
        match opened.next().await {
            Report::Hello(hello) => (opened, hello),
            other => panic!("began with {other:?}"),
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Opened {
    async fn next(&mut self) -> Report {
        soon(self.reports.message())
            .await
            .unwrap()
            .unwrap()
            .report
            .unwrap()
    }

    async fn order(&self, term: u64, index: u64, control: &[&str], order: Option<Order>) {
        let order = wire::WorkerOrder {
            fence: Some(wire::Fence { term, index }),
            control_addresses: control.iter().map(ToString::to_string).collect(),
            order,
            builds: None,
            confirmed: None,
        };
        self.orders.send(Ok(order)).await.unwrap();
    }

    /// Reads on until a frontend is reported in a phase.
    async fn until(&mut self, id: u64, phase: Phase) -> wire::FrontendObserved {
        loop {
            if let Report::Observed(observed) = self.next().await {
                let mut frontends = observed.frontends.into_iter();
                let wanted =
                    |one: &wire::FrontendObserved| one.frontend_id == id && one.phase() == phase;
                if let Some(found) = frontends.find(wanted) {
                    return found;
                }
            }
        }
    }
}

fn full(ids: &[u64]) -> Option<Order> {
    let assignments = ids
        .iter()
        .map(|id| wire::Assignment::from(&run(*id)))
        .collect();
    Some(Order::Full(wire::FullAssignments { assignments }))
}

/// A worker with a session that looks for control at `known`.
struct Worker {
    place: Place,
    paths: Paths,
    usage: watch::Sender<wire::WorkerUsage>,
    session: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Worker {
    async fn start(authority: &TestAuthority, known: &[&Control]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path());
        let addresses: Vec<_> = known
            .iter()
            .map(|control| control.address.clone())
            .collect();
        Peers::parse(&addresses).write(&paths).unwrap();
        let place = Place::new();
        let (readings, usage) = watch::channel(wire::WorkerUsage::default());
        readings.send_replace(reading(1));
        let session = Session {
            introduction: Introduction {
                cluster_id: "c1".to_owned(),
                node_id: 4,
                boot_id: "boot-1".to_owned(),
                nonce: 99,
                capabilities: Vec::new(),
                cpu_millicores: 2000,
                memory_bytes: 1 << 30,
                host: "127.0.0.1".to_owned(),
            },
            supervisor: place.start().await,
            builds: testing::idle(&dir.path().join("builds")),
            usage,
            trust: authority.node(4, &["worker"]),
            paths: paths.clone(),
            refused: watch::Sender::default(),
            own: None,
        };
        Self {
            place,
            paths,
            usage: readings,
            session: tokio::spawn(session.run()),
            _dir: dir,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.session.abort();
    }
}

fn reading(sampled_boot_ms: u64) -> wire::WorkerUsage {
    wire::WorkerUsage {
        sampled_boot_ms,
        ..wire::WorkerUsage::default()
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("never happened")
}

#[tokio::test]
async fn the_leader_is_found_through_a_follower() {
    let authority = TestAuthority::new("c1");
    let follower = Control::start(&authority).await;
    let mut leader = Control::start(&authority).await;
    follower.follows(&leader);
    let _worker = Worker::start(&authority, &[&follower]).await;
    let (_opened, hello) = leader.accept().await;
    assert_eq!(
        (
            hello.cluster_id.as_str(),
            hello.node_id,
            hello.session_nonce
        ),
        ("c1", 4, 99)
    );
    assert_eq!(hello.known, []);
}

#[tokio::test]
async fn orders_are_carried_out_and_reported_between_heartbeats() {
    let authority = TestAuthority::new("c1");
    let mut control = Control::start(&authority).await;
    let worker = Worker::start(&authority, &[&control]).await;
    let (mut opened, _) = control.accept().await;
    opened.order(2, 20, &[], full(&[7])).await;
    let healthy = opened.until(7, Phase::Healthy).await;
    assert_eq!((healthy.pid, healthy.based_on_index), (1007, 20));
    let mut beats = Vec::new();
    while beats.len() < 2 {
        if let Report::Heartbeat(beat) = opened.next().await {
            beats.push(beat.sequence);
        }
    }
    assert_eq!(beats[1], beats[0] + 1);
    let delta = wire::AssignmentDelta {
        upserts: Vec::new(),
        removals: vec![7],
    };
    opened.order(2, 21, &[], Some(Order::Delta(delta))).await;
    opened.until(7, Phase::Stopped).await;
    assert!(worker.place.machine.running.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_new_leader_is_told_everything_and_nothing_is_repeated() {
    let authority = TestAuthority::new("c1");
    let mut first = Control::start(&authority).await;
    let mut second = Control::start(&authority).await;
    let worker = Worker::start(&authority, &[&first]).await;
    let (mut opened, _) = first.accept().await;
    let addresses = [first.address.clone(), second.address.clone()];
    opened
        .order(2, 20, &[&addresses[0], &addresses[1]], full(&[7]))
        .await;
    opened.until(7, Phase::Healthy).await;
    let peers: Vec<Endpoint> = addresses
        .iter()
        .map(|address| address.parse().unwrap())
        .collect();
    assert_eq!(
        Peers::read(&worker.paths).control,
        peers,
        "kept for the next start"
    );

    // The leader is gone, and only the order told of the other one.
    drop((opened, first));
    let (mut opened, hello) = second.accept().await;
    assert_eq!(hello.obeyed, Some(wire::Fence { term: 2, index: 20 }));
    let known = &hello.known[0];
    assert_eq!(
        (known.frontend_id, known.phase(), known.pid),
        (7, Phase::Healthy, 1007)
    );

    opened.order(3, 25, &[], full(&[7, 8])).await;
    opened.until(8, Phase::Healthy).await;
    let starts = worker.place.machine.starts.lock().unwrap().clone();
    assert_eq!(
        starts.iter().map(|(id, _)| id.0).collect::<Vec<_>>(),
        [7, 8]
    );
}

#[tokio::test]
async fn a_leader_of_the_past_is_left() {
    let authority = TestAuthority::new("c1");
    let mut control = Control::start(&authority).await;
    let worker = Worker::start(&authority, &[&control]).await;
    let (mut opened, _) = control.accept().await;
    opened.order(5, 50, &[], full(&[7])).await;
    opened.until(7, Phase::Healthy).await;
    opened.order(4, 60, &[], full(&[])).await;
    let (_opened, hello) = control.accept().await;
    assert_eq!(hello.obeyed, Some(wire::Fence { term: 5, index: 50 }));
    assert_eq!(
        worker.place.machine.running.lock().unwrap().len(),
        1,
        "it runs on"
    );
}

#[tokio::test]
async fn with_the_certificate_of_another_cluster_there_is_no_session() {
    let mut control = Control::start(&TestAuthority::new("c1")).await;
    let _worker = Worker::start(&TestAuthority::new("c1"), &[&control]).await;
    soon(control.knocks.wait_for(|knocks| *knocks >= 3))
        .await
        .unwrap();
    assert!(control.sessions.try_recv().is_err(), "a session was opened");
}

#[tokio::test]
async fn a_confirmed_heartbeat_lets_singletons_run_for_ten_seconds() {
    let authority = TestAuthority::new("c1");
    let mut control = Control::start(&authority).await;
    let worker = Worker::start(&authority, &[&control]).await;
    let (mut opened, _) = control.accept().await;
    let mut tenure = worker.place.machine.tenure.subscribe();
    let before = Boot::now();
    let beat = loop {
        if let Report::Heartbeat(beat) = opened.next().await {
            break beat.sequence;
        }
    };
    let singleton = Assignment {
        singleton: true,
        ..run(1)
    };
    let full = wire::FullAssignments {
        assignments: vec![(&singleton).into()],
    };
    let order = |confirmed| wire::WorkerOrder {
        fence: Some(wire::Fence { term: 1, index: 10 }),
        order: Some(Order::Full(full.clone())),
        confirmed,
        ..wire::WorkerOrder::default()
    };
    // A heartbeat that was never sent confirms nothing.
    opened.orders.send(Ok(order(Some(77)))).await.unwrap();
    opened.until(1, Phase::Starting).await;
    assert_eq!(*tenure.borrow_and_update(), Boot::default());
    opened.orders.send(Ok(order(Some(beat)))).await.unwrap();
    soon(tenure.changed()).await.unwrap();
    let until = *tenure.borrow_and_update();
    let after = Boot::now();
    let ten_seconds = SINGLETONS_STOP_AFTER;
    assert!(before.plus(ten_seconds) <= until && until < after.plus(ten_seconds));
    opened.until(1, Phase::Healthy).await;
}

#[tokio::test]
async fn readings_are_told_as_they_come_and_none_from_before_the_session() {
    let authority = TestAuthority::new("c1");
    let mut control = Control::start(&authority).await;
    let worker = Worker::start(&authority, &[&control]).await;
    let (mut opened, _) = control.accept().await;
    // Beyond the first heartbeat it listens for readings.
    while !matches!(opened.next().await, Report::Heartbeat(_)) {}
    for sampled in [2, 3] {
        worker.usage.send_replace(reading(sampled));
        let told = loop {
            if let Report::Usage(usage) = opened.next().await {
                break usage.sampled_boot_ms;
            }
        };
        assert_eq!(told, sampled);
    }
}
