//! Settings of an environment: switches, and how long promotions are watched.

use fleet_proto::v1::environments_client::EnvironmentsClient;
use fleet_proto::v1::{Receipt, SetCertificateRequest, SetGuardRequest, SwitchRequest};

use crate::commands::receipt;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;

/// What can be ON or OFF.
#[derive(Debug, Clone, Copy)]
pub(super) enum Switch {
    Recycling,
    Maintenance,
    Protected,
    Redirect,
}

pub(super) async fn switch(
    session: &mut Session,
    which: Switch,
    environment: String,
    on: bool,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let command = SwitchRequest {
        request_id: Connection::request_id(),
        app,
        environment,
        on,
    };
    let answer = session
        .write(command, |channel, request| async move {
            let mut client = EnvironmentsClient::new(channel);
            match which {
                Switch::Recycling => client.set_recycling(request).await,
                Switch::Maintenance => client.set_maintenance(request).await,
                Switch::Protected => client.set_protected(request).await,
                Switch::Redirect => client.set_redirect(request).await,
            }
        })
        .await?;
    let name = match which {
        Switch::Recycling => "Recycling",
        Switch::Maintenance => "Maintenance mode",
        Switch::Protected => "Protection",
        Switch::Redirect => "Redirection to HTTPS",
    };
    let state = if on { "ON" } else { "OFF" };
    let message = |r: &Receipt| format!("{name} is now {state} for environment {}", r.environment);
    receipt::tell(session, answer.receipt, message).await
}

pub(super) async fn certificate(
    session: &mut Session,
    environment: String,
    certificate: String,
) -> Result<(), Failure> {
    let command = SetCertificateRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment,
        certificate: certificate.clone(),
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_certificate(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Certificate {certificate} is now shown by environment {}",
            r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

pub(super) async fn guard(
    session: &mut Session,
    environment: String,
    seconds: u32,
) -> Result<(), Failure> {
    let command = SetGuardRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment,
        seconds,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_guard(r).await
        })
        .await?;
    let message = |r: &Receipt| match seconds {
        0 => format!(
            "Promoted releases are no longer watched in environment {}",
            r.environment
        ),
        _ => format!(
            "Promoted releases are now watched for {seconds} s in environment {}",
            r.environment
        ),
    };
    receipt::tell(session, answer.receipt, message).await
}
