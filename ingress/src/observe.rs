//! What the ingress says of its work: an account of each request, sums of them, lines.
//!
//! An [`Account`] is opened before a request is looked at and settled when the last of its response
//! has gone, or nobody wants it any more; whatever way it ends, it is counted once. It is told what
//! happens in words of its own (chosen, lost, answered, ended), so the engine can be another one.
//!
//! Counting takes no lock and touches cache lines of one core only: a [`tally`] has a cell per shard,
//! and an account holds the cell, not the tally, so that not even the count of holders is shared.
//! With the access log off a request pays for one branch of it.
//!
//! A release has figures of its own for as long as the table or a request knows it. The sums over all
//! requests of this process are kept apart, for they may never shrink (`ledger`).

mod access_log;
mod account;
mod figures;
mod ledger;
mod line;
mod log_file;
mod page;
mod tally;

pub(super) use access_log::AccessLog;
pub(super) use account::{Account, Meter};
pub(super) use figures::{Figures, Handshake};
pub(super) use ledger::Ledger;
pub(super) use page::page;
pub(super) use tally::{Names, Sum, Tally};

use std::sync::Arc;

use http::{Request, Response};

use super::headers::Client;
use super::pages::Told;
use super::slot::Connections;
use super::table::Table;

/// Who keeps the accounts of one ingress.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) figures: Figures,
    /// Of requests that led to no environment.
    unrouted: Tally,
    log: Option<AccessLog>,
}

impl Observer {
    pub(super) fn new(log: Option<AccessLog>) -> Arc<Self> {
        Arc::new(Self {
            figures: Figures::default(),
            unrouted: Tally::unrouted(),
            log,
        })
    }

    /// Opens the account of a request; `tls` is the version it came by.
    pub(super) fn open<B>(
        &self,
        client: &Client,
        tls: Option<&'static str>,
        request: &Request<B>,
    ) -> Account {
        let line = self.log.as_ref();
        let line = line.map(|log| Box::new(line::Line::begin(log, client, tls, request)));
        Account::open(self.unrouted.cell(), line)
    }

    /// Notes the head of the response. A page of ours is counted where its host leads.
    pub(super) fn answered<C: Connections, B>(
        &self,
        account: &mut Account,
        response: &Response<B>,
        table: impl FnOnce() -> Arc<Table<C>>,
    ) {
        let status = response.status().as_u16();
        let Some(told) = response.extensions().get::<Told>() else {
            return account.answered(status);
        };
        if let Some(host) = &told.host
            && let Some(target) = table().lookup(host)
        {
            account.belongs(target.tally());
        }
        account.told(status, told.reason);
    }
}
