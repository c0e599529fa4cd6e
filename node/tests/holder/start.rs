//! Starting: once, or not at all with a reason.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use fleet_node::holder::{Client, EventKind, Phase, Refusal, Restart, User};

use super::harness::{self, Holder, event, exited, id, info, is_alive, run, sh, skip};

#[tokio::test]
async fn the_same_id_is_started_once_and_another_spec_is_refused() {
    let holder = Holder::start().await;
    let first = holder
        .client
        .start(sh("f-1", "exec sleep 1000"))
        .await
        .unwrap();
    let again = holder
        .client
        .start(sh("f-1", "exec sleep 1000"))
        .await
        .unwrap();
    assert_eq!((first.pid, first.starts), (again.pid, 1));
    let error = holder
        .client
        .start(sh("f-1", "exec sleep 1001"))
        .await
        .unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Conflict), "{error}");

    // An order repeated after the end starts nothing either.
    let stopped = holder
        .client
        .stop(&id("f-1"), Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(stopped.phase, Phase::Exited);
    let late = holder
        .client
        .start(sh("f-1", "exec sleep 1000"))
        .await
        .unwrap();
    assert_eq!((late.phase, late.starts), (Phase::Exited, 1));
    holder.client.forget(&id("f-1")).await.unwrap();
    assert!(holder.client.list().await.unwrap().is_empty());
    holder.client.forget(&id("f-1")).await.unwrap();
    let error = holder
        .client
        .stop(&id("f-1"), Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Unknown));
    holder.finish().await;
}

#[tokio::test]
async fn what_cannot_be_executed_is_refused_with_the_reason_and_leaves_nothing() {
    let holder = Holder::start().await;
    let plain = holder.dir.path().join("plain");
    fs::write(&plain, "neither program nor script").unwrap();
    let broken = holder.dir.path().join("broken");
    fs::write(&broken, "neither program nor script").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let cases = [
        ("/no/such/program", "/", "not found", libc_errno::ENOENT),
        (
            "no-such-program",
            "/",
            "not found in PATH",
            libc_errno::ENOENT,
        ),
        (
            plain.to_str().unwrap(),
            "/",
            "may not be executed",
            libc_errno::EACCES,
        ),
        (
            broken.to_str().unwrap(),
            "/",
            "neither a program",
            libc_errno::ENOEXEC,
        ),
        (
            "/bin/true",
            "/no/such/dir",
            "cannot be entered",
            libc_errno::ENOENT,
        ),
    ];
    for (program, cwd, text, errno) in cases {
        let mut spec = sh("f-1", "");
        spec.argv = vec![program.into()];
        spec.cwd = cwd.into();
        let error = holder.client.start(spec).await.unwrap_err();
        assert_eq!(
            error.refusal(),
            Some(Refusal::Spawn { errno: Some(errno) }),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{program}: {error}");
        assert!(holder.client.list().await.unwrap().is_empty());
    }
    holder.finish().await;
}

mod libc_errno {
    pub(super) const ENOENT: i32 = 2;
    pub(super) const ENOEXEC: i32 = 8;
    pub(super) const EACCES: i32 = 13;
}

#[tokio::test]
async fn a_program_that_the_user_may_not_reach_is_refused_for_that_user() {
    let holder = Holder::start().await;
    if !holder.capabilities.own_uids {
        skip("giving a process another uid needs root");
        return holder.finish().await;
    }
    let program = holder.dir.path().join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(holder.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = sh("f-1", "");
    spec.argv = vec![program.to_str().unwrap().into()];
    spec.user = Some(User {
        uid: 700_001,
        gid: 700_001,
    });
    let error = holder.client.start(spec).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("may not be executed for uid 700001"),
        "{error}"
    );
    holder.finish().await;
}

#[tokio::test]
async fn the_environment_is_the_one_given_and_nothing_else() {
    let holder = Holder::start().await;
    let mut spec = sh("f-1", "");
    spec.argv = vec!["/usr/bin/env".into()];
    spec.env = [("A".to_owned(), "1".to_owned())].into();
    let ended = run(&holder, spec).await;
    let lines = ended.exit.unwrap().last_lines;
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with("FLEET_HELD="))
        .collect();
    assert_eq!(lines, ["A=1"]);
    holder.finish().await;
}

#[tokio::test]
async fn tenants_are_started_again_after_growing_pauses() {
    let holder = Holder::start().await;
    let mut events = holder.client.events().await.unwrap();
    let mut spec = sh("control", "exit 3");
    spec.restart = Restart::Always;
    holder.client.start(spec.clone()).await.unwrap();
    for pause in [100, 200, 400] {
        let pause = Duration::from_millis(pause);
        let event = event(&mut events, "control", |kind| {
            matches!(kind, EventKind::Restarting { .. })
        })
        .await;
        assert_eq!(event.kind, EventKind::Restarting { pause });
        assert_eq!(event.process.phase, Phase::BackingOff);
    }
    assert!(info(&holder, "control").await.starts >= 3);

    // Told to end, it stays ended; started anew, it runs again.
    holder
        .client
        .stop(&id("control"), Duration::ZERO)
        .await
        .unwrap();
    exited(&mut events, "control").await;
    let again = holder
        .client
        .start(sh_always("control", "exec sleep 1000"))
        .await
        .unwrap();
    assert_eq!(again.phase, Phase::Running);
    holder.finish().await;
}

fn sh_always(name: &str, script: &str) -> fleet_node::holder::ProcessSpec {
    let mut spec = sh(name, script);
    spec.restart = Restart::Always;
    spec
}

#[tokio::test]
async fn readiness_is_what_the_process_says() {
    let holder = Holder::start().await;
    let mut events = holder.client.events().await.unwrap();
    let go = holder.dir.path().join("go");
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.01; done; printf 'READY' >&$NOTIFY_FD; echo '=1' >&$NOTIFY_FD; exec sleep 1000",
        go.display()
    );
    let mut spec = sh("f-1", &script);
    spec.notify = true;
    assert!(!holder.client.start(spec).await.unwrap().ready);
    assert!(!info(&holder, "f-1").await.ready);
    fs::write(&go, "").unwrap();
    assert!(
        event(&mut events, "f-1", |kind| kind == EventKind::Ready)
            .await
            .process
            .ready
    );
    holder.finish().await;
}

#[tokio::test]
async fn processes_outlive_their_client_and_the_next_client_finds_them() {
    let holder = Holder::start().await;
    let agent = Client::connect(&holder.dir.path().join("run"))
        .await
        .unwrap();
    let started = agent.start(sh("f-1", "exec sleep 1000")).await.unwrap();
    drop(agent);
    let agent = Client::connect(&holder.dir.path().join("run"))
        .await
        .unwrap();
    let found = agent.list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].pid, found[0].adopted), (started.pid, false));
    assert!(is_alive(started.pid.unwrap()));
    drop(agent);
    holder.finish().await;
}

#[tokio::test]
async fn two_that_ensure_at_once_share_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let ensure = || Client::ensure(dir.path(), harness::exe());
    let (a, b) = tokio::join!(ensure(), ensure());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.ping().await.unwrap().pid, b.ping().await.unwrap().pid);
    a.shutdown_all(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn without_a_holder_a_plain_client_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = Client::connect(dir.path()).await.err().unwrap();
    assert!(
        error.to_string().starts_with("no holder answers in"),
        "{error}"
    );
}
