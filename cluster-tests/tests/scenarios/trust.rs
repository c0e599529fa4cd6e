//! Who is let in, and who is who: join tokens, and every port against callers that are not what they
//! say.

mod callers;
mod ports;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::cli::{Cli, Output};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::wait;
use fleet_trust::JoinToken;

const USAGE: i32 = 2;
const REFUSED: i32 = 3;

/// What is said of every token that does not let in, whatever is wrong with it.
const NO: &str = "the join token is wrong, expired, revoked or used up";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_one_machine_in_and_a_certificate_is_of_one_node() -> Result<()> {
    let mut cluster = Cluster::start(1).await?;
    for name in ["one", "two"] {
        let machine = cluster.machine(name).await?;
        cluster.nodes.push(machine);
    }
    let machines = [1, 2].map(|index| cluster.local(&cluster.nodes[index]));
    let address = cluster.nodes[0].api().to_string();

    damaged_tokens_are_noticed(&cluster, &machines[0], &address).await?;
    wrong_and_unknown_tokens_are_refused_alike(&cluster, &machines[0], &address).await?;
    an_expired_token_is_refused(&cluster, &machines[0], &address).await?;
    let token = cluster.token(&["--role", "worker"]).await?;
    let refusal = join(&machines[0], &address, &token, &[]).await?;
    ensure!(refusal.code == REFUSED, "{refusal}");
    ensure!(
        refusal.stderr.contains("is for worker, not for control"),
        "{refusal}"
    );
    let node = two_machines_at_once(&machines, &address, &token).await?;
    ensure!(
        cluster.api(0)?.nodes().await?.len() == 2,
        "somebody else was let in too"
    );

    let worker = 1 + node;
    callers::only_those_who_are_who_they_say(&cluster, worker).await?;
    callers::a_removed_node_is_nobody(&cluster, worker).await?;
    cluster.end()
}

async fn join(machine: &Cli, address: &str, token: &str, more: &[&str]) -> Result<Output> {
    let command = [&["node", "join", address, "--token", token], more].concat();
    machine.run(&command).await
}

/// One bit: the check at the end of a token does not fit any more, and nothing is sent.
async fn damaged_tokens_are_noticed(cluster: &Cluster, machine: &Cli, address: &str) -> Result<()> {
    let token = cluster.token(&[]).await?;
    // In the roles, the fingerprint, the id, the secret and the check.
    let places = [
        6,
        token.len() / 3,
        token.len() / 2,
        token.len() - 20,
        token.len() - 1,
    ];
    for place in places {
        let mut damaged = token.clone().into_bytes();
        damaged[place] ^= 1;
        let damaged = String::from_utf8(damaged)?;
        let refusal = join(machine, address, &damaged, &[]).await?;
        ensure!(refusal.code == USAGE, "{refusal}");
        ensure!(
            refusal.stderr.contains("a character of this join token"),
            "{refusal}"
        );
    }
    // With a check that fits, a bit in the fingerprint means another cluster.
    let mut elsewhere: JoinToken = token.parse()?;
    let stranger = fleet_trust::Authority::found("c1", std::time::SystemTime::now())?;
    elsewhere.authority = stranger.fingerprint();
    let refusal = join(machine, address, &elsewhere.reveal(), &[]).await?;
    ensure!(refusal.stderr.contains("certificate"), "{refusal}");
    Ok(())
}

async fn wrong_and_unknown_tokens_are_refused_alike(
    cluster: &Cluster,
    machine: &Cli,
    address: &str,
) -> Result<()> {
    let real: JoinToken = cluster.token(&[]).await?.parse()?;
    let unknown = JoinToken::generate(real.roles.clone(), real.authority);
    let mut wrong = JoinToken::generate(real.roles.clone(), real.authority);
    wrong.id.clone_from(&real.id);
    let mut said = Vec::new();
    for token in [wrong, unknown] {
        let refusal = join(machine, address, &token.reveal(), &[]).await?;
        ensure!(
            refusal.code == REFUSED && refusal.stderr.contains(NO),
            "{refusal}"
        );
        said.push(refusal.stderr);
    }
    said.dedup();
    ensure!(
        said.len() == 1,
        "wrong and unknown can be told apart: {said:?}"
    );
    cluster
        .cli
        .ok(&["node", "token", "revoke", &real.id])
        .await?;
    let refusal = join(machine, address, &real.reveal(), &[]).await?;
    ensure!(refusal.stderr == said[0], "revoked: {refusal}");
    Ok(())
}

/// By the time that is committed: the log has moved past its end when a token made later says so.
async fn an_expired_token_is_refused(
    cluster: &Cluster,
    machine: &Cli,
    address: &str,
) -> Result<()> {
    let short = created(cluster, &["--ttl", "500ms"]).await?;
    wait::until("the token to expire", wait::GENEROUS, async || {
        let later = created(cluster, &["--ttl", "500ms"]).await?;
        ensure!(later.made > short.expires, "it is {}", later.made);
        Ok(())
    })
    .await?;
    let refusal = join(machine, address, &short.token, &[]).await?;
    ensure!(
        refusal.code == REFUSED && refusal.stderr.contains(NO),
        "{refusal}"
    );
    Ok(())
}

/// Answers which of the two machines was let in.
async fn two_machines_at_once(machines: &[Cli; 2], address: &str, token: &str) -> Result<usize> {
    let role = ["--role", "worker"];
    let (one, two) = tokio::try_join!(
        join(&machines[0], address, token, &role),
        join(&machines[1], address, token, &role),
    )?;
    let (winner, refusal) = match (one.code, two.code) {
        (0, REFUSED) => (0, two),
        (REFUSED, 0) => (1, one),
        _ => anyhow::bail!("exactly one success was expected: {one}\n{two}"),
    };
    ensure!(refusal.stderr.contains(NO), "{refusal}");
    // Again, when nobody else asks: used up is used up.
    let replayed = join(&machines[1 - winner], address, token, &role).await?;
    ensure!(replayed.code == REFUSED, "{replayed}");
    ensure!(replayed.stderr == refusal.stderr, "{replayed}");
    Ok(winner)
}

struct Created {
    token: String,
    made: String,
    expires: String,
}

async fn created(cluster: &Cluster, options: &[&str]) -> Result<Created> {
    let command = [&["node", "token", "create", "-o", "json"], options].concat();
    let answer = cluster.cli.ok(&command).await?;
    let answer: serde_json::Value = serde_json::from_str(&answer.stdout)?;
    let field = |name: &str| {
        let text = answer[name].as_str().map(str::to_owned);
        text.with_context(|| format!("no {name} in {answer}"))
    };
    Ok(Created {
        token: field("token")?,
        made: field("made")?,
        expires: field("expires")?,
    })
}

/// The authority of a running cluster is replaced: nobody is shut out, every node has a new
/// certificate at the end, and the old authority is believed by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_replaced_while_everything_runs() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let before = callers::certificates(&cluster)?;
    let begun = cluster
        .cli
        .ok(&["cluster", "ca", "rotate", "-o", "json"])
        .await?;
    let begun: serde_json::Value = serde_json::from_str(&begun.stdout)?;
    let new = begun["ca_fingerprint"].as_str().context("no fingerprint")?;
    let old = cluster.keys.ca_fingerprint.clone();
    ensure!(new != old, "it is the same");
    cluster
        .cli
        .refused(REFUSED, &["being replaced"], &["cluster", "ca", "rotate"])
        .await?;
    // Whoever believes both is never shut out.
    let both = cluster
        .cli
        .with("FLEET_CA_FINGERPRINT", &format!("{old},{new}"));
    let within = Duration::from_secs(120);
    wait::until("the old authority to be dropped", within, async || {
        let status = both.ok(&["cluster", "status", "-o", "json"]).await?;
        let status: serde_json::Value = serde_json::from_str(&status.stdout)?;
        let believed = &status["ca_fingerprints"];
        ensure!(
            *believed == serde_json::json!([new]),
            "{believed} {}",
            status["rotation"]
        );
        Ok(())
    })
    .await?;
    let after = callers::certificates(&cluster)?;
    ensure!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before != after),
        "a node kept its certificate"
    );
    let only_new = cluster.cli.with("FLEET_CA_FINGERPRINT", new);
    wait::until(
        "every node to show its new certificate",
        wait::GENEROUS,
        async || {
            for node in &cluster.nodes {
                let one = only_new.with("FLEET_ADDRESSES", &node.api().to_string());
                one.ok(&["node", "list"]).await?;
            }
            Ok(())
        },
    )
    .await?;
    for index in 0..cluster.nodes.len() {
        let address = cluster.nodes[(index + 1) % 3].api();
        callers::old_certificates_are_refused(&before[index], &after[index], address).await?;
    }
    cluster.end()
}
