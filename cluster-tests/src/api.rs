//! The public API of the nodes, asked directly: for what the command line has no reason to print.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_proto::v1;
use fleet_trust::{Whom, connector, pinned};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// How long a single question may take before the node counts as not answering.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks one node; keeps its connection.
#[derive(Debug, Clone)]
pub struct Api {
    pub address: SocketAddr,
    channel: InterceptedService<Channel, Bearer>,
    /// The same without a limit of time, for streams.
    patient: InterceptedService<Channel, Bearer>,
}

impl Api {
    /// Connects on first use, so that a node may be down now.
    pub fn of(address: SocketAddr, keys: &Keys) -> Result<Api> {
        let bearer = Bearer(
            format!("Bearer {}", keys.operator_token)
                .parse()
                .context("a token is ASCII")?,
        );
        let tls = pinned(&[keys.ca_fingerprint.parse()?])?;
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?
            .connect_timeout(Duration::from_secs(2));
        let connector = connector(Whom::Control, move || tls.clone());
        let patient = endpoint.connect_with_connector_lazy(connector.clone());
        let patient = InterceptedService::new(patient, bearer.clone());
        let channel = endpoint
            .timeout(CALL_TIMEOUT)
            .connect_with_connector_lazy(connector);
        let channel = InterceptedService::new(channel, bearer);
        Ok(Api {
            address,
            channel,
            patient,
        })
    }

    /// What this very node knows, with or without a leader.
    pub async fn status(&self) -> Result<v1::ClusterStatusResponse> {
        let mut client = v1::cluster_client::ClusterClient::new(self.channel.clone());
        let answer = client.status(v1::ClusterStatusRequest {}).await;
        Ok(answer
            .with_context(|| format!("status of {}", self.address))?
            .into_inner())
    }

    pub async fn nodes(&self) -> Result<Vec<v1::Node>> {
        let mut client = v1::nodes_client::NodesClient::new(self.channel.clone());
        let answer = client.list(v1::ListNodesRequest::default()).await?;
        Ok(answer.into_inner().nodes)
    }

    pub async fn remove_node(&self, node: u64) -> Result<()> {
        let mut client = v1::nodes_client::NodesClient::new(self.channel.clone());
        let request = v1::RemoveNodeRequest {
            request_id: format!("remove-{:016x}", rand::random::<u64>()),
            node: node.to_string(),
            force: false,
        };
        client.remove(request).await?;
        Ok(())
    }

    pub async fn environment(&self, app: &str, name: &str) -> Result<v1::EnvironmentDescription> {
        let mut client = v1::environments_client::EnvironmentsClient::new(self.channel.clone());
        let request = v1::DescribeEnvironmentRequest {
            app: app.to_owned(),
            environment: name.to_owned(),
            stale: false,
        };
        let answer = client.describe(request).await?.into_inner();
        answer.description.context("the answer describes nothing")
    }

    /// What the leader measures and decides of every loaded release.
    pub async fn autoscaling(
        &self,
        app: &str,
        name: &str,
    ) -> Result<v1::DescribeAutoscalingResponse> {
        let request = v1::DescribeAutoscalingRequest {
            app: app.to_owned(),
            environment: name.to_owned(),
            ..Default::default()
        };
        let answer = self.environments().describe_autoscaling(request).await?;
        Ok(answer.into_inner())
    }

    /// The first page of a log of a release.
    pub async fn log(&self, app: &str, name: &str, log: &str) -> Result<Vec<v1::LogLine>> {
        let mut client = v1::logs_client::LogsClient::new(self.channel.clone());
        let request = v1::ViewLogRequest {
            app: app.to_owned(),
            environment: name.to_owned(),
            release: "active".to_owned(),
            group: log.to_owned(),
            ..Default::default()
        };
        Ok(client.view_log(request).await?.into_inner().lines)
    }

    pub async fn frontends(&self, app: &str) -> Result<Vec<v1::Process>> {
        let mut client = v1::processes_client::ProcessesClient::new(self.channel.clone());
        let request = v1::ListProcessesRequest {
            app: app.to_owned(),
            ..Default::default()
        };
        Ok(client.list(request).await?.into_inner().processes)
    }

    /// The newest page of events.
    pub async fn events(&self) -> Result<Vec<v1::Event>> {
        let mut client = v1::events_client::EventsClient::new(self.channel.clone());
        let request = v1::ListEventsRequest {
            page_size: 1000,
            ..Default::default()
        };
        Ok(client.list(request).await?.into_inner().events)
    }

    /// Waits until what a receipt named has come to pass; fails with the server's last line.
    pub async fn wait(&self, target: Option<v1::WaitTarget>) -> Result<()> {
        let mut client = v1::progress_client::ProgressClient::new(self.patient.clone());
        let mut lines = client.wait(v1::WaitRequest { target }).await?.into_inner();
        let mut last = v1::ProgressLine::default();
        while let Some(line) = lines.message().await? {
            last = line;
        }
        let done = last.outcome() == v1::ProgressOutcome::Ok;
        ensure!(done, "it ended with {:?}: {}", last.outcome(), last.text);
        Ok(())
    }

    /// Activates a release. Returns how long it took, from the command, until the last live ingress
    /// had confirmed the switch; waits until the rollout is complete.
    pub async fn activate_until_confirmed(
        &self,
        app: &str,
        environment: &str,
        release: &str,
    ) -> Result<Duration> {
        let began = Instant::now();
        let request = v1::ActivateRequest {
            request_id: format!("activate-{:016x}", rand::random::<u64>()),
            app: app.to_owned(),
            environment: environment.to_owned(),
            release: release.to_owned(),
            now: false,
        };
        let answer = self.environments().activate(request).await?.into_inner();
        let target = answer.receipt.and_then(|receipt| receipt.wait);
        let mut client = v1::progress_client::ProgressClient::new(self.patient.clone());
        let mut lines = client.wait(v1::WaitRequest { target }).await?.into_inner();
        let mut confirmed = None;
        let mut last = v1::ProgressLine::default();
        while let Some(line) = lines.message().await? {
            if !matches!(line.phase.as_str(), "" | "warming" | "switching") {
                confirmed.get_or_insert_with(|| began.elapsed());
            }
            last = line;
        }
        let done = last.outcome() == v1::ProgressOutcome::Ok;
        ensure!(
            done,
            "activation ended with {:?}: {}",
            last.outcome(),
            last.text
        );
        Ok(confirmed.unwrap_or_else(|| began.elapsed()))
    }

    pub fn variables(
        &self,
    ) -> v1::variables_client::VariablesClient<InterceptedService<Channel, Bearer>> {
        v1::variables_client::VariablesClient::new(self.channel.clone())
    }

    /// All releases of an environment, page by page.
    pub async fn releases(&self, app: &str, environment: &str) -> Result<Vec<v1::Release>> {
        let mut client = v1::releases_client::ReleasesClient::new(self.channel.clone());
        let mut releases = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListReleasesRequest {
                app: app.to_owned(),
                environment: environment.to_owned(),
                page_token,
                ..Default::default()
            };
            let page = client.list(request).await?.into_inner();
            releases.extend(page.releases);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(releases);
            }
        }
    }

    pub fn environments(
        &self,
    ) -> v1::environments_client::EnvironmentsClient<InterceptedService<Channel, Bearer>> {
        v1::environments_client::EnvironmentsClient::new(self.channel.clone())
    }
}

/// What an operator needs beside an address.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    pub ca_fingerprint: String,
    pub operator_token: String,
}

/// Adds the operator's token to every call.
#[derive(Debug, Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}
