//! `env destroy`: shows what would be lost, and has its name typed.

use fleet_proto::v1::environments_client::EnvironmentsClient;

use super::{described, environment_of, named};
use crate::commands::receipt;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::DescriptionView;

pub(super) async fn run(
    session: &mut Session,
    environment: String,
    no_confirm: bool,
) -> Result<(), Failure> {
    if !no_confirm {
        let description = described(session, environment.clone()).await?;
        if !session.console.is_json() {
            let text = DescriptionView::from(&description).text();
            session.console.write(&text)?;
        }
        session.confirm(
            &environment,
            "Type the name of the environment to destroy it",
        )?;
    }
    let command = named(session, environment).await?;
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).destroy(r).await
        })
        .await?;
    let message = |r: &_| format!("Environment {} is now being destroyed", environment_of(r));
    receipt::tell(session, answer.receipt, message).await
}
