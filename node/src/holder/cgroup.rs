//! Cgroups: limits, readings, and the only sure way to kill a tree.
//!
//! Two shapes are supported. *Unified*: one v2 cgroup per process does everything. *Hybrid*: v1
//! controllers limit and account, and a v2 cgroup without controllers beside them tracks and kills
//! (`cgroup.kill` works there too). Without a writable v2 hierarchy, cgroups are not used.
//!
//! Everything lies under `fleet-<hash of the data directory>`, so that several nodes share a
//! machine, and what an earlier holder left is recognised as ours.

mod place;
mod usage;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

pub(super) use self::{
    place::{Place, Unusable},
    usage::Reading,
};
use super::spec::Limits;

/// Period of the CPU quota in microseconds; the default of the kernel.
const PERIOD_USEC: u64 = 100_000;

/// What a directory of a cgroup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unified,
    Memory,
    Cpu,
    Pids,
}

impl Kind {
    const V1: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    fn name(self) -> &'static str {
        match self {
            Self::Unified => "unified",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }
}

/// The cgroups of one process tree. The first is the unified one.
#[derive(Debug)]
pub(super) struct Cgroup {
    dirs: Vec<(Kind, PathBuf)>,
}

impl Cgroup {
    /// Makes the directories, empty, and sets the limits. What an earlier holder left under the
    /// same name is killed; while it dies, this fails with `ResourceBusy`.
    pub(super) fn create(place: &Place, name: &str, limits: &Limits) -> io::Result<Self> {
        let dirs = place
            .roots()
            .map(|(kind, root)| (kind, root.join(name)))
            .collect();
        let cgroup = Self { dirs };
        if cgroup.exists() {
            cgroup.kill()?;
            cgroup.remove()?;
        }
        let made = cgroup
            .dirs
            .iter()
            .try_for_each(|(_, dir)| fs::create_dir(dir));
        let made = made.and_then(|()| cgroup.limit(place, limits));
        if let Err(error) = made {
            // The error that counts is the first.
            let _ = cgroup.remove();
            return Err(error);
        }
        Ok(cgroup)
    }

    /// Takes over cgroups named by a record.
    pub(super) fn from_record(names: &[String]) -> Option<Self> {
        let dirs: Vec<_> = names
            .iter()
            .filter_map(|name| {
                let (kind, path) = name.split_once('=')?;
                let kinds = [Kind::Unified, Kind::Memory, Kind::Cpu, Kind::Pids];
                let kind = kinds.into_iter().find(|known| known.name() == kind)?;
                Some((kind, PathBuf::from(path)))
            })
            .collect();
        (!dirs.is_empty()).then_some(Self { dirs })
    }

    pub(super) fn to_record(&self) -> Vec<String> {
        self.dirs
            .iter()
            .map(|(kind, dir)| format!("{}={}", kind.name(), dir.display()))
            .collect()
    }

    /// The v2 cgroup, to be born in.
    pub(super) fn open_unified(&self) -> io::Result<OwnedFd> {
        let dir = self.dir(Kind::Unified).ok_or(io::ErrorKind::NotFound)?;
        Ok(File::open(dir)?.into())
    }

    /// The v1 membership files; writing "0" joins.
    pub(super) fn open_members(&self) -> io::Result<Vec<OwnedFd>> {
        let v1 = self.dirs.iter().filter(|(kind, _)| *kind != Kind::Unified);
        v1.map(|(_, dir)| {
            Ok(File::options()
                .write(true)
                .open(dir.join("cgroup.procs"))?
                .into())
        })
        .collect()
    }

    /// Sends SIGKILL to everything inside, at once.
    pub(super) fn kill(&self) -> io::Result<()> {
        let Some(dir) = self.dir(Kind::Unified) else {
            return Ok(());
        };
        match write(&dir.join("cgroup.kill"), "1") {
            // Kernels before 5.14 have no such file. A tree that forks faster than this loop is
            // killed by the next round: the caller repeats until nothing is left.
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir.exists() => {
                for pid in members(dir)? {
                    if let Some(pid) = i32::try_from(pid)
                        .ok()
                        .and_then(rustix::process::Pid::from_raw)
                    {
                        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    }
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Whether anything inside still runs.
    pub(super) fn is_populated(&self) -> bool {
        let Some(dir) = self.dir(Kind::Unified) else {
            return false;
        };
        fs::read_to_string(dir.join("cgroup.events"))
            .is_ok_and(|events| events.contains("populated 1"))
    }

    /// The processes inside.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.dir(Kind::Unified)
            .and_then(|dir| members(dir).ok())
            .unwrap_or_default()
    }

    pub(super) fn reading(&self) -> Reading {
        usage::read(self)
    }

    /// Removes the directories; `ResourceBusy` while something inside has not been reaped.
    pub(super) fn remove(&self) -> io::Result<()> {
        for (_, dir) in &self.dirs {
            match fs::remove_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn limit(&self, place: &Place, limits: &Limits) -> io::Result<()> {
        if let (Some(bytes), Some(dir)) = (limits.memory_bytes, place.memory_dir(self)) {
            self.limit_memory(dir, bytes)?;
        }
        let quota = limits
            .cpu_millicores
            .map(|millicores| u64::from(millicores) * PERIOD_USEC / 1000);
        // The kernel takes no quota under one millisecond.
        let quota = quota.map(|quota| quota.max(1000));
        match (quota, place.cpu_dir(self)) {
            (Some(quota), Some((Kind::Unified, dir))) => {
                write(&dir.join("cpu.max"), &format!("{quota} {PERIOD_USEC}"))?;
            }
            (Some(quota), Some((_, dir))) => {
                write(&dir.join("cpu.cfs_period_us"), &PERIOD_USEC.to_string())?;
                write(&dir.join("cpu.cfs_quota_us"), &quota.to_string())?;
            }
            _ => {}
        }
        if let (Some(pids), Some(dir)) = (limits.pids, place.pids_dir(self)) {
            write(&dir.join("pids.max"), &pids.to_string())?;
        }
        Ok(())
    }

    fn limit_memory(&self, dir: &Path, bytes: u64) -> io::Result<()> {
        if self.dir(Kind::Memory).is_some() {
            write(&dir.join("memory.limit_in_bytes"), &bytes.to_string())?;
            // Absent when swap is not accounted.
            let _ = write(&dir.join("memory.memsw.limit_in_bytes"), &bytes.to_string());
        } else {
            write(&dir.join("memory.max"), &bytes.to_string())?;
            // A tree that lost one process is rarely of use; and absent in old kernels.
            let _ = write(&dir.join("memory.oom.group"), "1");
            let _ = write(&dir.join("memory.swap.max"), "0");
        }
        Ok(())
    }

    fn exists(&self) -> bool {
        self.dirs.iter().any(|(_, dir)| dir.exists())
    }

    fn dir(&self, kind: Kind) -> Option<&Path> {
        self.dirs
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, dir)| dir.as_path())
    }

    /// The directory whose files speak about `kind`: its v1 one, or the unified one.
    fn dir_about(&self, kind: Kind) -> Option<(Kind, &Path)> {
        match self.dir(kind) {
            Some(dir) => Some((kind, dir)),
            None => self.dir(Kind::Unified).map(|dir| (Kind::Unified, dir)),
        }
    }
}

fn members(dir: &Path) -> io::Result<Vec<u32>> {
    let text = fs::read_to_string(dir.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    // Not created: a missing file means a missing controller.
    File::options()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}
