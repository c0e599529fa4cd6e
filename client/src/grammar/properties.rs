//! What holds for every line, sensible or not.

use proptest::prelude::*;

use super::words::{ENVIRONMENT_VERBS, VARIABLE_VERBS};
use super::{canonical, is_environment_name, is_release_reference};

/// Words that mean something to the grammar, and words that mean nothing.
fn word() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> = ENVIRONMENT_VERBS
        .iter()
        .chain(VARIABLE_VERBS)
        .map(|verb| verb.word)
        .chain([
            "env",
            "envs",
            "vars",
            "help",
            "apps",
            "release",
            "node",
            "config",
            "limits",
            "desired",
            "prod",
            "qa",
            "8ef9d2f",
            "RABCDEFGHIJ",
            "active",
            "ON",
            "4",
            "A=1",
            "-a",
            "-e",
            "-w",
            "-o",
            "--env",
            "--env=qa",
            "--",
            "-",
            "--message",
            "--help",
            "",
        ])
        .collect();
    prop_oneof![4 => prop::sample::select(known).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn never_panics(line in prop::collection::vec(word(), 0..8)) {
        let _ = canonical(&line);
    }

    #[test]
    fn canonical_lines_mean_themselves(line in prop::collection::vec(word(), 0..8)) {
        prop_assume!(!line.iter().any(|w| w == "help" || w == "--help"));
        if let Ok(once) = canonical(&line) {
            prop_assert_eq!(canonical(&once), Ok(once.clone()));
        }
    }

    /// So no verb ever reaches an environment, app or release that was not typed.
    #[test]
    fn nothing_is_invented(line in prop::collection::vec(word(), 0..8)) {
        let own = ["envs", "vars", "list", "describe", "recycling", "status", "show", "--help"];
        for token in canonical(&line).unwrap_or_default() {
            let value = token.strip_prefix("--").and_then(|flag| flag.split_once('='));
            let typed = |word: &str| line.iter().any(|w| w == word || w.ends_with(word));
            prop_assert!(
                own.contains(&token.as_str()) || typed(&token) || value.is_some_and(|(_, v)| typed(v))
                    || ["--wait", "--stale"].contains(&token.as_str()),
                "{token} comes from nowhere in {line:?}"
            );
        }
    }

    #[test]
    fn a_verb_with_one_word_too_few_is_refused(
        verb in prop::sample::select(ENVIRONMENT_VERBS.iter().filter(|v| v.fewest >= 2).collect::<Vec<_>>()),
        only in word(),
        name_first in any::<bool>(),
    ) {
        // With two verbs the first is the verb and the second may well be a name.
        let is_verb = ENVIRONMENT_VERBS.iter().chain(VARIABLE_VERBS).any(|v| v.word == only);
        prop_assume!(!only.starts_with('-') && !is_verb);
        let (first, second) = if name_first { (&*only, verb.word) } else { (verb.word, &*only) };
        let got = canonical(&["env", first, second].map(str::to_owned));
        prop_assert!(got.is_err(), "{got:?}");
    }

    #[test]
    fn names_and_release_references_never_overlap(word in "[a-zA-Z0-9-]{1,14}") {
        prop_assert!(!(is_environment_name(&word) && is_release_reference(&word)));
    }
}
