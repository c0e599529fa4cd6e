//! `scale`: how many, and how large.

use fleet_model::manifest::{Resources, Scale, Targets};

use super::super::{
    ManifestError,
    fields::Fields,
    node::{Node, Value},
    values,
};

/// `None` where only resources are asked for: then the environment decides on the count.
pub(super) fn counts(node: &Node, of: &str) -> Result<Option<Scale>, ManifestError> {
    if let Value::Integer(_) | Value::Text(_) = node.value {
        let (min, max) = values::count(node, "scale")?;
        return Ok(Some(Scale {
            count: min,
            min,
            max,
        }));
    }
    let fields = Fields::of(node);
    let spoken = fields
        .get("count")
        .map(|node| values::count(node, "count"))
        .transpose()?;
    let min = fields.number("min").or(spoken.map(|(min, _)| min));
    let max = fields.number("max").or(spoken.map(|(_, max)| max));
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

pub(super) fn requests(scale: &Fields<'_>) -> Resources {
    Resources {
        cpu_millicores: scale.number("cpu"),
        memory_bytes: scale.number("memory").map(mebibytes),
    }
}

/// Memory that is asked for is a bound, too, unless another is named; a share of the cores is not
/// (surface.md B.4, `limit`).
pub(super) fn limits(scale: &Fields<'_>) -> Resources {
    let limit = scale.within("limit");
    let memory = limit.number("memory").or(scale.number("memory"));
    Resources {
        cpu_millicores: limit.number("cpu"),
        memory_bytes: memory.map(mebibytes),
    }
}

/// What the predecessor says in two places, `targets` and the thresholds of `autoscale`, is one
/// thing here, which may be said twice but not in two ways.
pub(super) fn targets(node: &Node, of: &str) -> Result<Targets, ManifestError> {
    let scale = Fields::of(node);
    let (targets, autoscale) = (scale.within("targets"), scale.within("autoscale"));
    let said_once = |name: &str| match (targets.number(name), threshold(&autoscale, name)) {
        (Some(target), Some(threshold)) if target != threshold => Err(node.error(format!(
            "scale of {of} has {name} {target} in targets and {threshold} in autoscale; choose one"
        ))),
        (target, threshold) => Ok(target.or(threshold)),
    };
    let a_minute = targets.number("requests");
    if targets.number("rps").is_some() && a_minute.is_some() {
        let problem = format!("targets of scale of {of} have both rps and requests; choose one");
        return Err(node.error(problem));
    }
    Ok(Targets {
        cpu_percent: said_once("cpu")?,
        memory_percent: said_once("memory")?,
        rps: targets
            .number("rps")
            .or(a_minute.map(|requests| requests / 60)),
        concurrency: targets.number("concurrency"),
        cooldown: autoscale.seconds("cooldownPeriod"),
    })
}

/// `cpu: 70`, or `cpu: {threshold: 70}`.
fn threshold(autoscale: &Fields<'_>, name: &str) -> Option<u32> {
    let within = || autoscale.within(name).number("threshold");
    autoscale.number(name).or_else(within)
}

fn mebibytes(number: u32) -> u64 {
    u64::from(number) << 20
}
