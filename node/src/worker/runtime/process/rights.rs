//! Who a frontend is, and what it may reach.

use std::{collections::BTreeMap, ops::Range, path::Path};

use super::{super::FrontendKey, directories::Own};
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

/// Which frontend has which uid. Two that live at once never share one.
pub(super) struct Uids {
    range: Range<u32>,
    taken: BTreeMap<FrontendKey, u32>,
}

impl Uids {
    pub(super) fn new(range: Range<u32>) -> Self {
        Self {
            range,
            taken: BTreeMap::new(),
        }
    }

    /// Notes the uid of a frontend that is there.
    pub(super) fn keep(&mut self, id: FrontendKey, uid: u32) {
        self.taken.insert(id, uid);
    }

    /// The uid of this frontend: the one it has, or the first free one from where its id points,
    /// so that a uid given back is not used again at once.
    pub(super) fn take(&mut self, id: FrontendKey) -> Option<u32> {
        if let Some(uid) = self.taken.get(&id) {
            return Some(*uid);
        }
        let size = u64::from(
            self.range
                .end
                .checked_sub(self.range.start)
                .filter(|size| *size > 0)?,
        );
        let candidates = (0..size).map(|step| (id.0 % size + step) % size);
        let mut uids =
            candidates.filter_map(|offset| Some(self.range.start + u32::try_from(offset).ok()?));
        let uid = uids.find(|uid| !self.taken.values().any(|taken| taken == uid))?;
        self.taken.insert(id, uid);
        Some(uid)
    }

    pub(super) fn give_back(&mut self, id: FrontendKey) {
        self.taken.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn living_frontends_never_share_a_uid_and_keep_theirs() {
        let mut uids = Uids::new(700_000..700_003);
        let take = |uids: &mut Uids, id| uids.take(FrontendKey(id));
        assert_eq!(take(&mut uids, 1), Some(700_001));
        assert_eq!(take(&mut uids, 4), Some(700_002));
        assert_eq!(take(&mut uids, 1), Some(700_001));
        uids.keep(FrontendKey(9), 700_000);
        assert_eq!(take(&mut uids, 5), None);
        uids.give_back(FrontendKey(4));
        assert_eq!(take(&mut uids, 5), Some(700_002));
        assert_eq!(Uids::new(5..5).take(FrontendKey(1)), None);
    }
}
