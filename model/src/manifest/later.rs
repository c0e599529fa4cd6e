//! What a manifest may ask for and this version does not do.

use super::{Manifest, Port, Scale, Scheme, Service};
use crate::ids::ServiceName;

impl Manifest {
    /// The first thing the manifest asks for that does not exist yet, as a sentence that names it.
    /// A release with such a manifest is refused before anything starts: an app whose timer never
    /// runs is worse than one that is told so. `None`: everything can be done.
    #[must_use]
    pub fn unsupported(&self) -> Option<String> {
        let mut services = self.services.iter();
        let first = |names: &std::collections::BTreeSet<String>, says: &str| {
            names
                .first()
                .map(|name| says.replace("NAME", &format!("{name:?}")))
        };
        services
            .find_map(|(name, service)| unsupported(name, service))
            .or_else(|| {
                let says = "timer NAME cannot run yet: timers come with a later version";
                first(&self.timers, says)
            })
            .or_else(|| {
                let says = "resource NAME cannot run yet: resources come with a later version";
                first(&self.resources, says)
            })
            .or_else(|| {
                let says = "balancer NAME cannot listen yet: balancers come with a later version";
                first(&self.balancers, says)
            })
    }
}

fn unsupported(name: &ServiceName, service: &Service) -> Option<String> {
    let name = name.as_str();
    if let Some(image) = &service.image {
        return Some(format!(
            "service {name:?} cannot run image {image:?} yet: images come with a later version"
        ));
    }
    if service.command.is_none() {
        return Some(format!(
            "service {name:?} has no command, and the one of its Dockerfile is not known yet: \
             images come with a later version"
        ));
    }
    if let Some(Scale {
        min: 0, max: 1.., ..
    }) = service.scale
    {
        return Some(format!(
            "service {name:?} cannot be scaled to 0 by its load yet, since requests are not held \
             until a frontend runs: its scale.min must be at least 1"
        ));
    }
    // Spoken to without TLS, it would never be healthy, and nobody could see why.
    if let Some(Port { scheme, .. }) = &service.port
        && matches!(scheme, Scheme::Https | Scheme::SecureGrpc)
    {
        return Some(format!(
            "service {name:?} cannot have a port of {scheme} yet: TLS to frontends comes with a \
             later version"
        ));
    }
    let checks = [
        ("liveness", service.liveness.is_some()),
        ("startupProbe", service.startup.is_some()),
    ];
    let unasked = checks
        .iter()
        .find(|(_, there)| *there && service.port.is_none());
    if let Some((check, _)) = unasked {
        return Some(format!(
            "service {name:?} has no port that its {check} could ask"
        ));
    }
    let key = service.later.first()?;
    Some(format!(
        "service {name:?} cannot have {key} yet: that comes with a later version"
    ))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Run, Startup, Timings},
        *,
    };

    fn manifest(change: impl FnOnce(&mut Service)) -> Manifest {
        let mut service = Service::new(Run::Shell("run".to_owned()));
        change(&mut service);
        Manifest {
            services: [(ServiceName::parse("web").unwrap(), service)].into(),
            ..Manifest::default()
        }
    }

    #[test]
    fn what_cannot_run_is_named() {
        assert_eq!(manifest(|_| ()).unsupported(), None);
        let mut timers = manifest(|_| ());
        timers.timers = ["cleanup".to_owned(), "nightly".to_owned()].into();
        let mut resources = manifest(|_| ());
        resources.resources = ["main".to_owned()].into();
        let mut balancers = manifest(|_| ());
        balancers.balancers = ["udp".to_owned()].into();
        let image = |service: &mut Service| service.image = Some("nginx".to_owned());
        let cases = [
            (
                timers,
                r#"timer "cleanup" cannot run yet: timers come with a later version"#,
            ),
            (
                resources,
                r#"resource "main" cannot run yet: resources come with a later version"#,
            ),
            (
                balancers,
                r#"balancer "udp" cannot listen yet: balancers come with a later version"#,
            ),
            (
                manifest(image),
                r#"service "web" cannot run image "nginx" yet: images come with a later version"#,
            ),
            (
                manifest(|service| service.command = None),
                r#"service "web" has no command, and the one of its Dockerfile is not known yet: images come with a later version"#,
            ),
            (
                manifest(|service| {
                    service.startup = Some(Startup {
                        path: None,
                        timings: Timings::default(),
                    });
                }),
                r#"service "web" has no port that its startupProbe could ask"#,
            ),
            (
                manifest(|service| {
                    service.scale = Some(Scale {
                        count: 1,
                        min: 0,
                        max: 5,
                    });
                }),
                r#"service "web" cannot be scaled to 0 by its load yet, since requests are not held until a frontend runs: its scale.min must be at least 1"#,
            ),
            (
                manifest(|service| {
                    service.port = Some(Port {
                        scheme: Scheme::SecureGrpc,
                        number: 5000,
                    });
                }),
                r#"service "web" cannot have a port of secure-grpc yet: TLS to frontends comes with a later version"#,
            ),
            (
                manifest(|service| service.later = ["volumes".to_owned()].into()),
                r#"service "web" cannot have volumes yet: that comes with a later version"#,
            ),
        ];
        for (manifest, expected) in cases {
            assert_eq!(manifest.unsupported().as_deref(), Some(expected));
        }
    }
}
