//! Waiting until the control process of this node answers.

use std::time::Duration;

use fleet_trust::Whom;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Endpoint as Transport;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::config::Node;

/// An election takes a second; opening a large log some more.
const WITHIN: Duration = Duration::from_secs(30);

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

async fn serves(node: &Node) -> bool {
    let Ok(transport) = Transport::from_shared(node.settings.advertise.uri()) else {
        return false;
    };
    let whom = Whom::Node(node.identity.node_id);
    let Ok(channel) = node.trust.connect(&transport, whom).await else {
        return false;
    };
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
}
