//! `config`: settings of the cluster.

use fleet_proto::v1::cluster_client::ClusterClient;
use fleet_proto::v1::{ClusterConfig, GetConfigRequest, Receipt, SetConfigRequest};

use super::receipt;
use crate::args::ConfigVerb;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::escape;
use crate::session::Session;
use crate::view::ConfigView;

pub(super) async fn run(session: &mut Session, verb: ConfigVerb) -> Result<(), Failure> {
    let mut command = SetConfigRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        ..Default::default()
    };
    match verb {
        ConfigVerb::Show => {
            let config = asked(session).await?;
            return session
                .console
                .result(&ConfigView::from(&config), ConfigView::text);
        }
        ConfigVerb::DefaultEnv { environment: None } => {
            let config = asked(session).await?;
            return one(session, "default_environment", config.default_environment);
        }
        ConfigVerb::Domain { domain: None } => {
            let config = asked(session).await?;
            return one(session, "domain", config.domain);
        }
        ConfigVerb::DefaultEnv { environment } => command.default_environment = environment,
        ConfigVerb::Domain { domain } => command.domain = domain,
    }
    let message = match (&command.default_environment, &command.domain) {
        (Some(name), _) => format!("The default environment is now {name}"),
        (None, domain) => format!("The domain is now {}", domain.clone().unwrap_or_default()),
    };
    let answer = session
        .write(command, |c, r| async move {
            ClusterClient::new(c).set_config(r).await
        })
        .await?;
    receipt::tell(session, answer.receipt, |_: &Receipt| message).await
}

async fn asked(session: &mut Session) -> Result<ClusterConfig, Failure> {
    let question = GetConfigRequest {
        app: session.app().await?,
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            ClusterClient::new(c).get_config(r).await
        })
        .await?;
    Ok(answer.config.unwrap_or_default())
}

fn one(session: &mut Session, name: &str, value: String) -> Result<(), Failure> {
    let view = serde_json::json!({ name: value });
    session
        .console
        .result(&view, |_| format!("{}\n", escape(&value)))
}
