//! One at a time for each artefact, so that what many want is fetched once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use super::digest::Digest;

/// Queues, one for each artefact somebody is busy with. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Queues>>);

type Queues = BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>;

/// A place in a queue, and after waiting the turn itself. Dropped, it leaves.
pub(super) struct Turn {
    turns: Turns,
    digest: Digest,
    queue: Arc<tokio::sync::Mutex<()>>,
    mine: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(super) async fn take(&self, digest: &Digest) -> Turn {
        let queue = Arc::clone(self.queues().entry(digest.clone()).or_default());
        let mut turn = Turn {
            turns: self.clone(),
            digest: digest.clone(),
            queue,
            mine: None,
        };
        turn.mine = Some(Arc::clone(&turn.queue).lock_owned().await);
        turn
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queues().is_empty()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.mine = None;
        let mut queues = self.turns.queues();
        // The map's and this one: nobody else waits.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.digest);
        }
    }
}
