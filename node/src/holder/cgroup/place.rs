//! Where on this machine the cgroups of a holder lie.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Cgroup, Kind, members, write};

/// The directories under which the cgroups of processes are made.
pub(in super::super) struct Place {
    roots: Vec<(Kind, PathBuf)>,
    /// The v2 hierarchy has controllers.
    unified: bool,
}

/// Why cgroups are not used, one clause.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum Unusable {
    #[error("no cgroup v2 hierarchy is mounted")]
    NoUnified,
    #[error("the cgroup of fleetd is not delegated to it, and it is not root")]
    NotDelegated,
    #[error("{} cannot be made: {source}", path.display())]
    ReadOnly { path: PathBuf, source: io::Error },
}

impl Place {
    /// Finds and makes the directories for the node called `name`.
    pub(in super::super) fn find(name: &str) -> Result<Self, Unusable> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = Mounts::parse(&mounts);
        let mount = mounts.unified.ok_or(Unusable::NoUnified)?;
        let root = rustix::process::geteuid().is_root();
        let base = base(&mount, own_cgroup(&memberships), root).ok_or(Unusable::NotDelegated)?;
        let controllers = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
        let unified = controllers.split_whitespace().any(|name| name == "memory");
        let mut roots = vec![(Kind::Unified, base.join(name))];
        make(&roots[0].1)?;
        if unified {
            enable(&base);
            enable(&roots[0].1);
        } else {
            for (kind, mount) in mounts.v1 {
                let dir = mount.join(name);
                // A controller that cannot be used is one the ladder reports as missing.
                if make(&dir).is_ok() {
                    roots.push((kind, dir));
                }
            }
        }
        Ok(Self { roots, unified })
    }

    pub(in super::super) fn is_unified(&self) -> bool {
        self.unified
    }

    /// Whether limits of this kind can be set.
    pub(in super::super) fn has(&self, kind: Kind) -> bool {
        let v1 = self.roots.iter().any(|(known, _)| *known == kind);
        let delegated = || {
            fs::read_to_string(self.roots[0].1.join("cgroup.subtree_control")).unwrap_or_default()
        };
        v1 || self.unified
            && delegated()
                .split_whitespace()
                .any(|name| name == kind.name())
    }

    /// Names of the process cgroups that exist, whoever made them.
    pub(in super::super) fn existing(&self) -> Vec<String> {
        let entries = self
            .roots
            .iter()
            .filter_map(|(_, root)| fs::read_dir(root).ok())
            .flatten();
        let dirs = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<String> = dirs
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The cgroup of that name, whether or not it exists.
    pub(in super::super) fn cgroup(&self, name: &str) -> Cgroup {
        Cgroup {
            dirs: self
                .roots()
                .map(|(kind, root)| (kind, root.join(name)))
                .collect(),
        }
    }

    /// Removes the directories if nothing is left inside.
    pub(in super::super) fn remove(&self) {
        for (_, root) in &self.roots {
            let _ = fs::remove_dir(root);
        }
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = (Kind, &Path)> {
        self.roots
            .iter()
            .map(|(kind, root)| (*kind, root.as_path()))
    }

    pub(super) fn memory_dir<'a>(&self, cgroup: &'a Cgroup) -> Option<&'a Path> {
        self.has(Kind::Memory)
            .then(|| cgroup.dir_about(Kind::Memory))
            .flatten()
            .map(|(_, dir)| dir)
    }

    pub(super) fn cpu_dir<'a>(&self, cgroup: &'a Cgroup) -> Option<(Kind, &'a Path)> {
        self.has(Kind::Cpu)
            .then(|| cgroup.dir_about(Kind::Cpu))
            .flatten()
    }

    pub(super) fn pids_dir<'a>(&self, cgroup: &'a Cgroup) -> Option<&'a Path> {
        self.has(Kind::Pids)
            .then(|| cgroup.dir_about(Kind::Pids))
            .flatten()
            .map(|(_, dir)| dir)
    }
}

/// The v2 directory to build under: our own cgroup if it was delegated to us (systemd marks it so),
/// else, for root, the top of the hierarchy.
fn base(mount: &Path, own: Option<&str>, root: bool) -> Option<PathBuf> {
    let own = mount.join(own.unwrap_or("/").trim_start_matches('/'));
    let marked = |name| rustix::fs::getxattr(&own, name, &mut [0_u8; 8][..]).is_ok();
    let writable = || {
        let access = rustix::fs::Access::WRITE_OK;
        ["cgroup.procs", "cgroup.subtree_control"]
            .iter()
            .all(|file| rustix::fs::access(own.join(file), access).is_ok())
    };
    if own != mount
        && (marked("trusted.delegate") || marked("user.delegate") || !root && writable())
    {
        // A v2 cgroup with controllers for its children may hold no processes itself.
        let anchor = own.join("anchor");
        make(&anchor).ok()?;
        for pid in members(&own).unwrap_or_default() {
            let _ = write(&anchor.join("cgroup.procs"), &pid.to_string());
        }
        return Some(own);
    }
    root.then(|| mount.to_owned())
}

fn make(dir: &Path) -> Result<(), Unusable> {
    match fs::create_dir(dir) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(Unusable::ReadOnly {
            path: dir.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Lets children of a v2 cgroup be limited; each controller by itself, since one may be missing.
fn enable(dir: &Path) {
    for kind in Kind::V1 {
        let _ = write(
            &dir.join("cgroup.subtree_control"),
            &format!("+{}", kind.name()),
        );
    }
}

/// Our place in the v2 hierarchy.
fn own_cgroup(memberships: &str) -> Option<&str> {
    memberships
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Mounts {
    unified: Option<PathBuf>,
    v1: Vec<(Kind, PathBuf)>,
}

impl Mounts {
    /// Takes `/proc/self/mountinfo`: `id parent dev root POINT options … - TYPE source OPTIONS`.
    fn parse(mountinfo: &str) -> Self {
        let mut mounts = Self::default();
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else {
                continue;
            };
            let Some(point) = before.split(' ').nth(4).map(PathBuf::from) else {
                continue;
            };
            let mut after = after.split(' ');
            match (after.next(), after.nth(1)) {
                (Some("cgroup2"), _) if mounts.unified.is_none() => mounts.unified = Some(point),
                (Some("cgroup"), Some(options)) => {
                    let has = |kind: &Kind| options.split(',').any(|option| option == kind.name());
                    let new = Kind::V1.into_iter().filter(has);
                    mounts.v1.extend(new.map(|kind| (kind, point.clone())));
                }
                _ => {}
            }
        }
        mounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_a_hybrid_and_of_a_unified_machine() {
        let hybrid = "\
            30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            32 30 0:28 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
            33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
            34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let want = Mounts {
            unified: Some("/sys/fs/cgroup/unified".into()),
            v1: vec![
                (Kind::Cpu, "/sys/fs/cgroup/cpu,cpuacct".into()),
                (Kind::Memory, "/sys/fs/cgroup/memory".into()),
            ],
        };
        assert_eq!(Mounts::parse(hybrid), want);
        let unified = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            Mounts::parse(unified).unified,
            Some("/sys/fs/cgroup".into())
        );
        assert_eq!(
            own_cgroup("9:name=systemd:/\n0::/fleet.slice/x.scope\n"),
            Some("/fleet.slice/x.scope")
        );
    }
}
