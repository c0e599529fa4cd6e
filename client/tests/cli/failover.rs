//! Several addresses, one answer; and what is said when there is none.

use std::time::{Duration, Instant};

use fleet_client::Exit;
use tonic::{Code, Status};

use crate::fake::{Fake, breaking, closed, silent, status};
use crate::run::line;

const LOAD: &str = "env load prod 8ef9d2f -a shop";
const LOADED: &str = "Release 8ef9d2f is now being loaded into environment prod\n";

#[tokio::test]
async fn goes_on_to_the_next_address() {
    let fake = Fake::default();
    let (gone, broken, good) = (closed().await, breaking().await, fake.serve().await);
    let ended = line(LOAD, &[&gone, &broken, &good]).run().await;
    assert_eq!(
        (ended.exit, ended.output.as_str()),
        (Exit::Done, LOADED),
        "{}",
        ended.errors
    );
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn repeats_with_the_same_request_id() {
    let (first, second) = (Fake::default(), Fake::default());
    first.refuse(Status::unavailable("no leader"));
    second.refuse(Status::deadline_exceeded("no answer from the leader"));
    first.refuse(Status::unavailable("no leader"));
    let (one, two) = (first.serve().await, second.serve().await);
    let ended = line(LOAD, &[&one, &two]).run().await;
    assert_eq!(ended.output, LOADED, "{}", ended.errors);
    let calls: Vec<_> = first.seen().into_iter().chain(second.seen()).collect();
    assert_eq!(calls.len(), 4);
    assert!(!calls[0].request_id.is_empty());
    assert!(
        calls
            .iter()
            .all(|call| call.request_id == calls[0].request_id),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_refusal_is_final() {
    let (first, second) = (Fake::default(), Fake::default());
    first.refuse(status(
        Code::FailedPrecondition,
        "protected",
        "PROTECTED",
        "",
        &[],
    ));
    let (one, two) = (first.serve().await, second.serve().await);
    assert_eq!(line(LOAD, &[&one, &two]).run().await.exit, Exit::Refused);
    assert_eq!(second.seen().len(), 0);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let (one, two) = (closed().await, closed().await);
    let start = Instant::now();
    let ended = line(LOAD, &[&one, &two]).run().await;
    assert_eq!(ended.exit, Exit::Unreachable, "{}", ended.errors);
    assert!(
        ended.errors.contains(&one) && ended.errors.contains("refused"),
        "{}",
        ended.errors
    );
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn unavailable_nodes_have_done_nothing() {
    let fake = Fake::default();
    // More than the rounds that fit into the time for rounds.
    (0..1000).for_each(|_| fake.refuse(Status::unavailable("no quorum")));
    let address = fake.serve().await;
    let ended = line(LOAD, &[&address]).run().await;
    assert_eq!(ended.exit, Exit::Unreachable);
    assert!(ended.errors.contains("no quorum"), "{}", ended.errors);
    assert!(fake.seen().len() > 1, "it did not try again");
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_unknown() {
    let (broken, gone) = (breaking().await, closed().await);
    let ended = line(LOAD, &[&broken, &gone]).run().await;
    assert_eq!(ended.exit, Exit::TimedOut, "{}", ended.errors);
    assert!(
        ended.errors.contains("it may have been done or not"),
        "{}",
        ended.errors
    );
    let read = line("env list -a shop", &[&gone]).run().await;
    assert_eq!(read.exit, Exit::Unreachable);
}

#[tokio::test]
async fn a_silent_node_is_given_up_in_time() {
    let address = silent().await;
    let start = Instant::now();
    let ended = line(&format!("{LOAD} --timeout 300ms"), &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::TimedOut, "{}", ended.errors);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_wrong_secret_says_where_it_comes_from() {
    let fake = Fake::default();
    fake.refuse(Status::unauthenticated("the secret is wrong"));
    let address = fake.serve().await;
    let ended = line(LOAD, &[&address]).run().await;
    assert_eq!(ended.exit, Exit::Refused);
    assert!(ended.errors.contains("FLEET_TOKEN"), "{}", ended.errors);
}
