//! A cluster of real daemons on loopback, with a user in front of it.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use fleet_proto::v1;
use tempfile::TempDir;

use crate::api::{Api, Keys};
use crate::binaries::{Binaries, binaries};
use crate::cli::{Cli, Output};
use crate::netns::{Lan, Seat};
use crate::node::Node;
use crate::wait;

/// The domain of every test cluster; hosts are `<service>.<env>.<app>.localhost`.
pub const DOMAIN: &str = "localhost";

/// Nodes, their ports and directories, and a command line that knows them all.
///
/// Call [`Cluster::end`] at the end of a test: it checks that nothing outlives the cluster. A
/// cluster that is dropped without it (a failed test) is ended too, but then only as well as
/// possible.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub cli: Cli,
    pub keys: Keys,
    /// Nodes that were ever started: names are not given twice.
    named: usize,
    binaries: Binaries,
    lan: Option<Lan>,
    /// What the settings of every node say.
    settings: Option<String>,
    /// `None` once the directory is to be kept.
    root: Option<TempDir>,
    path: PathBuf,
}

impl Cluster {
    /// Starts `count` nodes, the first by `fleet node init`, the others by `fleet node join`, and
    /// waits until all of them vote and are ready.
    pub async fn start(count: usize) -> Result<Cluster> {
        Cluster::start_in(Self::unfounded(None)?, count).await
    }

    /// The same with settings of their own, in the form of `fleetd.toml`.
    pub async fn start_configured(count: usize, settings: &str) -> Result<Cluster> {
        let mut cluster = Self::unfounded(None)?;
        cluster.settings = Some(settings.to_owned());
        Cluster::start_in(cluster, count).await
    }

    /// The same in a network of their own, which can be cut.
    pub async fn start_apart(count: usize) -> Result<Cluster> {
        let lan = Lan::create(count)?;
        Cluster::start_in(Self::unfounded(Some(lan))?, count).await
    }

    async fn start_in(mut cluster: Cluster, count: usize) -> Result<Cluster> {
        cluster.found(&["node", "init", "--domain", DOMAIN]).await?;
        for _ in 1..count {
            cluster.join_one().await?;
        }
        cluster.ready().await?;
        Ok(cluster)
    }

    /// One node on fresh ports and directories that founds its cluster from a backup; and what the
    /// command said.
    pub async fn restore(backup: &Path) -> Result<(Cluster, Output)> {
        let mut cluster = Self::unfounded(None)?;
        let file = backup.to_string_lossy();
        let said = cluster
            .found(&["cluster", "restore", &file, "-o", "json"])
            .await?;
        Ok((cluster, said))
    }

    fn unfounded(lan: Option<Lan>) -> Result<Cluster> {
        let binaries = binaries()?;
        // Frontends run as users of their own and must reach their code below it.
        let root = tempfile::Builder::new()
            .prefix("fleet-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()?;
        let path = root.path().to_path_buf();
        let home = path.join("home");
        std::fs::create_dir_all(&home)?;
        Ok(Cluster {
            nodes: Vec::new(),
            named: 0,
            cli: Cli::new(&binaries.fleet, &home),
            keys: Keys::default(),
            binaries,
            lan,
            settings: None,
            root: Some(root),
            path,
        })
    }

    /// Starts a node that belongs to no cluster yet, under a name that none had before.
    async fn bare(&mut self) -> Result<Node> {
        self.named += 1;
        let name = format!("node{}", self.named);
        self.machine(&name).await
    }

    async fn found(&mut self, command: &[&str]) -> Result<Output> {
        let node = self.bare().await?;
        self.nodes.push(node);
        let node = &self.nodes[0];
        let said = self
            .local(node)
            .ok(&[command, &["-o", "json"]].concat())
            .await?;
        let founded: serde_json::Value = serde_json::from_str(&said.stdout)?;
        let told = |field: &str| founded[field].as_str().unwrap_or_default().to_owned();
        self.keys = Keys {
            ca_fingerprint: told("ca_fingerprint"),
            operator_token: told("operator_token"),
        };
        self.point_cli();
        Ok(said)
    }

    /// Adds one more node.
    pub async fn join_one(&mut self) -> Result<()> {
        let node = self.bare().await?;
        let address = self.nodes[0].api().to_string();
        let token = self.token(&[]).await?;
        self.local(&node)
            .ok(&["node", "join", &address, "--token", &token])
            .await?;
        self.nodes.push(node);
        self.point_cli();
        Ok(())
    }

    /// A machine with a daemon that waits for what it is told. Whoever takes it ends it.
    pub async fn machine(&self, name: &str) -> Result<Node> {
        let mut node = Node::prepare(
            &self.path,
            name,
            self.seat(self.nodes.len())?,
            &self.binaries,
        )?;
        if let Some(settings) = &self.settings {
            node.configure(settings)?;
        }
        node.start().await?;
        Ok(node)
    }

    /// A machine with a copy of a node's disk, on which nothing runs yet. Whoever takes it ends it.
    pub fn copy(&self, index: usize) -> Result<Node> {
        let original = &self.nodes[index];
        let name = format!("{}-copy", original.name);
        let copy = Node::prepare(
            &self.path,
            &name,
            self.seat(self.nodes.len())?,
            &self.binaries,
        )?;
        // Not `run`: what it says of processes is true on one machine only, and both are this one.
        let copied = std::process::Command::new("cp")
            .args(["--archive", "--no-target-directory"])
            .args([&original.dir, &copy.dir])
            .status()?;
        ensure!(copied.success(), "cp: {copied}");
        std::fs::remove_dir_all(copy.dir.join("run"))?;
        Ok(copy)
    }

    /// A new join token.
    pub async fn token(&self, options: &[&str]) -> Result<String> {
        let command = [&["node", "token", "create"], options].concat();
        Ok(self.cli.ok(&command).await?.stdout.trim().to_owned())
    }

    /// Takes a node that has left the cluster out of the test: ends its agent, which is all that
    /// may be left of it, and forgets it.
    pub async fn retire(&mut self, index: usize) -> Result<()> {
        let mut node = self.nodes.remove(index);
        node.stop().await?;
        let left = node.processes();
        ensure!(left.is_empty(), "left behind by {}: {left:?}", node.name);
        self.point_cli();
        node.end()
    }

    /// Takes a node away for good: its processes are killed, and the command line forgets it.
    pub fn lose(&mut self, index: usize) -> Result<()> {
        self.nodes[index].end()?;
        self.nodes.remove(index);
        self.point_cli();
        Ok(())
    }

    fn seat(&self, index: usize) -> Result<Option<Seat>> {
        let lan = self.lan.as_ref();
        lan.map(|lan| lan.seat(index).cloned()).transpose()
    }

    /// The network of a cluster that was [started apart](Cluster::start_apart).
    pub fn lan(&self) -> Result<&Lan> {
        self.lan.as_ref().context("this cluster is on loopback")
    }

    /// The command line as the operator of one machine uses it.
    pub fn local(&self, node: &Node) -> Cli {
        self.cli
            .with("FLEET_SOCKET", &node.socket().to_string_lossy())
    }

    fn point_cli(&mut self) {
        let addresses: Vec<String> = self.nodes.iter().map(|n| n.api().to_string()).collect();
        self.cli = self
            .cli
            .with("FLEET_ADDRESSES", &addresses.join(","))
            .with("FLEET_CA_FINGERPRINT", &self.keys.ca_fingerprint)
            .with("FLEET_TOKEN", &self.keys.operator_token);
    }

    /// A command line that knows only some of the nodes.
    pub fn cli_to(&self, nodes: &[usize]) -> Cli {
        let addresses: Vec<String> = nodes
            .iter()
            .map(|index| self.nodes[*index].api().to_string())
            .collect();
        self.cli.with("FLEET_ADDRESSES", &addresses.join(","))
    }

    /// The API of one node.
    pub fn api(&self, index: usize) -> Result<Api> {
        Api::of(self.nodes[index].api(), &self.keys)
    }

    /// Every ingress.
    pub fn ingresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::http).collect()
    }

    /// The data directories, for a census.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|node| node.dir.clone()).collect()
    }

    /// Where the test may put files of its own.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until every node is ready and as many vote as should: one, three or five. Returns the
    /// position of the leader.
    pub async fn ready(&self) -> Result<usize> {
        wait::until(
            "every node to be ready, and enough of them to vote",
            Duration::from_secs(90),
            async || {
                let leader = self.leader_now().await?;
                let nodes = self.api(leader)?.nodes().await?;
                ensure!(
                    nodes.len() == self.nodes.len(),
                    "{} nodes are registered",
                    nodes.len()
                );
                let wanted = match nodes.len() {
                    0..3 => 1,
                    3..5 => 3,
                    _ => 5,
                };
                let role = |node: &v1::Node| node.raft_role();
                let votes = |role| matches!(role, v1::RaftRole::Voter | v1::RaftRole::Leader);
                let voters = nodes.iter().map(role).filter(|role| votes(*role)).count();
                ensure!(voters == wanted, "{voters} of {wanted} nodes vote");
                for node in nodes {
                    ensure!(
                        node.state() == v1::NodeState::Ready,
                        "{} is {:?}",
                        node.name,
                        node.state()
                    );
                    ensure!(
                        votes(node.raft_role()) || node.raft_role() == v1::RaftRole::Learner,
                        "{} is {:?}",
                        node.name,
                        node.raft_role()
                    );
                }
                Ok(leader)
            },
        )
        .await
        .with_context(|| self.logs())
    }

    /// Position of the leader, waited for.
    pub async fn leader(&self) -> Result<usize> {
        wait::until("a leader", wait::GENEROUS, async || self.leader_now().await).await
    }

    /// The position of the leader that every answering node names, in the newest term.
    async fn leader_now(&self) -> Result<usize> {
        let mut newest: Option<(u64, String)> = None;
        for index in 0..self.nodes.len() {
            if let Ok(status) = self.api(index)?.status().await
                && status.leader_id != 0
                && newest.as_ref().is_none_or(|(term, _)| *term < status.term)
            {
                newest = Some((status.term, status.leader_address));
            }
        }
        let (_, address) = newest.ok_or_else(|| anyhow!("no node knows a leader"))?;
        let leads = |node: &Node| node.api().to_string() == address;
        let index = self.nodes.iter().position(leads);
        let index = index.with_context(|| format!("no node of ours listens on {address}"))?;
        let status = self.api(index)?.status().await?;
        ensure!(
            status.leader_id == status.node_id,
            "{address} does not think that it leads"
        );
        Ok(index)
    }

    /// Waits until all control processes that answer have applied the same log to the same state;
    /// returns the hash. At least `least` of them must answer.
    pub async fn agreed_state(&self, least: usize) -> Result<String> {
        wait::until("equal states on all nodes", wait::GENEROUS, async || {
            let mut seen = Vec::new();
            for index in 0..self.nodes.len() {
                if let Ok(status) = self.api(index)?.status().await {
                    seen.push((status.applied_index, status.state_hash));
                }
            }
            ensure!(seen.len() >= least, "only {} nodes answer", seen.len());
            seen.dedup();
            match seen.as_slice() {
                [(_, hash)] if !hash.is_empty() => Ok(hash.clone()),
                other => Err(anyhow!("applied index and hash differ: {other:?}")),
            }
        })
        .await
    }

    /// Waits until a release is active and no rollout is under way, asking whichever node answers.
    pub async fn activated(&self, app: &str, environment: &str, release: &str) -> Result<()> {
        wait::until(
            &format!("{release} to be active"),
            wait::GENEROUS,
            async || {
                let leader = self.leader_now().await?;
                let now = self.api(leader)?.environment(app, environment).await?;
                let active = now
                    .environment
                    .map(|e| e.active_release)
                    .unwrap_or_default();
                ensure!(active == release, "{active:?} is active");
                let phase = now.rollout.map(|rollout| rollout.phase());
                ensure!(phase.is_none(), "the rollout is in {phase:?}");
                Ok(())
            },
        )
        .await
        .with_context(|| self.logs())
    }

    /// The last lines that every daemon wrote.
    pub fn logs(&self) -> String {
        self.nodes
            .iter()
            .map(Node::last_log_lines)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Leaves everything running and its directory in place. For people, not for tests.
    pub fn keep(mut self) {
        if let Some(root) = self.root.take() {
            drop(root.keep());
        }
    }

    /// Ends every process and checks that none is left.
    pub fn end(mut self) -> Result<()> {
        self.end_nodes()?;
        if let Some(root) = self.root.take() {
            root.close()
                .context("removing the directory of the cluster")?;
        }
        Ok(())
    }

    fn end_nodes(&mut self) -> Result<()> {
        let outcomes: Vec<Result<()>> = self.nodes.iter_mut().map(Node::end).collect();
        outcomes.into_iter().collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.root.is_some() {
            // The test has failed already; its own message is the one to read.
            drop(self.end_nodes());
            self.keep_logs();
        }
    }
}

impl Cluster {
    /// A failed test says where to look, and leaves something there.
    fn keep_logs(&self) {
        let Ok(target) = std::env::var("FLEET_TEST_LOGS").map(PathBuf::from) else {
            return;
        };
        drop(std::fs::create_dir_all(&target));
        for node in &self.nodes {
            let from = self.path.join(format!("{}.log", node.name));
            drop(std::fs::copy(
                from,
                target.join(format!("{}.log", node.name)),
            ));
            let processes = std::fs::read_dir(node.dir.join("logs"));
            for process in processes.into_iter().flatten().flatten() {
                let what = process.file_name();
                let to = format!("{}-{}.log", node.name, what.to_string_lossy());
                drop(std::fs::copy(
                    process.path().join("current"),
                    target.join(to),
                ));
            }
        }
    }
}
