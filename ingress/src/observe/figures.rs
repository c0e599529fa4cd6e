//! What is counted of connections. Each costs system calls, so one counter for all cores will do.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) accepted: Count,
    /// Closed without a word: who had to begin with a PROXY header did not.
    pub(crate) refused: Count,
    /// Closed over something that is no HTTP, or would not be the same to everybody.
    pub(crate) malformed: Count,
    /// Descriptors or memory had run out.
    pub(crate) not_accepted: Count,
    handshakes: [Count; Handshake::ALL.len()],
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Full,
    Resumed,
    Failed,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Handshake {
    const ALL: [Self; 3] = [Self::Full, Self::Resumed, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Failed => "failed",
        }
    }
}

impl Figures {
    pub(crate) fn shaken(&self, how: Handshake) {
        self.handshakes[how as usize].one();
    }

    pub(super) fn handshakes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Handshake::ALL.iter().zip(&self.handshakes);
        counts.map(|(how, count)| (how.as_str(), count.get()))
    }
}
