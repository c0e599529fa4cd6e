//! `env mask`: whose values terminals show as `****`.

use fleet_proto::v1::MaskVariablesRequest;
use fleet_proto::v1::variables_client::VariablesClient;

use super::asked;
use crate::args::MaskVerb;
use crate::commands::receipt;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::escape;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, verb: Option<MaskVerb>) -> Result<(), Failure> {
    let (mask, unmask) = match verb {
        None => return list(session).await,
        Some(MaskVerb::Set { names }) => (names, Vec::new()),
        Some(MaskVerb::Unset { names }) => (Vec::new(), names),
    };
    let text = match mask.as_slice() {
        [] => format!("Unmasking {}... ", unmask.join(", ")),
        names => format!("Masking {}... ", names.join(", ")),
    };
    let command = MaskVariablesRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment: session.environment(),
        mask,
        unmask,
    };
    session.console.step(&text)?;
    let answer = session
        .write(command, |c, r| async move {
            VariablesClient::new(c).mask(r).await
        })
        .await;
    session.console.end_step(&answer)?;
    receipt::settle_step(session, answer?.receipt, &format!("{text}OK")).await
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let masked = asked(session, None).await?.masked;
    session.console.result(&masked, |names| {
        names.iter().map(|name| escape(name) + "\n").collect()
    })
}
