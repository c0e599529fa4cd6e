//! `release create`: pack, upload once, enter into the library, wait until it is AVAILABLE.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fleet_proto::v1::CreateBuildRequest;
use fleet_proto::v1::builds_client::BuildsClient;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::ReleaseCreate;
use crate::commands::receipt;
use crate::connection::{Artefact, Connection};
use crate::failure::Failure;
use crate::package::{Package, Source, pack};
use crate::session::Session;

/// How often the count of bytes sent is drawn.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn run(session: &mut Session, options: ReleaseCreate) -> Result<(), Failure> {
    let package = packed(session, &options).await?;
    let app = session.app().await?;
    upload(session, &package).await?;

    let connection = session.connection().await?;
    let command = CreateBuildRequest {
        request_id: Connection::request_id(),
        app,
        sha256: package.sha256.clone(),
        name: package.name.clone(),
        commit: package.commit.clone(),
        message: options.message.unwrap_or_else(|| package.subject.clone()),
        manifest_path: options.manifest.unwrap_or_default(),
    };
    let answer = connection
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

/// Makes the artefact, telling so.
async fn packed(session: &mut Session, options: &ReleaseCreate) -> Result<Package, Failure> {
    if let Some(name) = &options.name {
        check_name(name)?;
    }
    let source = Source::find(&options.source, &session.surroundings.directory)?;
    if options.name.is_some() && matches!(source, Source::Commit(_)) {
        return Err(Failure::usage("a git object has its own name").hint("leave out --name"));
    }
    step(session, "Packaging source... ");
    let packing = tokio::task::spawn_blocking(move || pack(&source)).await;
    let packing = packing.unwrap_or_else(|error| Err(Failure::failed(error.to_string())));
    end_step(session, packing.is_ok(), "OK");
    let mut package = packing?;
    if let Some(name) = &options.name {
        package.name.clone_from(name);
    }
    Ok(package)
}

/// Sends the artefact unless the cluster holds it.
async fn upload(session: &mut Session, package: &Package) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let artefact = Artefact {
        sha256: package.sha256.clone(),
        size: package.size,
    };
    let sent = Arc::new(AtomicU64::new(0));
    let bar = (session.console.errors_are_terminal && !session.console.is_json())
        .then(|| meter(package.size));
    step(session, "Uploading source... ");
    let sending = connection.upload(&artefact, package.path(), sent.clone());
    let drawing = async {
        let mut ticks = tokio::time::interval(REDRAW);
        loop {
            ticks.tick().await;
            if let Some(bar) = &bar {
                bar.set_position(sent.load(Ordering::Relaxed));
            }
        }
    };
    let uploaded = tokio::select! {
        uploaded = sending => uploaded,
        () = drawing => Ok(false),
    };
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let done = match uploaded {
        Ok(true) => format!("OK, {}", HumanBytes(package.size)),
        _ => "OK, already there".to_owned(),
    };
    end_step(session, uploaded.is_ok(), &done);
    uploaded.map(|_| ())
}

fn step(session: &mut Session, text: &str) {
    if !session.console.is_json() {
        session.console.remark_part(text);
    }
}

fn end_step(session: &mut Session, fine: bool, done: &str) {
    if !session.console.is_json() {
        session.console.remark(if fine { done } else { "" });
    }
}

fn meter(size: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar
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
