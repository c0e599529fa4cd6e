//! `node token create|list|revoke`: what lets machines join.

use fleet_proto::v1::trust_client::TrustClient;
use fleet_proto::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest};

use super::local::role;
use crate::args::TokenVerb;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::escape;
use crate::session::Session;
use crate::view::{CreatedTokenView, TokenList};

pub(super) async fn run(session: &mut Session, verb: TokenVerb) -> Result<(), Failure> {
    match verb {
        TokenVerb::Create { roles, ttl, uses } => {
            let millis = |ttl: std::time::Duration| u64::try_from(ttl.as_millis());
            let command = CreateTokenRequest {
                request_id: Connection::request_id(),
                roles: roles.into_iter().map(role).collect(),
                ttl_ms: ttl.map_or(Ok(0), millis).unwrap_or(u64::MAX),
                uses: uses.unwrap_or_default(),
            };
            create(session, command).await
        }
        TokenVerb::List => list(session).await,
        TokenVerb::Revoke { id } => revoke(session, id).await,
    }
}

async fn create(session: &mut Session, command: CreateTokenRequest) -> Result<(), Failure> {
    let answer = session
        .write(command, |c, r| async move {
            TrustClient::new(c).create_token(r).await
        })
        .await?;
    if answer.token.is_empty() {
        return Err(Failure::failed("the token was made, but its text is lost")
            .hint("revoke it and make another: fleet node token list"));
    }
    session
        .console
        .result(&CreatedTokenView::from(&answer), CreatedTokenView::text)
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let question = ListTokensRequest {
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            TrustClient::new(c).list_tokens(r).await
        })
        .await?;
    session
        .console
        .result(&TokenList::new(&answer.tokens), TokenList::text)
}

async fn revoke(session: &mut Session, id: String) -> Result<(), Failure> {
    let command = RevokeTokenRequest {
        request_id: Connection::request_id(),
        id: id.clone(),
    };
    session
        .write(command, |c, r| async move {
            TrustClient::new(c).revoke_token(r).await
        })
        .await?;
    let view = serde_json::json!({ "token": id });
    session.console.result(&view, |_| {
        format!("Join token {} is revoked\n", escape(&id))
    })
}
