//! Output: bounded, ordered, never a reason to wait.

use std::fs;

use fleet_node::holder::ExitStatus;

use super::harness::{Holder, id, run, sh};

#[tokio::test]
async fn both_streams_are_kept_with_time_and_name() {
    let holder = Holder::start().await;
    run(&holder, sh("f-1", "echo one; echo two >&2; printf three")).await;
    let lines = holder.client.tail(&id("f-1"), 10).await.unwrap();
    let mut texts: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    // The order between two streams is not defined.
    texts.sort_unstable();
    assert_eq!(texts, ["err two", "out one", "out three"]);
    assert!(
        lines
            .iter()
            .all(|line| line.split_once(' ').unwrap().0.ends_with('Z'))
    );
    holder.finish().await;
}

#[tokio::test]
async fn much_output_is_rotated_and_the_newest_is_there() {
    let holder = Holder::start().await;
    // 13 MB of text, 43 MB of log: several rotations.
    let exit = run(&holder, sh("f-1", "seq 1 1500000")).await.exit.unwrap();
    assert_eq!(exit.status, ExitStatus::Code(0));
    assert_eq!(exit.last_lines.last().unwrap(), "1500000");
    let dir = holder.dir.path().join("logs/f-1");
    let sizes: Vec<u64> = fs::read_dir(&dir)
        .unwrap()
        .map(|f| f.unwrap().metadata().unwrap().len())
        .collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().all(|size| *size <= 4 << 20), "{sizes:?}");
    let tail = holder.client.tail(&id("f-1"), 1000).await.unwrap();
    let numbers: Vec<u32> = tail
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (1_499_001..=1_500_000).collect::<Vec<_>>());
    holder.client.forget(&id("f-1")).await.unwrap();
    assert!(!dir.exists());
    holder.finish().await;
}

#[tokio::test]
async fn a_process_may_open_its_output_by_name() {
    let holder = Holder::start().await;
    let mut spec = sh("f-1", "echo once more > /dev/stderr");
    if holder.capabilities.own_uids {
        spec.user = Some(fleet_node::holder::User {
            uid: 700_001,
            gid: 700_001,
        });
    }
    let exit = run(&holder, spec).await.exit.unwrap();
    assert_eq!(exit.last_lines, ["once more"]);
    holder.finish().await;
}
