//! Releases and services of the fake node: those of the seed.

use fleet_proto::v1::*;
use tonic::{Request, Response};

use super::services::{Answer, seen};
use super::{Fake, Seen};

/// Milliseconds of the moment at which lines are run in these tests.
const NOW: u64 = 1_433_814_925_000;

fn release(id: &str, active: bool, age_s: u64, description: &str) -> Release {
    Release {
        id: id.to_owned(),
        app: "myapp".to_owned(),
        environment: "prod".to_owned(),
        build_id: "BABCDEFGHI".to_owned(),
        build: "0a1b2c3".to_owned(),
        created: Some(Instant {
            unix_ms: NOW - age_s * 1_000,
        }),
        description: description.to_owned(),
        active,
        ..Default::default()
    }
}

#[tonic::async_trait]
impl releases_server::Releases for Fake {
    async fn list(&self, request: Request<ListReleasesRequest>) -> Answer<ListReleasesResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("list_releases", "", &asked.app, &asked.environment),
        )?;
        // Two pages, however many rows are wanted.
        let (row, next_page_token) = match asked.page_token.as_str() {
            "" => (release("RCDEFGHIJK", false, 61, "env add:FOO"), "more"),
            _ => {
                let text = "build 0a1b2c3d4e5f my commit message";
                (release("RBCDEFGHIJ", true, 300, text), "")
            }
        };
        Ok(Response::new(ListReleasesResponse {
            releases: vec![row],
            next_page_token: next_page_token.to_owned(),
        }))
    }

    async fn get(&self, request: Request<GetReleaseRequest>) -> Answer<GetReleaseResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("get_release", "", &asked.app, &asked.environment),
        )?;
        let mut found = release(&asked.release, false, 61, "env add:FOO");
        found.variables = [("FOO".to_owned(), "bar".to_owned())].into();
        found.masked = self.script.lock().unwrap().masked.clone();
        found.manifest =
            "services:\n  web:\n    build: .\n    command: bin/web\n    port: 5000\n".to_owned();
        Ok(Response::new(GetReleaseResponse {
            release: Some(found),
        }))
    }

    async fn promote(&self, request: Request<PromoteRequest>) -> Answer<PromoteResponse> {
        let asked = request.get_ref();
        let mut seen = seen("promote", &asked.request_id, &asked.app, &asked.environment);
        seen.release.clone_from(&asked.release);
        self.note(&request, seen.clone())?;
        let named = Some(asked.release.clone()).filter(|named| !named.is_empty());
        let receipt = self.begun(&seen, named.as_deref().unwrap_or("RCDEFGHIJK"));
        Ok(Response::new(PromoteResponse {
            receipt: Some(receipt),
            attached: self.script.lock().unwrap().under_way,
        }))
    }

    async fn rollback(&self, request: Request<RollbackRequest>) -> Answer<RollbackResponse> {
        let asked = request.get_ref();
        let mut seen = seen(
            "rollback",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        seen.release.clone_from(&asked.release);
        self.note(&request, seen.clone())?;
        Ok(Response::new(RollbackResponse {
            receipt: Some(self.begun(&seen, "RDEFGHIJKL")),
            source_id: "RBCDEFGHIJ".to_owned(),
        }))
    }

    async fn create_from(&self, request: Request<CreateFromRequest>) -> Answer<CreateFromResponse> {
        let asked = request.get_ref();
        let mut seen = seen(
            "create_from",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        seen.release = format!("{}+{}", asked.build_from, asked.variables_from);
        self.note(&request, seen.clone())?;
        Ok(Response::new(CreateFromResponse {
            receipt: Some(self.receipt(&seen, WaitGoal::Unspecified)),
            description: "created-from".to_owned(),
        }))
    }
}

impl Fake {
    /// The receipt of a rollout towards a release.
    fn begun(&self, seen: &Seen, release: &str) -> Receipt {
        let mut receipt = self.receipt(seen, WaitGoal::Promoted);
        receipt.release_id = release.to_owned();
        if let Some(wait) = &mut receipt.wait {
            wait.rollout = 7;
        }
        receipt
    }
}

#[tonic::async_trait]
impl services_server::Services for Fake {
    async fn list(&self, request: Request<ListServicesRequest>) -> Answer<ListServicesResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("list_services", "", &asked.app, &asked.environment),
        )?;
        let service = |name: &str, outside: u32| Service {
            name: name.to_owned(),
            domain: if outside == 0 {
                String::new()
            } else {
                format!("{name}.prod.myapp.localhost")
            },
            ports: vec![ServicePort {
                outside,
                inside: 5000,
            }],
            desired: 3,
            running: 2,
            cpu_millicores: 250,
            memory_bytes: 512 << 20,
            min: 2,
            max: 10,
            status: ServiceStatus::Updating.into(),
            ..Default::default()
        };
        Ok(Response::new(ListServicesResponse {
            services: vec![service("queue", 0), service("web", 443)],
            app: "myapp".to_owned(),
            environment: "prod".to_owned(),
            release_id: "RBCDEFGHIJ".to_owned(),
        }))
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Answer<ServicesResponse> {
        let asked = request.get_ref();
        let mut seen = seen("scale", &asked.request_id, &asked.app, &asked.environment);
        seen.release = format!(
            "{} {:?} {:?} {:?} {:?} {:?}",
            asked.service,
            asked.count,
            asked.min,
            asked.max,
            asked.cpu_millicores,
            asked.memory_bytes
        );
        self.note(&request, seen.clone())?;
        Ok(Response::new(ServicesResponse {
            receipt: Some(self.receipt(&seen, WaitGoal::CountReached)),
        }))
    }

    async fn restart(&self, request: Request<RestartRequest>) -> Answer<ServicesResponse> {
        let asked = request.get_ref();
        let mut seen = seen("restart", &asked.request_id, &asked.app, &asked.environment);
        seen.release.clone_from(&asked.service);
        self.note(&request, seen.clone())?;
        Ok(Response::new(ServicesResponse {
            receipt: Some(self.receipt(&seen, WaitGoal::Promoted)),
        }))
    }
}
