//! Certificates of the fake node: it takes everything and judges nothing.

use fleet_proto::v1::*;
use tonic::{Request, Response, Status};

use super::Fake;
use super::services::{Answer, seen};

fn certificate(name: &str) -> Certificate {
    let at = |unix_ms| Some(Instant { unix_ms });
    Certificate {
        name: name.to_owned(),
        common_name: "shop.test".to_owned(),
        organization: "Shop \x1bLtd".to_owned(),
        names: vec!["*.shop.test".to_owned(), "shop.test".to_owned()],
        begins: at(1_433_000_000_000),
        // Nine days and a bit after now, as tests have it.
        expires: at(1_434_600_000_000),
        uploaded: at(1_433_814_925_000),
        environments: vec!["shop/prod".to_owned()],
        issuer: "Test Authority".to_owned(),
        acme: None,
    }
}

/// Of one that is ordered.
fn ordered(state: AcmeState, failures: u32, last_error: &str) -> Acme {
    Acme {
        directory: "https://ca.test/dir".to_owned(),
        email: "ops@shop.test".to_owned(),
        method: AcmeMethod::TlsAlpn.into(),
        domains: vec!["shop.test".to_owned()],
        domains_of_environments: true,
        state: state.into(),
        next_order: (state == AcmeState::Due).then_some(Instant {
            unix_ms: 1_434_600_000_000,
        }),
        failures,
        last_error: last_error.to_owned(),
    }
}

#[tonic::async_trait]
impl certificates_server::Certificates for Fake {
    async fn add(&self, request: Request<AddCertificateRequest>) -> Answer<AddCertificateResponse> {
        self.note(&request, seen("add", &request.get_ref().request_id, "", ""))?;
        let asked = request.into_inner();
        let mut added = certificate(&asked.name);
        if asked.acme.is_some() {
            added.acme = Some(ordered(AcmeState::Unasked, 0, ""));
        }
        self.script.lock().unwrap().certificates.push(asked);
        Ok(Response::new(AddCertificateResponse {
            receipt: Some(Receipt::default()),
            certificate: Some(added),
        }))
    }

    async fn list(&self, _: Request<ListCertificatesRequest>) -> Answer<ListCertificatesResponse> {
        let own = Certificate {
            name: "self-signed".to_owned(),
            ..Certificate::default()
        };
        let over = Certificate {
            expires: Some(Instant {
                unix_ms: 1_433_814_924_999,
            }),
            ..certificate("old")
        };
        let renewed = Certificate {
            acme: Some(ordered(AcmeState::Due, 0, "")),
            ..certificate("renewed")
        };
        let refused = Certificate {
            name: "refused".to_owned(),
            acme: Some(ordered(AcmeState::Due, 2, "dns: no \x1baddress")),
            ..Certificate::default()
        };
        Ok(Response::new(ListCertificatesResponse {
            certificates: vec![over, refused, renewed, own, certificate("shop")],
        }))
    }

    async fn get(&self, request: Request<GetCertificateRequest>) -> Answer<GetCertificateResponse> {
        let name = request.into_inner().name;
        let chain = match name.as_str() {
            "self-signed" | "looked" => String::new(),
            "shop" | "renewed" => "-----BEGIN CERTIFICATE-----\n".to_owned(),
            _ => return Err(Status::not_found("there is no such certificate")),
        };
        let acme = match name.as_str() {
            "looked" => Some(ordered(AcmeState::Looked, 0, "")),
            "renewed" => Some(ordered(AcmeState::Due, 0, "")),
            _ => None,
        };
        let certificate = Certificate {
            acme,
            ..certificate(&name)
        };
        Ok(Response::new(GetCertificateResponse {
            certificate: Some(certificate),
            chain,
        }))
    }

    async fn remove(
        &self,
        request: Request<RemoveCertificateRequest>,
    ) -> Answer<RemoveCertificateResponse> {
        self.note(
            &request,
            seen("remove", &request.get_ref().request_id, "", ""),
        )?;
        Ok(Response::new(RemoveCertificateResponse {
            receipt: Some(Receipt::default()),
        }))
    }
}
