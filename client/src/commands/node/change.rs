//! What is asked of a node through the cluster: that it is emptied, votes, carries labels, goes.

use std::time::Duration;

use fleet_proto::v1::nodes_client::NodesClient;
use fleet_proto::v1::{
    ChangeNodeRequest, DrainNodeRequest, Receipt, RemoveNodeRequest, SetMovesRequest,
    SetNodeLabelsRequest,
};

use super::local::parse_labels;
use crate::args::LabelsVerb;
use crate::commands::receipt;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;

pub(super) async fn drain(
    session: &mut Session,
    node: String,
    deadline: Option<Duration>,
) -> Result<(), Failure> {
    let command = DrainNodeRequest {
        request_id: Connection::request_id(),
        node: node.clone(),
        deadline_ms: deadline
            .map(|deadline| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)),
    };
    let answer = session
        .write(
            command,
            |c, r| async move { NodesClient::new(c).drain(r).await },
        )
        .await?;
    done(session, answer.receipt, format!("Draining {node}... OK")).await
}

pub(super) async fn undrain(session: &mut Session, node: String) -> Result<(), Failure> {
    let said = format!("Undraining {node}... OK");
    let answer = session
        .write(asked(node), |c, r| async move {
            NodesClient::new(c).undrain(r).await
        })
        .await?;
    done(session, answer.receipt, said).await
}

pub(super) async fn promote(
    session: &mut Session,
    node: String,
    undo: bool,
) -> Result<(), Failure> {
    let said = voted("Promoting", &node, undo);
    let request = ChangeNodeRequest {
        undo,
        ..asked(node)
    };
    let answer = session
        .write(request, |c, r| async move {
            NodesClient::new(c).promote(r).await
        })
        .await?;
    done(session, answer.receipt, said).await
}

pub(super) async fn demote(session: &mut Session, node: String, undo: bool) -> Result<(), Failure> {
    let said = voted("Demoting", &node, undo);
    let request = ChangeNodeRequest {
        undo,
        ..asked(node)
    };
    let answer = session
        .write(request, |c, r| async move {
            NodesClient::new(c).demote(r).await
        })
        .await?;
    done(session, answer.receipt, said).await
}

fn voted(doing: &str, node: &str, undo: bool) -> String {
    match undo {
        true => format!("Letting the cluster choose whether {node} votes... OK"),
        false => format!("{doing} {node}... OK"),
    }
}

pub(super) async fn remove(
    session: &mut Session,
    node: String,
    force: bool,
    no_confirm: bool,
) -> Result<(), Failure> {
    if !no_confirm {
        // Nobody shall be asked about a node that there is not.
        super::description(session, &node).await?;
        let question = format!("Type {node} to remove that node for good");
        session.confirm(&node, &question)?;
    }
    let said = format!("Removing {node}... OK");
    let command = RemoveNodeRequest {
        request_id: Connection::request_id(),
        node,
        force,
    };
    let answer = session
        .write(command, |c, r| async move {
            NodesClient::new(c).remove(r).await
        })
        .await?;
    done(session, answer.receipt, said).await
}

pub(super) async fn labels(session: &mut Session, verb: LabelsVerb) -> Result<(), Failure> {
    let request_id = Connection::request_id();
    let command = match verb {
        LabelsVerb::Set { node, labels } => SetNodeLabelsRequest {
            request_id,
            node,
            set: parse_labels(&labels)?,
            unset: Vec::new(),
        },
        LabelsVerb::Unset { node, keys } => SetNodeLabelsRequest {
            request_id,
            node,
            set: [].into(),
            unset: keys,
        },
    };
    let said = format!("Labelling {}... OK", command.node);
    let answer = session
        .write(command, |c, r| async move {
            NodesClient::new(c).set_labels(r).await
        })
        .await?;
    done(session, answer.receipt, said).await
}

pub(super) async fn moves(session: &mut Session, per_minute: u32) -> Result<(), Failure> {
    let command = SetMovesRequest {
        request_id: Connection::request_id(),
        per_minute,
    };
    let answer = session
        .write(command, |c, r| async move {
            NodesClient::new(c).set_moves(r).await
        })
        .await?;
    let said = format!("Limiting moves to {per_minute} a minute... OK");
    done(session, answer.receipt, said).await
}

fn asked(node: String) -> ChangeNodeRequest {
    ChangeNodeRequest {
        request_id: Connection::request_id(),
        node,
        undo: false,
    }
}

async fn done(
    session: &mut Session,
    receipt: Option<Receipt>,
    said: String,
) -> Result<(), Failure> {
    receipt::tell(session, receipt, |_| said).await
}
