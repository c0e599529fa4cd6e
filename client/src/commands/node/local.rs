//! What the daemon of this machine does by itself, asked over its own socket: found a cluster,
//! join one, leave it, show its processes, replace its ingress.

use std::collections::BTreeMap;
use std::future::Future;

use fleet_proto::v1::local_client::LocalClient;
use fleet_proto::v1::{
    InitRequest, JoinRequest, LeaveRequest, LocalProgress, LocalStatusRequest, NodeRole,
    ReplaceIngressRequest,
};
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use crate::args::{NodeVerb, Role};
use crate::commands::context::token;
use crate::connection::{Connection, unix};
use crate::context::socket_path;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::escape;
use crate::session::Session;
use crate::view::{FoundedView, JoinedView, LocalView};

pub(super) async fn run(session: &mut Session, verb: NodeVerb) -> Result<(), Failure> {
    match verb {
        NodeVerb::Init { name, domain } => init(session, name, domain).await,
        NodeVerb::Join {
            addresses,
            token,
            token_file,
            name,
            roles,
            labels,
        } => {
            let token = match token {
                Some(token) => Some(token),
                None => self::token(session, token_file.as_deref(), "FLEET_JOIN_TOKEN")?,
            };
            let Some(token) = token else {
                return Err(Failure::usage("joining needs a join token")
                    .hint("make one on a node of the cluster: fleet node token create"));
            };
            let command = JoinRequest {
                request_id: Connection::request_id(),
                addresses,
                token,
                name: name.unwrap_or_default(),
                roles: roles.into_iter().map(role).collect(),
                labels: parse_labels(&labels)?,
            };
            join(session, command).await
        }
        NodeVerb::Leave { force, no_confirm } => leave(session, force, no_confirm).await,
        NodeVerb::ReplaceIngress => replace_ingress(session).await,
        // What is asked of the cluster does not come here.
        _ => status(session).await,
    }
}

async fn init(
    session: &mut Session,
    name: Option<String>,
    domain: Option<String>,
) -> Result<(), Failure> {
    let command = InitRequest {
        request_id: Connection::request_id(),
        name: name.unwrap_or_default(),
        domain: domain.unwrap_or_default(),
    };
    let mut daemon = daemon(session).await?;
    let answer = answered(session, daemon.init(command)).await?;
    session
        .console
        .result(&FoundedView::from(&answer), FoundedView::text)
}

async fn join(session: &mut Session, command: JoinRequest) -> Result<(), Failure> {
    let mut daemon = daemon(session).await?;
    let answer = answered(session, daemon.join(command)).await?;
    session
        .console
        .result(&JoinedView::from(&answer), JoinedView::text)
}

async fn leave(session: &mut Session, force: bool, no_confirm: bool) -> Result<(), Failure> {
    let mut daemon = daemon(session).await?;
    if !no_confirm {
        let about = answered(session, daemon.status(LocalStatusRequest {})).await?;
        let question = format!(
            "Type the name of this node ({}) to let it leave",
            about.name
        );
        session.confirm(&about.name, &question)?;
    }
    let command = LeaveRequest {
        request_id: Connection::request_id(),
        force,
    };
    let lines = daemon.leave(command).await;
    told(session, lines, "this machine has left the cluster").await
}

async fn replace_ingress(session: &mut Session) -> Result<(), Failure> {
    let mut daemon = daemon(session).await?;
    let command = ReplaceIngressRequest {
        request_id: Connection::request_id(),
    };
    let lines = daemon.replace_ingress(command).await;
    told(session, lines, "the ingress is replaced").await
}

async fn status(session: &mut Session) -> Result<(), Failure> {
    let mut daemon = daemon(session).await?;
    let answer = answered(session, daemon.status(LocalStatusRequest {})).await?;
    session
        .console
        .result(&LocalView::from(&answer), LocalView::text)
}

pub(in crate::commands) async fn daemon(
    session: &Session,
) -> Result<LocalClient<Channel>, Failure> {
    Ok(LocalClient::new(
        unix(&socket_path(&session.surroundings)).await?,
    ))
}

/// The daemon's answer, within --timeout if that is given.
pub(in crate::commands) async fn answered<A>(
    session: &Session,
    call: impl Future<Output = Result<Response<A>, Status>>,
) -> Result<A, Failure> {
    let answer = match session.globals.timeout {
        Some(limit) => tokio::time::timeout(limit, call).await.map_err(|_| {
            Failure::new(
                Exit::TimedOut,
                "TIMED_OUT",
                "the daemon of this machine did not answer in time",
            )
        })?,
        None => call.await,
    };
    answer
        .map(Response::into_inner)
        .map_err(|status| Failure::from(&status))
}

/// Passes on what the daemon tells until it is done.
async fn told(
    session: &mut Session,
    lines: Result<Response<Streaming<LocalProgress>>, Status>,
    done: &str,
) -> Result<(), Failure> {
    let mut lines = lines.map_err(|status| Failure::from(&status))?.into_inner();
    while let Some(line) = lines
        .message()
        .await
        .map_err(|status| Failure::from(&status))?
    {
        if !session.console.is_json() {
            session
                .console
                .write(&format!("{}\n", escape(&line.text)))?;
        }
    }
    if session.console.is_json() {
        let view = serde_json::json!({ "message": done });
        return session.console.result(&view, |_| String::new());
    }
    Ok(())
}

pub(super) fn role(role: Role) -> i32 {
    match role {
        Role::Control => NodeRole::Control.into(),
        Role::Worker => NodeRole::Worker.into(),
        Role::Ingress => NodeRole::Ingress.into(),
    }
}

pub(super) fn parse_labels(labels: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let split = |label: &String| match label.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Failure::usage(format!(
            "\"{label}\" is no label like zone=a"
        ))),
    };
    labels.iter().map(split).collect()
}
