//! `fleet.v1.Trust`: join tokens, and the replacement of the authority.

use std::{collections::BTreeSet, sync::Arc};

use fleet_model::{
    Command, State,
    command::{NewToken, TrustChange},
    node::Role,
    time::Millis,
    trust::{TOKEN_TTL, Token},
};
use fleet_proto::v1::{self, NodeRole, trust_server::Trust};
use fleet_trust::JoinToken;
use tonic::{Request, Response, Status};

use super::{ACTOR, instant, message, nodes::role_of, request_id};
use crate::control::{
    Context,
    authority::{another, fingerprints, secret_digest},
    context::Done,
    refusal::{refused, unavailable, unread},
};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Trust for Api {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let mut roles: BTreeSet<Role> = asked.roles().filter_map(role).collect();
        if roles.is_empty() {
            roles = Role::ALL.into();
        }
        // The newest: during a rotation the old one is believed only for a while.
        let (_, authority) = fingerprints(&state)
            .last()
            .ok_or_else(|| unavailable("this cluster has no authority yet"))?;
        let words = roles.iter().map(|role| role.as_str().to_owned()).collect();
        let token = JoinToken::generate(words, authority);
        let new = NewToken {
            id: token.id.as_str().into(),
            digest: secret_digest(token.secret()),
            roles,
            uses: asked.uses.max(1),
            ttl: match asked.ttl_ms {
                0 => TOKEN_TTL,
                millis => Millis(millis),
            },
        };
        let done = self.change(&id, TrustChange::CreateToken(new)).await?;
        let state = self.0.read(false).await.map_err(unread)?;
        let about = state.trust.tokens.get(token.id.as_str());
        Ok(Response::new(v1::CreateTokenResponse {
            about: about.map(|about| listed(&token.id, about)),
            // Of a request that was known, this token was not made.
            token: match about {
                Some(_) => token.reveal(),
                None => String::new(),
            },
            receipt: Some(receipt(&done)),
        }))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let stale = message(request).stale;
        let state: State = self.0.read(stale).await.map_err(unread)?;
        let tokens = state.trust.tokens.iter();
        Ok(Response::new(v1::ListTokensResponse {
            tokens: tokens.map(|(id, token)| listed(id, token)).collect(),
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let revoke = TrustChange::RevokeToken {
            id: asked.id.into(),
        };
        let done = self.change(&id, revoke).await?;
        Ok(Response::new(v1::RevokeTokenResponse {
            receipt: Some(receipt(&done)),
        }))
    }

    async fn rotate_authority(
        &self,
        request: Request<v1::RotateAuthorityRequest>,
    ) -> Result<Response<v1::RotateAuthorityResponse>, Status> {
        let id = request_id(&message(request).request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let (authority, _) = another(&self.0, &state)?;
        let done = self.change(&id, TrustChange::Rotate { authority }).await?;
        let state = self.0.read(false).await.map_err(unread)?;
        let newest = fingerprints(&state).last();
        Ok(Response::new(v1::RotateAuthorityResponse {
            receipt: Some(receipt(&done)),
            authority: newest.map_or(String::new(), |(_, print)| print.to_string()),
        }))
    }
}

impl Api {
    async fn change(
        &self,
        request: &fleet_model::ids::RequestId,
        change: TrustChange,
    ) -> Result<Done, Status> {
        let command = Command::Trust(Box::new(change));
        self.0.ask(request, ACTOR, &command).await.map_err(refused)
    }
}

fn listed(id: &str, token: &Token) -> v1::JoinToken {
    v1::JoinToken {
        id: id.to_owned(),
        roles: token
            .roles
            .iter()
            .map(|role| role_of(*role).into())
            .collect(),
        uses: token.uses,
        expires: Some(instant(token.expires)),
        made: Some(instant(token.made)),
    }
}

fn receipt(done: &Done) -> v1::Receipt {
    v1::Receipt {
        log_index: done.index,
        repeated_request: done.repeated,
        ..v1::Receipt::default()
    }
}

fn role(role: NodeRole) -> Option<Role> {
    match role {
        NodeRole::Unspecified => None,
        NodeRole::Control => Some(Role::Control),
        NodeRole::Worker => Some(Role::Worker),
        NodeRole::Ingress => Some(Role::Ingress),
    }
}
