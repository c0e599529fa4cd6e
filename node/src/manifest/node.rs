//! YAML as a tree that remembers where everything stood.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Spanned, options::DuplicateKeyPolicy};

use super::{ALIASED, DEEPEST, LARGEST, ManifestError, error::Position};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i128),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

impl Node {
    pub(super) fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > LARGEST {
            let problem = format!("the manifest is larger than {LARGEST} bytes");
            return Err(ManifestError::at(Position { line: 1, column: 1 }, problem));
        }
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| explain(&error))
    }

    /// What it is, for "expected …, found …".
    pub(super) fn kind(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => format!("the number {value}"),
            Value::Fraction(value) => format!("the number {value}"),
            Value::Text(text) => format!("the text {:?}", shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// An error at this node.
    pub(super) fn error(&self, problem: impl Into<String>) -> ManifestError {
        ManifestError::at(self.at, problem)
    }

    /// The entries of what must be a mapping; `what` is its name in the error.
    pub(super) fn entries(&self, what: &str) -> Result<&[(Key, Node)], ManifestError> {
        match &self.value {
            Value::Mapping(entries) => Ok(entries),
            _ => Err(self.error(format!("{what} must be a mapping, not {}", self.kind()))),
        }
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_documents: 1,
            max_anchors: ALIASED,
            max_aliases: ALIASED,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIASED,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The reader's errors in our words where its own speak of its settings.
fn explain(error: &serde_saphyr::Error) -> ManifestError {
    use serde_saphyr::{Error, budget::BudgetBreach};
    let at = error.location().map(Position::from).unwrap_or_default();
    let problem = match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("duplicate key {key:?}"),
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => {
            format!("nested more than {DEEPEST} deep")
        }
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => "a second document begins; a manifest is one".to_owned(),
        // The limit, as it shows where the alias stands; nothing else fails inside an alias, since
        // a tree takes whatever was well-formed where it was defined.
        Error::AliasError { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::Budget { .. } => {
            format!("aliases add more than {ALIASED} nodes")
        }
        Error::NonFiniteFloat { .. } => "a number is too large".to_owned(),
        other => {
            let text = other.to_string();
            text.strip_suffix(&format!(" at {at}"))
                .unwrap_or(&text)
                .to_owned()
        }
    };
    ManifestError::at(at, problem)
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            at: spanned.referenced.into(),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self {
            at: spanned.referenced.into(),
            name: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = mapping.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Mapping(entries))
    }
}
