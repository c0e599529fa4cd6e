//! What authorities that give certificates are answered (ACME): a page at a path that only they know
//! (RFC 8555, 8.3), or a certificate in the handshake (RFC 8737). Whichever ingress they ask, all have
//! the same answers, for those are part of the table.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fleet_proto::internal as wire;
use fleet_trust::Identity;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, Uri};

use crate::body::ResponseBody;

/// Where authorities ask for a page. What is below it and not known goes to the app, which may have
/// ordered a certificate by itself.
const PATH: &str = "/.well-known/acme-challenge/";

/// Answers of a table.
#[derive(Debug, Default)]
pub(super) struct Answers {
    wire: Vec<wire::AcmeAnswer>,
    /// Proofs by token.
    pages: HashMap<String, String>,
    /// Proofs by host.
    proofs: HashMap<String, String>,
    /// What was shown already, by host. An authority asks from several places at once.
    made: Mutex<HashMap<String, Identity>>,
}

impl Answers {
    pub(super) fn new(wire: Vec<wire::AcmeAnswer>) -> Self {
        let (mut pages, mut proofs) = (HashMap::new(), HashMap::new());
        for answer in &wire {
            let proof = answer.proof.clone();
            match answer.tls_alpn {
                true => proofs.insert(answer.host.clone(), proof),
                false => pages.insert(answer.token.clone(), proof),
            };
        }
        Self {
            wire,
            pages,
            proofs,
            made: Mutex::default(),
        }
    }

    pub(super) fn wire(&self) -> &[wire::AcmeAnswer] {
        &self.wire
    }

    /// The proof that is asked for by a request, if one is.
    pub(super) fn page(&self, method: &Method, uri: &Uri) -> Option<&str> {
        // Nearly always there are none.
        if self.pages.is_empty() || !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let token = uri.path().strip_prefix(PATH)?;
        self.pages.get(token).map(String::as_str)
    }

    /// The certificate that is asked for in a handshake for `host`, in the one spelling of the table.
    pub(super) fn identity(&self, host: &str) -> Option<Identity> {
        let proof = self.proofs.get(host)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = made.get(host) {
            return Some(identity.clone());
        }
        let identity = Identity::answering(host, proof)
            .inspect_err(|error| tracing::warn!(%error, host, "an authority is not answered"))
            .ok()?;
        made.insert(host.to_owned(), identity.clone());
        Some(identity)
    }
}

impl PartialEq for Answers {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for Answers {}

/// The answer to an authority.
pub(super) fn page(proof: &str) -> Response<ResponseBody> {
    let mut page = Response::new(ResponseBody::page(proof.to_owned()));
    page.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_by_its_page_and_by_nothing_else() {
        let answer = |token: &str, tls_alpn| wire::AcmeAnswer {
            host: "shop.test".to_owned(),
            token: token.to_owned(),
            proof: format!("{token}.thumb"),
            tls_alpn,
        };
        let answers = Answers::new(vec![answer("page", false), answer("shake", true)]);
        let asked = |method: Method, path: &str| {
            let uri = path.parse().expect("a target");
            answers.page(&method, &uri).map(str::to_owned)
        };
        let page = Some("page.thumb".to_owned());
        let at = "/.well-known/acme-challenge/page";
        assert_eq!(asked(Method::GET, at), page);
        assert_eq!(asked(Method::HEAD, at), page);
        assert_eq!(asked(Method::GET, &format!("http://shop.test{at}")), page);
        assert_eq!(asked(Method::POST, at), None);
        for other in [
            "/.well-known/acme-challenge/shake",
            "/.well-known/acme-challenge/page/",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/other",
            "/page",
        ] {
            assert_eq!(asked(Method::GET, other), None, "{other}");
        }
    }
}
