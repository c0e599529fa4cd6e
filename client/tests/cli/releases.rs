//! `release create` from all three sources, and what is uploaded.

use fleet_client::Exit;
use fleet_proto::v1::{ProgressLine, ProgressOutcome};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::fake::{Fake, status};
use crate::repository::Repository;
use crate::run::line;

/// Paths of the files in an archive; git also puts the commit's hash into a global header.
fn names(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| !entry.header().entry_type().is_pax_global_extensions());
    files
        .map(|entry| entry.path().unwrap().display().to_string())
        .collect()
}

#[tokio::test]
async fn a_git_object_becomes_a_release_once() {
    let repository = Repository::new("Sell things\n\nMore.");
    let hash = repository.head();
    std::fs::write(repository.path().join("uncommitted"), "x").unwrap();
    let fake = Fake::default();
    let address = fake.serve().await;
    let create =
        || line("release create one --no-wait -a shop", &[&address]).directory(repository.path());
    let ended = create().run().await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    assert_eq!(
        ended.output,
        format!("Release {} is now being created\n", &hash[..7])
    );
    assert!(
        ended
            .errors
            .starts_with("Packaging source... OK\nUploading source... OK, "),
        "{}",
        ended.errors
    );
    let again = create().run().await;
    assert!(
        again
            .errors
            .ends_with("Uploading source... OK, already there\n"),
        "{}",
        again.errors
    );

    let script = fake.script.lock().unwrap();
    assert_eq!(script.blobs.len(), 1, "the same content is uploaded once");
    let (sha256, bytes) = &script.blobs[0];
    let digest: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(*sha256, digest);
    assert_eq!(names(bytes), ["fleet.yml"]);
    let build = &script.builds[0];
    assert_eq!(
        (build.name.as_str(), build.commit.as_str()),
        (&hash[..7], hash.as_str())
    );
    assert_eq!(
        (build.message.as_str(), build.app.as_str()),
        ("Sell things", "shop")
    );
}

#[tokio::test]
async fn a_directory_and_an_archive_become_releases() {
    let here = tempfile::tempdir().unwrap();
    let directory = here.path().join("src");
    std::fs::create_dir(&directory).unwrap();
    // More than one chunk, and not a whole number of them.
    let content: Vec<u8> = (0..700_001_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(directory.join("data"), &content).unwrap();
    let fake = Fake::default();
    let address = fake.serve().await;
    let words = "release create ./src -m first --no-wait -a shop";
    let ended = line(words, &[&address]).directory(here.path()).run().await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    let (sha256, bytes) = fake.script.lock().unwrap().blobs[0].clone();
    assert_eq!(
        ended.output,
        format!("Release {} is now being created\n", &sha256[..7])
    );
    assert_eq!(names(&bytes), ["data"]);

    std::fs::write(here.path().join("app.tar"), &bytes).unwrap();
    let words = "release create app.tar --name 0a1b2c3 --no-wait -a shop";
    let ended = line(words, &[&address]).directory(here.path()).run().await;
    assert_eq!(
        ended.output, "Release 0a1b2c3 is now being created\n",
        "{}",
        ended.errors
    );
    let script = fake.script.lock().unwrap();
    assert_eq!(script.blobs.len(), 1, "the archive is the directory's");
    assert_eq!(
        (
            script.builds[0].message.as_str(),
            script.builds[1].message.as_str()
        ),
        ("first", "")
    );
}

#[tokio::test]
async fn waits_until_available() {
    let repository = Repository::new("Sell things\n\nMore.");
    let fake = Fake::default();
    fake.script
        .lock()
        .unwrap()
        .streams
        .push_back(vec![ProgressLine {
            text: "the archive has an entry ../x".to_owned(),
            r#final: true,
            outcome: ProgressOutcome::Failed.into(),
            ..Default::default()
        }]);
    let address = fake.serve().await;
    let create = line("release create HEAD -a shop", &[&address]).directory(repository.path());
    let ended = create.run().await;
    assert_eq!(ended.exit, Exit::Failed);
    assert!(
        ended
            .errors
            .ends_with("error: the archive has an entry ../x\n"),
        "{}",
        ended.errors
    );
}

#[tokio::test]
async fn an_upload_moves_on_and_a_refused_archive_does_not() {
    let repository = Repository::new("Sell things\n\nMore.");
    let (first, second) = (Fake::default(), Fake::default());
    first.refuse(Status::unavailable("the disk is full"));
    let (one, two) = (first.serve().await, second.serve().await);
    let create = |addresses: &[&str]| {
        line("release create HEAD --no-wait -a shop", addresses).directory(repository.path())
    };
    let ended = create(&[&one, &two]).run().await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    assert_eq!(second.script.lock().unwrap().blobs.len(), 1);

    let refusing = Fake::default();
    refusing.refuse(status(
        Code::InvalidArgument,
        "entry ../x leaves the archive",
        "BAD_ARCHIVE",
        "",
        &[],
    ));
    let ended = create(&[&refusing.serve().await]).run().await;
    assert_eq!(ended.exit, Exit::Usage);
    assert!(
        ended
            .errors
            .ends_with("\nerror: entry ../x leaves the archive\n"),
        "{}",
        ended.errors
    );
    assert!(refusing.script.lock().unwrap().builds.is_empty());
}

#[tokio::test]
async fn sources_that_are_not_there_or_not_clear() {
    let repository = Repository::new("Sell things\n\nMore.");
    std::fs::create_dir(repository.path().join("one")).unwrap();
    std::fs::write(repository.path().join("notes.txt"), "x").unwrap();
    let create = |source: &str| {
        line(&format!("release create {source} -a shop"), &[])
            .directory(repository.path())
            .run()
    };
    assert_eq!(create("nonsense").await.exit, Exit::NotFound);
    assert_eq!(create("notes.txt").await.exit, Exit::Usage);
    let both = create("one").await;
    assert_eq!(both.exit, Exit::Usage);
    assert!(both.errors.contains("./one"), "{}", both.errors);
}
