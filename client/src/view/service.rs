use fleet_proto::v1::{ListServicesResponse, Service, ServicePort, ServiceStatus};
use serde::Serialize;

use super::word;
use crate::output::Plain;

/// `scale` and `services`.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceList {
    app: String,
    environment: String,
    release_id: String,
    services: Vec<ServiceView>,
}

#[derive(Debug, Serialize)]
struct ServiceView {
    name: String,
    domain: String,
    ports: Vec<PortView>,
    desired: u32,
    running: u32,
    cpu_millicores: u32,
    memory_bytes: u64,
    gpu: u32,
    min: u32,
    max: u32,
    status: String,
}

#[derive(Debug, Serialize)]
struct PortView {
    /// Absent for a port that is reached from inside alone.
    outside: Option<u32>,
    inside: u32,
}

impl From<&ServicePort> for PortView {
    fn from(port: &ServicePort) -> Self {
        Self {
            outside: (port.outside != 0).then_some(port.outside),
            inside: port.inside,
        }
    }
}

impl From<&Service> for ServiceView {
    fn from(service: &Service) -> Self {
        let status = word(
            service.status,
            "SERVICE_STATUS_",
            ServiceStatus::as_str_name,
        );
        Self {
            name: service.name.clone(),
            domain: service.domain.clone(),
            ports: service.ports.iter().map(PortView::from).collect(),
            desired: service.desired,
            running: service.running,
            cpu_millicores: service.cpu_millicores,
            memory_bytes: service.memory_bytes,
            gpu: service.gpu,
            min: service.min,
            max: service.max,
            status: status.to_lowercase(),
        }
    }
}

impl From<&ListServicesResponse> for ServiceList {
    fn from(answer: &ListServicesResponse) -> Self {
        Self {
            app: answer.app.clone(),
            environment: answer.environment.clone(),
            release_id: answer.release_id.clone(),
            services: answer.services.iter().map(ServiceView::from).collect(),
        }
    }
}

impl ServiceList {
    /// `scale`; scripts count the columns, so an empty one keeps its place.
    pub(crate) fn counts(&self) -> String {
        let header = [
            "SERVICE", "DESIRED", "RUNNING", "CPU", "MEMORY", "GPU", "MIN", "MAX", "STATUS",
        ];
        let mut table = Plain::new(&header);
        for service in &self.services {
            table.row(vec![
                service.name.clone(),
                service.desired.to_string(),
                service.running.to_string(),
                service.cpu_millicores.to_string(),
                service.memory_bytes.div_ceil(1 << 20).to_string(),
                service.gpu.to_string(),
                service.min.to_string(),
                service.max.to_string(),
                service.status.clone(),
            ]);
        }
        table.render()
    }

    /// `services`: `443:3000`, or the bare port of an internal one.
    pub(crate) fn hosts(&self) -> String {
        let mut table = Plain::new(&["SERVICE", "DOMAIN", "PORTS"]);
        for service in &self.services {
            let ports: Vec<String> = service
                .ports
                .iter()
                .map(|port| match port.outside {
                    Some(outside) => format!("{outside}:{}", port.inside),
                    None => port.inside.to_string(),
                })
                .collect();
            table.row(vec![
                service.name.clone(),
                service.domain.clone(),
                ports.join(" "),
            ]);
        }
        table.render()
    }
}
