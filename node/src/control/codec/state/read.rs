//! Reading a state back.

use std::{
    io::{self, Read},
    sync::Arc,
};

use fleet_model::{
    State, Time,
    access::Whitelist,
    acme::Account,
    app::App,
    backup::Backups,
    balance::Balance,
    build::Build,
    certificate::{Certificate, Tls},
    environment::Environment,
    event::Event,
    frontend::Frontend,
    ids::{EnvironmentKey, FrontendId, RequestId},
    node::Node,
    release::Release,
    rollout::Rollout,
    state::{Answered, Cluster},
    trust::Trust,
};
use fleet_proto::stored::{RouteChange, StateHeader, StateRecord, state_record::Record};
use imbl::OrdMap;
use prost::Message as _;

use super::VERSION;
use crate::control::{
    codec::DecodeError,
    convert::{LoadedAt, Stored},
};

/// A record this long is no record: the largest, an environment with 500 variables of 64 KiB, has
/// half of it.
const LONGEST_RECORD: u64 = 64 << 20;

/// Reads a state that [`super::write_state`] wrote, up to its end record and not beyond.
///
/// # Errors
/// [`DecodeError`] for anything else, whatever the bytes are.
pub fn read_state(input: &mut dyn Read) -> Result<State, DecodeError> {
    let mut records = Records { input, read: 0 };
    let mut state = match records.next()? {
        Some(Record::Header(header)) => from_header(header)?,
        Some(_) => return Err(DecodeError::Order { record: 0 }),
        None => return Err(DecodeError::Truncated { records: 0 }),
    };
    let mut section = 0;
    loop {
        let position = records.read;
        let out_of_order = DecodeError::Order { record: position };
        let record = records
            .next()?
            .ok_or(DecodeError::Truncated { records: position })?;
        let this = section_of(&record);
        if this < section {
            return Err(out_of_order);
        }
        section = this;
        match take(&mut state, record)? {
            Taken::Kept => {}
            Taken::Misplaced => return Err(out_of_order),
            Taken::End { records } if records == position => return Ok(state),
            Taken::End { .. } => return Err(out_of_order),
        }
    }
}

enum Taken {
    Kept,
    /// Its key does not follow the one before.
    Misplaced,
    End {
        records: u64,
    },
}

/// The order in which the maps are written.
fn section_of(record: &Record) -> u8 {
    match record {
        Record::Header(_) => 0,
        Record::Node(_) => 1,
        Record::App(_) => 2,
        Record::Build(_) => 3,
        Record::Release(_) => 4,
        Record::Environment(_) => 5,
        Record::Loaded(_) => 6,
        Record::Rollout(_) => 7,
        Record::Frontend(_) => 8,
        Record::Whitelist(_) => 9,
        Record::Certificate(_) => 10,
        Record::Event(_) => 11,
        Record::Answered(_) => 12,
        Record::RouteChange(_) => 13,
        Record::End(_) => 14,
    }
}

fn take(state: &mut State, record: Record) -> Result<Taken, DecodeError> {
    let kept = match record {
        Record::Header(_) => false,
        Record::Node(wire) => {
            let node = Node::from_stored(wire)?;
            append(&mut state.nodes, node.id, node)
        }
        Record::App(wire) => {
            let app = App::from_stored(wire)?;
            append(&mut state.apps, app.name.clone(), app)
        }
        Record::Build(wire) => {
            let build = Build::from_stored(wire)?;
            append(&mut state.builds, build.id.clone(), build)
        }
        Record::Release(wire) => {
            let release = Release::from_stored(wire)?;
            append(&mut state.releases, release.id.clone(), release)
        }
        Record::Environment(wire) => {
            let environment = Environment::from_stored(wire)?;
            append(
                &mut state.environments,
                environment.key.clone(),
                environment,
            )
        }
        Record::Loaded(wire) => {
            let LoadedAt { key, mut loaded } = LoadedAt::from_stored(wire)?;
            // The build's own copy, as it was before it was written.
            match state.builds.get(&loaded.build) {
                Some(build) if build.manifest == loaded.manifest => {
                    loaded.manifest = build.manifest.clone();
                }
                _ => {}
            }
            append(&mut state.loaded, key, loaded)
        }
        Record::Rollout(wire) => {
            let rollout = Rollout::from_stored(wire)?;
            append(&mut state.rollouts, rollout.environment.clone(), rollout)
        }
        Record::Frontend(wire) => {
            let frontend = Frontend::from_stored(wire)?;
            let follows = follows(&state.frontends, &frontend.id);
            if follows {
                state.put_frontend(frontend);
            }
            follows
        }
        Record::Whitelist(wire) => {
            let whitelist = Whitelist::from_stored(wire)?;
            let name: Arc<str> = whitelist.name.as_str().into();
            append(&mut state.whitelists, name, whitelist)
        }
        Record::Certificate(wire) => {
            let certificate = Certificate::from_stored(wire)?;
            append(
                &mut state.certificates,
                certificate.name.clone(),
                certificate,
            )
        }
        Record::Event(wire) => {
            let event = Event::from_stored(wire)?;
            append(&mut state.events, event.sequence, event)
        }
        Record::Answered(wire) => {
            let (request, answered) = <(RequestId, Answered)>::from_stored(wire)?;
            let twin = state.request_order.insert(answered.index, request.clone());
            twin.is_none() && append(&mut state.requests, request, answered)
        }
        Record::RouteChange(RouteChange {
            environment,
            generation,
        }) => {
            let environment = environment.ok_or(DecodeError::Missing {
                field: "route_change.environment",
            })?;
            let key = EnvironmentKey::from_stored(environment)?;
            append(&mut state.route_changes, key, generation)
        }
        Record::End(end) => {
            return Ok(Taken::End {
                records: end.records,
            });
        }
    };
    Ok(if kept { Taken::Kept } else { Taken::Misplaced })
}

/// Adds what must come behind everything that is there.
fn append<K: Ord + Clone, V: Clone>(map: &mut OrdMap<K, V>, key: K, value: V) -> bool {
    let follows = follows(map, &key);
    if follows {
        map.insert(key, value);
    }
    follows
}

fn follows<K: Ord, V>(map: &OrdMap<K, V>, key: &K) -> bool {
    map.get_max().is_none_or(|(last, _)| last < key)
}

fn from_header(header: StateHeader) -> Result<State, DecodeError> {
    let StateHeader {
        version,
        cluster,
        index,
        now_ms,
        generation,
        next_frontend,
        next_event,
        trust,
        backups,
        balance,
        tls,
        accounts,
    } = header;
    if version != VERSION {
        return Err(DecodeError::Version {
            what: "a state",
            found: version,
            known: VERSION,
        });
    }
    let cluster = cluster.ok_or(DecodeError::Missing {
        field: "state.cluster",
    })?;
    let mut state = State::default();
    state.cluster = Cluster::from_stored(cluster)?;
    state.index = index;
    state.now = Time(now_ms);
    state.generation = generation;
    state.next_frontend = next_frontend;
    state.next_event = next_event;
    state.trust = trust
        .map(Trust::from_stored)
        .transpose()?
        .unwrap_or_default();
    state.backups = backups
        .map(Backups::from_stored)
        .transpose()?
        .unwrap_or_default();
    state.tls = tls.map(Tls::from_stored).transpose()?.unwrap_or_default();
    for account in accounts {
        let account = Account::from_stored(account)?;
        state.accounts.insert(account.directory.clone(), account);
    }
    if let Some(balance) = balance {
        state.balance = Balance {
            per_minute: balance.per_minute,
            not_before: Time(balance.not_before_ms),
            moving: balance.moving.map(FrontendId),
        };
    }
    Ok(state)
}

struct Records<'a> {
    input: &'a mut dyn Read,
    read: u64,
}

impl Records<'_> {
    /// The next record; `None` where the stream ends between two.
    fn next(&mut self) -> Result<Option<Record>, DecodeError> {
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        // Grows with what is there, not with what a damaged length claims.
        let found = self.input.take(length).read_to_end(&mut bytes)?;
        if found as u64 != length {
            return Err(DecodeError::Truncated { records: self.read });
        }
        let record =
            StateRecord::decode(bytes.as_slice()).map_err(|source| DecodeError::Malformed {
                what: "a record of the state",
                source,
            })?;
        self.read += 1;
        record
            .record
            .ok_or(DecodeError::Missing { field: "record" })
            .map(Some)
    }

    fn length(&mut self) -> Result<Option<u64>, DecodeError> {
        let mut length = 0_u64;
        for shift in (0..63).step_by(7) {
            let Some(byte) = self.byte()? else {
                return match shift {
                    0 => Ok(None),
                    _ => Err(DecodeError::Truncated { records: self.read }),
                };
            };
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if length <= LONGEST_RECORD {
                    Ok(Some(length))
                } else {
                    Err(too_long(length))
                };
            }
        }
        Err(too_long(length))
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        match self.input.read_exact(&mut byte) {
            Ok(()) => Ok(Some(byte[0])),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn too_long(length: u64) -> DecodeError {
    DecodeError::Invalid {
        field: "record.length",
        value: length.to_string(),
    }
}
