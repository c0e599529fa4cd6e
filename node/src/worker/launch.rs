//! What a frontend is given when it starts: its variables, the system variables, its port.

use std::collections::BTreeMap;

use fleet_model::ids::{Digest, FrontendId};

use super::assignment::{Assignment, Command, Limits};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) id: FrontendId,
    pub(crate) artefact: Digest,
    pub(crate) command: Command,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) port: Option<u16>,
    pub(crate) limits: Limits,
}

impl Launch {
    /// `rack` is the name of the cluster.
    pub(crate) fn new(assignment: &Assignment, port: Option<u16>, rack: &str) -> Self {
        Self {
            id: assignment.id,
            artefact: assignment.artefact.digest.clone(),
            command: assignment.command.clone(),
            environment: environment(assignment, port, rack),
            port,
            limits: assignment.limits,
        }
    }
}

/// The variables of the release; the system variables win, so that an application can rely on
/// them whatever its release says.
fn environment(assignment: &Assignment, port: Option<u16>, rack: &str) -> BTreeMap<String, String> {
    let mut environment = assignment.variables.clone();
    let system = [
        ("APP", assignment.app.as_str()),
        ("BUILD", &assignment.build_id),
        ("BUILD_DESCRIPTION", &assignment.build_description),
        ("RACK", rack),
        ("RELEASE", &assignment.release_id),
        ("SERVICE", &assignment.service),
    ];
    environment.extend(system.map(|(name, value)| (name.to_owned(), value.replace('\0', ""))));
    match port {
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
        let launch = Launch::new(&assignment, Some(20_001), "main");
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
        let portless = Launch::new(&assignment, None, "main");
        assert_eq!(portless.environment.get("PORT"), None);
    }
}
