//! `ps`: frontends, one by one.

use fleet_proto::v1::ListProcessesRequest;
use fleet_proto::v1::processes_client::ProcessesClient;

use crate::args::ProcessArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::ProcessList;

pub(super) async fn list(session: &mut Session, options: ProcessArgs) -> Result<(), Failure> {
    let app = session.app().await?;
    let (environment, stale) = (session.environment(), session.globals.stale);
    let release = options.release.unwrap_or_default();
    let service = options.service.unwrap_or_default();
    let question = |page_size, page_token| ListProcessesRequest {
        app: app.clone(),
        environment: environment.clone(),
        release: release.clone(),
        service: service.clone(),
        stale,
        page_size,
        page_token,
    };
    let processes = session
        .pages(
            None,
            question,
            |c, r| async move { ProcessesClient::new(c).list(r).await },
            |page| (page.processes, page.next_page_token),
        )
        .await?;
    let now_ms = session.surroundings.now_ms;
    session
        .console
        .result(&ProcessList::new(&processes), |view| view.text(now_ms))
}
