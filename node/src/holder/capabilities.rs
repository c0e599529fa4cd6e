//! The capability ladder: what this machine lets the holder enforce, and what it can only try.
//!
//! Probed by the holder when it starts, because what counts is what *it* may do. Nothing is
//! assumed from a kernel version where the kernel can be asked.

mod probe;

pub(super) use probe::probe;

/// Which cgroup hierarchies are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cgroups {
    #[default]
    None,
    /// Limits in v1 controllers, tracking and killing in a v2 hierarchy beside them.
    Hybrid,
    /// Everything in v2.
    Unified,
}

/// What the holder found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub root: bool,
    pub cgroups: Cgroups,
    pub memory_limit: bool,
    pub cpu_limit: bool,
    pub pids_limit: bool,
    /// The whole tree of a process can be killed at once, whatever it forked.
    pub tree_kill: bool,
    /// ABI version of Landlock; 0 when the kernel has none.
    pub landlock_abi: u32,
    pub seccomp: bool,
    /// Every frontend can have a uid of its own.
    pub own_uids: bool,
    pub user_namespaces: bool,
    /// The exit status of processes of an earlier holder can be learned (kernel 6.15).
    pub exit_status_after_adoption: bool,
    /// Why cgroups are not used, one clause; empty when they are.
    pub cgroup_problem: String,
}

/// Whether a promise is kept by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Enforced,
    /// Something weaker stands in for it.
    Advisory,
    Absent,
}

/// One line of the ladder, ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Short and stable.
    pub name: &'static str,
    pub verdict: Verdict,
    pub sentence: String,
}

impl Capabilities {
    /// Whether the limits on memory, CPU and processes that a manifest names are kept.
    #[must_use]
    pub fn limits(&self) -> Verdict {
        if self.memory_limit && self.cpu_limit && self.pids_limit {
            Verdict::Enforced
        } else {
            Verdict::Advisory
        }
    }

    /// The ladder from top to bottom, in a fixed order.
    #[must_use]
    pub fn rungs(&self) -> Vec<Rung> {
        let controller = match self.cgroups {
            Cgroups::Unified => "cgroup v2 controller",
            _ => "cgroup v1 controller of a hybrid hierarchy",
        };
        let limit = |name, has, instead: &str| {
            let missing = match self.cgroup_problem.as_str() {
                "" => format!("{instead}; the cgroup controller is missing"),
                problem => format!("{instead}; {problem}"),
            };
            rung(name, has, Verdict::Advisory, controller, &missing)
        };
        vec![
            limit(
                "memory limit",
                self.memory_limit,
                "RLIMIT_DATA for each process",
            ),
            limit("cpu limit", self.cpu_limit, "not limited"),
            limit(
                "process limit",
                self.pids_limit,
                "RLIMIT_NPROC for each user",
            ),
            limit(
                "whole tree stops",
                self.tree_kill,
                "descendants are searched in /proc",
            ),
            rung(
                "own uid",
                self.own_uids,
                Verdict::Absent,
                "every frontend has a uid of its own",
                "every frontend has the uid of fleetd; only root can give others",
            ),
            self.landlock(),
            rung(
                "seccomp",
                self.seccomp,
                Verdict::Absent,
                "dangerous system calls are refused",
                "the kernel has no seccomp filters",
            ),
            rung(
                "user namespaces",
                self.user_namespaces,
                Verdict::Absent,
                "available",
                "the kernel refuses to create them",
            ),
            rung(
                "exit status after adoption",
                self.exit_status_after_adoption,
                Verdict::Advisory,
                "the kernel keeps it",
                "lost if the holder was dead at that time; needs kernel 6.15",
            ),
        ]
    }

    fn landlock(&self) -> Rung {
        let gaps = match self.landlock_abi {
            0 => {
                return Rung {
                    name: "landlock",
                    verdict: Verdict::Absent,
                    sentence: "the kernel has no Landlock; files are protected by uid alone".into(),
                };
            }
            1..=3 => ", without restricting ports, signals and abstract sockets",
            4..=5 => ", without restricting signals and abstract sockets",
            _ => "",
        };
        Rung {
            name: "landlock",
            verdict: Verdict::Enforced,
            sentence: format!("ABI {}{gaps}", self.landlock_abi),
        }
    }
}

fn rung(name: &'static str, has: bool, otherwise: Verdict, with: &str, without: &str) -> Rung {
    let (verdict, sentence) = if has {
        (Verdict::Enforced, with)
    } else {
        (otherwise, without)
    };
    Rung {
        name,
        verdict,
        sentence: sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_offers_nothing_promises_nothing() {
        let none = Capabilities {
            cgroup_problem: "not root".into(),
            ..Capabilities::default()
        };
        assert_eq!(none.limits(), Verdict::Advisory);
        assert!(
            none.rungs()
                .iter()
                .all(|rung| rung.verdict != Verdict::Enforced)
        );
        assert!(none.rungs()[0].sentence.ends_with("not root"));
    }

    #[test]
    fn one_missing_controller_makes_the_limits_advisory() {
        let mut found = Capabilities {
            memory_limit: true,
            cpu_limit: true,
            pids_limit: true,
            ..Capabilities::default()
        };
        assert_eq!(found.limits(), Verdict::Enforced);
        found.pids_limit = false;
        assert_eq!(found.limits(), Verdict::Advisory);
    }

    #[test]
    fn gaps_of_old_landlock_are_named() {
        let sentence = |abi| {
            Capabilities {
                landlock_abi: abi,
                ..Capabilities::default()
            }
            .landlock()
            .sentence
        };
        assert!(sentence(2).contains("ports"));
        assert!(!sentence(4).contains("ports") && sentence(4).contains("signals"));
        assert_eq!(sentence(6), "ABI 6");
    }
}
