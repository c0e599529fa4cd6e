//! Keeps a node's certificate fresh and its authorities those of the cluster. Runs in the agent.

use std::time::{Duration, SystemTime};

use fleet_proto::internal as wire;
use fleet_proto::internal::membership_client::MembershipClient;
use fleet_trust::{CertificateDer, Fingerprint, NodeKey, Whom};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::{Certified, TrustError, write_authorities};
use crate::config::{Node, Peers};

/// Between two questions: a rotation of the authority takes a few of them.
const ASK: Duration = Duration::from_secs(5);

const WITHIN: Duration = Duration::from_secs(10);

/// In this part of its life a certificate is renewed, at a point that chance chooses, so that the
/// nodes of a cluster that was made in one go do not all ask at once (Swarm does the same).
const RENEWED: std::ops::Range<f64> = 0.5..0.8;

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("no control node answers")]
    Silent,
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("failed making a key")]
    Key(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("an answer without a certificate")]
    Empty,
}

impl From<Status> for KeepError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl From<super::FilesError> for KeepError {
    fn from(error: super::FilesError) -> Self {
        Self::Trust(error.into())
    }
}

/// Asks the cluster every few seconds, until dropped.
pub async fn keep(node: &Node) {
    let mut due = due(node);
    let mut told = String::new();
    loop {
        match once(node, due).await {
            Ok(true) => {
                due = self::due(node);
                told.clear();
            }
            Ok(false) => told.clear(),
            // Control of this very node may not be up yet, and a cluster may be without: that is said
            // elsewhere, and there are weeks left.
            Err(KeepError::Silent) if SystemTime::now() < due => {}
            // Said once, not every few seconds.
            Err(error) => {
                let text = format!("{:#}", anyhow::Error::from(error));
                if told != text {
                    tracing::warn!(
                        error = text,
                        "the certificate of this node is not looked after"
                    );
                    told = text;
                }
            }
        }
        tokio::time::sleep(ASK).await;
    }
}

fn due(node: &Node) -> SystemTime {
    let (begins, expires) = node.trust.validity();
    renewal(begins, expires, rand::random_range(RENEWED))
}

/// When `part` of a life is over.
fn renewal(begins: SystemTime, expires: SystemTime, part: f64) -> SystemTime {
    let life = expires.duration_since(begins).unwrap_or_default();
    begins + life.mul_f64(part)
}

/// Answers whether there is a new certificate.
async fn once(node: &Node, due: SystemTime) -> Result<bool, KeepError> {
    let (mut client, answer) = ask(node).await?;
    let authorities: Vec<CertificateDer<'static>> = answer
        .authorities
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let paths = node.paths();
    if !authorities.is_empty() && authorities != node.trust.credentials().authorities() {
        write_authorities(&paths, &authorities)?;
        node.trust.reload(&paths)?;
    }
    if !answer.renew && SystemTime::now() < due {
        return Ok(false);
    }
    let key = NodeKey::generate().map_err(|error| KeepError::Key(error.into()))?;
    let request_id = format!("renew-{:032x}", rand::random::<u128>());
    let proof = key
        .prove(&request_id)
        .map_err(|error| KeepError::Key(error.into()))?;
    let request = wire::RenewRequest {
        request_id,
        public_key: key.public().as_bytes().to_vec().into(),
        proof: proof.0.into(),
    };
    let renewed = client.renew(timed(request)).await?.into_inner();
    let certificate = renewed.certificate.ok_or(KeepError::Empty)?;
    Certified::from_wire(certificate, key).write(&paths)?;
    node.trust.reload(&paths)?;
    tracing::info!("the certificate of this node is renewed");
    Ok(true)
}

/// Asks one control node after the other.
async fn ask(node: &Node) -> Result<(MembershipClient<Channel>, wire::TrustResponse), KeepError> {
    let believed = node.trust.credentials();
    let believes = believed.authorities().iter().map(Fingerprint::of);
    let question = wire::TrustRequest {
        believes: believes.map(|print| print.to_string()).collect(),
    };
    let mut refused = None;
    for address in Peers::read(&node.paths()).control {
        let Ok(endpoint) = Endpoint::from_shared(address.uri()) else {
            continue;
        };
        let endpoint = endpoint.connect_timeout(WITHIN);
        let Ok(channel) = node.trust.connect(&endpoint, Whom::Control).await else {
            continue;
        };
        let mut client = MembershipClient::new(channel);
        match client.trust(timed(question.clone())).await {
            Ok(answer) => return Ok((client, answer.into_inner())),
            Err(status) => refused = Some(status),
        }
    }
    Err(refused.map_or(KeepError::Silent, KeepError::from))
}

fn timed<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(WITHIN);
    request
}

impl Certified {
    /// A certificate as it was sent, with the key it was asked for.
    #[must_use]
    pub fn from_wire(wire: wire::NodeCertificate, key: NodeKey) -> Self {
        let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        Self {
            certificate: CertificateDer::from(wire.certificate.to_vec()),
            key,
            begins: at(wire.begins_unix_ms),
            expires: at(wire.expires_unix_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_long_before_its_end() {
        let (begins, day) = (SystemTime::UNIX_EPOCH, Duration::from_secs(86_400));
        let at = |part| renewal(begins, begins + 90 * day, part);
        assert_eq!(at(RENEWED.start), begins + 45 * day);
        assert_eq!(at(RENEWED.end), begins + 72 * day);
        // A clock that was set back while it was made.
        assert_eq!(renewal(begins + day, begins, 0.5), begins + day);
    }
}
