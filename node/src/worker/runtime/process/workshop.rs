//! Build steps as plain processes of the node. The holder knows the second one of an attempt as
//! `b-babcdefghij-1.1`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    OPEN_FILES, ProcessRuntime, command, ended, environment,
    names::{build_key, build_step_id},
    rights::{self, Owner},
    unavailable,
};
use crate::{
    holder::{self, ProcessSpec, Refusal},
    worker::runtime::{
        Error, Exit,
        workshop::{BuildKey, BuildStep, TREE, Workshop},
    },
};

/// What is in the directory of a build beside its tree: the `HOME` and `TMPDIR` of its steps.
const OWN: &str = "own";

impl ProcessRuntime {
    fn step(&self, step: BuildStep) -> Result<ProcessSpec, Error> {
        let BuildStep {
            key,
            number,
            directory,
            path,
            command,
            env,
            limits,
        } = step;
        let user = self.user(&Owner::Build(key.clone()))?;
        let own = self
            .directories
            .make_in(&directory.join(OWN), user, &[&directory])?;
        let tree = directory.join(TREE);
        let env: BTreeMap<_, _> = environment(env, &own);
        let name = build_step_id(&key, number);
        let mut process = ProcessSpec::new(name, command::argv(&command, &env)?);
        process.sandbox = rights::sandbox(&tree, &own, None);
        if let Some(landlock) = &mut process.sandbox.landlock {
            landlock.write.push(tree.clone());
        }
        process.user = user;
        process.limits = holder::Limits {
            memory_bytes: limits.memory_bytes,
            cpu_millicores: limits.cpu_millicores,
            pids: limits.pids,
            open_files: Some(OPEN_FILES),
        };
        process.env = env;
        process.cwd = tree.join(path);
        Ok(process)
    }
}

impl Workshop for ProcessRuntime {
    async fn begun(&self) -> Result<BTreeSet<BuildKey>, Error> {
        let list = self.holder.list().await.map_err(unavailable)?;
        let keys = list.iter().filter_map(|process| build_key(&process.id));
        Ok(keys.collect())
    }

    async fn open(&self, key: &BuildKey, directory: &Path) -> Result<(), Error> {
        let Some(user) = self.user(&Owner::Build(key.clone()))? else {
            return Ok(());
        };
        let tree = directory.join(TREE);
        let given = tokio::task::spawn_blocking(move || super::directories::give_away(&tree, user));
        match given.await {
            Ok(given) => given,
            Err(error) => Err(Error::Unavailable(Box::new(error))),
        }
    }

    async fn run(&self, step: BuildStep) -> Result<Exit, Error> {
        let plan = self.step(step)?;
        let process = self.to_its_end(plan).await.map_err(failed)?;
        ended(&process).ok_or_else(|| Error::Unavailable("it has not ended".into()))
    }

    fn log(&self, key: &BuildKey, number: usize) -> PathBuf {
        self.directories.log(&build_step_id(key, number))
    }

    async fn close(&self, key: &BuildKey) -> Result<(), Error> {
        let list = self.holder.list().await.map_err(unavailable)?;
        for process in list {
            if build_key(&process.id).as_ref() != Some(key) {
                continue;
            }
            if process.is_alive() {
                self.holder.kill(&process.id).await.map_err(failed)?;
            }
            self.holder.forget(&process.id).await.map_err(failed)?;
        }
        self.uids().give_back(&Owner::Build(key.clone()));
        Ok(())
    }
}

fn failed(error: holder::Error) -> Error {
    match error.refusal() {
        Some(Refusal::Spawn { .. }) => Error::NotExecutable {
            message: error.to_string(),
        },
        Some(Refusal::Invalid) => Error::Impossible(error.to_string()),
        _ => unavailable(error),
    }
}
