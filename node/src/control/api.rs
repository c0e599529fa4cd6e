//! The public API, package `fleet.v1`: requests become commands or reads, answers become messages.
//!
//! Nothing is refused here that the domain can refuse; what is checked here is the shape of a
//! request. Any node answers: commands go to the leader through consensus, reads wait for the
//! leader's index.

mod apps;
mod autoscaling;
mod blobs;
mod builds;
mod certificates;
mod cluster;
mod describe;
mod environments;
mod events;
mod logs;
mod membership;
mod nodes;
mod page;
mod processes;
mod progress;
mod releases;
mod resolve;
mod services;
mod trust;
mod variables;
mod whitelists;

use std::sync::Arc;

use fleet_proto::{internal, v1};
use tonic::{Request, Status, service::Routes};

use super::{Context, server::LARGEST_MESSAGE};
use fleet_model::ids::RequestId;

/// Who asks, until tokens bring names.
const ACTOR: &str = "cli";

/// All public services, and registration for nodes that join.
pub(super) fn routes(context: &Arc<Context>) -> Routes {
    let of = || context.clone();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(fleet_proto::V1_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = Routes::new(v1::apps_server::AppsServer::new(apps::Api(of())))
        .add_service(
            v1::blobs_server::BlobsServer::new(blobs::Api(of()))
                .max_decoding_message_size(LARGEST_MESSAGE),
        )
        .add_service(v1::builds_server::BuildsServer::new(builds::Api(of())))
        .add_service(v1::certificates_server::CertificatesServer::new(
            certificates::Api(of()),
        ))
        .add_service(v1::cluster_server::ClusterServer::new(cluster::Api(of())))
        .add_service(v1::environments_server::EnvironmentsServer::new(
            environments::Api(of()),
        ))
        .add_service(v1::events_server::EventsServer::new(events::Api(of())))
        .add_service(v1::logs_server::LogsServer::new(logs::Api(of())))
        .add_service(v1::nodes_server::NodesServer::new(nodes::Api(of())))
        .add_service(v1::processes_server::ProcessesServer::new(processes::Api(
            of(),
        )))
        .add_service(v1::progress_server::ProgressServer::new(
            progress::Api(of()),
        ))
        .add_service(v1::releases_server::ReleasesServer::new(
            releases::Api(of()),
        ))
        .add_service(v1::trust_server::TrustServer::new(trust::Api(of())))
        .add_service(v1::services_server::ServicesServer::new(
            services::Api(of()),
        ))
        .add_service(v1::variables_server::VariablesServer::new(variables::Api(
            of(),
        )))
        .add_service(v1::whitelists_server::WhitelistsServer::new(
            whitelists::Api(of()),
        ))
        .add_service(internal::membership_server::MembershipServer::new(
            membership::Api::new(of()),
        ));
    // The descriptors are part of the binary: that they decode is a matter of the build.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "reflection is off"),
    }
    routes
}

/// The request id of a mutation, which must be there: without it a retry could act twice.
fn request_id(id: &str) -> Result<RequestId, Status> {
    if id.is_empty() || id.len() > 64 {
        return Err(super::refusal::invalid(
            "request_id must have 1 to 64 bytes",
            "choose a fresh random one for each intention, and repeat it on retries",
        ));
    }
    Ok(RequestId(id.into()))
}

fn instant(time: fleet_model::Time) -> v1::Instant {
    v1::Instant { unix_ms: time.0 }
}

/// Deadlines of clients are honoured by tonic; this only takes the message out.
fn message<T>(request: Request<T>) -> T {
    request.into_inner()
}
