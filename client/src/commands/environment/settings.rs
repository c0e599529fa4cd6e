//! Settings of an environment: counts and switches.

use fleet_proto::v1::environments_client::EnvironmentsClient;
use fleet_proto::v1::{
    Receipt, SetAutoscalingDesiredRequest, SetAutoscalingLimitsRequest, SetCertificateRequest,
    SetGuardRequest, SwitchRequest,
};

use crate::args::AutoscalingVerb;
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

pub(super) async fn autoscaling(
    session: &mut Session,
    verb: AutoscalingVerb,
) -> Result<(), Failure> {
    match verb {
        AutoscalingVerb::Limits {
            environment,
            min,
            max,
        } => limits(session, environment, min, max).await,
        AutoscalingVerb::Desired { environment, words } => {
            let (release, count) = match words.as_slice() {
                [count] => (String::new(), count),
                [release, count] => (release.clone(), count),
                _ => return Err(Failure::usage("autoscaling desired ENV [RELEASE] COUNT")),
            };
            let count = count
                .parse()
                .map_err(|_| Failure::usage(format!("\"{count}\" is no number of frontends")))?;
            desired(session, environment, release, count).await
        }
    }
}

async fn limits(
    session: &mut Session,
    environment: String,
    min: u32,
    max: u32,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let request_id = Connection::request_id();
    let command = SetAutoscalingLimitsRequest {
        request_id,
        app,
        environment,
        min,
        max,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_autoscaling_limits(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Autoscaling limits of environment {} are now {min} to {max}",
            r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

async fn desired(
    session: &mut Session,
    environment: String,
    release: String,
    count: u32,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let request_id = Connection::request_id();
    let command = SetAutoscalingDesiredRequest {
        request_id,
        app,
        environment,
        release,
        count,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_autoscaling_desired(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        let plural = if count == 1 { "" } else { "s" };
        format!(
            "Release {} is now being scaled to {count} frontend{plural} in environment {}",
            r.release, r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}
