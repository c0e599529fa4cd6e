//! Tenured processes: they end when nobody renews their tenure, whoever is frozen or dead.

use std::time::Duration;

use fleet_model::{
    node::{SINGLETONS_KILLED_AFTER, SINGLETONS_STOP_AFTER},
    time::Millis,
};
use fleet_node::{
    clock::Boot,
    holder::{ExitStatus, ProcessSpec, Refusal},
};

use super::harness::{Holder, event, eventually, exited, is_alive, kill, run, sh};

/// Ignores SIGTERM; the loop is for shells that pass the signal on to what they wait for.
const STUBBORN: &str = "trap '' TERM; while :; do sleep 1; done";

/// From the end of the tenure to SIGKILL.
const GRACE: Duration = Duration::from_millis(SINGLETONS_KILLED_AFTER.0 - SINGLETONS_STOP_AFTER.0);

/// What a loaded machine may take to reap and to tell.
const LATE: Duration = Duration::from_millis(1_500);

fn tenured(name: &str, script: &str) -> ProcessSpec {
    let mut spec = sh(name, script);
    spec.tenured = true;
    // Far longer than it may live: the tenure does not wait for it.
    spec.stop_grace = Duration::from_secs(600);
    spec
}

async fn renew(holder: &Holder, span: Millis) -> Boot {
    let until = Boot::now().plus(span);
    holder.client.renew(until).await.unwrap();
    until
}

fn since(moment: Boot) -> Duration {
    Duration::from_millis(Boot::now().0.saturating_sub(moment.0))
}

#[tokio::test]
async fn without_a_tenure_nothing_tenured_is_started() {
    let holder = Holder::start().await;
    let refused = holder.client.start(tenured("f-1", "exit 0")).await;
    assert_eq!(refused.unwrap_err().refusal(), Some(Refusal::TenureOver));
    assert!(holder.client.list().await.unwrap().is_empty());
    let until = renew(&holder, Millis(300)).await;
    let ended = run(&holder, tenured("f-1", "exit 4")).await.exit.unwrap();
    assert_eq!(
        (ended.status, ended.tenure_over),
        (ExitStatus::Code(4), false)
    );
    eventually("the tenure is over", || Boot::now() > until).await;
    let refused = holder.client.start(tenured("f-2", "exit 0")).await;
    assert_eq!(refused.unwrap_err().refusal(), Some(Refusal::TenureOver));
    holder.finish().await;
}

#[tokio::test]
async fn what_is_not_renewed_ends_by_itself_and_by_force() {
    let holder = Holder::start().await;
    let mut events = holder.client.events().await.unwrap();
    renew(&holder, Millis(60)).await;
    // Renewed in time: nothing happens at the end of the first.
    let until = renew(&holder, Millis(900)).await;
    for (name, script) in [("f-1", "exec sleep 600"), ("f-2", STUBBORN)] {
        holder.client.start(tenured(name, script)).await.unwrap();
    }
    let other = holder.client.start(sh("f-3", "exec sleep 600")).await;
    let other = other.unwrap().pid.unwrap();

    let polite = exited(&mut events, "f-1").await.exit.unwrap();
    assert!(Boot::now() >= until, "it ended too early");
    assert_eq!(polite.status, ExitStatus::Signal(15));
    let forced = exited(&mut events, "f-2").await.exit.unwrap();
    assert_eq!(forced.status, ExitStatus::Signal(9));
    assert!(polite.tenure_over && forced.tenure_over);
    let late = since(until);
    assert!(
        late >= GRACE && late < GRACE + LATE,
        "killed after {late:?}"
    );
    assert!(is_alive(other), "the others have nothing to do with it");
    holder.finish().await;
}

#[tokio::test]
async fn a_holder_that_dies_prolongs_nothing() {
    let mut holder = Holder::start().await;
    let until = renew(&holder, Millis(1_500)).await;
    let started = holder.client.start(tenured("f-1", STUBBORN)).await;
    let pid = started.unwrap().pid.unwrap();
    holder.crash().await;
    assert!(is_alive(pid), "it outlives the holder");
    holder.recover().await;
    assert!(is_alive(pid) || Boot::now() >= until, "its tenure goes on");
    eventually("its end", || !is_alive(pid)).await;
    let late = since(until);
    assert!(late < GRACE + LATE, "killed {late:?} after its tenure");
    holder.finish().await;
}

#[tokio::test]
async fn a_holder_that_comes_too_late_ends_it_at_once() {
    let mut holder = Holder::start().await;
    let mut events = holder.client.events().await.unwrap();
    let until = renew(&holder, Millis(400)).await;
    let started = holder.client.start(tenured("f-1", STUBBORN)).await;
    let pid = started.unwrap().pid.unwrap();
    event(&mut events, "f-1", |_| true).await;
    holder.crash().await;
    eventually("the end of the grace", || since(until) > GRACE).await;
    assert!(is_alive(pid), "nobody was there to end it");
    let back = Boot::now();
    holder.recover().await;
    eventually("its end", || !is_alive(pid)).await;
    assert!(
        since(back) < LATE,
        "ended {:?} after the holder came",
        since(back)
    );
    kill(pid, "KILL");
    holder.finish().await;
}
