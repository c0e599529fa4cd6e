//! The app that scenarios and the demo release: `examples/shop`, in a git repository of its own.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::binaries::source_root;
use crate::cli::Cli;
use crate::cluster::DOMAIN;
use crate::history::History;
use crate::repository::Repository;

/// Name of the app in every scenario.
pub const APP: &str = "shop";

/// The page that says which version answered.
pub const VERSION_PAGE: &str = "/version";

/// The shop, version by version.
#[derive(Debug)]
pub struct Shop {
    pub repository: Repository,
}

impl Shop {
    /// A repository without commits below `root`, in a directory that is called like the app.
    pub fn create(root: &Path) -> Result<Shop> {
        let repository = Repository::create(&root.join(APP))?;
        repository.copy_from(&source_root().join("examples/shop"))?;
        Ok(Shop { repository })
    }

    /// Commits a version and returns the commit's name.
    pub fn version(&mut self, label: &str) -> Result<String> {
        self.repository.write("VERSION", &format!("{label}\n"))?;
        self.repository.commit(&format!("Version {label}"))
    }
}

/// The public host of a service in `prod`.
pub fn host(service: &str) -> String {
    format!("{service}.prod.{APP}.{DOMAIN}")
}

/// The host of a service of a loaded release that is not active.
pub fn inactive_host(service: &str, release: &str) -> String {
    format!("{service}.{release}.prod.{APP}.{DOMAIN}")
}

/// Makes a release of a commit of the working directory and waits until it is available.
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

/// Sets the bounds of the counts in `prod`.
pub async fn limit(cli: &Cli, min: u32, max: u32) -> Result<()> {
    let (min, max) = (min.to_string(), max.to_string());
    let command = [
        "env",
        "prod",
        "autoscaling",
        "limits",
        &min,
        &max,
        "-a",
        APP,
    ];
    cli.ok(&command).await.map(drop)
}

/// The whole path of a version: created, loaded, active; the first makes the app. Returns the
/// release's name.
pub async fn go_live(cli: &Cli, shop: &mut Shop, label: &str) -> Result<String> {
    let name = shop.version(label)?;
    let cli = cli.in_dir(&shop.repository.dir);
    if shop.repository.commits == 1 {
        cli.ok(&["apps", "create", APP]).await?;
    }
    create_release(&cli, &name)
        .await
        .context("creating the release")?;
    load(&cli, &name).await.context("loading it")?;
    activate(&cli, &name).await.context("activating it")?;
    Ok(name)
}

/// The version that answered, from the body of [`VERSION_PAGE`]; empty if it is none.
pub fn version_in(body: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let version = parsed.as_ref().and_then(|page| page.get("version"));
    let version = version.and_then(serde_json::Value::as_str);
    version.unwrap_or_default().to_owned()
}

/// How many answers of `label` a history of [`VERSION_PAGE`] holds.
pub fn answers_of(history: &History, label: &str) -> usize {
    let bodies = history
        .exchanges
        .iter()
        .filter_map(|exchange| exchange.body());
    bodies.filter(|body| version_in(body) == label).count()
}
