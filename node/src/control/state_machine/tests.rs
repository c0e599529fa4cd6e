#![allow(clippy::unwrap_used)]

use fleet_model::{Command, Detail, ids::RequestId};

use super::*;

fn committed(index: u64, payload: &[u8]) -> Committed<'_> {
    Committed {
        index,
        term: 1,
        time_ms: 1_000 * index,
        payload,
    }
}

fn create_app(name: &str, request: Option<&str>) -> Bytes {
    let request = request.map(|id| RequestId(id.into()));
    let command = Command::CreateApp {
        name: name.to_owned(),
    };
    codec::encode_command(request.as_ref(), "ada", &command)
}

#[test]
fn a_batch_is_published_once_and_as_a_whole() {
    let (mut machine, receiver) = Machine::new();
    let (shop, blog) = (create_app("shop", None), create_app("blog", None));
    let answers = machine.apply(&[committed(4, &shop), committed(7, &blog)]);
    assert_eq!(answers.len(), 2);
    assert!(receiver.has_changed().unwrap());
    let state = receiver.borrow().clone();
    assert_eq!((state.index, state.now), (7, Time(7_000)));
    assert_eq!(state.apps.len(), 2);
    let last = codec::decode_answer(&answers[1]).unwrap().unwrap();
    assert_eq!((last.index, last.detail), (7, Detail::Done));
}

#[test]
fn a_retry_is_answered_as_the_first_time_even_after_a_restore() {
    let (mut machine, _receiver) = Machine::new();
    let shop = create_app("shop", Some("r1"));
    let first = machine.apply(&[committed(4, &shop)]);
    let mut body = Vec::new();
    machine.view().write(&mut body).unwrap();

    let (mut restored, receiver) = Machine::new();
    restored.restore(&mut body.as_slice()).unwrap();
    assert_eq!(*receiver.borrow(), machine.state);
    assert_eq!(restored.apply(&[committed(9, &shop)]), first);
}

#[test]
fn what_cannot_be_read_is_refused_and_changes_nothing_but_the_index() {
    let (mut machine, receiver) = Machine::new();
    let before = machine.state.clone();
    let answers = machine.apply(&[committed(5, b"\xff\xff"), committed(6, b"")]);
    for answer in &answers {
        let rejection = codec::decode_answer(answer).unwrap().unwrap_err();
        assert_eq!(rejection.code, Code::InvalidValue);
    }
    let mut expected = before;
    expected.index = 6;
    expected.now = Time(6_000);
    assert_eq!(*receiver.borrow(), expected);
}

#[test]
fn a_view_does_not_see_what_is_applied_after_it() {
    let (mut machine, _receiver) = Machine::new();
    let view = machine.view();
    let before = machine.state.clone();
    machine.apply(&[committed(4, &create_app("shop", None))]);
    let mut body = Vec::new();
    view.write(&mut body).unwrap();
    assert_eq!(codec::read_state(&mut body.as_slice()).unwrap(), before);
}

#[test]
fn a_damaged_snapshot_leaves_the_state_untouched() {
    let (mut machine, receiver) = Machine::new();
    machine.apply(&[committed(4, &create_app("shop", None))]);
    let mut body = Vec::new();
    machine.view().write(&mut body).unwrap();
    let before = receiver.borrow().clone();
    for length in 0..body.len() {
        let cut = machine.restore(&mut &body[..length]);
        assert!(
            matches!(cut, Err(RestoreError::Invalid(_))),
            "cut at {length}"
        );
    }
    assert_eq!(*receiver.borrow(), before);
}
