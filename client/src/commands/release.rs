//! `release list|create|destroy`: the library.

mod create;

use fleet_proto::v1::DestroyBuildRequest;
use fleet_proto::v1::builds_client::BuildsClient;

use super::{builds, receipt};
use crate::args::ReleaseVerb;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::BuildList;

pub(super) async fn run(session: &mut Session, verb: ReleaseVerb) -> Result<(), Failure> {
    match verb {
        ReleaseVerb::List => {
            let builds = builds::list(session, None).await?;
            session.console.result(&builds, BuildList::library)
        }
        ReleaseVerb::Create(options) => create::run(session, options).await,
        ReleaseVerb::Destroy { release } => destroy(session, release).await,
    }
}

async fn destroy(session: &mut Session, build: String) -> Result<(), Failure> {
    let command = DestroyBuildRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        build,
    };
    let answer = session
        .write(command, |c, r| async move {
            BuildsClient::new(c).destroy(r).await
        })
        .await?;
    let name = answer.name;
    let message = |_: &_| format!("Release {name} is destroyed");
    receipt::tell(session, answer.receipt, message).await
}
