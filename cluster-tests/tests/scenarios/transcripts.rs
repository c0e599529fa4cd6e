//! The transcripts users know, in both argument orders, against a real cluster. Times, commit names
//! and the domain differ from run to run and are replaced; everything else is compared exactly.
//! (The same tables with fixed clock and ids are golden tests of the client.)

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn releasing_and_going_back_read_as_they_always_did() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    shop.ok(&["apps", "create", app::APP]).await?;
    let (old, new) = (sources.version("one")?, sources.version("two")?);
    for name in [&old, &new] {
        app::create_release(&shop, name).await?;
    }

    // Name first, as in `fleet env prod load`.
    for name in [&old, &new] {
        // Results go to standard output, what `--wait` tells meanwhile to standard error.
        let said = shop
            .ok(&["env", "prod", "load", name, "--wait"])
            .await?
            .stdout;
        let line = format!("Release {name} is now being loaded into environment prod");
        ensure!(said.trim() == line, "{said}");
        let said = shop
            .ok(&["env", "prod", "activate", name, "--wait"])
            .await?
            .stdout;
        let line = format!("Release {name} is now being activated for environment prod");
        ensure!(said.trim() == line, "{said}");
    }

    // Verb first, as in `fleet env describe prod`: the same table.
    let verb_first = describe(
        &shop.ok(&["env", "describe", "prod"]).await?.stdout,
        &old,
        &new,
    );
    let name_first = describe(
        &shop.ok(&["env", "prod", "describe"]).await?.stdout,
        &old,
        &new,
    );
    ensure!(verb_first == name_first, "{verb_first}\n{name_first}");
    ensure!(
        verb_first == EXPECTED.trim(),
        "\n{verb_first}\nexpected:\n{EXPECTED}"
    );

    // Going back, verb first.
    let said = shop
        .ok(&["env", "activate", "prod", &old, "--wait"])
        .await?
        .stdout;
    let line = format!("Release {old} is now being activated for environment prod");
    ensure!(said.trim() == line, "{said}");
    let table = describe(
        &shop.ok(&["env", "describe", "prod"]).await?.stdout,
        &old,
        &new,
    );
    ensure!(table.contains("OLDNAME  * ACTIVE *"), "{table}");
    ensure!(table.contains("NEWNAME  RUNNING"), "{table}");
    ensure!(table.contains("previous release  NEWNAME"), "{table}");
    cluster.end()
}

const EXPECTED: &str = "
----------------  -------------------------
name              prod
status            RUNNING
whitelist         allow-all
ssl certificate   self-signed
created           YYYY-MM-DD HH:MM:SS+00:00
updated           YYYY-MM-DD HH:MM:SS+00:00
health check      OFF
tracked branches
previous release  OLDNAME
autoscaling min   2
autoscaling max   10
----------------  -------------------------

Releases:
name     status      loaded                     updated                      frontends
-------  ----------  -------------------------  -------------------------  -----------
NEWNAME  * ACTIVE *  YYYY-MM-DD HH:MM:SS+00:00  YYYY-MM-DD HH:MM:SS+00:00            2
OLDNAME  RUNNING     YYYY-MM-DD HH:MM:SS+00:00  YYYY-MM-DD HH:MM:SS+00:00            2

Endpoints:
-----  -------------------------
admin  admin.prod.shop.localhost
www    www.prod.shop.localhost
-----  -------------------------
";

/// The table with what differs from run to run replaced by words of the same width.
fn describe(text: &str, old: &str, new: &str) -> String {
    let lines: Vec<String> = text
        .replace(old, "OLDNAME")
        .replace(new, "NEWNAME")
        .lines()
        .map(|line| without_times(line).trim_end().to_owned())
        .collect();
    lines.join("\n").trim().to_owned()
}

/// `2026-01-02 03:04:05+00:00` becomes `YYYY-MM-DD HH:MM:SS+00:00`.
fn without_times(line: &str) -> String {
    const PATTERN: &[u8] = b"dddd-dd-dd dd:dd:dd+00:00";
    let fits = |window: &[u8]| {
        window
            .iter()
            .zip(PATTERN)
            .all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let mut line = line.to_owned();
    while let Some(at) = line.as_bytes().windows(PATTERN.len()).position(fits) {
        line.replace_range(at..at + PATTERN.len(), "YYYY-MM-DD HH:MM:SS+00:00");
    }
    line
}
