//! One node: a data directory, ports, and the daemon that is started on them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::binaries::Binaries;
use crate::netns::Seat;
use crate::ports::Block;
use crate::process::{self, Process, Role};
use crate::wait;

/// A node of a test cluster. Its processes end with [`Node::end`], not with the value.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    /// The node's data directory; every process of the node names it.
    pub dir: PathBuf,
    pub ports: Block,
    /// Its place in a network of its own; `None`: on loopback, beside the others.
    seat: Option<Seat>,
    /// A file of settings, beside what the harness sets.
    config: Option<PathBuf>,
    binaries: Binaries,
    log: PathBuf,
    agent: Option<Child>,
}

impl Node {
    /// Lays out a node below `root`; nothing runs yet.
    pub fn prepare(
        root: &Path,
        name: &str,
        seat: Option<Seat>,
        binaries: &Binaries,
    ) -> Result<Node> {
        let dir = root.join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(Node {
            name: name.to_owned(),
            log: root.join(format!("{name}.log")),
            dir,
            ports: Block::reserve()?,
            seat,
            config: None,
            binaries: binaries.clone(),
            agent: None,
        })
    }

    /// Gives the daemon a file with these settings, from its next start on.
    pub fn configure(&mut self, settings: &str) -> Result<()> {
        let file = self.dir.with_extension("toml");
        std::fs::write(&file, settings).with_context(|| format!("writing {}", file.display()))?;
        self.config = Some(file);
        Ok(())
    }

    /// Where this node's API answers.
    pub fn api(&self) -> SocketAddr {
        self.at(self.ports.api())
    }

    /// Where this node's ingress answers.
    pub fn http(&self) -> SocketAddr {
        self.at(self.ports.http())
    }

    /// Where this node's ingress speaks TLS.
    pub fn https(&self) -> SocketAddr {
        self.at(self.ports.https())
    }

    /// Where this node's ingress shows its metrics.
    pub fn metrics(&self) -> SocketAddr {
        self.at(self.ports.metrics())
    }

    fn at(&self, local: SocketAddr) -> SocketAddr {
        match &self.seat {
            Some(seat) => SocketAddr::from((seat.address, local.port())),
            None => local,
        }
    }

    /// The socket on which the agent answers `fleet node …`.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("run/agent.sock")
    }

    /// Starts the agent (which starts or adopts the rest) and waits until it answers.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        let socket = self.socket();
        wait::until(
            &format!("the agent of {}", self.name),
            wait::GENEROUS,
            async || {
                self.agent_must_live()?;
                tokio::net::UnixStream::connect(&socket).await?;
                Ok(())
            },
        )
        .await
        .with_context(|| self.last_log_lines())
    }

    /// Starts the agent, which shall end by itself; returns what it said.
    pub async fn refuses(&mut self) -> Result<String> {
        self.spawn()?;
        wait::until(
            &format!("the agent of {} to end", self.name),
            wait::GENEROUS,
            async || {
                let running = self.agent_must_live();
                ensure!(running.is_err(), "it lives");
                Ok(())
            },
        )
        .await?;
        self.reap()?;
        Ok(self.last_log_lines())
    }

    fn spawn(&mut self) -> Result<()> {
        // An agent that was killed holds its lock until it has ended, and is still ours to reap.
        self.reap()?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut fleetd = match &self.seat {
            Some(seat) => seat.command(&self.binaries.fleetd),
            None => Command::new(&self.binaries.fleetd),
        };
        if let Some(config) = &self.config {
            fleetd.arg("--config").arg(config);
        }
        let child = fleetd
            .arg("--data-dir")
            .arg(&self.dir)
            .args(["--name", &self.name])
            .args(["--api-listen", &self.api().to_string()])
            .args(["--http-listen", &self.http().to_string()])
            .args(["--https-listen", &self.https().to_string()])
            .args(["--metrics-listen", &self.metrics().to_string()])
            .args(["--frontend-ports", &range(&self.ports.frontends())])
            .args(["--frontend-uids", &range(&self.ports.uids())])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.binaries.fleetd.display()))?;
        self.agent = Some(child);
        Ok(())
    }

    fn agent_must_live(&mut self) -> Result<()> {
        let ended = self
            .agent
            .as_mut()
            .map(Child::try_wait)
            .transpose()?
            .flatten();
        ensure!(
            ended.is_none(),
            "the agent of {} ended: {ended:?}",
            self.name
        );
        Ok(())
    }

    /// Every process of this node, as `/proc` shows them now.
    pub fn processes(&self) -> Vec<Process> {
        process::of_node(&self.dir)
    }

    /// The one process of a role; an error if there is none or more than one.
    pub fn process(&self, role: Role) -> Result<Process> {
        process::only(&self.processes(), role).with_context(|| format!("on {}", self.name))
    }

    /// The frontends that run here.
    pub fn frontends(&self) -> Vec<Process> {
        process::with_role(&self.processes(), Role::Frontend)
    }

    /// What the daemon wrote, newest last: the context of every failure.
    pub fn last_log_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n    ");
        format!("last lines of {}:\n    {tail}", self.log.display())
    }

    /// Stops the node as its operator would: frontends end their requests, everything ends.
    pub async fn stop(&mut self) -> Result<()> {
        self.fleetd("stop").await?;
        self.reap()
    }

    /// Says that the node's disk was moved to where it is.
    pub async fn moved(&self) -> Result<()> {
        self.fleetd("moved").await
    }

    async fn fleetd(&self, command: &str) -> Result<()> {
        let output = tokio::process::Command::new(&self.binaries.fleetd)
            .args([command, "--data-dir"])
            .arg(&self.dir)
            .output()
            .await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "fleetd {command}: {errors}");
        Ok(())
    }

    /// Kills what runs, removes its cgroups, and reports what would not go.
    pub fn end(&mut self) -> Result<()> {
        let mut groups = BTreeSet::new();
        // The holder and the agent start others; the next look finds what they started meanwhile.
        let ended = wait::blocking(wait::GENEROUS, || {
            let running = self.processes();
            for process in &running {
                groups.extend(process.cgroups().iter().filter_map(|dir| own_group(dir)));
                // It may have ended by itself since it was listed.
                drop(process.kill());
            }
            running.is_empty()
        });
        self.reap()?;
        ensure!(
            ended,
            "processes of {} cannot be ended: {:?}",
            self.name,
            self.processes()
        );
        for group in &groups {
            // A process that is being reaped holds its group for a moment.
            let removed = wait::blocking(wait::GENEROUS, || remove_tree(group));
            ensure!(removed, "the cgroup {} cannot be removed", group.display());
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.wait()?;
        }
        Ok(())
    }
}

/// The topmost directory of the cgroups that this node made: `fleet-` and a hash of its directory.
fn own_group(dir: &Path) -> Option<PathBuf> {
    let is_ours = |dir: &&Path| {
        let name = dir.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.starts_with("fleet-"))
    };
    dir.ancestors()
        .filter(is_ours)
        .last()
        .map(Path::to_path_buf)
}

/// Removes a tree of empty cgroups; true once it is gone.
fn remove_tree(group: &Path) -> bool {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // What is left is looked at below; a group that still holds a process is tried again.
    drop(std::fs::remove_dir(group));
    !group.exists()
}

fn range<T: std::fmt::Display>(range: &std::ops::RangeInclusive<T>) -> String {
    format!("{}-{}", range.start(), range.end())
}
