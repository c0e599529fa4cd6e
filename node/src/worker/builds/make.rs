//! One build, from its source to an archive.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
};

use super::{
    Ended, Failure, Packed, RETRY, Shared, Stage, directory,
    log::{Copy, Follower},
    log_in,
    order::{BuildCommand, BuildOrder, Plan},
};
use crate::{
    blobs::{Object, archive, digest},
    worker::{
        artefacts::Source,
        assignment,
        machine::chain,
        runtime::{
            Command, Limits,
            workshop::{BuildKey, BuildStep, TREE, Workshop},
        },
        supervisor::Exit,
    },
};

/// What a build step may use of its worker: as much as a small machine of a build service has.
const LIMITS: Limits = Limits {
    memory_bytes: Some(2 << 30),
    cpu_millicores: Some(2_000),
    pids: None,
};

/// Why an attempt came to nothing.
enum Trouble {
    /// The build is at fault, and stays so.
    Failed(Failure),
    /// This machine, or whoever has the source, is; and may not be a moment later.
    Later(String),
}

/// Sees a build to its end and publishes that. Dropped, it leaves its steps running.
pub(super) async fn make<W: Workshop, S: Source>(shared: Arc<Shared<W, S>>, order: BuildOrder) {
    let key = order.key.clone();
    let publish = |stage| {
        shared.publish.send_modify(|view| {
            view.insert(key.clone(), stage);
        });
    };
    publish(Stage::Running);
    let end = loop {
        match attempt(&shared, &order).await {
            Ok(made) => break Ok(made),
            Err(Trouble::Failed(failure)) => break Err(failure),
            Err(Trouble::Later(reason)) => {
                tracing::warn!(build = %key, reason, "will be tried again");
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    let log = log_in(&directory(&shared.root, &key));
    let log = blocking(move || named(&log)).await;
    if let Err(error) = &log {
        tracing::warn!(build = %key, %error, "the log of a build is lost");
    }
    publish(Stage::Ended(Arc::new(Ended { end, log: log.ok() })));
}

async fn attempt<W: Workshop, S: Source>(
    shared: &Shared<W, S>,
    order: &BuildOrder,
) -> Result<Packed, Trouble> {
    let key = &order.key;
    let plan = order
        .plan
        .as_ref()
        .map_err(|reason| failed(reason.clone()))?;
    let directory = directory(&shared.root, key);
    prepare(shared, key, plan, &directory).await?;
    let log = log_in(&directory);
    let mut copy = blocking(move || Copy::create(&log))
        .await
        .map_err(|error| Trouble::Later(format!("its log cannot be written: {error}")))?;
    for (number, command) in plan.commands.iter().enumerate() {
        let exit;
        (copy, exit) = step(shared, plan, key, (number, command), &directory, copy).await?;
        if is_unseen(&exit) {
            // Neither to be believed nor to be gone on with: all of it is begun anew.
            let closed = shared.workshop.close(key).await;
            closed.map_err(|error| Trouble::Later(chain(&error)))?;
            return Err(Trouble::Later("nobody saw how its step ended".to_owned()));
        }
        if let Some(problem) = exit.problem() {
            return Err(Trouble::Failed(Failure {
                reason: format!("build step of {} {problem}", command.service),
                last_lines: exit.last_lines,
            }));
        }
    }
    let created = plan.created;
    blocking(move || packed(&directory, created)).await
}

/// Sees to it that the source lies there as no step has touched it, or as the steps left it.
async fn prepare<W: Workshop, S: Source>(
    shared: &Shared<W, S>,
    key: &BuildKey,
    plan: &Plan,
    directory: &Path,
) -> Result<(), Trouble> {
    let begun = shared.workshop.begun().await;
    if begun
        .map_err(|error| Trouble::Later(chain(&error)))?
        .contains(key)
    {
        return Ok(());
    }
    let failed_at = |error: io::Error| Trouble::Later(format!("{}: {error}", directory.display()));
    match tokio::fs::remove_dir_all(directory).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed_at(error)),
        Ok(()) | Err(_) => {}
    }
    // On this thread: a build that is ended meanwhile must not come back with its directory. The
    // steps pass through it and change nothing in it, so that their tree cannot be exchanged.
    let made = std::fs::DirBuilder::new().mode(0o711).create(directory);
    made.map_err(failed_at)?;
    let tree = directory.join(TREE);
    let unpacked = shared.source.unpack(&plan.source, &tree).await;
    unpacked.map_err(|error| match error.hopeless {
        true => failed(error.reason),
        false => Trouble::Later(error.reason),
    })?;
    let opened = shared.workshop.open(key, directory).await;
    opened.map_err(|error| Trouble::Later(chain(&error)))
}

async fn step<W: Workshop, S: Source>(
    shared: &Shared<W, S>,
    plan: &Plan,
    key: &BuildKey,
    (number, command): (usize, &BuildCommand),
    directory: &Path,
    mut copy: Copy,
) -> Result<(Copy, Exit), Trouble> {
    let later = |error: io::Error| Trouble::Later(format!("its log: {error}"));
    copy.heading(&format!("{}: {}", command.service, command.command))
        .map_err(later)?;
    let follower = Follower::new(shared.workshop.log(key, number));
    let step = BuildStep {
        key: key.clone(),
        number,
        directory: directory.to_owned(),
        path: command.path.clone(),
        command: match &command.command {
            assignment::Command::Line(line) => Command::Line(line.clone()),
            assignment::Command::Words(words) => Command::Words(words.clone()),
        },
        env: environment(plan, key, command),
        limits: LIMITS,
    };
    let following = follower.follow(copy);
    let exit = shared.workshop.run(step).await;
    let copy = following.end().await;
    let copy = copy.map_err(later)?;
    match exit {
        Ok(exit) => Ok((copy, exit.into())),
        Err(error) if error.is_transient() => Err(Trouble::Later(chain(&error))),
        Err(error) => Err(failed(format!(
            "build step of {} could not be started: {}",
            command.service,
            chain(&error)
        ))),
    }
}

/// Ended while no holder was there, as when the machine went down.
fn is_unseen(exit: &Exit) -> bool {
    (exit.code, exit.signal, exit.out_of_memory) == (None, None, false)
}

/// The arguments of the manifest and the system variables, which win. Never a variable of a
/// release: an artefact is public to all environments.
fn environment(plan: &Plan, key: &BuildKey, command: &BuildCommand) -> BTreeMap<String, String> {
    let mut environment = command.arguments.clone();
    let system = [("APP", plan.app.as_str()), ("BUILD", key.build.as_str())];
    environment.extend(system.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}

/// Packs what the steps left and looks at it as at any archive that comes from outside.
fn packed(directory: &Path, created: u64) -> Result<Packed, Trouble> {
    let file = directory.join("artefact.tar");
    let later = |error: io::Error| Trouble::Later(format!("{}: {error}", file.display()));
    let mut out = BufWriter::new(File::create(&file).map_err(later)?);
    let packed = archive::pack(&directory.join(TREE), created, &mut out);
    packed.map_err(|error| match error.source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Later(chain(&error)),
        _ => failed(format!(
            "what the build step left cannot be packed: {error}"
        )),
    })?;
    out.flush().map_err(later)?;
    let packed = BufReader::new(File::open(&file).map_err(later)?);
    archive::inspect(packed, &archive::Limits::default()).map_err(|error| {
        failed(format!(
            "what the build step left is refused: {}",
            chain(&error)
        ))
    })?;
    named(&file).map_err(later)
}

/// A file under the name of its content.
fn named(file: &Path) -> io::Result<Packed> {
    let mut hasher = digest::Hasher::default();
    let mut content = File::open(file)?;
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match io::Read::read(&mut content, &mut buffer)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
    Ok(Packed {
        object: Object {
            digest: hasher.finish(),
            size,
        },
        file: file.to_owned(),
    })
}

fn failed(reason: String) -> Trouble {
    Trouble::Failed(Failure {
        reason,
        last_lines: Vec::new(),
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Cancelled: the agent is ending.
        Err(_) => std::future::pending().await,
    }
}
