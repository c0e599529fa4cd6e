//! Rollouts as they are watched: their end, their reversal, and going back to one under way.

use fleet_client::Exit;
use fleet_proto::v1::ProgressOutcome;
use tonic::Code;

use crate::fake::{Fake, status};
use crate::repository::Repository;
use crate::run::line;
use crate::transcript::{end, step};

const PROMOTE: &str = "releases promote RCDEFGHIJK -a myapp";

#[tokio::test]
async fn a_reversal_tells_its_cause_and_the_last_output_and_fails() {
    let fake = Fake::default();
    let cause = "web-f-7 exited with status 3\nlistening\npanic: no database";
    fake.script.lock().unwrap().streams.push_back(vec![
        step(1, "system/myapp", "Status: Running => Pending"),
        step(9, "system/myapp", "Status: Updating => Rollback"),
        end(ProgressOutcome::Failed, cause),
    ]);
    let address = fake.serve().await;
    let ended = line(PROMOTE, &[&address]).run().await;
    assert_eq!(ended.exit, Exit::Failed);
    assert_eq!(
        ended.output,
        "Promoting RCDEFGHIJK...\n\
         2019-01-01T00:00:01Z system/myapp Status: Running => Pending\n\
         2019-01-01T00:00:09Z system/myapp Status: Updating => Rollback\n"
    );
    assert_eq!(
        ended.errors,
        "error: web-f-7 exited with status 3\n  listening\n  panic: no database\n"
    );
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_where_it_was() {
    let fake = Fake::default();
    {
        let mut script = fake.script.lock().unwrap();
        // No final line: the node went away.
        let first = vec![step(1, "system/myapp", "Status: Running => Pending")];
        let rest = vec![
            step(5, "system/myapp", "Status: Pending => Updating"),
            end(ProgressOutcome::Ok, "done"),
        ];
        script.streams = [first, rest].into();
    }
    let address = fake.serve().await;
    let ended = line(PROMOTE, &[&address]).run().await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    assert_eq!(
        ended.output,
        "Promoting RCDEFGHIJK...\n\
         2019-01-01T00:00:01Z system/myapp Status: Running => Pending\n\
         2019-01-01T00:00:05Z system/myapp Status: Pending => Updating\n\
         OK\n"
    );
    let waits = fake.script.lock().unwrap().waits.clone();
    let since: Vec<u64> = waits
        .iter()
        .map(|wait| wait.target.as_ref().unwrap().since_index)
        .collect();
    assert_eq!(since, [41, 41], "resumed at the last index seen");
    let asked = fake.seen();
    assert_eq!(asked.len(), 1, "the promotion itself is asked once");
}

#[tokio::test]
async fn a_rollout_under_way_is_watched_to_its_end() {
    let fake = Fake::default();
    {
        let mut script = fake.script.lock().unwrap();
        script.under_way = true;
        let rest = vec![
            step(30, "system/web-f-9", "Healthy"),
            end(ProgressOutcome::Ok, "done"),
        ];
        script.streams = [rest].into();
    }
    let address = fake.serve().await;
    let ended = line(&format!("{PROMOTE} --wait -o json"), &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    let json: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(json["attached"], true);
    assert_eq!(json["rollout"], 7);
    assert_eq!(json["outcome"], "done");
}

#[tokio::test]
async fn time_that_is_over_leaves_the_rollout_running_and_says_how_to_see_the_rest() {
    let fake = Fake::default();
    let address = fake.serve().await;
    // Every stream ends early: there is never a last line.
    let ended = line(&format!("{PROMOTE} --timeout 200ms"), &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::TimedOut);
    assert_eq!(ended.output, "Promoting RCDEFGHIJK...\n");
    assert!(
        ended.errors.ends_with(
            "hint: see the rest: fleet releases promote RCDEFGHIJK --wait -e prod -a shop\n"
        ),
        "{}",
        ended.errors
    );
}

#[tokio::test]
async fn another_rollout_under_way_refuses() {
    let fake = Fake::default();
    fake.refuse(status(
        Code::Aborted,
        "environment prod is promoting RBCDEFGHIJ (Rolling)",
        "ROLLOUT_IN_PROGRESS",
        "wait for it, or reverse it: fleet apps cancel -a myapp",
        &[],
    ));
    let address = fake.serve().await;
    let ended = line(PROMOTE, &[&address]).run().await;
    assert_eq!(ended.exit, Exit::Refused);
    assert_eq!(ended.output, "");
    assert_eq!(
        ended.errors,
        "error: environment prod is promoting RBCDEFGHIJ (Rolling)\n\
         hint: wait for it, or reverse it: fleet apps cancel -a myapp\n"
    );
}

#[tokio::test]
async fn deploy_is_build_and_promote() {
    let fake = Fake::default();
    {
        let mut script = fake.script.lock().unwrap();
        let built = vec![end(ProgressOutcome::Ok, "")];
        script.streams = [built.clone(), built].into();
    }
    let address = fake.serve().await;
    let repository = Repository::new("x");
    let ended = line("deploy -a myapp", &[&address])
        .directory(repository.path())
        .run()
        .await;
    assert_eq!(
        ended.output,
        "Packaging source... OK\nUploading source... OK\nStarting build... OK\n\
         Build: BABCDEFGHI\nRelease: RBCDEFGHIJ\nPromoting RBCDEFGHIJ...\nOK\n",
        "{}",
        ended.errors
    );
}

#[tokio::test]
async fn a_build_that_fails_promotes_nothing() {
    let fake = Fake::default();
    fake.script.lock().unwrap().streams = [vec![
        step(1, "build", "cc: not found"),
        end(ProgressOutcome::Failed, "the build ended with status 127"),
    ]]
    .into();
    let address = fake.serve().await;
    let repository = Repository::new("x");
    let ended = line("deploy -a myapp", &[&address])
        .directory(repository.path())
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Failed);
    assert!(
        ended
            .output
            .ends_with("Starting build... OK\ncc: not found\n"),
        "{}",
        ended.output
    );
    assert_eq!(ended.errors, "error: the build ended with status 127\n");
    assert!(fake.seen().is_empty(), "{:?}", fake.seen());
}

#[tokio::test]
async fn setting_a_variable_may_promote_at_once() {
    let fake = Fake::default();
    let done = vec![end(ProgressOutcome::Ok, "")];
    fake.script.lock().unwrap().streams = [done.clone(), done].into();
    let address = fake.serve().await;
    let ended = line("env set FOO=bar -p -a myapp", &[&address]).run().await;
    assert_eq!(
        ended.output,
        "Setting FOO... OK\nRelease: RCDEFGHIJK\nPromoting RCDEFGHIJK...\nOK\n"
    );
    let id = line("env set FOO=bar -p --id -a myapp", &[&address])
        .run()
        .await;
    assert_eq!(id.output, "RCDEFGHIJK\n");
    assert!(
        id.errors.starts_with("Setting FOO... OK\n"),
        "{}",
        id.errors
    );
}

#[tokio::test]
async fn releases_are_made_from_two_others() {
    let fake = Fake::default();
    fake.script.lock().unwrap().streams = [vec![end(ProgressOutcome::Ok, "")]].into();
    let address = fake.serve().await;
    let words = "releases create-from --build-from RBCDEFGHIJ --use-active-release-env --promote";
    let ended = line(&format!("{words} -a myapp"), &[&address]).run().await;
    assert_eq!(
        ended.output, "Creating release... OK\nRelease: RCDEFGHIJK\nPromoting RCDEFGHIJK...\nOK\n",
        "{}",
        ended.errors
    );
    assert_eq!(fake.seen()[0].release, "RBCDEFGHIJ+active");
    let plain = line("releases rollback --no-wait -a myapp", &[&address])
        .run()
        .await;
    assert_eq!(
        plain.output,
        "Rolling back to RBCDEFGHIJ... OK, RDEFGHIJKL\nOK\n"
    );
}
