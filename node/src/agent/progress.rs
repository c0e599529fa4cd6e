//! Lines that a long local call says while it goes on.

use fleet_proto::v1::LocalProgress;
use tokio::sync::mpsc;
use tonic::Status;

#[derive(Clone)]
pub(super) struct Progress(mpsc::Sender<Result<LocalProgress, Status>>);

impl Progress {
    pub(super) fn new(lines: mpsc::Sender<Result<LocalProgress, Status>>) -> Self {
        Self(lines)
    }

    /// Says one line; nobody listening is no reason to stop.
    pub(super) async fn say(&self, text: &str) {
        let _ = self
            .0
            .send(Ok(LocalProgress {
                text: text.to_owned(),
            }))
            .await;
    }

    pub(super) async fn fail(&self, status: Status) {
        let _ = self.0.send(Err(status)).await;
    }
}
