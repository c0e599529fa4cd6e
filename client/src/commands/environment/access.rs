//! Who may reach an environment, and how much may be asked of it.

use fleet_proto::v1::environments_client::EnvironmentsClient;
use fleet_proto::v1::{
    Receipt, RequestLimit, RequestRate, SetRequestLimitsRequest, SetWhitelistRequest,
};

use crate::args::{LimitOptions, Rate};
use crate::commands::receipt;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;

pub(super) async fn whitelist(
    session: &mut Session,
    environment: String,
    whitelist: String,
) -> Result<(), Failure> {
    let command = SetWhitelistRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment,
        whitelist: whitelist.clone(),
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_whitelist(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Whitelist {whitelist} is now that of environment {}",
            r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

pub(super) async fn limits(
    session: &mut Session,
    environment: String,
    asked: LimitOptions,
) -> Result<(), Failure> {
    let limit = |in_flight: Option<u32>, rate: Option<Rate>| RequestLimit {
        in_flight,
        rate: rate.map(|rate| RequestRate {
            per_second: rate.per_second,
            burst: rate.burst,
        }),
    };
    let command = SetRequestLimitsRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment,
        requests: Some(limit(asked.in_flight, asked.rate)),
        address_requests: Some(limit(asked.address_in_flight, asked.address_rate)),
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_request_limits(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Limits of requests are now changed for environment {}",
            r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}
