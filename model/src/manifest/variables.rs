//! Which variables a service is given.
//!
//! As with Convox, only what is declared reaches a service: at the top of the manifest for all of
//! them, in a service for that one, or everything with `"*"`. A manifest without any declaration
//! is fleet's own rule: every variable of the environment reaches every service, so that an app
//! that never wrote `environment` need not begin.

use std::collections::{BTreeMap, BTreeSet};

use super::{Manifest, Service};
use crate::{command::SYSTEM, ids::ServiceName, release::Variables};

/// An `environment` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// `"*"`: every variable there is.
    pub everything: bool,
    /// In the order of the text; of two of the same name the later counts.
    pub variables: Vec<Variable>,
}

/// `NAME` or `NAME=default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    /// `None`: it must be set before a release can run. An empty text is a default like any other.
    pub default: Option<String>,
}

impl Declared {
    /// Whether nothing is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.variables.is_empty()
    }
}

impl Manifest {
    /// Names that some service declares without a default and that are not set, sorted. While there
    /// are any, the release cannot run.
    #[must_use]
    pub fn missing<'a>(&'a self, variables: &Variables) -> Vec<&'a str> {
        let required = self.services.values().flat_map(|service| {
            let declared = self.declared_for(service);
            declared
                .into_iter()
                .filter_map(|(name, default)| default.is_none().then_some(name))
        });
        let missing: BTreeSet<&str> = required
            .filter(|name| !variables.contains_key(*name) && !SYSTEM.contains(name))
            .collect();
        missing.into_iter().collect()
    }

    /// What a service is given of the variables of a release: what is declared, defaults included,
    /// and what its commands name as `${NAME}`. Without the system variables, which the worker adds.
    /// A service that is not there is given nothing.
    #[must_use]
    pub fn variables_of(
        &self,
        service: &ServiceName,
        variables: &Variables,
    ) -> BTreeMap<String, String> {
        let Some(service) = self.services.get(service) else {
            return BTreeMap::new();
        };
        let declared = self.declared_for(service);
        let mut given: BTreeMap<String, String> = declared
            .iter()
            .filter_map(|(name, default)| Some(((*name).to_owned(), (*default)?.to_owned())))
            .collect();
        let everything = self.environment.everything
            || service.environment.everything
            || self.declares_nothing();
        let named: BTreeSet<&str> = service.runs().flat_map(super::Run::names).collect();
        let reaching = variables.iter().filter(|(name, _)| {
            everything || declared.contains_key(&***name) || named.contains(&***name)
        });
        given.extend(reaching.map(|(name, value)| (name.to_string(), value.to_string())));
        given.retain(|name, _| !SYSTEM.contains(&name.as_str()));
        given
    }

    /// Names with their defaults; what the service says comes after what the manifest says.
    fn declared_for<'a>(&'a self, service: &'a Service) -> BTreeMap<&'a str, Option<&'a str>> {
        self.environment
            .variables
            .iter()
            .chain(&service.environment.variables)
            .map(|variable| (variable.name.as_str(), variable.default.as_deref()))
            .collect()
    }

    fn declares_nothing(&self) -> bool {
        let services = self.services.values();
        self.environment.is_empty() && services.into_iter().all(|s| s.environment.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Run, *};

    fn declared(names: &[&str]) -> Declared {
        let variable = |name: &&str| match name.split_once('=') {
            Some((name, default)) => Variable {
                name: name.to_owned(),
                default: Some(default.to_owned()),
            },
            None => Variable {
                name: (*name).to_owned(),
                default: None,
            },
        };
        Declared {
            everything: names.contains(&"*"),
            variables: names.iter().filter(|n| **n != "*").map(variable).collect(),
        }
    }

    fn manifest(top: &[&str], web: &[&str], job: &[&str]) -> Manifest {
        let service = |names: &[&str]| Service {
            environment: declared(names),
            ..Service::new(Run::Shell("run ${NAMED} ${UNSET}".to_owned()))
        };
        Manifest {
            environment: declared(top),
            services: [(name("web"), service(web)), (name("job"), service(job))].into(),
            ..Manifest::default()
        }
    }

    fn name(service: &str) -> ServiceName {
        ServiceName::parse(service).unwrap()
    }

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (std::sync::Arc::from(*name), std::sync::Arc::from(*value)))
            .collect()
    }

    fn given(manifest: &Manifest, service: &str, set: &[(&str, &str)]) -> String {
        let given = manifest.variables_of(&name(service), &variables(set));
        let pairs: Vec<_> = given.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(" ")
    }

    #[test]
    fn only_what_is_declared_reaches_a_service() {
        let set = [("A", "1"), ("B", "2"), ("C", "3")];
        /// Declared at the top, for web and for job, with what web and what job are given.
        type Case = ([&'static [&'static str]; 3], [&'static str; 2]);
        let cases: [Case; 8] = [
            ([&[], &[], &[]], ["A=1 B=2 C=3", "A=1 B=2 C=3"]),
            ([&["A"], &[], &[]], ["A=1", "A=1"]),
            ([&["A"], &["B"], &[]], ["A=1 B=2", "A=1"]),
            ([&[], &["B"], &[]], ["B=2", ""]),
            ([&["*"], &["D=4"], &[]], ["A=1 B=2 C=3 D=4", "A=1 B=2 C=3"]),
            ([&[], &["*"], &["C"]], ["A=1 B=2 C=3", "C=3"]),
            ([&["A=9", "D=9"], &["D="], &[]], ["A=1 D=", "A=1 D=9"]),
            ([&["PORT=80", "RACK"], &["A"], &[]], ["A=1", ""]),
        ];
        for ([top, web, job], [for_web, for_job]) in cases {
            let manifest = manifest(top, web, job);
            assert_eq!(given(&manifest, "web", &set), for_web, "{top:?} {web:?}");
            assert_eq!(given(&manifest, "job", &set), for_job, "{top:?} {job:?}");
        }
        assert_eq!(given(&manifest(&[], &[], &[]), "mail", &set), "");
        let named = [("NAMED", "5"), ("OTHER", "6")];
        assert_eq!(given(&manifest(&["A"], &[], &[]), "web", &named), "NAMED=5");
    }

    #[test]
    fn what_is_neither_set_nor_defaulted_is_missing() {
        let manifest = manifest(&["A", "B=1", "PORT"], &["B", "*"], &["C", "A=2"]);
        // B has a default for job, not for web, which says so itself.
        assert_eq!(manifest.missing(&variables(&[])), ["A", "B", "C"]);
        assert_eq!(manifest.missing(&variables(&[("B", ""), ("C", "")])), ["A"]);
        let all = [("A", ""), ("B", ""), ("C", "")];
        assert!(manifest.missing(&variables(&all)).is_empty());
        assert!(
            super::Manifest::default()
                .missing(&variables(&[]))
                .is_empty()
        );
    }
}
