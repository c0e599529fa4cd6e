//! `scale`, `restart`, `services`: the entries of the manifest, as they run.

use fleet_proto::v1::services_client::ServicesClient;
use fleet_proto::v1::{
    ListServicesRequest, ListServicesResponse, Receipt, RestartRequest, ScaleRequest,
};

use super::receipt;
use crate::args::{ScaleArgs, ServiceVerb};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grammar::nearest;
use crate::session::Session;
use crate::view::ServiceList;

/// Bytes of the MiB in which memory is given.
const MIB: u64 = 1 << 20;

pub(super) async fn run(session: &mut Session, verb: ServiceVerb) -> Result<(), Failure> {
    match verb {
        ServiceVerb::List => {
            let answer = asked(session).await?;
            session
                .console
                .result(&ServiceList::from(&answer), ServiceList::hosts)
        }
        ServiceVerb::Restart { service } => restart(session, Some(service)).await,
    }
}

/// Changes what is given; with nothing to change, shows the table.
pub(super) async fn scale(session: &mut Session, options: ScaleArgs) -> Result<(), Failure> {
    if !options.changes() {
        return table(session, options.service.as_deref()).await;
    }
    let Some(service) = options.service.clone() else {
        return Err(Failure::usage("which service?").hint("fleet scale SERVICE --count N"));
    };
    let memory_bytes = match options.memory.map(|mib| mib.checked_mul(MIB)) {
        Some(None) => return Err(Failure::usage("that is more memory than there is")),
        bytes => bytes.flatten(),
    };
    let command = ScaleRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment: session.environment(),
        service: service.clone(),
        count: options.count,
        min: options.min,
        max: options.max,
        cpu_millicores: options.cpu,
        memory_bytes,
    };
    let text = format!("Scaling {service}... ");
    session.console.step(&text)?;
    let answer = session
        .write(command, |c, r| async move {
            ServicesClient::new(c).scale(r).await
        })
        .await;
    done(session, &text, answer.map(|answer| answer.receipt)).await
}

pub(super) async fn restart(session: &mut Session, service: Option<String>) -> Result<(), Failure> {
    let command = RestartRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment: session.environment(),
        service: service.clone().unwrap_or_default(),
    };
    let text = match &service {
        Some(service) => format!("Restarting {service}... "),
        None => "Restarting all services... ".to_owned(),
    };
    session.console.step(&text)?;
    let answer = session
        .write(command, |c, r| async move {
            ServicesClient::new(c).restart(r).await
        })
        .await;
    done(session, &text, answer.map(|answer| answer.receipt)).await
}

/// Ends the step that was begun, and waits if that is wanted.
async fn done(
    session: &mut Session,
    text: &str,
    answer: Result<Option<Receipt>, Failure>,
) -> Result<(), Failure> {
    session.console.end_step(&answer)?;
    receipt::settle_step(session, answer?, &format!("{text}OK")).await
}

async fn asked(session: &mut Session) -> Result<ListServicesResponse, Failure> {
    let question = ListServicesRequest {
        app: session.app().await?,
        environment: session.environment(),
        stale: session.globals.stale,
    };
    session
        .read(question, |c, r| async move {
            ServicesClient::new(c).list(r).await
        })
        .await
}

/// The table of all services, or of one, which must exist.
async fn table(session: &mut Session, service: Option<&str>) -> Result<(), Failure> {
    let mut answer = asked(session).await?;
    if let Some(wanted) = service {
        let names: Vec<String> = answer.services.iter().map(|s| s.name.clone()).collect();
        answer.services.retain(|service| service.name == wanted);
        if answer.services.is_empty() {
            let what = format!(
                "no service {wanted} in environment {} of {}",
                answer.environment, answer.app
            );
            let mut failure = Failure::new(Exit::NotFound, "UNKNOWN_SERVICE", what);
            let near = nearest(wanted, names.iter().map(String::as_str));
            failure.candidates = near.map(str::to_owned).into_iter().collect();
            return Err(failure);
        }
    }
    session
        .console
        .result(&ServiceList::from(&answer), ServiceList::counts)
}
