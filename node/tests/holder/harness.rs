//! A holder of its own for every test, and the certainty that nothing of it stays.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fleet_node::holder::{
    Capabilities, Client, EventKind, ProcessEvent, ProcessId, ProcessInfo, ProcessSpec,
};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

/// Nothing here takes this long on a machine that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Holder {
    pub(crate) dir: TempDir,
    pub(crate) client: Client,
    pub(crate) pid: u32,
    pub(crate) capabilities: Capabilities,
    pub(crate) finished: bool,
}

impl Holder {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::ensure(dir.path(), exe()).await.unwrap();
        let pong = client.ping().await.unwrap();
        Self {
            dir,
            client,
            pid: pong.pid,
            capabilities: pong.capabilities,
            finished: false,
        }
    }

    /// Kills the holder alone, as a crash would, and waits until it is gone.
    pub(crate) async fn crash(&mut self) {
        let before = self.pid;
        kill(before, "KILL");
        eventually("holder is gone", || !is_alive(before)).await;
    }

    /// Lets the client find (and so start) the next holder.
    pub(crate) async fn recover(&mut self) {
        self.pid = self.client.ping().await.unwrap().pid;
    }

    /// Ends everything and checks that nothing is left: no process, no zombie, no cgroup.
    pub(crate) async fn finish(mut self) {
        self.client.shutdown_all(Duration::ZERO).await.unwrap();
        let pid = self.pid;
        eventually("holder has ended", || !is_alive(pid)).await;
        assert_eq!(
            cgroups_of(self.dir.path()),
            Vec::<PathBuf>::new(),
            "cgroups are left"
        );
        self.finished = true;
    }
}

impl Drop for Holder {
    /// A test that failed must not leave its processes behind either: SIGTERM ends all. The holder
    /// that runs now may be one this test has not met yet, so its lock file is asked; and if none
    /// runs, one is started to do it.
    fn drop(&mut self) {
        if !self.finished {
            if !is_alive(self.pid) {
                drop(
                    std::process::Command::new(exe())
                        .args(["hold", "--data-dir"])
                        .arg(self.dir.path())
                        .spawn(),
                );
            }
            let holder = || {
                fs::read_to_string(self.dir.path().join("run/holder.lock"))
                    .ok()?
                    .trim()
                    .parse()
                    .ok()
            };
            let began = Instant::now();
            while began.elapsed() < PATIENCE {
                match holder().filter(|pid| is_alive(*pid)) {
                    Some(pid) => return kill(pid, "TERM"),
                    None => std::thread::yield_now(),
                }
            }
        }
    }
}

pub(crate) fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fleetd"))
}

pub(crate) fn id(name: &str) -> ProcessId {
    ProcessId::parse(name).unwrap()
}

/// A process that runs a shell script.
pub(crate) fn sh(name: &str, script: &str) -> ProcessSpec {
    let argv = ["/bin/sh", "-c", script].map(Into::into).to_vec();
    let mut spec = ProcessSpec::new(id(name), argv);
    spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
    spec.stop_grace = Duration::from_millis(500);
    spec
}

/// Waits for the next event of this kind about this process.
pub(crate) async fn event(
    events: &mut Receiver<ProcessEvent>,
    name: &str,
    wanted: impl Fn(EventKind) -> bool,
) -> ProcessEvent {
    let next = async {
        loop {
            let event = events.recv().await.expect("events end");
            if event.process.id == id(name) && wanted(event.kind) {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, next)
        .await
        .expect("no such event")
}

pub(crate) async fn exited(events: &mut Receiver<ProcessEvent>, name: &str) -> ProcessInfo {
    event(events, name, |kind| kind == EventKind::Exited)
        .await
        .process
}

/// Runs a process to its end.
pub(crate) async fn run(holder: &Holder, spec: ProcessSpec) -> ProcessInfo {
    let name = spec.id.to_string();
    let mut events = holder.client.events().await.unwrap();
    holder.client.start(spec).await.unwrap();
    exited(&mut events, &name).await
}

pub(crate) async fn info(holder: &Holder, name: &str) -> ProcessInfo {
    let list = holder.client.list().await.unwrap();
    list.into_iter()
        .find(|process| process.id == id(name))
        .expect("process is listed")
}

/// The pause between two looks of whoever polls.
pub(crate) async fn look_again() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Waits for a condition without knowing how long it takes.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        look_again().await;
    }
}

/// Waits until the log of a process holds a line with this text, and returns what follows it.
pub(crate) async fn printed(holder: &Holder, name: &str, text: &str) -> String {
    let began = Instant::now();
    loop {
        let lines = holder.client.tail(&id(name), 100).await.unwrap();
        if let Some(after) = lines.iter().find_map(|line| line.split_once(text)) {
            return after.1.trim().to_owned();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{name} never printed {text:?}: {lines:?}"
        );
        look_again().await;
    }
}

pub(crate) fn kill(pid: u32, signal: &str) {
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -{signal} {pid} 2>/dev/null")])
        .status();
    drop(status);
}

/// Runs, and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// One letter of `/proc/<pid>/stat`; `None` when there is no such process.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].trim().chars().next()
}

/// The children of a process that have ended and were not reaped.
pub(crate) fn zombies_of(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .take(2)
            .collect();
        fields == ["Z", parent.to_string().as_str()]
    })
    .collect()
}

/// Directories of cgroups that belong to the node of this data directory.
pub(crate) fn cgroups_of(data_dir: &Path) -> Vec<PathBuf> {
    use sha2::{Digest as _, Sha256};
    let data_dir = data_dir.canonicalize().unwrap();
    let hash = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    let name = format!(
        "fleet-{:02x}{:02x}{:02x}{:02x}",
        hash[0], hash[1], hash[2], hash[3]
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .filter_map(|line| line.split(' ').nth(4));
    points
        .map(|point| Path::new(point).join(&name))
        .filter(|dir| dir.exists())
        .collect()
}

/// Says why a test does less here.
pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
