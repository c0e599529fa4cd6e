//! What commands about environments and variables send and print.

use fleet_client::Exit;
use tonic::{Code, Status};

use crate::fake::{Fake, status};
use crate::run::line;

#[tokio::test]
async fn the_transcripts_read_as_they_did() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let transcript = [
        (
            "env prod load 8ef9d2f",
            "Release 8ef9d2f is now being loaded into environment prod\n",
        ),
        (
            "env load prod 8ef9d2f",
            "Release 8ef9d2f is now being loaded into environment prod\n",
        ),
        (
            "env prod activate 8ef9d2f",
            "Release 8ef9d2f is now being activated for environment prod\n",
        ),
        (
            "env activate prod 037205f",
            "Release 037205f is now being activated for environment prod\n",
        ),
    ];
    for (words, output) in transcript {
        let ended = line(words, &[&address]).run().await;
        assert_eq!(
            (ended.exit, ended.output.as_str()),
            (Exit::Done, output),
            "{}",
            ended.errors
        );
        assert_eq!(ended.errors, "");
    }
    let seen = fake.seen();
    assert!(
        seen.iter()
            .all(|call| call.environment == "prod" && call.authorization == "Bearer hush")
    );
    let mut ids: Vec<_> = seen.iter().map(|call| call.request_id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(
        ids.len(),
        transcript.len(),
        "every intention has its own request id"
    );
}

#[tokio::test]
async fn setting_a_variable_prints_its_release() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let ended = line("env set FOO=bar -a shop", &[&address]).run().await;
    assert_eq!(ended.output, "Setting FOO... OK\nRelease: RCDEFGHIJK\n");
    assert_eq!(ended.errors, "note: the newest release was never active\n");
    let call = &fake.seen()[0];
    assert_eq!(
        (call.app.as_str(), call.release.as_str()),
        ("shop", "FOO=bar")
    );

    let piped = line("env set -a shop", &[&address])
        .input("# no\nA=1\n\nB=x=y\n")
        .run()
        .await;
    assert_eq!(piped.output, "Setting A, B... OK\nRelease: RCDEFGHIJK\n");
    assert_eq!(fake.seen()[1].release, "A=1 B=x=y");

    fake.refuse(status(
        Code::InvalidArgument,
        "A has a space in its name",
        "BAD_NAME",
        "",
        &[],
    ));
    let refused = line("env set A=1 -a shop", &[&address]).run().await;
    assert_eq!(refused.exit, Exit::Usage);
    assert_eq!(refused.output, "Setting A... \n");
    assert_eq!(refused.errors, "error: A has a space in its name\n");
}

#[tokio::test]
async fn values_are_raw_in_pipes_and_harmless_on_terminals() {
    let address = Fake::default().serve().await;
    let piped = line("env get KEY -a shop", &[&address]).run().await;
    assert_eq!(piped.output, "a\x1b\nb\n");
    let shown = line("env get KEY -a shop", &[&address])
        .terminal()
        .run()
        .await;
    assert_eq!(shown.output, "a\\x1b\\nb\n");
    let listed = line("env -a shop", &[&address]).terminal().run().await;
    assert_eq!(listed.output, "FOO=bar\nKEY=a\\x1b\\nb\n");
    assert_eq!(
        listed.errors,
        "(these are variables; environments: fleet env list)\n"
    );
    let unknown = line("env get FOOO -a shop", &[&address]).run().await;
    assert_eq!(unknown.exit, Exit::NotFound);
    assert_eq!(
        unknown.errors,
        "error: no variable FOOO in environment prod\nhint: did you mean: FOO\n"
    );
}

#[tokio::test]
async fn lists_take_all_pages_and_escape() {
    let address = Fake::default().serve().await;
    let ended = line("env list -a shop", &[&address]).run().await;
    assert!(ended.output.contains("\nprod "), "{}", ended.output);
    assert!(ended.output.contains("\nqa\\x1b[2J "), "{}", ended.output);
    let json = line("env list -a shop -o json", &[&address]).run().await;
    let parsed: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(parsed[0]["name"], "prod");
    assert_eq!(parsed[1]["name"], "qa\x1b[2J");
    assert_eq!(parsed[1]["status"], "RUNNING");
}

#[tokio::test]
async fn destroy_wants_the_name_typed() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let destroy = || line("env destroy qa -a shop", &[&address]);
    let wrong = destroy().input("prod\n").run().await;
    assert_eq!(wrong.exit, Exit::Failed);
    assert!(
        wrong.output.contains("name              qa\n"),
        "{}",
        wrong.output
    );
    assert!(wrong.errors.contains("not confirmed"), "{}", wrong.errors);
    assert_eq!(
        destroy().run().await.exit,
        Exit::Failed,
        "an empty input is no confirmation"
    );
    assert!(fake.seen().iter().all(|call| call.method == "describe"));

    let right = destroy().input("qa\n").run().await;
    assert!(
        right
            .output
            .ends_with("Environment qa is now being destroyed\n"),
        "{}",
        right.output
    );
    let unasked = line("env qa destroy --no-confirm -a shop", &[&address])
        .run()
        .await;
    assert_eq!(unasked.output, "Environment qa is now being destroyed\n");
    let json = line("env destroy qa -a shop -o json", &[&address])
        .run()
        .await;
    assert_eq!(json.exit, Exit::Usage, "JSON cannot ask");
}

#[tokio::test]
async fn settings_are_sent_and_told() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let table = [
        (
            "env autoscaling limits prod 2 10",
            "Autoscaling limits of environment prod are now 2 to 10\n",
        ),
        (
            "env prod recycling on",
            "Recycling is now ON for environment prod\n",
        ),
        (
            "env maintenance prod OFF",
            "Maintenance mode is now OFF for environment prod\n",
        ),
        (
            "env protected prod ON",
            "Protection is now ON for environment prod\n",
        ),
        (
            "env deactivate prod",
            "Release 8ef9d2f is now being deactivated in environment prod\n",
        ),
        (
            "env unload prod 8ef9d2f",
            "Release 8ef9d2f is now being unloaded from environment prod\n",
        ),
    ];
    for (words, output) in table {
        let ended = line(words, &[&address])
            .variable("FLEET_APP", "shop")
            .run()
            .await;
        assert_eq!(ended.output, output, "{words}: {}", ended.errors);
    }
    line(
        "env autoscaling desired prod 037205f 4 -a shop",
        &[&address],
    )
    .run()
    .await;
    line("env autoscaling desired 4 -e prod -a shop", &[&address])
        .run()
        .await;
    let seen = fake.seen();
    let counts: Vec<_> = seen
        .iter()
        .rev()
        .take(2)
        .map(|call| call.release.clone())
        .collect();
    assert_eq!(counts, ["*4", "037205f*4"]);
}

#[tokio::test]
async fn the_app_is_found_where_the_rules_say() {
    let fake = Fake::default();
    fake.script.lock().unwrap().apps = vec!["shop".to_owned()];
    let address = fake.serve().await;
    let here = tempfile::tempdir().unwrap();
    let directory = here.path().join("shop");
    std::fs::create_dir(&directory).unwrap();
    let load = || line("env load prod 8ef9d2f", &[&address]);
    load().directory(&directory).run().await;
    load().directory(here.path()).run().await;
    load()
        .directory(&directory)
        .variable("FLEET_APP", "other")
        .run()
        .await;
    line("env load prod 8ef9d2f -a third", &[&address])
        .variable("FLEET_APP", "other")
        .run()
        .await;
    let apps: Vec<_> = fake.seen().iter().map(|call| call.app.clone()).collect();
    assert_eq!(apps, ["shop", "", "other", "third"]);
}

#[tokio::test]
async fn refusals_are_told_with_hint_and_exit_code() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let table = [
        (
            status(
                Code::NotFound,
                "no environment prd",
                "UNKNOWN_ENVIRONMENT",
                "",
                &["prod"],
            ),
            Exit::NotFound,
            "error: no environment prd\nhint: did you mean: prod\n",
        ),
        (
            status(
                Code::FailedPrecondition,
                "release 8ef9d2f is not loaded in environment prod",
                "NOT_LOADED",
                "load it first: fleet env prod load 8ef9d2f",
                &[],
            ),
            Exit::Refused,
            "error: release 8ef9d2f is not loaded in environment prod\n\
             hint: load it first: fleet env prod load 8ef9d2f\n",
        ),
        (
            status(
                Code::FailedPrecondition,
                "8ef is ambiguous",
                "AMBIGUOUS",
                "",
                &["8ef9d2f", "8ef1111"],
            ),
            Exit::Refused,
            "error: 8ef is ambiguous\nhint: it could be: 8ef9d2f, 8ef1111\n",
        ),
        (
            Status::internal("oops \x1b[2J"),
            Exit::Failed,
            "error: oops \\x1b[2J\n",
        ),
    ];
    for (refusal, exit, errors) in table {
        fake.refuse(refusal);
        let ended = line("env activate prod 8ef9d2f -a shop", &[&address])
            .run()
            .await;
        assert_eq!((ended.exit, ended.errors.as_str()), (exit, errors));
        assert_eq!(ended.output, "");
    }
    fake.refuse(status(
        Code::Aborted,
        "rollout 7 is under way",
        "BUSY",
        "wait",
        &["7"],
    ));
    let json = line("env activate prod 8ef9d2f -a shop -o json", &[&address])
        .run()
        .await;
    let error: serde_json::Value = serde_json::from_str(&json.errors).unwrap();
    assert_eq!(error["error"]["exit_code"], 3);
    assert_eq!(error["error"]["reason"], "BUSY");
    assert_eq!(error["error"]["candidates"][0], "7");
}

#[tokio::test]
async fn misuse_asks_nobody() {
    for (words, errors) in [
        (
            "env load 8ef9d2f",
            "error: \"8ef9d2f\" cannot be the name of an environment\n",
        ),
        (
            "snapshot list",
            "error: \"fleet snapshot\" is not in this version\n",
        ),
        (
            "env destory prod",
            "error: \"env\" has no verb \"destory\"\nhint: did you mean: fleet env destroy prod\n",
        ),
        (
            "env create qa --snapshot x",
            "error: \"fleet env create --snapshot\" is not in this version\n",
        ),
    ] {
        // Nowhere to ask: any attempt would end as unreachable.
        let ended = line(words, &[]).run().await;
        assert_eq!(ended.exit, Exit::Usage, "{words}: {}", ended.errors);
        assert!(ended.errors.starts_with(errors), "{}", ended.errors);
    }
}
