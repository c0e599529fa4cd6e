//! One entry of `services`.

use std::collections::BTreeMap;

use fleet_model::{
    ids::ServiceName,
    manifest::{
        self, Affinity, Build, DEFAULT_TERMINATION_GRACE, Deployment, Health, Lifecycle, Run,
        Service,
    },
};

use super::{
    super::{
        ManifestError,
        fields::Fields,
        node::{Key, Node, Value},
        values,
    },
    checks, declared, later, scale,
};

pub(super) fn read(key: &Key, name: &ServiceName, node: &Node) -> Result<Service, ManifestError> {
    let what = format!("service {name}");
    let fields = Fields::of(node);
    let internal = fields.flag("internal").unwrap_or(false);
    let internal_router = fields.flag("internalRouter").unwrap_or(false);
    if internal && internal_router {
        let problem = format!("{what} has both internal and internalRouter; choose one");
        return Err(ManifestError::at(key.at, problem));
    }
    let port = fields
        .get("port")
        .map(|node| values::port(node, "port"))
        .transpose()?;
    let singleton = fields.flag("singleton").unwrap_or(false);
    let agent = agent(&fields);
    let lifecycle = fields.within("lifecycle");
    let termination = fields.within("termination");
    let liveness = checks::liveness(&fields)?;
    Ok(Service {
        command: run(&fields, "command")?,
        image: fields.text("image"),
        build: fields.get("build").map(build).transpose()?,
        internal: internal || internal_router,
        health: Health {
            grpc: fields.flag("grpcHealthEnabled").unwrap_or(false),
            ..fields
                .get("health")
                .map(checks::health)
                .transpose()?
                .unwrap_or_default()
        },
        startup: checks::startup(&fields, liveness.as_ref())?,
        liveness,
        scale: fields
            .get("scale")
            .map(|node| scale::counts(node, &what))
            .transpose()?
            .flatten(),
        requests: scale::requests(&fields.within("scale")),
        limits: scale::limits(&fields.within("scale")),
        targets: fields
            .get("scale")
            .map(|node| scale::targets(node, &what))
            .transpose()?
            .unwrap_or_default(),
        deployment: deployment(&fields, agent || singleton),
        singleton,
        agent,
        sticky: fields.flag("sticky").unwrap_or(false),
        init: fields.flag("init").unwrap_or(true),
        init_step: run(&fields.within("initContainer"), "command")?,
        lifecycle: Lifecycle {
            pre_stop: run(&lifecycle, "preStop")?,
            post_start: run(&lifecycle, "postStart")?,
        },
        termination_grace: termination
            .seconds("grace")
            .unwrap_or(DEFAULT_TERMINATION_GRACE),
        drain: fields.seconds("drain"),
        timeout: fields.seconds("timeout"),
        domains: items(&fields, "domain", manifest::domain)?,
        whitelist: items(&fields, "whitelist", manifest::network)?,
        environment: declared(&fields)?,
        resources: match fields.get("resources") {
            Some(node) => values::texts(node, "resources")?,
            None => Vec::new(),
        },
        node_selector: match fields.get("nodeSelectorLabels") {
            Some(node) => values::labels(node, "nodeSelectorLabels")?
                .into_iter()
                .collect(),
            None => BTreeMap::new(),
        },
        node_affinity: fields
            .get("nodeAffinityLabels")
            .map(affinity)
            .unwrap_or_default(),
        later: later::of(node, port.as_ref()),
        port,
    })
}

fn run(fields: &Fields<'_>, name: &str) -> Result<Option<Run>, ManifestError> {
    fields
        .get(name)
        .map(|node| values::run(node, name))
        .transpose()
}

fn items(
    fields: &Fields<'_>,
    name: &str,
    check: fn(&str) -> Result<(), manifest::Doubt>,
) -> Result<Vec<String>, ManifestError> {
    let items = fields
        .get(name)
        .map(|node| values::items(node, name, check));
    Ok(items.transpose()?.unwrap_or_default())
}

fn agent(fields: &Fields<'_>) -> bool {
    match fields.get("agent").map(|node| &node.value) {
        None => false,
        Some(Value::Boolean(agent)) => *agent,
        Some(_) => fields.within("agent").flag("enabled").unwrap_or(true),
    }
}

fn build(node: &Node) -> Result<Build, ManifestError> {
    let default = Build::default();
    if let Value::Text(path) = &node.value {
        let path = path.clone();
        return Ok(Build { path, ..default });
    }
    let fields = Fields::of(node);
    let args = match fields.get("args") {
        Some(node) => values::texts(node, "args")?,
        None => Vec::new(),
    };
    let pair = |arg: String| match arg.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        // Docker takes such an argument from the environment of the same name.
        None => (arg.clone(), format!("${{{arg}}}")),
    };
    Ok(Build {
        path: fields.text("path").unwrap_or(default.path),
        manifest: fields.text("manifest").unwrap_or(default.manifest),
        args: args.into_iter().map(pair).collect(),
        command: run(&fields, "command")?,
    })
}

fn deployment(fields: &Fields<'_>, one_at_a_time: bool) -> Deployment {
    let default = match one_at_a_time {
        true => Deployment::ONE_AT_A_TIME,
        false => Deployment::default(),
    };
    let fields = fields.within("deployment");
    Deployment {
        minimum: fields.number("minimum").unwrap_or(default.minimum),
        maximum: fields.number("maximum").unwrap_or(default.maximum),
    }
}

fn affinity(node: &Node) -> Vec<Affinity> {
    let Value::List(items) = &node.value else {
        return Vec::new();
    };
    let one = |item: &Node| {
        let fields = Fields::of(item);
        Affinity {
            weight: fields.number("weight").unwrap_or(1),
            label: fields.text("label").unwrap_or_default(),
            value: fields.text("value").unwrap_or_default(),
        }
    };
    items.iter().map(one).collect()
}
