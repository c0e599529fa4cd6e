//! Which keys of a service ask for what does not exist yet.

use std::collections::BTreeSet;

use fleet_model::manifest::Port;

use super::super::{
    fields::Fields,
    keys::{Effect, Key, Kind, TOP},
    node::{Node, Value},
    values,
};

/// Their names, as `scale.gpu`.
pub(super) fn of(service: &Node, port: Option<&Port>) -> BTreeSet<String> {
    let mut later = BTreeSet::new();
    let services = TOP.iter().find(|key| key.name == "services");
    let known = services.map(|key| key.kind.keys()).unwrap_or_default();
    collect(service, known, "", &mut later);
    // `image` has its own sentence.
    later.remove("image");
    // Checks of the service's own port are what there is; those of another would need one.
    let asked = [
        ("health", "port"),
        ("liveness", "port"),
        ("startupProbe", "port"),
        ("startupProbe", "tcpSocketPort"),
    ];
    for (section, name) in asked {
        let asked = Fields::of(service).within(section).get(name);
        let asked = asked.and_then(|node| values::port(node, name).ok());
        if asked.is_some_and(|asked| port.is_none_or(|port| port.number != asked.number)) {
            later.insert(format!("{section}.{name}"));
        }
    }
    later
}

fn collect(node: &Node, known: &'static [Key], within: &str, later: &mut BTreeSet<String>) {
    let fields = Fields::of(node);
    for key in known {
        let Some(node) = fields.get(key.name) else {
            continue;
        };
        let name = format!("{within}{}", key.name);
        if key.effect == Effect::Refused {
            later.extend(asks(node).then_some(name));
        } else if let Kind::Section(known) | Kind::Or(_, known) = key.kind {
            collect(node, known, &format!("{name}."), later);
        }
    }
}

/// Whether a value asks for anything: `privileged: false` and `volumes: []` do not.
fn asks(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Boolean(false) | Value::Integer(0) => false,
        Value::Boolean(true) | Value::Integer(_) | Value::Fraction(_) => true,
        Value::Text(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Mapping(entries) => !entries.is_empty(),
    }
}
