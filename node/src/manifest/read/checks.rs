//! `health`, `liveness` and `startupProbe`.

use fleet_model::{
    manifest::{Health, Liveness, Startup, Timings},
    time::Millis,
};

use super::super::{
    ManifestError,
    fields::Fields,
    node::{Node, Value},
    values,
};

pub(super) fn health(node: &Node) -> Result<Health, ManifestError> {
    let mut health = Health::default();
    if let Value::Text(_) = node.value {
        health.path = Some(values::path(node, "a health path")?);
        return Ok(health);
    }
    let fields = Fields::of(node);
    if let Some(interval) = fields.seconds("interval") {
        health.interval = interval;
        // One second less, so that a slow answer does not meet the next question.
        health.timeout = Millis(interval.0.saturating_sub(1000).max(1000));
    }
    if let Some(timeout) = fields.seconds("timeout") {
        health.timeout = timeout;
    }
    if let Some(grace) = fields.seconds("grace") {
        health.start_deadline = grace;
    }
    health.path = match fields.text("path") {
        _ if fields.flag("disable") == Some(true) => None,
        // surface.md B.4: the default of a mapping without one.
        path => Some(path.unwrap_or_else(|| "/".to_owned())),
    };
    Ok(health)
}

pub(super) fn liveness(service: &Fields<'_>) -> Result<Option<Liveness>, ManifestError> {
    let fields = service.within("liveness");
    let Some(path) = fields.text("path") else {
        return Ok(None);
    };
    let timings = timings(&fields, Timings::default());
    Ok(Some(Liveness { path, timings }))
}

/// Timings that are not said are those of `liveness` (surface.md B.4).
pub(super) fn startup(
    service: &Fields<'_>,
    liveness: Option<&Liveness>,
) -> Result<Option<Startup>, ManifestError> {
    let Some(node) = service.get("startupProbe") else {
        return Ok(None);
    };
    let fields = Fields::of(node);
    let path = fields.text("path");
    if path.is_some() && fields.get("tcpSocketPort").is_some() {
        return Err(node.error("startupProbe has both path and tcpSocketPort; choose one"));
    }
    let fallback = liveness
        .map(|liveness| liveness.timings)
        .unwrap_or_default();
    let timings = timings(&fields, fallback);
    Ok(Some(Startup { path, timings }))
}

fn timings(fields: &Fields<'_>, or: Timings) -> Timings {
    let times = |long: &str, short: &str| fields.number(long).or_else(|| fields.number(short));
    Timings {
        grace: fields.seconds("grace").unwrap_or(or.grace),
        interval: fields.seconds("interval").unwrap_or(or.interval),
        timeout: fields.seconds("timeout").unwrap_or(or.timeout),
        success: times("successThreshold", "success").unwrap_or(or.success),
        failure: times("failureThreshold", "failure").unwrap_or(or.failure),
    }
}
