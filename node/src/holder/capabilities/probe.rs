//! Asks the kernel and the machine.

use std::fs;

use super::{
    super::{
        cgroup::{Kind, Place, Unusable},
        sys,
    },
    Capabilities, Cgroups,
};

/// What this process can enforce, given the place found for its cgroups.
pub(in super::super) fn probe(place: &Result<Place, Unusable>) -> Capabilities {
    let root = rustix::process::geteuid().is_root();
    let has = |kind| place.as_ref().is_ok_and(|place| place.has(kind));
    Capabilities {
        root,
        cgroups: match place {
            Ok(place) if place.is_unified() => Cgroups::Unified,
            Ok(_) => Cgroups::Hybrid,
            Err(_) => Cgroups::None,
        },
        memory_limit: has(Kind::Memory),
        cpu_limit: has(Kind::Cpu),
        pids_limit: has(Kind::Pids),
        tree_kill: place.is_ok(),
        landlock_abi: sys::landlock_abi(),
        seccomp: sys::has_seccomp(),
        own_uids: root
            && maps_every_uid(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default()),
        user_namespaces: sys::may_create_user_namespace(),
        exit_status_after_adoption: sys::keeps_exit_status(),
        cgroup_problem: place
            .as_ref()
            .err()
            .map_or_else(String::new, ToString::to_string),
    }
}

/// Whether uids up to a million exist here: inside a user namespace, root has only those that were
/// mapped for it, usually 65536.
fn maps_every_uid(uid_map: &str) -> bool {
    uid_map.lines().any(|line| {
        let fields: Vec<u64> = line
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        matches!(fields[..], [inside, _, count] if inside == 0 && count >= 1_000_000)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_container_may_have_few_uids() {
        assert!(maps_every_uid("         0          0 4294967295\n"));
        assert!(!maps_every_uid("         0     100000      65536\n"));
        assert!(!maps_every_uid("      1000       1000          1\n"));
    }
}
