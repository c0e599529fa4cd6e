//! The account with an authority: made when the first order needs it, its key sealed in the state.

use std::sync::Arc;

use fleet_model::{
    acme::{Account as Record, Managed},
    command::AcmeChange,
};
use fleet_trust::{Believing, CertificateDer, Seal};
use instant_acme::{Account, AccountCredentials, NewAccount};

use super::{
    Desk,
    http::{Http, Patience},
    trouble::Trouble,
};
use crate::trust::{ACCOUNT_KEY, read_cluster_key};

/// What an order speaks to its authority with.
pub(super) struct Speaker {
    pub(super) account: Account,
    pub(super) patience: Patience,
    pub(super) seal: Seal,
}

impl Speaker {
    /// What came of asking the authority.
    pub(super) fn heard<T>(&self, answer: Result<T, instant_acme::Error>) -> Result<T, Trouble> {
        answer.map_err(|error| Trouble::of(&error, self.patience.until()))
    }
}

impl Desk {
    /// The account of a certificate's authority, made if there is none.
    pub(super) async fn speaker(&self, managed: &Managed) -> Result<Speaker, Trouble> {
        let seal = read_cluster_key(&self.context.node.paths());
        let seal = seal.map_err(|error| Trouble::Local(error.to_string()))?;
        let _making = self.accounts.lock().await;
        let record = self.record(managed)?;
        let patience = Patience::default();
        let http = Http::new(believing(&record)?, patience.clone());
        let builder = Account::builder_with_http(Box::new(http));
        let account = match &record.sealed {
            Some(sealed) => builder.from_credentials(credentials(&seal, sealed)?).await,
            None => {
                let contact = format!("mailto:{}", record.email);
                let contacts = [contact.as_str()];
                let wanted = NewAccount {
                    contact: if record.email.is_empty() {
                        &[]
                    } else {
                        &contacts
                    },
                    terms_of_service_agreed: true,
                    only_return_existing: false,
                };
                let made = builder
                    .create(&wanted, record.directory.to_string(), None)
                    .await
                    .map_err(|error| Trouble::of(&error, patience.until()))?;
                self.register(&record, &seal, &made.1).await?;
                Ok(made.0)
            }
        };
        let account = account.map_err(|error| Trouble::of(&error, patience.until()))?;
        Ok(Speaker {
            account,
            patience,
            seal,
        })
    }

    /// As it is now: another order may have made it.
    fn record(&self, managed: &Managed) -> Result<Record, Trouble> {
        let state = self.context.state.borrow();
        let record = state.accounts.get(&managed.directory);
        record.cloned().ok_or(Trouble::Overtaken)
    }

    async fn register(
        &self,
        record: &Record,
        seal: &Seal,
        credentials: &AccountCredentials,
    ) -> Result<(), Trouble> {
        let text = serde_json::to_vec(credentials);
        let text = text.map_err(|error| Trouble::Local(error.to_string()))?;
        self.commit(AcmeChange::Register {
            directory: record.directory.clone(),
            sealed: seal.seal(ACCOUNT_KEY, &text).into(),
            assumed: record.revision,
        })
        .await
    }
}

/// What cannot be opened is as good as forgotten: another account is made.
fn credentials(seal: &Seal, sealed: &Arc<[u8]>) -> Result<AccountCredentials, Trouble> {
    let opened = seal.open(ACCOUNT_KEY, sealed).ok();
    let read = opened.and_then(|text| serde_json::from_slice(&text).ok());
    read.ok_or_else(|| Trouble::Order {
        problem: "the account's key cannot be opened".to_owned(),
        not_before: None,
        stranger: true,
    })
}

/// By whom the authority's own server is believed.
fn believing(record: &Record) -> Result<Believing, Trouble> {
    let given = record.roots.iter();
    let mut roots: Vec<_> = given
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    if roots.is_empty() {
        roots = rustls_native_certs::load_native_certs().certs;
    }
    if roots.is_empty() {
        return Err(Trouble::of_order(
            "this node believes no authority: install the package ca-certificates, or name the \
             directory's with --directory-ca",
        ));
    }
    Believing::new(roots).map_err(|error| Trouble::Local(error.to_string()))
}
