//! What is counted of connections. Each costs system calls, so one counter for all cores will do.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(in crate::ingress) struct Figures {
    pub(in crate::ingress) accepted: Count,
    /// Closed without a word: who had to begin with a PROXY header did not.
    pub(in crate::ingress) refused: Count,
    /// Closed over something that is no HTTP, or would not be the same to everybody.
    pub(in crate::ingress) malformed: Count,
    /// Descriptors or memory had run out.
    pub(in crate::ingress) not_accepted: Count,
    handshakes: [Count; Handshake::ALL.len()],
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum Handshake {
    Full,
    Resumed,
    Failed,
}

#[derive(Debug, Default)]
pub(in crate::ingress) struct Count(AtomicU64);

impl Count {
    pub(in crate::ingress) fn one(&self) {
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
    pub(in crate::ingress) fn shaken(&self, how: Handshake) {
        self.handshakes[how as usize].one();
    }

    pub(super) fn handshakes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Handshake::ALL.iter().zip(&self.handshakes);
        counts.map(|(how, count)| (how.as_str(), count.get()))
    }
}
