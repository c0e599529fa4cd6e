//! Exit codes: what a script may rely on.

/// How a command ended. The numbers are part of the interface (docs/cli.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// The line cannot be understood; nothing was asked of any cluster.
    Usage = 2,
    /// A rule or the present state refuses it.
    Refused = 3,
    NotFound = 4,
    /// No node could be reached; certainly nothing was done.
    Unreachable = 5,
    /// No answer in time; it may have been done or may still happen.
    TimedOut = 6,
}

impl Exit {
    /// The number the process exits with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}
