//! The logs of the fake node: pages as scripted, then the end or what refuses it.

use fleet_proto::v1::*;
use tonic::{Request, Response};

use super::Fake;
use super::services::{Answer, seen};

#[tonic::async_trait]
impl logs_server::Logs for Fake {
    async fn list_logs(&self, request: Request<ListLogsRequest>) -> Answer<ListLogsResponse> {
        let asked = request.get_ref();
        let mut call = seen("list_logs", "", &asked.app, &asked.environment);
        call.release = asked.release.clone();
        self.note(&request, call)?;
        Ok(Response::new(ListLogsResponse {
            groups: vec![LogGroup {
                environment: "prod".to_owned(),
                release: "8ef9d2f".to_owned(),
                group: "autoscaling-logs".to_owned(),
                ..Default::default()
            }],
            next_page_token: String::new(),
        }))
    }

    async fn view_log(&self, request: Request<ViewLogRequest>) -> Answer<ViewLogResponse> {
        let asked = request.get_ref().clone();
        let (page, token) = {
            let mut script = self.script.lock().unwrap();
            script.views.push(asked.clone());
            (script.pages.pop_front(), script.views.len().to_string())
        };
        let lines = match page {
            Some(lines) => lines,
            None => {
                let call = seen("view_log", "", &asked.app, &asked.environment);
                self.note(&request, call)?;
                Vec::new()
            }
        };
        Ok(Response::new(ViewLogResponse {
            lines,
            next_page_token: token,
        }))
    }
}
