//! A worker on a real holder: real processes, a real artefact, and agents that die.
//!
//! Control is played by the test, over real gRPC; everything below it is what runs in production.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "worker/control.rs"]
mod control;
#[path = "worker/node.rs"]
mod node;

use std::time::Duration;

use fleet_proto::internal::{self as wire, frontend_observed::Phase};

use control::Control;
use node::Node;

/// Nothing here takes this long on a machine that works.
const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it never happened")
}

/// Answers every request with its environment; Perl because Debian cannot be without it.
const APP: &str = r#"
use IO::Socket::INET;
$| = 1;
my $server = IO::Socket::INET->new(
    LocalAddr => "127.0.0.1", LocalPort => $ENV{PORT}, Listen => 9, ReuseAddr => 1) or die "no port: $!";
print "listening on $ENV{PORT}\n";
while (my $client = $server->accept) {
    while (my $line = <$client>) { last if $line =~ /^\r?$/ }
    print $client "HTTP/1.0 200 OK\r\n\r\n", map { "$_=$ENV{$_}\n" } sort keys %ENV;
    close $client;
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_outlives_the_agent_and_is_taken_over() {
    let mut control = Control::start(APP).await;
    let node = Node::start(&control).await;
    let agent = node.agent();
    let (mut session, hello) = control.accept().await;
    assert_eq!(hello.known, []);
    assert!(!hello.capabilities.is_empty(), "the ladder is told");
    session.order(10, vec![control.assignment(1)]).await;
    let healthy = session.until(1, Phase::Healthy).await;
    let answer = get(&healthy.address).await;
    for line in [
        "APP=shop",
        "SERVICE=www",
        "RACK=main",
        "RELEASE=RABCDEFGHIJ",
        "GREETING=hello",
    ] {
        assert!(answer.contains(&format!("{line}\n")), "{line} in {answer}");
    }

    // The agent dies without a word; then another begins.
    agent.kill();
    drop(session);
    assert!(
        get(&healthy.address).await.contains("APP=shop"),
        "it serves without an agent"
    );
    let agent = node.agent();
    let (mut session, hello) = control.accept().await;
    let known = &hello.known[0];
    assert_eq!((known.phase(), known.pid), (Phase::Healthy, healthy.pid));
    assert_eq!(known.address, healthy.address);
    assert_eq!(hello.obeyed, Some(wire::Fence { term: 1, index: 10 }));

    // It is ours again: its end is seen, with its last words, and nothing is started in its place.
    session.order(11, vec![control.assignment(1)]).await;
    node::kill(healthy.pid);
    let failed = session.until(1, Phase::Failed).await;
    let exit = failed.exit.unwrap();
    assert_eq!((exit.signal, exit.code), (Some(9), None));
    assert!(
        exit.last_lines
            .iter()
            .any(|line| line.contains("listening on")),
        "{exit:?}"
    );
    assert_eq!(failed.reason, "was killed by SIGKILL");
    agent.kill();
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_at_any_moment_starts_nothing_twice() {
    let mut control = Control::start(APP).await;
    let node = Node::start(&control).await;
    let with_step = wire::Assignment {
        init_step: line("sleep 0.1"),
        ..control.assignment(2)
    };
    let wanted = vec![control.assignment(1), with_step];
    // Later and later in the life of the frontends, from before the first fetch to after the start.
    for kill_after in [0, 1, 5, 20, 50, 100, 200] {
        let agent = node.agent();
        let (session, _) = control.accept().await;
        session.order(10, wanted.clone()).await;
        let _ = tokio::time::timeout(
            Duration::from_millis(kill_after),
            std::future::pending::<()>(),
        )
        .await;
        agent.kill();
        drop(session);
    }
    let agent = node.agent();
    let (mut session, hello) = control.accept().await;
    session.order(11, wanted).await;
    for id in [1, 2] {
        let known = hello.known.iter().find(|known| known.frontend_id == id);
        if known.is_none_or(|known| known.phase() != Phase::Healthy) {
            session.until(id, Phase::Healthy).await;
        }
    }
    for process in node.holder.list().await.unwrap() {
        assert_eq!(process.starts, 1, "{}", process.id);
    }
    session.order(12, Vec::new()).await;
    node.until_empty().await;
    agent.kill();
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_exits_at_once_is_failed_with_its_words() {
    let mut control = Control::start("print STDERR qq(no database\\n); exit 3;").await;
    let node = Node::start(&control).await;
    let agent = node.agent();
    let (mut session, _) = control.accept().await;
    session.order(10, vec![control.assignment(1)]).await;
    let failed = session.until(1, Phase::Failed).await;
    assert_eq!(failed.reason, "exited with status 3");
    let exit = failed.exit.unwrap();
    assert_eq!(exit.code, Some(3));
    assert!(
        exit.last_lines
            .iter()
            .any(|line| line.contains("no database")),
        "{exit:?}"
    );
    agent.kill();
    node.finish().await;
}

/// Answers with status 500 where it is asked whether it is alive, and says what it finds at its end.
const MORTAL: &str = r#"
use IO::Socket::INET;
$| = 1;
$SIG{TERM} = sub {
    for my $name ("migrated", "announced", "bye") { print "$name\n" if -e "$ENV{HOME}/$name" }
    exit 0;
};
my $server = IO::Socket::INET->new(
    LocalAddr => "127.0.0.1", LocalPort => $ENV{PORT}, Listen => 9, ReuseAddr => 1) or die "no port: $!";
while (1) {
    my $client = $server->accept or next;
    my $asked = <$client>;
    while (my $line = <$client>) { last if $line =~ /^\r?$/ }
    print $client $asked =~ m{/alive} ? "HTTP/1.0 500 Dead\r\n\r\n" : "HTTP/1.0 200 OK\r\n\r\n";
    close $client;
}
"#;

fn line(line: &str) -> Option<wire::Command> {
    let command = wire::command::Command::Line(line.to_owned());
    Some(wire::Command {
        command: Some(command),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_run_before_beside_and_after_the_command() {
    let mut control = Control::start(MORTAL).await;
    let node = Node::start(&control).await;
    let agent = node.agent();
    let (mut session, _) = control.accept().await;
    let mut wanted = wire::Assignment {
        init_step: line("test $INIT_CONTAINER = true && test -n \"$PORT\" && touch $HOME/migrated"),
        // The frontend would fail if its init step had not run before.
        post_start: line(
            "test -z \"$INIT_CONTAINER\" && test -e $HOME/migrated && touch $HOME/announced",
        ),
        pre_stop: line("touch $HOME/bye"),
        ..control.assignment(1)
    };
    session.order(10, vec![wanted.clone()]).await;
    session.until(1, Phase::Healthy).await;
    let post_start = node.until_exited("f-1.post-start").await;
    assert_eq!(post_start, Some(0));
    wanted.set_desired(wire::assignment::Desired::Stop);
    session.order(11, vec![wanted]).await;
    let stopped = session.until(1, Phase::Stopped).await;
    let said = stopped.exit.unwrap().last_lines;
    assert_eq!(said, ["migrated", "announced", "bye"]);
    session.order(12, Vec::new()).await;
    node.until_empty().await;
    agent.kill();
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_step_that_fails_is_told_with_its_words() {
    let mut control = Control::start(APP).await;
    let node = Node::start(&control).await;
    let agent = node.agent();
    let (mut session, _) = control.accept().await;
    let wanted = wire::Assignment {
        init_step: line("echo no such table; exit 3"),
        ..control.assignment(1)
    };
    session.order(10, vec![wanted]).await;
    let failed = session.until(1, Phase::Failed).await;
    assert_eq!(failed.reason, "init step exited with status 3");
    let exit = failed.exit.unwrap();
    assert_eq!(
        (exit.code, exit.last_lines),
        (Some(3), vec!["no such table".to_owned()])
    );
    agent.kill();
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_that_is_not_alive_is_ended() {
    let mut control = Control::start(MORTAL).await;
    let node = Node::start(&control).await;
    let agent = node.agent();
    let (mut session, _) = control.accept().await;
    let wanted = wire::Assignment {
        startup: Some(wire::RepeatedCheck {
            kind: wire::health_check::Kind::Tcp.into(),
            interval_ms: 20,
            timeout_ms: 1_000,
            // As many as it takes a slow machine to start Perl.
            failure: 1_000,
            ..wire::RepeatedCheck::default()
        }),
        liveness: Some(wire::RepeatedCheck {
            kind: wire::health_check::Kind::Http.into(),
            path: "/alive".to_owned(),
            grace_ms: 500,
            interval_ms: 50,
            timeout_ms: 5_000,
            failure: 2,
            ..wire::RepeatedCheck::default()
        }),
        ..control.assignment(1)
    };
    session.order(10, vec![wanted]).await;
    session.until(1, Phase::Healthy).await;
    let failed = session.until(1, Phase::Failed).await;
    let expected =
        "is no longer alive: GET /alive failed 2 times in a row: answered with status 500";
    assert_eq!(failed.reason, expected);
    agent.kill();
    node.finish().await;
}

async fn get(address: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = soon(tokio::net::TcpStream::connect(address)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}
