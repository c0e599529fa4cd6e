//! How a process ended, as data and as a sentence.

/// Status and last words of a process. Both status fields are empty if it could not be learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out_of_memory: bool,
    /// It was ended by its own node, because control confirmed that no longer.
    pub(crate) tenure_over: bool,
    /// Raw, the latest last.
    pub(crate) last_lines: Vec<String>,
}

impl Exit {
    /// What went wrong; `None` for status 0.
    pub(crate) fn problem(&self) -> Option<String> {
        (self.code != Some(0) || self.out_of_memory).then(|| self.sentence())
    }

    /// Whether it may have ended with the whole node: nobody who was there saw it.
    pub(crate) fn unseen(&self) -> bool {
        (self.code, self.signal) == (None, None) && !self.out_of_memory && !self.tenure_over
    }

    /// What happened, ready for a report: `exited with status 1`.
    pub(crate) fn sentence(&self) -> String {
        if self.tenure_over {
            let silence = fleet_model::node::SINGLETONS_STOP_AFTER;
            return format!("no control node confirmed this worker for {silence}");
        }
        match (self.out_of_memory, self.code, self.signal) {
            (true, _, _) => "was killed because it ran out of memory".to_owned(),
            (false, Some(code), _) => format!("exited with status {code}"),
            (false, None, Some(signal)) => match name(signal) {
                Some(name) => format!("was killed by {name}"),
                None => format!("was killed by signal {signal}"),
            },
            (false, None, None) => "ended, and its status could not be learned".to_owned(),
        }
    }
}

fn name(signal: i32) -> Option<&'static str> {
    let names = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    names
        .iter()
        .find(|(number, _)| *number == signal)
        .map(|(_, name)| *name)
}
