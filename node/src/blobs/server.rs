//! `fleet.internal.Blobs`: gives other nodes what the store holds.
//!
//! An object is hashed while it is sent. A copy that turns out to be damaged is put into
//! quarantine and the stream ends with DATA_LOSS: the reader would notice by itself, but this way
//! the bad copy is out of the world and replaced, instead of being offered again.

use std::{fs::File, io::Read as _, pin::Pin};

use bytes::Bytes;
use fleet_proto::internal::{
    Chunk, FetchRequest, HasRequest, HasResponse, Object, blobs_server::Blobs,
};
use futures::{Stream, stream};
use tonic::{Request, Response, Status};

use super::{
    digest::{Digest, Hasher},
    receive::blocking,
    store::{self, CHUNK, Store},
};

/// Objects asked about in one `Has`; a node that holds more asks again.
const ASKED_AT_ONCE: usize = 1000;

/// The service on a store; whoever mounts it checks who calls.
#[derive(Clone)]
pub struct Service {
    store: Store,
}

impl Service {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl Blobs for Service {
    async fn has(&self, request: Request<HasRequest>) -> Result<Response<HasResponse>, Status> {
        let asked = request.into_inner().digests;
        if asked.len() > ASKED_AT_ONCE {
            let text = format!("at most {ASKED_AT_ONCE} objects can be asked about at once");
            return Err(Status::invalid_argument(text));
        }
        let digests = asked
            .iter()
            .map(|text| parse(text))
            .collect::<Result<Vec<_>, _>>()?;
        let store = self.store.clone();
        let held = blocking(move || {
            let mut held = Vec::new();
            for digest in digests {
                if let Some(size) = store.size(&digest)? {
                    held.push(Object {
                        digest: digest.to_string(),
                        size,
                    });
                }
            }
            Ok(held)
        })
        .await
        .map_err(|error| status(&error))?;
        Ok(Response::new(HasResponse { held }))
    }

    type FetchStream = Pin<Box<dyn Stream<Item = Result<Chunk, Status>> + Send>>;

    async fn fetch(
        &self,
        request: Request<FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let FetchRequest { digest, offset } = request.into_inner();
        let digest = parse(&digest)?;
        let store = self.store.clone();
        let reading = blocking(move || Reading::open(store, digest, offset))
            .await
            .map_err(|error| status(&error))?;
        let Some(reading) = reading else {
            return Err(Status::not_found("this node does not hold the object"));
        };
        if offset > reading.total {
            return Err(Status::out_of_range(
                "the object is shorter than the offset",
            ));
        }
        let chunks = stream::try_unfold(reading, |mut reading| async move {
            let (chunk, reading) = blocking(move || Ok((reading.next()?, reading)))
                .await
                .map_err(|error| status(&error))?;
            match chunk {
                Step::Chunk(chunk) => Ok(Some((chunk, reading))),
                Step::End => Ok(None),
                Step::Damaged => Err(Status::data_loss("this node's copy is damaged")),
            }
        });
        Ok(Response::new(Box::pin(chunks)))
    }
}

/// An object being sent.
struct Reading {
    store: Store,
    digest: Digest,
    file: File,
    /// `None` once compared.
    hasher: Option<Hasher>,
    /// Bytes to read, for the digest, before the first is sent.
    skip: u64,
    total: u64,
    told_total: bool,
}

enum Step {
    Chunk(Chunk),
    End,
    Damaged,
}

impl Reading {
    fn open(store: Store, digest: Digest, offset: u64) -> Result<Option<Self>, store::Error> {
        let (Some(file), Some(total)) = (store.open_unverified(&digest)?, store.size(&digest)?)
        else {
            return Ok(None);
        };
        let hasher = Some(Hasher::default());
        Ok(Some(Self {
            store,
            digest,
            file,
            hasher,
            skip: offset,
            total,
            told_total: false,
        }))
    }

    fn next(&mut self) -> Result<Step, store::Error> {
        if !self.told_total {
            self.told_total = true;
            return Ok(Step::Chunk(Chunk {
                data: Bytes::new(),
                total: self.total,
            }));
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = self.read(&mut buffer)?;
            if read == 0 {
                return self.end();
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..read]);
            }
            let skipped = self.skip.min(read as u64);
            self.skip -= skipped;
            // At most the chunk's length, so it fits.
            let skipped = skipped as usize;
            if skipped < read {
                buffer.truncate(read);
                let data = Bytes::from(buffer).slice(skipped..);
                return Ok(Step::Chunk(Chunk { data, total: 0 }));
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, store::Error> {
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => return result.map_err(|source| store::Error::Source { source }),
            }
        }
    }

    fn end(&mut self) -> Result<Step, store::Error> {
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.digest => {
                self.store.quarantine(&self.digest)?;
                Ok(Step::Damaged)
            }
            _ => Ok(Step::End),
        }
    }
}

fn parse(text: &str) -> Result<Digest, Status> {
    Digest::parse(text)
        .ok_or_else(|| Status::invalid_argument("a digest is 64 lowercase hexadecimal digits"))
}

/// The store's error as other nodes see it.
fn status(error: &store::Error) -> Status {
    tracing::warn!(%error, "artefact store");
    match error {
        store::Error::NoSpace { .. } | store::Error::TooLarge { .. } => {
            Status::resource_exhausted(error.to_string())
        }
        store::Error::Mismatch { .. } => Status::data_loss(error.to_string()),
        store::Error::Abandoned => Status::unavailable(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}
