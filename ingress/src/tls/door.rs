//! What is answered at the door, before a request is routed: that it belongs to another connection, or
//! to HTTPS.

use http::header::{HOST, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;

use super::answers;
use crate::body::ResponseBody;
use crate::headers::Client;
use crate::host;
use crate::pages::{self, Reason};
use crate::routes::Routes;
use crate::slot::Connections;
use crate::table::Table;
use crate::target::Target;

/// What a connection came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Plain HTTP; and the port that HTTPS is at, if it is served.
    Plain { https: Option<u16> },
    /// TLS; and the host that was asked for in the handshake, in the one spelling of the table.
    Tls { asked: Option<String> },
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Entered {
    In(Request<Incoming>),
    /// By us, at the door.
    Answered(Response<ResponseBody>),
}

/// What is to be done with a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Enter,
    /// The certificate that was shown is not that of the environment.
    Misdirected,
    /// The same in HTTPS.
    Redirect(HeaderValue),
}

impl Door {
    /// A connection that asked for this host, if for any.
    pub(crate) fn tls(asked: Option<&str>) -> Self {
        let asked = asked.and_then(|asked| host::normalise(asked).ok());
        Self::Tls {
            asked: asked.map(std::borrow::Cow::into_owned),
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "http",
            Self::Tls { .. } => "https",
        }
    }

    /// Looks at a request before it is routed.
    pub(crate) fn enter<C: Connections>(
        &self,
        routes: &Routes<C>,
        client: &Client,
        request: Request<Incoming>,
    ) -> Entered {
        let table = routes.current.load();
        // Before anything that the environment wishes, or an authority would ask in vain.
        if let Some(proof) = table.tls.answers.page(request.method(), request.uri()) {
            return Entered::Answered(answers::page(proof));
        }
        if !self.concerns(&table, request.headers().get(HOST)) {
            return Entered::In(request);
        }
        let (parts, body) = request.into_parts();
        // What cannot be routed is refused where it is routed.
        let Ok(target) = Target::of(&parts, client.scheme) else {
            return Entered::In(Request::from_parts(parts, body));
        };
        match self.verdict(&table, client.proto, &target) {
            Verdict::Enter => Entered::In(Request::from_parts(parts, body)),
            Verdict::Misdirected => {
                Entered::Answered(page(Reason::Misdirected(&target.host), &parts))
            }
            Verdict::Redirect(location) => {
                let mut page = page(Reason::Redirected(&target.host), &parts);
                page.headers_mut().insert(LOCATION, location);
                Entered::Answered(page)
            }
        }
    }

    /// Whether there is anything to ask: nearly always this is all that a request costs here.
    fn concerns<C>(&self, table: &Table<C>, host: Option<&HeaderValue>) -> bool {
        match self {
            Self::Plain { https } => https.is_some() && table.redirects,
            Self::Tls { asked: Some(asked) } => {
                // HTTP/2 may say it elsewhere; then it is looked at closely.
                host.is_none_or(|host| host.as_bytes() != asked.as_bytes())
            }
            Self::Tls { asked: None } => true,
        }
    }

    /// `proto` is what the client speaks, which is not always what the connection does.
    fn verdict<C>(&self, table: &Table<C>, proto: &str, target: &Target) -> Verdict {
        let Some(wanted) = table.lookup(&target.host) else {
            return Verdict::Enter;
        };
        let wanted = &wanted.environment;
        match self {
            Self::Plain { https: None } => Verdict::Enter,
            Self::Plain { https: Some(port) } if wanted.spec.redirect && proto == "http" => {
                location(target, *port).map_or(Verdict::Enter, Verdict::Redirect)
            }
            Self::Plain { .. } => Verdict::Enter,
            Self::Tls { asked } => {
                let asked = asked.as_deref().and_then(|asked| table.lookup(asked));
                let shown = match asked {
                    Some(asked) => asked.environment.key == wanted.key,
                    // Then the cluster's own was shown.
                    None => table.tls.is_own(&wanted.spec.certificate),
                };
                if shown {
                    Verdict::Enter
                } else {
                    Verdict::Misdirected
                }
            }
        }
    }
}

fn location(target: &Target, port: u16) -> Option<HeaderValue> {
    let port = match port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let path = match target.path.path() {
        // Of the whole server there is no URI but this.
        "*" => "/",
        _ => target
            .path
            .path_and_query()
            .map_or("/", |path| path.as_str()),
    };
    HeaderValue::try_from(format!("https://{}{port}{path}", target.host)).ok()
}

fn page(reason: Reason<'_>, parts: &Parts) -> Response<ResponseBody> {
    pages::page(reason, &parts.headers).map(ResponseBody::page)
}

#[cfg(test)]
mod tests;
