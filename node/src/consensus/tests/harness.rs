//! A state machine that remembers everything, and nodes that can be killed.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::consensus::options::Fatal;
use crate::consensus::{
    Committed, Consensus, Handle, MembershipError, OpenError, Options, ProposeError, RestoreError,
    SnapshotView, StateMachine, Timers,
};

/// How long anything may take on a machine that is busy with other tests.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// One applied proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) index: u64,
    pub(super) time_ms: u64,
    pub(super) text: String,
}

/// A state machine that keeps every proposal, and answers how many it has.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal(Arc<Mutex<Vec<Line>>>);

impl Journal {
    pub(super) fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.text).collect()
    }
}

impl StateMachine for Journal {
    fn apply(&mut self, entries: &[Committed<'_>]) -> Vec<Bytes> {
        let mut lines = self.0.lock().unwrap();
        let answer = |entry: &Committed<'_>| {
            assert!(
                lines.last().is_none_or(|last| last.index < entry.index),
                "applied out of order"
            );
            let text = String::from_utf8(entry.payload.to_vec()).unwrap();
            assert_ne!(text, "panic", "asked to panic");
            lines.push(Line {
                index: entry.index,
                time_ms: entry.time_ms,
                text,
            });
            Bytes::from(lines.len().to_string())
        };
        entries.iter().map(answer).collect()
    }

    fn view(&self) -> Box<dyn SnapshotView> {
        Box::new(Frozen(self.lines()))
    }

    fn restore(&mut self, body: &mut dyn Read) -> Result<(), RestoreError> {
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        let parse = |line: &str| {
            let mut fields = line.splitn(3, ' ');
            let mut number = || fields.next()?.parse().ok();
            let (index, time_ms) = (number()?, number()?);
            Some(Line {
                index,
                time_ms,
                text: fields.next()?.to_owned(),
            })
        };
        let lines: Option<Vec<Line>> = text.lines().map(parse).collect();
        let lines = lines.ok_or_else(|| RestoreError::Invalid("not a journal".to_owned()))?;
        *self.0.lock().unwrap() = lines;
        Ok(())
    }
}

struct Frozen(Vec<Line>);

impl SnapshotView for Frozen {
    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for line in &self.0 {
            writeln!(out, "{} {} {}", line.index, line.time_ms, line.text)?;
        }
        Ok(())
    }
}

/// For tests in which no fsync fails.
pub(super) fn no_fatal() -> Fatal {
    Arc::new(|reason| panic!("fatal: {reason}"))
}

/// What makes a node, kept over its restarts.
pub(super) struct Home {
    pub(super) dir: TempDir,
    pub(super) id: u64,
    pub(super) port: u16,
    pub(super) snapshot_every: u64,
}

impl Home {
    pub(super) fn new(id: u64) -> Self {
        // The port is free now and taken again at once; other tests use ports of their own.
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = probe.local_addr().unwrap().port();
        Self {
            dir: tempfile::tempdir().unwrap(),
            id,
            port,
            snapshot_every: 10_000,
        }
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn log_dir(&self) -> PathBuf {
        self.dir.path().join("raft")
    }

    pub(super) fn snapshot_dir(&self) -> PathBuf {
        self.dir.path().join("snapshots")
    }

    pub(super) fn options(&self) -> Options {
        let mut options = Options::new(
            self.log_dir(),
            self.snapshot_dir(),
            "test-cluster",
            self.id,
            self.address(),
        );
        options.snapshot_every = self.snapshot_every;
        options.keep_entries = 0;
        options.timers = Timers {
            heartbeat: Duration::from_millis(200),
            election_min: Duration::from_millis(800),
            election_max: Duration::from_millis(1600),
            unavailable_after: Duration::from_millis(1500),
            ..Timers::default()
        };
        options.on_fatal = no_fatal();
        options
    }

    pub(super) async fn create(&self) -> Node {
        let journal = Journal::default();
        Node::run(
            self,
            Consensus::create(self.options(), journal.clone())
                .await
                .unwrap(),
            journal,
        )
        .await
    }

    pub(super) async fn open(&self) -> Node {
        self.try_open().await.unwrap()
    }

    pub(super) async fn try_open(&self) -> Result<Node, OpenError> {
        let journal = Journal::default();
        let consensus = Consensus::open(self.options(), journal.clone()).await?;
        Ok(Node::run(self, consensus, journal).await)
    }
}

/// A running node with its gRPC server.
pub(super) struct Node {
    pub(super) id: u64,
    pub(super) address: String,
    pub(super) handle: Handle,
    pub(super) journal: Journal,
    consensus: Consensus,
    // The connections die with their runtime, as they would with their process.
    server: Connections,
}

struct Connections(Option<Runtime>);

impl Connections {
    fn cut(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Node {
    pub(super) async fn run(home: &Home, consensus: Consensus, journal: Journal) -> Self {
        let server = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let handle = consensus.handle();
        let service = handle.service();
        let address = home.address();
        let bind = address.clone();
        let bound = server
            .spawn(async move { TcpListener::bind(bind).await })
            .await
            .unwrap();
        let incoming = TcpListenerStream::new(bound.unwrap());
        server.spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        Self {
            id: home.id,
            address,
            handle,
            journal,
            consensus,
            server: Connections(Some(server)),
        }
    }

    /// Proposes; refusals, which a busy machine may cause, are tried again. An outcome that is not
    /// known fails the test: nothing was killed.
    pub(super) async fn propose(&self, text: &str) -> u64 {
        until(|| async {
            let payload = Bytes::copy_from_slice(text.as_bytes());
            match self.handle.propose(payload, PATIENCE).await {
                Ok(applied) => Some(applied.index),
                Err(ProposeError::Unavailable { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await
    }

    /// Waits for a linearizable read.
    pub(super) async fn barrier(&self) -> u64 {
        until(|| async { self.handle.read_barrier().await.ok() }).await
    }

    /// Proposes until it is applied, over elections.
    pub(super) async fn insist(&self, text: &str) -> u64 {
        let propose = || async {
            let payload = Bytes::copy_from_slice(text.as_bytes());
            self.handle.propose(payload, PATIENCE).await.ok()
        };
        until(propose).await.index
    }

    pub(super) async fn wait_leader(&self) -> u64 {
        let mut leadership = self.handle.leadership();
        let known = leadership.wait_for(|now| now.leader.is_some());
        let now = tokio::time::timeout(PATIENCE, known)
            .await
            .expect("no leader")
            .unwrap();
        now.leader.as_ref().unwrap().id
    }

    pub(super) async fn wait_leads(&self) {
        let mut leadership = self.handle.leadership();
        let leads = leadership.wait_for(|now| now.is_self);
        tokio::time::timeout(PATIENCE, leads)
            .await
            .expect("does not lead")
            .unwrap();
    }

    /// Stops in order.
    pub(super) async fn shutdown(mut self) {
        self.server.cut();
        tokio::time::timeout(PATIENCE, self.consensus.shutdown())
            .await
            .unwrap();
    }

    /// Stops in the middle of whatever it does; returns when the directory may be opened again.
    pub(super) async fn kill(mut self) {
        self.server.cut();
        drop(self.handle);
        tokio::time::timeout(PATIENCE, self.consensus.kill())
            .await
            .unwrap();
    }
}

/// Three voters, the first of which leads.
pub(super) struct Trio {
    pub(super) homes: Vec<Home>,
    pub(super) nodes: Vec<Option<Node>>,
}

impl Trio {
    pub(super) async fn start() -> Self {
        let homes: Vec<Home> = (1..=3).map(Home::new).collect();
        let mut nodes = Vec::new();
        for home in &homes {
            nodes.push(Some(home.create().await));
        }
        let trio = Self { homes, nodes };
        let first = trio.node(1);
        first.handle.bootstrap().await.unwrap();
        first.wait_leads().await;
        for id in [2, 3] {
            join(first, trio.node(id)).await;
        }
        set_voters(first, &[1, 2, 3]).await;
        trio
    }

    pub(super) fn node(&self, id: u64) -> &Node {
        self.nodes[id as usize - 1].as_ref().unwrap()
    }

    pub(super) fn living(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    pub(super) async fn kill(&mut self, id: u64) {
        self.nodes[id as usize - 1].take().unwrap().kill().await;
    }

    /// Ends the test. A database that is still closing when the process exits aborts it.
    pub(super) async fn stop(self) {
        for node in self.nodes.into_iter().flatten() {
            node.kill().await;
        }
    }

    pub(super) async fn restart(&mut self, id: u64) {
        let at = id as usize - 1;
        assert!(self.nodes[at].is_none());
        self.nodes[at] = Some(self.homes[at].open().await);
    }

    /// A leader that all living nodes agree on.
    pub(super) async fn leader(&self) -> u64 {
        until(|| async {
            let mut leaders = BTreeSet::new();
            for node in self.living() {
                leaders.insert(
                    node.handle
                        .leadership()
                        .borrow()
                        .leader
                        .as_ref()
                        .map(|peer| peer.id),
                );
            }
            let agreed = leaders.pop_first().flatten()?;
            let alive = self.living().any(|node| node.id == agreed);
            (leaders.is_empty() && alive).then_some(agreed)
        })
        .await
    }

    /// Waits until every living node has applied `index`, and compares their states.
    pub(super) async fn agree(&self, index: u64) -> Vec<Line> {
        let mut states = Vec::new();
        for node in self.living() {
            node.handle.wait_applied(index, PATIENCE).await.unwrap();
            states.push(node.journal.lines());
        }
        let first = states[0].clone();
        assert!(
            states.iter().all(|state| *state == first),
            "states differ: {states:#?}"
        );
        first
    }
}

pub(super) async fn join(leader: &Node, node: &Node) {
    leader
        .handle
        .add_learner(node.id, &node.address)
        .await
        .unwrap();
}

/// Sets the voters as soon as the learners among them have caught up.
pub(super) async fn set_voters(leader: &Node, ids: &[u64]) {
    until(|| async {
        match leader
            .handle
            .set_voters(ids.iter().copied().collect())
            .await
        {
            Ok(()) => Some(()),
            Err(MembershipError::Lagging { .. } | MembershipError::InProgress) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

/// Asks until there is an answer. Polls, because what is asked for has no event.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("it never happened")
}
