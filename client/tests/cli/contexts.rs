//! Which cluster a line speaks to: flags, variables, the file, the daemon of the machine.

use std::os::unix::fs::PermissionsExt as _;

use fleet_client::Exit;

use crate::fake::{Fake, fingerprint};
use crate::run::{Line, line};

const LIST: &str = "env list -a shop";

#[tokio::test]
async fn contexts_are_kept_private_and_used() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (Fake::default(), Fake::default());
    let (one, two) = (first.serve().await, second.serve().await);
    let at_home = |words: &str| -> Line {
        line(words, &[])
            .without("FLEET_TOKEN")
            .without("FLEET_CA_FINGERPRINT")
            .variable("HOME", home.path().to_str().unwrap())
    };
    std::fs::write(home.path().join("token"), "of one\n").unwrap();
    let added = at_home(&format!(
        "context add one --address {one} --ca-fingerprint {} --token-file token",
        fingerprint()
    ))
    .directory(home.path())
    .run()
    .await;
    assert_eq!(added.output, "Context one is added\n", "{}", added.errors);
    let piped = format!(
        "context add two --address {two} --ca-fingerprint {} --token-file -",
        fingerprint()
    );
    at_home(&piped).input("of two\n").run().await;

    let file = home.path().join(".config/fleet/contexts.toml");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The first one added is in use; -r, FLEET_CONTEXT and switch choose otherwise.
    assert_eq!(at_home(LIST).run().await.exit, Exit::Done);
    at_home(&format!("{LIST} -r two")).run().await;
    at_home(LIST).variable("FLEET_CONTEXT", "two").run().await;
    assert_eq!(
        at_home("switch two").run().await.output,
        "Context two is in use\n"
    );
    at_home(LIST).run().await;
    let bearers = |fake: &Fake| -> Vec<String> {
        let seen = fake.seen();
        // Each list asks for two pages.
        seen.iter()
            .step_by(2)
            .map(|call| call.authorization.clone())
            .collect()
    };
    assert_eq!(bearers(&first), ["Bearer of one"]);
    assert_eq!(bearers(&second), ["Bearer of two"; 3]);

    let listed = at_home("racks").run().await.output;
    assert!(listed.contains("two     *"), "{listed}");
    assert!(!listed.contains("of two"), "a token is shown: {listed}");
    let unknown = at_home(&format!("{LIST} -r tow")).run().await;
    assert_eq!(unknown.exit, Exit::NotFound);
    assert!(
        unknown.errors.contains("did you mean: two"),
        "{}",
        unknown.errors
    );
}

#[tokio::test]
async fn the_daemon_of_the_machine_is_the_last_resort() {
    let here = tempfile::tempdir().unwrap();
    let socket = here.path().join("agent.sock");
    let cluster = Fake::default();
    let address = cluster.serve().await;
    let daemon = Fake::default();
    daemon.serve_unix(&socket).await;
    let local = |words: &str| -> Line {
        line(words, &[])
            .without("FLEET_TOKEN")
            .without("FLEET_CA_FINGERPRINT")
            .variable("FLEET_SOCKET", socket.to_str().unwrap())
            .variable("HOME", here.path().to_str().unwrap())
    };
    let waiting = local(LIST).run().await;
    assert_eq!(waiting.exit, Exit::Refused);
    assert!(
        waiting.errors.contains("fleet node init"),
        "{}",
        waiting.errors
    );

    daemon.script.lock().unwrap().apps = vec![address.clone()];
    assert_eq!(local(LIST).run().await.exit, Exit::Done);
    assert_eq!(cluster.seen()[0].authorization, "Bearer from the daemon");
    // A daemon that was started with `--dev` keeps its socket with its user.
    let dev = here.path().join(".local/state/fleet-dev/run");
    std::fs::create_dir_all(&dev).unwrap();
    daemon.serve_unix(&dev.join("agent.sock")).await;
    let found = local(LIST).without("FLEET_SOCKET").run().await;
    assert_eq!(found.exit, Exit::Done, "{}", found.errors);
    local("context add home --local").run().await;
    let elsewhere = local(LIST)
        .variable("FLEET_SOCKET", "/nonexistent")
        .run()
        .await;
    assert_eq!(elsewhere.exit, Exit::Done, "{}", elsewhere.errors);
}

#[tokio::test]
async fn no_cluster_at_all_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let ended = line(LIST, &[])
        .variable("HOME", home.path().to_str().unwrap())
        .variable("FLEET_SOCKET", "/nonexistent/agent.sock")
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Unreachable);
    assert!(
        ended.errors.contains("fleet context add"),
        "{}",
        ended.errors
    );
}

#[tokio::test]
async fn a_contexts_file_that_is_no_toml_is_named() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("fleet")).unwrap();
    std::fs::write(home.path().join("fleet/contexts.toml"), "current = \n").unwrap();
    let config = home.path().to_str().unwrap();
    let ended = line(LIST, &[])
        .variable("XDG_CONFIG_HOME", config)
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Failed);
    assert!(ended.errors.contains("contexts.toml"), "{}", ended.errors);
}

#[tokio::test]
async fn nodes_are_founded_and_joined_over_the_socket() {
    let here = tempfile::tempdir().unwrap();
    let socket = here.path().join("agent.sock");
    Fake::default().serve_unix(&socket).await;
    let local = |words: &str| line(words, &[]).variable("FLEET_SOCKET", socket.to_str().unwrap());
    let founded = local("node init --name a").run().await;
    assert!(
        founded.output.contains("node            1 (a)\n"),
        "{}",
        founded.output
    );
    assert!(
        founded.output.contains("fleet node join 127.0.0.1:7400"),
        "{}",
        founded.output
    );
    let joined = local("node join 10.0.0.1:7400 10.0.0.2:7400 --token fj1.token -o json")
        .run()
        .await;
    let joined: serde_json::Value = serde_json::from_str(&joined.output).unwrap();
    assert_eq!(joined["cluster_id"], "10.0.0.1:7400+10.0.0.2:7400");
    let replaced = local("node replace-ingress").run().await;
    assert_eq!(
        replaced.output, "the new ingress listens\n",
        "{}",
        replaced.errors
    );
    let without = local("node join 10.0.0.1:7400").run().await;
    assert_eq!(without.exit, Exit::Usage);
    let by_variable = local("node join 10.0.0.1:7400")
        .variable("FLEET_JOIN_TOKEN", "fj1.token")
        .run()
        .await;
    assert_eq!(by_variable.exit, Exit::Done, "{}", by_variable.errors);
    let odd = local("node join 10.0.0.1:7400 --token fj1.token --label zone")
        .run()
        .await;
    assert_eq!(odd.exit, Exit::Usage);
}

#[tokio::test]
async fn only_the_cluster_that_is_meant_is_spoken_to() {
    let cluster = Fake::default();
    let address = cluster.serve().await;
    let nowhere = line(LIST, &[&address])
        .without("FLEET_CA_FINGERPRINT")
        .run()
        .await;
    assert_eq!(nowhere.exit, Exit::Usage);
    assert!(
        nowhere.errors.contains("FLEET_CA_FINGERPRINT"),
        "{}",
        nowhere.errors
    );
    let odd = line(LIST, &[&address])
        .variable("FLEET_CA_FINGERPRINT", "abc")
        .run()
        .await;
    assert_eq!(odd.exit, Exit::Usage);
    // One letter is another: whoever answers is not believed, and is told nothing.
    let mut other = fingerprint();
    let first = if other.starts_with('a') { "b" } else { "a" };
    other.replace_range(..1, first);
    let refused = line(LIST, &[&address])
        .variable("FLEET_CA_FINGERPRINT", &other)
        .run()
        .await;
    assert_eq!(refused.exit, Exit::Unreachable);
    assert!(
        refused.errors.contains("not a node of the cluster"),
        "{}",
        refused.errors
    );
    assert!(cluster.seen().is_empty());
    let both = line(LIST, &[&address])
        .variable(
            "FLEET_CA_FINGERPRINT",
            &format!("{other},{}", fingerprint()),
        )
        .run()
        .await;
    assert_eq!(both.exit, Exit::Done, "{}", both.errors);
}

#[tokio::test]
async fn version_help_and_completion_need_no_cluster() {
    let version = line("version -o json", &[]).run().await;
    assert!(version.output.contains(env!("CARGO_PKG_VERSION")));
    let help = line("help env load", &[]).run().await;
    assert_eq!((help.exit, help.errors.as_str()), (Exit::Done, ""));
    assert!(help.output.contains("<ENV> <RELEASE>"), "{}", help.output);
    let script = line("completion bash", &[]).run().await;
    assert!(script.output.contains("release") && script.output.contains("activate"));
    assert_eq!(line("", &[]).run().await.exit, Exit::Usage);
}
