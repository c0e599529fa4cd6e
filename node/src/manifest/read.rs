//! What a checked text says, in the model's words.

mod checks;
mod later;
mod scale;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::{
    ids::ServiceName,
    manifest::{Declared, Manifest},
};

use super::{ManifestError, fields::Fields, node::Node, values};

pub(super) fn manifest(text: &str, root: &Node) -> Result<Manifest, ManifestError> {
    let top = Fields::of(root);
    let mut services = BTreeMap::new();
    let entries = top.get("services").map(|node| node.entries("services"));
    for (key, node) in entries.transpose()?.unwrap_or_default() {
        let name = ServiceName::parse(&key.name)
            .map_err(|error| ManifestError::at(key.at, error.to_string()))?;
        let service = service::read(key, &name, node)?;
        services.insert(name, service);
    }
    let names =
        |section| -> BTreeSet<String> { top.within(section).names().map(str::to_owned).collect() };
    Ok(Manifest {
        text: text.to_owned(),
        environment: declared(&top)?,
        services,
        timers: names("timers"),
        resources: names("resources"),
        balancers: names("balancers"),
    })
}

fn declared(fields: &Fields<'_>) -> Result<Declared, ManifestError> {
    let declared = fields
        .get("environment")
        .map(|node| values::environment(node, "environment"));
    Ok(declared.transpose()?.unwrap_or_default())
}
