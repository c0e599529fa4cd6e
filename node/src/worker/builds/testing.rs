//! A workshop whose steps are closures.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::UNIX_EPOCH,
};

use super::Builds;
use crate::worker::{
    artefacts::Source,
    assignment::{Artefact, Command},
    hands::FetchError,
    runtime::{
        self, Exit, ExitStatus,
        workshop::{BuildKey, BuildStep, TREE, Workshop},
    },
};

/// Runs a line that names a file by writing it, one that begins with `exit` by failing so, `hang`
/// without end, and `vanish` unseen the first time.
pub(crate) struct Bench {
    logs: PathBuf,
    pub(super) begun: Mutex<BTreeSet<BuildKey>>,
    pub(super) steps: Mutex<Vec<BuildStep>>,
    vanished: AtomicBool,
}

impl Bench {
    pub(super) fn new(logs: &Path) -> Arc<Self> {
        Arc::new(Self {
            logs: logs.to_owned(),
            begun: Mutex::default(),
            steps: Mutex::default(),
            vanished: AtomicBool::new(false),
        })
    }

    fn exit(code: i32, line: &str) -> Exit {
        Exit {
            status: ExitStatus::Code(code),
            out_of_memory: false,
            tenure_over: false,
            at: UNIX_EPOCH,
            last_lines: vec![line.to_owned()],
        }
    }
}

impl Workshop for Bench {
    async fn begun(&self) -> Result<BTreeSet<BuildKey>, runtime::Error> {
        Ok(self.begun.lock().unwrap().clone())
    }

    async fn open(&self, _: &BuildKey, directory: &Path) -> Result<(), runtime::Error> {
        assert!(directory.join(TREE).is_dir());
        Ok(())
    }

    async fn run(&self, step: BuildStep) -> Result<Exit, runtime::Error> {
        self.begun.lock().unwrap().insert(step.key.clone());
        self.steps.lock().unwrap().push(step.clone());
        let runtime::Command::Line(line) = &step.command else {
            panic!("only lines are understood");
        };
        let log = self.log(&step.key, step.number);
        fs::create_dir_all(&log).unwrap();
        let stamp = "1970-01-01T00:00:00.000Z out";
        fs::write(log.join("current"), format!("{stamp} ran {line}\n")).unwrap();
        if line == "hang" {
            std::future::pending::<()>().await;
        }
        if line == "vanish" && !self.vanished.swap(true, Ordering::SeqCst) {
            let status = ExitStatus::Unknown;
            return Ok(Exit {
                status,
                ..Self::exit(0, "")
            });
        }
        if let Some(code) = line.strip_prefix("exit ") {
            return Ok(Self::exit(code.parse().unwrap(), "no such header"));
        }
        let place = step.directory.join(TREE).join(&step.path);
        fs::write(place.join(line), line).unwrap();
        Ok(Self::exit(0, ""))
    }

    fn log(&self, key: &BuildKey, number: usize) -> PathBuf {
        self.logs.join(format!("{key}.{number}"))
    }

    async fn close(&self, key: &BuildKey) -> Result<(), runtime::Error> {
        self.begun.lock().unwrap().remove(key);
        Ok(())
    }
}

/// Gives a tree with a manifest and a directory `web`.
#[derive(Clone, Default)]
pub(super) struct Unpacking(pub(super) Arc<AtomicUsize>);

impl Source for Unpacking {
    async fn unpack(&self, _: &Artefact, directory: &Path) -> Result<(), FetchError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        fs::create_dir_all(directory.join("web")).unwrap();
        fs::write(directory.join("fleet.yml"), "services: {}\n").unwrap();
        Ok(())
    }
}

/// For sessions that are about something else.
pub(crate) fn idle(root: &Path) -> Builds {
    Builds::start(root.to_owned(), Bench::new(root), Unpacking::default()).unwrap()
}

pub(super) fn line(line: &str) -> Command {
    Command::Line(line.to_owned())
}
