//! Uploads that break off, and go on.

use fleet_client::Exit;

use crate::fake::Fake;
use crate::run::line;

/// More than three chunks.
fn source() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..900_001_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(here.path().join("data"), content).unwrap();
    here
}

const CREATE: &str = "release create ./ --no-wait -a shop";

#[tokio::test]
async fn a_broken_connection_costs_only_what_was_not_received() {
    let here = source();
    let fake = Fake::default();
    fake.script.lock().unwrap().breaks = [300_000, 600_000].into();
    let (address, other) = (fake.serve().await, Fake::default());
    let second = other.serve().await;
    let ended = line(CREATE, &[&address, &second])
        .directory(here.path())
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    let script = fake.script.lock().unwrap();
    let chunk = 256 * 1024;
    // It went on with the node that held the beginning, each time from where that stood.
    assert_eq!(script.offsets, [0, 2 * chunk, 3 * chunk]);
    assert!(other.script.lock().unwrap().offsets.is_empty());
}

#[tokio::test]
async fn a_command_started_again_goes_on_too() {
    let here = source();
    let whole = Fake::default();
    let address = whole.serve().await;
    line(CREATE, &[&address]).directory(here.path()).run().await;
    let (sha256, bytes) = whole.script.lock().unwrap().blobs[0].clone();

    let fake = Fake::default();
    let beginning = bytes[..500_000].to_vec();
    fake.script.lock().unwrap().partial = vec![(sha256, beginning)];
    let address = fake.serve().await;
    let ended = line(CREATE, &[&address]).directory(here.path()).run().await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    let script = fake.script.lock().unwrap();
    assert_eq!(script.offsets, [500_000]);
    assert_eq!(script.blobs[0].1, bytes);
}

#[tokio::test]
async fn a_node_that_always_breaks_is_left_and_in_the_end_given_up() {
    let here = source();
    let fake = Fake::default();
    // Never further than before.
    fake.script.lock().unwrap().breaks = vec![1; 50].into();
    let address = fake.serve().await;
    let other = Fake::default();
    let second = other.serve().await;
    let moved = line(CREATE, &[&address, &second]);
    let ended = moved.directory(here.path()).run().await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
}
