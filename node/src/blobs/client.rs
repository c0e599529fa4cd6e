//! Brings an artefact from whoever holds it into a store.
//!
//! Holders are asked in the caller's order (nearest first). When one breaks off, the next goes on
//! where it stopped. What was put together is verified as a whole; if it is damaged, the blame
//! cannot be divided, so every holder is then asked for all of it alone.

use std::{fmt, time::Duration};

use fleet_proto::internal::{FetchRequest, blobs_client::BlobsClient};
use fleet_trust::Whom;
use tokio::time::timeout;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{
    digest::Digest,
    receive::{Incoming, blocking},
    store::{self, Object, Store},
    turns::Turns,
};
use crate::trust::Trust;

/// Fetches artefacts; clones share what is under way, so that one artefact is fetched once.
#[derive(Clone)]
pub struct Client {
    /// Shows holders that a node asks.
    trust: Trust,
    deadlines: Deadlines,
    turns: Turns,
}

/// How long to wait for a holder before the next one is asked. A whole fetch has no deadline of
/// its own: it moves on as long as bytes come, and the caller may drop it at any moment.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Until the connection stands.
    pub connect: Duration,
    /// Between two chunks. A holder that resumes reads up to the offset first, at disk speed.
    pub stall: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            stall: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed storing a fetched artefact")]
    Store(#[from] store::Error),
    #[error("no holder gave artefact {digest}: {}", Attempts(attempts))]
    Exhausted {
        digest: Digest,
        attempts: Vec<Attempt>,
    },
}

/// One holder asked in vain.
#[derive(Debug)]
pub struct Attempt {
    pub holder: String,
    pub failure: Failure,
}

/// Why a holder did not give the object.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("not an address")]
    Address { source: tonic::transport::Error },
    #[error("unreachable")]
    Connect { source: tonic::transport::Error },
    #[error("no answer for {} s", after.as_secs_f32())]
    Stalled { after: Duration },
    #[error("{}", status.message())]
    Refused { status: Status },
    #[error("speaks of {found} bytes instead of {expected}")]
    Size { expected: u64, found: u64 },
    #[error("gave bytes that do not hash to the name")]
    Damaged,
}

impl Client {
    pub fn new(trust: Trust) -> Self {
        Self::with_deadlines(trust, Deadlines::default())
    }

    pub fn with_deadlines(trust: Trust, deadlines: Deadlines) -> Self {
        Self {
            trust,
            deadlines,
            turns: Turns::default(),
        }
    }

    /// Sees to it that `store` has the object undamaged, asking `holders` (`host:port`) in their order.
    /// Safe to drop at any point: nothing half fetched stays.
    pub async fn fetch(
        &self,
        object: &Object,
        holders: &[String],
        store: &Store,
    ) -> Result<(), Error> {
        let _turn = self.turns.take(&object.digest).await;
        self.fetch_in_turn(object, holders, store).await
    }

    async fn fetch_in_turn(
        &self,
        object: &Object,
        holders: &[String],
        store: &Store,
    ) -> Result<(), Error> {
        let (asked, digest) = (store.clone(), object.digest.clone());
        let intact = move || Ok(asked.open_verified(&digest)?.is_some() && asked.confirm(&digest)?);
        if blocking(intact).await? {
            return Ok(());
        }
        if object.size > store.largest() {
            return Err(store::Error::TooLarge {
                largest: store.largest(),
            }
            .into());
        }
        let mut attempts = Vec::new();
        if self
            .fetch_together(object, holders, store, &mut attempts)
            .await?
        {
            return Ok(());
        }
        // Without damage, everyone has been asked; with it, each gets one more chance alone.
        if attempts
            .iter()
            .any(|attempt| matches!(attempt.failure, Failure::Damaged))
        {
            for holder in holders {
                let holder = std::slice::from_ref(holder);
                if self
                    .fetch_together(object, holder, store, &mut attempts)
                    .await?
                {
                    return Ok(());
                }
            }
        }
        Err(Error::Exhausted {
            digest: object.digest.clone(),
            attempts,
        })
    }

    /// One object out of the holders' pieces; `false` when they did not make it.
    async fn fetch_together(
        &self,
        object: &Object,
        holders: &[String],
        store: &Store,
        attempts: &mut Vec<Attempt>,
    ) -> Result<bool, store::Error> {
        let mut incoming = Incoming::begin(store).await?;
        for holder in holders {
            let mut failed = |failure| {
                tracing::debug!(digest = %object.digest, holder, %failure, "artefact not fetched");
                attempts.push(Attempt {
                    holder: holder.clone(),
                    failure,
                });
            };
            match self.copy(holder, object, &mut incoming).await {
                Ok(()) => match incoming.finish(Some(object.digest.clone())).await {
                    Ok(_) => return Ok(true),
                    Err(store::Error::Mismatch { .. }) => {
                        failed(Failure::Damaged);
                        return Ok(false);
                    }
                    Err(error) => return Err(error),
                },
                Err(Ended::Store(error)) => return Err(error),
                Err(Ended::Holder(Failure::Damaged)) => {
                    failed(Failure::Damaged);
                    return Ok(false);
                }
                Err(Ended::Holder(failure)) => failed(failure),
            }
        }
        Ok(false)
    }

    /// Appends to `incoming` what `holder` has beyond it.
    async fn copy(
        &self,
        holder: &str,
        object: &Object,
        incoming: &mut Incoming,
    ) -> Result<(), Ended> {
        let mut client = self.connect(holder).await?;
        let request = FetchRequest {
            digest: object.digest.to_string(),
            offset: incoming.written(),
        };
        let mut chunks = self.within_stall(client.fetch(request)).await?.into_inner();
        let mut first = true;
        while let Some(chunk) = self.within_stall(chunks.message()).await? {
            let found = if first { chunk.total } else { object.size };
            let after = incoming.written() + chunk.data.len() as u64;
            if found != object.size || after > object.size {
                let found = found.max(after);
                return Err(Failure::Size {
                    expected: object.size,
                    found,
                }
                .into());
            }
            first = false;
            incoming.write(chunk.data).await.map_err(Ended::Store)?;
        }
        if incoming.written() < object.size {
            let found = incoming.written();
            return Err(Failure::Size {
                expected: object.size,
                found,
            }
            .into());
        }
        Ok(())
    }

    async fn connect(&self, holder: &str) -> Result<BlobsClient<Channel>, Failure> {
        let endpoint = Endpoint::from_shared(format!("https://{holder}"))
            .map_err(|source| Failure::Address { source })?
            .connect_timeout(self.deadlines.connect);
        let channel = self.trust.connect(&endpoint, Whom::Control).await;
        let channel = channel.map_err(|source| Failure::Connect { source })?;
        Ok(BlobsClient::new(channel))
    }

    async fn within_stall<T>(
        &self,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Failure> {
        match timeout(self.deadlines.stall, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) if status.code() == Code::DataLoss => Err(Failure::Damaged),
            Ok(Err(status)) => Err(Failure::Refused { status }),
            Err(_) => Err(Failure::Stalled {
                after: self.deadlines.stall,
            }),
        }
    }
}

/// Why copying from one holder ended early: its fault, or ours, which no other holder mends.
enum Ended {
    Holder(Failure),
    Store(store::Error),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Holder(failure)
    }
}

/// Prints `a: unreachable; b: …`.
struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nobody holds it");
        }
        for (position, Attempt { holder, failure }) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{holder}: {failure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
