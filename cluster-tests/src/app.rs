//! The app that scenarios release: it tells which version of it answered (`fixtures/teller.py`).

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cli::Cli;
use crate::history::History;
use crate::repository::Repository;

/// Name of the app in every scenario.
pub const APP: &str = "shop";

/// How a version behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Serve,
    /// Ends at once, with status 3 and a line on standard error.
    Exit,
    /// Never listens.
    Deaf,
    /// Listens, and fails its health check.
    Sick,
}

/// A git repository of the app, version by version.
#[derive(Debug)]
pub struct Teller {
    pub repository: Repository,
}

impl Teller {
    /// An empty repository below `root`, in a directory that is called like the app.
    pub fn create(root: &Path) -> Result<Teller> {
        let repository = Repository::create(&root.join(APP))?;
        repository.write("teller.py", include_str!("../fixtures/teller.py"))?;
        Ok(Teller { repository })
    }

    /// Commits a version that serves and returns the commit's name.
    pub fn version(&mut self, label: &str) -> Result<String> {
        self.commit(label, Mode::Serve)
    }

    pub fn commit(&mut self, label: &str, mode: Mode) -> Result<String> {
        self.repository.write("VERSION", &format!("{label}\n"))?;
        self.repository.write("fleet.yml", &manifest(mode))?;
        self.repository.commit(&format!("Version {label}"))
    }
}

fn manifest(mode: Mode) -> String {
    let word = match mode {
        Mode::Serve => "serve",
        Mode::Exit => "exit",
        Mode::Deaf => "deaf",
        Mode::Sick => "sick",
    };
    // A short grace, so that what never becomes healthy fails within a test's patience.
    format!(
        "services:\n  \
           www:\n    \
             command: python3 teller.py {word}\n    \
             port: 8000\n    \
             health: {{ path: /health, interval: 5, timeout: 2, grace: 5 }}\n  \
           admin:\n    \
             command: python3 teller.py serve\n    \
             port: 8000\n    \
             health: /health\n    \
             scale: 1\n"
    )
}

/// The public host of a service in `prod`.
pub fn host(service: &str) -> String {
    format!("{service}.prod.{APP}.{}", crate::cluster::DOMAIN)
}

/// The host of a service of a loaded release that is not active.
pub fn inactive_host(service: &str, release: &str) -> String {
    format!("{service}.{release}.prod.{APP}.{}", crate::cluster::DOMAIN)
}

/// Makes a release of a commit and waits until it is available.
pub async fn create_release(cli: &Cli, commit: &str) -> Result<()> {
    cli.ok(&["release", "create", commit, "-a", APP, "--wait"])
        .await
        .map(drop)
}

/// Loads a release into `prod` and waits until all of its frontends are healthy.
pub async fn load(cli: &Cli, release: &str) -> Result<()> {
    cli.ok(&["env", "prod", "load", release, "-a", APP, "--wait"])
        .await
        .map(drop)
}

/// Makes a loaded release active and waits until every ingress has confirmed.
pub async fn activate(cli: &Cli, release: &str) -> Result<()> {
    cli.ok(&["env", "prod", "activate", release, "-a", APP, "--wait"])
        .await
        .map(drop)
}

/// The whole path of a version: created, loaded, active. Returns the release's name.
pub async fn go_live(cli: &Cli, teller: &mut Teller, label: &str) -> Result<String> {
    let name = teller.version(label)?;
    let cli = cli.in_dir(&teller.repository.dir);
    if teller.repository.commits == 1 {
        cli.ok(&["apps", "create", APP]).await?;
    }
    create_release(&cli, &name)
        .await
        .context("creating the release")?;
    load(&cli, &name).await.context("loading it")?;
    activate(&cli, &name).await.context("activating it")?;
    Ok(name)
}

/// The version that answered, from the body of an answer.
pub fn version_in(body: &str) -> &str {
    body.split_whitespace().next().unwrap_or_default()
}

/// How many answers of `label` a history holds.
pub fn answers_of(history: &History, label: &str) -> usize {
    let bodies = history
        .exchanges
        .iter()
        .filter_map(|exchange| exchange.body());
    bodies.filter(|body| version_in(body) == label).count()
}
