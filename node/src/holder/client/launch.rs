//! Starts a holder that outlives its starter.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use super::{Connection, Error};

/// How long a new holder may take to answer. It adopts what its predecessor left first, at about
/// a millisecond per process.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// Pause between attempts to connect to a holder that has just been started.
const RETRY: Duration = Duration::from_millis(10);

/// How to start a holder.
pub(super) struct Launch {
    data_dir: PathBuf,
    exe: PathBuf,
}

impl Launch {
    /// The paths are made absolute: the holder runs in `/`.
    pub(super) fn new(data_dir: &Path, exe: &Path) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            data_dir: absolute(data_dir),
            exe: absolute(exe),
        }
    }

    /// Starts a holder and connects to it. When two do this at once, one holder loses the lock and
    /// ends, and both connect to the other.
    pub(super) async fn holder(&self, run_dir: &Path) -> Result<Connection, Error> {
        let failed = |source| Error::Launch {
            exe: self.exe.clone(),
            source,
        };
        let mut child = self.spawn().map_err(failed)?;
        let began = Instant::now();
        loop {
            if let Ok(connection) = Connection::open(run_dir) {
                return Ok(connection);
            }
            let ended = child.try_wait().map_err(failed)?;
            if began.elapsed() > ANSWERS_WITHIN {
                return Err(Error::LaunchTimedOut(ANSWERS_WITHIN));
            }
            if let Some(status) = ended.filter(|status| !status.success()) {
                let message = format!(
                    "it ended at once ({status}); see logs/holder.log in the data directory"
                );
                return Err(failed(io::Error::other(message)));
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn spawn(&self) -> io::Result<tokio::process::Child> {
        let logs = self.data_dir.join("logs");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&logs)?;
        let log = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(logs.join("holder.log"))?;
        let hold = [
            self.exe.clone().into(),
            "hold".into(),
            "--data-dir".into(),
            self.data_dir.clone().into(),
        ];
        let line = if in_systemd_unit() {
            in_own_scope(&hold, rustix::process::geteuid().is_root())
        } else {
            hold.into()
        };
        // `kill_on_drop` stays off: tokio reaps the holder should it end before this process does.
        tokio::process::Command::new(&line[0])
            .args(&line[1..])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
    }
}

/// Whether this process belongs to a systemd unit whose end would take the holder with it.
fn in_systemd_unit() -> bool {
    Path::new("/run/systemd/system").is_dir()
        && std::fs::read_to_string("/proc/self/cgroup")
            .is_ok_and(|cgroups| cgroups.lines().any(|line| line.ends_with(".service")))
}

/// The same command in a delegated scope of its own. Frontends inside the agent's unit would keep
/// systemd from restarting the agent (status 219/CGROUP) for as long as one of them lives.
fn in_own_scope(command: &[OsString], root: bool) -> Vec<OsString> {
    let mut line: Vec<OsString> = vec!["systemd-run".into()];
    if !root {
        line.push("--user".into());
    }
    line.extend(
        [
            "--scope",
            "--quiet",
            "--collect",
            "--slice=fleet",
            "--property=Delegate=yes",
            "--",
        ]
        .map(Into::into),
    );
    line.extend_from_slice(command);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_delegated_and_belongs_to_the_user_unless_root() {
        let hold = ["/usr/bin/fleetd".into(), "hold".into()];
        let root = in_own_scope(&hold, true);
        assert!(root.contains(&"--property=Delegate=yes".into()));
        assert!(!root.contains(&"--user".into()));
        assert!(root.ends_with(&hold));
        assert_eq!(in_own_scope(&hold, false)[1], "--user");
    }
}
