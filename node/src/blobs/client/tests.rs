#![allow(clippy::unwrap_used)]

use std::{
    pin::Pin,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use fleet_proto::internal::{
    Chunk, HasRequest, HasResponse,
    blobs_server::{Blobs, BlobsServer},
};
use futures::{Stream, StreamExt as _, stream};
use tonic::{Request, Response};

use super::*;
use crate::{
    blobs::{Service, digest},
    trust::testing::TestAuthority,
};

/// One authority for all tests of this file.
static AUTHORITY: LazyLock<TestAuthority> = LazyLock::new(|| TestAuthority::new("c1"));

/// What a test's holder does with a `Fetch`.
#[derive(Clone, Copy)]
enum Manner {
    Honest,
    /// Breaks off after so many bytes of the object.
    BreaksOffAt(u64),
    /// Sends the first byte wrong, and a whole object.
    Lies,
    /// Claims another size.
    Resizes,
    /// Takes the call and says nothing more.
    Silent,
}

#[derive(Clone)]
struct Holder {
    content: Arc<Vec<u8>>,
    manner: Manner,
    /// Offsets it was asked for.
    asked: Arc<Mutex<Vec<u64>>>,
}

#[tonic::async_trait]
impl Blobs for Holder {
    async fn has(&self, _: Request<HasRequest>) -> Result<Response<HasResponse>, Status> {
        Err(Status::unimplemented("not asked in these tests"))
    }

    type FetchStream = Pin<Box<dyn Stream<Item = Result<Chunk, Status>> + Send>>;

    async fn fetch(
        &self,
        request: Request<FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let offset = request.into_inner().offset;
        self.asked.lock().unwrap().push(offset);
        let mut content = self.content.to_vec();
        let mut total = content.len() as u64;
        let mut end = content.len();
        match self.manner {
            Manner::Honest => {}
            Manner::BreaksOffAt(at) => end = (at as usize).max(offset as usize),
            Manner::Lies => content[offset as usize] ^= 1,
            Manner::Resizes => total += 1,
            Manner::Silent => return Ok(Response::new(Box::pin(stream::pending()))),
        }
        let mut steps = vec![Ok(Chunk {
            data: Bytes::new(),
            total,
        })];
        let rest = content[offset as usize..end].chunks(1000);
        steps.extend(rest.map(|part| {
            Ok(Chunk {
                data: Bytes::copy_from_slice(part),
                total: 0,
            })
        }));
        if end < content.len() {
            steps.push(Err(Status::unavailable("going down")));
        }
        Ok(Response::new(stream::iter(steps).boxed()))
    }
}

fn worker() -> Trust {
    AUTHORITY.node(4, &["worker"])
}

/// Serves on a port of its own until the runtime of the test ends.
async fn serve(service: impl Blobs) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = AUTHORITY.node(1, &["control"]).incoming(listener);
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(BlobsServer::new(service))
            .serve_with_incoming(incoming),
    );
    address
}

struct World {
    content: Arc<Vec<u8>>,
    object: Object,
    store: Store,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let content: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
        let object = Object {
            digest: digest::of(&content),
            size: content.len() as u64,
        };
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 30).unwrap();
        Self {
            content: Arc::new(content),
            object,
            store,
            dir,
        }
    }

    async fn holder(&self, manner: Manner) -> (String, Arc<Mutex<Vec<u64>>>) {
        let asked = Arc::default();
        let content = Arc::clone(&self.content);
        let holder = Holder {
            content,
            manner,
            asked: Arc::clone(&asked),
        };
        (serve(holder).await, asked)
    }

    async fn fetch(&self, holders: &[String]) -> Result<(), Error> {
        let deadlines = Deadlines {
            connect: Duration::from_secs(2),
            stall: Duration::from_millis(300),
        };
        Client::with_deadlines(worker(), deadlines)
            .fetch(&self.object, holders, &self.store)
            .await
    }

    fn arrived(&self) -> bool {
        self.store
            .open_verified(&self.object.digest)
            .unwrap()
            .is_some()
    }
}

fn failures(result: Result<(), Error>) -> Vec<Failure> {
    match result {
        Err(Error::Exhausted { attempts, .. }) => attempts
            .into_iter()
            .map(|attempt| attempt.failure)
            .collect(),
        other => panic!("expected that no holder gave it, got {other:?}"),
    }
}

#[tokio::test]
async fn an_object_travels_from_store_to_store() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let source = Store::open(dir.path(), 1 << 30).unwrap();
    let holder = serve(Service::new(source.clone())).await;
    let refused = failures(world.fetch(std::slice::from_ref(&holder)).await);
    assert!(
        matches!(&refused[..], [Failure::Refused { status }] if status.code() == Code::NotFound)
    );

    source.put(&world.content[..]).unwrap();
    world.fetch(std::slice::from_ref(&holder)).await.unwrap();
    assert!(world.arrived());
    // Now it is here: nobody has to be asked, unless it is damaged meanwhile.
    world.fetch(&[]).await.unwrap();
    let object = world
        .dir
        .path()
        .join("objects")
        .join(world.object.digest.as_str());
    std::fs::write(object, b"damaged").unwrap();
    assert!(failures(world.fetch(&[]).await).is_empty());
    world.fetch(&[holder]).await.unwrap();
    assert!(world.arrived());
}

#[tokio::test]
async fn the_next_holder_goes_on_where_the_last_stopped() {
    let world = World::new();
    let (first, _) = world.holder(Manner::BreaksOffAt(500_000)).await;
    let (silent, _) = world.holder(Manner::Silent).await;
    let (last, asked) = world.holder(Manner::Honest).await;
    world.fetch(&[first, silent, last]).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [500_000]);
    assert!(world.arrived());
}

#[tokio::test]
async fn a_real_server_resumes_at_any_offset() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let source = Store::open(dir.path(), 1 << 30).unwrap();
    source.put(&world.content[..]).unwrap();
    let (first, _) = world.holder(Manner::BreaksOffAt(262_145)).await;
    world
        .fetch(&[first, serve(Service::new(source)).await])
        .await
        .unwrap();
    assert!(world.arrived());
}

#[tokio::test]
async fn a_lie_among_the_pieces_is_found_and_an_honest_holder_asked_for_all() {
    let world = World::new();
    let (honest, asked) = world.holder(Manner::Honest).await;
    let (half, _) = world.holder(Manner::BreaksOffAt(1_000_000)).await;
    let (liar, _) = world.holder(Manner::Lies).await;
    world.fetch(&[half, liar, honest]).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [0]);
    assert!(world.arrived());
}

#[tokio::test]
async fn a_server_that_finds_its_copy_damaged_stops_offering_it() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let source = Store::open(dir.path(), 1 << 30).unwrap();
    source.put(&world.content[..]).unwrap();
    let mut damaged = world.content.to_vec();
    damaged[7] ^= 1;
    let path = dir
        .path()
        .join("objects")
        .join(world.object.digest.as_str());
    std::fs::write(path, damaged).unwrap();

    let (honest, _) = world.holder(Manner::Honest).await;
    world
        .fetch(&[serve(Service::new(source.clone())).await, honest])
        .await
        .unwrap();
    assert!(world.arrived());
    assert!(!source.has(&world.object.digest));
}

#[tokio::test]
async fn every_holder_that_failed_is_named_with_its_reason() {
    let world = World::new();
    let (resizes, _) = world.holder(Manner::Resizes).await;
    let (silent, _) = world.holder(Manner::Silent).await;
    // A port that was free a moment ago and is nobody's now.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let result = world
        .fetch(&[resizes, silent, gone.to_string(), "not an address".into()])
        .await;
    let said = result.as_ref().unwrap_err().to_string();
    assert!(said.contains(&format!("{gone}: unreachable")), "{said}");
    assert!(matches!(
        failures(result)[..],
        [
            Failure::Size { .. },
            Failure::Stalled { .. },
            Failure::Connect { .. },
            Failure::Address { .. }
        ]
    ));
    assert_eq!(world.store.list().unwrap(), []);
}

#[tokio::test]
async fn a_stranger_is_refused() {
    let world = World::new();
    let (holder, asked) = world.holder(Manner::Honest).await;
    let elsewhere = TestAuthority::new("c1");
    let stranger = Client::new(elsewhere.node(4, &["worker"]));
    let refused = failures(stranger.fetch(&world.object, &[holder], &world.store).await);
    assert!(matches!(&refused[..], [Failure::Connect { .. }]));
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn callers_that_want_the_same_fetch_it_once() {
    let world = World::new();
    let (holder, asked) = world.holder(Manner::Honest).await;
    let client = Client::new(worker());
    let done = AtomicUsize::new(0);
    let holders = [holder];
    let fetches = (0..8).map(|_| async {
        client
            .fetch(&world.object, &holders, &world.store)
            .await
            .unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    });
    futures::future::join_all(fetches).await;
    assert_eq!(done.into_inner(), 8);
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert!(client.turns.is_empty());
}
