//! `whitelist`: whose clients may reach environments.

use fleet_proto::v1::whitelists_client::WhitelistsClient;
use fleet_proto::v1::{
    GetWhitelistRequest, ListWhitelistsRequest, WhitelistRequest, WhitelistResponse,
    WhitelistRuleRequest,
};

use crate::args::WhitelistVerb;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::escape;
use crate::progress;
use crate::session::Session;
use crate::view::{WhitelistList, WhitelistView};

pub(super) async fn run(session: &mut Session, verb: WhitelistVerb) -> Result<(), Failure> {
    match verb {
        WhitelistVerb::List => list(session).await,
        WhitelistVerb::Create { name } => create(session, name).await,
        WhitelistVerb::Allow { name, network } => {
            let asked = rule(name, network);
            let answer = session
                .write(asked, |c, r| async move {
                    WhitelistsClient::new(c).allow(r).await
                })
                .await?;
            tell(session, answer, |name, rule| {
                format!("Whitelist {name} now allows {rule}")
            })
            .await
        }
        WhitelistVerb::Revoke { name, network } => {
            let asked = rule(name, network);
            let answer = session
                .write(asked, |c, r| async move {
                    WhitelistsClient::new(c).revoke(r).await
                })
                .await?;
            tell(session, answer, |name, rule| {
                format!("Whitelist {name} no longer allows {rule}")
            })
            .await
        }
        WhitelistVerb::Describe { name } => describe(session, name).await,
        WhitelistVerb::Destroy { name } => destroy(session, name).await,
    }
}

fn rule(name: String, network: String) -> WhitelistRuleRequest {
    WhitelistRuleRequest {
        request_id: Connection::request_id(),
        name,
        network,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let question = ListWhitelistsRequest {
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            WhitelistsClient::new(c).list(r).await
        })
        .await?;
    let list = WhitelistList::new(&answer.whitelists);
    session.console.result(&list, WhitelistList::text)
}

async fn create(session: &mut Session, name: String) -> Result<(), Failure> {
    let command = WhitelistRequest {
        request_id: Connection::request_id(),
        name,
    };
    let answer = session
        .write(command, |c, r| async move {
            WhitelistsClient::new(c).create(r).await
        })
        .await?;
    tell(session, answer, |name, _| {
        format!("Whitelist {name} is created; it allows nobody yet")
    })
    .await
}

async fn describe(session: &mut Session, name: String) -> Result<(), Failure> {
    let question = GetWhitelistRequest {
        name,
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            WhitelistsClient::new(c).get(r).await
        })
        .await?;
    let view = WhitelistView::new(&answer.whitelist.unwrap_or_default());
    session.console.result(&view, WhitelistView::text)
}

async fn destroy(session: &mut Session, name: String) -> Result<(), Failure> {
    let command = WhitelistRequest {
        request_id: Connection::request_id(),
        name: name.clone(),
    };
    session
        .write(command, |c, r| async move {
            WhitelistsClient::new(c).destroy(r).await
        })
        .await?;
    let view = serde_json::json!({ "whitelist": name });
    session.console.result(&view, |_| {
        format!("Whitelist {} is destroyed\n", escape(&name))
    })
}

/// What became of a whitelist, in a sentence of its name and the rule; with `--wait` once every ingress
/// has heard it.
async fn tell(
    session: &mut Session,
    answer: WhitelistResponse,
    sentence: impl FnOnce(&str, &str) -> String,
) -> Result<(), Failure> {
    let whitelist = answer.whitelist.unwrap_or_default();
    let said = sentence(&escape(&whitelist.name), &escape(&answer.rule));
    let wait = answer.receipt.and_then(|receipt| receipt.wait);
    if let Some(target) = wait.filter(|_| session.globals.wait) {
        progress::wait(session, target).await?;
    }
    let view = WhitelistView::new(&whitelist);
    session.console.result(&view, |_| format!("{said}\n"))
}
