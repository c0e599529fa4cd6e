//! A control node of the test's making: it holds one artefact and gives the orders it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use fleet_node::blobs;
use fleet_proto::internal::blobs_server::BlobsServer;
use fleet_proto::internal::worker_order::Order;
use fleet_proto::internal::worker_report::Report;
use fleet_proto::internal::worker_sessions_server::{WorkerSessions, WorkerSessionsServer};
use fleet_proto::internal::{self as wire, frontend_observed::Phase};
use fleet_trust::{Authority, Credentials, Incoming, NodeKey};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::soon;

pub(crate) struct Control {
    pub(crate) address: String,
    pub(crate) authority: Authority,
    artefact: blobs::store::Stored,
    sessions: mpsc::Receiver<Session>,
    server: JoinHandle<()>,
    _blobs: TempDir,
}

/// One session as control sees it.
pub(crate) struct Session {
    reports: Streaming<wire::WorkerReport>,
    orders: mpsc::Sender<Result<wire::WorkerOrder, Status>>,
}

struct Service(mpsc::Sender<Session>);

#[tonic::async_trait]
impl WorkerSessions for Service {
    type SessionStream = ReceiverStream<Result<wire::WorkerOrder, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<wire::WorkerReport>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (orders, stream) = mpsc::channel(16);
        let session = Session {
            reports: request.into_inner(),
            orders,
        };
        self.0.send(session).await.unwrap();
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Control {
    /// Control that has one build, whose command runs `script` in Perl.
    pub(crate) async fn start(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = blobs::Store::open(dir.path(), blobs::LARGEST).unwrap();
        let artefact = store.put(archive(script).as_slice()).unwrap();
        let authority = Authority::found("c1", SystemTime::now()).unwrap();
        let credentials = Arc::new(credentials(&authority));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, sessions) = mpsc::channel(4);
        let served = Server::builder()
            .add_service(WorkerSessionsServer::new(Service(sender)))
            .add_service(BlobsServer::new(blobs::Service::new(store)))
            .serve_with_incoming(Incoming::new(listener, move || credentials.clone()));
        let server = tokio::spawn(async move { served.await.unwrap() });
        Self {
            address,
            authority,
            artefact,
            sessions,
            server,
            _blobs: dir,
        }
    }

    /// The next session and its first message.
    pub(crate) async fn accept(&mut self) -> (Session, wire::WorkerHello) {
        let mut session = soon(self.sessions.recv()).await.unwrap();
        match session.next().await {
            Report::Hello(hello) => (session, hello),
            other => panic!("began with {other:?}"),
        }
    }

    pub(crate) fn assignment(&self, id: u64) -> wire::Assignment {
        wire::Assignment {
            frontend_id: id,
            app: "shop".to_owned(),
            environment: "prod".to_owned(),
            release_id: "RABCDEFGHIJ".to_owned(),
            release_name: "8ef9d2f".to_owned(),
            service: "www".to_owned(),
            slot: 1,
            incarnation: 1,
            desired: wire::assignment::Desired::Run.into(),
            artefact: Some(wire::Artefact {
                sha256: self.artefact.digest.to_string(),
                size_bytes: self.artefact.size,
                holders: vec![self.address.clone()],
            }),
            command: Some(wire::Command {
                command: Some(wire::command::Command::Line("perl app.pl".to_owned())),
            }),
            variables: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            wants_port: true,
            health: Some(wire::HealthCheck {
                kind: wire::health_check::Kind::Http.into(),
                path: "/health".to_owned(),
                interval_ms: 100,
                ..wire::HealthCheck::default()
            }),
            termination_grace_ms: 2_000,
            ..wire::Assignment::default()
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Session {
    /// Sends all that shall be. A worker that was killed does not take it.
    pub(crate) async fn order(&self, index: u64, assignments: Vec<wire::Assignment>) {
        let order = wire::WorkerOrder {
            fence: Some(wire::Fence { term: 1, index }),
            control_addresses: Vec::new(),
            order: Some(Order::Full(wire::FullAssignments { assignments })),
            builds: None,
            confirmed: None,
        };
        let _ = self.orders.send(Ok(order)).await;
    }

    /// Reads on until a frontend is reported in a phase.
    pub(crate) async fn until(&mut self, id: u64, phase: Phase) -> wire::FrontendObserved {
        let mut last = None;
        loop {
            let next = tokio::time::timeout(crate::PATIENCE, self.next()).await;
            let next = next.unwrap_or_else(|_| panic!("frontend {id} not {phase:?}: {last:?}"));
            if let Report::Observed(observed) = next {
                let frontend = observed
                    .frontends
                    .into_iter()
                    .find(|one| one.frontend_id == id);
                match frontend {
                    Some(found) if found.phase() == phase => return found,
                    Some(other) => last = Some(other),
                    None => {}
                }
            }
        }
    }

    async fn next(&mut self) -> Report {
        self.reports
            .message()
            .await
            .unwrap()
            .unwrap()
            .report
            .unwrap()
    }
}

fn archive(script: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [
        ("fleet.yml", "services: {www: {port: 80}}\n"),
        ("app.pl", script),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

fn credentials(authority: &Authority) -> Credentials {
    let key = NodeKey::generate().unwrap();
    let signed = authority.sign(1, ["control"], &key.public(), SystemTime::now());
    let signed = signed.unwrap();
    let authorities = vec![authority.certificate().clone()];
    Credentials::new(&signed.certificate, &key, authorities, signed.begins).unwrap()
}
