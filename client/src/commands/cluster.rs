//! `cluster status`.

use fleet_proto::v1::ClusterStatusRequest;
use fleet_proto::v1::cluster_client::ClusterClient;

use crate::failure::Failure;
use crate::session::Session;
use crate::view::ClusterView;

pub(super) async fn status(session: &mut Session) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let answer = connection
        .read(ClusterStatusRequest {}, |c, r| async move {
            ClusterClient::new(c).status(r).await
        })
        .await?;
    session
        .console
        .result(&ClusterView::from(&answer), ClusterView::text)
}
