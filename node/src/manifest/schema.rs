//! The JSON schema of the manifest, written from the table, for editors that complete and check.
//!
//! Draft 7, since that is what the YAML plug-ins of editors understand. It says what a schema can:
//! keys, types, bounds; what depends on two keys at once is left to the reader.

use serde_json::{Value, json};

use super::keys::{Effect, Key, Kind, TOP};

/// The schema, as `docs/fleet.schema.json` has it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = mapping(TOP);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("fleet.yml");
    schema
}

fn mapping(keys: &[Key]) -> Value {
    let properties: serde_json::Map<_, _> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<_> = keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = value(&key.kind);
    let effect = match key.effect {
        Effect::Works => "",
        Effect::Ignored => " (no effect yet)",
        Effect::Refused => " (refused when loaded, until it exists)",
    };
    schema["description"] = json!(format!("{}{effect}", key.says));
    // Nothing behind a key is as good as no key.
    if !key.required && !matches!(key.kind, Kind::Anything) {
        let description = schema["description"].take();
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("description");
        }
        schema = json!({"description": description, "anyOf": [schema, {"type": "null"}]});
    }
    schema
}

fn value(kind: &Kind) -> Value {
    let text = || json!({"type": "string", "minLength": 1});
    let texts = || json!({"type": "array", "items": text()});
    match kind {
        Kind::Text | Kind::Path => text(),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Run => json!({"anyOf": [text(), {"type": "array", "items": text(), "minItems": 1}]}),
        Kind::Port => json!({"anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"type": "string", "pattern": "^((https?|grpc|secure-grpc):)?[0-9]+$"},
        ]}),
        Kind::Count => json!({"anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 10000},
            {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?$"},
        ]}),
        Kind::Domains | Kind::Networks => json!({"anyOf": [text(), texts()]}),
        Kind::Environment => json!({
            "type": "array",
            "items": {"type": "string", "pattern": "^(\\*|[A-Za-z_][A-Za-z0-9_]*(=[\\s\\S]*)?)$"},
        }),
        Kind::Texts => texts(),
        Kind::Labels => json!({"type": "object", "additionalProperties": text()}),
        Kind::Anything => json!({}),
        Kind::Section(keys) => mapping(keys),
        Kind::Or(short, keys) => json!({"anyOf": [value(short), mapping(keys)]}),
        Kind::Each(keys) => json!({"type": "object", "additionalProperties": mapping(keys)}),
        Kind::Items(keys) => json!({"type": "array", "items": mapping(keys)}),
    }
}
