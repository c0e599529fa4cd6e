//! `node`: what the cluster knows of its machines, and what the daemon of this one can do.

mod change;
pub(super) mod local;
mod token;

use fleet_proto::v1::nodes_client::NodesClient;
use fleet_proto::v1::{DescribeNodeRequest, ListNodesRequest, NodeDescription};

use crate::args::NodeVerb;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{NodeDescriptionView, NodeList};

pub(super) async fn run(session: &mut Session, verb: NodeVerb) -> Result<(), Failure> {
    match verb {
        NodeVerb::List => list(session).await,
        NodeVerb::Describe { node } => describe(session, node).await,
        NodeVerb::Token(verb) => token::run(session, verb).await,
        NodeVerb::Drain { node, deadline } => change::drain(session, node, deadline).await,
        NodeVerb::Undrain { node } => change::undrain(session, node).await,
        NodeVerb::Promote { node, undo } => change::promote(session, node, undo).await,
        NodeVerb::Demote { node, undo } => change::demote(session, node, undo).await,
        NodeVerb::Remove {
            node,
            force,
            no_confirm,
        } => change::remove(session, node, force, no_confirm).await,
        NodeVerb::Moves { per_minute } => change::moves(session, per_minute).await,
        NodeVerb::Labels(verb) => change::labels(session, verb).await,
        local => local::run(session, local).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let stale = session.globals.stale;
    let question = |page_size, page_token| ListNodesRequest {
        stale,
        page_size,
        page_token,
    };
    let nodes = session
        .pages(
            None,
            question,
            |c, r| async move { NodesClient::new(c).list(r).await },
            |page| (page.nodes, page.next_page_token),
        )
        .await?;
    session
        .console
        .result(&NodeList::new(&nodes), NodeList::text)
}

async fn describe(session: &mut Session, node: String) -> Result<(), Failure> {
    let view = NodeDescriptionView::from(&description(session, &node).await?);
    session.console.result(&view, NodeDescriptionView::text)
}

async fn description(session: &mut Session, node: &str) -> Result<NodeDescription, Failure> {
    let question = DescribeNodeRequest {
        node: node.to_owned(),
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            NodesClient::new(c).describe(r).await
        })
        .await?;
    Ok(answer.description.unwrap_or_default())
}
