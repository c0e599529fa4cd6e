//! Streams that outlive the node they began on: they are opened anew where they stopped.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::attempt::{Outcome, judge};
use super::{Connection, PAUSES, Tally};
use crate::exit::Exit;
use crate::failure::Failure;

/// How long a stream may be without any node before it is given up; enough for elections and for
/// control processes that start anew.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the stream is to go on.
#[derive(Debug)]
pub(crate) enum Next<T> {
    More,
    Stop(T),
}

impl Connection {
    /// Follows a stream. `open` makes the request from the resume point that `take` has reached;
    /// `take` sees every message in order and says when it has enough.
    ///
    /// # Errors
    /// A refusal; exit 6 when no node answers for [`PATIENCE`] or `--timeout` is over.
    pub(crate) async fn follow<S, Q, A, F, R, T>(
        &self,
        state: &mut S,
        question: impl Fn(&S) -> Q,
        open: F,
        mut take: impl FnMut(&mut S, A) -> Result<Next<T>, Failure>,
    ) -> Result<T, Failure>
    where
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<Streaming<A>>, Status>>,
    {
        let end = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut alive = Instant::now();
        let mut pause = PAUSES.0;
        let mut tally = Tally::default();
        loop {
            let until = end.map_or(alive + PATIENCE, |end| end.min(alive + PATIENCE));
            match self.open_stream(until, question(state), &open).await {
                Outcome::Refusal(failure) => return Err(*failure),
                Outcome::Retry { why, .. } => tally.note(why, true),
                Outcome::Answer(mut stream) => loop {
                    let next = stream.message();
                    let received = match end {
                        Some(end) => tokio::time::timeout_at(end, next).await,
                        None => Ok(next.await),
                    };
                    match received {
                        Err(_) => return Err(overdue(&tally)),
                        Ok(Ok(Some(message))) => {
                            alive = Instant::now();
                            pause = PAUSES.0;
                            if let Next::Stop(value) = take(state, message)? {
                                return Ok(value);
                            }
                        }
                        Ok(Ok(None)) => {
                            tally.note("the stream ended early".to_owned(), true);
                            break;
                        }
                        Ok(Err(status)) => match judge::<()>(&status) {
                            Outcome::Refusal(failure) => return Err(*failure),
                            Outcome::Retry { why, .. } => {
                                tally.note(why, true);
                                break;
                            }
                            Outcome::Answer(()) => {}
                        },
                    }
                },
            }
            self.advance().await;
            if Instant::now() + pause >= until {
                return Err(overdue(&tally));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn open_stream<Q, A, F, R>(
        &self,
        until: Instant,
        question: Q,
        open: &F,
    ) -> Outcome<Streaming<A>>
    where
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<Streaming<A>>, Status>>,
    {
        let channel = match self.channel(until).await {
            Ok(channel) => channel,
            Err(why) => return Outcome::Retry { why, sent: false },
        };
        match tokio::time::timeout_at(until, open(channel, self.request(question))).await {
            Ok(Ok(response)) => Outcome::Answer(response.into_inner()),
            Ok(Err(status)) => judge(&status),
            Err(_) => Outcome::Retry {
                why: "no answer in time".to_owned(),
                sent: true,
            },
        }
    }
}

fn overdue(tally: &Tally) -> Failure {
    let reasons = tally.reasons.join("; ");
    let cause = if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({reasons})")
    };
    Failure::new(
        Exit::TimedOut,
        "TIMED_OUT",
        format!("stopped waiting; it may still go on{cause}"),
    )
    .hint("see where it stands: fleet env describe ENV")
}
