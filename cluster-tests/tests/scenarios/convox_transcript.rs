//! The predecessor's page about releases, in its order, with `fleet` against a real cluster. Ids,
//! times and the names of frontends and nodes differ from run to run and are replaced; everything
//! else is compared exactly. (The same page with fixed ids is a golden test of the client.)

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::binaries::source_root;
use fleet_cluster_tests::cli::Cli;
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::repository::Repository;
use fleet_cluster_tests::told::Told;
use fleet_cluster_tests::wait;

const APP: &str = "myapp";

const MANIFEST: &str = "\
services:
  web:
    build: .
    command: [/usr/bin/python3, -I, -B, shop.py]
    port: 5000
    health:
      path: /health
      interval: 2
      timeout: 1
      grace: 5
    environment:
      - FAIL=
    scale: 1
";

/// A repository with the page's commit, in a directory that is called like the app.
fn repository(cluster: &Cluster) -> Result<Repository> {
    let mut repository = Repository::create(&cluster.path().join(APP))?;
    repository.copy_from(&source_root().join("examples/shop"))?;
    repository.write("fleet.yml", MANIFEST)?;
    repository.write("VERSION", "one\n")?;
    repository.commit("my commit message")?;
    Ok(repository)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_about_releases_holds_on_a_real_cluster() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let repository = repository(&cluster)?;
    let cli = cluster.cli.in_dir(&repository.dir);
    cli.ok(&["apps", "create", APP]).await?;
    let mut page = Page::new(cli);

    page.reads("build -a myapp", BUILD).await?;
    // The page leaves out that its first release was promoted before the second was made.
    page.promotes("releases promote -a myapp", "Promoting R1...")
        .await?;
    page.reads("env set FOO=bar -a myapp", SET).await?;
    page.reads("releases -a myapp", RELEASES).await?;
    page.reads("releases info R2 -a myapp", INFO).await?;
    page.promotes("releases promote R2 -a myapp", "Promoting R2...")
        .await?;
    let manifest = page.run("releases manifest R2 -a myapp").await?;
    ensure!(manifest == MANIFEST, "{manifest}");
    let opening = "Rolling back to R1... OK, R3";
    page.promotes("releases rollback R1 -a myapp", opening)
        .await?;
    page.reads("releases -a myapp", AFTER).await?;
    cluster.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_fails_says_why_and_one_lost_sight_of_is_found_again() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let repository = repository(&cluster)?;
    let cli = cluster.cli.in_dir(&repository.dir);
    cli.ok(&["apps", "create", APP]).await?;
    cli.ok(&["deploy", "-a", APP]).await?;

    // The command line is killed once the rollout is under way; asked again, it shows the rest.
    let newest = cli.ok(&["env", "set", "FOO=bar", "--id"]).await?.stdout;
    let newest = newest.trim();
    let mut watcher = cli.spawn(&["releases", "promote", newest])?;
    let opening = format!("Promoting {newest}...\n");
    Told::by(&mut watcher)?.until(&opening).await?;
    watcher.kill().await?;
    let rest = cli.ok(&["releases", "promote", newest, "--wait"]).await?;
    ensure!(rest.stdout.starts_with(&opening), "{rest}");
    ensure!(rest.stdout.ends_with("\nOK\n"), "{rest}");
    let active = cli.ok(&["releases", "--limit", "1"]).await?.stdout;
    ensure!(active.contains(&format!("{newest}  active")), "{active}");

    let failed = cli.run(&["env", "set", "FAIL=exit", "-p"]).await?;
    ensure!(failed.code == 1, "{failed}");
    ensure!(
        failed.stdout.contains("Status: Updating => Rollback"),
        "{failed}"
    );
    ensure!(failed.stderr.contains("error: "), "{failed}");
    wait::until_true("the app to be as it was", async || {
        let info = cli.run(&["apps", "info"]).await;
        info.is_ok_and(|info| {
            info.stdout.contains("Status      running") && info.stdout.contains(newest)
        })
    })
    .await?;
    cluster.end()
}

const BUILD: &str = "
Packaging source... OK
Uploading source... OK
Starting build... OK
Build: B1
Release: R1
";

const SET: &str = "
Setting FOO... OK
Release: R2
";

const RELEASES: &str = "
ID STATUS BUILD CREATED DESCRIPTION
R2 B1 AGO env add:FOO
R1 active B1 AGO build HASH my commit message
";

const INFO: &str = "
Id R2
Build B1
Created TIME
Description env add:FOO
Env FOO=bar
";

/// The copy has its source's description, and the variables of that time.
const AFTER: &str = "
ID STATUS BUILD CREATED DESCRIPTION
R3 active B1 AGO build HASH my commit message
R2 B1 AGO env add:FOO
R1 B1 AGO build HASH my commit message
";

/// Lines that the story of every promotion has, in this order; others may stand between.
const STORY: &[&str] = &[
    "system/app Status: Running => Pending",
    "system/app Status: Pending => Updating",
    "system/web Scaled up web of",
    "Placed on",
    "Fetched artefact B1",
    "Started",
    "Healthy",
    "system/app Status: Updating => Running",
];

/// One reader of the page: knows the ids it has seen, `R1` for the first release.
struct Page {
    cli: Cli,
    ids: BTreeMap<String, String>,
}

impl Page {
    fn new(cli: Cli) -> Page {
        Page {
            cli,
            ids: BTreeMap::new(),
        }
    }

    /// Runs a line that must print exactly this.
    async fn reads(&mut self, line: &str, expected: &str) -> Result<()> {
        let printed = self.run(line).await?;
        let printed = self.masked(&printed);
        ensure!(
            printed.trim() == expected.trim(),
            "`fleet {line}` printed\n{printed}\nexpected\n{expected}"
        );
        Ok(())
    }

    /// Runs a line that must tell the story of a promotion between its opening and OK.
    async fn promotes(&mut self, line: &str, opening: &str) -> Result<()> {
        let printed = self.run(line).await?;
        let printed = self.masked(&printed);
        let mut lines = printed.lines();
        ensure!(lines.next() == Some(opening), "{printed}");
        ensure!(lines.next_back() == Some("OK"), "{printed}");
        let mut wanted = STORY.iter().peekable();
        for line in lines {
            let step = line
                .strip_prefix("TIME system/")
                .with_context(|| format!("{line:?} is no step of a story\n{printed}"))?;
            if wanted
                .peek()
                .is_some_and(|wanted| format!("system/{step}").contains(**wanted))
            {
                wanted.next();
            }
        }
        ensure!(
            wanted.peek().is_none(),
            "no {:?} in its place\n{printed}",
            wanted.peek()
        );
        Ok(())
    }

    /// Runs a line, with the ids that its `R1` stand for.
    async fn run(&self, line: &str) -> Result<String> {
        let known = |word: &str| {
            let found = self.ids.iter().find(|(_, name)| *name == word);
            found.map_or_else(|| word.to_owned(), |(id, _)| id.clone())
        };
        let words: Vec<String> = line.split(' ').map(known).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(self.cli.ok(&words).await?.stdout)
    }

    /// The text with single spaces, and with names for what differs from run to run.
    fn masked(&mut self, text: &str) -> String {
        let lines: Vec<String> = text.lines().map(|line| self.masked_line(line)).collect();
        lines.join("\n")
    }

    fn masked_line(&mut self, line: &str) -> String {
        let mut out: Vec<String> = Vec::new();
        for word in line.split_whitespace() {
            match word {
                // `5 minutes ago`, `now`
                "ago" => {
                    out.truncate(out.len().saturating_sub(2));
                    out.push("AGO".to_owned());
                }
                "now" => out.push("AGO".to_owned()),
                _ => out.push(self.masked_word(word)),
            }
        }
        out.join(" ")
    }

    fn masked_word(&mut self, word: &str) -> String {
        let bare = word.trim_end_matches(['.', ',']);
        let tail = &word[bare.len()..];
        if is_id(bare) {
            return format!("{}{tail}", self.name_of(bare));
        }
        if is_time(bare) {
            return "TIME".to_owned();
        }
        let hash = bare.len() == 12 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        if hash {
            "HASH".to_owned()
        } else {
            word.to_owned()
        }
    }

    /// `R1` for the first release seen, `B1` for the first build.
    fn name_of(&mut self, id: &str) -> String {
        if let Some(name) = self.ids.get(id) {
            return name.clone();
        }
        let kind = &id[..1];
        let number = self.ids.values().filter(|n| n.starts_with(kind)).count() + 1;
        let name = format!("{kind}{number}");
        self.ids.insert(id.to_owned(), name.clone());
        name
    }
}

/// `R` or `B` and ten uppercase letters.
fn is_id(word: &str) -> bool {
    let letters = word.strip_prefix(['R', 'B']).unwrap_or_default();
    letters.len() == 10 && letters.bytes().all(|b| b.is_ascii_uppercase())
}

/// `2019-01-01T00:00:49Z`.
fn is_time(word: &str) -> bool {
    let pattern = b"dddd-dd-ddTdd:dd:ddZ";
    word.len() == pattern.len()
        && word
            .bytes()
            .zip(pattern)
            .all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                other => byte == *other,
            })
}
