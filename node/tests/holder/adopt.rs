//! A holder dies; everything else lives, and the next holder takes it over.

use std::{fs, time::Duration};

use fleet_node::holder::{ExitStatus, Phase, Restart};

use super::harness::{
    Holder, event, eventually, exited, id, info, is_alive, kill, look_again, printed, sh,
};

#[tokio::test]
async fn processes_survive_the_holder_and_are_adopted_with_their_output() {
    let mut holder = Holder::start().await;
    let go = holder.dir.path().join("go");
    let script = format!(
        "echo before; while [ ! -e {} ]; do echo tick; sleep 0.01; done; echo after; exit 9",
        go.display()
    );
    let started = holder.client.start(sh("f-1", &script)).await.unwrap();
    printed(&holder, "f-1", "before").await;

    holder.crash().await;
    assert!(is_alive(started.pid.unwrap()));
    holder.recover().await;
    let adopted = info(&holder, "f-1").await;
    assert_eq!(
        (adopted.pid, adopted.adopted, adopted.phase),
        (started.pid, true, Phase::Running)
    );
    assert_eq!(adopted.spec_hash, started.spec_hash);
    // The order repeated by an agent that knows nothing of this starts nothing.
    let again = holder.client.start(sh("f-1", &script)).await.unwrap();
    assert_eq!((again.pid, again.starts), (started.pid, 1));

    let mut events = holder.client.events().await.unwrap();
    fs::write(&go, "").unwrap();
    let exit = exited(&mut events, "f-1").await.exit.unwrap();
    let known = holder.capabilities.exit_status_after_adoption;
    assert_eq!(
        exit.status,
        if known {
            ExitStatus::Code(9)
        } else {
            ExitStatus::Unknown
        }
    );
    assert_eq!(exit.last_lines.last().unwrap(), "after");
    holder.finish().await;
}

#[tokio::test]
async fn an_end_that_nobody_saw_is_told_and_its_tree_cleared() {
    let mut holder = Holder::start().await;
    let script = "(setsid sh -c 'echo child $$; exec sleep 1000' &); exec sleep 1000";
    let started = holder.client.start(sh("f-1", script)).await.unwrap();
    let child: u32 = printed(&holder, "f-1", "child ").await.parse().unwrap();
    holder.crash().await;
    kill(started.pid.unwrap(), "KILL");
    eventually("main process is gone", || !is_alive(started.pid.unwrap())).await;
    assert!(is_alive(child));

    holder.recover().await;
    eventually("its tree is cleared", || !is_alive(child)).await;
    let mut ended = info(&holder, "f-1").await;
    while ended.phase == Phase::Clearing {
        ended = info(&holder, "f-1").await;
    }
    assert_eq!(ended.phase, Phase::Exited);
    assert_eq!(ended.exit.unwrap().status, ExitStatus::Unknown);
    holder.finish().await;
}

#[tokio::test]
async fn an_adopted_process_is_stopped_like_any_other() {
    let mut holder = Holder::start().await;
    let script = "trap '' TERM; (setsid sh -c 'echo child $$; exec sleep 1000' &); while :; do sleep 0.1; done";
    let started = holder.client.start(sh("f-1", script)).await.unwrap();
    let child: u32 = printed(&holder, "f-1", "child ").await.parse().unwrap();
    holder.crash().await;
    holder.recover().await;
    let stopped = holder
        .client
        .stop(&id("f-1"), Duration::from_millis(100))
        .await
        .unwrap();
    assert_eq!(stopped.phase, Phase::Exited);
    assert!(!is_alive(started.pid.unwrap()) && !is_alive(child));
    holder.finish().await;
}

#[tokio::test]
async fn an_adopted_tenant_is_started_again_when_it_ends() {
    let mut holder = Holder::start().await;
    let mut spec = sh("control", "echo $SECRET; exec sleep 1000");
    spec.env
        .insert("SECRET".into(), "kept for the restart".into());
    spec.restart = Restart::Always;
    let started = holder.client.start(spec).await.unwrap();
    holder.crash().await;
    holder.recover().await;
    let mut events = holder.client.events().await.unwrap();
    kill(started.pid.unwrap(), "KILL");
    let again = event(&mut events, "control", |kind| {
        kind == fleet_node::holder::EventKind::Started
    })
    .await
    .process;
    assert_ne!(again.pid, started.pid);
    assert_eq!((again.starts, again.adopted), (2, false));
    eventually_printed_twice(&holder).await;
    holder.finish().await;
}

async fn eventually_printed_twice(holder: &Holder) {
    loop {
        let lines = holder.client.tail(&id("control"), 10).await.unwrap();
        if lines
            .iter()
            .filter(|line| line.ends_with("kept for the restart"))
            .count()
            == 2
        {
            return;
        }
        look_again().await;
    }
}

#[tokio::test]
async fn a_recorded_pid_that_became_another_process_is_left_alone() {
    use fleet_proto::internal::HeldRecord;
    use prost::Message as _;

    let mut holder = Holder::start().await;
    let started = holder
        .client
        .start(sh("f-1", "exec sleep 1000"))
        .await
        .unwrap();
    holder.crash().await;
    // As if the pid had been given to a stranger meanwhile.
    let mut stranger = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    let path = holder.dir.path().join("run/processes/f-1");
    let mut record = HeldRecord::decode(&fs::read(&path).unwrap()[..]).unwrap();
    assert_eq!(Some(record.pid), started.pid);
    record.pid = stranger.id();
    fs::write(&path, record.encode_to_vec()).unwrap();

    holder.recover().await;
    eventually("the process of the cgroup is cleared", || {
        !is_alive(started.pid.unwrap())
    })
    .await;
    assert!(is_alive(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    holder.finish().await;
}

#[tokio::test]
async fn secrets_of_a_frontend_are_not_written_down() {
    let holder = Holder::start().await;
    let mut spec = sh("f-1", "exec sleep 1000");
    spec.env.insert("PASSWORD".into(), "hunter2-canary".into());
    holder.client.start(spec).await.unwrap();
    let record = fs::read(holder.dir.path().join("run/processes/f-1")).unwrap();
    assert!(!record.windows(14).any(|window| window == b"hunter2-canary"));
    holder.finish().await;
}
