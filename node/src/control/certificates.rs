//! Keys of what clients of the ingress see: sealed in the state, opened for ingresses. And what the
//! leader makes for that when the model says that it is due: the cluster's own certificate, and keys of
//! tickets. Randomness is why they are made here and not by the planner.

use std::{sync::Arc, time::Duration};

use fleet_model::{
    Command, State, Time,
    acme::{Answer, Method},
    certificate::{Certificate, Issued, SELF_SIGNED, TICKET_PERIOD},
    command::CertificateChange,
};
use fleet_proto::internal::{
    AcmeAnswer, ServedCertificate, ServedTls, TicketKey, TicketKeys, TlsChange,
};
use fleet_trust::{OwnIssuer, Seal, WebCertificate};
use tokio::sync::watch;

use super::{Context, authority::instant};
use crate::trust::{FilesError, TICKET_KEY, WEB_KEY, read_cluster_key};

/// Rest after something could not be made, before it is tried again.
const REST: Duration = Duration::from_secs(5);

/// Longest sleep: clocks are set, and machines sleep.
const LOOK: Duration = Duration::from_secs(60);

/// A certificate as the state holds it.
pub(super) fn sealed(certificate: WebCertificate, seal: &Seal) -> Issued {
    let WebCertificate {
        chain,
        key,
        common_name,
        organization,
        names,
        begins,
        expires,
        chain_expires,
    } = certificate;
    Issued {
        chain: chain.into_iter().map(Arc::from).collect(),
        sealed_key: seal.seal(WEB_KEY, &key).into(),
        common_name,
        organization,
        names,
        begins: instant(begins),
        expires: instant(expires),
        chain_expires: chain_expires.map(instant),
    }
}

/// Opens keys for one ingress.
pub(super) struct Opener(Option<Seal>);

impl Opener {
    /// Without the cluster's key nothing can be opened; ingresses then serve plain HTTP as before.
    pub(super) fn new(context: &Context) -> Self {
        let seal = read_cluster_key(&context.node.paths());
        let seal = seal
            .inspect_err(|error| tracing::error!(%error, "no key of a certificate can be opened"));
        Self(seal.ok())
    }

    /// Everything that an ingress needs for TLS.
    pub(super) fn full(&self, state: &State) -> ServedTls {
        let all = state.certificates.values();
        ServedTls {
            certificates: all.filter_map(|one| self.certificate(state, one)).collect(),
            tickets: Some(self.tickets(state)),
            answers: answers(state),
        }
    }

    /// What changed of it since the generation `base`; `None` when nothing did.
    pub(super) fn delta(&self, state: &State, base: u64) -> Option<TlsChange> {
        if state.tls.generation <= base {
            return None;
        }
        let all = state.certificates.values();
        let newer = all.filter(|certificate| certificate.generation > base);
        Some(TlsChange {
            upsert: newer
                .filter_map(|one| self.certificate(state, one))
                .collect(),
            names: state.certificates.keys().map(ToString::to_string).collect(),
            tickets: Some(self.tickets(state)),
            answers: answers(state),
        })
    }

    fn certificate(&self, state: &State, certificate: &Certificate) -> Option<ServedCertificate> {
        let issued = certificate.issued.as_deref()?;
        let own = *certificate.name == *SELF_SIGNED;
        Some(ServedCertificate {
            name: certificate.name.to_string(),
            chain: issued.chain.iter().map(|der| der.to_vec().into()).collect(),
            key: self
                .open(WEB_KEY, &issued.sealed_key, &certificate.name)?
                .into(),
            own_domain: match own {
                true => state.cluster.domain.clone(),
                false => String::new(),
            },
        })
    }

    fn tickets(&self, state: &State) -> TicketKeys {
        let tickets = &state.tls.tickets;
        let key = |key: &fleet_model::certificate::TicketKey| {
            let secret = self.open(TICKET_KEY, &key.sealed, "tickets")?;
            Some(TicketKey {
                id: key.id,
                secret: secret.into(),
            })
        };
        TicketKeys {
            keys: tickets.keys.iter().filter_map(key).collect(),
            present: tickets.present().map_or(0, |key| key.id),
            lifetime_seconds: u32::try_from(TICKET_PERIOD.0 / 1000).unwrap_or(u32::MAX),
        }
    }

    /// What cannot be opened is left out: half of the certificates are better than no routes.
    fn open(&self, purpose: &str, sealed: &[u8], name: &str) -> Option<Vec<u8>> {
        let opened = self.0.as_ref()?.open(purpose, sealed);
        opened
            .inspect_err(|error| tracing::error!(%error, name, "a key cannot be opened"))
            .ok()
    }
}

/// What ingresses answer to authorities that were asked for certificates.
fn answers(state: &State) -> Vec<AcmeAnswer> {
    let wire = |(method, answer): (Method, &Answer)| AcmeAnswer {
        host: answer.host.clone(),
        token: answer.token.clone(),
        proof: answer.proof.clone(),
        tls_alpn: method == Method::TlsAlpn,
    };
    state.answers().map(wire).collect()
}

/// Makes what is due, on the leader.
pub(super) async fn run(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let mut leadership = context.consensus.leadership();
    let mut state = context.state.clone();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            leads = leadership.wait_for(|leadership| leadership.is_self) => {
                if leads.is_err() { return }
            }
        }
        let now = context.now();
        let seen = state.borrow_and_update().clone();
        let pause = match due(&seen, now) {
            // Made on a state that a quorum confirms: a deposed leader makes nothing.
            Some(at) if at <= now => match context.read(false).await {
                Ok(state) => make(&context, &state, now).await,
                Err(_) => REST,
            },
            Some(at) => Duration::from_millis(at.since(now).0).min(LOOK),
            None => LOOK,
        };
        tokio::select! {
            _ = stopped.changed() => return,
            changed = state.changed(), if pause > REST => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn due(state: &State, now: Time) -> Option<Time> {
    if state.cluster.id.is_empty() {
        return None;
    }
    match state.own_certificate_due(now) {
        true => Some(now),
        false => Some(state.tls.tickets.due()),
    }
}

/// Answers how long to rest.
async fn make(context: &Context, state: &State, now: Time) -> Duration {
    let change = match another(context, state, now) {
        Ok(Some(change)) => change,
        Ok(None) => return Duration::ZERO,
        Err(error) => {
            tracing::error!(%error, "nothing can be made for TLS at the ingress");
            return REST;
        }
    };
    match context.act(&Command::Certificate(Box::new(change))).await {
        Ok(_) => Duration::ZERO,
        Err(error) => {
            tracing::warn!(%error, "what was made for TLS at the ingress was not taken");
            REST
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum MakeError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("the cluster's own certificate cannot be made")]
    Own(#[from] fleet_trust::AuthorityError),
}

fn another(
    context: &Context,
    state: &State,
    now: Time,
) -> Result<Option<CertificateChange>, MakeError> {
    let seal = read_cluster_key(&context.node.paths())?;
    if state.own_certificate_due(now) {
        let domain = state.cluster.domain.clone();
        let own = OwnIssuer::found(&domain, std::time::SystemTime::now())?;
        let before = state.certificates.get(SELF_SIGNED);
        return Ok(Some(CertificateChange::Own {
            domain,
            issued: sealed(own, &seal),
            assumed: before.map_or(0, |before| before.generation),
        }));
    }
    let tickets = &state.tls.tickets;
    if tickets.due() > now {
        return Ok(None);
    }
    let secret: [u8; 32] = rand::random();
    Ok(Some(CertificateChange::Ticket {
        sealed: seal.seal(TICKET_KEY, &secret).into(),
        assumed: tickets.keys.last().map_or(0, |key| key.id),
    }))
}

#[cfg(test)]
mod tests;
