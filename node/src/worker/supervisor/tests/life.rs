//! The loop around the book: frontends from the first order to the last.

use fleet_model::ids::FrontendId;

use super::fake::{Place, exit, full, order, reach, run, vanish};
use crate::worker::assignment::{Assignment, Desired};
use crate::worker::order::{Change, Fence, Item};
use crate::worker::supervisor::observed::Phase;
use crate::worker::supervisor::{Exit, ObeyError, Refused};

#[tokio::test]
async fn a_frontend_becomes_healthy_stops_and_is_forgotten() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![run(5)])).await.unwrap();
    let healthy = reach(&supervisor, 5, Phase::Healthy).await;
    assert_eq!(
        healthy.address, "127.0.0.1:20001",
        "the range is entered at 5 modulo 4"
    );
    assert_eq!((healthy.pid, healthy.based_on_index), (Some(1005), 10));

    let stop = Assignment {
        desired: Desired::Stop,
        ..run(5)
    };
    let upserts = vec![Item::Usable(Box::new(stop))];
    let delta = Change::Delta {
        upserts,
        removals: Vec::new(),
    };
    supervisor.obey(order(3, 11, delta)).await.unwrap();
    let stopped = reach(&supervisor, 5, Phase::Stopped).await;
    assert_eq!((stopped.pid, stopped.exit.clone()), (None, Some(exit(0))));

    let removal = Change::Delta {
        upserts: Vec::new(),
        removals: vec![FrontendId(5)],
    };
    supervisor.obey(order(3, 12, removal)).await.unwrap();
    vanish(&supervisor, 5).await;
    assert!(place.machine.inventory().is_empty());
    assert_eq!(place.machine.starts.lock().unwrap().len(), 1);
    assert_eq!(
        *place.machine.ledger_at_start.lock().unwrap(),
        [true],
        "ledger before start"
    );
}

#[tokio::test]
async fn a_full_order_ends_what_it_does_not_name() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor
        .obey(full(10, vec![run(1), run(2)]))
        .await
        .unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    reach(&supervisor, 2, Phase::Healthy).await;
    supervisor.obey(full(11, vec![run(2)])).await.unwrap();
    vanish(&supervisor, 1).await;
    let left: Vec<_> = place.machine.inventory().into_keys().collect();
    assert_eq!(left, [FrontendId(2)]);
}

#[tokio::test]
async fn a_lower_fence_is_refused_also_after_a_restart() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![run(1)])).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    let obeyed = Fence { term: 3, index: 10 };
    // An older index, and a newer index of an older term: a leader that was paused.
    for (term, index) in [(3, 9), (2, 50)] {
        let stale = order(term, index, Change::Full(Vec::new()));
        let refused = supervisor.obey(stale.clone()).await;
        let expected = Refused {
            order: Fence { term, index },
            obeyed,
        };
        assert!(matches!(refused, Err(ObeyError::Refused(found)) if found == expected));
    }
    drop(supervisor);
    let supervisor = place.start().await;
    let stale = order(2, 50, Change::Full(Vec::new()));
    assert!(matches!(
        supervisor.obey(stale).await,
        Err(ObeyError::Refused(_))
    ));
    assert_eq!(place.machine.inventory().len(), 1, "the frontend runs on");
    // The same again is no news, and a later term may have a lower index.
    supervisor.obey(full(10, vec![run(1)])).await.unwrap();
    supervisor.obey(order(4, 1, Change::None)).await.unwrap();
}

#[tokio::test]
async fn an_exit_is_reported_with_status_and_last_lines_and_not_repeated() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![run(1)])).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    let oom = Exit {
        signal: Some(9),
        code: None,
        out_of_memory: true,
        ..exit(0)
    };
    place.machine.die(FrontendId(1), oom.clone()).await;
    let failed = reach(&supervisor, 1, Phase::Failed).await;
    assert_eq!(failed.exit, Some(oom));
    assert_eq!(failed.reason, "was killed because it ran out of memory");
    // Told again to run, it stays what it is: control asks for another frontend instead.
    supervisor.obey(full(11, vec![run(1)])).await.unwrap();
    assert_eq!(
        reach(&supervisor, 1, Phase::Failed).await.based_on_index,
        11
    );
    assert_eq!(place.machine.starts.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn three_failed_checks_are_unhealthy_and_the_process_stays() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![run(1)])).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    place.machine.sick.lock().unwrap().insert(FrontendId(1));
    let unhealthy = reach(&supervisor, 1, Phase::Unhealthy).await;
    assert_eq!(unhealthy.reason, "answered with status 500");
    assert_eq!(unhealthy.pid, Some(1001));
    place.machine.sick.lock().unwrap().clear();
    assert_eq!(reach(&supervisor, 1, Phase::Healthy).await.reason, "");
}

#[tokio::test]
async fn one_that_never_becomes_healthy_is_stopped_and_failed() {
    let place = Place::new();
    let supervisor = place.start().await;
    place.machine.sick.lock().unwrap().insert(FrontendId(1));
    supervisor.obey(full(10, vec![run(1)])).await.unwrap();
    let failed = reach(&supervisor, 1, Phase::Failed).await;
    let expected = "did not answer GET /health within 0.3 s of its start: answered with status 500";
    assert_eq!(failed.reason, expected);
    assert!(place.machine.running.lock().unwrap().is_empty());
}

#[tokio::test]
async fn ports_are_given_once_and_run_out_in_words() {
    let place = Place::new();
    let supervisor = place.start().await;
    place.machine.taken_ports.lock().unwrap().insert(20_002);
    supervisor
        .obey(full(10, (1..=4).map(run).collect()))
        .await
        .unwrap();
    let mut ports = std::collections::BTreeSet::new();
    for id in 1..=3 {
        ports.insert(reach(&supervisor, id, Phase::Healthy).await.address.clone());
    }
    assert_eq!(ports.len(), 3, "{ports:?}");
    let failed = reach(&supervisor, 4, Phase::Failed).await;
    assert_eq!(failed.reason, "no port in 20000-20003 is free on this node");
}

#[tokio::test]
async fn an_assignment_that_cannot_be_read_is_answered() {
    let place = Place::new();
    let supervisor = place.start().await;
    let bad = Item::Unusable {
        id: FrontendId(9),
        incarnation: 1,
        reason: "no command".into(),
    };
    supervisor
        .obey(order(3, 10, Change::Full(vec![bad])))
        .await
        .unwrap();
    assert_eq!(
        reach(&supervisor, 9, Phase::Failed).await.reason,
        "no command"
    );
    supervisor.obey(full(11, Vec::new())).await.unwrap();
    vanish(&supervisor, 9).await;
}
