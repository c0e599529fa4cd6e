//! The rules of the house that no compiler checks, each with its reason.
//!
//! A rule looks at the sources only; it never runs them. Breaking one fails with the file, the line
//! where it is known, and why the rule exists. To change a rule, change it here and in
//! `docs/architecture.md` in one commit.

mod arrows;
mod habits;
mod source;

use source::Workspace;

/// One broken rule: where, and what is wrong there.
pub(crate) struct Breach {
    pub(crate) place: String,
    pub(crate) what: String,
}

#[test]
fn crates_depend_only_downwards() {
    expect_none(
        arrows::crate_breaches(&Workspace::load()),
        "the model stays pure and the client stays thin: design of the house, docs/architecture.md",
    );
}

#[test]
fn rooms_of_the_node_keep_their_doors_closed() {
    expect_none(
        arrows::room_breaches(&Workspace::load()),
        "control, worker and ingress run in different processes and speak protobuf even on one \
         machine; an import between them would be a second, untested path",
    );
}

#[test]
fn openraft_is_named_in_one_place() {
    expect_none(
        arrows::openraft_breaches(&Workspace::load()),
        "a pre-release with a moving API: one room may know it (docs/adr/0001)",
    );
}

#[test]
fn files_hold_one_idea() {
    expect_none(
        habits::size_breaches(&Workspace::load()),
        "a file of more than 500 lines of code holds more than one idea; split it by idea",
    );
}

#[test]
fn modules_are_named_by_their_file() {
    expect_none(
        habits::mod_rs_breaches(&Workspace::load()),
        "ten tabs called mod.rs tell nobody anything; use foo.rs beside foo/",
    );
}

#[test]
fn unsafe_code_lives_in_the_holder() {
    expect_none(
        habits::unsafe_breaches(&Workspace::load()),
        "clone, exec and descriptors need unsafe code, nothing else does; one room to review",
    );
}

#[test]
fn nothing_is_left_to_do() {
    expect_none(
        habits::unfinished_breaches(&Workspace::load()),
        "a daemon that panics on a path nobody wrote is worse than one without it; \
         write it, refuse it with a typed error, or leave it out",
    );
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    expect_none(
        habits::sleep_breaches(&Workspace::load()),
        "a fixed sleep is too short on a busy machine and too long on an idle one; \
         poll for the condition with a deadline (fleet_cluster_tests::wait)",
    );
}

/// Every function of the rules above must be able to fail, or it guards nothing.
#[test]
fn the_rules_can_fail() {
    let planted = Workspace::of(&[
        (
            "node/src/control/spy.rs",
            "use {fleet_ingress::Table, crate::clock};",
        ),
        (
            "node/src/worker/deep/er.rs",
            "fn f() { super::super::super::control::go() }",
        ),
        (
            "node/src/control/quiet.rs",
            "fn f() { log!(crate::worker::Ledger) }",
        ),
        ("node/src/consensus/curious.rs", "use fleet_model::State;"),
        ("node/src/control/raft.rs", "type T = openraft::Vote;"),
        ("node/src/clock.rs", "fn f() { unsafe { g() } }"),
        ("model/src/plan.rs", "fn f() { todo!() }"),
        ("node/src/fair.rs", "fn f() { Status::unimplemented(text) }"),
        ("model/src/mod.rs", ""),
        ("model/tests/slow.rs", "fn f() { std::thread::sleep(d) }"),
        (
            "node/src/blobs.rs",
            "#[cfg(test)] mod tests { use tokio::time; async fn f() { time::sleep(d).await } }",
        ),
        ("client/src/long.rs", &"fn f() {}\n".repeat(501)),
        ("client/src/wrong.rs", "use fleet_model::Id;"),
        (
            "cluster-tests/src/wait.rs",
            "async fn f() { tokio::time::sleep(d).await }",
        ),
        ("node/src/holder/spawn.rs", "fn f() { unsafe { clone() } }"),
        (
            "node/src/control/fine.rs",
            "use crate::consensus::Handle; use super::super::blobs;",
        ),
    ]);
    assert_eq!(
        places(&arrows::room_breaches(&planted)),
        [
            "node/src/consensus/curious.rs",
            "node/src/control/quiet.rs",
            "node/src/control/spy.rs",
            "node/src/worker/deep/er.rs",
        ]
    );
    assert_eq!(
        places(&arrows::openraft_breaches(&planted)),
        ["node/src/control/raft.rs"]
    );
    assert_eq!(
        places(&arrows::crate_breaches(&planted)),
        ["client/src/wrong.rs"]
    );
    assert_eq!(
        places(&habits::unsafe_breaches(&planted)),
        ["node/src/clock.rs"]
    );
    assert_eq!(
        places(&habits::unfinished_breaches(&planted)),
        ["model/src/plan.rs"]
    );
    assert_eq!(
        places(&habits::mod_rs_breaches(&planted)),
        ["model/src/mod.rs"]
    );
    assert_eq!(
        places(&habits::size_breaches(&planted)),
        ["client/src/long.rs"]
    );
    assert_eq!(
        places(&habits::sleep_breaches(&planted)),
        ["model/tests/slow.rs", "node/src/blobs.rs",]
    );
}

fn places(breaches: &[Breach]) -> Vec<&str> {
    let mut files: Vec<&str> = breaches
        .iter()
        .map(|breach| breach.place.split(':').next().unwrap_or_default())
        .collect();
    files.sort_unstable();
    files.dedup();
    files
}

fn expect_none(breaches: Vec<Breach>, why: &str) {
    let lines: Vec<String> = breaches
        .iter()
        .map(|breach| format!("  {}: {}", breach.place, breach.what))
        .collect();
    assert!(lines.is_empty(), "\n{}\nwhy: {why}\n", lines.join("\n"));
}
