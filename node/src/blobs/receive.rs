//! A stream of chunks becomes an artefact.
//!
//! The disk blocks, so every chunk is written on the blocking pool, one after another: the sender
//! is slowed down to the speed of the disk and memory holds one chunk, whatever the artefact's
//! size. A caller that goes away takes its half artefact with it, unless it is one to be gone on
//! with.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::{
    digest::Digest,
    store::{self, Store, Stored, Upload},
};

/// Why an upload ended without an artefact: the store's reason, or the sender's.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    #[error("failed storing the upload")]
    Store(#[from] store::Error),
    #[error("the upload broke off")]
    Sender { source: E },
}

/// Stores what `chunks` brings, under `expected` only when that is given.
///
/// Whoever mounts this behind a server sets the deadline between chunks there.
pub async fn receive<E>(
    store: &Store,
    chunks: impl Stream<Item = Result<Bytes, E>>,
    expected: Option<Digest>,
) -> Result<Stored, Error<E>> {
    let mut incoming = Incoming::begin(store).await?;
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        incoming
            .write(chunk.map_err(|source| Error::Sender { source })?)
            .await?;
    }
    Ok(incoming.finish(expected).await?)
}

/// An [`Upload`] for asynchronous callers.
pub struct Incoming {
    /// `None` after an error: what was written is gone.
    upload: Option<Upload>,
    written: u64,
}

impl Incoming {
    pub async fn begin(store: &Store) -> Result<Self, store::Error> {
        let store = store.clone();
        let upload = blocking(move || store.begin()).await?;
        Ok(Self {
            upload: Some(upload),
            written: 0,
        })
    }

    /// Goes on with `digest` at byte `offset`; see [`Store::resume`].
    pub async fn resume(store: &Store, digest: Digest, offset: u64) -> Result<Self, store::Error> {
        let store = store.clone();
        let upload = blocking(move || store.resume(&digest, offset)).await?;
        Ok(Self {
            written: upload.written(),
            upload: Some(upload),
        })
    }

    pub async fn write(&mut self, chunk: Bytes) -> Result<(), store::Error> {
        let Some(mut upload) = self.upload.take() else {
            return Err(store::Error::Abandoned);
        };
        let upload = blocking(move || {
            upload.write(&chunk)?;
            Ok(upload)
        })
        .await?;
        self.written = upload.written();
        self.upload = Some(upload);
        Ok(())
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    pub async fn finish(mut self, expected: Option<Digest>) -> Result<Stored, store::Error> {
        let Some(upload) = self.upload.take() else {
            return Err(store::Error::Abandoned);
        };
        blocking(move || upload.finish(expected.as_ref())).await
    }
}

/// Runs `work` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
) -> Result<T, store::Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(store::Error::Abandoned),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::convert::Infallible;

    use futures::stream;

    use super::*;
    use crate::blobs::digest;

    fn store(largest: u64) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), largest).unwrap();
        (dir, store)
    }

    fn chunks(parts: &[&'static str]) -> Vec<Result<Bytes, Infallible>> {
        parts
            .iter()
            .map(|part| Ok(Bytes::from_static(part.as_bytes())))
            .collect()
    }

    #[tokio::test]
    async fn chunks_become_one_object() {
        let (_dir, store) = store(100);
        let stored = receive(&store, stream::iter(chunks(&["ab", "", "c"])), None)
            .await
            .unwrap();
        assert_eq!(stored.digest, digest::of(b"abc"));
        assert_eq!(stored.size, 3);
        assert!(store.has(&stored.digest));
    }

    #[tokio::test]
    async fn nothing_is_stored_under_another_name_or_beyond_the_limit_or_from_half_a_stream() {
        let (dir, store) = store(4);
        let wrong = Some(digest::of(b"other"));
        let mismatch = receive(&store, stream::iter(chunks(&["abc"])), wrong).await;
        assert!(matches!(
            mismatch,
            Err(Error::Store(store::Error::Mismatch { .. }))
        ));

        let large = receive(&store, stream::iter(chunks(&["abc", "de"])), None).await;
        assert!(matches!(
            large,
            Err(Error::Store(store::Error::TooLarge { largest: 4 }))
        ));

        let broken = stream::iter([Ok(Bytes::from_static(b"ab")), Err("gone")]);
        let broken = receive(&store, broken, None).await;
        assert!(matches!(broken, Err(Error::Sender { source: "gone" })));

        assert_eq!(store.list().unwrap(), []);
        assert_eq!(
            std::fs::read_dir(dir.path().join("incoming"))
                .unwrap()
                .count(),
            0
        );
    }
}
