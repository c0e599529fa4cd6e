//! Processes as `/proc` shows them, named by pid *and* start time, so that a reused pid is never
//! mistaken for the process that had it before.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{
    Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setpriority_process,
};

/// Some ten times the share of others.
const FAVOURED: i32 = -11;

/// What a process of a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Agent,
    Holder,
    Control,
    Ingress,
    /// Anything else that runs from or for the node's directory.
    Frontend,
}

/// One process, as it was when it was looked at.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks since boot at which it started.
    pub started: u64,
    pub parent: i32,
    pub role: Role,
    pub argv: Vec<String>,
}

/// A process that goes before others.
#[derive(Debug)]
pub struct Favoured(Process);

impl Drop for Favoured {
    fn drop(&mut self) {
        self.0.set_nice(0);
    }
}

/// A process is known by its pid and start time; its parent changes when that one dies.
impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Process {}

impl PartialOrd for Process {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Process {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.pid, self.started).cmp(&(other.pid, other.started))
    }
}

impl Process {
    /// Whether the very same process still runs (a zombie does not).
    pub fn is_alive(&self) -> bool {
        read_stat(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }

    /// Sends a signal to this process and to no successor of its pid.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid).context("pid 0 is not a process")?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())
            .with_context(|| format!("opening process {}", self.pid))?;
        // Between the descriptor and this look the pid cannot change hands.
        ensure!(
            self.is_alive(),
            "process {} ({:?}) is gone",
            self.pid,
            self.role
        );
        pidfd_send_signal(&descriptor, signal)
            .with_context(|| format!("signalling process {}", self.pid))
    }

    /// `kill -9`.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    /// Processor time it has used in user and kernel mode, in the kernel's steps of 10 ms.
    pub fn cpu_time(&self) -> Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .with_context(|| format!("reading the times of process {}", self.pid))?;
        let (_, rest) = text.rsplit_once(')').context("a stat line has a name")?;
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
    }

    /// Gives it precedence over everything that was not given any, as far as this user may, until
    /// the value is dropped.
    pub fn favour(&self) -> Favoured {
        self.set_nice(FAVOURED);
        Favoured(self.clone())
    }

    /// The kernel counts threads, so those that there are get it, and what they start inherits it.
    /// What has ended meanwhile, or what this user may not change, stays as it is.
    fn set_nice(&self, nice: i32) {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid));
        for thread in threads.into_iter().flatten().flatten() {
            let name = thread.file_name();
            let thread = name.to_str().and_then(|name| name.parse().ok());
            let _ = setpriority_process(thread.and_then(Pid::from_raw), nice);
        }
        // Where sessions share the processor first, that of its session counts too.
        drop(fs::write(
            format!("/proc/{}/autogroup", self.pid),
            nice.to_string(),
        ));
    }

    /// A variable of its environment, as it was started with it.
    pub fn variable(&self, name: &str) -> Option<String> {
        let bytes = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let mut pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }

    /// The cgroups it is in, as absolute directories under the mounted hierarchies.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let Ok(text) = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)) else {
            return Vec::new();
        };
        text.lines()
            .flat_map(cgroup_dirs)
            .filter(|dir| dir.is_dir())
            .collect()
    }
}

/// The process that asks.
pub fn own() -> Result<Process> {
    let pid = i32::try_from(std::process::id())?;
    look(pid).context("this process runs")
}

/// Every process that was started for the node whose data lies in `dir`: its command line, working
/// directory, program or environment names it.
pub fn of_node(dir: &Path) -> Vec<Process> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<Process> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own && belongs(*pid, dir))
        .filter_map(look)
        .collect();
    found.sort();
    found
}

/// The processes of one role; of frontends only the first of each tree.
pub fn with_role(all: &[Process], role: Role) -> Vec<Process> {
    all.iter()
        .filter(|process| process.role == role)
        .filter(|process| {
            role != Role::Frontend
                || !all
                    .iter()
                    .any(|other| other.role == role && other.pid == process.parent)
        })
        .cloned()
        .collect()
}

/// The one process of `role`, or an error that says how many there are.
pub fn only(all: &[Process], role: Role) -> Result<Process> {
    match with_role(all, role).as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("no {role:?} process runs"),
        many => bail!("{} {role:?} processes run: {many:?}", many.len()),
    }
}

fn look(pid: i32) -> Option<Process> {
    let stat = read_stat(pid)?;
    if stat.state == 'Z' {
        return None;
    }
    let argv: Vec<String> = fs::read(format!("/proc/{pid}/cmdline"))
        .ok()?
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let role = role_of(&argv);
    Some(Process {
        pid,
        started: stat.started,
        parent: stat.parent,
        role,
        argv,
    })
}

fn role_of(argv: &[String]) -> Role {
    let is_fleetd = argv
        .first()
        .is_some_and(|program| Path::new(program).file_name() == Some(OsStr::new("fleetd")));
    if !is_fleetd {
        return Role::Frontend;
    }
    let subcommand = argv.iter().skip(1).find_map(|word| match word.as_str() {
        "hold" => Some(Role::Holder),
        "control" => Some(Role::Control),
        "ingress" => Some(Role::Ingress),
        _ => None,
    });
    subcommand.unwrap_or(Role::Agent)
}

fn belongs(pid: i32, dir: &Path) -> bool {
    let needle = dir.as_os_str().as_bytes();
    let names_it = |file: &str| {
        fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|text| text.windows(needle.len()).any(|window| window == needle))
    };
    let lies_in = |link: &str| {
        fs::read_link(format!("/proc/{pid}/{link}")).is_ok_and(|target| target.starts_with(dir))
    };
    names_it("cmdline") || lies_in("cwd") || lies_in("exe") || names_it("environ")
}

struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

/// Fields 3, 4 and 22 of `/proc/<pid>/stat`; the name in field 2 may hold spaces and parentheses.
fn read_stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// `7:cpu,cpuacct:/a/b` may be mounted under any of its controllers; `0::/a/b` is version 2.
fn cgroup_dirs(line: &str) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let path = path.trim_start_matches('/');
    let root = Path::new("/sys/fs/cgroup");
    if path.is_empty() {
        return Vec::new();
    }
    if controllers.is_empty() {
        return vec![root.join(path), root.join("unified").join(path)];
    }
    let mut names: Vec<&str> = controllers.split(',').collect();
    names.push(controllers);
    names
        .into_iter()
        .map(|name| root.join(name.trim_start_matches("name=")).join(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_working_directory_and_ends_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .current_dir(dir.path())
            .spawn()
            .unwrap();
        let found = of_node(dir.path());
        let [process] = found.as_slice() else {
            panic!("one process expected: {found:?}")
        };
        assert_eq!(process.role, Role::Frontend);
        process.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(
            process.kill().is_err(),
            "a second kill must not reach another process"
        );
    }

    #[test]
    fn roles_are_read_from_the_command_line() {
        let argv = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            role_of(&argv(&["/x/fleetd", "--data-dir", "d"])),
            Role::Agent
        );
        assert_eq!(role_of(&argv(&["/x/fleetd", "hold", "d"])), Role::Holder);
        assert_eq!(role_of(&argv(&["python3", "fleetd"])), Role::Frontend);
    }
}
