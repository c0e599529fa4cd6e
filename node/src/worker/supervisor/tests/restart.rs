//! Agents that die and come back: what runs is taken over, nothing is started twice.

use fleet_model::ids::FrontendId;
use fleet_model::time::Millis;

use super::fake::{Place, exit, full, reach, run, vanish};
use crate::clock::Boot;
use crate::worker::assignment::{Assignment, Desired};
use crate::worker::supervisor::Exit;
use crate::worker::supervisor::observed::Phase;

#[tokio::test]
async fn a_new_agent_takes_over_what_runs() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor
        .obey(full(10, vec![run(1), run(2)]))
        .await
        .unwrap();
    let before = reach(&supervisor, 1, Phase::Healthy).await;
    reach(&supervisor, 2, Phase::Healthy).await;
    drop(supervisor);
    // One ends while no agent is there.
    place.machine.running.lock().unwrap().remove(&FrontendId(2));
    place
        .machine
        .ended
        .lock()
        .unwrap()
        .insert(FrontendId(2), exit(3));

    let supervisor = place.start().await;
    let told = supervisor.view().borrow().clone();
    assert_eq!(
        (told.census.len(), told.obeyed.index),
        (2, 10),
        "known before anybody could ask"
    );
    // Without any order, for control may be away.
    let after = reach(&supervisor, 1, Phase::Healthy).await;
    assert_eq!((after.pid, &after.address), (before.pid, &before.address));
    assert_eq!(
        after.since_unix_ms, before.since_unix_ms,
        "it was healthy all along"
    );
    let failed = reach(&supervisor, 2, Phase::Failed).await;
    assert_eq!(
        (failed.reason.as_str(), failed.exit.clone()),
        ("exited with status 3", Some(exit(3)))
    );
    supervisor
        .obey(full(11, vec![run(1), run(2)]))
        .await
        .unwrap();
    assert_eq!(
        place.machine.starts.lock().unwrap().len(),
        2,
        "nothing was started again"
    );
}

#[tokio::test]
async fn after_a_power_cut_all_but_singletons_start_again_without_control() {
    let mut place = Place::new();
    let supervisor = place.start().await;
    let orders = full(10, vec![run(1), alone(2)]);
    supervisor.obey(orders).await.unwrap();
    supervisor.confirm(in_a_minute());
    let before = reach(&supervisor, 1, Phase::Healthy).await;
    reach(&supervisor, 2, Phase::Healthy).await;
    drop(supervisor);
    place.machine.running.lock().unwrap().clear();
    place.boot_id = "boot-2".to_owned();

    let supervisor = place.start().await;
    let ended = reach(&supervisor, 2, Phase::Failed).await;
    assert_eq!(ended.reason, "ended when the machine was restarted");
    let waits = reach(&supervisor, 1, Phase::Starting).await;
    assert_eq!(waits.reason, "its node was down");
    let after = reach(&supervisor, 1, Phase::Healthy).await;
    assert_eq!(after.address, before.address, "where ingresses know it");
    let starts = place.machine.starts.lock().unwrap().clone();
    let started: Vec<_> = starts.iter().map(|(id, _)| id.0).collect();
    assert_eq!(started, [1, 2, 1]);
}

#[tokio::test]
async fn after_a_power_cut_control_that_is_there_has_the_last_word() {
    let mut place = Place::new();
    let supervisor = place.start().await;
    let orders = full(10, vec![run(1), run(2)]);
    supervisor.obey(orders).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    reach(&supervisor, 2, Phase::Healthy).await;
    drop(supervisor);
    place.machine.running.lock().unwrap().clear();
    place.boot_id = "boot-2".to_owned();

    let supervisor = place.start().await;
    // The first was replaced meanwhile.
    let replaced = Assignment {
        desired: Desired::Stop,
        ..run(1)
    };
    let orders = full(20, vec![replaced, run(2)]);
    supervisor.obey(orders).await.unwrap();
    let stopped = reach(&supervisor, 1, Phase::Stopped).await;
    assert_eq!(stopped.reason, "ended with its node");
    reach(&supervisor, 2, Phase::Healthy).await;
    let starts = place.machine.starts.lock().unwrap().clone();
    let started: Vec<_> = starts.iter().map(|(id, _)| id.0).collect();
    assert_eq!(started, [1, 2, 2]);
}

#[tokio::test]
async fn what_ended_while_the_holder_was_away_starts_again_and_what_crashed_does_not() {
    let place = Place::new();
    let supervisor = place.start().await;
    let orders = full(10, vec![run(1), run(2)]);
    supervisor.obey(orders).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    reach(&supervisor, 2, Phase::Healthy).await;
    drop(supervisor);
    place.machine.running.lock().unwrap().clear();
    let ends = [(FrontendId(1), Exit::default()), (FrontendId(2), exit(3))];
    place.machine.ended.lock().unwrap().extend(ends);
    let supervisor = place.start().await;
    reach(&supervisor, 2, Phase::Failed).await;
    reach(&supervisor, 1, Phase::Healthy).await;
    assert_eq!(place.machine.starts.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_no_order_names_is_ended() {
    let place = Place::new();
    place
        .machine
        .running
        .lock()
        .unwrap()
        .insert(FrontendId(77), 4711);
    let supervisor = place.start().await;
    assert_eq!(
        place.machine.running.lock().unwrap().len(),
        1,
        "not before control has spoken"
    );
    supervisor.obey(full(10, vec![run(1)])).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    let left: Vec<_> = place.machine.inventory().into_keys().collect();
    assert_eq!(left, [FrontendId(1)]);
}

#[tokio::test]
async fn a_damaged_ledger_costs_frontends_and_not_the_worker() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![run(1)])).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    drop(supervisor);
    let path = place.ledger().path().to_owned();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, bytes).unwrap();

    let supervisor = place.start().await;
    supervisor
        .obey(full(11, vec![run(1), run(2)]))
        .await
        .unwrap();
    let failed = reach(&supervisor, 1, Phase::Failed).await;
    assert!(
        failed.reason.contains("ledger of this worker was lost"),
        "{}",
        failed.reason
    );
    reach(&supervisor, 2, Phase::Healthy).await;
    let starts = place.machine.starts.lock().unwrap().clone();
    let started: Vec<_> = starts.iter().map(|(id, _)| id.0).collect();
    assert_eq!(started, [1, 2]);
    assert!(path.with_extension("damaged").exists());
    supervisor.obey(full(12, vec![run(2)])).await.unwrap();
    vanish(&supervisor, 1).await;
}

/// A service of which there may never be two.
fn alone(id: u64) -> Assignment {
    Assignment {
        singleton: true,
        ..run(id)
    }
}

fn in_a_minute() -> Boot {
    Boot::now().plus(Millis::seconds(60))
}

#[tokio::test]
async fn a_singleton_waits_until_control_confirms_this_node() {
    let place = Place::new();
    let supervisor = place.start().await;
    let orders = full(10, vec![alone(1), run(2)]);
    supervisor.obey(orders).await.unwrap();
    reach(&supervisor, 2, Phase::Healthy).await;
    let waits = reach(&supervisor, 1, Phase::Starting).await;
    assert_eq!(
        (waits.pid, place.machine.starts.lock().unwrap().len()),
        (None, 1)
    );
    // Too late: the confirmation of a heartbeat that was sent before a long sleep.
    supervisor.confirm(Boot(1));
    place
        .machine
        .tenure
        .subscribe()
        .wait_for(|told| *told == Boot(1))
        .await
        .unwrap();
    assert_eq!(place.machine.starts.lock().unwrap().len(), 1);
    let until = in_a_minute();
    supervisor.confirm(until);
    reach(&supervisor, 1, Phase::Healthy).await;
    assert_eq!(
        *place.machine.tenure.borrow(),
        until,
        "and the runtime knows"
    );
}

#[tokio::test]
async fn a_singleton_that_its_node_ended_is_no_failure_and_does_not_come_back() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![alone(1)])).await.unwrap();
    supervisor.confirm(in_a_minute());
    reach(&supervisor, 1, Phase::Healthy).await;
    let ended = Exit {
        signal: Some(15),
        tenure_over: true,
        ..Exit::default()
    };
    place.machine.die(FrontendId(1), ended).await;
    let stopped = reach(&supervisor, 1, Phase::Stopped).await;
    assert_eq!(
        stopped.reason,
        "no control node confirmed this worker for 10 s"
    );
    supervisor.obey(full(11, vec![alone(1)])).await.unwrap();
    supervisor.confirm(in_a_minute());
    supervisor.obey(full(12, vec![alone(1)])).await.unwrap();
    assert_eq!(place.machine.starts.lock().unwrap().len(), 1);
}
