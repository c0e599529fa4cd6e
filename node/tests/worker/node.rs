//! A node with a holder of its own, on which agents come and go.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use fleet_node::config::{Identity, Paths, Peers};
use fleet_node::holder;
use fleet_node::trust::{Certified, write_authorities};
use fleet_trust::{Authority, NodeKey};
use tempfile::TempDir;

use crate::control::Control;

pub(crate) struct Node {
    pub(crate) holder: holder::Client,
    holder_pid: u32,
    ports: String,
    dir: TempDir,
}

/// An agent process; ends with the value, by force.
pub(crate) struct Agent(Child);

impl Node {
    /// A worker that belongs to a cluster and has never run.
    pub(crate) async fn start(control: &Control) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Frontends have other uids and must be able to cross it.
        let crossed = Command::new("chmod").arg("755").arg(dir.path()).status();
        assert!(crossed.unwrap().success());
        let paths = Paths::new(dir.path());
        equip(&paths, &control.authority);
        let peers = Peers::parse(std::slice::from_ref(&control.address));
        peers.write(&paths).unwrap();
        let identity = Identity {
            version: Identity::VERSION,
            cluster_id: "c1".to_owned(),
            cluster_name: "main".to_owned(),
            node_id: 4,
            name: "n4".to_owned(),
            domain: "localhost".to_owned(),
            roles: vec!["worker".to_owned()],
            generation: 0,
        };
        identity.write(&paths).unwrap();
        let exe = Path::new(env!("CARGO_BIN_EXE_fleetd"));
        let holder = holder::Client::ensure(dir.path(), exe).await.unwrap();
        let holder_pid = holder.ping().await.unwrap().pid;
        let ports = ports();
        Self {
            holder,
            holder_pid,
            ports,
            dir,
        }
    }

    /// A new agent, which takes over what the last one left.
    pub(crate) fn agent(&self) -> Agent {
        let log = self.dir.path().join("agent.log");
        let log = std::fs::File::options().create(true).append(true).open(log);
        let agent = Command::new(env!("CARGO_BIN_EXE_fleetd"))
            .arg("--data-dir")
            .arg(self.dir.path())
            .args(["--frontend-ports", &self.ports])
            .stdin(Stdio::null())
            .stderr(log.unwrap())
            .spawn();
        Agent(agent.unwrap())
    }

    /// Waits until the holder has no process any more.
    pub(crate) async fn until_empty(&self) {
        crate::soon(async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while !self.holder.list().await.unwrap().is_empty() {
                looks.tick().await;
            }
        })
        .await;
    }

    /// Waits until a process of the holder has ended; its status.
    pub(crate) async fn until_exited(&self, name: &str) -> Option<i32> {
        crate::soon(async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            loop {
                let list = self.holder.list().await.unwrap();
                let found = list.into_iter().find(|process| process.id.as_str() == name);
                if let Some(exit) = found.and_then(|process| process.exit) {
                    return match exit.status {
                        holder::ExitStatus::Code(code) => Some(code),
                        _ => None,
                    };
                }
                looks.tick().await;
            }
        })
        .await
    }

    pub(crate) async fn finish(self) {
        self.holder.shutdown_all(Duration::ZERO).await.unwrap();
    }
}

impl Drop for Node {
    /// A test that failed tells what the agents said, and leaves nothing behind: SIGTERM to the
    /// holder ends all. After a test that passed it is gone already.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("agent.log"));
            eprintln!("{}", log.unwrap_or_default());
            signal(self.holder_pid, rustix::process::Signal::TERM);
        }
    }
}

impl Agent {
    /// `kill -9`, and certain that it is gone.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

pub(crate) fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Makes it node 4 of the cluster of `authority`.
fn equip(paths: &Paths, authority: &Authority) {
    let key = NodeKey::generate().unwrap();
    let signed = authority.sign(4, ["worker"], &key.public(), SystemTime::now());
    let signed = signed.unwrap();
    let certified = Certified {
        certificate: signed.certificate,
        key,
        begins: signed.begins,
        expires: signed.expires,
    };
    write_authorities(paths, &[authority.certificate().clone()]).unwrap();
    certified.write(paths).unwrap();
}

/// Ten ports from one on that the system has just given away.
fn ports() -> String {
    let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = given.local_addr().unwrap().port().min(65_500);
    format!("{first}-{}", first + 9)
}
