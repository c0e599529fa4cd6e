//! One request: route it, send it to a frontend, bring back what it answers.

use std::sync::Arc;
use std::time::Instant;

use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, SET_COOKIE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio_util::task::TaskTracker;

use super::attempts::{Answer, Attempts, NoAnswer, Outgoing};
use super::body::{Progress, RequestBody, ResponseBody};
use super::counted::Addresses;
use super::gate::{self, Pass};
use super::headers::{self, Client};
use super::lifecycle::Lifecycle;
use super::limits::Times;
use super::observe::{Account, Meter, Observer};
use super::pace::Early;
use super::pages::{self, Reason};
use super::retry::Failure;
use super::routes::Routes;
use super::target::{Refusal, Target};
use super::term::Term;
use super::tunnel::{self, Protocol};
use super::upstream::{Exchange, Pool};

/// What every connection's requests share.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) routes: Arc<Routes<Pool>>,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) observer: Arc<Observer>,
    /// Tunnels, which outlive the connections they came from.
    pub(super) tasks: TaskTracker,
    pub(super) times: Times,
    /// What is counted of each client address.
    pub(super) addresses: Arc<Addresses>,
    /// Zero of the clock that ejection counts in.
    pub(super) started: Instant,
}

/// Milliseconds by the ingress's own clock.
pub(super) fn now_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Nanoseconds by the same clock.
pub(super) fn now_ns(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Proxy {
    /// Answers a request. There is always an answer, if only a page of ours.
    pub(super) async fn answer(
        &self,
        client: &Client,
        request: Request<Incoming>,
        account: &mut Account,
    ) -> Response<ResponseBody> {
        let (mut parts, incoming) = request.into_parts();
        let version = parts.version;
        let (body, progress) = RequestBody::new(incoming);
        if let Some(progress) = &progress {
            account.has_body(Arc::clone(progress) as Arc<dyn Meter>);
        }
        // The scanner reads nothing as HTTP after such a request, so neither may the engine,
        // whatever becomes of the upgrade.
        let last =
            version < Version::HTTP_2 && parts.headers.contains_key(UPGRADE) && progress.is_none();
        let result = match Target::of(&parts, client.scheme) {
            Ok(target) => {
                self.forward(client, &mut parts, &target, body, account)
                    .await
            }
            Err(refusal) => Err(refused(&refusal, &parts)),
        };
        let mut response = result.unwrap_or_else(|page| page);
        let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if version < Version::HTTP_2 && !upgraded && (last || self.lifecycle.is_closing()) {
            close(&mut response);
        }
        response
    }

    async fn forward(
        &self,
        client: &Client,
        parts: &mut Parts,
        target: &Target,
        body: RequestBody,
        account: &mut Account,
    ) -> Result<Response<ResponseBody>, Response<ResponseBody>> {
        let pass = self.pass(client, target).map_err(|early| {
            let reason = Reason::TooMany(&target.host, early.seconds());
            page(reason, &parts.headers)
        })?;
        let progress = body.progress();
        let upgrade = upgrade(parts, progress.is_none());
        let asked = upgrade.as_ref().map(|(protocol, _)| protocol.clone());
        let outgoing = self.outgoing(client, parts, target, asked, progress.clone());
        account.goes_with(&outgoing.headers);
        let attempts = Attempts {
            routes: &self.routes,
            host: &target.host,
            body_time: self.times.body,
            client: client.address.ip(),
            started: self.started,
        };
        let mut answer = match attempts.run(outgoing, body, account).await {
            Ok(answer) => answer,
            Err(failure) => {
                let mut page = page(failure.reason(&target.host), &parts.headers);
                if progress.is_some_and(|progress| progress.has_failed()) {
                    page = bad_body(&parts.headers);
                }
                let slow = failure == NoAnswer::Failed(Failure::ClientTimedOut);
                if slow && parts.version < Version::HTTP_2 {
                    close(&mut page);
                }
                return Err(page);
            }
        };
        answer.exchange.counted(pass);
        if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self
                .switch(client, target, answer, upgrade, account)
                .ok_or_else(|| page(Reason::BadGateway(&target.host), &parts.headers));
        }
        let (mut head, incoming) = answer.response.into_parts();
        headers::to_client(&mut head.headers);
        set_cookie(&mut head.headers, client, &answer.exchange);
        head.version = Version::default();
        Ok(Response::from_parts(
            head,
            ResponseBody::streamed(incoming, answer.exchange),
        ))
    }

    /// Counts a request in within the limits of its environment.
    fn pass(&self, client: &Client, target: &Target) -> Result<Option<Pass>, Early> {
        let table = self.routes.current.load();
        let who = (target.host.as_str(), client.address.ip());
        gate::enter(&table, &self.addresses, who, || now_ns(self.started))
    }

    /// The request as a frontend gets it.
    fn outgoing(
        &self,
        client: &Client,
        parts: &mut Parts,
        target: &Target,
        upgrade: Option<HeaderValue>,
        progress: Option<Arc<Progress>>,
    ) -> Outgoing {
        let mut headers = std::mem::take(&mut parts.headers);
        // Kept for our own pages: what kind of answer the client likes.
        for name in [ACCEPT, CONTENT_TYPE] {
            if let Some(value) = headers.get(&name) {
                parts.headers.insert(name, value.clone());
            }
        }
        headers::to_frontend(&mut headers, client, target.authority.clone(), rand::random);
        if let Some(protocol) = upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
        }
        Outgoing {
            method: parts.method.clone(),
            path: target.path.clone(),
            headers,
            progress,
        }
    }

    /// Joins both ends once both have switched. None when the frontend switched unasked.
    fn switch(
        &self,
        asked_by: &Client,
        target: &Target,
        answer: Answer,
        upgrade: Option<(HeaderValue, OnUpgrade)>,
        account: &mut Account,
    ) -> Option<Response<ResponseBody>> {
        let (_, client) = upgrade?;
        let Answer {
            mut response,
            exchange,
        } = answer;
        let frontend = hyper::upgrade::on(&mut response);
        let protocol = response.headers().get(UPGRADE).cloned();
        set_cookie(response.headers_mut(), asked_by, &exchange);
        account.answered(response.status().as_u16());
        let spoken = match protocol.as_ref().map(HeaderValue::as_bytes) {
            Some(name) if name.eq_ignore_ascii_case(b"websocket") => Protocol::WebSocket,
            _ => Protocol::Other,
        };
        let term = Term {
            routes: Arc::clone(&self.routes),
            phase: self.lifecycle.watch(),
            host: target.host.to_string(),
            frontend: exchange.pin().slot.id,
            drain: exchange.pin().drain(),
        };
        let (over, account) = (term.over(), account.take());
        self.tasks.spawn(tunnel::join(
            client, frontend, spoken, exchange, account, over,
        ));
        let (mut head, _) = response.into_parts();
        headers::to_client(&mut head.headers);
        head.headers
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = protocol {
            head.headers.insert(UPGRADE, protocol);
        }
        head.version = Version::default();
        head.extensions.clear();
        Some(Response::from_parts(
            head,
            ResponseBody::page(String::new()),
        ))
    }
}

/// Where clients keep their frontend, tells one that has none yet.
fn set_cookie(headers: &mut HeaderMap, client: &Client, exchange: &Exchange) {
    if let Some(cookie) = exchange.pin().cookie(client.proto == "https") {
        headers.append(SET_COOKIE, cookie);
    }
}

/// What the client wants to switch to, with its end of the tunnel.
fn upgrade(parts: &mut Parts, no_body: bool) -> Option<(HeaderValue, OnUpgrade)> {
    let client = parts.extensions.remove::<OnUpgrade>()?;
    if parts.version != Version::HTTP_11 || !no_body {
        return None;
    }
    headers::wanted_upgrade(&parts.headers).map(|protocol| (protocol, client))
}

fn refused(refusal: &Refusal, parts: &Parts) -> Response<ResponseBody> {
    let sentence = refusal.to_string();
    let reason = match refusal {
        Refusal::Method => Reason::Method,
        _ => Reason::BadRequest(&sentence),
    };
    let mut page = page(reason, &parts.headers);
    if parts.version < Version::HTTP_2 {
        close(&mut page);
    }
    page
}

fn bad_body(asked: &HeaderMap) -> Response<ResponseBody> {
    page(Reason::BadRequest("its body is not whole"), asked)
}

fn page(reason: Reason<'_>, asked: &HeaderMap) -> Response<ResponseBody> {
    pages::page(reason, asked).map(ResponseBody::page)
}

fn close(response: &mut Response<ResponseBody>) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}
