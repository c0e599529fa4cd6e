//! A fake node: answers as scripted and remembers what it was asked.

mod backups;
mod certificates;
mod library;
mod logs;
mod releases;
mod services;
mod whitelists;

pub(crate) use backups::CHUNKS;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::SystemTime;

use fleet_proto::v1::apps_server::AppsServer;
use fleet_proto::v1::blobs_server::BlobsServer;
use fleet_proto::v1::builds_server::BuildsServer;
use fleet_proto::v1::certificates_server::CertificatesServer;
use fleet_proto::v1::cluster_server::ClusterServer;
use fleet_proto::v1::environments_server::EnvironmentsServer;
use fleet_proto::v1::local_server::LocalServer;
use fleet_proto::v1::logs_server::LogsServer;
use fleet_proto::v1::progress_server::ProgressServer;
use fleet_proto::v1::releases_server::ReleasesServer;
use fleet_proto::v1::services_server::ServicesServer;
use fleet_proto::v1::variables_server::VariablesServer;
use fleet_proto::v1::whitelists_server::WhitelistsServer;
use fleet_proto::v1::{ErrorDetail, ProgressLine, WaitRequest};
use fleet_trust::{Authority, Credentials, Fingerprint, Incoming, NodeKey};
use prost::Message as _;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Code, Status};

/// One call as the node saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: &'static str,
    pub(crate) request_id: String,
    pub(crate) app: String,
    pub(crate) environment: String,
    pub(crate) release: String,
    pub(crate) authorization: String,
}

/// What the node does and what it has seen.
#[derive(Default)]
pub(crate) struct Script {
    /// The next calls but reads of apps end so.
    pub(crate) refusals: VecDeque<Status>,
    pub(crate) seen: Vec<Seen>,
    /// Apps that exist.
    pub(crate) apps: Vec<String>,
    /// One stream for each wait; a stream without a final line ends early.
    pub(crate) streams: VecDeque<Vec<ProgressLine>>,
    pub(crate) waits: Vec<WaitRequest>,
    /// Blobs held, by digest.
    pub(crate) blobs: Vec<(String, Vec<u8>)>,
    /// Blobs of which some bytes have arrived.
    pub(crate) partial: Vec<(String, Vec<u8>)>,
    /// Offset at which each upload began.
    pub(crate) offsets: Vec<u64>,
    /// The next uploads break off once so many bytes have arrived.
    pub(crate) breaks: VecDeque<usize>,
    pub(crate) builds: Vec<fleet_proto::v1::CreateBuildRequest>,
    /// Names whose values are not to be shown.
    pub(crate) masked: Vec<String>,
    /// The next backups break off after so many chunks.
    pub(crate) backup_breaks: VecDeque<usize>,
    /// What was last set as the schedule of backups.
    pub(crate) schedule: Option<fleet_proto::v1::BackupSchedule>,
    /// What decides counts was changed so.
    pub(crate) changes: Vec<fleet_proto::v1::set_autoscaling_request::Change>,
    /// How logs were asked for.
    pub(crate) views: Vec<fleet_proto::v1::ViewLogRequest>,
    /// The pages of a log after the first; then it is at its end.
    pub(crate) pages: VecDeque<Vec<fleet_proto::v1::LogLine>>,
    /// What was added.
    pub(crate) certificates: Vec<fleet_proto::v1::AddCertificateRequest>,
    /// How requests were limited.
    pub(crate) limits: Vec<fleet_proto::v1::SetRequestLimitsRequest>,
    /// A promotion of the release asked for is under way already.
    pub(crate) under_way: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Fake {
    pub(crate) script: Arc<Mutex<Script>>,
}

impl Fake {
    /// Serves on a port of its own; returns its address.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let incoming = Incoming::new(listener, || CREDENTIALS.clone());
        let fake = self.clone();
        tokio::spawn(async move { fake.router().serve_with_incoming(incoming).await.unwrap() });
        address
    }

    /// Serves as the daemon of a machine.
    pub(crate) async fn serve_unix(&self, path: &Path) {
        let incoming = UnixListenerStream::new(UnixListener::bind(path).unwrap());
        let fake = self.clone();
        tokio::spawn(async move { fake.router().serve_with_incoming(incoming).await.unwrap() });
    }

    fn router(&self) -> tonic::transport::server::Router {
        Server::builder()
            .add_service(AppsServer::new(self.clone()))
            .add_service(EnvironmentsServer::new(self.clone()))
            .add_service(VariablesServer::new(self.clone()))
            .add_service(ProgressServer::new(self.clone()))
            .add_service(BlobsServer::new(self.clone()))
            .add_service(BuildsServer::new(self.clone()))
            .add_service(CertificatesServer::new(self.clone()))
            .add_service(ClusterServer::new(self.clone()))
            .add_service(ReleasesServer::new(self.clone()))
            .add_service(ServicesServer::new(self.clone()))
            .add_service(LocalServer::new(self.clone()))
            .add_service(LogsServer::new(self.clone()))
            .add_service(WhitelistsServer::new(self.clone()))
    }

    pub(crate) fn refuse(&self, status: Status) {
        self.script.lock().unwrap().refusals.push_back(status);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }
}

/// A status with its detail, as the real control attaches it.
pub(crate) fn status(
    code: Code,
    message: &str,
    reason: &str,
    hint: &str,
    names: &[&str],
) -> Status {
    let detail = ErrorDetail {
        reason: reason.to_owned(),
        hint: hint.to_owned(),
        candidates: names.iter().map(|&name| name.to_owned()).collect(),
    };
    Status::with_details(code, message, detail.encode_to_vec().into())
}

/// What every fake node shows.
static CREDENTIALS: LazyLock<Arc<Credentials>> = LazyLock::new(|| {
    let authority = Authority::found("c1", SystemTime::now()).unwrap();
    let key = NodeKey::generate().unwrap();
    let signed = authority.sign(1, ["control"], &key.public(), SystemTime::now());
    let authorities = vec![authority.certificate().clone()];
    let signed = signed.unwrap();
    let credentials = Credentials::new(&signed.certificate, &key, authorities, signed.begins);
    Arc::new(credentials.unwrap())
});

/// Of the authority of every fake node.
pub(crate) fn fingerprint() -> String {
    Fingerprint::of(&CREDENTIALS.authorities()[0]).to_string()
}

/// An address where nobody listens.
pub(crate) async fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// An address that takes connections and never answers.
pub(crate) async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        let mut incoming = Incoming::new(listener, || CREDENTIALS.clone());
        while let Some(Ok(stream)) = incoming.next().await {
            kept.push(stream);
        }
    });
    address
}

/// An address that takes a request, perhaps acts on it, and breaks the connection.
pub(crate) async fn breaking() -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut incoming = Incoming::new(listener, || CREDENTIALS.clone());
        while let Some(Ok(mut stream)) = incoming.next().await {
            // An empty SETTINGS frame lets the client send its request.
            let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
            let mut received = Vec::new();
            let mut buffer = [0; 4096];
            // The request is there when its path has been received along with its message.
            while received.len() < 200 {
                match stream.read(&mut buffer).await {
                    Ok(n) if n > 0 => received.extend_from_slice(&buffer[..n]),
                    _ => break,
                }
            }
        }
    });
    address
}
