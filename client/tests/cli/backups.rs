//! Backups: files that are there whole or not at all, schedules, restores.

use fleet_client::Exit;

use crate::fake::{CHUNKS, Fake};
use crate::run::line;

#[tokio::test]
async fn a_backup_appears_whole_also_after_a_broken_stream() {
    let here = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    fake.script.lock().unwrap().backup_breaks = [1].into();
    let address = fake.serve().await;
    let ended = line("cluster backup state.backup --with-artefacts", &[&address])
        .directory(here.path())
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    let kept = std::fs::read(here.path().join("state.backup")).unwrap();
    assert_eq!(kept, CHUNKS.concat());
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 1);
    let shown = ended.output.replace(here.path().to_str().unwrap(), "HERE");
    // As long as the path is.
    let rules = shown.lines().filter(|line| !line.starts_with("---"));
    let shown = rules.collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(shown, @r"
    backup      HERE/state.backup
    cluster     c0ffee
    index       42
    bytes       21
    artefacts   1
    state hash  abc123
    ");
}

#[tokio::test]
async fn a_backup_that_cannot_be_written_leaves_nothing() {
    let here = tempfile::tempdir().unwrap();
    let address = Fake::default().serve().await;
    let ended = line("cluster backup missing/state.backup", &[&address])
        .directory(here.path())
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Failed, "{}", ended.output);
    assert!(ended.errors.contains("cannot write"), "{}", ended.errors);
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn schedules_are_set_shown_and_ended() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let never = line("cluster backup schedule", &[&address]).run().await;
    assert!(never.output.contains("never"), "{}", never.output);
    let set = line(
        "cluster backup schedule 12h --keep 3 --dir /mnt/b",
        &[&address],
    )
    .run()
    .await;
    insta::assert_snapshot!(set.output, @r"
    ---------  -------------------------
    every      12h
    kept       3
    directory  /mnt/b
    next       2015-06-09 02:55:25+00:00
    ---------  -------------------------

    Taken:
    taken                        index    bytes  node     path
    -------------------------  -------  -------  -------  -------------------------------------
    2015-06-09 01:55:25+00:00       42     1234  1 (one)  /var/lib/fleet/backups/fleet-1.backup
    ");
    let sent = fake.script.lock().unwrap().schedule.clone().unwrap();
    assert_eq!((sent.every_ms, sent.keep), (43_200_000, 3));
    let off = line("cluster backup schedule off -o json", &[&address])
        .run()
        .await;
    let off: serde_json::Value = serde_json::from_str(&off.output).unwrap();
    assert_eq!(off["every_ms"], serde_json::Value::Null);
    assert_eq!(off["backups"][0]["index"], 42);
    let wrong = line("cluster backup schedule often", &[&address])
        .run()
        .await;
    assert_eq!(wrong.exit, Exit::Usage);
}

#[tokio::test]
async fn the_daemon_restores_and_recovers() {
    let here = tempfile::tempdir().unwrap();
    let socket = here.path().join("agent.sock");
    Fake::default().serve_unix(&socket).await;
    let on_this_machine = |words: &str| {
        line(words, &[])
            .variable("FLEET_SOCKET", socket.to_str().unwrap())
            .directory(here.path())
    };
    std::fs::write(here.path().join("good"), CHUNKS.concat()).unwrap();
    std::fs::write(here.path().join("bad"), "something else").unwrap();
    let restored = on_this_machine("cluster restore good --name first")
        .run()
        .await;
    assert_eq!(restored.exit, Exit::Done, "{}", restored.errors);
    for words in [
        "cluster c0ffee",
        "beef",
        "43 (first)",
        "abc123, as in the backup",
        "shop/8ef9d2f",
    ] {
        assert!(
            restored.output.contains(words),
            "{words}: {}",
            restored.output
        );
    }
    let bad = on_this_machine("cluster restore bad").run().await;
    assert_eq!(bad.exit, Exit::Refused);
    assert_eq!(bad.errors, "error: this is not a backup file\n");
    let missing = on_this_machine("cluster restore nowhere").run().await;
    assert_eq!(missing.exit, Exit::NotFound);

    let recovered = on_this_machine("cluster recover --from this-node --no-confirm")
        .run()
        .await;
    insta::assert_snapshot!(recovered.output, @r"
    -------------------  ------------------------
    cluster              c0ffee
    goes on with         node 3 (three)
    generation           1
    index                98
    state hash           abc123
    no members any more  1 at a:7400, 2 at b:7400
    old log kept in      /var/lib/fleet/raft
    -------------------  ------------------------

    Lost is what was acknowledged after entry 99 by the others alone. Nodes join as usual; one that was given up and comes back first leaves: fleet node leave --force
    ");
    let whose = on_this_machine("cluster recover").run().await;
    assert_eq!(whose.exit, Exit::Usage);
}
