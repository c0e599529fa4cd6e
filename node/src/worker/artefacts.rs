//! Unpacked artefacts, one directory per digest, shared read-only by all frontends that run it.
//!
//! A directory under a digest's name is complete: it gets the name when it is, and loses it
//! before the first file is removed. Where the bytes come from is the [`Source`]'s business.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fleet_model::ids::Digest;

use super::assignment::Artefact;
use super::hands::FetchError;

pub(crate) use self::source::Holders;

/// How long an artefact that nobody uses is kept: a release that was just unloaded is often
/// loaded again.
const KEPT_UNUSED: Duration = Duration::from_secs(3600);

const REMOVED: &str = ".removed-";

/// Where an artefact's content comes from.
pub(crate) trait Source: Send + Sync + 'static {
    /// Makes `directory`, complete or not at all, from the artefact.
    fn unpack(
        &self,
        artefact: &Artefact,
        directory: &Path,
    ) -> impl Future<Output = Result<(), FetchError>> + Send;
}

pub(crate) struct Artefacts<S> {
    root: PathBuf,
    source: S,
    /// One at a time per digest.
    turns: Mutex<BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

impl<S: Source> Artefacts<S> {
    /// Opens the cache and finishes removals that a crash interrupted.
    pub(crate) fn open(root: PathBuf, source: S) -> io::Result<Self> {
        std::fs::create_dir_all(&root)?;
        for entry in std::fs::read_dir(&root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(REMOVED) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self {
            root,
            source,
            turns: Mutex::default(),
        })
    }

    /// Where an artefact lies once it was provided.
    pub(crate) fn directory(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.as_str())
    }

    /// Sees to it that the artefact is there. Many may ask for the same one: it is fetched once.
    pub(crate) async fn provide(&self, artefact: &Artefact) -> Result<(), FetchError> {
        let turn = self.turn(&artefact.digest);
        let _mine = turn.lock().await;
        let directory = self.directory(&artefact.digest);
        if !directory.is_dir() {
            self.source.unpack(artefact, &directory).await?;
        }
        // When it was last asked for; only cleaning up reads it, so failing is no failure.
        let _ = File::open(&directory).and_then(|dir| dir.set_modified(SystemTime::now()));
        Ok(())
    }

    /// Removes what is not in use and was not asked for lately.
    pub(crate) async fn collect(
        &self,
        in_use: &BTreeSet<Digest>,
        now: SystemTime,
    ) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            let Some(digest) = entry.file_name().to_str().and_then(Digest::parse) else {
                continue;
            };
            let turn = self.turn(&digest);
            let Ok(_mine) = turn.try_lock() else { continue };
            let asked = entry.metadata()?.modified()?;
            let idle = now.duration_since(asked).unwrap_or(Duration::ZERO);
            if in_use.contains(&digest) || idle < KEPT_UNUSED {
                continue;
            }
            let removed = self.root.join(format!("{REMOVED}{digest}"));
            std::fs::rename(entry.path(), &removed)?;
            tokio::fs::remove_dir_all(&removed).await?;
            tracing::info!(%digest, "artefact removed: no frontend has used it for an hour");
        }
        Ok(())
    }

    fn turn(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|other, turn| other == digest || Arc::strong_count(turn) > 1);
        turns.entry(digest.clone()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::worker::assignment::testing::assignment;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Source for Arc<Counting> {
        async fn unpack(&self, _: &Artefact, directory: &Path) -> Result<(), FetchError> {
            let attempt = self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if attempt == 0 {
                return Err(FetchError {
                    reason: "no holder".into(),
                    hopeless: false,
                });
            }
            std::fs::create_dir(directory).unwrap();
            Ok(())
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_fetch_once() {
        let dir = tempfile::tempdir().unwrap();
        let source = Arc::new(Counting::default());
        let cache = Artefacts::open(dir.path().join("cache"), source.clone()).unwrap();
        let artefact = assignment(1).artefact;
        let all = futures::future::join_all((0..8).map(|_| cache.provide(&artefact))).await;
        assert_eq!(
            all.iter().filter(|result| result.is_err()).count(),
            1,
            "the first failed"
        );
        assert_eq!(
            source.0.load(Ordering::SeqCst),
            2,
            "and the second did it for all others"
        );
        assert!(cache.directory(&artefact.digest).is_dir());
    }

    #[tokio::test]
    async fn only_what_is_neither_used_nor_young_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let source = Arc::new(Counting::default());
        let _ = source.0.fetch_add(1, Ordering::SeqCst);
        let cache = Artefacts::open(dir.path().to_owned(), source.clone()).unwrap();
        let artefact = assignment(1).artefact;
        cache.provide(&artefact).await.unwrap();
        let there = || cache.directory(&artefact.digest).is_dir();
        let now = SystemTime::now();
        let later = now + KEPT_UNUSED + Duration::from_secs(1);
        let used = BTreeSet::from([artefact.digest.clone()]);
        cache.collect(&BTreeSet::new(), now).await.unwrap();
        assert!(there(), "young");
        cache.collect(&used, later).await.unwrap();
        assert!(there(), "used");
        cache.collect(&BTreeSet::new(), later).await.unwrap();
        assert!(!there(), "neither");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn an_interrupted_removal_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(format!("{REMOVED}x/y"));
        std::fs::create_dir_all(&left).unwrap();
        Artefacts::open(dir.path().to_owned(), Arc::new(Counting::default())).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
