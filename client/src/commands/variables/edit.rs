//! `env edit`: the variables as a text in the user's editor; what was changed there is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use fleet_proto::v1::SetVariablesRequest;

use super::{asked, begin, send, text};
use crate::args::ChangeOptions;
use crate::failure::Failure;
use crate::package::ScratchDirectory;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, change: ChangeOptions) -> Result<(), Failure> {
    let editor = session.surroundings.variable("EDITOR").map(str::to_owned);
    let editor = editor.ok_or_else(|| {
        Failure::usage("EDITOR is not set").hint("EDITOR=vi fleet env edit, or fleet env set")
    })?;
    let before: BTreeMap<String, String> = asked(session, change.release.clone())
        .await?
        .variables
        .into_iter()
        .collect();
    let (text, kept) = written(&before);
    let directory = ScratchDirectory::create()?;
    let file = directory.path().join("variables.env");
    ScratchDirectory::write(&file, &text)?;
    edit(&editor, &file)?;
    let edited = std::fs::read_to_string(&file)
        .map_err(|error| Failure::failed(format!("cannot read what was edited: {error}")))?;
    drop(directory);

    let mut after = text::lines(&edited)?;
    for (name, value) in kept {
        after.entry(name).or_insert(value);
    }
    let Some(mut command) = difference(&before, after) else {
        session.console.line("Nothing was changed")?;
        return session
            .console
            .document(&serde_json::json!({ "changed": false }));
    };
    let touched: BTreeSet<&str> = command
        .variables
        .keys()
        .chain(&command.unset)
        .map(String::as_str)
        .collect();
    let names: Vec<&str> = touched.into_iter().collect();
    let step = format!("Setting {}... ", names.join(", "));
    begin(session, &mut command, &change).await?;
    send(session, command, &step, change).await
}

/// The text to edit, and the variables that no line can hold; they stay as they are.
fn written(variables: &BTreeMap<String, String>) -> (String, BTreeMap<String, String>) {
    let mut text = String::new();
    let mut kept = BTreeMap::new();
    for (name, value) in variables {
        if value.contains(['\n', '\r']) {
            text.push_str(&format!("# {name} has several lines and stays as it is\n"));
            kept.insert(name.clone(), value.clone());
        } else {
            text.push_str(&format!("{name}={value}\n"));
        }
    }
    (text, kept)
}

/// What turns `before` into `after`; `None` when nothing does. Only that is sent, so what others
/// changed meanwhile stays changed.
fn difference(
    before: &BTreeMap<String, String>,
    after: BTreeMap<String, String>,
) -> Option<SetVariablesRequest> {
    let unset: Vec<String> = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .cloned()
        .collect();
    let variables: BTreeMap<String, String> = after
        .into_iter()
        .filter(|(name, value)| before.get(name) != Some(value))
        .collect();
    (!unset.is_empty() || !variables.is_empty()).then(|| SetVariablesRequest {
        variables,
        unset,
        ..SetVariablesRequest::default()
    })
}

/// Runs the editor. Its words are split at spaces (`code --wait`); no shell is asked, so nothing in
/// a path or a value can be taken for a command.
fn edit(editor: &str, file: &Path) -> Result<(), Failure> {
    let mut words = editor.split_whitespace();
    let program = words
        .next()
        .ok_or_else(|| Failure::usage("EDITOR is empty"))?;
    let ended = Command::new(program)
        .args(words)
        .arg(file)
        .status()
        .map_err(|error| Failure::failed(format!("cannot run the editor {program}: {error}")))?;
    if ended.success() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "the editor ended with {ended}: nothing was changed"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        owned.collect()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let before = variables(&[("A", "1"), ("B", "2"), ("C", "x\ny")]);
        let (text, kept) = written(&before);
        assert_eq!(text, "A=1\nB=2\n# C has several lines and stays as it is\n");
        assert_eq!(kept, variables(&[("C", "x\ny")]));
        assert_eq!(difference(&before, before.clone()), None);

        let sent = difference(
            &before,
            variables(&[("A", "9"), ("C", "x\ny"), ("D", "$(id)")]),
        );
        let sent = sent.unwrap();
        assert_eq!(
            sent.variables.into_iter().collect::<BTreeMap<_, _>>(),
            variables(&[("A", "9"), ("D", "$(id)")])
        );
        assert_eq!(sent.unset, ["B"]);
    }
}
