//! Whitelists of the fake node: it takes everything and judges nothing.

use fleet_proto::v1::*;
use tonic::{Request, Response};

use super::Fake;
use super::services::{Answer, seen};

fn whitelist(name: &str) -> Whitelist {
    let (rules, environments) = match name {
        "allow-all" => (vec!["0.0.0.0/0", "::/0"], vec!["shop/qa"]),
        "office" => (vec!["10.0.0.0/8", "192.0.2.7/32"], vec!["shop/prod"]),
        _ => (Vec::new(), Vec::new()),
    };
    Whitelist {
        name: name.to_owned(),
        rules: rules.into_iter().map(str::to_owned).collect(),
        most_rules: 50,
        read_only: name == "allow-all",
        environments: environments.into_iter().map(str::to_owned).collect(),
        created: Some(Instant {
            unix_ms: 1_433_814_925_000,
        }),
    }
}

fn response(name: &str, rule: &str) -> Response<WhitelistResponse> {
    Response::new(WhitelistResponse {
        receipt: Some(Receipt::default()),
        whitelist: Some(whitelist(name)),
        rule: rule.to_owned(),
    })
}

#[tonic::async_trait]
impl whitelists_server::Whitelists for Fake {
    async fn create(&self, request: Request<WhitelistRequest>) -> Answer<WhitelistResponse> {
        self.note(
            &request,
            seen("create", &request.get_ref().request_id, "", ""),
        )?;
        Ok(response(&request.get_ref().name, ""))
    }

    async fn list(&self, _: Request<ListWhitelistsRequest>) -> Answer<ListWhitelistsResponse> {
        Ok(Response::new(ListWhitelistsResponse {
            whitelists: ["allow-all", "guests", "office"].map(whitelist).to_vec(),
        }))
    }

    async fn get(&self, request: Request<GetWhitelistRequest>) -> Answer<WhitelistResponse> {
        Ok(response(&request.get_ref().name, ""))
    }

    async fn allow(&self, request: Request<WhitelistRuleRequest>) -> Answer<WhitelistResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("allow", &asked.request_id, "", &asked.network),
        )?;
        // As a node canonicalises an address.
        Ok(response(&asked.name, &format!("{}/32", asked.network)))
    }

    async fn revoke(&self, request: Request<WhitelistRuleRequest>) -> Answer<WhitelistResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("revoke", &asked.request_id, "", &asked.network),
        )?;
        Ok(response(&asked.name, &asked.network))
    }

    async fn destroy(&self, request: Request<WhitelistRequest>) -> Answer<WhitelistResponse> {
        self.note(
            &request,
            seen("destroy", &request.get_ref().request_id, "", ""),
        )?;
        Ok(Response::new(WhitelistResponse {
            receipt: Some(Receipt::default()),
            ..WhitelistResponse::default()
        }))
    }
}
