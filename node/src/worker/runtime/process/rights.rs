//! Who a frontend is, and what it may reach.

use std::{collections::BTreeMap, ops::Range, path::Path};

use super::{
    super::{FrontendKey, workshop::BuildKey},
    directories::Own,
};
use crate::holder::{Landlock, Sandbox};

/// Programs and libraries of the machine.
const EXECUTE: &[&str] = &["/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/opt"];

/// `/run/systemd/resolve` and `/run/resolvconf` are where `/etc/resolv.conf` points to on some
/// machines. Never "/proc/self": it would be the holder's own.
const READ: &[&str] = &[
    "/etc",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/run/resolvconf",
];

const WRITE: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/shm",
];

/// Everything the machine can take away, is.
pub(super) fn sandbox(code: &Path, own: &Own, port: Option<u16>) -> Sandbox {
    let paths = |paths: &[&str]| paths.iter().map(Into::into).collect::<Vec<_>>();
    let mut landlock = Landlock {
        read: paths(READ),
        execute: paths(EXECUTE),
        write: paths(WRITE),
        bind_tcp: port.into_iter().collect(),
    };
    landlock.execute.push(code.to_owned());
    landlock.write.extend([own.data.clone(), own.tmp.clone()]);
    Sandbox {
        no_new_privs: true,
        seccomp: true,
        landlock: Some(landlock),
    }
}

/// Who runs under a uid of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Frontend(FrontendKey),
    Build(BuildKey),
}

impl Owner {
    /// A number that neighbours do not share.
    fn number(&self) -> u64 {
        match self {
            Self::Frontend(id) => id.0,
            Self::Build(key) => {
                let letters = key.build.as_str().bytes();
                let build = letters.fold(0_u64, |sum, letter| {
                    sum.wrapping_mul(26).wrapping_add(letter.into())
                });
                build.wrapping_add(key.attempt.into())
            }
        }
    }
}

/// Who has which uid. Two that live at once never share one.
pub(super) struct Uids {
    range: Range<u32>,
    taken: BTreeMap<Owner, u32>,
}

impl Uids {
    pub(super) fn new(range: Range<u32>) -> Self {
        Self {
            range,
            taken: BTreeMap::new(),
        }
    }

    /// Notes the uid of one that is there.
    pub(super) fn keep(&mut self, owner: Owner, uid: u32) {
        self.taken.insert(owner, uid);
    }

    /// The uid of this one: the one it has, or the first free one from where its id points, so
    /// that a uid given back is not used again at once.
    pub(super) fn take(&mut self, owner: &Owner) -> Option<u32> {
        if let Some(uid) = self.taken.get(owner) {
            return Some(*uid);
        }
        let size = u64::from(
            self.range
                .end
                .checked_sub(self.range.start)
                .filter(|size| *size > 0)?,
        );
        let first = owner.number() % size;
        let candidates = (0..size).map(|step| (first + step) % size);
        let mut uids =
            candidates.filter_map(|offset| Some(self.range.start + u32::try_from(offset).ok()?));
        let uid = uids.find(|uid| !self.taken.values().any(|taken| taken == uid))?;
        self.taken.insert(owner.clone(), uid);
        Some(uid)
    }

    pub(super) fn give_back(&mut self, owner: &Owner) {
        self.taken.remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn living_frontends_never_share_a_uid_and_keep_theirs() {
        let mut uids = Uids::new(700_000..700_003);
        let frontend = |id| Owner::Frontend(FrontendKey(id));
        let take = |uids: &mut Uids, id| uids.take(&frontend(id));
        assert_eq!(take(&mut uids, 1), Some(700_001));
        assert_eq!(take(&mut uids, 4), Some(700_002));
        assert_eq!(take(&mut uids, 1), Some(700_001));
        uids.keep(frontend(9), 700_000);
        assert_eq!(take(&mut uids, 5), None);
        uids.give_back(&frontend(4));
        assert_eq!(take(&mut uids, 5), Some(700_002));
        assert_eq!(Uids::new(5..5).take(&frontend(1)), None);
    }
}
