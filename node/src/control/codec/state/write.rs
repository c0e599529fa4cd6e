//! Writing a state.

use std::io::{self, Write};

use fleet_model::{
    State,
    backup::Backups,
    certificate::Tls,
    ids::RequestId,
    state::{Answered, Cluster},
    trust::Trust,
};
use fleet_proto::stored::{RouteChange, StateEnd, StateHeader, StateRecord, state_record::Record};
use prost::Message as _;

use super::VERSION;
use crate::control::convert::{LoadedAt, Stored};

/// Writes `state` record by record.
///
/// # Errors
/// Those of `out`.
pub fn write_state(state: &State, out: &mut dyn Write) -> io::Result<()> {
    let mut records = Records {
        out,
        buffer: Vec::new(),
        written: 0,
    };
    records.put(Record::Header(header(state)))?;
    records.put_all(&state.nodes, |_, node| Record::Node(node.to_stored()))?;
    records.put_all(&state.apps, |_, app| Record::App(app.to_stored()))?;
    records.put_all(&state.builds, |_, build| Record::Build(build.to_stored()))?;
    records.put_all(&state.releases, |_, release| {
        Record::Release(release.to_stored())
    })?;
    records.put_all(&state.environments, |_, environment| {
        Record::Environment(environment.to_stored())
    })?;
    records.put_all(&state.loaded, |key, loaded| {
        let at = LoadedAt {
            key: key.clone(),
            loaded: loaded.clone(),
        };
        Record::Loaded(at.to_stored())
    })?;
    records.put_all(&state.rollouts, |_, rollout| {
        Record::Rollout(rollout.to_stored())
    })?;
    records.put_all(&state.frontends, |_, frontend| {
        Record::Frontend(frontend.to_stored())
    })?;
    records.put_all(&state.whitelists, |_, whitelist| {
        Record::Whitelist(whitelist.to_stored())
    })?;
    records.put_all(&state.certificates, |_, certificate| {
        Record::Certificate(certificate.to_stored())
    })?;
    records.put_all(&state.events, |_, event| Record::Event(event.to_stored()))?;
    records.put_all(&state.requests, |request, answered| {
        let remembered: (RequestId, Answered) = (request.clone(), answered.clone());
        Record::Answered(remembered.to_stored())
    })?;
    records.put_all(&state.route_changes, |environment, generation| {
        Record::RouteChange(RouteChange {
            environment: Some(environment.to_stored()),
            generation: *generation,
        })
    })?;
    let end = StateEnd {
        records: records.written,
    };
    records.put(Record::End(end))
}

fn header(state: &State) -> StateHeader {
    StateHeader {
        version: VERSION,
        cluster: Some(Cluster::to_stored(&state.cluster)),
        index: state.index,
        now_ms: state.now.0,
        generation: state.generation,
        next_frontend: state.next_frontend,
        next_event: state.next_event,
        trust: Some(Trust::to_stored(&state.trust)),
        // Nothing said is nothing written: a state of before this field has the same hash.
        backups: (state.backups != Backups::default()).then(|| state.backups.to_stored()),
        balance: Some(fleet_proto::stored::Balance {
            per_minute: state.balance.per_minute,
            not_before_ms: state.balance.not_before.0,
            moving: state.balance.moving.map(|id| id.0),
        }),
        tls: (state.tls != Tls::default()).then(|| state.tls.to_stored()),
        accounts: state.accounts.values().map(Stored::to_stored).collect(),
    }
}

struct Records<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    written: u64,
}

impl Records<'_> {
    fn put(&mut self, record: Record) -> io::Result<()> {
        let record = StateRecord {
            record: Some(record),
        };
        self.buffer.clear();
        record
            .encode_length_delimited(&mut self.buffer)
            .map_err(io::Error::other)?;
        self.out.write_all(&self.buffer)?;
        self.written += 1;
        Ok(())
    }

    fn put_all<'k, K: 'k, V: 'k>(
        &mut self,
        map: impl IntoIterator<Item = (&'k K, &'k V)>,
        record: impl Fn(&K, &V) -> Record,
    ) -> io::Result<()> {
        map.into_iter()
            .try_for_each(|(key, value)| self.put(record(key, value)))
    }
}
