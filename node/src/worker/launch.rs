//! What a frontend is given when it starts: its variables, the system variables, its port.

use std::collections::BTreeMap;

use fleet_model::ids::{Digest, FrontendId};

use super::assignment::{Assignment, Command, Limits};
use super::runtime::Step;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) id: FrontendId,
    pub(crate) artefact: Digest,
    pub(crate) command: Command,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) port: Option<u16>,
    pub(crate) limits: Limits,
    /// Runs only while control confirms this node.
    pub(crate) singleton: bool,
}

/// Where a frontend is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The name of the cluster.
    pub(crate) rack: &'a str,
    /// Where the node is reached.
    pub(crate) host: &'a str,
    /// The frontend's own.
    pub(crate) port: Option<u16>,
}

impl Launch {
    pub(crate) fn new(assignment: &Assignment, site: Site<'_>) -> Self {
        Self {
            id: assignment.id,
            artefact: assignment.artefact.digest.clone(),
            command: assignment.command.clone(),
            environment: environment(assignment, site),
            port: site.port,
            limits: assignment.limits,
            singleton: assignment.singleton,
        }
    }

    /// Another command in the same place, with the same rights.
    pub(crate) fn step(self, step: Step, command: &Command) -> Self {
        let mut environment = self.environment;
        if step == Step::Init {
            // surface.md B.4, `initContainer`.
            environment.insert("INIT_CONTAINER".to_owned(), "true".to_owned());
        }
        Self {
            command: command.clone(),
            environment,
            ..self
        }
    }
}

/// The variables of the release; the system variables win, so that an application can rely on
/// them whatever its release says.
fn environment(assignment: &Assignment, site: Site<'_>) -> BTreeMap<String, String> {
    let mut environment = assignment.variables.clone();
    let system = [
        ("APP", assignment.app.as_str()),
        ("BUILD", &assignment.build_id),
        ("BUILD_DESCRIPTION", &assignment.build_description),
        ("RACK", site.rack),
        ("RELEASE", &assignment.release_id),
        ("SERVICE", &assignment.service),
    ];
    environment.extend(system.map(|(name, value)| (name.to_owned(), value.replace('\0', ""))));
    if assignment.agent {
        environment.insert("INSTANCE_IP".to_owned(), site.host.to_owned());
    }
    match site.port {
        Some(port) => environment.insert("PORT".to_owned(), port.to_string()),
        None => environment.remove("PORT"),
    };
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::assignment::testing::assignment;

    #[test]
    fn system_variables_win_over_the_release() {
        let mut assignment = assignment(1);
        assignment.variables.insert("PORT".into(), "80".into());
        assignment.variables.insert("RACK".into(), "mine".into());
        assignment
            .variables
            .insert("PATH".into(), "/opt/bin".into());
        let site = Site {
            rack: "main",
            host: "10.0.0.4",
            port: Some(20_001),
        };
        let launch = Launch::new(&assignment, site);
        let expected = [
            ("APP", "shop"),
            ("BUILD", "B1"),
            ("BUILD_DESCRIPTION", "first"),
            ("GREETING", "hello"),
            ("PATH", "/opt/bin"),
            ("PORT", "20001"),
            ("RACK", "main"),
            ("RELEASE", "RABCDEFGHIJ"),
            ("SERVICE", "www"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(launch.environment, BTreeMap::from(expected));
        let portless = Launch::new(&assignment, Site { port: None, ..site });
        assert_eq!(portless.environment.get("PORT"), None);
        assignment.agent = true;
        let agent = Launch::new(&assignment, site);
        assert_eq!(agent.environment["INSTANCE_IP"], "10.0.0.4");
        let command = Command::Line("./migrate".into());
        let step = agent.clone().step(Step::Init, &command);
        assert_eq!(step.environment["INIT_CONTAINER"], "true");
        assert_eq!((step.command, step.port), (command.clone(), Some(20_001)));
        let other = agent.step(Step::PreStop, &command);
        assert_eq!(other.environment.get("INIT_CONTAINER"), None);
    }
}
