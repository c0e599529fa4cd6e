//! The two halves of an order: placing it, and taking what it gives. Each can be done again by
//! another leader.

use std::time::Duration;

use fleet_model::{
    acme::{Answer, Managed, Method, Order as Ordered, Placed},
    command::{AcmeChange, PlacedOrder},
};
use fleet_trust::{NodeKey, WebCertificate};
use instant_acme::{
    AuthorizationStatus, ChallengeStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};

use super::{
    Desk, Work,
    account::Speaker,
    trouble::{Trouble, worded},
};
use crate::{control::certificates::sealed, trust::WEB_KEY};

/// How often an authority is asked how far it is, unless it says itself, and for how long. It looks
/// from several places, and some have queues.
const ASKING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(10 * 60));

impl Desk {
    /// Makes the key, and an order at the authority; what it asks of the hosts is for ingresses.
    pub(super) async fn place(
        &self,
        work: &Work,
        managed: &Managed,
        order: &Ordered,
    ) -> Result<AcmeChange, Trouble> {
        let speaker = self.speaker(managed).await?;
        let identifiers: Vec<_> = order.names.iter().cloned().map(Identifier::Dns).collect();
        let placed = speaker
            .account
            .new_order(&NewOrder::new(&identifiers))
            .await;
        let mut placed = speaker.heard(placed)?;
        let answers = answers(&speaker, &mut placed, managed.method).await?;
        let key = new_key()?;
        Ok(AcmeChange::Place {
            name: work.name.clone(),
            order: work.order,
            placed: PlacedOrder {
                url: placed.url().to_owned(),
                sealed_key: speaker.seal.seal(WEB_KEY, &key.to_pkcs8()).into(),
                answers,
            },
        })
    }

    /// Lets the authority look, waits for what it says, and takes the certificate. What another
    /// leader has done of that already is not done again.
    pub(super) async fn finish(
        &self,
        work: &Work,
        managed: &Managed,
        ordered: &Ordered,
        placed: &Placed,
    ) -> Result<AcmeChange, Trouble> {
        let speaker = self.speaker(managed).await?;
        let key = speaker.seal.open(WEB_KEY, &placed.sealed_key).ok();
        let key = key.and_then(|key| NodeKey::from_pkcs8(&key).ok());
        let key = key.ok_or_else(|| Trouble::of_order("the key of the order cannot be opened"))?;
        let mut order = speaker.heard(speaker.account.order(placed.url.clone()).await)?;
        if order.state().status == OrderStatus::Pending {
            show(&speaker, &mut order, managed.method).await?;
            let ready = order.poll_ready(&ASKING).await;
            if !matches!(ready, Ok(OrderStatus::Ready)) {
                // What is wrong with a host says more than that something is.
                refusal(&speaker, &placed.url).await?;
            }
            speaker.heard(ready)?;
        }
        match order.state().status {
            OrderStatus::Ready => {
                let names = ordered.names.iter().map(String::as_str);
                let request = WebCertificate::request(&key, names);
                let request = request.map_err(|error| Trouble::of_order(error.to_string()))?;
                speaker.heard(order.finalize_csr(&request).await)?;
            }
            OrderStatus::Invalid => {
                refusal(&speaker, &placed.url).await?;
                return Err(Trouble::of_order("the authority gave the order up"));
            }
            OrderStatus::Pending | OrderStatus::Processing | OrderStatus::Valid => {}
        }
        let chain = speaker.heard(order.poll_certificate(&ASKING).await)?;
        let given = WebCertificate::given(&chain, &key);
        let given = given.map_err(|fault| Trouble::of_order(format!("of what came, {fault}")))?;
        Ok(AcmeChange::Issue {
            name: work.name.clone(),
            order: work.order,
            issued: sealed(given, &speaker.seal),
        })
    }
}

fn new_key() -> Result<NodeKey, Trouble> {
    NodeKey::generate().map_err(|error| Trouble::Local(error.to_string()))
}

fn kind(method: Method) -> ChallengeType {
    match method {
        Method::Http => ChallengeType::Http01,
        Method::TlsAlpn => ChallengeType::TlsAlpn01,
    }
}

/// What ingresses shall answer, for the hosts that the authority does not believe to be ours yet.
async fn answers(
    speaker: &Speaker,
    order: &mut Order,
    method: Method,
) -> Result<Vec<Answer>, Trouble> {
    let mut answers = Vec::new();
    let mut hosts = order.authorizations();
    while let Some(host) = hosts.next().await {
        let mut host = speaker.heard(host)?;
        match host.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            _ => return Err(Trouble::of_order("the authority refuses a host at once")),
        }
        let name = host.identifier().to_string();
        let Some(challenge) = host.challenge(kind(method)) else {
            let method = method.as_str();
            return Err(Trouble::of_order(format!(
                "the authority does not ask {name} by {method}"
            )));
        };
        answers.push(Answer {
            host: name,
            token: challenge.token.clone(),
            proof: challenge.key_authorization().as_str().to_owned(),
        });
    }
    Ok(answers)
}

/// Says that every host answers, once for each.
async fn show(speaker: &Speaker, order: &mut Order, method: Method) -> Result<(), Trouble> {
    let mut hosts = order.authorizations();
    while let Some(host) = hosts.next().await {
        let mut host = speaker.heard(host)?;
        if host.status != AuthorizationStatus::Pending {
            continue;
        }
        let challenge = host.challenge(kind(method));
        if let Some(mut challenge) = challenge.filter(|c| c.status == ChallengeStatus::Pending) {
            speaker.heard(challenge.set_ready().await)?;
        }
    }
    Ok(())
}

/// What the authority found at the hosts, as an error; nothing if it found nothing wrong.
async fn refusal(speaker: &Speaker, url: &str) -> Result<(), Trouble> {
    let mut order = speaker.heard(speaker.account.order(url.to_owned()).await)?;
    let mut hosts = order.authorizations();
    while let Some(host) = hosts.next().await {
        let host = speaker.heard(host)?;
        let problem = host.challenges.iter().find_map(|c| c.error.as_ref());
        if let Some(problem) = problem {
            let name = host.identifier().to_string();
            return Err(Trouble::of_order(format!("{name}: {}", worded(problem))));
        }
    }
    Ok(())
}
