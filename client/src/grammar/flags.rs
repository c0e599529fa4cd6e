//! Global flags are lifted out first, wherever they stand, so that they never look like names.

use super::misuse::Misuse;
use super::positionals::takes_value;

/// Global flags with a value: short, long.
const WITH_VALUE: &[(&str, &str)] = &[
    ("-a", "--app"),
    ("-r", "--rack"),
    ("-e", "--env"),
    ("-o", "--output"),
    ("", "--timeout"),
];

/// Global flags without.
const BARE: &[(&str, &str)] = &[("-w", "--wait"), ("", "--stale")];

/// The global flags of one line.
#[derive(Debug, Default, Clone)]
pub(super) struct Lifted {
    /// Long flag and value, in order of appearance, each flag once.
    values: Vec<(&'static str, String)>,
    bare: Vec<&'static str>,
}

impl Lifted {
    /// Splits the line into its global flags and the rest. `--` ends the flags.
    pub(super) fn from(argv: &[String]) -> Result<(Self, Vec<String>), Misuse> {
        let mut lifted = Self::default();
        let mut rest = Vec::with_capacity(argv.len());
        let mut tokens = argv.iter();
        while let Some(token) = tokens.next() {
            if token == "--" {
                rest.push(token.clone());
                rest.extend(tokens.by_ref().cloned());
            } else if let Some(flag) = bare(token) {
                if !lifted.bare.contains(&flag) {
                    lifted.bare.push(flag);
                }
            } else if let Some((flag, inline)) = with_value(token) {
                let value = match inline {
                    Some(value) => value.to_owned(),
                    None => tokens
                        .next()
                        .cloned()
                        .ok_or(Misuse::FlagWithoutValue { flag })?,
                };
                lifted.set(flag, value)?;
            } else {
                rest.push(token.clone());
                if takes_value(token) {
                    rest.extend(tokens.next().cloned());
                }
            }
        }
        Ok((lifted, rest))
    }

    /// The environment of `-e`.
    pub(super) fn environment(&self) -> Option<&str> {
        self.values
            .iter()
            .find(|(flag, _)| *flag == "--env")
            .map(|(_, value)| value.as_str())
    }

    /// Sets `-e`, or checks that it says the same.
    pub(super) fn set_environment(&mut self, name: String) -> Result<(), Misuse> {
        match self.environment() {
            Some(flag) if flag != name => Err(Misuse::TwoEnvironments {
                name,
                flag: flag.to_owned(),
            }),
            _ => self.set("--env", name),
        }
    }

    /// The flags in canonical form, `--flag=value`.
    pub(super) fn into_tokens(self) -> Vec<String> {
        let values = self
            .values
            .into_iter()
            .map(|(flag, value)| format!("{flag}={value}"));
        values
            .chain(self.bare.into_iter().map(str::to_owned))
            .collect()
    }

    fn set(&mut self, flag: &'static str, value: String) -> Result<(), Misuse> {
        match self.values.iter().find(|(known, _)| *known == flag) {
            Some((_, known)) if *known == value => Ok(()),
            Some((_, known)) => Err(Misuse::FlagTwice {
                flag,
                first: known.clone(),
                second: value,
            }),
            None => {
                self.values.push((flag, value));
                Ok(())
            }
        }
    }
}

fn bare(token: &str) -> Option<&'static str> {
    BARE.iter()
        .find(|(short, long)| token == *long || (!short.is_empty() && token == *short))
        .map(|(_, long)| *long)
}

/// Recognises `--flag value`, `--flag=value`, `-f value`, `-fvalue` and `-f=value`.
fn with_value(token: &str) -> Option<(&'static str, Option<&str>)> {
    for (short, long) in WITH_VALUE {
        if let Some(after) = token.strip_prefix(long) {
            if after.is_empty() {
                return Some((long, None));
            }
            if let Some(value) = after.strip_prefix('=') {
                return Some((long, Some(value)));
            }
        }
        if !short.is_empty()
            && let Some(after) = token.strip_prefix(short)
        {
            let value = after.strip_prefix('=').unwrap_or(after);
            return Some((long, (!after.is_empty()).then_some(value)));
        }
    }
    None
}
