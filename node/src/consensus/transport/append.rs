//! Replication: one bidirectional stream, many requests in flight.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet_proto::internal::RaftAppendResponse;
use futures::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::network::{NetStreamAppend, RPCOption};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::time::Instant;
use tonic::Streaming;

use super::client::{Network, RpcError, describe};
use super::message::{append_to_proto, appended_from_proto};
use crate::consensus::types::TypeConfig;

/// Pause after the first refused stream; doubled up to 32 times that.
const FIRST_REST: Duration = Duration::from_millis(30);

type Answer = Result<StreamAppendResult<TypeConfig>, RpcError>;

impl NetStreamAppend<TypeConfig> for Network {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Answer>, RpcError>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let mut client = self.client(self.lane)?;
            let in_flight = InFlight::default();
            let sent = in_flight.clone();
            let messages = input.map(move |request| {
                sent.push();
                append_to_proto(request)
            });
            let request = self.credentials.request(self.target, messages);
            let opening = tokio::time::timeout(option.soft_ttl(), client.append(request)).await;
            let refusal = match opening {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(self.unreachable(describe(&status))),
                Err(_) => Err(self.unreachable("append stream not accepted in time")),
            };
            let responses = match refusal {
                Ok(responses) => responses,
                Err(error) => {
                    self.rest().await;
                    return Err(error);
                }
            };
            self.refused = 0;
            let answers = Answers {
                network: self,
                responses,
                in_flight,
                ended: false,
            };
            let stream: BoxStream<'s, Answer> =
                Box::pin(futures::stream::unfold(answers, |mut answers| async move {
                    answers.next().await.map(|answer| (answer, answers))
                }));
            Ok(stream)
        })
    }
}

impl Network {
    /// The library waits between attempts while it fills the stream; a connection that is refused
    /// fails before the stream is touched, so without this it would be tried without a pause.
    async fn rest(&mut self) {
        let pause = FIRST_REST.saturating_mul(1 << self.refused.min(5));
        self.refused = self.refused.saturating_add(1);
        tokio::time::sleep(pause).await;
    }
}

/// The answers to what was sent, with an eye on the oldest one missing.
struct Answers<'s> {
    network: &'s Network,
    responses: Streaming<RaftAppendResponse>,
    in_flight: InFlight,
    ended: bool,
}

impl Answers<'_> {
    async fn next(&mut self) -> Option<Answer> {
        if self.ended {
            return None;
        }
        let idle = self.network.append_idle;
        let answer = tokio::select! {
            response = self.responses.message() => match response {
                Ok(None) => None,
                Ok(Some(response)) => {
                    self.in_flight.pop();
                    Some(appended_from_proto(response).map_err(|error| self.network.unreachable(error)))
                }
                Err(status) => Some(Err(self.network.unreachable(describe(&status)))),
            },
            () = self.in_flight.overdue(idle) => {
                Some(Err(self.network.unreachable(format!("no answer to an append within {idle:?}"))))
            }
        };
        // After an error nothing that follows has a meaning.
        self.ended = !matches!(answer, Some(Ok(_)));
        answer
    }
}

/// When each request without an answer was sent.
#[derive(Clone, Default)]
struct InFlight(Arc<Mutex<VecDeque<Instant>>>);

impl InFlight {
    fn push(&self) {
        self.lock().push_back(Instant::now());
    }

    fn pop(&self) {
        self.lock().pop_front();
    }

    /// Resolves when the oldest request has waited for `idle`. A stream on which nothing was asked
    /// may stay silent for ever.
    async fn overdue(&self, idle: Duration) {
        loop {
            let oldest = self.lock().front().copied();
            let now = Instant::now();
            match oldest {
                Some(sent) if now >= sent + idle => return,
                Some(sent) => tokio::time::sleep_until(sent + idle).await,
                None => tokio::time::sleep(idle).await,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
