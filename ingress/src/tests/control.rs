//! A control process as the ingress sees it: sends the orders a test wants, keeps the reports.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use fleet_proto::internal as wire;
use fleet_proto::internal::ingress_order::Routes;
use fleet_proto::internal::ingress_report::Report;
use fleet_proto::internal::ingress_sessions_server::{IngressSessions, IngressSessionsServer};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::frontend::Frontend;
use super::world::{PATIENCE, Setup, table};
use crate::trust::testing::TestAuthority;

type Down = mpsc::UnboundedSender<Result<wire::IngressOrder, Status>>;

pub(super) struct Control {
    pub(super) address: SocketAddr,
    pub(super) authority: TestAuthority,
    inner: Arc<Inner>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Why sessions are refused, if they are.
    refusal: Option<Status>,
    term: u64,
    table: Option<wire::RouteTable>,
    addresses: Vec<String>,
    sessions: Vec<Down>,
    hellos: Vec<wire::IngressHello>,
    statuses: Vec<wire::IngressStatus>,
}

struct Inner {
    state: Mutex<State>,
    news: watch::Sender<u64>,
}

impl Control {
    pub(super) async fn start() -> Self {
        Self::start_with(TestAuthority::new("c1")).await
    }

    pub(super) async fn start_with(authority: TestAuthority) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            term: 1,
            ..State::default()
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            news: watch::Sender::new(0),
        });
        let service = IngressSessionsServer::new(Service(Arc::clone(&inner)));
        let incoming = authority.node(9, &["control"]).incoming(listener);
        let server = tokio::spawn(async move {
            let router = tonic::transport::Server::builder().add_service(service);
            router.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            authority,
            inner,
            server,
        }
    }

    /// Answers sessions like a node that does not lead.
    pub(super) fn follow(&self, leader: Option<SocketAddr>) {
        let mut status = Status::failed_precondition("not the leader");
        if let Some(leader) = leader {
            status
                .metadata_mut()
                .insert("fleet-leader", leader.to_string().parse().unwrap());
        }
        let mut state = self.inner.state.lock().unwrap();
        state.refusal = Some(status.clone());
        for session in state.sessions.drain(..) {
            let _ = session.send(Err(status.clone()));
        }
    }

    pub(super) fn lead(&self, term: u64) {
        let mut state = self.inner.state.lock().unwrap();
        (state.refusal, state.term) = (None, term);
    }

    pub(super) fn order_full(&self, table: wire::RouteTable) {
        self.inner.state.lock().unwrap().table = Some(table.clone());
        self.send(Some(Routes::Full(table)));
    }

    pub(super) fn order_delta(&self, delta: wire::RouteDelta) {
        self.send(Some(Routes::Delta(delta)));
    }

    pub(super) fn order_addresses(&self, addresses: &[String]) {
        self.inner.state.lock().unwrap().addresses = addresses.to_vec();
        self.send(None);
    }

    fn send(&self, routes: Option<Routes>) {
        let state = self.inner.state.lock().unwrap();
        for session in &state.sessions {
            let _ = session.send(Ok(state.order(routes.clone())));
        }
    }

    /// The first status, of those not yet seen by this kind of waiting, that satisfies.
    pub(super) async fn status(
        &self,
        wanted: impl Fn(&wire::IngressStatus) -> bool,
    ) -> wire::IngressStatus {
        let mut from = 0;
        self.wait("a status", |state| {
            let found = state.statuses[from..]
                .iter()
                .find(|status| wanted(status))
                .cloned();
            from = state.statuses.len();
            found
        })
        .await
    }

    /// Waits for a status that is sent after this call and satisfies.
    pub(super) async fn next_status(
        &self,
        wanted: impl Fn(&wire::IngressStatus) -> bool,
    ) -> wire::IngressStatus {
        let mut from = self.inner.state.lock().unwrap().statuses.len();
        self.wait("a status", |state| {
            let found = state.statuses[from..]
                .iter()
                .find(|status| wanted(status))
                .cloned();
            from = state.statuses.len();
            found
        })
        .await
    }

    pub(super) async fn applied(&self, generation: u64) -> wire::IngressStatus {
        self.status(|status| status.applied_generation >= generation)
            .await
    }

    /// Every status since one, in the order of their coming.
    pub(super) fn since(&self, sequence: u64) -> Vec<wire::IngressStatus> {
        let state = self.inner.state.lock().unwrap();
        let later = state.statuses.iter();
        let later = later.filter(|status| status.sequence > sequence);
        later.cloned().collect()
    }

    /// The `index`th hello.
    pub(super) async fn hello(&self, index: usize) -> wire::IngressHello {
        self.wait("a hello", |state| state.hellos.get(index).cloned())
            .await
    }

    async fn wait<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let mut news = self.inner.news.subscribe();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = look(&self.inner.state.lock().unwrap()) {
                    return found;
                }
                news.changed().await.unwrap();
            }
        });
        found.await.unwrap_or_else(|_| panic!("waiting for {what}"))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    fn order(&self, routes: Option<Routes>) -> wire::IngressOrder {
        let index = self.table.as_ref().map_or(0, |table| table.generation);
        wire::IngressOrder {
            fence: Some(wire::Fence {
                term: self.term,
                index,
            }),
            control_addresses: self.addresses.clone(),
            routes,
        }
    }
}

struct Service(Arc<Inner>);

#[tonic::async_trait]
impl IngressSessions for Service {
    type SessionStream = UnboundedReceiverStream<Result<wire::IngressOrder, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<wire::IngressReport>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (down, orders) = mpsc::unbounded_channel();
        {
            let mut state = self.0.state.lock().unwrap();
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            if let Some(table) = &state.table {
                let _ = down.send(Ok(state.order(Some(Routes::Full(table.clone())))));
            }
            state.sessions.push(down.clone());
        }
        let (inner, mut reports) = (Arc::clone(&self.0), request.into_inner());
        tokio::spawn(async move {
            while let Some(Ok(report)) = reports.next().await {
                let mut state = inner.state.lock().unwrap();
                match report.report.unwrap() {
                    Report::Hello(hello) => state.hellos.push(hello),
                    Report::Status(status) => state.statuses.push(status),
                }
                drop(state);
                inner.news.send_modify(|news| *news += 1);
            }
            let mut state = inner.state.lock().unwrap();
            state
                .sessions
                .retain(|session| !session.same_channel(&down));
        });
        Ok(Response::new(UnboundedReceiverStream::new(orders)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_to_the_leader_and_a_failover_to_the_next() {
    let frontend = Frontend::start(1).await;
    let first = Control::start().await;
    let second = Control::start_with(first.authority.clone()).await;
    first.follow(Some(second.address));
    second.order_full(table(3, &[&frontend]));
    // The ingress knows only the follower, and hears of the other by its hint.
    let ingress = Setup::with(&[&first]).start();
    second.applied(3).await;
    assert_eq!(
        ingress.get(super::world::HOST, "/").await,
        (200, "1".to_owned())
    );

    let both = [first.address.to_string(), second.address.to_string()];
    second.order_addresses(&both);
    first.order_full(table(4, &[&frontend]));
    first.lead(2);
    second.follow(None);
    first.applied(4).await;
    let hello = first.hello(0).await;
    assert_eq!(
        (hello.applied_generation, hello.obeyed.unwrap().term),
        (3, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_a_replaced_leader_is_refused() {
    let (old, new) = (Frontend::start(1).await, Frontend::start(2).await);
    let control = Control::start().await;
    control.lead(7);
    control.order_full(table(5, &[&new]));
    let ingress = Setup::with(&[&control]).start();
    control.applied(5).await;

    control.lead(6);
    control.order_full(table(9, &[&old]));
    // The ingress ends the session over it and comes back unchanged.
    let hello = control.hello(1).await;
    assert_eq!(
        (hello.applied_generation, hello.obeyed.unwrap().term),
        (5, 7)
    );
    assert_eq!(ingress.get(super::world::HOST, "/").await.1, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_change_one_environment_and_a_wrong_base_asks_for_everything() {
    let (a, b) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = super::world::world(table(3, &[&a])).await;
    let stage = super::world::environment(
        "stage",
        &[("www.stage.shop.test", "R2")],
        vec![super::world::pool("R2", &[&b])],
    );
    let delta = |base_generation, generation| wire::RouteDelta {
        base_generation,
        generation,
        upsert: vec![stage.clone()],
        remove: Vec::new(),
        tls: None,
    };
    control.order_delta(delta(2, 4));
    let status = control.next_status(|status| status.wants_full).await;
    assert_eq!(status.applied_generation, 3);
    assert_eq!(
        status.reason,
        "the change is one of generation 2, and generation 3 is applied"
    );

    control.order_delta(delta(3, 4));
    assert!(!control.applied(4).await.wants_full);
    assert_eq!(
        ingress.get("www.stage.shop.test", "/").await,
        (200, "2".to_owned())
    );
    assert_eq!(
        ingress.get(super::world::HOST, "/").await,
        (200, "1".to_owned())
    );

    let name = wire::EnvironmentName {
        app: "shop".to_owned(),
        environment: "stage".to_owned(),
    };
    control.order_delta(wire::RouteDelta {
        base_generation: 4,
        generation: 5,
        upsert: Vec::new(),
        remove: vec![name],
        tls: None,
    });
    control.applied(5).await;
    assert_eq!(ingress.get("www.stage.shop.test", "/").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_said_and_changes_nothing() {
    let a = Frontend::start(1).await;
    let (control, ingress) = super::world::world(table(3, &[&a])).await;
    let mut broken = table(4, &[&a]);
    broken.environments[0].pools[0].backends[0].address = "nowhere".to_owned();
    control.order_full(broken);
    let status = control.next_status(|status| status.wants_full).await;
    assert_eq!(status.applied_generation, 3);
    assert!(
        status.reason.contains("frontend 1 of shop/prod"),
        "{}",
        status.reason
    );
    assert_eq!(ingress.get(super::world::HOST, "/").await.0, 200);
}
