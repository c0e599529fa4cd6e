//! Ends: how they are told, and that nothing survives them.

use std::time::{Duration, Instant};

use fleet_node::holder::{ExitStatus, Phase};

use super::harness::{
    Holder, eventually, exited, id, is_alive, kill, printed, run, sh, skip, state, zombies_of,
};

#[tokio::test]
async fn exit_codes_signals_and_last_lines_are_reported() {
    let holder = Holder::start().await;
    for (name, script, status) in [
        ("f-1", "echo done; exit 0", ExitStatus::Code(0)),
        ("f-2", "echo bad >&2; exit 7", ExitStatus::Code(7)),
        ("f-3", "echo dying; kill -SEGV $$", ExitStatus::Signal(11)),
    ] {
        let ended = run(&holder, sh(name, script)).await;
        let exit = ended.exit.unwrap();
        assert_eq!(
            (exit.status, exit.oom_killed, ended.pid),
            (status, false, None),
            "{name}"
        );
        assert_eq!(exit.last_lines.len(), 1, "{name}");
    }
    let ended = run(&holder, sh("f-4", "seq 1 100")).await;
    let want: Vec<String> = (81..=100).map(|n| n.to_string()).collect();
    assert_eq!(ended.exit.unwrap().last_lines, want);
    holder.finish().await;
}

#[tokio::test]
async fn what_a_main_process_leaves_behind_is_killed_and_reaped() {
    let holder = Holder::start().await;
    let mut events = holder.client.events().await.unwrap();
    // The grandchild is in a session of its own, and its parent is gone: only the tree knows it.
    let script = "(setsid sh -c 'echo grandchild $$; sleep 1000 & echo great $!; wait' &); sleep 0.01; \
                  while ! read -r _ < \"$GO\"; do :; done 2>/dev/null; exit 5";
    let go = holder.dir.path().join("go");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &go,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let mut spec = sh("f-1", script);
    spec.env.insert("GO".into(), go.to_str().unwrap().into());
    holder.client.start(spec).await.unwrap();
    let grandchild: u32 = printed(&holder, "f-1", "grandchild ")
        .await
        .parse()
        .unwrap();
    let great: u32 = printed(&holder, "f-1", "great ").await.parse().unwrap();
    assert!(is_alive(grandchild) && is_alive(great));
    std::fs::write(&go, "go\n").unwrap();

    let ended = exited(&mut events, "f-1").await;
    assert_eq!(ended.exit.unwrap().status, ExitStatus::Code(5));
    assert!(
        !is_alive(grandchild) && !is_alive(great),
        "an exit was reported too early"
    );
    eventually("all are reaped", || {
        state(grandchild).is_none() && state(great).is_none()
    })
    .await;
    assert_eq!(zombies_of(holder.pid), Vec::<u32>::new());
    holder.finish().await;
}

#[tokio::test]
async fn orphans_of_a_running_process_are_reaped() {
    let holder = Holder::start().await;
    let script = "for i in 1 2 3 4 5; do (sh -c 'exit 0' &); done; echo forked; exec sleep 1000";
    holder.client.start(sh("f-1", script)).await.unwrap();
    printed(&holder, "f-1", "forked").await;
    eventually("no zombie is left", || zombies_of(holder.pid).is_empty()).await;
    holder.finish().await;
}

#[tokio::test]
async fn a_process_that_obeys_sigterm_ends_within_its_grace() {
    let holder = Holder::start().await;
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    holder.client.start(sh("f-1", script)).await.unwrap();
    printed(&holder, "f-1", "up").await;
    let stopped = holder
        .client
        .stop(&id("f-1"), Duration::from_secs(20))
        .await
        .unwrap();
    let exit = stopped.exit.unwrap();
    assert_eq!(exit.status, ExitStatus::Code(0));
    assert_eq!(exit.last_lines, ["up", "bye"]);
    holder.finish().await;
}

#[tokio::test]
async fn a_tree_that_ignores_sigterm_is_killed_after_its_grace() {
    let holder = Holder::start().await;
    let script = "trap '' TERM; (setsid sh -c 'echo child $$; while :; do sleep 0.1; done' &); \
                  while :; do sleep 0.1; done";
    holder.client.start(sh("f-1", script)).await.unwrap();
    let child: u32 = printed(&holder, "f-1", "child ").await.parse().unwrap();
    let (began, grace) = (Instant::now(), Duration::from_millis(300));
    let stopped = holder.client.stop(&id("f-1"), grace).await.unwrap();
    assert!(began.elapsed() >= grace, "killed before its grace was over");
    assert_eq!(stopped.exit.unwrap().status, ExitStatus::Signal(9));
    assert!(!is_alive(child));
    holder.finish().await;
}

#[tokio::test]
async fn a_second_stop_with_a_shorter_grace_shortens_it() {
    let holder = Holder::start().await;
    holder
        .client
        .start(sh(
            "f-1",
            "trap '' TERM; echo up; while :; do sleep 0.1; done",
        ))
        .await
        .unwrap();
    printed(&holder, "f-1", "up").await;
    let patient = holder.client.clone();
    let waiting =
        tokio::spawn(async move { patient.stop(&id("f-1"), Duration::from_secs(600)).await });
    let stopped = holder.client.kill(&id("f-1")).await.unwrap();
    assert_eq!(stopped.phase, Phase::Exited);
    assert_eq!(waiting.await.unwrap().unwrap().exit, stopped.exit);
    holder.finish().await;
}

#[tokio::test]
async fn a_tree_over_its_memory_limit_is_reported_as_such() {
    let holder = Holder::start().await;
    if !holder.capabilities.memory_limit {
        skip("a memory limit needs the memory controller");
        return holder.finish().await;
    }
    // Keeps all it reads, because it waits for the end of a line.
    let mut spec = sh("f-1", "exec tail /dev/zero");
    spec.limits.memory_bytes = Some(32 << 20);
    let exit = run(&holder, spec).await.exit.unwrap();
    assert_eq!(
        (exit.status, exit.oom_killed),
        (ExitStatus::Signal(9), true)
    );
    // Without the limit the same ending is no such thing.
    holder
        .client
        .start(sh("f-2", "exec sleep 1000"))
        .await
        .unwrap();
    let exit = holder.client.kill(&id("f-2")).await.unwrap().exit.unwrap();
    assert_eq!(
        (exit.status, exit.oom_killed),
        (ExitStatus::Signal(9), false)
    );
    holder.finish().await;
}

#[tokio::test]
async fn a_process_limit_stops_a_fork_bomb() {
    let holder = Holder::start().await;
    if !holder.capabilities.pids_limit {
        skip("a process limit needs the pids controller");
        return holder.finish().await;
    }
    let mut spec = sh(
        "f-1",
        "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo all; wait",
    );
    spec.limits.pids = Some(5);
    let exit = run(&holder, spec).await.exit.unwrap();
    assert!(
        exit.last_lines.iter().any(|line| line.contains("fork")),
        "{exit:?}"
    );
    assert!(!exit.last_lines.contains(&"all".to_owned()));
    holder.finish().await;
}

#[tokio::test]
async fn usage_counts_the_tree() {
    let holder = Holder::start().await;
    let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo burnt; exec sleep 1000' & exec sleep 1000";
    holder.client.start(sh("f-1", script)).await.unwrap();
    printed(&holder, "f-1", "burnt").await;
    let usage = holder
        .client
        .usage(&[id("f-1"), id("unknown")])
        .await
        .unwrap();
    assert_eq!(usage.len(), 1);
    assert!(usage[0].cpu_usec > 10_000, "{usage:?}");
    assert!(usage[0].memory_bytes > 100_000, "{usage:?}");
    assert_eq!((usage[0].pids, usage[0].oom_kills), (2, 0));
    holder.finish().await;
}

#[tokio::test]
async fn a_cpu_limit_is_kept() {
    let holder = Holder::start().await;
    if !holder.capabilities.cpu_limit {
        skip("a cpu limit needs the cpu controller");
        return holder.finish().await;
    }
    let mut spec = sh("f-1", "echo up; while :; do :; done");
    spec.limits.cpu_millicores = Some(100);
    holder.client.start(spec).await.unwrap();
    printed(&holder, "f-1", "up").await;
    let read = async || holder.client.usage(&[id("f-1")]).await.unwrap()[0].cpu_usec;
    let (began, before) = (Instant::now(), read().await);
    let second = Duration::from_secs(1);
    eventually("a second passes", || began.elapsed() >= second).await;
    let (used, wall) = (read().await - before, began.elapsed());
    // A tenth of a core, and one period (100 ms) with its quota (10 ms) at either edge.
    let most = wall.as_micros() as u64 / 10 + 20_000;
    assert!(used <= most, "used {used} us of at most {most} us");
    holder.finish().await;
}

#[tokio::test]
async fn sigterm_to_the_holder_ends_everything() {
    let mut holder = Holder::start().await;
    let mut spec = sh("f-1", "trap '' TERM; echo up; while :; do sleep 0.1; done");
    spec.stop_grace = Duration::from_millis(200);
    let pid = holder.client.start(spec).await.unwrap().pid.unwrap();
    printed(&holder, "f-1", "up").await;
    kill(holder.pid, "TERM");
    eventually("all have ended", || !is_alive(pid) && !is_alive(holder.pid)).await;
    holder.finished = true;
}
