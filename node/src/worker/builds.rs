//! Build steps that this worker runs: from the source to an archive of what became of it.
//!
//! Control says which attempts there shall be, always all of them; what is not named any more is
//! ended, and nothing of it stays. Nothing is written down here: what an agent needs to go on where
//! another died, the holder and the disk tell it. A source that no step has touched is unpacked
//! anew, a step that was started is never started again, and what the steps left is packed as often
//! as needed, to the same bytes.
//!
//! Absent on purpose: sending what was made, which is the business of a session ([`tell`]), and
//! another attempt, which is control's.

mod log;
mod make;
mod order;
mod tell;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

pub(crate) use self::{order::BuildOrder, tell::tell};
use super::{
    artefacts::Source,
    machine::chain,
    runtime::workshop::{BuildKey, Workshop},
};
use crate::blobs::Object;

/// Rest before another attempt at what the machine refused.
const RETRY: Duration = Duration::from_secs(1);

/// To talk to the builds of this worker; they end when the last handle is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Builds {
    orders: Arc<watch::Sender<Option<Orders>>>,
    view: watch::Receiver<View>,
    root: PathBuf,
}

/// What control wants; an unreadable order is an answer too, since control waits for one.
pub(crate) type Orders = Vec<BuildOrder>;

/// How far each build is.
pub(crate) type View = BTreeMap<BuildKey, Stage>;

#[derive(Clone, Debug)]
pub(crate) enum Stage {
    Running,
    Ended(Arc<Ended>),
}

/// What a build came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: Result<Packed, Failure>,
    /// All that its steps said.
    pub(crate) log: Option<Packed>,
}

/// A file with its name as an artefact.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) object: Object,
    pub(crate) file: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) last_lines: Vec<String>,
}

impl Builds {
    /// Begins; builds lie in `root`, which is created.
    pub(crate) fn start<W: Workshop, S: Source>(
        root: PathBuf,
        workshop: Arc<W>,
        source: S,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(&root)?;
        let (orders, inbox) = watch::channel(None);
        let (publish, view) = watch::channel(View::new());
        let shared = Arc::new(Shared {
            root: root.clone(),
            workshop,
            source,
            publish,
        });
        tokio::spawn(run(shared, inbox));
        Ok(Self {
            orders: Arc::new(orders),
            view,
            root,
        })
    }

    /// Takes over what there shall be.
    pub(crate) fn obey(&self, orders: Orders) {
        self.orders.send_replace(Some(orders));
    }

    pub(crate) fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// What the steps of a build have said so far.
    pub(crate) fn log(&self, key: &BuildKey) -> PathBuf {
        log_in(&directory(&self.root, key))
    }
}

/// What the builds of a worker have in common.
struct Shared<W, S> {
    root: PathBuf,
    workshop: Arc<W>,
    source: S,
    publish: watch::Sender<View>,
}

fn directory(root: &Path, key: &BuildKey) -> PathBuf {
    root.join(key.to_string())
}

fn log_in(directory: &Path) -> PathBuf {
    directory.join("log")
}

async fn run<W: Workshop, S: Source>(
    shared: Arc<Shared<W, S>>,
    mut orders: watch::Receiver<Option<Orders>>,
) {
    let mut running: BTreeMap<BuildKey, JoinHandle<()>> = BTreeMap::new();
    while orders.changed().await.is_ok() {
        let wanted = orders.borrow_and_update().clone().unwrap_or_default();
        let named: BTreeSet<&BuildKey> = wanted.iter().map(|order| &order.key).collect();
        for (key, task) in running.extract_if(.., |key, _| !named.contains(key)) {
            task.abort();
            // It publishes nothing any more once it has ended.
            let _ = task.await;
            shared.publish.send_modify(|view| {
                view.remove(&key);
            });
        }
        sweep(&shared, &named).await;
        for order in &wanted {
            if !running.contains_key(&order.key) {
                let task = make::make(shared.clone(), order.clone());
                running.insert(order.key.clone(), tokio::spawn(task));
            }
        }
    }
}

/// Ends and removes all attempts but those that are `named`, also those of an earlier agent.
async fn sweep<W: Workshop, S: Source>(shared: &Shared<W, S>, named: &BTreeSet<&BuildKey>) {
    while let Err(reason) = sweep_once(shared, named).await {
        tracing::warn!(reason, "builds that are over could not be removed yet");
        tokio::time::sleep(RETRY).await;
    }
}

async fn sweep_once<W: Workshop, S: Source>(
    shared: &Shared<W, S>,
    named: &BTreeSet<&BuildKey>,
) -> Result<(), String> {
    let begun = shared.workshop.begun().await;
    let mut over = begun.map_err(|error| chain(&error))?;
    over.extend(lying(&shared.root).map_err(|error| error.to_string())?);
    for key in over.iter().filter(|key| !named.contains(key)) {
        let closed = shared.workshop.close(key).await;
        closed.map_err(|error| chain(&error))?;
        match tokio::fs::remove_dir_all(directory(&shared.root, key)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Attempts that have a directory.
fn lying(root: &Path) -> io::Result<Vec<BuildKey>> {
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(root)? {
        keys.extend(entry?.file_name().to_str().and_then(BuildKey::parse));
    }
    Ok(keys)
}
