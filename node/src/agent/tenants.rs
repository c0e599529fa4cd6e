//! The node's own two tenants of the holder, `control` and `ingress`: that they run, as the
//! settings say, by this version.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use fleet_model::node::Role;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::config::{Node, write_atomic};
use crate::holder::{
    self, EventKind, ProcessEvent, ProcessId, ProcessInfo, ProcessSpec, Refusal, Restart,
};

/// For control to hand leadership over and close its log.
const CONTROL_GRACE: Duration = Duration::from_secs(10);

/// For an ingress to end its requests: the drain time of 30 s and some.
const INGRESS_GRACE: Duration = Duration::from_secs(35);

/// For a new ingress to have a route table and serve.
const INGRESS_READY: Duration = Duration::from_secs(30);

/// The names of the public sockets, as the ingress asks for them.
const HTTP: &str = "http";
const HTTPS: &str = "https";

const CONTROL: &str = "control";
const INGRESS: &str = "ingress-";

/// Pause after the holder failed, before it is asked again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Tenants {
    holder: holder::Client,
    exe: PathBuf,
    /// One change of the ingress at a time.
    changing: Mutex<()>,
}

impl Tenants {
    pub(super) fn new(holder: holder::Client, exe: PathBuf) -> Self {
        Self {
            holder,
            exe,
            changing: Mutex::default(),
        }
    }

    /// Keeps the tenants of `node` running until dropped; dropped, they go on.
    pub(super) async fn keep(&self, node: &Node) -> anyhow::Result<()> {
        loop {
            // Events first, then the look: nothing that happens in between is missed. The stream
            // ends with the holder, and asking again starts a new one.
            match self.holder.events().await {
                Ok(mut events) => {
                    if let Err(error) = self.ensure(node).await {
                        tracing::error!(
                            "the processes of this node could not be started: {error:#}"
                        );
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                    while let Some(event) = events.recv().await {
                        tell(&event);
                    }
                    tracing::warn!("lost the holder; looking for it");
                }
                Err(error) => {
                    tracing::error!(%error, "no holder");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Starts what does not run, and starts anew what runs with other settings or by another
    /// version.
    pub(super) async fn ensure(&self, node: &Node) -> anyhow::Result<()> {
        let _changing = self.changing.lock().await;
        let settings = node.settings.to_toml();
        write_atomic(
            &node.paths().effective_settings(),
            settings.as_bytes(),
            0o600,
        )
        .context("failed writing the settings for the tenants")?;
        if node.settings.roles.has(Role::Control) {
            self.ensure_control(node)
                .await
                .context("failed starting control")?;
        }
        if node.settings.roles.has(Role::Ingress) {
            self.listen(node).await?;
            self.ensure_ingress(node)
                .await
                .context("failed starting the ingress")?;
        }
        Ok(())
    }

    /// Starts a new ingress on the same sockets and lets the old one end its requests. Returns the
    /// new one once it is ready.
    pub(super) async fn replace_ingress(&self, node: &Node) -> anyhow::Result<ProcessInfo> {
        let _changing = self.changing.lock().await;
        self.listen(node).await?;
        let held = self.holder.list().await?;
        let next = self.ingress_spec(node, next_number(&held))?;
        let started = match serving(&held) {
            Some(old) => self.holder.replace(&old.id, next).await,
            None => self.holder.start(next).await,
        };
        let started =
            started.context("the new ingress did not become ready; the old one serves on")?;
        self.forget_ended().await;
        Ok(started)
    }

    /// Ends both tenants, for a node that leaves its cluster.
    pub(super) async fn end(&self) -> Result<(), holder::Error> {
        let _changing = self.changing.lock().await;
        for process in self.holder.list().await? {
            let grace = match process.id.as_str() {
                CONTROL => CONTROL_GRACE,
                id if id.starts_with(INGRESS) => INGRESS_GRACE,
                _ => continue,
            };
            self.holder.stop(&process.id, grace).await?;
            self.holder.forget(&process.id).await?;
        }
        Ok(())
    }

    /// Ends control and leaves it ended: it lets go of its log.
    pub(super) async fn end_control(&self) -> Result<(), holder::Error> {
        let _changing = self.changing.lock().await;
        let held = self.holder.list().await?;
        for process in held.iter().filter(|process| process.id.as_str() == CONTROL) {
            self.holder.stop(&process.id, CONTROL_GRACE).await?;
            self.holder.forget(&process.id).await?;
        }
        Ok(())
    }

    /// The tenants as the holder sees them.
    pub(super) async fn list(&self) -> Result<Vec<ProcessInfo>, holder::Error> {
        let held = self.holder.list().await?;
        let ours = |process: &ProcessInfo| {
            process.id.as_str() == CONTROL || (is_ingress(process) && process.is_alive())
        };
        Ok(held.into_iter().filter(ours).collect())
    }

    async fn ensure_control(&self, node: &Node) -> anyhow::Result<()> {
        let spec = self.spec(node, CONTROL, "control", CONTROL_GRACE)?;
        match self.holder.start(spec.clone()).await {
            Err(error) if error.refusal() == Some(Refusal::Conflict) => {
                tracing::info!(
                    "control runs with other settings or by another version: starting it anew"
                );
                self.holder.stop(&spec.id, CONTROL_GRACE).await?;
                self.holder.forget(&spec.id).await?;
                self.holder.start(spec).await?;
            }
            started => drop(started?),
        }
        Ok(())
    }

    async fn ensure_ingress(&self, node: &Node) -> anyhow::Result<()> {
        let held = self.holder.list().await?;
        let Some(old) = serving(&held) else {
            self.holder
                .start(self.ingress_spec(node, next_number(&held))?)
                .await?;
            self.forget_ended().await;
            return Ok(());
        };
        let same = self.ingress_spec(node, number(old).unwrap_or_default())?;
        match self.holder.start(same).await {
            Err(error) if error.refusal() == Some(Refusal::Conflict) => {
                tracing::info!(
                    "the ingress runs with other settings or by another version: replacing it"
                );
                let next = self.ingress_spec(node, next_number(&held))?;
                self.holder.replace(&old.id, next).await?;
            }
            started => drop(started?),
        }
        Ok(())
    }

    async fn listen(&self, node: &Node) -> anyhow::Result<()> {
        let address = node.settings.http_listen;
        let bound = self.holder.listen(HTTP, address).await;
        bound.with_context(|| format!("failed listening on {address}"))?;
        if let Some(address) = node.settings.https_listen {
            let bound = self.holder.listen(HTTPS, address).await;
            bound.with_context(|| {
                format!("failed listening on {address} (https_listen = \"off\" does without)")
            })?;
        }
        Ok(())
    }

    /// Records of ingresses that have ended are of no use; one that cannot be dropped now is
    /// dropped the next time.
    async fn forget_ended(&self) {
        let held = self.holder.list().await.unwrap_or_default();
        for ended in held
            .iter()
            .filter(|process| is_ingress(process) && !process.is_alive())
        {
            let _ = self.holder.forget(&ended.id).await;
        }
    }

    fn ingress_spec(&self, node: &Node, number: u64) -> anyhow::Result<ProcessSpec> {
        let mut spec = self.spec(
            node,
            &format!("{INGRESS}{number}"),
            "ingress",
            INGRESS_GRACE,
        )?;
        spec.listeners = vec![HTTP.to_owned()];
        let https = node.settings.https_listen.map(|_| HTTPS.to_owned());
        spec.listeners.extend(https);
        spec.notify = true;
        spec.ready_within = INGRESS_READY;
        Ok(spec)
    }

    fn spec(
        &self,
        node: &Node,
        id: &str,
        process: &str,
        grace: Duration,
    ) -> anyhow::Result<ProcessSpec> {
        let paths = node.paths();
        let settings = paths.effective_settings();
        let argv = [
            self.exe.as_os_str(),
            process.as_ref(),
            "--config".as_ref(),
            settings.as_os_str(),
        ];
        let argv = argv.map(|word| word.to_string_lossy().into_owned());
        let mut spec = ProcessSpec::new(ProcessId::parse(id)?, argv.to_vec());
        spec.env = environment(&node.settings.to_toml());
        spec.cwd = std::path::absolute(paths.root())?;
        spec.restart = Restart::Always;
        spec.stop_grace = grace;
        Ok(spec)
    }
}

/// Version and settings are told only so that specs differ when these do: the holder starts an
/// equal spec once.
fn environment(settings: &str) -> BTreeMap<String, String> {
    let digest = Sha256::digest(settings.as_bytes());
    let digest: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut environment = BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        (
            "FLEETD_VERSION".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("FLEETD_SETTINGS".to_owned(), digest),
    ]);
    for name in ["FLEETD_LOG", "RUST_BACKTRACE"] {
        if let Ok(value) = std::env::var(name) {
            environment.insert(name.to_owned(), value);
        }
    }
    environment
}

fn is_ingress(process: &ProcessInfo) -> bool {
    process.id.as_str().starts_with(INGRESS)
}

fn number(process: &ProcessInfo) -> Option<u64> {
    process.id.as_str().strip_prefix(INGRESS)?.parse().ok()
}

/// The ingress to keep: the newest that lives and was not told to end.
fn serving(held: &[ProcessInfo]) -> Option<&ProcessInfo> {
    let lives = |process: &&ProcessInfo| {
        process.is_alive()
            && !matches!(
                process.phase,
                holder::Phase::Stopping | holder::Phase::Clearing
            )
    };
    held.iter()
        .filter(|process| is_ingress(process))
        .filter(lives)
        .max_by_key(|process| number(process))
}

fn next_number(held: &[ProcessInfo]) -> u64 {
    held.iter().filter_map(number).max().unwrap_or_default() + 1
}

fn tell(event: &ProcessEvent) {
    let id = event.process.id.as_str();
    if id != CONTROL && !id.starts_with(INGRESS) {
        return;
    }
    let (process, pid) = (id, event.process.pid);
    match event.kind {
        EventKind::Started => tracing::info!(process, pid, "started"),
        EventKind::Ready => tracing::debug!(process, pid, "ready"),
        EventKind::Exited => tracing::info!(process, "ended"),
        EventKind::Restarting { pause } => {
            let exit = event
                .process
                .exit
                .as_ref()
                .map(|exit| exit.status.to_string());
            tracing::warn!(
                process,
                exit,
                ?pause,
                "ended by itself and is started again"
            );
        }
    }
}
