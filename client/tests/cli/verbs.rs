//! Commands about services, apps and builds: what they send and print.

use fleet_client::Exit;

use crate::fake::Fake;
use crate::run::line;

#[tokio::test]
async fn counts_are_shown_and_changed() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let table = line("scale -a myapp", &[&address]).run().await;
    assert_eq!(
        table.output,
        "SERVICE  DESIRED  RUNNING  CPU  MEMORY  GPU  MIN  MAX  STATUS\n\
         queue    3        2        250  512     0    2    10   updating\n\
         web      3        2        250  512     0    2    10   updating\n"
    );
    let one = line("scale web -a myapp", &[&address]).run().await;
    assert_eq!(one.output.lines().count(), 2, "{}", one.output);
    let unknown = line("scale wbe -a myapp", &[&address]).run().await;
    assert_eq!(unknown.exit, Exit::NotFound);
    assert_eq!(
        unknown.errors,
        "error: no service wbe in environment prod of myapp\nhint: did you mean: web\n"
    );
    let changed = line(
        "scale web --count 4 --max 8 --memory 256 -a myapp",
        &[&address],
    )
    .run()
    .await;
    assert_eq!(changed.output, "Scaling web... OK\n");
    let sent = fake.seen().last().unwrap().clone();
    assert_eq!(
        (sent.method, sent.release.as_str()),
        ("scale", "web Some(4) None Some(8) None Some(268435456)")
    );
    let nameless = line("scale --count 4 -a myapp", &[&address]).run().await;
    assert_eq!(nameless.exit, Exit::Usage);
}

#[tokio::test]
async fn services_are_listed_and_restarted() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let hosts = line("services -a myapp", &[&address]).run().await;
    assert_eq!(
        hosts.output,
        "SERVICE  DOMAIN                    PORTS\n\
         queue                              5000\n\
         web      web.prod.myapp.localhost  443:5000\n"
    );
    let one = line("services restart web -a myapp", &[&address])
        .run()
        .await;
    assert_eq!(one.output, "Restarting web... OK\n");
    let all = line("restart -a myapp -o json", &[&address]).run().await;
    let all: serde_json::Value = serde_json::from_str(&all.output).unwrap();
    assert_eq!(all["changed"], true);
    let asked: Vec<_> = fake
        .seen()
        .iter()
        .map(|call| call.release.clone())
        .collect();
    assert_eq!(asked, ["", "web", ""]);
}

#[tokio::test]
async fn apps_are_locked_and_their_rollouts_cancelled() {
    let fake = Fake::default();
    let address = fake.serve().await;
    for (words, output) in [
        ("apps lock shop", "Locking shop... OK\n"),
        ("apps unlock -a shop", "Unlocking shop... OK\n"),
        (
            "apps cancel -a shop -e qa",
            "Cancelling deployment of shop... OK\n",
        ),
    ] {
        let ended = line(words, &[&address]).run().await;
        assert_eq!(ended.output, output, "{words}: {}", ended.errors);
    }
    let seen = fake.seen();
    assert_eq!(
        (seen[0].release.as_str(), seen[1].release.as_str()),
        ("true", "false")
    );
    assert_eq!(seen[2].environment, "qa");
}

#[tokio::test]
async fn builds_are_listed_by_id() {
    let address = Fake::default().serve().await;
    let listed = line("builds -a myapp", &[&address]).run().await;
    assert_eq!(
        listed.output,
        "ID          STATUS    RELEASE     STARTED        ELAPSED  DESCRIPTION\n\
         BABCDEFGHI  complete  RBCDEFGHIJ  5 minutes ago  7s       0a1b2c3d4e5f my commit message\n"
    );
    let info = line("builds info BABCDEFGHI -a myapp", &[&address])
        .run()
        .await;
    assert_eq!(
        info.output,
        "Id           BABCDEFGHI\nStatus       complete\nRelease      RBCDEFGHIJ\n\
         Description  0a1b2c3d4e5f my commit message\nStarted      2015-06-09T01:50:25Z\n\
         Elapsed      7s\n"
    );
    let logs = line("builds logs BABCDEFGHI -a myapp", &[&address])
        .run()
        .await;
    assert_eq!(logs.output, "compiling\ndone \\x1b[2J\n");
}

#[tokio::test]
async fn masked_values_are_hidden_on_terminals_alone() {
    let fake = Fake::default();
    fake.script.lock().unwrap().masked = vec!["FOO".to_owned()];
    let address = fake.serve().await;
    let on_terminal = |words: &str| line(words, &[&address]).terminal().run();
    let shown = on_terminal("env -a shop").await;
    assert_eq!(shown.output, "FOO=****\nKEY=a\\x1b\\nb\n");
    assert!(
        on_terminal("env --reveal -a shop")
            .await
            .output
            .starts_with("FOO=bar\n"),
        "revealed"
    );
    let info = on_terminal("releases info RCDEFGHIJK -a shop").await;
    assert!(
        info.output.ends_with("Env          FOO=****\n"),
        "{}",
        info.output
    );
    let revealed = on_terminal("releases info RCDEFGHIJK --reveal -a shop").await;
    assert!(
        revealed.output.ends_with("FOO=bar\n"),
        "{}",
        revealed.output
    );
    let piped = line("env -a shop", &[&address]).run().await;
    assert!(piped.output.starts_with("FOO=bar\n"), "{}", piped.output);

    let masked = line("env mask set KEY OTHER -a shop", &[&address])
        .run()
        .await;
    assert_eq!(masked.output, "Masking KEY, OTHER... OK\n");
    line("env mask unset KEY -a shop", &[&address]).run().await;
    let sent: Vec<_> = fake
        .seen()
        .iter()
        .rev()
        .take(2)
        .map(|c| c.release.clone())
        .collect();
    assert_eq!(sent, ["+ -KEY", "+KEY,OTHER -"]);
    let listed = line("env mask -a shop", &[&address]).run().await;
    assert_eq!(listed.output, "FOO\n");
}

#[tokio::test]
async fn variables_are_edited_as_a_text_of_ones_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let fake = Fake::default();
    let address = fake.serve().await;
    let here = tempfile::tempdir().unwrap();
    let editor = here.path().join("editor");
    let told = here.path().join("told");
    let script = |change: &str| {
        let text = format!(
            "#!/bin/sh\n{{ stat -c %a \"$2\"; cat \"$2\"; }} > {}\n{change}\n",
            told.display()
        );
        std::fs::write(&editor, text).unwrap();
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).unwrap();
        let edit = line("env edit -a shop", &[&address]);
        edit.variable("EDITOR", &format!("{} --wait", editor.display()))
            .run()
    };
    let same = script("").await;
    assert_eq!(same.output, "Nothing was changed\n", "{}", same.errors);
    let seen_by_editor = std::fs::read_to_string(&told).unwrap();
    assert_eq!(
        seen_by_editor,
        "600\nFOO=bar\n# KEY has several lines and stays as it is\n"
    );

    let changed = script("printf 'BAR=$(id) `x`\\n' > \"$2\"").await;
    assert_eq!(
        changed.output, "Setting BAR, FOO... OK\nRelease: RCDEFGHIJK\n",
        "{}",
        changed.errors
    );
    assert_eq!(fake.seen().last().unwrap().release, "BAR=$(id) `x` -FOO");

    let failed = script("exit 1").await;
    assert_eq!(failed.exit, Exit::Failed);
    let calls = fake.seen().len();
    let without = line("env edit -a shop", &[&address]).run().await;
    assert_eq!(without.exit, Exit::Usage);
    assert_eq!(
        fake.seen().len(),
        calls,
        "nothing is asked without an editor"
    );
}
