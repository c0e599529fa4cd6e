//! `--wait`: what is told, how it ends, and that it survives a lost stream.

use fleet_client::Exit;
use fleet_proto::v1::{Instant, ProgressLine, ProgressOutcome};

use crate::fake::Fake;
use crate::run::line;

fn told(index: u64, text: &str) -> ProgressLine {
    ProgressLine {
        at: Some(Instant {
            unix_ms: 1_546_300_849_000,
        }),
        text: text.to_owned(),
        log_index: index,
        ..Default::default()
    }
}

fn last(index: u64, text: &str, outcome: ProgressOutcome) -> ProgressLine {
    ProgressLine {
        r#final: true,
        outcome: outcome.into(),
        ..told(index, text)
    }
}

#[tokio::test]
async fn tells_lines_until_the_end() {
    let fake = Fake::default();
    let waiting = ProgressLine {
        text: String::new(),
        phase: "loading".to_owned(),
        done: 1,
        total: 2,
        waiting_for: vec!["frontend 12 on node 2".to_owned()],
        ..told(43, "")
    };
    fake.script.lock().unwrap().streams.push_back(vec![
        told(42, "frontend 11 is healthy"),
        waiting.clone(),
        waiting,
        last(44, "release 8ef9d2f is loaded", ProgressOutcome::Ok),
    ]);
    let address = fake.serve().await;
    let ended = line("env load prod 8ef9d2f -a shop --wait", &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Done);
    assert_eq!(
        ended.output,
        "Release 8ef9d2f is now being loaded into environment prod\n"
    );
    assert_eq!(
        ended.errors,
        "2019-01-01T00:00:49Z frontend 11 is healthy\n\
         2019-01-01T00:00:49Z loading, 1/2, frontend 12 on node 2\n\
         2019-01-01T00:00:49Z release 8ef9d2f is loaded\n"
    );
}

#[tokio::test]
async fn resumes_where_a_stream_broke() {
    let fake = Fake::default();
    let script = fake.script.clone();
    script.lock().unwrap().streams.extend([
        vec![told(50, "warming")],
        vec![],
        vec![told(52, "draining"), last(53, "done", ProgressOutcome::Ok)],
    ]);
    let address = fake.serve().await;
    let ended = line("env activate prod 8ef9d2f -a shop -w", &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    let script = script.lock().unwrap();
    let since = |wait: &fleet_proto::v1::WaitRequest| wait.target.clone().unwrap().since_index;
    assert_eq!(
        script.waits.iter().map(since).collect::<Vec<_>>(),
        [41, 50, 50]
    );
}

#[tokio::test]
async fn ends_as_the_cluster_says() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let table = [
        (
            ProgressOutcome::Failed,
            "frontend 12 exited with status 1\npanic",
            Exit::Failed,
        ),
        (
            ProgressOutcome::Timeout,
            "node 3 has not acknowledged",
            Exit::TimedOut,
        ),
    ];
    for (outcome, text, exit) in table {
        fake.script
            .lock()
            .unwrap()
            .streams
            .push_back(vec![last(60, text, outcome)]);
        let ended = line("env activate prod 8ef9d2f -a shop -w", &[&address])
            .run()
            .await;
        assert_eq!(ended.exit, exit);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(ended.errors, format!("error: {}\n", lines.join("\n  ")));
    }
}

#[tokio::test]
async fn json_is_one_document_after_the_wait() {
    let fake = Fake::default();
    let end = last(44, "release 8ef9d2f is active", ProgressOutcome::Ok);
    fake.script
        .lock()
        .unwrap()
        .streams
        .push_back(vec![told(43, "warming"), end]);
    let address = fake.serve().await;
    let ended = line("env activate prod 8ef9d2f -a shop -w -o json", &[&address])
        .run()
        .await;
    assert_eq!(ended.errors, "");
    let receipt: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(receipt["release"], "8ef9d2f");
    assert_eq!(receipt["waited"], true);
    assert_eq!(receipt["outcome"], "release 8ef9d2f is active");
}

#[tokio::test]
async fn the_timeout_of_the_line_bounds_the_wait() {
    let fake = Fake::default();
    let address = fake.serve().await;
    // Every stream ends at once, so without a bound this would go on until patience is over.
    let ended = line(
        "env activate prod 8ef9d2f -a shop -w --timeout 400ms",
        &[&address],
    )
    .run()
    .await;
    assert_eq!(ended.exit, Exit::TimedOut);
    assert!(
        ended.errors.contains("it may still go on"),
        "{}",
        ended.errors
    );
}
