//! Waiting until the control process of this node answers.

use std::time::Duration;

use fleet_trust::Whom;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Endpoint as Transport;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::config::{Endpoint, Node};
use crate::trust::Trust;

/// An election takes a second; opening a large log some more.
const WITHIN: Duration = Duration::from_secs(30);

/// For a node that lives, however busy it is: whoever takes longer counts as gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

const LOOK: Duration = Duration::from_millis(50);

/// Whether control became ready in time. Init and join succeed without: what they wrote stands,
/// and the agent goes on trying.
pub(super) async fn control(node: &Node) -> bool {
    let deadline = Instant::now() + WITHIN;
    while Instant::now() < deadline {
        if let Ok(true) = timeout_at(deadline, serves(node)).await {
            return true;
        }
        sleep(LOOK).await;
    }
    false
}

/// Whether a control process of this node's cluster answers at `address` at all, ready or not.
pub(super) async fn answers(trust: &Trust, address: &Endpoint) -> bool {
    let asked = tokio::time::timeout(ANSWER_WITHIN, health(trust, address, Whom::Control)).await;
    asked.is_ok_and(|health| health.is_some())
}

async fn serves(node: &Node) -> bool {
    let whom = Whom::Node(node.identity.node_id);
    health(&node.trust, &node.settings.advertise, whom).await == Some(ServingStatus::Serving)
}

/// The health service asks nobody who they are.
async fn health(trust: &Trust, address: &Endpoint, whom: Whom) -> Option<ServingStatus> {
    let transport = Transport::from_shared(address.uri()).ok()?;
    let channel = trust.connect(&transport, whom).await.ok()?;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let answer = HealthClient::new(channel).check(request).await.ok()?;
    Some(answer.get_ref().status())
}
