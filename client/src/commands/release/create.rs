//! `release create`: pack, upload once, enter into the library, wait until it is AVAILABLE.

use fleet_proto::v1::CreateBuildRequest;
use fleet_proto::v1::builds_client::BuildsClient;

use crate::args::ReleaseCreate;
use crate::commands::receipt;
use crate::commands::source::{Steps, packed, uploaded};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::package::Source;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, options: ReleaseCreate) -> Result<(), Failure> {
    if let Some(name) = &options.name {
        check_name(name)?;
    }
    let source = Source::find(&options.source, &session.surroundings.directory)?;
    if options.name.is_some() && matches!(source, Source::Commit(_)) {
        return Err(Failure::usage("a git object has its own name").hint("leave out --name"));
    }
    let mut package = packed(session, source, Steps::Beside).await?;
    if let Some(name) = options.name {
        package.name = name;
    }
    let app = session.app().await?;
    uploaded(session, &package, Steps::Beside).await?;

    let command = CreateBuildRequest {
        request_id: Connection::request_id(),
        app,
        sha256: package.sha256.clone(),
        name: package.name.clone(),
        commit: package.commit.clone(),
        message: options.message.unwrap_or_else(|| package.subject.clone()),
        manifest_path: options.manifest.unwrap_or_default(),
        environment: None,
        description: None,
    };
    let answer = session
        .write(command, |c, r| async move {
            BuildsClient::new(c).create(r).await
        })
        .await?;
    let name = answer
        .build
        .map_or_else(|| package.name.clone(), |build| build.name);
    let wait = session.globals.wait || !options.no_wait;
    let message = |_: &_| format!("Release {name} is now being created");
    receipt::settle(session, answer.receipt, message, wait).await
}

/// A name must read as a git name, or no command could refer to it.
fn check_name(name: &str) -> Result<(), Failure> {
    let hex = name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex && (7..=40).contains(&name.len()) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("\"{name}\" cannot be the name of a release"))
            .hint("7 to 40 lowercase hex digits"),
    )
}
