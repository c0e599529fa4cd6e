#![allow(clippy::unwrap_used)]

mod arbitrary;
mod cluster;

use fleet_model::{
    Entry, State, Time,
    ids::{Digest, RequestId},
    plan::plan,
    time::Millis,
};
use fleet_proto::stored::{
    CommandEnvelope, MarkNode, StateHeader, StateRecord, command_envelope, state_record::Record,
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

proptest! {
    #[test]
    fn a_command_is_read_as_it_was_written(
        request in proptest::option::of("[ -~]{0,12}"),
        actor in ".{0,12}",
        command in arbitrary::command(),
    ) {
        let request = request.map(|id| RequestId(id.into()));
        let bytes = encode_command(request.as_ref(), &actor, &command);
        let entry = decode_command(&bytes, 7, 11).unwrap();
        let expected = Entry { index: 7, time: Time(11), request, actor: actor.into(), command };
        prop_assert_eq!(entry, expected);
    }

    #[test]
    fn an_answer_is_read_as_it_was_written(answer in arbitrary::answer()) {
        prop_assert_eq!(decode_answer(&encode_answer(&answer)).unwrap(), answer);
    }

    #[test]
    fn a_state_is_read_as_it_was_written(moves in proptest::collection::vec(arbitrary::command(), 0..60)) {
        let state = lived(moves);
        let bytes = written(&state);
        let mut input = bytes.as_slice();
        let read = read_state(&mut input).unwrap();
        prop_assert!(input.is_empty());
        prop_assert_eq!(hash(&read), hash(&state));
        prop_assert_eq!(written(&read), bytes);
        prop_assert_eq!(read, state);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_command(&bytes, 1, 1);
        let _ = decode_answer(&bytes);
        let _ = read_state(&mut bytes.as_slice());
    }

    #[test]
    fn damaged_bytes_never_make_decoding_panic(
        command in arbitrary::command(),
        answer in arbitrary::answer(),
        moves in proptest::collection::vec(arbitrary::command(), 0..20),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let damage = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            bytes
        };
        let _ = decode_command(&damage(&encode_command(None, "ada", &command)), 1, 1);
        let _ = decode_answer(&damage(&encode_answer(&answer)));
        let _ = read_state(&mut damage(&written(&lived(moves))).as_slice());
    }
}

/// A state after `moves`, with what the planner and two workers make of them in between.
fn lived(moves: Vec<fleet_model::Command>) -> State {
    let mut state = State::genesis();
    let mut entries = cluster::beginning();
    entries.extend(moves);
    for command in entries {
        commit(&mut state, command);
        let planned = plan(&state, &cluster::load(&state), state.now);
        for command in planned.commands {
            commit(&mut state, command);
        }
        let healthy = cluster::progress(&state);
        healthy
            .into_iter()
            .for_each(|command| commit(&mut state, command));
    }
    state
}

fn commit(state: &mut State, command: fleet_model::Command) {
    let index = state.index + 1;
    let request = index
        .is_multiple_of(3)
        .then(|| RequestId(format!("request-{}", index / 2).into()));
    let entry = Entry {
        index,
        time: state.now.plus(Millis(index * 137 % 2_000)),
        request,
        actor: "ada".into(),
        command,
    };
    let _ = state.apply(entry);
}

fn written(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_state(state, &mut bytes).unwrap();
    bytes
}

#[test]
fn lived_states_hold_something_of_everything() {
    // Else the round trip above would prove little.
    let state = lived(Vec::new());
    assert!(!state.nodes.is_empty() && !state.apps.is_empty() && !state.builds.is_empty());
    assert!(!state.releases.is_empty() && !state.environments.is_empty());
    assert!(!state.loaded.is_empty() && !state.frontends.is_empty() && !state.rollouts.is_empty());
    assert!(!state.events.is_empty() && !state.requests.is_empty());
    assert!(!state.route_changes.is_empty());
    assert!(state.loaded.values().any(|loaded| !loaded.slots.is_empty()));
}

#[test]
fn a_stream_that_was_cut_off_is_no_state() {
    let bytes = written(&lived(Vec::new()));
    for length in 0..bytes.len() {
        let read = read_state(&mut &bytes[..length]);
        assert!(
            read.is_err(),
            "the first {length} bytes were taken for a state"
        );
    }
}

#[test]
fn records_stand_in_one_order_only() {
    let header = |version| {
        Record::Header(StateHeader {
            version,
            cluster: Some(Default::default()),
            ..Default::default()
        })
    };
    let change = |app: &str, generation| {
        let environment = Some(fleet_proto::stored::EnvironmentKey {
            app: app.to_owned(),
            name: "prod".to_owned(),
        });
        Record::RouteChange(fleet_proto::stored::RouteChange {
            environment,
            generation,
        })
    };
    let end = |records| Record::End(fleet_proto::stored::StateEnd { records });
    let cases = [
        (vec![header(1), end(1)], "taken"),
        (
            vec![header(1), change("a", 1), change("b", 1), end(3)],
            "taken",
        ),
        (
            vec![header(2), end(1)],
            "a state has version 2, this fleet reads version 1",
        ),
        (vec![end(0)], "record 0 of the state is out of order"),
        (
            vec![header(1), end(2)],
            "record 1 of the state is out of order",
        ),
        (
            vec![header(1), header(1), end(2)],
            "record 1 of the state is out of order",
        ),
        (
            vec![header(1), change("b", 1), change("a", 1), end(3)],
            "record 2 of the state is out of order",
        ),
        (
            vec![header(1), change("a", 1), change("a", 2), end(3)],
            "record 2 of the state is out of order",
        ),
        (
            vec![header(1)],
            "the state ends after 1 records, before its end",
        ),
    ];
    for (records, expected) in cases {
        let bytes: Vec<u8> = records
            .into_iter()
            .flat_map(|record| {
                let record = StateRecord {
                    record: Some(record),
                };
                record.encode_length_delimited_to_vec()
            })
            .collect();
        let said = match read_state(&mut bytes.as_slice()) {
            Ok(_) => "taken".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected);
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let envelope = |version, command| CommandEnvelope {
        version,
        request: None,
        actor: "ada".to_owned(),
        command,
    };
    let mark = |from, to| {
        command_envelope::Command::MarkNode(MarkNode {
            node: 1,
            from,
            to,
            assumed: 0,
        })
    };
    let app = |name: &str| {
        command_envelope::Command::DeleteApp(fleet_proto::stored::DeleteApp {
            app: name.to_owned(),
        })
    };
    let cases = [
        (
            envelope(9, None),
            "a command has version 9, this fleet reads version 1",
        ),
        (envelope(1, None), "command is missing"),
        (
            envelope(1, Some(mark(0, 2))),
            "node.lease has the unknown value 0",
        ),
        (
            envelope(1, Some(mark(2, 99))),
            "node.lease has the unknown value 99",
        ),
        (envelope(1, Some(app("../etc"))), "app cannot be \"../etc\""),
    ];
    for (envelope, expected) in cases {
        let error = decode_command(&envelope.encode_to_vec(), 1, 1).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn manifests_are_shared_again_after_reading() {
    let state = lived(Vec::new());
    let read = read_state(&mut written(&state).as_slice()).unwrap();
    for loaded in read.loaded.values() {
        let build = &read.builds[&loaded.build];
        assert!(std::sync::Arc::ptr_eq(&build.manifest, &loaded.manifest));
    }
}
