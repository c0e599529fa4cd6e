//! One entry of `services`.

use fleet_model::{
    ids::ServiceName,
    manifest::{DEFAULT_TERMINATION_GRACE, Health, Port, Run, Scale, Scheme, Service},
    time::Millis,
};

use super::{
    ManifestError,
    fields::{Fields, number},
    keys,
    node::{Key, Node, Value},
};

/// Seconds a health interval, timeout or grace may take; an hour is beyond any use.
const SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;
/// Frontends of one service: ten times the largest fleet this is built for (design section 1).
const COUNT: std::ops::RangeInclusive<u32> = 0..=10_000;

pub(super) fn read(key: &Key, node: &Node) -> Result<(ServiceName, Service), ManifestError> {
    let name = ServiceName::parse(&key.name)
        .map_err(|error| ManifestError::at(key.at, error.to_string()))?;
    let what = format!("service {name}");
    let fields = Fields::of(node, &what, keys::SERVICE)?;
    let internal = fields.boolean("internal")?;
    let internal_router = fields.boolean("internalRouter")?;
    if internal && internal_router {
        let problem = format!("{what} has both internal and internalRouter; choose one");
        return Err(ManifestError::at(key.at, problem));
    }
    let Some(command) = fields.get("command") else {
        let problem = format!("{what} has no command, which is how its frontends are started");
        return Err(ManifestError::at(key.at, problem));
    };
    let service = Service {
        command: Some(run(command)?),
        port: fields.get("port").map(port).transpose()?,
        internal: internal || internal_router,
        health: match fields.get("health") {
            Some(node) => health(node, &what)?,
            None => Health::default(),
        },
        scale: fields
            .get("scale")
            .map(|node| scale(node, &what))
            .transpose()?
            .flatten(),
        termination_grace: termination(&fields, &what)?,
        ..Service::default()
    };
    Ok((name, service))
}

fn run(node: &Node) -> Result<Run, ManifestError> {
    match &node.value {
        Value::Text(line) => {
            check_text(node, line)?;
            if line.trim().is_empty() {
                return Err(node.error("command is empty"));
            }
            Ok(Run::Shell(line.clone()))
        }
        Value::List(words) => {
            let words = words.iter().map(word).collect::<Result<Vec<_>, _>>()?;
            if words.first().is_none_or(String::is_empty) {
                return Err(node.error("command names no program"));
            }
            Ok(Run::Argv(words))
        }
        _ => {
            let kind = node.kind();
            Err(node.error(format!(
                "command must be text or a list of texts, not {kind}"
            )))
        }
    }
}

/// YAML has forgotten how a number was written (`1.10`, `0x10`), so it is not guessed.
fn word(node: &Node) -> Result<String, ManifestError> {
    match &node.value {
        Value::Text(word) => {
            check_text(node, word)?;
            Ok(word.clone())
        }
        Value::Integer(_) | Value::Fraction(_) | Value::Boolean(_) => {
            let kind = node.kind();
            Err(node.error(format!(
                "a word of command must be text, not {kind}: put it in quotes"
            )))
        }
        _ => Err(node.error(format!(
            "a word of command must be text, not {}",
            node.kind()
        ))),
    }
}

fn check_text(node: &Node, text: &str) -> Result<(), ManifestError> {
    if text.contains('\0') {
        return Err(node.error("command has a NUL character"));
    }
    Ok(())
}

fn port(node: &Node) -> Result<Port, ManifestError> {
    let malformed = || {
        let kind = node.kind();
        node.error(format!(
            "port must be a number from 1 to 65535 or as http:3000, not {kind}"
        ))
    };
    let (scheme, number) = match &node.value {
        Value::Integer(number) => (Scheme::Http, u16::try_from(*number).ok()),
        Value::Text(text) => {
            let (scheme, number) = text.split_once(':').unwrap_or(("http", text));
            let scheme = match scheme {
                "http" => Scheme::Http,
                "https" => Scheme::Https,
                "grpc" => Scheme::Grpc,
                other => {
                    let problem = format!("port has scheme {other:?}; known are http, https, grpc");
                    return Err(node.error(problem));
                }
            };
            let plain = number.bytes().all(|byte| byte.is_ascii_digit());
            (scheme, number.parse().ok().filter(|_| plain))
        }
        _ => return Err(malformed()),
    };
    match number {
        Some(number @ 1..) => Ok(Port { scheme, number }),
        _ => Err(malformed()),
    }
}

fn health(node: &Node, of: &str) -> Result<Health, ManifestError> {
    let mut health = Health::default();
    if let Value::Text(_) = node.value {
        health.path = Some(path(node)?);
        return Ok(health);
    }
    let fields = Fields::of(node, &format!("health of {of}"), keys::HEALTH)?;
    let seconds = |name| {
        let found = fields.number(name, SECONDS)?;
        Ok::<_, ManifestError>(found.map(|seconds| Millis::seconds(seconds.into())))
    };
    if let Some(interval) = seconds("interval")? {
        health.interval = interval;
        // One second less, so that a slow answer does not meet the next question.
        health.timeout = Millis(interval.0.saturating_sub(1000).max(1000));
    }
    if let Some(timeout) = seconds("timeout")? {
        health.timeout = timeout;
    }
    if let Some(grace) = seconds("grace")? {
        health.start_deadline = grace;
    }
    health.path = match fields.get("path") {
        _ if fields.boolean("disable")? => None,
        Some(node) => Some(path(node)?),
        // surface.md B.4: the default of a mapping without one.
        None => Some("/".to_owned()),
    };
    Ok(health)
}

/// A path on the frontend itself: nothing that a client could read as another host, and nothing
/// that ends the request line.
fn path(node: &Node) -> Result<String, ManifestError> {
    let Value::Text(path) = &node.value else {
        return Err(node.error(format!("a health path must be text, not {}", node.kind())));
    };
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    if !path.starts_with('/') || path.starts_with("//") || !plain || path.len() > 2048 {
        let problem = "must begin with one / and hold no blanks, #, \\ or letters beyond ASCII";
        return Err(node.error(format!("a health path {problem}, unlike {}", node.kind())));
    }
    Ok(path.clone())
}

/// `None` where only resources are asked for: then the environment decides on the count.
fn scale(node: &Node, of: &str) -> Result<Option<Scale>, ManifestError> {
    if let Value::Integer(_) | Value::Text(_) = node.value {
        let (min, max) = bounds(node, "scale")?;
        return Ok(Some(Scale {
            count: min,
            min,
            max,
        }));
    }
    let fields = Fields::of(node, &format!("scale of {of}"), keys::SCALE)?;
    let spoken = fields
        .get("count")
        .map(|node| bounds(node, "count"))
        .transpose()?;
    let min = fields.number("min", COUNT)?.or(spoken.map(|(min, _)| min));
    let max = fields.number("max", COUNT)?.or(spoken.map(|(_, max)| max));
    let (min, max) = match (min, max) {
        (None, None) => return Ok(None),
        (Some(min), Some(max)) => (min, max),
        // surface.md B.4: a count that is not named is 1.
        (Some(min), None) => (min, min.max(1)),
        (None, Some(max)) => (max.min(1), max),
    };
    let count = spoken.map_or(min, |(count, _)| count);
    if !(min..=max).contains(&count) {
        let problem = format!("scale of {of} has count {count} outside of {min} to {max}");
        return Err(node.error(problem));
    }
    Ok(Some(Scale { count, min, max }))
}

/// `N` or `A-B`.
fn bounds(node: &Node, name: &str) -> Result<(u32, u32), ManifestError> {
    let Value::Text(text) = &node.value else {
        let count = number(node, name, COUNT)?;
        return Ok((count, count));
    };
    let parse = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse()
            .ok()
            .filter(|count| digits && COUNT.contains(count))
    };
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    match (parse(min), parse(max)) {
        (Some(min), Some(max)) if min <= max => Ok((min, max)),
        _ => {
            let (high, kind) = (COUNT.end(), node.kind());
            Err(node.error(format!(
                "{name} must be as 2 or 1-5, up to {high}, not {kind}"
            )))
        }
    }
}

fn termination(fields: &Fields<'_>, of: &str) -> Result<Millis, ManifestError> {
    let Some(node) = fields.get("termination") else {
        return Ok(DEFAULT_TERMINATION_GRACE);
    };
    let fields = Fields::of(node, &format!("termination of {of}"), keys::TERMINATION)?;
    let grace = fields.number("grace", 0..=3600)?;
    Ok(grace.map_or(DEFAULT_TERMINATION_GRACE, |seconds| {
        Millis::seconds(seconds.into())
    }))
}
