//! `${NAME}`: what of a manifest depends on the variables of a release.
//!
//! Commands are left as written. A value in them would show in every list of processes, and inside
//! a shell's line it would be code; the frontend's own environment has the same values, where the
//! shell finds them for a line and the worker for a list of words. That is why a variable named in
//! a command reaches the service as if it were declared.

use super::{Declared, Doubt, Lifecycle, Manifest, Run, Service, check};
use crate::release::Variables;

impl Manifest {
    /// The manifest as it is for a release with these variables; a variable that is not set stands
    /// for nothing. The text stays as written.
    ///
    /// # Errors
    /// A sentence naming the first text that is of no use with these variables. It does not quote
    /// their values, which may be secrets.
    pub fn interpolate(&self, variables: &Variables) -> Result<Self, String> {
        let mut manifest = self.clone();
        defaults(&mut manifest.environment, variables);
        for (name, service) in &mut manifest.services {
            interpolate(service, variables)
                .map_err(|problem| format!("{problem} (service {name})"))?;
        }
        Ok(manifest)
    }
}

/// `text` with each `${NAME}` replaced by what `value` knows of it, or by nothing. What is not the
/// name of a variable, as in `${A:-b}`, stays.
pub fn interpolated<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next(rest) {
        result.push_str(before);
        result.push_str(value(name).unwrap_or_default());
        rest = after;
    }
    result.push_str(rest);
    result
}

/// The names in `${NAME}` of a text, in its order.
pub fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, name, after) = next(rest)?;
        rest = after;
        Some(name)
    })
}

/// What is before the next `${NAME}`, the name, and what is behind it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let begin = from + text[from..].find("${")?;
        let inner = &text[begin + 2..];
        let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        match end.map(|end| inner.split_at(end)) {
            Some((name, behind)) if is_name(name) && behind.starts_with('}') => {
                return Some((&text[..begin], name, &behind[1..]));
            }
            _ => from = begin + 2,
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

impl Service {
    /// What it starts, in any of its ways.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        let Lifecycle {
            pre_stop,
            post_start,
        } = &self.lifecycle;
        [&self.command, &self.init_step, pre_stop, post_start]
            .into_iter()
            .flatten()
    }
}

impl Run {
    /// Names of the variables it mentions as `${NAME}`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::Shell(line) => std::slice::from_ref(line),
            Self::Argv(words) => words.as_slice(),
        };
        texts.iter().flat_map(|text| names_in(text))
    }
}

fn interpolate(service: &mut Service, variables: &Variables) -> Result<(), String> {
    defaults(&mut service.environment, variables);
    path("health.path", service.health.path.as_mut(), variables)?;
    let liveness = service.liveness.as_mut().map(|check| &mut check.path);
    path("liveness.path", liveness, variables)?;
    let startup = service
        .startup
        .as_mut()
        .and_then(|check| check.path.as_mut());
    path("startupProbe.path", startup, variables)?;
    list("domain", &mut service.domains, variables, check::domain)?;
    list(
        "whitelist",
        &mut service.whitelist,
        variables,
        check::network,
    )?;
    let image = service.image.as_mut().into_iter();
    let build = service.build.as_mut().into_iter().flat_map(|build| {
        [&mut build.path, &mut build.manifest]
            .into_iter()
            .chain(build.args.values_mut())
    });
    let affinity = &mut service.node_affinity;
    let labels = affinity
        .iter_mut()
        .flat_map(|a| [&mut a.label, &mut a.value]);
    let selector = service.node_selector.values_mut();
    for text in image.chain(build).chain(labels).chain(selector) {
        *text = with(text, variables);
    }
    Ok(())
}

fn with(text: &str, variables: &Variables) -> String {
    interpolated(text, |name| variables.get(name).map(|value| &**value))
}

fn defaults(declared: &mut Declared, variables: &Variables) {
    for default in declared
        .variables
        .iter_mut()
        .filter_map(|v| v.default.as_mut())
    {
        *default = with(default, variables);
    }
}

fn path(key: &str, path: Option<&mut String>, variables: &Variables) -> Result<(), String> {
    let Some(written) = path else { return Ok(()) };
    let text = with(written, variables);
    check::health_path(&text).map_err(|doubt| of_no_use(key, written, doubt))?;
    *written = text;
    Ok(())
}

/// A variable may stand for several items, parted by commas, and for none.
fn list(
    key: &str,
    items: &mut Vec<String>,
    variables: &Variables,
    check: fn(&str) -> Result<(), Doubt>,
) -> Result<(), String> {
    let mut result = Vec::with_capacity(items.len());
    for written in &*items {
        let text = with(written, variables);
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            check(item).map_err(|doubt| of_no_use(key, written, doubt))?;
            result.push(item.to_owned());
        }
    }
    *items = result;
    Ok(())
}

fn of_no_use(key: &str, written: &str, doubt: Doubt) -> String {
    format!("with the variables of this release, {key} {written:?} is of no use: it {doubt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (std::sync::Arc::from(*name), std::sync::Arc::from(*value)))
            .collect()
    }

    #[test]
    fn names_are_replaced_and_nothing_else_is() {
        let set = variables(&[("A", "1"), ("B_2", "${A}"), ("empty", "")]);
        let cases = [
            ("", ""),
            ("plain $A $ { ${", "plain $A $ { ${"),
            ("${A}", "1"),
            ("a${A}b${A}", "a1b1"),
            // A value is not looked into again.
            ("${B_2}", "${A}"),
            ("<${empty}|${none}>", "<|>"),
            (
                "${A:-x} ${} ${2A} ${A-} ${Ä}",
                "${A:-x} ${} ${2A} ${A-} ${Ä}",
            ),
            ("${${A}}", "${1}"),
            ("$${A}", "$1"),
        ];
        for (text, expected) in cases {
            assert_eq!(with(text, &set), expected, "{text}");
        }
        let names: Vec<_> = names_in("${A} ${B:-c} ${A}${D}").collect();
        assert_eq!(names, ["A", "A", "D"]);
    }

    fn service() -> Service {
        let mut service = Service::new(Run::Shell("serve ${SECRET}".to_owned()));
        service.health.path = Some("/${UP}".to_owned());
        service.domains = vec!["${HOSTS}".to_owned(), "shop.example.org".to_owned()];
        service.whitelist = vec!["${NETWORK}".to_owned()];
        service.environment.variables = vec![super::super::Variable {
            name: "URL".to_owned(),
            default: Some("https://${HOSTS}/".to_owned()),
        }];
        service
    }

    fn manifest(service: Service) -> Manifest {
        let name = crate::ids::ServiceName::parse("web").unwrap();
        Manifest {
            text: "${A}".to_owned(),
            services: [(name, service)].into(),
            ..Manifest::default()
        }
    }

    #[test]
    fn a_release_fills_a_manifest() {
        let set = variables(&[("UP", "up"), ("HOSTS", "a.org, b.org"), ("SECRET", "x")]);
        let filled = manifest(service()).interpolate(&set).unwrap();
        assert_eq!(filled.text, "${A}");
        let web = filled.services.values().next().unwrap();
        assert_eq!(web.health.path.as_deref(), Some("/up"));
        assert_eq!(web.domains, ["a.org", "b.org", "shop.example.org"]);
        assert!(web.whitelist.is_empty());
        let url = web.environment.variables[0].default.as_deref();
        assert_eq!(url, Some("https://a.org, b.org/"));
        assert_eq!(web.command, service().command, "commands stay as written");
    }

    #[test]
    fn what_is_of_no_use_is_named_without_its_value() {
        let cases = [
            (
                ("UP", "/secret"),
                r#"health.path "/${UP}" is of no use: it must begin with one /"#,
            ),
            (
                ("HOSTS", "secret"),
                r#"domain "${HOSTS}" is of no use: it must be a host name"#,
            ),
            (
                ("NETWORK", "secret"),
                r#"whitelist "${NETWORK}" is of no use: it must be an address"#,
            ),
        ];
        for ((name, value), expected) in cases {
            let said = manifest(service())
                .interpolate(&variables(&[(name, value)]))
                .unwrap_err();
            assert!(said.contains(expected), "{said}");
            assert!(
                said.ends_with("(service web)") && !said.contains("secret"),
                "{said}"
            );
        }
    }
}
