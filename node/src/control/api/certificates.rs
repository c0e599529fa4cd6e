//! `fleet.v1.Certificates`. What is in a certificate is read here; whether it is taken is decided when
//! the command is applied.

mod acme;

use std::sync::Arc;

use fleet_model::{
    Command, Rejection, State,
    certificate::Certificate,
    command::{AcmeChange, CertificateChange, Code, NewCertificate},
};
use fleet_proto::v1::{self, certificates_server::Certificates};
use fleet_trust::{Blocks, CertificateDer, Faulty, WebCertificate, certificates_to_pem, issuer_of};
use tonic::{Request, Response, Status};

use super::{ACTOR, instant, message, request_id};
use crate::{
    control::{
        Context,
        certificates::sealed,
        context::Done,
        refusal::{detail, refused, rejected, unread, with_detail},
    },
    trust::read_cluster_key,
};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Certificates for Api {
    async fn add(
        &self,
        request: Request<v1::AddCertificateRequest>,
    ) -> Result<Response<v1::AddCertificateResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let change = match &asked.acme {
            Some(_) => CertificateChange::Acme(AcmeChange::Manage(acme::managed(&asked)?)),
            None => self.brought(&asked)?,
        };
        let done = self.change(&id, change).await?;
        let state = self.0.read(false).await.map_err(unread)?;
        let added = state.certificates.get(&*asked.name);
        Ok(Response::new(v1::AddCertificateResponse {
            receipt: Some(receipt(&done)),
            certificate: added.map(|added| shown(&state, added)),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListCertificatesRequest>,
    ) -> Result<Response<v1::ListCertificatesResponse>, Status> {
        let state = self.0.read(message(request).stale).await.map_err(unread)?;
        let all = state.certificates.values();
        Ok(Response::new(v1::ListCertificatesResponse {
            certificates: all.map(|one| shown(&state, one)).collect(),
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetCertificateRequest>,
    ) -> Result<Response<v1::GetCertificateResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let Some(found) = state.certificates.get(&*asked.name) else {
            let names = state.certificates.keys().map(|name| &**name);
            let code = Code::UnknownCertificate;
            let unknown = Rejection::unknown(code, "certificate", &asked.name, names);
            return Err(rejected(&unknown));
        };
        let chain = found.issued.iter().flat_map(|issued| &issued.chain);
        let chain: Vec<_> = chain
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect();
        Ok(Response::new(v1::GetCertificateResponse {
            certificate: Some(shown(&state, found)),
            chain: certificates_to_pem(&chain),
        }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveCertificateRequest>,
    ) -> Result<Response<v1::RemoveCertificateResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let name = asked.name.into();
        let done = self.change(&id, CertificateChange::Remove { name }).await?;
        Ok(Response::new(v1::RemoveCertificateResponse {
            receipt: Some(receipt(&done)),
        }))
    }
}

impl Api {
    fn brought(&self, asked: &v1::AddCertificateRequest) -> Result<CertificateChange, Status> {
        let blocks = Blocks {
            certificate: asked.certificate.to_vec(),
            chain: asked.chain.to_vec(),
            key: asked.private_key.to_vec(),
        };
        let read = WebCertificate::read(&blocks).map_err(|faulty| bad(&faulty))?;
        let seal = read_cluster_key(&self.0.node.paths()).map_err(|error| {
            tracing::error!(%error, "a key cannot be sealed");
            Status::internal("this node cannot seal keys: see its log")
        })?;
        Ok(CertificateChange::Add(NewCertificate {
            name: asked.name.as_str().into(),
            issued: sealed(read, &seal),
            replace: asked.replace,
            force: asked.force,
        }))
    }

    async fn change(
        &self,
        request: &fleet_model::ids::RequestId,
        change: CertificateChange,
    ) -> Result<Done, Status> {
        let command = Command::Certificate(Box::new(change));
        self.0.ask(request, ACTOR, &command).await.map_err(refused)
    }
}

fn bad(faulty: &Faulty) -> Status {
    let detail = detail("BAD_CERTIFICATE", faulty.hint().unwrap_or_default());
    with_detail(tonic::Code::InvalidArgument, &faulty.to_string(), &detail)
}

fn receipt(done: &Done) -> v1::Receipt {
    v1::Receipt {
        log_index: done.index,
        repeated_request: done.repeated,
        ..v1::Receipt::default()
    }
}

fn shown(state: &State, certificate: &Certificate) -> v1::Certificate {
    let users = state.served_by(&certificate.name);
    let environments = users
        .map(|environment| environment.key.to_string())
        .collect();
    let acme = acme::shown(state, certificate);
    let Some(issued) = certificate.issued.as_deref() else {
        return v1::Certificate {
            name: certificate.name.to_string(),
            environments,
            acme,
            ..v1::Certificate::default()
        };
    };
    let server = issued.chain.first();
    v1::Certificate {
        name: certificate.name.to_string(),
        common_name: issued.common_name.clone(),
        organization: issued.organization.clone(),
        names: issued.names.clone(),
        begins: Some(instant(issued.begins)),
        expires: Some(instant(issued.ends())),
        uploaded: Some(instant(certificate.uploaded)),
        environments,
        issuer: server.map(|der| issuer_of(der)).unwrap_or_default(),
        acme,
    }
}
