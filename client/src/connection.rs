//! Calls to a cluster: several addresses, one answer.
//!
//! Any node answers, so a call goes to the first address that works and moves on when a node
//! cannot be reached, is too slow, or says that it is unavailable. Every attempt carries the same
//! request, hence the same request id, so a repeated write takes effect once. What cannot be
//! settled is whether a write whose answer was lost was done: that is exit 6, never exit 5.

mod attempt;
mod dial;
mod stream;
mod upload;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fleet_trust::{ClientConfig, Fingerprint, pinned};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::exit::Exit;
use crate::failure::Failure;
use attempt::{Outcome, judge};

pub(crate) use dial::unix;
pub(crate) use stream::Next;
pub(crate) use upload::Artefact;

/// How long a call may take in all, unless --timeout says otherwise.
const CALL_TIME: Duration = Duration::from_secs(15);
/// How long one node may take to answer before the next is asked as well.
const ATTEMPT_TIME: Duration = Duration::from_secs(5);
/// New rounds over the addresses begin only within this time, unless --timeout says otherwise:
/// nodes already wait for an election themselves before they say that they are unavailable.
const ROUNDS_TIME: Duration = Duration::from_secs(2);
/// Pauses between rounds: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));

/// A cluster to speak to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// host:port, or a URI.
    pub(crate) addresses: Vec<String>,
    /// The operator's token.
    pub(crate) token: String,
    /// Fingerprints of the authorities whose nodes are believed.
    pub(crate) ca_fingerprints: Vec<String>,
    /// App of commands that name none.
    pub(crate) app: Option<String>,
    /// Where this came from, for messages.
    pub(crate) origin: String,
}

/// Whether repeating a call could matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    /// Carries a request id.
    Write,
}

/// Connections to the nodes of one cluster, opened when needed.
pub(crate) struct Connection {
    addresses: Vec<String>,
    bearer: MetadataValue<Ascii>,
    tls: Arc<ClientConfig>,
    timeout: Option<Duration>,
    state: Mutex<State>,
}

/// The address that worked last and the channel to it.
#[derive(Default)]
struct State {
    preferred: usize,
    channel: Option<Channel>,
}

impl Connection {
    /// Opens nothing yet. `timeout` bounds each call.
    pub(crate) fn new(target: &Target, timeout: Option<Duration>) -> Result<Self, Failure> {
        let bearer = format!("Bearer {}", target.token.trim());
        let mut bearer: MetadataValue<Ascii> = bearer.parse().map_err(|_| {
            Failure::usage(format!("the token of {} has odd characters", target.origin))
        })?;
        bearer.set_sensitive(true);
        let state = Mutex::new(State::default());
        Ok(Self {
            addresses: target.addresses.clone(),
            bearer,
            tls: tls(target)?,
            timeout,
            state,
        })
    }

    /// A fresh request id: 128 random bits.
    pub(crate) fn request_id() -> String {
        format!("{:032x}", rand::random::<u128>())
    }

    /// Asks; may be asked of several nodes.
    pub(crate) async fn read<Q, A, F, R>(&self, question: Q, send: F) -> Result<A, Failure>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        self.call(Kind::Read, question, send).await
    }

    /// Commands; the message must carry a request id.
    pub(crate) async fn write<Q, A, F, R>(&self, command: Q, send: F) -> Result<A, Failure>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        self.call(Kind::Write, command, send).await
    }

    async fn call<Q, A, F, R>(&self, kind: Kind, message: Q, send: F) -> Result<A, Failure>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let start = Instant::now();
        let deadline = start + self.timeout.unwrap_or(CALL_TIME);
        let last_round = start + self.timeout.unwrap_or(ROUNDS_TIME);
        let mut tally = Tally::default();
        let mut pause = PAUSES.0;
        loop {
            for _ in 0..self.addresses.len() {
                match self.attempt(deadline, message.clone(), &send).await {
                    Outcome::Answer(answer) => return Ok(answer),
                    Outcome::Refusal(failure) => return Err(*failure),
                    Outcome::Retry { why, sent } => {
                        tally.note(why, sent);
                        self.advance().await;
                    }
                }
                if Instant::now() >= deadline {
                    return Err(tally.give_up(kind, &self.addresses));
                }
            }
            if Instant::now() + pause >= last_round.min(deadline) {
                return Err(tally.give_up(kind, &self.addresses));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// One call to the address in favour.
    async fn attempt<Q, A, F, R>(&self, deadline: Instant, message: Q, send: &F) -> Outcome<A>
    where
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let channel = match self.channel(deadline).await {
            Ok(channel) => channel,
            Err(why) => return Outcome::Retry { why, sent: false },
        };
        let until = deadline.min(Instant::now() + ATTEMPT_TIME);
        let mut request = self.request(message);
        // The node must not go on with what nobody waits for any more.
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        match tokio::time::timeout_at(until, send(channel, request)).await {
            Ok(Ok(response)) => Outcome::Answer(response.into_inner()),
            Ok(Err(status)) => judge(&status),
            Err(_) => Outcome::Retry {
                why: "no answer in time".to_owned(),
                sent: true,
            },
        }
    }

    /// A message with the token beside it.
    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.bearer.clone());
        request
    }

    /// The channel to the address in favour, opened if need be.
    async fn channel(&self, deadline: Instant) -> Result<Channel, String> {
        let mut state = self.state.lock().await;
        if let Some(channel) = &state.channel {
            return Ok(channel.clone());
        }
        let address = &self.addresses[state.preferred % self.addresses.len()];
        let channel = dial::tcp(address, &self.tls, deadline).await?;
        state.channel = Some(channel.clone());
        Ok(channel)
    }

    /// Stays with the address in favour, over a connection of its own: the present one broke.
    async fn reopen(&self) {
        self.state.lock().await.channel = None;
    }

    /// Leaves the address in favour for the next.
    async fn advance(&self) {
        let mut state = self.state.lock().await;
        state.preferred = (state.preferred + 1) % self.addresses.len();
        state.channel = None;
    }
}

/// TLS with nobody but nodes of the cluster that is meant.
fn tls(target: &Target) -> Result<Arc<ClientConfig>, Failure> {
    let fingerprints = target.ca_fingerprints.iter();
    let parsed: Result<Vec<Fingerprint>, _> = fingerprints.map(|text| text.parse()).collect();
    let authorities = parsed.map_err(|error| {
        Failure::usage(format!(
            "the CA fingerprint of {} is {error}",
            target.origin
        ))
    })?;
    if authorities.is_empty() {
        let what = format!(
            "{} does not say which cluster is to be believed",
            target.origin
        );
        return Err(Failure::usage(what).hint(
            "FLEET_CA_FINGERPRINT, or fleet context add --ca-fingerprint; \
             fleet node status prints it on every node",
        ));
    }
    pinned(&authorities).map_err(|error| Failure::failed(format!("no TLS: {error}")))
}

/// What the failed attempts of one call add up to.
#[derive(Debug, Default)]
struct Tally {
    /// Some node may have got the request without an answer to us.
    maybe_sent: bool,
    /// Why the last attempts failed, without repetition.
    reasons: Vec<String>,
}

impl Tally {
    fn note(&mut self, why: String, sent: bool) {
        self.maybe_sent |= sent;
        if !self.reasons.contains(&why) {
            self.reasons.push(why);
        }
    }

    fn give_up(&self, kind: Kind, addresses: &[String]) -> Failure {
        let reasons = self.reasons.join("; ");
        let asked = addresses.join(", ");
        match (kind, self.maybe_sent) {
            (Kind::Write, true) => Failure::new(
                Exit::TimedOut,
                "OUTCOME_UNKNOWN",
                format!("no answer from {asked}: it may have been done or not ({reasons})"),
            )
            .hint("look before repeating it: fleet env describe ENV, fleet events"),
            (Kind::Read, true) => Failure::new(
                Exit::TimedOut,
                "TIMED_OUT",
                format!("no answer from {asked}: {reasons}"),
            ),
            (_, false) => Failure::new(
                Exit::Unreachable,
                "UNAVAILABLE",
                format!("no node could do it at {asked}: {reasons}"),
            ),
        }
    }
}
