//! `fleet.v1.Whitelists`.

use std::sync::Arc;

use fleet_model::{
    Command, Rejection, State,
    access::{MOST_RULES, Whitelist},
    command::{AccessChange, Code},
    network::Network,
};
use fleet_proto::v1::{self, whitelists_server::Whitelists};
use tonic::{Request, Response, Status};

use super::{ACTOR, instant, message, request_id};
use crate::control::{
    Context,
    refusal::{refused, rejected, unread},
};

pub(crate) struct Api(pub(super) Arc<Context>);

type Answer = Result<Response<v1::WhitelistResponse>, Status>;

#[tonic::async_trait]
impl Whitelists for Api {
    async fn create(&self, request: Request<v1::WhitelistRequest>) -> Answer {
        let asked = message(request);
        let name = asked.name.as_str().into();
        let change = AccessChange::Create { name };
        self.change(&asked.request_id, &asked.name, change).await
    }

    async fn list(
        &self,
        request: Request<v1::ListWhitelistsRequest>,
    ) -> Result<Response<v1::ListWhitelistsResponse>, Status> {
        let state = self.0.read(message(request).stale).await.map_err(unread)?;
        let all = state.whitelists.values();
        Ok(Response::new(v1::ListWhitelistsResponse {
            whitelists: all.map(|one| shown(&state, one)).collect(),
        }))
    }

    async fn get(&self, request: Request<v1::GetWhitelistRequest>) -> Answer {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let found = known(&state, &asked.name)?;
        Ok(Response::new(v1::WhitelistResponse {
            whitelist: Some(shown(&state, found)),
            ..v1::WhitelistResponse::default()
        }))
    }

    async fn allow(&self, request: Request<v1::WhitelistRuleRequest>) -> Answer {
        let asked = message(request);
        let name = asked.name.as_str().into();
        let network = Network::typed(&asked.network).map_err(|r| rejected(&r))?;
        let change = AccessChange::Allow { name, network };
        self.change(&asked.request_id, &asked.name, change).await
    }

    async fn revoke(&self, request: Request<v1::WhitelistRuleRequest>) -> Answer {
        let asked = message(request);
        let name = asked.name.as_str().into();
        let network = Network::typed(&asked.network).map_err(|r| rejected(&r))?;
        let change = AccessChange::Revoke { name, network };
        self.change(&asked.request_id, &asked.name, change).await
    }

    async fn destroy(&self, request: Request<v1::WhitelistRequest>) -> Answer {
        let asked = message(request);
        let name = asked.name.as_str().into();
        let change = AccessChange::Destroy { name };
        self.change(&asked.request_id, &asked.name, change).await
    }
}

impl Api {
    async fn change(&self, request: &str, name: &str, change: AccessChange) -> Answer {
        let id = request_id(request)?;
        let rule = match &change {
            AccessChange::Allow { network, .. } | AccessChange::Revoke { network, .. } => {
                network.to_string()
            }
            _ => String::new(),
        };
        let command = Command::Access(Box::new(change));
        let done = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let found = state.whitelists.get(name);
        Ok(Response::new(v1::WhitelistResponse {
            receipt: Some(v1::Receipt {
                log_index: done.index,
                repeated_request: done.repeated,
                wait: Some(v1::WaitTarget {
                    goal: v1::WaitGoal::Routed.into(),
                    since_index: done.index,
                    ..v1::WaitTarget::default()
                }),
                ..v1::Receipt::default()
            }),
            whitelist: found.map(|found| shown(&state, found)),
            rule,
        }))
    }
}

/// The whitelist of a name, or the refusal with the nearest names.
pub(super) fn known<'a>(state: &'a State, name: &str) -> Result<&'a Whitelist, Status> {
    state.whitelists.get(name).ok_or_else(|| {
        let names = state.whitelists.keys().map(|name| &**name);
        let code = Code::UnknownWhitelist;
        rejected(&Rejection::unknown(code, "whitelist", name, names))
    })
}

fn shown(state: &State, whitelist: &Whitelist) -> v1::Whitelist {
    let users = state.admitted_by(&whitelist.name);
    v1::Whitelist {
        name: whitelist.name.clone(),
        rules: whitelist.rules.iter().map(ToString::to_string).collect(),
        most_rules: MOST_RULES as u32,
        read_only: whitelist.read_only,
        environments: users.map(ToString::to_string).collect(),
        created: Some(instant(whitelist.created)),
    }
}
