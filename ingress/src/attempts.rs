//! The attempts at a request: choose, connect, send; again elsewhere when that may help.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use tokio::sync::watch;

use super::body::{Progress, RequestBody};
use super::limits;
use super::load::Outcome;
use super::observe::{Account, Meter as _};
use super::pages::Reason;
use super::pin::{Asked, Choice};
use super::proxy::now_ms;
use super::retry::{self, Budget, Facts, Failure};
use super::routes::Routes;
use super::slot::FrontendId;
use super::upstream::{Connection, Exchange, Pin, Pool, SendError};

/// A request as frontends get it, without its body.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) path: Uri,
    /// As for HTTP/1.1, without framing; whoever sends it makes of it what the frontend speaks.
    pub(super) headers: HeaderMap,
    /// The eye on the body; none when there is no body.
    pub(super) progress: Option<Arc<Progress>>,
}

/// The head of a response, and what keeps the frontend busy until its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) exchange: Exchange,
}

/// Why no frontend answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    UnknownHost,
    NoTable,
    Refused,
    Maintenance,
    NobodyHealthy,
    Failed(Failure),
}

/// What all attempts at one request share.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    pub(super) routes: &'a Routes<Pool>,
    pub(super) host: &'a str,
    /// Between two pieces of its body.
    pub(super) body_time: Duration,
    /// Who asks.
    pub(super) client: IpAddr,
    pub(super) started: Instant,
}

/// What is remembered from attempt to attempt.
#[derive(Debug, Default)]
struct Memory {
    cookie: Option<HeaderValue>,
    tried: Vec<FrontendId>,
    /// Repeats since the last table for which the request was held.
    repeats: u32,
    /// Failed attempts that a frontend may have noticed.
    sent: u32,
    /// The last attempt failed, and the next one has not been granted yet.
    unanswered: bool,
    /// A connection that had rested failed, so rested ones are not trusted any more.
    fresh_only: bool,
    deposited: bool,
    failure: Option<Failure>,
    wait: Option<Wait>,
}

/// Waiting for a table that can serve the request.
#[derive(Debug)]
struct Wait {
    changes: watch::Receiver<u64>,
    until: tokio::time::Instant,
}

/// One attempt's end.
enum Attempt {
    Answered(Box<Answer>),
    /// Nothing was sent, for the connection had ended while it rested. Another one may do.
    Unsent(Box<Request<RequestBody>>),
    Failed(Lost),
}

/// An attempt without an answer.
struct Lost {
    failure: Failure,
    /// The request, unless some of it is gone.
    request: Option<Box<Request<RequestBody>>>,
    /// The connection had rested: its end is no news of the frontend, which may be tried again.
    rested: bool,
}

impl Attempts<'_> {
    /// Tries until a frontend answers or nothing more may be tried.
    pub(super) async fn run(
        &self,
        outgoing: Outgoing,
        body: RequestBody,
        account: &mut Account,
    ) -> Result<Answer, NoAnswer> {
        let progress = outgoing.progress.clone();
        let idempotent = outgoing.method.is_idempotent();
        let mut memory = Memory {
            cookie: outgoing.headers.get(COOKIE).cloned(),
            ..Memory::default()
        };
        let harmless = |failure| {
            let body = progress.as_ref();
            retry::harmless(Facts {
                failure,
                idempotent,
                body: body.map_or(retry::Body::Absent, |progress| progress.body()),
            })
        };
        // Only what may have to be built twice is kept.
        let copy = harmless(Failure::Unreachable).then(|| outgoing.request(RequestBody::Absent));
        let mut request = Box::new(outgoing.into_request(body));
        loop {
            let pin = self.choose(&mut memory).await?;
            account.chosen(&pin);
            let (id, budget) = (pin.slot.id, Arc::clone(&pin.environment.kept.budget));
            if !std::mem::replace(&mut memory.deposited, true) {
                budget.deposit();
            }
            let attempt = self.attempt(pin, request, memory.fresh_only, copy.is_some());
            let lost = match attempt.await {
                Attempt::Answered(answer) => return Ok(*answer),
                Attempt::Unsent(unsent) => {
                    request = unsent;
                    continue;
                }
                Attempt::Failed(lost) => lost,
            };
            let failure = lost.failure;
            memory.lost(id, &lost);
            account.lost(failure != Failure::NotConnected);
            let again = lost
                .request
                .or_else(|| copy.as_ref().map(|copy| Box::new(rebuilt(copy))));
            request = match again {
                Some(request) if harmless(failure) => request,
                _ => return Err(NoAnswer::Failed(failure)),
            };
        }
    }

    /// Chooses a frontend; waits a moment for a table when nobody can be chosen.
    async fn choose(&self, memory: &mut Memory) -> Result<Pin, NoAnswer> {
        loop {
            let choice = self.routes.acquire(&Asked {
                host: self.host,
                client: self.client,
                cookie: memory.cookie.as_ref(),
                tried: &memory.tried,
                entropy: rand::random(),
                now_ms: now_ms(self.started),
            });
            let hold = match choice {
                Choice::Pinned(pin) if memory.grants(&pin.environment.kept.budget) => {
                    return Ok(pin);
                }
                // No more repeats; but nobody got the request, so it can wait for a new table.
                Choice::Pinned(pin) if memory.failure == Some(Failure::NotConnected) => {
                    pin.environment.spec.settings.hold
                }
                Choice::Pinned(_) => Duration::ZERO,
                Choice::Refused => return Err(NoAnswer::Refused),
                Choice::Maintenance => return Err(NoAnswer::Maintenance),
                Choice::Unknown if self.routes.known() => return Err(NoAnswer::UnknownHost),
                Choice::Unknown => return Err(NoAnswer::NoTable),
                Choice::Nobody(settings) => settings.hold,
            };
            if hold.is_zero() || !memory.wait(self.routes, hold).await {
                let failed = memory.failure.map(NoAnswer::Failed);
                return Err(failed.unwrap_or(NoAnswer::NobodyHealthy));
            }
        }
    }

    async fn attempt(
        &self,
        pin: Pin,
        request: Box<Request<RequestBody>>,
        fresh_only: bool,
        repeatable: bool,
    ) -> Attempt {
        let begun = Instant::now();
        let connection = Connection::to(&pin.slot, fresh_only).await;
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(frontend = pin.slot.id, %error, "no connection");
                pin.slot.ended(Outcome::Lost, now_ms(self.started));
                return Attempt::Failed(Lost::unsent(request));
            }
        };
        pin.slot.begins();
        let timeout = pin.response_timeout();
        let progress = request.body().progress();
        let sent = if repeatable {
            send_watched(&mut connection, *request, timeout, self.body_time).await
        } else {
            {
                let times = (timeout, self.body_time);
                send(&mut connection, *request, progress.as_deref(), times).await
            }
        };
        let now = now_ms(self.started);
        match sent {
            Ok(response) => {
                let (status, after) = (response.status().as_u16(), begun.elapsed());
                pin.slot.ended(Outcome::Answered { status, after }, now);
                let exchange = Exchange::new(connection, progress, pin);
                Attempt::Answered(Box::new(Answer { response, exchange }))
            }
            Err(SendError::Unsent(request)) if connection.reused => Attempt::Unsent(request),
            Err(SendError::Unsent(request)) => {
                pin.slot.ended(Outcome::Lost, now);
                Attempt::Failed(Lost::unsent(request))
            }
            Err(SendError::Failed(error)) => {
                tracing::debug!(frontend = pin.slot.id, %error, "no response");
                let failure = failure(&error);
                let rested = connection.reused && failure == Failure::ClosedEarly;
                // A client that breaks its request off is no fault of the frontend.
                if !rested && !error.is_user() {
                    pin.slot.ended(Outcome::Lost, now);
                }
                Attempt::Failed(Lost {
                    failure,
                    request: None,
                    rested,
                })
            }
            Err(SendError::TimedOut) => {
                pin.slot.ended(Outcome::Lost, now);
                Attempt::Failed(Lost::gone(Failure::TimedOut))
            }
            // No fault of the frontend either.
            Err(SendError::ClientTimedOut) => Attempt::Failed(Lost::gone(Failure::ClientTimedOut)),
        }
    }
}

/// Sends, and waits for the head of the response: for `timeout` since the last byte of the body
/// that moved, since an upload may take as long as it likes. A client that owes the rest of its
/// body is waited for less long.
async fn send(
    connection: &mut Connection,
    request: Request<RequestBody>,
    progress: Option<&Progress>,
    (timeout, body_time): (Duration, Duration),
) -> Result<Response<Incoming>, SendError> {
    let mut sending = std::pin::pin!(connection.send(request));
    let (mut moved, mut since) = (0, Instant::now());
    loop {
        let mut step = timeout.saturating_sub(since.elapsed());
        if progress.is_some_and(|progress| !progress.is_done()) {
            step = step.min(body_time);
        }
        if let Ok(sent) = tokio::time::timeout(step, sending.as_mut()).await {
            return sent;
        }
        match progress {
            Some(progress) if progress.bytes() != moved => {
                (moved, since) = (progress.bytes(), Instant::now());
            }
            Some(progress) if progress.waits_for_client() => {
                return Err(SendError::ClientTimedOut);
            }
            _ if since.elapsed() >= timeout => return Err(SendError::TimedOut),
            _ => {}
        }
    }
}

/// Sends a request that may be sent again, and does not wait long for a machine that is gone.
async fn send_watched(
    connection: &mut Connection,
    request: Request<RequestBody>,
    timeout: Duration,
    body_time: Duration,
) -> Result<Response<Incoming>, SendError> {
    let times = (timeout, body_time);
    let Some(patience) = connection.patience() else {
        return send(connection, request, None, times).await;
    };
    let mut sending = std::pin::pin!(send(connection, request, None, times));
    // Most are answered long before anything needs to be asked of the kernel.
    match tokio::time::timeout(limits::LATE, sending.as_mut()).await {
        Ok(sent) => sent,
        Err(_) => {
            patience.limit(limits::UNACKNOWLEDGED);
            let sent = sending.await;
            patience.lift();
            sent
        }
    }
}

/// What an error of the engine means for the question of repeating.
fn failure(error: &hyper::Error) -> Failure {
    if error.is_user() || error.is_parse() {
        Failure::Malformed
    } else if silent(error) {
        Failure::Unreachable
    } else {
        Failure::ClosedEarly
    }
}

/// Whether the kernel gave the connection up because nothing was acknowledged any more.
fn silent(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    cause
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

impl Outgoing {
    fn request(&self, body: RequestBody) -> Request<RequestBody> {
        build(
            self.method.clone(),
            self.path.clone(),
            self.headers.clone(),
            body,
        )
    }

    fn into_request(self, body: RequestBody) -> Request<RequestBody> {
        build(self.method, self.path, self.headers, body)
    }
}

fn build(method: Method, path: Uri, headers: HeaderMap, body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path;
    *request.headers_mut() = headers;
    request
}

/// A request without a body, once more.
fn rebuilt(copy: &Request<RequestBody>) -> Request<RequestBody> {
    let (method, path, headers) = (copy.method(), copy.uri(), copy.headers());
    build(
        method.clone(),
        path.clone(),
        headers.clone(),
        RequestBody::Absent,
    )
}

impl Lost {
    fn unsent(request: Box<Request<RequestBody>>) -> Self {
        Self {
            failure: Failure::NotConnected,
            request: Some(request),
            rested: false,
        }
    }

    /// Some of the request is gone, and repeating it is out of the question.
    fn gone(failure: Failure) -> Self {
        Self {
            failure,
            request: None,
            rested: false,
        }
    }
}

impl Memory {
    fn lost(&mut self, id: FrontendId, lost: &Lost) {
        self.unanswered = true;
        self.sent += u32::from(lost.failure != Failure::NotConnected);
        self.failure = Some(lost.failure);
        if lost.rested {
            self.fresh_only = true;
        } else {
            self.tried.push(id);
        }
    }

    /// Whether there may be another attempt just now.
    fn grants(&mut self, budget: &Budget) -> bool {
        if self.unanswered {
            if !retry::another(self.repeats) || !budget.withdraw() {
                return false;
            }
            self.repeats += 1;
            self.unanswered = false;
        }
        true
    }

    /// Whether looking at the table again may help; returns when it does, or at the end of the
    /// time that a request is held.
    async fn wait(&mut self, routes: &Routes<Pool>, hold: Duration) -> bool {
        let Some(wait) = &mut self.wait else {
            // A table that came before this subscription is seen by looking once more.
            let until = tokio::time::Instant::now() + hold;
            self.wait = Some(Wait {
                changes: routes.changes(),
                until,
            });
            return true;
        };
        let changed = tokio::time::timeout_at(wait.until, wait.changes.changed()).await;
        // A new table may say otherwise of those where the request failed.
        self.tried.clear();
        self.repeats = self.sent;
        // With this table it is the first attempt, unless a frontend has seen one.
        self.unanswered &= self.sent > 0;
        matches!(changed, Ok(Ok(())))
    }
}

impl NoAnswer {
    /// What the client is told.
    pub(super) fn reason(self, host: &str) -> Reason<'_> {
        match self {
            Self::UnknownHost => Reason::UnknownHost(host),
            Self::NoTable => Reason::NoTable,
            Self::Refused => Reason::Refused(host),
            Self::Maintenance => Reason::Maintenance(host),
            Self::NobodyHealthy | Self::Failed(Failure::NotConnected) => {
                Reason::NobodyHealthy(host)
            }
            Self::Failed(Failure::ClosedEarly | Failure::Unreachable | Failure::Malformed) => {
                Reason::BadGateway(host)
            }
            Self::Failed(Failure::TimedOut) => Reason::Timeout(host),
            Self::Failed(Failure::ClientTimedOut) => Reason::SlowBody,
        }
    }
}
