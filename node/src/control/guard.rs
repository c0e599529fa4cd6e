//! Lets calls in that carry the cluster's secret, and health checks, which tell nothing but whether
//! this node serves: a supervisor that asks for them has no secret.

use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Request, Response, header::AUTHORIZATION};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::config::BearerServer;

const HEALTH: &str = "/grpc.health.v1.Health/";

/// Layer of the server.
#[derive(Clone)]
pub(super) struct Guard(pub(super) BearerServer);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            secret: self.0.clone(),
            inner,
        }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    secret: BearerServer,
    inner: S,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let offered = request.headers().get(AUTHORIZATION);
        let admitted = request.uri().path().starts_with(HEALTH)
            || self.secret.admits(offered.map(http::HeaderValue::as_bytes));
        if admitted {
            return Either::Left(self.inner.call(request));
        }
        // One sentence for a missing and for a wrong one.
        let refusal = Status::unauthenticated("missing or wrong cluster secret");
        Either::Right(ready(Ok(refusal.into_http())))
    }
}
