//! What a session tells of builds: what their steps say, and how they end. What was made is sent
//! to the leader of the session first, so that whoever is told of it has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fleet_proto::internal::{self as wire, build_ended::End, worker_report::Report as Saying};
use tokio::{sync::mpsc, time::timeout};

use super::{Builds, Ended, Packed, Stage, log};
use crate::{
    blobs::send,
    trust::Trust,
    worker::{machine::chain, runtime::workshop::BuildKey},
};

/// How often a log that may grow is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Rest before something is sent again that was refused.
const RETRY: Duration = Duration::from_secs(2);

/// Bytes of one message, and of what a session begins with.
const PIECE: u64 = 64 << 10;
const TAIL: u64 = 1 << 20;

/// A leader that takes nothing for this long is as good as gone.
const TAKE_WITHIN: Duration = Duration::from_secs(3);

/// Tells until the leader at `address` takes no more; returns why.
pub(crate) async fn tell(
    builds: Builds,
    address: &str,
    trust: &Trust,
    reports: mpsc::Sender<wire::WorkerReport>,
) -> String {
    let mut teller = Teller {
        address,
        trust,
        reports,
        offsets: BTreeMap::new(),
        told: BTreeSet::new(),
    };
    let mut views = builds.view();
    loop {
        let view = views.borrow_and_update().clone();
        teller.told.retain(|key| view.contains_key(key));
        teller.offsets.retain(|key, _| view.contains_key(key));
        let mut pause = None;
        for (key, stage) in &view {
            if teller.told.contains(key) {
                continue;
            }
            pause = match teller.build(&builds, key, stage).await {
                Ok(()) => Some(LOOK),
                Err(Trouble::Closed(why)) => return why,
                Err(Trouble::Later(reason)) => {
                    tracing::warn!(build = %key, reason, "will be told again");
                    Some(RETRY)
                }
            };
        }
        let changed = match pause {
            None => views.changed().await,
            Some(pause) => timeout(pause, views.changed()).await.unwrap_or(Ok(())),
        };
        if changed.is_err() {
            return "the builds have ended".to_owned();
        }
    }
}

enum Trouble {
    Closed(String),
    Later(String),
}

struct Teller<'a> {
    address: &'a str,
    trust: &'a Trust,
    reports: mpsc::Sender<wire::WorkerReport>,
    /// How much of each log was sent.
    offsets: BTreeMap<BuildKey, u64>,
    /// Those whose end was told.
    told: BTreeSet<BuildKey>,
}

impl Teller<'_> {
    async fn build(
        &mut self,
        builds: &Builds,
        key: &BuildKey,
        stage: &Stage,
    ) -> Result<(), Trouble> {
        self.output(builds, key).await?;
        if let Stage::Ended(ended) = stage {
            self.send(Saying::BuildEnded(self.ended(key, ended).await?))
                .await?;
            self.told.insert(key.clone());
        }
        Ok(())
    }

    /// Sends what a log holds beyond what was sent.
    async fn output(&mut self, builds: &Builds, key: &BuildKey) -> Result<(), Trouble> {
        loop {
            let (path, known) = (builds.log(key), self.offsets.get(key).copied());
            let read = tokio::task::spawn_blocking(move || {
                let offset = known.map_or_else(|| log::tail(&path, TAIL), Ok)?;
                Ok((offset, log::piece(&path, offset, PIECE)?))
            });
            let read: std::io::Result<(u64, Vec<u8>)> =
                read.await.unwrap_or_else(|error| Err(error.into()));
            let (offset, data) = read.map_err(|error| Trouble::Later(error.to_string()))?;
            if data.is_empty() {
                return Ok(());
            }
            self.offsets.insert(key.clone(), offset + data.len() as u64);
            let output = wire::BuildOutput {
                build_id: key.build.to_string(),
                attempt: key.attempt,
                offset,
                data: data.into(),
                first: known.is_none(),
            };
            self.send(Saying::BuildOutput(output)).await?;
        }
    }

    async fn ended(&self, key: &BuildKey, ended: &Ended) -> Result<wire::BuildEnded, Trouble> {
        let end = match &ended.end {
            Ok(made) => End::Artefact(self.hand_over(made).await?),
            Err(failure) => End::Failed(wire::BuildFailure {
                reason: failure.reason.clone(),
                last_lines: failure.last_lines.clone(),
            }),
        };
        let log = match &ended.log {
            Some(log) => Some(self.hand_over(log).await?),
            None => None,
        };
        Ok(wire::BuildEnded {
            build_id: key.build.to_string(),
            attempt: key.attempt,
            end: Some(end),
            log,
        })
    }

    /// Sees to it that the leader holds it.
    async fn hand_over(&self, packed: &Packed) -> Result<wire::Object, Trouble> {
        let Packed { object, file } = packed;
        let sent = send::send(object, file, self.address, self.trust).await;
        sent.map_err(|error| Trouble::Later(chain(&error)))?;
        Ok(wire::Object {
            digest: object.digest.to_string(),
            size: object.size,
        })
    }

    async fn send(&self, report: Saying) -> Result<(), Trouble> {
        let report = wire::WorkerReport {
            report: Some(report),
        };
        match timeout(TAKE_WITHIN, self.reports.send(report)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Trouble::Closed("the connection is closed".to_owned())),
            Err(_) => Err(Trouble::Closed("control takes no reports".to_owned())),
        }
    }
}
