//! Callers that are not what they say, at every port that nodes listen on.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::node::Node;
use fleet_cluster_tests::wait;
use fleet_proto::internal::raft_client::RaftClient;
use fleet_proto::internal::worker_sessions_client::WorkerSessionsClient;
use fleet_proto::internal::{self as wire, RaftVoteRequest, worker_report::Report};
use fleet_proto::v1;
use fleet_trust::{
    Authority, CertificateDer, Credentials, NodeKey, Whom, certificates_from_pem, connector,
    key_from_pem, pinned,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// Long enough for a daemon that shares its processor with a compiler.
const WITHIN: Duration = Duration::from_secs(20);

/// Whatever a node listens on, but for the public entry, HTTP and HTTPS, which is for everybody, and for
/// metrics, which are shown only where an operator wants them read by whoever reaches them.
pub(super) async fn only_those_who_are_who_they_say(
    cluster: &Cluster,
    worker: usize,
) -> Result<()> {
    let founder = &cluster.nodes[0];
    let mut ports = BTreeSet::new();
    for node in &cluster.nodes {
        let mut of_node = super::ports::listening(node)?;
        of_node.remove(&node.http().port());
        of_node.remove(&node.https().port());
        let metrics = node.metrics().port();
        of_node.retain(|port| ![metrics, metrics + 1].contains(port));
        ports.extend(of_node);
    }
    let expected: BTreeSet<u16> = [founder.api().port()].into();
    ensure!(
        ports == expected,
        "listened on: {ports:?}, known here: {expected:?}"
    );
    for port in ports {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        plain_text_is_not_answered(address).await?;
        strangers_are_refused(address, cluster).await?;
        other_authorities_are_refused(address).await?;
        a_worker_is_nothing_else(address, &cluster.nodes[worker]).await?;
        nobody_speaks_for_another(address, founder).await?;
    }
    Ok(())
}

/// The preface of HTTP/2 is answered by an alert of TLS or by nothing, and the connection is closed.
async fn plain_text_is_not_answered(address: SocketAddr) -> Result<()> {
    for hello in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(hello).await?;
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        let read = tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer)).await;
        let _ = read.with_context(|| format!("{address} keeps a caller in plain text"))?;
        const ALERT: u8 = 21;
        ensure!(
            answer.first().is_none_or(|kind| *kind == ALERT),
            "{address} answered plain text: {answer:?}"
        );
    }
    Ok(())
}

/// Over TLS, without a certificate: with no token, a wrong one, and the operator's, which is good for
/// the public API and nothing else.
async fn strangers_are_refused(address: SocketAddr, cluster: &Cluster) -> Result<()> {
    let tls = pinned(&[cluster.keys.ca_fingerprint.parse()?])?;
    let connector = connector(Whom::Control, move || tls.clone());
    let channel = endpoint(address)?.connect_with_connector(connector).await?;
    let mut caller = Caller {
        channel,
        cluster: String::new(),
        node: 1,
        token: None,
    };
    let operator = Some(cluster.keys.operator_token.clone());
    for token in [None, Some("0".repeat(64)), operator.clone()] {
        caller.token = token;
        for (what, refusal) in caller.everything().await {
            let admitted = caller.token == operator && what == "api";
            let expected = (!admitted).then_some(Code::Unauthenticated);
            ensure!(refusal == expected, "{what} as a stranger: {refusal:?}");
        }
    }
    Ok(())
}

/// A node of a cluster of the same name, whose authority is another.
async fn other_authorities_are_refused(address: SocketAddr) -> Result<()> {
    let authority = Authority::found("c1", SystemTime::now())?;
    let key = NodeKey::generate()?;
    let roles = ["control", "worker", "ingress"];
    let signed = authority.sign(1, roles, &key.public(), SystemTime::now())?;
    let authorities = vec![authority.certificate().clone()];
    let credentials = Credentials::new(&signed.certificate, &key, authorities, signed.begins)?;
    // It does not believe the node, before the node can say that it does not believe it.
    let connected = Caller::node(address, credentials).await;
    ensure!(
        connected.is_err(),
        "{address} and a stranger believe each other"
    );
    Ok(())
}

/// A worker's certificate opens its own session, as itself.
async fn a_worker_is_nothing_else(address: SocketAddr, node: &Node) -> Result<()> {
    let mut caller = Caller::node(address, Shown::by(node)?.credentials()?).await?;
    let id = caller.node;
    for claimed in [id, 1] {
        caller.node = claimed;
        for (what, refusal) in caller.everything().await {
            let own = what == "worker session" && claimed == id;
            // Its own is opened to it, or it is told that it has one already.
            let expected = match own {
                true => refusal.is_none_or(|code| code == Code::AlreadyExists),
                false => refusal == Some(Code::PermissionDenied),
            };
            ensure!(
                expected,
                "{what} as node {claimed} by worker {id}: {refusal:?}"
            );
        }
    }
    Ok(())
}

/// A control node's certificate, for a node that it is not.
async fn nobody_speaks_for_another(address: SocketAddr, founder: &Node) -> Result<()> {
    let mut caller = Caller::node(address, Shown::by(founder)?.credentials()?).await?;
    caller.node = 1000;
    for (what, refusal) in caller.everything().await {
        // The API asks for no node's id: control nodes pass on what operators ask them.
        let expected = (what != "api").then_some(Code::PermissionDenied);
        ensure!(
            refusal == expected,
            "{what} as node 1000 by node 1: {refusal:?}"
        );
    }
    Ok(())
}

/// Its certificate is good for months, and opens nothing.
pub(super) async fn a_removed_node_is_nobody(cluster: &Cluster, worker: usize) -> Result<()> {
    let credentials = Shown::by(&cluster.nodes[worker])?.credentials()?;
    let caller = Caller::node(cluster.nodes[0].api(), credentials).await?;
    cluster.api(0)?.remove_node(caller.node).await?;
    wait::until("the node to be nobody", wait::GENEROUS, async || {
        for (what, refusal) in caller.everything().await {
            let expected = Some(Code::PermissionDenied);
            ensure!(refusal == expected, "{what} by a removed node: {refusal:?}");
        }
        Ok(())
    })
    .await
}

/// The certificates that nodes show now.
pub(super) fn certificates(cluster: &Cluster) -> Result<Vec<Shown>> {
    cluster.nodes.iter().map(Shown::by).collect()
}

/// A certificate of an authority that is believed no more, shown by somebody who believes the new one.
pub(super) async fn old_certificates_are_refused(
    before: &Shown,
    after: &Shown,
    address: SocketAddr,
) -> Result<()> {
    let mut shown = before.clone();
    shown.authorities.extend(after.authorities.iter().cloned());
    let caller = Caller::node(address, shown.credentials()?).await?;
    let status = caller.vote().await.err().context("it was let in")?;
    // TLS ends the connection: nobody is left who could refuse in words.
    let words = [
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::InvalidArgument,
    ];
    ensure!(
        !words.contains(&status.code()),
        "it was refused only later: {status}"
    );
    Ok(())
}

/// What a node shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Shown {
    certificate: CertificateDer<'static>,
    key: String,
    authorities: Vec<CertificateDer<'static>>,
}

impl Shown {
    fn by(node: &Node) -> Result<Self> {
        let file = std::fs::read_to_string(node.dir.join("trust/node.toml"))?;
        let file: toml::Table = toml::from_str(&file)?;
        let field = |name: &str| {
            let text = file.get(name).and_then(toml::Value::as_str);
            text.with_context(|| format!("no {name} in node.toml"))
        };
        let certificates = certificates_from_pem(field("certificate")?)?;
        let authorities = std::fs::read_to_string(node.dir.join("trust/authorities.pem"))?;
        Ok(Self {
            certificate: certificates.into_iter().next().context("no certificate")?,
            key: field("key")?.to_owned(),
            authorities: certificates_from_pem(&authorities)?,
        })
    }

    fn credentials(&self) -> Result<Credentials> {
        let key = key_from_pem(&self.key).context("no key")?;
        let authorities = self.authorities.clone();
        let credentials = Credentials::new(&self.certificate, &key, authorities, SystemTime::now());
        credentials.context("certificate, key and authorities do not fit")
    }
}

fn endpoint(address: SocketAddr) -> Result<Endpoint> {
    Ok(Endpoint::from_shared(format!("https://{address}"))?.connect_timeout(WITHIN))
}

/// Somebody at the other end of a connection, and who it says it is.
struct Caller {
    channel: Channel,
    cluster: String,
    node: u64,
    token: Option<String>,
}

impl Caller {
    /// A node that begins by saying what its certificate says.
    async fn node(address: SocketAddr, credentials: Credentials) -> Result<Self> {
        let name = credentials.name().clone();
        let connector = connector(Whom::Control, move || credentials.client());
        let channel = endpoint(address)?.connect_with_connector(connector).await;
        Ok(Self {
            channel: channel.with_context(|| format!("connecting to {address}"))?,
            cluster: name.cluster,
            node: name.node,
            token: None,
        })
    }

    /// One call to each kind of service, and what is wrong with it.
    async fn everything(&self) -> Vec<(&'static str, Option<Code>)> {
        let code = |answer: Result<(), Status>| answer.err().map(|status| status.code());
        vec![
            ("api", code(self.api().await)),
            ("consensus", code(self.vote().await)),
            ("worker session", code(self.work().await)),
        ]
    }

    async fn api(&self) -> Result<(), Status> {
        let mut client = v1::nodes_client::NodesClient::new(self.channel.clone());
        let question = v1::ListNodesRequest {
            stale: true,
            ..Default::default()
        };
        client.list(self.request(question)?).await.map(drop)
    }

    async fn vote(&self) -> Result<(), Status> {
        let mut client = RaftClient::new(self.channel.clone());
        let mut request = self.request(RaftVoteRequest::default())?;
        request
            .metadata_mut()
            .insert("fleet-from-node", self.node.into());
        client.vote(request).await.map(drop)
    }

    async fn work(&self) -> Result<(), Status> {
        let hello = wire::WorkerHello {
            cluster_id: self.cluster.clone(),
            node_id: self.node,
            ..Default::default()
        };
        let hello = wire::WorkerReport {
            report: Some(Report::Hello(hello)),
        };
        let mut client = WorkerSessionsClient::new(self.channel.clone());
        let reports = self.request(tokio_stream::once(hello))?;
        client.session(reports).await.map(drop)
    }

    fn request<M>(&self, message: M) -> Result<Request<M>, Status> {
        let mut request = Request::new(message);
        request.set_timeout(WITHIN);
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {token}").parse();
            let bearer = bearer.map_err(|_| Status::internal("a token is ASCII"))?;
            request.metadata_mut().insert("authorization", bearer);
        }
        Ok(request)
    }
}
