//! Calls passed on to the leader, for what only the leader knows.

use std::{error::Error as _, time::Duration};

use fleet_trust::Whom;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use super::{Context, refusal::unavailable};

/// Connects to the leader; `None` when this node leads.
pub(super) async fn leader(context: &Context) -> Result<Option<Channel>, Status> {
    let leadership = context.consensus.leadership().borrow().clone();
    if leadership.is_self {
        return Ok(None);
    }
    let Some(peer) = leadership.leader else {
        return Err(unavailable("no control node leads at the moment"));
    };
    let whom = Whom::Node(peer.id);
    connect(context, &peer.address, whom).await.map(Some)
}

/// What to say of a question that was passed on: the leader's own words as they are; of a connection
/// that broke under it only that it did, so that whoever asked asks again.
pub(super) fn relayed(status: Status) -> Status {
    let lost = status.source().is_some() || status.message().contains("h2 protocol error");
    if lost {
        unavailable("the leader was lost in the middle of its answer; ask again")
    } else {
        status
    }
}

/// Connects to the control process at `address`.
pub(super) async fn connect(
    context: &Context,
    address: &str,
    whom: Whom,
) -> Result<Channel, Status> {
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .map_err(|error| Status::internal(format!("{address} is no address: {error}")))?
        .connect_timeout(Duration::from_secs(1))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true);
    let channel = context.node.trust.connect(&endpoint, whom).await;
    channel.map_err(|error| unavailable(&format!("failed connecting to {address}: {error}")))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_broken_connection_is_no_refusal() {
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let relayed_code = |status: Status| relayed(status).code();
        assert_eq!(
            relayed_code(Status::from_error(Box::new(lost))),
            Code::Unavailable
        );
        assert_eq!(
            relayed_code(Status::not_found("there is no app")),
            Code::NotFound
        );
    }
}
