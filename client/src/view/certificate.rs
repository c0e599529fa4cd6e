//! Certificates.

mod acme;

use fleet_proto::v1::Certificate;
use serde::Serialize;

use self::acme::AcmeView;
use super::left;
use crate::output::{Columns, rfc3339, stamp};

const DAY_MS: i128 = 86_400_000;

#[derive(Debug, Serialize)]
pub(crate) struct CertificateView {
    name: String,
    common_name: String,
    organization: String,
    names: Vec<String>,
    begins: Option<String>,
    expires: Option<String>,
    /// Whole days until it ends, negative when it has.
    days_left: Option<i64>,
    uploaded: Option<String>,
    environments: Vec<String>,
    issuer: String,
    /// Of one that an authority gives.
    acme: Option<AcmeView>,
    /// `cert show`: its certificates as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
    #[serde(skip)]
    stamps: [String; 2],
}

impl CertificateView {
    pub(crate) fn new(certificate: &Certificate, now_ms: u64) -> Self {
        let until = |ms: u64| (i128::from(ms) - i128::from(now_ms)).div_euclid(DAY_MS);
        let days = certificate.expires.map(|at| until(at.unix_ms));
        Self {
            name: certificate.name.clone(),
            common_name: certificate.common_name.clone(),
            organization: certificate.organization.clone(),
            names: certificate.names.clone(),
            begins: rfc3339(certificate.begins.as_ref()),
            expires: rfc3339(certificate.expires.as_ref()),
            days_left: days.and_then(|days| i64::try_from(days).ok()),
            uploaded: rfc3339(certificate.uploaded.as_ref()),
            environments: certificate.environments.clone(),
            issuer: certificate.issuer.clone(),
            acme: certificate.acme.as_ref().map(AcmeView::new),
            chain: None,
            stamps: [certificate.expires, certificate.uploaded].map(|at| stamp(at.as_ref())),
        }
    }

    pub(crate) fn with_chain(mut self, chain: String) -> Self {
        self.chain = Some(chain);
        self
    }

    /// How far it is with an authority, in half a line.
    pub(crate) fn ordered(&self) -> Option<String> {
        self.acme.as_ref().map(AcmeView::line)
    }

    /// For whom and how long, in half a line.
    pub(crate) fn summary(&self) -> String {
        if let Some(acme) = &self.acme {
            return acme.line();
        }
        format!(
            "{}; it ends {}",
            crate::output::escape(&self.names.join(", ")),
            self.end()
        )
    }

    /// The date, and how far away it is.
    fn end(&self) -> String {
        let date = &self.stamps[0];
        match self.days_left {
            None => String::new(),
            Some(1) => format!("{date} (1 day)"),
            Some(days @ 0..) => format!("{date} ({days} days)"),
            Some(_) => format!("{date} (over)"),
        }
    }
}

/// `cert list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct CertificateList(Vec<CertificateView>);

impl CertificateList {
    pub(crate) fn new(certificates: &[Certificate], now_ms: u64) -> Self {
        let all = certificates.iter();
        Self(all.map(|one| CertificateView::new(one, now_ms)).collect())
    }

    pub(crate) fn text(&self) -> String {
        let columns = left([
            "name",
            "common name",
            "organization",
            "expires",
            "uploaded",
            "issuer",
            "order",
        ]);
        let mut table = Columns::new(&columns);
        for one in &self.0 {
            table.row(vec![
                one.name.clone(),
                one.common_name.clone(),
                one.organization.clone(),
                one.end(),
                one.stamps[1].clone(),
                one.issuer.clone(),
                one.ordered().unwrap_or_default(),
            ]);
        }
        table.render()
    }
}
