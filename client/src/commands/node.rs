//! `node`: what the cluster knows of its machines, and what the daemon of this one can do.

mod local;

use fleet_proto::v1::nodes_client::NodesClient;
use fleet_proto::v1::{DescribeNodeRequest, ListNodesRequest, Node};

use super::last_page;
use crate::args::NodeVerb;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{NodeDescriptionView, NodeList};

pub(super) async fn run(session: &mut Session, verb: NodeVerb) -> Result<(), Failure> {
    match verb {
        NodeVerb::List => list(session).await,
        NodeVerb::Describe { node } => describe(session, node).await,
        local => local::run(session, local).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let mut nodes: Vec<Node> = Vec::new();
    let mut page_token = String::new();
    loop {
        let question = ListNodesRequest {
            stale: session.globals.stale,
            page_size: 0,
            page_token: page_token.clone(),
        };
        let page = connection
            .read(
                question,
                |c, r| async move { NodesClient::new(c).list(r).await },
            )
            .await?;
        nodes.extend(page.nodes);
        if last_page(&mut page_token, page.next_page_token) {
            break;
        }
    }
    session
        .console
        .result(&NodeList::new(&nodes), NodeList::text)
}

async fn describe(session: &mut Session, node: String) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let question = DescribeNodeRequest {
        node,
        stale: session.globals.stale,
    };
    let answer = connection
        .read(question, |c, r| async move {
            NodesClient::new(c).describe(r).await
        })
        .await?;
    let view = NodeDescriptionView::from(&answer.description.unwrap_or_default());
    session.console.result(&view, NodeDescriptionView::text)
}
