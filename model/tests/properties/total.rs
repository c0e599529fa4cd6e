//! Values at the ends of their range: whatever can be decoded is applied or rejected.

use fleet_model::{
    Command, Time,
    command::NewBuild,
    environment::Limits,
    ids::NodeId,
    manifest::{Scale, Service},
    node::Lease,
};

use crate::common::{Checked, app, digest, environment, manifest, registration, web};

fn cluster() -> Checked {
    let mut checked = Checked::new();
    for command in [
        Command::RegisterNode(registration(1, Some(1))),
        Command::CreateApp {
            name: "shop".to_owned(),
        },
    ] {
        checked.commit(Time(1), command).unwrap();
    }
    checked
}

fn build_scaled(count: u32, min: u32, max: u32) -> Command {
    let scaled = Service {
        scale: Some(Scale { count, min, max }),
        ..web()
    };
    Command::CreateBuild(NewBuild {
        app: app("shop"),
        name: "037205f".to_owned(),
        message: String::new(),
        digest: digest(1),
        size: u64::MAX,
        manifest: manifest(&[("web", scaled)]),
        holder: NodeId(1),
        environment: None,
        description: None,
    })
}

#[test]
fn a_manifest_whose_counts_make_no_sense_is_refused() {
    for (count, min, max) in [
        (2, 3, 1),
        (1, 2, 3),
        (4, 2, 3),
        (u32::MAX, 0, u32::MAX),
        (u32::MAX, u32::MAX, u32::MAX),
    ] {
        let answer = cluster().commit(Time(2), build_scaled(count, min, max));
        let rejection = answer.expect_err("it was taken");
        assert_eq!(
            rejection.code.as_str(),
            "INVALID_VALUE",
            "{count} {min} {max}"
        );
        assert!(rejection.message.contains("web"), "{}", rejection.message);
    }
    cluster().commit(Time(2), build_scaled(2, 1, 3)).unwrap();
    cluster().commit(Time(2), build_scaled(0, 0, 0)).unwrap();
}

#[test]
fn clamping_to_limits_that_are_no_range_does_not_panic() {
    assert_eq!(Limits { min: 5, max: 2 }.clamp(9), 2);
}

#[test]
fn times_at_the_end_of_time_are_taken() {
    let mut checked = cluster();
    let end = Time(u64::MAX);
    checked.commit(end, build_scaled(1, 1, 1)).unwrap();
    let load = Command::Load {
        environment: environment("shop/prod"),
        reference: "037205f".to_owned(),
    };
    checked.commit(Time(5), load).unwrap();
    checked.settle(&fleet_model::plan::Load::default(), end);
}

#[test]
fn the_chosen_id_of_the_first_node_is_never_given_again() {
    let mut checked = Checked::new();
    let chosen = Command::RegisterNode(registration(1, Some(3)));
    // The log is at 1: an id from its future would be given a second time at index 3.
    let answer = checked.commit(Time(1), chosen);
    assert!(answer.is_err(), "{answer:?}");
    for number in 2..5 {
        let _ = checked.commit(Time(1), Command::RegisterNode(registration(number, None)));
    }
    let names: Vec<_> = checked
        .state
        .nodes
        .values()
        .map(|node| &node.name)
        .collect();
    assert_eq!(names, ["n2", "n3", "n4"]);
}

#[test]
fn nothing_is_placed_on_a_node_that_fell_silent_since_it_was_planned() {
    let mut checked = cluster();
    checked.commit(Time(2), build_scaled(1, 1, 1)).unwrap();
    let load = Command::Load {
        environment: environment("shop/prod"),
        reference: "037205f".to_owned(),
    };
    checked.commit(Time(2), load).unwrap();
    let ready = checked.mark(NodeId(1), Lease::New, Lease::Ready);
    checked.commit(Time(3), ready).unwrap();
    let heard = fleet_model::plan::Load {
        workers: [(NodeId(1), Time(3))].into(),
        ..fleet_model::plan::Load::default()
    };
    let planned = fleet_model::plan::plan(&checked.state, &heard, Time(3)).commands;
    assert!(
        matches!(planned.as_slice(), [Command::Place(_)]),
        "{planned:?}"
    );
    let lost = checked.mark(NodeId(1), Lease::Ready, Lease::Lost);
    checked.commit(Time(4), lost).unwrap();
    for command in planned {
        assert!(checked.commit(Time(5), command).is_err());
    }
}
