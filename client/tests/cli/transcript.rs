//! The predecessor's own page about releases, line by line and in its order, with `fleet` for its
//! name. Ids are its ids; what a platform says in `system/...` lines is ours.

use fleet_client::Exit;
use fleet_proto::v1::{Instant, ProgressLine, ProgressOutcome};

use crate::fake::Fake;
use crate::repository::Repository;
use crate::run::line;

/// One line of a story.
pub(crate) fn step(second: u64, source: &str, text: &str) -> ProgressLine {
    ProgressLine {
        at: Some(Instant {
            unix_ms: 1_546_300_800_000 + second * 1_000,
        }),
        source: source.to_owned(),
        text: text.to_owned(),
        log_index: 40 + second,
        ..Default::default()
    }
}

/// The end of a stream.
pub(crate) fn end(outcome: ProgressOutcome, text: &str) -> ProgressLine {
    ProgressLine {
        text: text.to_owned(),
        r#final: true,
        outcome: outcome.into(),
        ..Default::default()
    }
}

fn promotion(release: &str, frontend: &str) -> Vec<ProgressLine> {
    vec![
        step(49, "system/myapp", "Status: Running => Pending"),
        step(51, "system/web", &format!("Scaled up {release} to 1")),
        step(
            51,
            &format!("system/{frontend}"),
            "Placed on instance-0a1b2c3d4e5f",
        ),
        // What is waited for is no line of the story.
        ProgressLine {
            text: format!("waiting for {frontend}"),
            waiting_for: vec![format!("waiting for {frontend}")],
            ..Default::default()
        },
        step(53, "system/myapp", "Status: Pending => Updating"),
        step(56, &format!("system/{frontend}"), "Started"),
        end(ProgressOutcome::Ok, "release is ACTIVE"),
    ]
}

#[tokio::test]
async fn the_page_about_releases_reads_as_it_did() {
    let fake = Fake::default();
    {
        let mut script = fake.script.lock().unwrap();
        let built = vec![
            step(1, "build", "..."),
            end(ProgressOutcome::Ok, "release is AVAILABLE"),
        ];
        script.streams = [
            built,
            promotion("RCDEFGHIJK", "web-f-7"),
            promotion("RDEFGHIJKL", "web-f-9"),
        ]
        .into();
    }
    let address = fake.serve().await;
    let repository = Repository::new("my commit message");
    let mut read = String::new();
    for words in [
        "build -a myapp",
        "env set FOO=bar -a myapp",
        "releases -a myapp",
        "releases info RCDEFGHIJK -a myapp",
        "releases promote RCDEFGHIJK -a myapp",
        "releases manifest RCDEFGHIJK -a myapp",
        "releases rollback RBCDEFGHIJ -a myapp",
    ] {
        let ended = line(words, &[&address])
            .directory(repository.path())
            .run()
            .await;
        assert_eq!(ended.exit, Exit::Done, "{words}: {}", ended.errors);
        read.push_str(&format!("$ fleet {words}\n{}\n", ended.output));
    }
    insta::assert_snapshot!(read);

    let builds = fake.script.lock().unwrap().builds.clone();
    let hash = repository.head();
    let asked = &builds[0];
    assert_eq!(asked.name, &hash[..7]);
    assert_eq!(asked.environment.as_deref(), Some(""));
    assert_eq!(
        asked.description,
        Some(format!("build {} my commit message", &hash[..12]))
    );
}

#[tokio::test]
async fn a_changed_tree_has_no_commit_to_be_described_by() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let repository = Repository::new("my commit message");
    std::fs::write(repository.path().join("new"), "x").unwrap();
    let build = |words: &str| {
        let stream = vec![end(ProgressOutcome::Ok, "")];
        fake.script.lock().unwrap().streams.push_back(stream);
        line(words, &[&address]).directory(repository.path()).run()
    };
    build("build -a myapp").await;
    let said = build("build -a myapp -d -urgent --id").await;
    assert_eq!(said.output, "RBCDEFGHIJ\n", "the id alone");
    assert!(
        said.errors.contains("Build: BABCDEFGHI\n"),
        "{}",
        said.errors
    );
    std::fs::remove_file(repository.path().join("new")).unwrap();
    let json = build("build -a myapp -o json").await;
    let json: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(json["release_id"], "RBCDEFGHIJ");
    assert_eq!(json["build_id"], "BABCDEFGHI");

    let builds = fake.script.lock().unwrap().builds.clone();
    let said: Vec<_> = builds.iter().map(|b| b.description.as_deref()).collect();
    let clean = format!("build {} my commit message", &repository.head()[..12]);
    assert_eq!(said, [Some(""), Some("build -urgent"), Some(&*clean)]);
    assert_eq!(builds[0].name, builds[0].sha256[..7]);
}
