//! `ps`: frontends, one by one.

use fleet_proto::v1::processes_client::ProcessesClient;
use fleet_proto::v1::{ListProcessesRequest, Process};

use super::last_page;
use crate::args::ProcessArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::ProcessList;

pub(super) async fn list(session: &mut Session, options: ProcessArgs) -> Result<(), Failure> {
    let app = session.app().await?;
    let connection = session.connection().await?;
    let mut processes: Vec<Process> = Vec::new();
    let mut page_token = String::new();
    loop {
        let question = ListProcessesRequest {
            app: app.clone(),
            environment: session.environment(),
            release: options.release.clone().unwrap_or_default(),
            stale: session.globals.stale,
            page_size: 0,
            page_token: page_token.clone(),
        };
        let page = connection
            .read(question, |c, r| async move {
                ProcessesClient::new(c).list(r).await
            })
            .await?;
        processes.extend(page.processes);
        if last_page(&mut page_token, page.next_page_token) {
            break;
        }
    }
    let now_ms = session.surroundings.now_ms;
    session
        .console
        .result(&ProcessList::new(&processes), |view| view.text(now_ms))
}
